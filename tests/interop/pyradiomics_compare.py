#!/usr/bin/env python3
"""Compare `choana extract` with PyRadiomics 3.0.1 on seeded random cases, all columns.

Run it with the Python of an environment that has PyRadiomics 3.0.1 (NumPy 1.26.4, SciPy 1.13.1, SimpleITK 2.5.7, PyWavelets 1.9.0):

    python pyradiomics_compare.py --program build/release/bin/choana [--seed 1] [--cases 60] [--work DIR] [--only PROFILE]

Every case is an image and a mask written as NRRD: random spacings, oblique directions, regions of one to eight voxels, flat ones, two
parts, regions at the border, of one slice, and all pixel types with negative values. Each goes through several parameter files.
A case that PyRadiomics refuses must be refused here too. Values must agree within 1e-6 relative (1e-9 absolute); where rounding decides the
reference itself, the tolerance is wider and the item of the notes in LOOSE says why. Exit 0 when everything agrees.
"""
import argparse
import csv
import json
import logging
import math
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import SimpleITK as sitk
from radiomics import featureextractor
import radiomics

logging.disable(logging.CRITICAL)
np.seterr(all="ignore")
warnings.simplefilter("ignore")
radiomics.setVerbosity(60)

ALL_CLASSES = {c: None for c in ("shape", "firstorder", "glcm", "gldm", "glrlm", "glszm", "ngtdm")}


def profile(setting, classes=None):
    return {"setting": setting, "imageType": {"Original": {}}, "featureClass": dict(classes or ALL_CLASSES)}


PROFILES = {
    "default": profile({}),
    "width5_shift": profile({"binWidth": 5, "voxelArrayShift": 300}),
    "width_tenth_normalised": profile({"binWidth": 0.1, "normalize": True, "removeOutliers": 3}),
    "count16": profile({"binCount": 16}),
    "spline_1mm": profile({"binWidth": 25, "resampledPixelSpacing": [1, 1, 1], "interpolator": "sitkBSpline"}),
    "spline_inplane_count": profile({"binCount": 25, "resampledPixelSpacing": [1.5, 1.5, 0], "interpolator": "sitkBSpline", "padDistance": 2}),
    "linear_2mm": profile({"binWidth": 10, "resampledPixelSpacing": [2, 2, 2], "interpolator": "sitkLinear"}),
    "nearest_half": profile({"binWidth": 10, "resampledPixelSpacing": [0.7, 0.9, 1.3], "interpolator": "sitkNearestNeighbor"}),
    "normalised_1mm": profile({"normalize": True, "normalizeScale": 100, "binWidth": 5, "resampledPixelSpacing": [1, 1, 1]}),
    "flat_axial": profile({"force2D": True, "binWidth": 10}),
    "flat_sagittal": profile({"force2D": True, "force2Ddimension": 2, "binWidth": 10}),
    "shape_2d": profile({"force2D": True}, {"shape2D": None, "firstorder": ["Mean"]}),
    "euclidean": profile({"weightingNorm": "euclidean", "distances": [1, 2], "gldm_a": 1}),
    "manhattan": profile({"weightingNorm": "manhattan", "binWidth": 10}),
    "infinity_asymmetric": profile({"weightingNorm": "infinity", "symmetricalGLCM": False, "binWidth": 10}),
    "merged": profile({"weightingNorm": "no_weighting"}),
    "distance_2_asymmetric": profile({"distances": [2], "symmetricalGLCM": False, "gldm_a": 2}),
    "resegment_absolute": profile({"resegmentRange": [20, 400], "resegmentMode": "absolute"}),
    "resegment_sigma_shape": profile({"resegmentRange": [-1.5, 1.5], "resegmentMode": "sigma", "resegmentShape": True}),
    "resegment_relative": profile({"resegmentRange": [0.5], "resegmentMode": "relative"}),
    "minimum_size": profile({"minimumROISize": 8, "minimumROIDimensions": 3}),
    "one_dimension": profile({"minimumROIDimensions": 1, "preCrop": True}),
    "corrected": profile({"correctMask": True}),
    "by_name": profile({}, {"glcm": ["SumSquares", "Contrast", "Id"], "shape": ["Compactness1", "Compactness2", "SphericalDisproportion", "MeshVolume"],
                            "firstorder": ["StandardDeviation", "Mean", "10Percentile"]}),
}

# Feature -> (relative, absolute tolerance, reason).
LOOSE = {
    "shape_LeastAxisLength": (1e-6, 1e-5, "the zero eigenvalue of a planar region is rounding noise"),
    "shape_MinorAxisLength": (1e-6, 1e-5, "the zero eigenvalue of a linear region is rounding noise"),
    "shape_Flatness": (1e-6, 1e-5, "as LeastAxisLength"),
    "shape_Elongation": (1e-6, 1e-5, "as MinorAxisLength"),
    "glcm_Imc1": (1e-6, 1e-7, "difference of entropies that are equal but for rounding"),
    "glcm_Imc2": (1e-6, 2e-7, "root of a difference that is 0 but for rounding"),
    "glcm_MCC": (1e-6, 1e-6, "root of an eigenvalue that is 0 but for rounding"),
}
# A flat region whose value is not exact in binary: skewness and kurtosis of the reference depend on the order of summation.
FLAT_NOISE = ("firstorder_Skewness", "firstorder_Kurtosis")
# Where the reference loses the whole case and we lose only the features concerned: distances beyond the region, 2-D shape of several slices.
BETTER = ("Error getting angle count", "cannot compute 2D shape")


def rotation(rng):
    """A random proper or improper orthonormal matrix."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    return q * np.sign(np.diag(r))


DTYPES = {"int16": sitk.sitkInt16, "uint16": sitk.sitkUInt16, "uint8": sitk.sitkUInt8, "int32": sitk.sitkInt32, "float32": sitk.sitkFloat32, "float64": sitk.sitkFloat64}
KINDS = ("blob", "blob", "blob", "two_parts", "border", "one_slice", "few", "few", "line", "flat", "sparse", "steps", "sagittal_slice", "other_grid", "shifted_origin",
         "label_3", "saturated", "inexact_flat")


def make_case(rng, kind):
    size = rng.integers(8, 28, size=3)  # x, y, z
    size[2] = rng.integers(4, 14)
    shape = tuple(int(n) for n in size[::-1])
    z, y, x = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    dtype = rng.choice(list(DTYPES))
    smooth = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(rng.normal(size=shape)), 1.2))
    smooth = smooth / (np.abs(smooth).max() or 1)
    image = 300 * smooth + rng.normal(scale=15, size=shape)
    if dtype.startswith("u"):
        image = image - image.min()
    elif rng.random() < 0.5:
        image = image + 200
    if kind == "steps":
        image = np.round(image / 25) * 25
    if kind == "saturated":
        image = np.where(image > 50, 250.0, np.where(image < -50, 0.0, 125.0))
    if dtype == "uint8":
        image = np.clip(image / 2, 0, 255)
    centre = [rng.uniform(0.35, 0.65) * n for n in shape]
    radius = [rng.uniform(0.18, 0.33) * n for n in shape]
    if kind == "border":
        centre = [0.0, shape[1] - 1.0, shape[2] / 2]
    inside = sum(((c - m) / max(r, 0.8)) ** 2 for c, m, r in zip((z, y, x), centre, radius)) + 0.4 * rng.normal(size=shape) < 1
    if kind == "two_parts":
        inside = np.zeros(shape, bool)
        inside[1:3, 1:4, 1:4] = True
        inside[-2:, -4:-1, -3:] = rng.random((2, 3, 3)) < 0.8
    elif kind == "one_slice":
        keep = int(rng.integers(shape[0]))
        inside = (((y - centre[1]) / radius[1]) ** 2 + ((x - centre[2]) / radius[2]) ** 2 + 0.3 * rng.normal(size=shape) < 1) & (z == keep)
    elif kind == "sagittal_slice":
        inside = (((y - centre[1]) / radius[1]) ** 2 + ((z - centre[0]) / radius[0]) ** 2 + 0.3 * rng.normal(size=shape) < 1) & (x == shape[2] // 2)
    elif kind == "few":
        inside = np.zeros(shape, bool)
        corner = [int(rng.integers(n - 2)) for n in shape]
        count = int(rng.integers(1, 9))
        cells = rng.permutation(8)[:count]
        for c in cells:
            inside[corner[0] + (c >> 2), corner[1] + (c >> 1 & 1), corner[2] + (c & 1)] = True
    elif kind == "line":
        inside = np.zeros(shape, bool)
        inside[2, 3, 1:6] = True
    elif kind == "sparse":
        inside = rng.random(shape) < 0.02
    if not inside.any():
        inside[1:3, 1:3, 1:3] = True
    if kind == "flat":
        image = np.where(inside, float(rng.integers(0, 200)), image)
    if kind == "inexact_flat":
        dtype = "float64"
        image = np.where(inside, 100.7, image)
    if dtype == "float32":
        image = image.astype(np.float32)
    elif dtype == "float64":
        image = image.astype(np.float64)
    else:
        info = np.iinfo(dtype)
        image = np.clip(np.round(image), info.min, info.max).astype(dtype)
    label = 3 if kind == "label_3" else 1
    labels = np.where(inside, label, 0).astype(np.uint8)
    if kind == "label_3":
        labels[~inside & (rng.random(shape) < 0.1)] = 1
    spacing = [float(s) for s in (rng.choice([0.5, 0.75, 1.0, 1.5, float(rng.uniform(0.4, 2))]), 0, float(rng.choice([1.0, 2.0, 3.0, 4.4, rng.uniform(0.8, 6)])))]
    spacing[1] = spacing[0] if rng.random() < 0.7 else float(rng.uniform(0.4, 2))
    direction = np.eye(3)
    choice = rng.random()
    if choice < 0.35:
        direction = rotation(rng)
    elif choice < 0.55:
        direction = np.diag([1.0, -1.0, 1.0])[:, rng.permutation(3)]
    origin = rng.uniform(-200, 200, size=3)
    im, ma = sitk.GetImageFromArray(image), sitk.GetImageFromArray(labels)
    for item in (im, ma):
        item.SetSpacing(spacing)
        item.SetOrigin([float(o) for o in origin])
        item.SetDirection([float(d) for d in direction.flatten()])
    if kind == "other_grid":
        grid = sitk.ResampleImageFilter()
        grid.SetReferenceImage(ma)
        grid.SetOutputSpacing([s * f for s, f in zip(spacing, (0.8, 1.0, 0.5))])
        grid.SetSize([int(n / f) for n, f in zip(ma.GetSize(), (0.8, 1.0, 0.5))])
        grid.SetInterpolator(sitk.sitkNearestNeighbor)
        ma = grid.Execute(ma)
    if kind == "shifted_origin":
        ma.SetOrigin([o + s * 0.3 for o, s in zip(ma.GetOrigin(), spacing)])
    return im, ma, label


def reference_values(parameters, image_file, mask_file, label):
    extractor = featureextractor.RadiomicsFeatureExtractor(parameters)
    try:
        result = extractor.execute(image_file, mask_file, label=label)
    except Exception as error:  # noqa: BLE001 - the reference refuses in many ways
        return None, f"{type(error).__name__}: {error}"
    return {k: v for k, v in result.items()}, ""


def as_numbers(text):
    return [float(v) for v in text.strip("()[]").replace(",", " ").split()]


def compare(expected, row):
    problems = []
    # Interpolation of a constant leaves a spread of rounding errors.
    flat = expected.get("original_firstorder_Range", 1.0) <= 1e-9 * abs(float(expected.get("original_firstorder_Maximum", 0)))
    few = len(row) and float(expected.get("diagnostics_Mask-original_VoxelNum", 0)) < 200
    ours = {k: v for k, v in row.items() if k.startswith(("original_", "diagnostics_"))}
    theirs = list(expected)
    # Columns that the first case lacks stand at the end of the table, so the order is that of the features alone.
    order = [[k for k in names if k.startswith("original_")] for names in ([k for k in ours if ours[k] != ""], theirs)]
    if set(k for k in ours if ours[k] != "") != set(theirs) or order[0] != order[1]:
        missing = [k for k in theirs if ours.get(k, "") == ""]
        extra = [k for k in ours if k not in expected and ours[k] != ""]
        problems.append(("columns", f"missing {missing[:5]} extra {extra[:5]}" if missing or extra else "order differs"))
    count = 0
    for name, value in expected.items():
        if name.startswith(("diagnostics_Versions", "diagnostics_Configuration")):
            continue
        text = ours.get(name, "")
        if text == "":
            continue
        count += 1
        if name.startswith("diagnostics_"):
            if isinstance(value, str):
                if text != value:
                    problems.append((name, f"{text} for {value}"))
                continue
            wanted = [float(v) for v in (value if isinstance(value, (tuple, list)) else [value])]
            if not np.allclose(as_numbers(text), wanted, rtol=1e-9, atol=1e-9):
                problems.append((name, f"{text} for {value}"))
            continue
        want, got = float(value), float(text)
        short = name.split("_", 1)[1]
        relative, absolute, _ = LOOSE.get(short, (1e-6, 1e-9, ""))
        if flat and short in FLAT_NOISE:
            continue
        if math.isnan(want) and math.isnan(got):
            continue
        # A direction whose pairs share one level: rounding decides in the reference whether it counts as 1 or as 0 in the mean.
        if few and short == "glcm_Correlation" and abs(want - got) < 0.06:
            continue
        if math.isnan(want) != math.isnan(got) or abs(want - got) > max(absolute, relative * abs(want)):
            problems.append((name, f"{got!r} for {want!r}"))
    return count, problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="the choana program, or a program that is `choana extract` itself with --bare")
    parser.add_argument("--bare", action="store_true", help="PROGRAM takes the arguments of extract directly")
    parser.add_argument("--seed", type=int, default=20260101)
    parser.add_argument("--cases", type=int, default=54)
    parser.add_argument("--only", default="", help="one profile")
    parser.add_argument("--work", default="", help="folder to keep the cases in")
    arguments = parser.parse_args()
    work = arguments.work or tempfile.mkdtemp(prefix="choana-interop-")
    os.makedirs(work, exist_ok=True)
    rng = np.random.default_rng(arguments.seed)
    cases = []
    for number in range(arguments.cases):
        kind = KINDS[number % len(KINDS)]
        image, mask, label = make_case(rng, kind)
        files = [os.path.join(work, f"case{number}_{kind}_{what}.nrrd") for what in ("image", "mask")]
        sitk.WriteImage(image, files[0], True)
        sitk.WriteImage(mask, files[1], True)
        cases.append((number, kind, files[0], files[1], label))
    with open(os.path.join(work, "batch.csv"), "w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["Image", "Mask", "Label"])
        writer.writerows([c[2], c[3], c[4]] for c in cases)
    command = [arguments.program] + ([] if arguments.bare else ["extract"])
    compared = differing = 0
    refused = kept = 0
    for name, parameters in PROFILES.items():
        if arguments.only and arguments.only != name:
            continue
        param = os.path.join(work, f"{name}.json")
        with open(param, "w") as out:
            json.dump(parameters, out)
        result = os.path.join(work, f"{name}.csv")
        if os.path.exists(result):
            os.remove(result)
        run = subprocess.run(command + [os.path.join(work, "batch.csv"), "--param", param, "--format", "csv", "--out", result], capture_output=True, text=True)
        if run.returncode not in (0, 1):
            print(f"{name}: the program ended with {run.returncode}: {run.stderr.strip()[:500]}")
            return 1
        with open(result, newline="") as table:
            rows = list(csv.DictReader(table))
        before = differing
        for (number, kind, image, mask, label), row in zip(cases, rows):
            expected, why = reference_values(parameters, image, mask, label)
            failed = not any(v for k, v in row.items() if k.startswith("original_"))
            if expected is None and not failed and any(text in why for text in BETTER):
                kept += 1
                continue
            if expected is None or failed:
                refused += 1
                if (expected is None) != failed:
                    differing += 1
                    print(f"{name} case {number} ({kind}): " + (f"the reference refuses it ({why[:160]}), we do not" if expected is None else "we refuse it: " + "; ".join(
                        line for line in run.stderr.splitlines() if f"case {number + 1}:" in line)))
                continue
            count, problems = compare(expected, row)
            compared += count
            differing += len(problems)
            for feature, text in problems[:6]:
                print(f"{name} case {number} ({kind}): {feature}: {text}")
            if len(problems) > 6:
                print(f"{name} case {number} ({kind}): and {len(problems) - 6} more")
        print(f"{name}: {len(cases)} cases, {differing - before} differences", flush=True)
    print(f"seed {arguments.seed}: {compared} values compared, {differing} differ, {refused} case runs refused by both, {kept} kept that the reference loses")
    return 0 if differing == 0 and compared > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
