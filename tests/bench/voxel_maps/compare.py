#!/usr/bin/env python3
"""CPU seconds of voxel maps, ours and PyRadiomics 3.0.1's, on a region of 16 x 16 x 16 voxels, kernelRadius 1, 93 features. Prints; asserts nothing.

    python compare.py --program build/bench/bin/voxel_maps_bench --work DIR [--levels 32 64]
"""
import argparse
import logging
import os
import subprocess
import time
import warnings

import numpy as np
import radiomics
import SimpleITK as sitk
from radiomics import featureextractor

logging.disable(logging.CRITICAL)
np.seterr(all="ignore")
warnings.simplefilter("ignore")
radiomics.setVerbosity(60)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--program", required=True)
    options.add_argument("--work", required=True)
    options.add_argument("--levels", type=int, nargs="+", default=[16, 32])
    args = options.parse_args()
    os.makedirs(args.work, exist_ok=True)
    rng = np.random.default_rng(1)
    n = 24
    z, y, x = np.mgrid[:n, :n, :n]
    image = sitk.GetImageFromArray((400 + 120 * np.sin(x / 3) * np.cos(y / 4) + 60 * np.sin(z / 2) + 40 * rng.standard_normal((n, n, n))).astype(np.int16))
    inside = np.zeros((n, n, n), np.uint8)
    inside[4:20, 4:20, 4:20] = 1
    image_path, mask_path = os.path.join(args.work, "image.nrrd"), os.path.join(args.work, "mask.nrrd")
    sitk.WriteImage(image, image_path)
    sitk.WriteImage(sitk.GetImageFromArray(inside), mask_path)
    for levels in args.levels:
        parameters = os.path.join(args.work, f"levels{levels}.yaml")
        with open(parameters, "w") as out:
            out.write(f"setting: {{binCount: {levels}, additionalInfo: false}}\nimageType: {{Original: {{}}}}\n")
        done = subprocess.run([args.program, image_path, mask_path, parameters, "1", "7"], capture_output=True, text=True, check=True)
        ours = float(done.stdout.split("cpu_s ")[1].split()[0])
        extractor = featureextractor.RadiomicsFeatureExtractor(parameters)
        start = time.process_time()
        extractor.execute(image_path, mask_path, voxelBased=True)
        theirs = time.process_time() - start
        print(f"{levels} levels: Choana {ours:.4f} s, PyRadiomics {theirs:.2f} s, ratio {theirs / ours:.0f}", flush=True)


if __name__ == "__main__":
    main()
