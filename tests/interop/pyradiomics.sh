#!/usr/bin/env bash
# tests/interop/pyradiomics.sh BIN_DIR WORK_DIR: `choana extract` beside PyRadiomics 3.0.1 on seeded random cases, all columns,
# and the two commands side by side on one batch table.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/venv.sh"
begin "$@"
use_venv pyradiomics "$work"
"$python" "$here/pyradiomics_compare.py" --program "$bin/choana"
exec "$python" "$here/extract_command.py" --program "$bin/choana"
