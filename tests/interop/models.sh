#!/usr/bin/env bash
# tests/interop/models.sh BIN_DIR WORK_DIR: models that real libraries trained, beside `choana model import` and `choana predict`; then what the exporters write.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/venv.sh"
begin "$@"
rm -rf "$work/cases" "$work/exported"
export OMP_NUM_THREADS=1
use_venv models-old "$work"
"$python" -W ignore "$here/models.py" make "$work/cases"
use_venv models "$work"
"$python" -W ignore "$here/models.py" make "$work/cases"
failed=0
"$python" "$here/models.py" compare "$work/cases" --program "$bin/choana" || failed=1
"$python" -W ignore "$here/exporters.py" "$work/exported/python" --program "$bin/choana" || failed=1
if command -v Rscript >/dev/null; then
  Rscript "$here/exporters.R" "$here/../../conf/exporters/choana_export.R" "$work/exported/r" "$bin/choana" || failed=1
else
  echo "SKIPPED: Rscript is not installed, so conf/exporters/choana_export.R was not run (apt-get install r-base-core r-cran-survival r-cran-rms)"
fi
exit $failed
