#!/usr/bin/env bash
# tests/interop/ibsi_mirp.sh BIN_DIR WORK_DIR: IBSI mode beside MIRP 2.7.0 (an independent program, of the group behind IBSI), configurations A to E on random volumes.
set -euo pipefail
bin=$(readlink -f "$1") work=$2
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
mkdir -p "$work"
work=$(readlink -f "$work")
. "$here/venv.sh"
use_venv mirp "$work"
exec "$python" "$here/ibsi_mirp.py" --program "$bin/choana" --profiles "$here/../../conf/profiles"
