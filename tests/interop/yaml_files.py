"""Parameter files for pyradiomics_compare.py: what PyRadiomics' schema knows, the profiles that come with Choana, and files that are good or bad in a particular way."""
import glob
import os
import subprocess

import pykwalify.core
from radiomics import featureextractor, getParameterValidationFiles
from ruamel import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def schema_settings():
    """Names of all settings of PyRadiomics' parameter schema."""
    with open(getParameterValidationFiles()[0]) as text:
        schema = yaml.YAML(typ="safe", pure=True).load(text)
    return set(schema["mapping"]["setting"]["mapping"]) | set(schema["mapping"]["voxelSetting"]["mapping"])


def shipped_profiles():
    """The profiles of conf/profiles that are plain PyRadiomics parameter files."""
    found = {}
    for path in sorted(glob.glob(os.path.join(ROOT, "conf", "profiles", "seed-*.yaml"))):
        found[os.path.splitext(os.path.basename(path))[0]] = path
    return found


# Text of a file, and "" or why we refuse early what the reference refuses at each case (radiomics.md 9, item 21).
READ = [
    ("{}", ""),
    ("setting: {}", ""),
    ("setting:", ""),
    ("imageType:", ""),
    ("featureClass:", ""),
    ("imageType: {Original: }", ""),
    ("imageType: {Original: {}}", ""),
    ("featureClass: {firstorder: }", ""),
    ("featureClass: {firstorder: []}", ""),
    ("featureClass: {firstorder: Mean}", ""),
    ("featureClass: {firstorder: [Mean, Nonsense]}", ""),
    ("featureClass: {nonsense: }", ""),
    ("nonsense: {}", ""),
    ("imageType: {Nonsense: {}}", ""),
    ("setting: {nonsense: 1}", ""),
    ("setting: {normalize: yes}", ""),
    ("setting: {normalize: on}", ""),
    ("setting: {normalize: True}", ""),
    ("setting: {normalize: 1}", ""),
    ("setting: {normalize: null}", ""),
    ("setting: {padDistance: 5.0}", ""),
    ("setting: {padDistance: 0}", ""),
    ("setting: {padDistance: -1}", ""),
    ("setting: {padDistance: 0o7}", ""),
    ("setting: {padDistance: 0x7}", ""),
    ("setting: {padDistance: 07}", ""),
    ("setting: {binWidth: 0}", ""),
    ("setting: {binWidth: 1e1}", ""),
    ("setting: {binWidth: .5}", ""),
    ("setting: {binWidth: 5.}", ""),
    ("setting: {binWidth: +5}", ""),
    ("setting: {binWidth: 1_0}", "an underscore in a number: YAML 1.1, kept by one reader of YAML 1.2"),
    ("setting: {binWidth: five}", ""),
    ("setting: {binWidth: true}", ""),
    ("setting: {binWidth: [5]}", ""),
    ("setting: {binWidth: null}", "no width: every case fails"),
    ("setting: {binCount: null}", ""),
    ("setting: {binCount: 32.0}", ""),
    ('setting: {binWidth: "25"}', "a number in quotes: every case fails"),
    ("setting: {resampledPixelSpacing: [1, 1]}", "two spacings: every case fails"),
    ("setting: {resampledPixelSpacing: [1, 1, 1]}", ""),
    ("setting: {resampledPixelSpacing: [1, 1, -1]}", ""),
    ("setting: {resampledPixelSpacing: 1}", ""),
    ("setting: {interpolator: null}", ""),
    ("setting: {interpolator: 3}", ""),
    ("setting: {interpolator: 11}", ""),
    ("setting: {interpolator: sitkCubic}", ""),
    ("setting: {weightingNorm: null}", ""),
    ("setting: {weightingNorm: euclidian}", ""),
    ("setting: {resegmentMode: absolut}", ""),
    ("setting: {resegmentRange: [1]}", ""),
    ("setting: {resegmentRange: 1}", ""),
    ("setting: {distances: [0]}", ""),
    ("setting: {distances: [1, 2]}", ""),
    ("setting: {force2Ddimension: 3}", ""),
    ("setting: {label: 0}", ""),
    ("setting: {minimumROIDimensions: 4}", ""),
    ("setting: {sigma: [1, 2.5]}", ""),
    ("setting: {sigma: 1.0}", ""),
    ("setting: {sigma: [0]}", ""),
    ("setting: {sigma: []}", ""),
    ("imageType: {LoG: {sigma: [1.0]}}", ""),
    ("imageType: {LoG: {sigma: [one]}}", ""),
    ("imageType: {Wavelet: {wavelet: haar}}", ""),
    ("imageType: {Wavelet: {wavelet: Haar}}", ""),
    ("imageType: {Wavelet: {wavelet: db39}}", ""),
    ("imageType: {Wavelet: {wavelet: rbio6.8}}", ""),
    ("imageType: {Wavelet: {wavelet: coif17}}", ""),
    ("imageType: {Wavelet: {wavelet: mexh}}", "a continuous wavelet: every case fails"),
    ("imageType: {Wavelet: {level: 0}}", ""),
    ("imageType: {Wavelet: {start_level: -1}}", ""),
    ("imageType: {Wavelet: {binWidth: 10}}", ""),
    ("imageType: {Gradient: {gradientUseSpacing: false}}", ""),
    ("imageType: {Gradient: {gradientUseSpacing: no}}", ""),
    ("imageType: {LBP2D: {lbp2DMethod: uniform}}", ""),
    ("imageType: {LBP2D: {lbp2DMethod: nri_uniform}}", ""),
    ("imageType: {LBP2D: {lbp2DSamples: 0}}", ""),
    ("imageType: {LBP2D: {lbp2DSamples: 8.0}}", ""),
    ("imageType: {LBP2D: {lbp2DRadius: 0}}", ""),
    ("imageType: {LBP3D: {lbp3DLevels: 0}}", ""),
    ("imageType: {LBP3D: {lbp3DIcosphereSubdivision: 0}}", ""),
    ("imageType: {LBP3D: {lbp3DIcosphereRadius: -1}}", ""),
    ("voxelSetting: {kernelRadius: 2, maskedKernel: true, initValue: 0, voxelBatch: 10}", ""),
    ("voxelSetting: {kernelRadius: 0}", ""),
    ("voxelSetting: {maskedKernel: 1}", ""),
    ("voxelSetting: {initValue: nan}", ""),
    ("voxelSetting: {initValue: .nan}", ""),
    ("voxelSetting: {voxelBatch: 0}", ""),
    ("voxelSetting: {binWidth: 5}", ""),
    ("setting: {kernelRadius: 2}", ""),
    ("setting: {binWidth: 5, binWidth: 6}", ""),
    ("setting: [binWidth]", ""),
    ("[1, 2]", ""),
    ("setting: {a", ""),
    ("setting: {voxelArrayShift: 0.5}", ""),
    ("setting: {voxelArrayShift: -300}", ""),
    ("setting: {gldm_a: -1}", ""),
    ("setting: {geometryTolerance: 1e-3}", ""),
    ("setting: {removeOutliers: 0}", ""),
    ("%YAML 1.2\n---\nsetting: {binWidth: 5}\n", ""),
]


def accepted(file):
    try:
        featureextractor.RadiomicsFeatureExtractor(file)
        return True
    except Exception:  # noqa: BLE001 - schema, parser and type errors alike
        return False


def compare_reading(command, case, work):
    """Read every file of READ with both. Returns how many there are and how many are treated unlike."""
    unlike = 0
    pykwalify.core.log.disabled = True
    for number, (text, early) in enumerate(READ):
        file = os.path.join(work, f"reading{number}.yaml")
        with open(file, "w") as out:
            out.write(text)
        run = subprocess.run(command + [case[2], case[3], "--param", file, "--validate"], capture_output=True, text=True)
        ours = run.returncode == 0
        theirs = accepted(file)
        if ours != (theirs and not early):
            unlike += 1
            print(f"parameter file {text!r}: " + ("accepted here, refused by the reference" if ours else "refused here, accepted by the reference: " + run.stderr.strip()[:200]))
    return len(READ), unlike
