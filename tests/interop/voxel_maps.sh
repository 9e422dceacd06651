#!/usr/bin/env bash
# tests/interop/voxel_maps.sh BIN_DIR WORK_DIR: voxel maps beside PyRadiomics 3.0.1, all voxels. Shares the environment of pyradiomics.sh.
set -euo pipefail
bin=$(readlink -f "$1") work=$2
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
mkdir -p "$work"
work=$(readlink -f "$work")
if [ ! -e "$work/venv/.ready" ]; then
  rm -rf "$work/venv"
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" -q install --disable-pip-version-check numpy==1.26.4 scipy==1.13.1 SimpleITK==2.5.7 PyWavelets==1.9.0 \
    scikit-image==0.24.0 trimesh==4.4.9 pykwalify six 'setuptools<70' wheel
  "$work/venv/bin/pip" -q install --disable-pip-version-check --no-build-isolation --no-deps --no-cache-dir pyradiomics==3.0.1
  touch "$work/venv/.ready"
fi
exec "$work/venv/bin/python" "$here/voxel_maps.py" --program "$bin/voxel_maps_bench" --cases 44 --work "$work/cases"
