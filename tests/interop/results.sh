#!/usr/bin/env bash
# tests/interop/results.sh BIN_DIR WORK_DIR: results read by highdicom, number by number (read_results.py).
# Two studies: the synthetic findings of the reporting tests, and a whole run of `choana` on a synthetic study.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/venv.sh"
begin "$@"
use_venv results "$work"
rm -rf "$work/example" "$work/study" "$work/study.json" "$work/run"
mkdir -p "$work/example"
CHOANA_RESULTS_OUT="$work/example" "$bin/reporting_test" --gtest_filter='*LeavesAnExampleWhereAsked' >/dev/null
folders=("$work/example")
if [ -x "$bin/choana" ] && [ -x "$bin/choana-fixtures" ]; then
  "$bin/choana-fixtures" "$work/study" --size small --charset gb18030 >/dev/null
  "$bin/choana" run "$work/study" --out "$work/run" --package "$here/../../conf/models/demo-npc-response"
  folders+=("$work"/run/*/)
fi
exec "$python" "$here/read_results.py" "${folders[@]}"
