#!/usr/bin/env bash
# tests/interop/onnx.sh BIN_DIR WORK_DIR: ONNX graphs of skl2onnx as model packages and by themselves, beside scikit-learn and ONNX Runtime.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/venv.sh"
begin "$@"
use_venv onnx "$work"
export OMP_NUM_THREADS=1
failed=0
"$python" -W ignore "$here/onnx_packages.py" --program "$bin/choana" --work "$work/cases" || failed=1
"$python" -W ignore "$here/onnx_graphs.py" --runner "$bin/onnx_run" || failed=1
exit $failed
