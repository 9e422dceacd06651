#!/bin/bash
# N4 of our own beside ITK's in the same run, one thread: iteration counts, differences of the log field, CPU seconds, ratio; then ours alone, unshrunk.
# usage: run.sh BIN_DIR [FOLDER_OF_A_DICOM_SERIES] [n4_bench options, such as --only "head 4x4x4"]
set -eu
bin=$1
shift
series=()
if [ $# -gt 0 ] && [ "${1#--}" = "$1" ]; then
  [ -d "$1" ] && series=(--series "$1")
  shift
fi
exec "$bin/n4_bench" "${series[@]}" "$@"
