#!/usr/bin/env bash
# tests/interop/onnx.sh BIN_DIR WORK_DIR: ONNX graphs of skl2onnx as model packages and by themselves, beside scikit-learn and ONNX Runtime.
set -euo pipefail
bin=$(readlink -f "$1") work=$2
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
source "$here/venv.sh"
mkdir -p "$work"
work=$(readlink -f "$work")
use_venv onnx "$work"
export OMP_NUM_THREADS=1
failed=0
"$python" -W ignore "$here/onnx_packages.py" --program "$bin/choana" --work "$work/cases" || failed=1
"$python" -W ignore "$here/onnx_graphs.py" --runner "$bin/onnx_run" || failed=1
exit $failed
