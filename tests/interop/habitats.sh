#!/usr/bin/env bash
# tests/interop/habitats.sh BIN_DIR WORK_DIR: habitats against scikit-learn (habitats.py).
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/venv.sh"
begin "$@"
use_venv habitats "$work"
exec "$python" "$here/habitats.py" "$bin/habitats_test" "$work/data"
