#!/usr/bin/env bash
# tests/interop/voxel_maps.sh BIN_DIR WORK_DIR: voxel maps beside PyRadiomics 3.0.1, all voxels. Shares the environment of pyradiomics.sh.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/venv.sh"
begin "$@"
use_venv pyradiomics "$work"
exec "$python" "$here/voxel_maps.py" --program "$bin/voxel_maps_bench" --cases 44 --work "$work/cases"
