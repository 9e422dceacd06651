#!/usr/bin/env bash
# tests/interop/ibsi_mirp.sh BIN_DIR WORK_DIR: IBSI mode beside MIRP 2.7.0 (an independent program, of the group behind IBSI), configurations A to E on random volumes.
set -euo pipefail
bin=$(readlink -f "$1") work=$2
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
mkdir -p "$work"
work=$(readlink -f "$work")
if [ ! -e "$work/venv/.ready" ]; then
  rm -rf "$work/venv"
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" -q install --disable-pip-version-check mirp==2.7.0 numpy==2.4.6 scipy==1.17.1 pandas==3.1.1 itk==5.4.7
  touch "$work/venv/.ready"
fi
exec "$work/venv/bin/python" "$here/ibsi_mirp.py" --program "$bin/choana" --profiles "$here/../../conf/profiles"
