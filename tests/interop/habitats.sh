#!/usr/bin/env bash
# tests/interop/habitats.sh BIN_DIR WORK_DIR: habitats against scikit-learn (habitats.py).
set -euo pipefail
bin=$(readlink -f "$1") work=$2
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
mkdir -p "$work"
. "$here/venv.sh"
use_venv habitats "$work"
exec "$python" "$here/habitats.py" "$bin/habitats_test" "$work/data"
