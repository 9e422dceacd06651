#!/usr/bin/env bash
# tests/interop/shap.sh BIN_DIR WORK_DIR: Shapley values of every method of `choana predict --explain` beside brute force and the shap package.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/venv.sh"
begin "$@"
use_venv models "$work"
export OMP_NUM_THREADS=1
exec "$python" -W ignore "$here/shap_values.py" "$work/packages" --program "$bin/choana"
