#!/usr/bin/env bash
# tests/interop/ibsi_mirp.sh BIN_DIR WORK_DIR: IBSI mode beside MIRP 2.7.0 (an independent program, of the group behind IBSI), configurations A to E on random volumes.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/venv.sh"
begin "$@"
use_venv mirp "$work"
exec "$python" "$here/ibsi_mirp.py" --program "$bin/choana" --profiles "$here/../../conf/profiles"
