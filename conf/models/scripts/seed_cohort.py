"""The synthetic cohort that the six demonstration packages are trained on: who is in it, its DICOM, and its features.

Patients are drawn here; `choana-fixtures` paints their studies; `choana run` measures them, with packages that hold
nothing but image preparation and extraction parameters, so that a training table is what the node will compute. Nothing
comes from a patient. Studies and tables are kept in a working folder and made once.

The biology is one number, `response` of the generator: at 0 a tumour is heterogeneous, necrotic and lobulated, at 1 even
and compact. With tumour volume and a few clinical values it moves every outcome; the rest of an outcome is chance.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import shutil
import subprocess

import numpy as np

import choana_package as package

PROFILES = pathlib.Path(__file__).resolve().parents[2] / "profiles"
SITES = ("a", "b", "c")
SITE_HEADERS = {"a": ("SYNTHETIC", "Choana phantom", 3.0), "b": ("SYNTHETIC", "Choana phantom B", 1.5), "c": ("SYNTHETIC", "Choana phantom C", 3.0)}
TRAINING, TEST, TWICE = 100, 50, 16  # patients; so many of the first are drawn by a second reader too


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def patients():
    """150 patients, the first 100 for training, all sites in both. Seeded."""
    rng = np.random.default_rng(20261121)
    rows = []
    for n in range(TRAINING + TEST):
        site = SITES[int(rng.choice(3, p=[0.4, 0.3, 0.3]))]
        # Sites differ in case mix, as hospitals do: ComBat must not take that for a scanner effect.
        response = float(rng.beta(1.3, 1.3) if site != "b" else rng.beta(1.2, 1.6))
        volume = float(np.clip(np.exp(rng.normal(np.log(24), 0.55)), 6, 85))
        seed = 1001 + n
        age = int(np.clip(round(rng.normal(54, 10)), 24, 80))
        n_stage = int(rng.choice(4, p=[0.1, 0.3, 0.35, 0.25]))
        t4a = int(rng.random() < sigmoid(1.6 * np.log(volume / 30)))
        stage_iva = int(t4a or n_stage == 3)
        inflamed = rng.normal(0, 1) - 1.2 * (response - 0.5)
        neutrophils = float(np.exp(rng.normal(np.log(4.1), 0.25) + 0.15 * inflamed))
        lymphocytes = float(np.exp(rng.normal(np.log(1.6), 0.25) - 0.12 * inflamed))
        platelets = float(np.exp(rng.normal(np.log(245), 0.2) + 0.08 * inflamed))
        row = {"id": f"SYN-{seed}", "seed": seed, "site": site, "response": response, "volume_ml": volume, "age": age, "sex": 0 if seed % 2 == 0 else 1,
               "n_stage": n_stage, "t4a": t4a, "stage_iva": stage_iva, "wbc": neutrophils + lymphocytes + float(rng.uniform(0.3, 0.8)), "neutrophils": neutrophils,
               "lymphocytes": lymphocytes, "sii": platelets * neutrophils / lymphocytes, "gtvnx_dose": float(rng.normal(70.4, 1.0))}
        row = {k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()}
        r, v, stage, inflammation = row["response"] - 0.5, np.log(row["volume_ml"] / 24), row["n_stage"] - 2, np.log(row["sii"] / 630)
        row["s1_response"] = int(rng.random() < sigmoid(0.9 + 7.5 * r - 0.5 * v - 0.45 * stage - 0.15 * (row["wbc"] - 6.2)))
        hazard = 0.012 * np.exp(-3.2 * r + 0.4 * v + 0.03 * (age - 54) + 0.35 * stage)
        death, censored = 1.0 * (rng.exponential() / hazard) ** (1 / 1.15) if hazard > 0 else 1e9, rng.uniform(14, 72)
        row["time_months"] = round(float(max(0.5, min(death, censored))), 2)
        row["died"] = int(death <= censored)
        row["s2_response"] = int(rng.random() < sigmoid(0.8 + 8.5 * r - 0.7 * v))
        row["s3_residual"] = int(rng.random() < sigmoid(-0.7 - 7.5 * r + 0.5 * v + 0.5 * t4a + 0.4 * stage_iva + 0.8 * inflammation - 0.25 * (row["gtvnx_dose"] - 70.4)))
        row["s4_recurrence"] = int(rng.random() < sigmoid(-0.6 - 8.0 * r + 0.6 * v + 0.3 * stage))
        row["s5_response"] = int(rng.random() < sigmoid(0.4 + 8.5 * r - 0.9 * v))
        rows.append(row)
    return rows


class Cohort:
    def __init__(self, bin_folder, work, jobs=2, count=TRAINING + TEST):
        self.bin, self.work, self.jobs = pathlib.Path(bin_folder), pathlib.Path(work), jobs
        self.people = patients()[:count]
        self.work.mkdir(parents=True, exist_ok=True)
        (self.work / "settings.toml").write_text("[report]\ncharts = false\n")

    # -- DICOM --

    def study(self, person, reader=0, moved=False):
        folder = self.work / "studies" / f"{person['id']}{'-moved' if moved else ''}-{reader}"
        if folder.with_suffix(".json").exists():
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(exist_ok=True)
        sequences = "t2,t1c,t1cfs" if moved else "t1,t2,t1c,dwi,adc"
        subprocess.run([self.bin / "choana-fixtures", folder, "--seed", str(person["seed"]), "--tumour-ml", repr(person["volume_ml"]), "--response", repr(person["response"]),
                        "--site", person["site"], "--age", str(person["age"]), "--patient-id", person["id"], "--sequences", sequences, "--reader", str(reader),
                        *(["--motion-mm", "2"] if moved else []), "--manifest", folder.with_suffix(".json")], check=True, stdout=subprocess.DEVNULL)
        return folder

    # -- what the node measures --

    def measuring_package(self, name, roles, extraction, preprocessing="", extra="", of=None):
        """A package that only measures: image preparation and extraction as the package to come will have them."""
        folder = self.work / "measure" / name
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "extraction").mkdir(parents=True)
        first = f"{(of or roles)[0]}.primary.original_firstorder_Mean"
        known = [(first, (of or roles)[0], "primary", "radiomic", "original_firstorder_Mean", "1")]
        for role in roles:
            (folder / "extraction" / f"{role.lower()}.yaml").write_text(extraction)
        (folder / "manifest.yaml").write_text(
            f"format: choana-model/1\nid: measure-{name}\nversion: 0.0.1\ntitle: measures\nstatus: demonstration\nintended_use: measures features for training\n"
            "inputs:\n  sequences:\n" + "".join(f"    {r}: {{required: true, modality: MR}}\n" for r in roles) +
            f"  rois:\n    primary: {{required: true, of: [{', '.join(of or roles)}], names: [GTVp]}}\n" +
            (f"preprocessing:\n{preprocessing}" if preprocessing else "") + extra +
            "extraction: {" + ", ".join(f"{r}: extraction/{r.lower()}.yaml" for r in roles) + "}\nfeatures: features.csv\nstages:\n"
            f"  - {{id: nothing, type: linear, file: model/nothing.ir.json, in: [{first}]}}\noutputs:\n  - {{from: nothing, name: nothing, endpoint: NOTHING, unit: \"1\", primary: true}}\n"
            "uncertainty: {quantile_guard: [0.01, 0.99], max_flagged: 1}\nmissing: {habitat: pass, deep: pass, radiomic: pass}\nselftest: {file: selftest.csv}\nintegrity: {sums: SHA256SUMS}\n")
        package.write_csv(folder / "features.csv", package.FEATURE_HEADER, [[n + 1, *f, 0.0, 1.0, -1e300, 1e300] for n, f in enumerate(known)])
        package.write_json(folder / "model" / "nothing.ir.json", {"ir": 1, "kind": "linear", "features": [first], "coef": [0.0], "intercept": [0.0], "link": "identity"})
        package.write_csv(folder / "selftest.csv", ["case", *[f[0] for f in known], "nothing", "nothing.margin"], [[f"r{n}", *[float(n)] * len(known), 0.0, 0.0] for n in range(20)])
        (folder / "MODEL_CARD.md").write_text("Measures.\n")
        package.write_sums(folder)
        return folder

    def measured(self, measuring, person, reader=0, moved=False):
        """Features by id (role.roi.name), with `not computed` left out; habitats by role; seconds by step."""
        digest = hashlib.sha256((measuring / "SHA256SUMS").read_bytes()).hexdigest()[:12]
        kept = self.work / "tables" / f"{measuring.name}-{digest}" / f"{person['id']}-{reader}{'m' if moved else ''}.json"
        if kept.exists():
            return json.loads(kept.read_text())
        kept.parent.mkdir(parents=True, exist_ok=True)
        out = self.work / "runs" / f"{measuring.name}-{person['id']}-{reader}{'m' if moved else ''}"
        shutil.rmtree(out, ignore_errors=True)
        done = subprocess.run([self.bin / "choana", "run", self.study(person, reader, moved), "--out", out, "--package", measuring, "--settings", self.work / "settings.toml",
                               "--threads", "1"], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{measuring.name}, {person['id']}: {done.stdout}{done.stderr}")
        result = json.loads((out / "1" / "result.json").read_text())
        found = {"features": {}, "habitats": result["habitats"], "seconds": {}}
        for row in result["features"]:
            role = row["profile"].split("/")[-1] if "/" in row.get("profile", "") else row["role"]
            # Regions carry the names of the delineation: "GTVp", "GTVp habitat 2".
            roi = "primary" if row["roi"] == "GTVp" else row["roi"].removeprefix("GTVp ").replace(" ", "")
            found["features"][f"{role}.{roi}.{row['name']}"] = row["value"]
        for step in result["steps"]:
            found["seconds"][step["name"]] = found["seconds"].get(step["name"], 0) + step["seconds"]
        shutil.rmtree(out)
        temporary = kept.with_suffix(".part")
        temporary.write_text(json.dumps(found))
        os.replace(temporary, kept)
        return found

    def table(self, measuring, people=None, reader=0, moved=False, names=None):
        """(feature ids, rows x features) over people, NaN where something could not be computed."""
        people = self.people if people is None else people
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            found = list(pool.map(lambda p: self.measured(measuring, p, reader, moved), people))
        if names is None:
            names = sorted(set().union(*(f["features"] for f in found)))
        return names, np.array([[f["features"].get(n, np.nan) for n in names] for f in found], dtype=np.float64), found

    # -- deep features, by the libraries that the manifest's rules are named after --

    def deep(self, network, people, reader=0, role="T2", margin_mm=4.0):
        """Outputs of an ONNX network on the slice where the region is largest, cut to the region and a margin, 1st to 99th percentile of the slice to 0..255, resized by
        Pillow, run by ONNX Runtime: the independent way to what the manifest's `deep` block says (the node's values differ by float32 rounding)."""
        import onnxruntime
        kept = self.work / "tables" / f"deep-{hashlib.sha256(network).hexdigest()[:12]}-{role}-{reader}.json"
        found = json.loads(kept.read_text()) if kept.exists() else {}
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        for person in people:
            if person["id"] not in found:
                found[person["id"]] = session.run(None, {"input": deep_input(self.study(person, reader), role, margin_mm)})[0][0].astype(float).tolist()
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(found))
        return np.array([found[p["id"]] for p in people])


def deep_input(study, role, margin_mm):
    """(1, 3, 224, 224), float32."""
    import pydicom
    from PIL import Image
    slices = sorted((pydicom.dcmread(f) for f in (study / role).glob("*.dcm")), key=lambda d: float(d.ImagePositionPatient[2]))
    volume = np.stack([d.pixel_array for d in slices]).astype(np.float32)
    spacing, origin = [float(s) for s in slices[0].PixelSpacing], [float(v) for v in slices[0].ImagePositionPatient]
    structures = pydicom.dcmread(next((study / "RS").glob("*.dcm")))
    number = next(r.ROINumber for r in structures.StructureSetROISequence if r.ROIName == "GTVp")
    contours = next(r.ContourSequence for r in structures.ROIContourSequence if r.ReferencedROINumber == number)
    mask = np.zeros(volume.shape, dtype=bool)
    heights = np.array([float(d.ImagePositionPatient[2]) for d in slices])
    for contour in contours:
        points = np.array([float(v) for v in contour.ContourData]).reshape(-1, 3)
        x, y = (points[:, 0] - origin[0]) / spacing[1], (points[:, 1] - origin[1]) / spacing[0]
        mask[int(np.argmin(np.abs(heights - points[0, 2])))] ^= inside(x, y, volume.shape[1:])
    k = int(np.argmax(mask.sum(axis=(1, 2))))
    rows, columns = np.flatnonzero(mask[k].any(axis=1)), np.flatnonzero(mask[k].any(axis=0))
    high, wide = int(np.floor(margin_mm / spacing[0] + 0.5)), int(np.floor(margin_mm / spacing[1] + 0.5))
    top, bottom = max(0, rows[0] - high), min(mask.shape[1], rows[-1] + 1 + high)
    left, right = max(0, columns[0] - wide), min(mask.shape[2], columns[-1] + 1 + wide)
    low, top_grey = np.percentile(volume[k].astype(np.float64), [1, 99])
    grey = np.floor(np.clip((volume[k][top:bottom, left:right].astype(np.float64) - low) / (top_grey - low), 0, 1) * 255 + 0.5).astype(np.uint8)
    pixels = np.asarray(Image.fromarray(grey).resize((224, 224), Image.Resampling.BILINEAR), dtype=np.float32) / np.float32(255)
    mean, sd = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
    return np.stack([(pixels - m) / s for m, s in zip(mean, sd)])[None].astype(np.float32)


def inside(x, y, shape):
    """Pixels whose centre lies within the polygon (even and odd crossings)."""
    out = np.zeros(shape, dtype=bool)
    for j in range(max(0, int(np.floor(y.min()))), min(shape[0], int(np.ceil(y.max())) + 1)):
        y2, x2 = np.roll(y, -1), np.roll(x, -1)
        cuts = (y > j) != (y2 > j)
        with np.errstate(all="ignore"):
            at = np.sort(x[cuts] + (j - y[cuts]) / (y2[cuts] - y[cuts]) * (x2[cuts] - x[cuts]))
        for a, b in zip(at[::2], at[1::2]):
            out[j, max(0, int(np.ceil(a))):max(0, int(np.floor(b)) + 1)] = True
    return out
