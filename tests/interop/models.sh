#!/usr/bin/env bash
# tests/interop/models.sh BIN_DIR WORK_DIR: models that real libraries trained, beside `choana model import` and `choana predict`.
set -euo pipefail
bin=$(readlink -f "$1") work=$2
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
mkdir -p "$work"
work=$(readlink -f "$work")
environment() {  # NAME PACKAGES...
  local venv=$work/$1; shift
  [ -e "$venv/.ready" ] && return
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" -q install --disable-pip-version-check "$@"
  touch "$venv/.ready"
}
environment new scikit-learn==1.9.1 xgboost==3.2.0 lightgbm==4.7.0 catboost==1.2.10 shap==0.51.0
environment old xgboost==1.7.6 'numpy<2' scipy 'scikit-learn<1.4' 'pandas<2.2'
rm -rf "$work/cases"
export OMP_NUM_THREADS=1
"$work/new/bin/python" -W ignore "$here/models.py" make "$work/cases"
"$work/old/bin/python" -W ignore "$here/models.py" make "$work/cases"
exec "$work/new/bin/python" "$here/models.py" compare "$work/cases" --program "$bin/choana"
