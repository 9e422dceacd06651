#!/usr/bin/env python3
"""Read a folder of Choana's result objects with highdicom and compare every number with result.json.

    pip install highdicom==0.28.2 pydicom
    python3 tests/interop/read_results.py FOLDER [FOLDER ...]

FOLDER holds the .dcm files of one study and, if there is one, result.json (at most one level up). Each SR must parse as
TID 1500; every feature of result.json must stand once in the reports, with the same double; every mask must be readable;
predictions must agree. Exit 1 if anything differs.
"""

import json
import math
import pathlib
import sys

import highdicom as hd
import pydicom
from highdicom.sr import srread

FILTERS = {"FLT_SQUARE": "square", "FLT_SQRT": "squareroot", "FLT_LOGARITHM": "logarithm", "FLT_EXP": "exponential",
           "FLT_GRADIENT": "gradient", "FLT_LBP2D": "lbp-2D"}
CONTEXT = {"LOG_SIGMA", "WAV_LEVEL"}


def code(item):
    return item.ConceptNameCodeSequence[0].CodeValue


def children(item, value=None):
    return [child for child in item.get("ContentSequence", []) if value is None or child.get("ConceptNameCodeSequence") and code(child) == value]


def number(item):
    return float(item.MeasuredValueSequence[0].FloatingPointValue)


def image_prefix(group):
    """PyRadiomics' prefix of the image a group was measured on."""
    filters = children(group, "IMG_FILTER")
    if not filters:
        return "original"
    value = filters[0].ConceptCodeSequence[0].CodeValue
    if value == "FLT_LOG":
        sigma = f"{number(children(group, 'LOG_SIGMA')[0]):.1f}".replace(".", "-")
        return f"log-sigma-{sigma}-mm-3D"
    if value == "FLT_WAVELET":
        level = children(group, "WAV_LEVEL")
        digits = str(int(number(level[0]))) if level else ""
        return f"wavelet{digits}-" + children(group, "SUBBAND")[0].ConceptCodeSequence[0].CodeValue[3:]
    if value == "FLT_LBP3D":
        return "lbp-3D-" + children(group, "LBP_MAP")[0].ConceptCodeSequence[0].CodeValue[4:].lower()
    return FILTERS.get(value, value)


def feature_names():
    table = pathlib.Path(__file__).resolve().parents[2] / "conf" / "feature-codes.tsv"
    rows = [line.split("\t") for line in table.read_text().splitlines() if line and not line.startswith("#")]
    return {(row[1], row[2]): row[0] for row in rows[1:]}


class Study:
    def __init__(self, folder):
        self.folder = folder
        self.faults = []
        self.features = {}  # (series uid, region, name) -> number
        self.segments = {}  # sop instance uid -> {number: label}
        self.predictions = {}
        names = feature_names()
        for file in sorted(folder.glob("*.dcm")):
            dataset = pydicom.dcmread(file)
            if dataset.Modality == "SEG":
                self.read_segmentation(file)
        for file in sorted(folder.glob("*.dcm")):
            dataset = pydicom.dcmread(file)
            if dataset.Modality == "SR":
                self.read_report(file, dataset, names)
            elif dataset.Modality == "OT":
                if dataset.pixel_array.shape != (dataset.Rows, dataset.Columns, 3):
                    self.fault(f"{file.name}: pixels do not fill the page")

    def fault(self, text):
        self.faults.append(text)

    def read_segmentation(self, file):
        segmentation = hd.seg.segread(file)
        numbers = list(segmentation.segment_numbers)
        self.segments[segmentation.SOPInstanceUID] = {n: segmentation.get_segment_description(n).segment_label for n in numbers}
        sources = [uid for _, _, uid in segmentation.get_source_image_uids()]
        sources = list(dict.fromkeys(sources))
        if self.has_frames(segmentation):
            frames = sorted({int(f.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber) for f in segmentation.PerFrameFunctionalGroupsSequence})
            masks = segmentation.get_pixels_by_source_frame(sources[0], frames)
        else:
            masks = segmentation.get_pixels_by_source_instance(sources)
        for n in numbers:
            if not masks[..., n - 1].any():
                self.fault(f"{file.name}: segment {n} is empty")
        print(f"{file.name}: {len(numbers)} segments, {segmentation.NumberOfFrames} frames")

    @staticmethod
    def has_frames(segmentation):
        frame = segmentation.PerFrameFunctionalGroupsSequence[0]
        return "ReferencedFrameNumber" in frame.DerivationImageSequence[0].SourceImageSequence[0]

    def read_report(self, file, dataset, names):
        content = srread(file).content
        if not isinstance(content, hd.sr.MeasurementReport):
            self.fault(f"{file.name}: not recognised as TID 1500")
            return
        volumetric = content.get_volumetric_roi_measurement_groups()
        images = content.get_image_measurement_groups()
        planar = content.get_planar_roi_measurement_groups()
        total = 0
        for group in volumetric:
            total += len(group.get_measurements())
        print(f"{file.name}: {len(volumetric)} volumetric, {len(images)} image and {len(planar)} planar groups, {total} measurements")
        for container in children(dataset, "126010"):
            for group in children(container, "125007"):
                template = group.ContentTemplateSequence[0].TemplateIdentifier
                if template == "1411":
                    self.read_features(file, group, names)
                if template == "1501":
                    self.read_prediction(group)

    def read_features(self, file, group, names):
        reference = children(group, "121191")[0].ReferencedSOPSequence[0]
        segment = int(reference.ReferencedSegmentNumber)
        labels = self.segments.get(reference.ReferencedSOPInstanceUID)
        tracking = children(group, "112039")[0].TextValue
        label = labels[segment] if labels else tracking.split(",")[0]
        series = children(group, "121232")[0].UID
        role = children(group, "SEQ_ROLE")[0].ConceptCodeSequence[0].CodeValue
        prefix = image_prefix(group)
        for item in group.ContentSequence:
            if item.ValueType != "NUM" or code(item) in CONTEXT:
                continue
            name = item.ConceptNameCodeSequence[0]
            key = names.get((name.CodeValue, name.CodingSchemeDesignator))
            if key is None:
                self.fault(f"{file.name}: {name.CodeValue} is not in the table")
                continue
            value = number(item)
            decimal = float(item.MeasuredValueSequence[0].NumericValue)
            if not math.isclose(decimal, value, rel_tol=1e-8):
                self.fault(f"{file.name}: {key}: {decimal} in NumericValue, {value} in FloatingPointValue")
            full = (series, role, label, f"{prefix}_{key}")
            if full in self.features:
                self.fault(f"{file.name}: {full} stands twice")
            self.features[full] = value

    def read_prediction(self, group):
        for item in group.ContentSequence:
            if item.ValueType == "NUM" and code(item).startswith(("PROB_", "VAL_")):
                self.predictions[children(group, "112039")[0].TextValue] = number(item)

    def compare(self, result):
        if result["outcome"] == "reported":
            expected = sorted((f["roi"], f["name"], f["value"]) for f in result["features"])
            found = sorted((region, name, value) for (_, _, region, name), value in self.features.items())
            if expected != found:
                missing = [e for e in expected if e not in set(found)]
                extra = [f for f in found if f not in set(expected)]
                self.fault(f"result.json has {len(expected)} features, the reports {len(found)}; missing {missing[:3]}, not in result.json {extra[:3]}")
            for prediction in result["predictions"]:
                value = self.predictions.get("Prediction: " + prediction["output"])
                if value != prediction["value"]:
                    self.fault(f"prediction {prediction['output']}: {prediction['value']} in result.json, {value} in the SR")
        for entry in result["objects"]:
            if not (self.folder / pathlib.Path(entry["file"]).name).exists():
                self.fault(f"{entry['file']} is missing")


def main(folders):
    faults = 0
    for folder in map(pathlib.Path, folders):
        study = Study(folder)
        for candidate in (folder / "result.json", folder.parent / "result.json"):
            if candidate.exists():
                study.compare(json.loads(candidate.read_text()))
                break
        for text in study.faults:
            print("differs:", text)
        print(f"{folder}: {len(study.features)} features, {len(study.predictions)} predictions, {len(study.faults)} differences")
        faults += len(study.faults)
    return 1 if faults else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
