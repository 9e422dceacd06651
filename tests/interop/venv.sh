# Sourced by the scripts of this folder: the virtual environments of the peers, the one place that names their versions.
#   begin "$@"                  sets bin, work and here
#   use_venv NAME WORK_DIR      makes the environment where it is not there yet, and sets `python` to its interpreter
# WORK_DIR is a test's own folder; environments stand beside it, in WORK_DIR/../environments/NAME, so that tests share them. An environment
# belongs to its list of packages: a changed list makes it anew.

begin() {  # BIN_DIR WORK_DIR as every script here takes them: sets bin, work and here, absolute, and makes the work folder
  here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
  bin=$(readlink -f "$1")
  mkdir -p "$2"
  work=$(readlink -f "$2")
}

venv_packages() {  # one call of pip a line
  case $1 in
    # The reference installation: PyRadiomics' own build needs the others there before it.
    pyradiomics)
      echo "numpy==1.26.4 scipy==1.13.1 SimpleITK==2.5.7 PyWavelets==1.9.0 scikit-image==0.24.0 trimesh==4.4.9 pykwalify ruamel.yaml<0.18 six setuptools<70 wheel"
      echo "--no-build-isolation --no-deps --no-cache-dir pyradiomics==3.0.1";;
    habitats) echo "scikit-learn==1.9.1";;
    results) echo "highdicom==0.28.2 pydicom==3.0.1";;
    mirp) echo "mirp==2.7.0 numpy==2.4.6 scipy==1.17.1 pandas==3.1.1 itk==5.4.7";;
    models) echo "scikit-learn==1.9.1 xgboost==3.2.0 lightgbm==4.7.0 catboost==1.2.10 shap==0.51.0 lifelines==0.30.3";;
    onnx) echo "onnx==1.17.0 onnxruntime==1.31.1 skl2onnx==1.20.0 scikit-learn==1.9.1 Pillow";;
    models-old) echo "xgboost==1.7.6 numpy<2 scipy scikit-learn<1.4 pandas<2.2";;
    *) echo "venv: no environment is called '$1'" >&2; return 2;;
  esac
}

use_venv() {
  local name=$1 folder line
  mkdir -p "$2/../environments"
  folder=$(readlink -f "$2/../environments")/$name
  python=$folder/bin/python
  (
    flock 9
    [ "$(cat "$folder/.ready" 2>/dev/null)" != "$(venv_packages "$name")" ] || exit 0
    rm -rf "$folder"
    python3 -m venv "$folder"
    while read -r line; do
      # shellcheck disable=SC2086  # words of the list
      "$folder/bin/pip" -q install --disable-pip-version-check $line </dev/null
    done < <(venv_packages "$name")
    venv_packages "$name" >"$folder/.ready"
  ) 9>"$folder.lock"
}
