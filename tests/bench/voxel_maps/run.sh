#!/usr/bin/env bash
# tests/bench/voxel_maps/run.sh BIN_DIR PYTHON [WORK_DIR]: voxel maps beside PyRadiomics 3.0.1 in the same run, CPU seconds at one thread.
# PYTHON: of an environment with PyRadiomics 3.0.1, such as the one tests/interop/voxel_maps.sh makes.
set -euo pipefail
bin=$1 python=$2 work=${3:-$(mktemp -d)}
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=1
exec "$python" "$here/compare.py" --program "$bin/voxel_maps_bench" --work "$work"
