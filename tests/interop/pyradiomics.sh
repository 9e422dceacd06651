#!/usr/bin/env bash
# tests/interop/pyradiomics.sh BIN_DIR WORK_DIR: `choana extract` beside PyRadiomics 3.0.1 on seeded random cases, all columns,
# and the two commands side by side on one batch table.
set -euo pipefail
bin=$(readlink -f "$1") work=$2
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
mkdir -p "$work"
work=$(readlink -f "$work")
if [ ! -e "$work/venv/.ready" ]; then
  rm -rf "$work/venv"
  python3 -m venv "$work/venv"
  # These versions are the reference; PyRadiomics' own build needs them there before it.
  "$work/venv/bin/pip" -q install --disable-pip-version-check numpy==1.26.4 scipy==1.13.1 SimpleITK==2.5.7 PyWavelets==1.9.0 \
    scikit-image==0.24.0 trimesh==4.4.9 pykwalify 'ruamel.yaml<0.18' six 'setuptools<70' wheel
  "$work/venv/bin/pip" -q install --disable-pip-version-check --no-build-isolation --no-deps --no-cache-dir pyradiomics==3.0.1
  touch "$work/venv/.ready"
fi
"$work/venv/bin/python" "$here/pyradiomics_compare.py" --program "$bin/choana"
exec "$work/venv/bin/python" "$here/extract_command.py" --program "$bin/choana"
