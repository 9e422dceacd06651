#!/usr/bin/env bash
# tests/interop/shap.sh BIN_DIR WORK_DIR: Shapley values of every method of `choana predict --explain` beside brute force and the shap package.
set -euo pipefail
bin=$(readlink -f "$1") work=$2
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
mkdir -p "$work"
work=$(readlink -f "$work")
. "$here/venv.sh"
use_venv models "$work"
export OMP_NUM_THREADS=1
exec "$python" -W ignore "$here/shap_values.py" "$work/packages" --program "$bin/choana"
