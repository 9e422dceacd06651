#!/usr/bin/env bash
# tests/interop/habitats.sh BIN_DIR WORK_DIR: habitats against scikit-learn (habitats.py).
set -euo pipefail
bin=$(readlink -f "$1") work=$2
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
mkdir -p "$work"
if [ ! -x "$work/venv/bin/python" ]; then python3 -m venv "$work/venv"; fi
"$work/venv/bin/pip" -q install --disable-pip-version-check scikit-learn==1.9.1
exec "$work/venv/bin/python" "$here/habitats.py" "$bin/habitats_test" "$work/data"
