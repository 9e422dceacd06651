#!/usr/bin/env bash
# tests/bench/radiomics/run.sh BIN PYTHON [SHARED]: the tables under "Radiomics" of docs/benchmarks.md. Fails nothing; wants a machine nobody else uses.
#   BIN     the folder with radiomics_bench (cmake --preset bench; cmake --build --preset bench --target radiomics_bench)
#   PYTHON  an interpreter with PyRadiomics 3.0.1; "-" leaves it out. To make one (Debian 12, Python 3.11):
#             apt-get install python3-venv python3-dev gcc; python3 -m venv V
#             V/bin/pip install numpy==1.26.4 scipy==1.13.1 SimpleITK==2.5.7 PyWavelets==1.9.0 scikit-image==0.24.0 trimesh==4.4.9 pykwalify six 'setuptools<70' wheel
#             V/bin/pip install --no-build-isolation --no-deps --no-cache-dir pyradiomics==3.0.1
#   SHARED  a folder with reference/pyradiomics/images (brain1); left out when absent
# Both sides take turns, images loaded, interpreter start not counted; the least CPU and wall time of REPEATS (3) turns.
set -euo pipefail
bin=$1 python=$2 shared=${3:-}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repeats=${REPEATS:-3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
classes=$'imageType: {Original: {}, LoG: {sigma: [1.0, 3.0, 5.0]}, Wavelet: {}}\nfeatureClass: {shape: , firstorder: , glcm: , gldm: , glrlm: , glszm: , ngtdm: }'
printf 'setting: {binWidth: 25, resampledPixelSpacing: [1, 1, 1], interpolator: sitkBSpline}\n%s\n' "$classes" > "$work/1mm.yaml"
printf 'setting: {binWidth: 25}\n%s\n' "$classes" > "$work/plain.yaml"
"$bin/radiomics_bench" make "$work"
if [ -n "$shared" ] && [ -e "$shared/reference/pyradiomics/images/brain1_image.nrrd" ]; then
  for part in image label; do cp "$shared/reference/pyradiomics/images/brain1_$part.nrrd" "$work/"; done
fi

least() { sort -g | head -n 1; }
echo "| Case | voxels | Choana 1 thread, CPU s | 2 threads, wall s | 4 threads, wall s | peak MB | PyRadiomics CPU s | wall s | peak MB | CPU ratio | wall ratio, 2 threads |"
echo "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
compare() {
  local name=$1 profile=$2 inner=$3 image="$work/$1_image.nrrd" mask="$work/$1_label.nrrd"
  [ -e "$image" ] || return 0
  : > "$work/one"; : > "$work/two"; : > "$work/four"; : > "$work/py"
  for _ in $(seq "$repeats"); do
    "$bin/radiomics_bench" run "$image" "$mask" "$work/$profile.yaml" 1 "$inner" >> "$work/one"
    "$bin/radiomics_bench" run "$image" "$mask" "$work/$profile.yaml" 2 "$inner" >> "$work/two"
    "$bin/radiomics_bench" run "$image" "$mask" "$work/$profile.yaml" 4 "$inner" >> "$work/four"
    [ "$python" = - ] || "$python" "$here/pyradiomics_side.py" "$image" "$mask" "$work/$profile.yaml" 1 >> "$work/py"
  done
  local cpu wall2 wall4 peak voxels pcpu=0 pwall=0 ppeak=0
  cpu=$(cut -d' ' -f1 "$work/one" | least); wall2=$(cut -d' ' -f2 "$work/two" | least); wall4=$(cut -d' ' -f2 "$work/four" | least)
  peak=$(cut -d' ' -f3 "$work/two" | least); voxels=$(cut -d' ' -f4 "$work/one" | least)
  if [ "$python" != - ]; then pcpu=$(cut -d' ' -f1 "$work/py" | least); pwall=$(cut -d' ' -f2 "$work/py" | least); ppeak=$(cut -d' ' -f3 "$work/py" | least); fi
  awk -v n="$name, $profile" -v v="$voxels" -v c="$cpu" -v w2="$wall2" -v w4="$wall4" -v p="$peak" -v pc="$pcpu" -v pw="$pwall" -v pp="$ppeak" \
    'BEGIN { printf "| %s | %d | %.4f | %.4f | %.4f | %d | %.3f | %.3f | %d | %.1f | %.1f |\n", n, v, c, w2, w4, p, pc, pw, pp, pc / c, pw / w2 }'
}
compare resampled-60k 1mm 5
compare thick-slices 1mm 5
compare brain1 1mm 10
compare whole-60k plain 5
compare whole-1m plain 2
echo
echo "Cost against the size of the region, 200 x 200 x 120 without resampling, one thread:"
echo "| voxels | CPU s | us per voxel |"
echo "| --- | --- | --- |"
for name in size-1e3 size-1e4 whole-60k size-1e5 whole-1m; do
  "$bin/radiomics_bench" run "$work/${name}_image.nrrd" "$work/${name}_label.nrrd" "$work/plain.yaml" 1 3 | awk '{ printf "| %d | %.4f | %.2f |\n", $4, $1, 1e6 * $1 / $4 }'
done
for name in resampled-60k:1mm whole-1m:plain; do
  echo
  echo "Stages of ${name%%:*}:"
  "$bin/radiomics_bench" stages "$work/${name%%:*}_image.nrrd" "$work/${name%%:*}_label.nrrd" "$work/${name##*:}.yaml"
done
