#!/usr/bin/env bash
# tests/bench/models/run.sh BIN_DIR PYTHON [WORK_DIR]: predictions and Shapley values beside the libraries' own in the same run, CPU time at one thread.
# PYTHON: of an environment with xgboost, lightgbm, catboost, scikit-learn and shap, such as the one tests/interop/models.sh makes.
set -euo pipefail
bin=$1 python=$2 work=${3:-$(mktemp -d)}
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
exec "$python" "$here/compare.py" --bin "$bin" --work "$work"
