#!/usr/bin/env python3
"""Compare voxel maps with PyRadiomics 3.0.1 on seeded random cases: every voxel of every map, and the geometry of the maps.

Run it with the Python of an environment that has PyRadiomics 3.0.1 (NumPy 1.26.4, SciPy 1.13.1, SimpleITK 2.5.7, PyWavelets 1.9.0):

    python voxel_maps.py --program build/ci/bin/voxel_maps_bench [--seed 1] [--cases 22] [--only PROFILE] [--work DIR]

Values must agree within 1e-6 relative (1e-9 absolute), NaN must stand where the reference has NaN. Where rounding decides the reference itself, LOOSE
says what is accepted and why. Exit 0 when everything agrees.
"""
import argparse
import glob
import logging
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import radiomics
import SimpleITK as sitk
from radiomics import featureextractor

logging.disable(logging.CRITICAL)
np.seterr(all="ignore")
warnings.simplefilter("ignore")
radiomics.setVerbosity(60)

CLASSES = {c: None for c in ("firstorder", "glcm", "gldm", "glrlm", "glszm", "ngtdm")}


def profile(setting=None, voxel=None, images=None, classes=None):
    return {"setting": dict({"additionalInfo": False}, **(setting or {})), "voxelSetting": dict(voxel or {}), "imageType": images or {"Original": {}},
            "featureClass": dict(classes or CLASSES)}


PROFILES = {
    "default": profile(),
    "narrow": profile({"binWidth": 2}),
    "radius_2": profile({"binWidth": 10}, {"kernelRadius": 2}),
    "radius_3": profile({"binWidth": 25}, {"kernelRadius": 3}),
    "unmasked": profile({}, {"maskedKernel": False}),
    "unmasked_radius_2": profile({"binWidth": 10}, {"maskedKernel": False, "kernelRadius": 2}),
    "flat_axial": profile({"force2D": True, "binWidth": 10}),
    "flat_sagittal": profile({"force2D": True, "force2Ddimension": 2, "binWidth": 10}, {"kernelRadius": 2}),
    "initial_nan": profile({}, {"initValue": float("nan")}),
    "initial_minus_one": profile({}, {"initValue": -1.0}),
    "batches": profile({}, {"voxelBatch": 17}),
    "count_16": profile({"binCount": 16}),
    "wavelet": profile({"binWidth": 10}, {}, {"Wavelet": {}}),
    "log_square": profile({"binWidth": 10}, {}, {"LoG": {"sigma": [1.5]}, "Square": {}}),
    "spline": profile({"resampledPixelSpacing": [1.4, 1.4, 1.4], "interpolator": "sitkBSpline", "binWidth": 10}),
    "normalised_resegmented": profile({"normalize": True, "normalizeScale": 100, "binWidth": 10, "resegmentRange": [-2, 2], "resegmentMode": "sigma"}),
    "asymmetric": profile({"symmetricalGLCM": False, "binWidth": 15}),
    "euclidean": profile({"weightingNorm": "euclidean", "binWidth": 15}),
    "merged_asymmetric": profile({"weightingNorm": "no_weighting", "symmetricalGLCM": False, "binWidth": 15}),
    "distances_1_2": profile({"distances": [1, 2], "gldm_a": 1, "binWidth": 15}, {"kernelRadius": 2}),
    "distance_2": profile({"distances": [2], "binWidth": 15}),
    "by_name": profile({"voxelArrayShift": 300}, {}, None, {"firstorder": ["StandardDeviation", "Energy", "TotalEnergy"], "glcm": ["SumSquares", "MCC", "Homogeneity1"]}),
}

# Feature -> (relative, absolute tolerance, share of voxels that may differ altogether, reason).
LOOSE = {
    "glcm_Imc1": (1e-6, 1e-7, 0, "difference of entropies that are equal but for rounding"),
    "glcm_Imc2": (1e-6, 2e-7, 0.02, "independent levels: a direction has 0 or no value as rounding decides"),
    "glcm_MCC": (1e-6, 1e-6, 0.02, "independent levels: a direction has 0 or no value as rounding decides"),
    "firstorder_RobustMeanAbsoluteDeviation": (1e-6, 1e-9, 0.02, "voxels tied with a percentile fall in or out by the last bit"),
    "firstorder_Skewness": (1e-6, 1e-7, 0, "values that lie symmetric but for rounding"),
}
# In a kernel of one value that is not exact in binary these are rounding noise in the reference, 0 here.
FLAT_NOISE = ("firstorder_Skewness", "firstorder_Kurtosis")
KINDS = ("blob", "blob", "border", "one_slice", "sparse", "two_parts", "steps", "flat", "saturated", "thin", "oblique")
DTYPES = {"int16": sitk.sitkInt16, "uint8": sitk.sitkUInt8, "float32": sitk.sitkFloat32, "float64": sitk.sitkFloat64}


def make_case(rng, kind):
    shape = tuple(int(n) for n in rng.integers(9, 14, size=3))
    z, y, x = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    dtype = str(rng.choice(list(DTYPES)))
    noise = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(rng.normal(size=shape)), 1.0))
    image = 100 + 80 * noise / np.abs(noise).max() + rng.normal(scale=8, size=shape)
    centre = [rng.uniform(0.4, 0.6) * (n - 1) for n in shape]
    radius = [rng.uniform(2.2, 3.2) for _ in shape]
    if kind == "border":
        centre = [0.0, shape[1] - 1.0, shape[2] / 2]
    inside = sum(((c - m) / r) ** 2 for c, m, r in zip((z, y, x), centre, radius)) + 0.3 * rng.normal(size=shape) < 1
    if kind == "one_slice":
        inside &= z == int(centre[0])
    elif kind == "sparse":
        inside = rng.random(shape) < 0.06
    elif kind == "two_parts":
        inside = np.zeros(shape, bool)
        inside[1:3, 1:4, 1:4] = True
        inside[-2:, -4:-1, -3:] = rng.random((2, 3, 3)) < 0.8
    elif kind == "thin":
        inside = (np.abs(z - centre[0]) < 1) & (np.abs(y - centre[1]) < 4) & (rng.random(shape) < 0.7)
    if inside.sum() < 4:
        inside[1:4, 1:4, 1:4] = True
    if kind == "steps":
        image = np.round(image / 25) * 25
    elif kind == "flat":
        image = np.where(inside, 100.0, image)
    elif kind == "saturated":
        image = np.where(image > 110, 250.0, 50.0)
    array = image.astype(dtype) if dtype.startswith("float") else np.clip(np.round(image), 0, 255).astype(dtype)
    volume = sitk.GetImageFromArray(array)
    volume.SetSpacing([float(v) for v in rng.uniform(0.7, 2.5, size=3)])
    volume.SetOrigin([float(v) for v in rng.uniform(-50, 50, size=3)])
    if kind == "oblique":
        q, r = np.linalg.qr(rng.normal(size=(3, 3)))
        volume.SetDirection((q * np.sign(np.diag(r))).ravel().tolist())
    mask = sitk.GetImageFromArray(inside.astype(np.uint8))
    mask.CopyInformation(volume)
    return volume, mask


def write_parameters(path, parameters):
    def text(value):
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, float) and np.isnan(value):
            return ".nan"
        if isinstance(value, list):
            return "[" + ", ".join(text(v) for v in value) + "]"
        if isinstance(value, dict):
            return "{" + ", ".join(f"{k}: {text(v)}" for k, v in value.items()) + "}"
        return str(value)

    with open(path, "w") as out:
        for key, value in parameters.items():
            out.write(f"{key}: {text(value)}\n")


def compare(name, ours, reference, flat):
    """A sentence about the first difference, or None; and how many values were compared."""
    a, b = sitk.GetArrayFromImage(ours), sitk.GetArrayFromImage(reference)
    if a.shape != b.shape:
        return f"size {a.shape} against {b.shape}", 0
    for what in ("GetOrigin", "GetSpacing", "GetDirection"):
        if not np.allclose(getattr(ours, what)(), getattr(reference, what)(), rtol=1e-9, atol=1e-9):
            return f"{what}: {getattr(ours, what)()} against {getattr(reference, what)()}", 0
    relative, absolute, share, _ = LOOSE.get(name.split("_", 1)[1], (1e-6, 1e-9, 0, ""))
    one_nan = np.isnan(a) != np.isnan(b)
    off = np.where(np.isnan(a) | np.isnan(b), False, np.abs(a - b) > np.maximum(absolute, relative * np.abs(b)))
    wrong = one_nan | off
    if flat is not None and name.endswith(FLAT_NOISE):
        wrong &= ~(flat & (a == 0))
    if wrong.sum() <= share * a.size:
        return None, a.size
    at = tuple(np.argwhere(wrong)[0])
    return f"{int(wrong.sum())} of {a.size} voxels differ ({int(one_nan.sum())} in NaN), first {at}: {a[at]!r} against {b[at]!r}", a.size


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--program", required=True)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--cases", type=int, default=22, help="each with one profile after another")
    options.add_argument("--only")
    options.add_argument("--work")
    args = options.parse_args()
    work = args.work or tempfile.mkdtemp()
    os.makedirs(work, exist_ok=True)
    names = [n for n in PROFILES if not args.only or n == args.only]
    maps = values = failures = refused = 0
    for case in range(args.cases):
        rng = np.random.default_rng([args.seed, case])
        kind = KINDS[(case + case // len(KINDS)) % len(KINDS)]
        profile_name = names[case % len(names)]
        image, mask = make_case(rng, kind)
        folder = os.path.join(work, f"case{case}")
        os.makedirs(folder, exist_ok=True)
        for old in glob.glob(os.path.join(folder, "*")):
            os.remove(old)
        image_path, mask_path, parameters = (os.path.join(folder, f) for f in ("image.nrrd", "mask.nrrd", "parameters.yaml"))
        sitk.WriteImage(image, image_path)
        sitk.WriteImage(mask, mask_path)
        write_parameters(parameters, PROFILES[profile_name])
        done = subprocess.run([args.program, image_path, mask_path, parameters, "2", "1", folder], capture_output=True, text=True)
        try:
            reference = featureextractor.RadiomicsFeatureExtractor(parameters).execute(image_path, mask_path, voxelBased=True)
        except Exception as problem:  # the reference loses the whole case
            refused += 1
            print(f"case {case} {kind} {profile_name}: PyRadiomics refuses ({str(problem)[:80]}); we {'refuse too' if done.returncode else 'give maps'}")
            continue
        if done.returncode:
            failures += 1
            print(f"case {case} {kind} {profile_name}: FAILED: {done.stdout.strip()}")
            continue
        expected = {k: v for k, v in reference.items() if isinstance(v, sitk.Image)}
        written = {os.path.basename(p)[:-5] for p in glob.glob(os.path.join(folder, "*_*_*.nrrd"))}
        if written != set(expected):
            failures += 1
            print(f"case {case} {kind} {profile_name}: FAILED: other maps: {sorted(written ^ set(expected))[:6]}")
            continue
        before = failures
        for name, volume in expected.items():
            spread = expected.get(name.split("_", 1)[0] + "_firstorder_Range")
            flat = None if spread is None else sitk.GetArrayFromImage(spread) == 0
            difference, count = compare(name, sitk.ReadImage(os.path.join(folder, name + ".nrrd")), volume, flat)
            maps += 1
            values += count
            if difference:
                failures += 1
                if failures - before <= 6:
                    print(f"case {case} {kind} {profile_name} {name}: FAILED: {difference}")
        print(f"case {case} {kind} {profile_name}: {len(expected)} maps, {failures - before} differ")
    print(f"voxel maps: {maps} maps, {values} values compared, {failures} failures, {refused} cases refused by PyRadiomics")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
