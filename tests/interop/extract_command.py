#!/usr/bin/env python3
"""`pyradiomics` and `choana extract` side by side on one batch table: the same options, columns, rows and values.

Run it with the Python of an environment that has PyRadiomics 3.0.1, whose `pyradiomics` command is beside that Python:

    python extract_command.py --program build/release/bin/choana [--work DIR]

Segment mode in csv, txt and json with several options, the files of --out-dir, rows that fail; then voxel mode, map by map. Texts must be equal, numbers agree
within the tolerances of pyradiomics_compare.py. Differences that are meant (diagnostics_Versions_*, null for NaN in JSON, exit status 1 when a row failed) are
listed here and nowhere else. Exit 0 when everything agrees.
"""
import argparse
import csv
import glob
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import SimpleITK as sitk

from pyradiomics_compare import LOOSE, make_case

KINDS = ("blob", "two_parts", "label_3", "one_slice", "border", "sparse")
problems = []


def differ(what, text):
    problems.append(what)
    print(f"{what}: {text}")


def same_number(name, want, got):
    relative, absolute, _ = LOOSE.get(name.split("_", 1)[-1], (1e-6, 1e-9, ""))
    if np.isnan(want) or np.isnan(got):
        return np.isnan(want) and np.isnan(got)
    return abs(want - got) <= max(absolute, relative * abs(want))


def numbers(text):
    try:
        return [float(v) for v in str(text).strip("()[]").split(",")]
    except ValueError:
        return None


def compare_cell(where, name, want, got):
    if name.startswith("diagnostics_Versions") or want == got:
        return
    a, b = numbers(want), numbers(got)
    if a is None or b is None or len(a) != len(b) or not all(same_number(name, x, y) for x, y in zip(a, b)):
        differ(f"{where} {name}", f"{got!r} for {want!r}")


def compare_csv(where, theirs, ours):
    a, b = list(csv.reader(theirs.splitlines())), list(csv.reader(ours.splitlines()))
    if a[0] != b[0]:
        differ(where, f"columns differ: {[c for c in a[0] if c not in b[0]][:5]} missing, {[c for c in b[0] if c not in a[0]][:5]} more, or another order")
        return
    if len(a) != len(b):
        differ(where, f"{len(b) - 1} rows for {len(a) - 1}")
    for row, (x, y) in enumerate(zip(a[1:], b[1:])):
        for name, want, got in zip(a[0], x, y):
            compare_cell(f"{where} row {row + 1}", name, want, got)


def compare_txt(where, theirs, ours):
    a, b = theirs.splitlines(), ours.splitlines()
    if [line.split(": ")[0] for line in a] != [line.split(": ")[0] for line in b]:
        differ(where, "names of lines differ")
        return
    for x, y in zip(a, b):
        name = x.split(": ")[0].split("_", 1)[1]
        compare_cell(where, name, x.split(": ", 1)[1], y.split(": ", 1)[1])


def compare_json(where, theirs, ours):
    a, b = json.loads(theirs), json.loads(ours)
    if [list(row) for row in a] != [list(row) for row in b]:
        differ(where, "names differ")
        return
    for row, (x, y) in enumerate(zip(a, b)):
        for name in x:
            want, got = x[name], float("nan") if y[name] is None and isinstance(x[name], float) else y[name]
            compare_cell(f"{where} row {row + 1}", name, want, got)
    layout = [[line.split(":")[0] for line in text.splitlines() if '": [' in line or line.strip() in ("{", "},", "}", "[", "]")] for text in (theirs, ours)]
    if layout[0] != layout[1]:
        differ(where, "the layout differs")


def run(command, folder):
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def write_cases(work):
    rng = np.random.default_rng(20260704)
    rows = []
    for number, kind in enumerate(KINDS):
        image, mask, label = make_case(rng, kind)
        names = [f"case {number} {what}.nrrd" for what in ("image", "mask")]
        for item, name in zip((image, mask), names):
            sitk.WriteImage(item, os.path.join(work, name), True)
        rows.append({"Patient": f'P{number}, "{kind}"', "Image": names[0], "Mask": os.path.join(work, names[1]) if number == 1 else names[1],
                     "Label": str(label) if label != 1 or number % 2 else "1", "Note": "é" if number == 2 else ""})
    rows.insert(2, {"Patient": "gone", "Image": "gone.nrrd", "Mask": rows[0]["Mask"], "Label": "1", "Note": "no image"})
    rows.append({"Patient": "absent", "Image": rows[0]["Image"], "Mask": rows[0]["Mask"], "Label": "9", "Note": "no such label"})
    with open(os.path.join(work, "batch.csv"), "w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, ["Patient", "Image", "Mask", "Label", "Note"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


PARAMETERS = {
    "resampled.yaml": "setting: {binWidth: 10, resampledPixelSpacing: [1.5, 1.5, 2], interpolator: sitkBSpline}\nimageType: {Original: {}}\n"
                      "featureClass: {shape: , firstorder: , glcm: [Contrast, Idn, Correlation], glszm: }\n",
    "wavelet.yaml": "setting: {binCount: 16}\nimageType: {Original: {}, LoG: {sigma: [2.0, 3]}, Wavelet: {}}\nfeatureClass: {firstorder: [Mean, Entropy], glcm: [Contrast]}\n",
    "voxel.yaml": "setting: {binWidth: 25, distances: [1]}\nimageType: {Original: {}}\nfeatureClass: {firstorder: [Mean, Entropy, Range], glcm: [Contrast, JointEnergy], shape: }\n"
                  "voxelSetting: {kernelRadius: 1, maskedKernel: true, initValue: 0}\n",
}
SEGMENT = [
    ["-f", "csv"],
    ["-f", "csv", "--format-path", "relative", "--skip-nans", "-p", "resampled.yaml"],
    ["-f", "json", "--format-path", "basename"],
    ["-f", "txt", "--setting", "binWidth:12.5", "-s", "distances:1,2", "-up"],
    ["-f", "txt", "--label", "3", "--jobs", "2"],
    ["-f", "csv", "-p", "wavelet.yaml", "-j", "2"],
    ["-f", "json", "-p", "resampled.yaml", "-s", "binWidth:5", "-s", "label:1", "-s", "correctMask:true"],
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--work", default="")
    arguments = parser.parse_args()
    work = os.path.realpath(arguments.work or tempfile.mkdtemp(prefix="choana-interop-extract-"))
    os.makedirs(work, exist_ok=True)
    write_cases(work)
    for name, text in PARAMETERS.items():
        with open(os.path.join(work, name), "w") as out:
            out.write(text)
    pyradiomics = [os.path.join(os.path.dirname(sys.executable), "pyradiomics")]
    choana = [os.path.realpath(arguments.program), "extract"]
    compared = 0
    for options in SEGMENT:
        where = " ".join(options)
        outputs = []
        for side, command in (("theirs", pyradiomics), ("ours", choana)):
            out = os.path.join(work, f"{side}.out")
            if os.path.exists(out):
                os.remove(out)
            done = run(command + ["batch.csv", "-o", out] + options, work)
            if done.returncode != (1 if side == "ours" else 0):
                differ(where, f"{side}: exit status {done.returncode}: {done.stderr[-400:]}")
            with open(out, encoding="utf-8", newline="") as file:
                outputs.append(file.read())
        {"csv": compare_csv, "txt": compare_txt, "json": compare_json}[options[1]](where, *outputs)
        compared += 1
        print(f"segment {where}: {len(outputs[0].splitlines())} lines", flush=True)
    for side, command in (("theirs", pyradiomics), ("ours", choana)):
        run(command + ["batch.csv", "-od", f"{side}-dir", "-f", "csv"], work)
    for file in sorted(glob.glob(os.path.join(work, "ours-dir", "features_*.csv"))):
        other = os.path.join(work, "theirs-dir", os.path.basename(file))
        compare_csv(os.path.basename(file), *[open(f, encoding="utf-8", newline="").read() for f in (other, file)])
        compared += 1
    first = sitk.ReadImage(os.path.join(work, "case 0 mask.nrrd"))
    sitk.WriteImage(sitk.Compose(sitk.Cast(first == 1, sitk.sitkUInt8), sitk.Cast(sitk.BinaryDilate(first == 1), sitk.sitkUInt8)), os.path.join(work, "channels.nrrd"))
    with open(os.path.join(work, "channels.csv"), "w") as out:
        out.write("Image,Mask,Label,Label_channel\n" + "".join(f"case 0 image.nrrd,channels.nrrd,1,{n}\n" for n in (0, 1)))
    compare_csv("Label_channel", *[run(command + ["channels.csv", "-f", "csv"], work).stdout for command in (pyradiomics, choana)])
    single = ["case 0 image.nrrd", "case 0 mask.nrrd"]
    outputs = [run(command + single, work).stdout for command in (pyradiomics, choana)]
    compare_txt("one case on standard output", *outputs)

    # Voxel mode: the table names a map for each feature; the maps must be equal on equal grids.
    tables = []
    for side, command in (("theirs", pyradiomics), ("ours", choana)):
        done = run(command + single + ["--mode", "voxel", "-p", "voxel.yaml", "-od", f"{side}-maps", "-f", "csv"], work)
        if done.returncode != 0:
            differ("voxel", f"{side}: exit status {done.returncode}: {done.stderr[-400:]}")
        tables.append(list(csv.reader(done.stdout.splitlines())))
    if len(tables[1]) == 2:
        if tables[0][0] != tables[1][0]:
            differ("voxel", "columns differ")
        for name, want, got in zip(tables[0][0], tables[0][1], tables[1][1]):
            if not want.endswith(".nrrd") or name in ("Image", "Mask"):
                compare_cell("voxel", name, want, got)
                continue
            if want.replace("theirs-maps", "ours-maps") != got:
                differ(f"voxel {name}", f"{got} for {want}")
                continue
            a, b = sitk.ReadImage(os.path.join(work, want)), sitk.ReadImage(os.path.join(work, got))
            x, y = sitk.GetArrayFromImage(a), sitk.GetArrayFromImage(b)
            if a.GetSize() != b.GetSize() or not np.allclose(a.GetOrigin(), b.GetOrigin()) or not np.allclose(a.GetSpacing(), b.GetSpacing()) or not np.allclose(a.GetDirection(), b.GetDirection()):
                differ(f"voxel {name}", "another grid")
            elif not np.allclose(x, y, rtol=1e-6, atol=1e-9, equal_nan=True):
                differ(f"voxel {name}", f"values differ by up to {np.nanmax(np.abs(x - y))}")
            compared += 1
    print(f"{compared} tables and maps compared, {len(problems)} differences")
    return 0 if not problems and compared > 10 else 1


if __name__ == "__main__":
    sys.exit(main())
