"""PyRadiomics in process, images loaded: prints CPU s, wall s, peak MB, features (least of the repeats).

pyradiomics_side.py IMAGE MASK PROFILE REPEATS
"""
import resource
import sys
import time

import radiomics
import SimpleITK as sitk
from radiomics import featureextractor

radiomics.setVerbosity(60)
image, mask = sitk.ReadImage(sys.argv[1]), sitk.ReadImage(sys.argv[2])
extractor = featureextractor.RadiomicsFeatureExtractor(sys.argv[3])
cpu = wall = 1e9
for _ in range(int(sys.argv[4])):
    cpu_start, wall_start = time.process_time(), time.perf_counter()
    result = extractor.execute(image, mask)
    wall = min(wall, time.perf_counter() - wall_start)
    cpu = min(cpu, time.process_time() - cpu_start)
features = sum(not name.startswith("diagnostics") for name in result)
print(f"{cpu:.4f} {wall:.4f} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} {features}")
