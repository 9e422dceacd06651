#!/usr/bin/env python3
"""Make the six demonstration packages demo-s1-response to demo-s5-response from nothing.

    python3 make_seed_packages.py --bin BUILD/bin --work FOLDER [--out conf/models] [--jobs 2] [NAME ...]

A package follows the protocol of one published system (conf/models/README.md says which) on the synthetic cohort of
seed_cohort.py. Studies and feature tables are kept in FOLDER and made once; everything is seeded, and the versions of
requirements.txt write the same bytes. Needs the programs choana and choana-fixtures of this tree in BUILD/bin.

No patient went into these models, and no published coefficient: none of the papers gives them completely.
"""

import argparse
import json
import pathlib
import sys
import tempfile
import warnings

import numpy as np
import sklearn
from sklearn.ensemble import AdaBoostClassifier, ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.svm import SVC

import choana_package as package
import seed_cohort
import seed_tools as tools

warnings.filterwarnings("ignore", category=FutureWarning)
warnings.filterwarnings("ignore", category=DeprecationWarning)
warnings.filterwarnings("ignore", message=".*convergence.*|.*nearly constant.*|.*catastrophic.*|.*did not converge.*|.*Early stopping the lars path.*|.*early stopping.*")

N4 = "  - {step: n4, shrink: [4, 4, 4]}\n"
RESCALE = "  - {step: rescale, from: [min, max], to: [0, 255]}\n"
ROI_NAMES = 'names: [GTVp, GTVnx, "GTV[-_ ]?p.*", "GTV[-_ ]?nx.*", GTV, primary, "tumou?r"]'
CLINICAL = {  # name: (type, unit, min, max, days that it may be old, or None)
    "age": ("number", "a", 0, 120, None), "n_stage": ("integer", "1", 0, 3, None), "wbc": ("number", "10*9/L", 0.1, 100, 90), "t4a": ("integer", "1", 0, 1, None),
    "stage_iva": ("integer", "1", 0, 1, None), "neutrophils": ("number", "10*9/L", 0, 100, 90), "lymphocytes": ("number", "10*9/L", 0, 100, 90), "sii": ("number", "10*9/L", 0, 20000, 90),
    "gtvnx_dose": ("number", "Gy", 0, 120, None)}
# Acquisition of the cohort's series, widened by a tenth (ms, mm); DWI counts its highest b-value.
ACQUISITION = {"T1": (550, 10), "T2": (4200, 95), "T1C": (560, 10), "T1C-FS": (620, 11), "DWI": (5500, 72), "ADC": (5500, 72)}


def acquisition(role):
    repetition, echo = ACQUISITION[role]
    grid = "slice_thickness_mm: [3, 6], slice_spacing_mm: [3, 6], pixel_spacing_mm: [0.4, 2]"
    return (f"acquisition: {{field_strength_t: [1.4, 3.1], repetition_time_ms: [{0.9 * repetition:g}, {1.1 * repetition:g}], echo_time_ms: [{0.9 * 0.94 * echo:.4g}, {1.1 * 1.08 * echo:.4g}], {grid}, "
            "manufacturer: [SYNTHETIC]}")


def sequences(required, optional=()):
    lines = "".join(f"    {r}: {{required: true, modality: MR{', contrast: true' if r.startswith('T1C') else ''}, {acquisition(r)}}}\n" for r in required)
    return "  sequences:\n" + lines + "".join(f"    {r}: {{required: false, modality: MR}}\n" for r in optional)


def clinical_inputs(names):
    def one(name):
        kind, unit, low, high, days = CLINICAL[name]
        return f"    {name}: {{type: {kind}, unit: \"{unit}\", min: {low}, max: {high}, required: true{f', max_age_days: {days}' if days else ''}}}\n"
    return "  clinical:\n" + "".join(one(n) for n in names)


def inputs(required, of, volumes, clinical=(), optional=(), site=False):
    low, high = np.quantile(volumes, [0.0, 1.0])
    return ("inputs:\n" + sequences(required, optional) + f"  rois:\n    primary: {{required: true, of: [{', '.join(of)}], {ROI_NAMES}, volume_ml: [{low:.3g}, {high:.3g}]}}\n" +
            (clinical_inputs(clinical) if clinical else "") +
            ("  site: {from: [Manufacturer, ManufacturerModelName, MagneticFieldStrength], required: true}\n" if site else ""))


def heading(identity, title, outcome, definition, positive, timing):
    return (f"format: choana-model/1\nid: {identity}\nversion: 1.0.0\ntitle: {title} (synthetic demonstration)\nstatus: demonstration\nintended_use:\n  statement: {tools.STATEMENT}\n"
            f"  population: synthetic studies of dicom-fixtures\n  timing: {timing}\n  not_for: [patients]\n  outcome: {{name: {outcome}, definition: \"{definition}\", positive: {positive}}}\n")


def tail(publication, trained, n, events, tolerance="{stages: 1.0e-12}", robustness=False, missing="{radiomic: refuse}", distance=True, flagged=2):
    return ("calibration: {method: none, evidence: performance.json}\n"
            f"missing: {missing}\nuncertainty: {{quantile_guard: [0.01, 0.99], max_flagged: {flagged}, beyond: flag{', distance: {file: distance.json, beyond: flag}' if distance else ''}}}\n" +
            ("robustness: {count: 12, seed: 1, translation_mm: 0.5, rotation_deg: 2, boundary_mm: 0.5, coverage: 0.95, moved_sd: 0.5}\n" if robustness else "") +
            f"performance: performance.json\nselftest: {{file: selftest.csv, tolerance: {tolerance}}}\nprovenance:\n  publication: \"{publication}\"\n"
            f"  training_data: \"synthetic cohort of seed_cohort.py, {n} patients, {events} events, three sites\"\n  trained_with: {{{trained}}}\nintegrity: {{sums: SHA256SUMS}}\n")


TIME_UNIT = ", time_unit: month"


def versions(*more):
    return ", ".join(f'{name}: "{version}"' for name, version in (("scikit-learn", sklearn.__version__), ("numpy", np.__version__), *more))


def made_with(*more):
    return "Made by `conf/models/scripts/make_seed_packages.py` with " + ", ".join(f"{n} {v}" for n, v in (("scikit-learn", sklearn.__version__), ("numpy", np.__version__), *more)) + "."


class Data:
    """What one package is trained on: candidate features of all patients that pass the readers' agreement, outcome, sites, clinical values."""

    def __init__(self, cohort, measuring, outcome, moved=False, agreement=0.75, pick=None, sizes=(seed_cohort.TRAINING, seed_cohort.TEST, seed_cohort.TWICE)):
        training, test, twice = sizes
        people = cohort.people[:training + test]
        names, x, self.found = cohort.table(measuring, people, moved=moved)
        _, again, _ = cohort.table(measuring, people[:twice], reader=1, moved=moved, names=names)
        keep = tools.usable(np.vstack([x, again]))
        if pick is not None:
            keep = np.array([n for n in keep if pick(names[n])])
        reliable = tools.icc(x[:twice][:, keep], again[:, keep])
        self.measured = len(keep)
        self.agreement = {names[n]: float(r) for n, r in zip(keep, reliable)}
        keep = keep[reliable >= agreement]
        self.ids, self.x = [names[n] for n in keep], x[:, keep]
        self.y = np.array([p[outcome] for p in people])
        self.sites = np.array([p["site"] for p in people])
        self.people = people
        self.train, self.test = np.arange(training), np.arange(training, len(people))

    def clinical(self, *names):
        return np.array([[float(p[n]) for n in names] for p in self.people])

    def volumes(self):
        return [p["volume_ml"] for p in self.people]

    def column(self, identity):
        return self.x[:, self.ids.index(identity)]


def standard(x):
    mean, sd = package.mean_and_sd(x)
    return mean, sd, (x - mean) / sd


def held_out_rows(table, test, count=22):
    return [("held-out", table[n]) for n in test[:count]]


def missing_rows(table, row, columns, width):
    """A missing value: no prediction."""
    rows = []
    for n in columns:
        cells = [float(v) for v in table[row]]
        cells[n] = None
        rows.append([f"missing-{n + 1}", *cells, *[None] * width])
    return rows


# ---------------------------------------------------------------------------------------------------------------------
# S5, Qiu: five sequences offered, T1C, DWI and ADC used; extra trees on 27 features, then a logistic model

def make_s5(cohort, folder):
    profile = (seed_cohort.PROFILES / "seed-5-qiu.yaml").read_text()
    roles = ["T1C", "DWI", "ADC"]
    data = Data(cohort, cohort.measuring_package("s5", roles, profile), "s5_response")
    volume_id = "T1C.primary.original_shape_VoxelVolume"
    volume, clinical = data.column(volume_id), data.clinical("n_stage")

    def fit(rows, final=False):
        x, y = data.x[rows], data.y[rows]
        mean, sd, z = standard(x)
        p = np.asarray(tools.stats.ttest_ind(z[y == 1], z[y == 0], equal_var=False).pvalue)
        kept = tools.uncorrelated(z, [c for c in np.argsort(p, kind="stable") if p[c] < 0.05 and data.ids[c] != volume_id], 0.9)
        penalty, chosen, _, used = tools.lasso(z[:, kept], y, 27, final)
        columns = np.array(kept)[chosen]
        forest = ExtraTreesClassifier(n_estimators=120, max_depth=4, min_samples_leaf=4, random_state=5, n_jobs=1)
        inner = cross_val_predict(forest, z[:, columns], y, cv=StratifiedKFold(5, shuffle=True, random_state=6), method="predict_proba")[:, 1]
        forest.fit(z[:, columns], y)
        v_mean, v_sd = package.mean_and_sd(volume[rows][:, None])
        combined = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000)
        combined.fit(np.column_stack([inner, (volume[rows] - v_mean[0]) / v_sd[0], clinical[rows, 0]]), y)
        fitted = {"columns": columns, "mean": mean[columns], "sd": sd[columns], "forest": forest, "v": (v_mean, v_sd), "combined": combined, "penalty": penalty, "used": used,
                  "t": int((p < 0.05).sum()), "kept": len(kept)}
        return fitted

    def stages(f, raw):
        """raw: 27 features, volume, N stage -> scaled, signature, scaled volume, probability, margin."""
        z = (raw[:, :-2] - f["mean"]) / f["sd"]
        signature = f["forest"].predict_proba(z)[:, 1]
        v = (raw[:, -2:-1] - f["v"][0]) / f["v"][1]
        final = np.column_stack([signature, v, raw[:, -1]])
        return z, signature, v, f["combined"].predict_proba(final)[:, 1], f["combined"].decision_function(final)

    def raw_table(f):
        return np.column_stack([data.x[:, f["columns"]], volume, clinical[:, 0]])

    def predictor(rows):
        f = fit(rows)
        return lambda others: stages(f, raw_table(f)[others])[3]

    f = fit(data.train, final=True)
    table = raw_table(f)
    ids = [data.ids[c] for c in f["columns"]]
    every = [*ids, volume_id, "clinical.n_stage"]
    y_train, y_test = data.y[data.train], data.y[data.test]
    out_of_fold = tools.cross_validated(predictor, data.train, y_train)
    cut = tools.youden(y_train, out_of_fold)
    cohorts = [tools.figures("5-fold cross-validation of every step", y_train, out_of_fold, cut), tools.figures("held-out test set", y_test, stages(f, table[data.test])[3], cut)]

    rows = held_out_rows(table, data.test)
    trees = [(int(e.tree_.feature[0]), e.tree_.threshold[0]) for e in f["forest"].estimators_[::10] if e.tree_.feature[0] >= 0]
    rows += [("threshold", r) for r in tools.thresholds(trees, table[data.test[0]], lambda c, v: v * f["sd"][c] + f["mean"][c])]
    numbers = np.array([r for _, r in rows])
    z, signature, v, p, m = stages(f, numbers)
    header = ["case", *every, *[f"scaled.{i}" for i in ids], "signature", "signature.margin", f"volume.{volume_id}", "combined", "combined.margin"]
    body = [[f"{kind}-{n + 1}", *numbers[n], *z[n], signature[n], signature[n], *v[n], p[n], m[n]] for n, (kind, _) in enumerate(rows)]
    body += missing_rows(table, data.test[1], (0, 27, 28), len(header) - 1 - len(every))

    results = {"summary": tools.summary(cohorts), "synthetic": True, "cohorts": cohorts, "selection": {
        "measured": data.measured, "agreement_of_readers": len(data.ids), "t_test": f["t"], "correlation_0.9": f["kept"], "lasso_features": len(ids), "lasso_penalty_of_cross_validation": f["penalty"],
        "lasso_penalty_used": f["used"]}}
    features = [tools.feature(i) for i in every]
    manifest = heading("demo-s5-response", "Complete response 1 to 3 months after chemoradiotherapy", "complete response",
                       "drawn at random with a probability that depends on texture and volume of a synthetic tumour", "complete response", "MRI before treatment") + \
        inputs(roles, roles, data.volumes(), ["n_stage"], optional=["T1", "T2"]) + \
        f"preprocessing:\n  - {{step: resample, spacing_mm: [1, 1, 1], interpolator: bspline}}\nextraction: {{T1C: extraction/t1c.yaml, DWI: extraction/dwi.yaml, ADC: extraction/adc.yaml}}\nfeatures: features.csv\nstages:\n" \
        f"  - {{id: scaled, type: standard, params: {{from: features.csv}}, in: {tools.flow(ids)}}}\n" \
        "  - {id: signature, type: tree_ensemble, file: model/signature.ir.json, in: scaled, link: identity}\n" \
        f"  - {{id: volume, type: standard, params: {{from: features.csv}}, in: [{volume_id}]}}\n" \
        "  - {id: combined, type: linear, file: model/combined.ir.json, in: [signature.margin, volume, clinical.n_stage], link: logistic}\n" \
        "outputs:\n  - {from: combined, name: Complete response, endpoint: CR, unit: \"%\", decimals: 1, primary: true}\n  - {from: signature, name: Rad-Signature, endpoint: RADSIG, unit: \"1\", decimals: 3}\n" \
        "explain:\n  combined: {method: linear, space: margin}\n  signature: {method: tree_path_dependent, space: margin}\n" \
        f"thresholds:\n  - {{on: combined, value: {cut:.17g}, label: complete response more likely, otherwise: complete response less likely, risk: low, otherwise_risk: high, source: \"Youden index, cross-validation\"}}\n" + \
        tail("Qiu et al., Sci Prog 2025;108(2): its protocol, not its numbers", versions(), len(data.train), int(y_train.sum()), robustness=True)
    _, _, z_train = standard(data.x[data.train][:, f["columns"]])
    tools.Package(folder, data.agreement).write(
        manifest, features, table[data.train], {r: profile for r in roles},
        {"signature.ir.json": tools.export.ir(f["forest"], ids), "combined.ir.json": tools.export.ir(f["combined"], ["signature.margin", volume_id, "clinical.n_stage"])},
        (header, body), results, tools.card("Complete response 1 to 3 months after chemoradiotherapy (synthetic demonstration)", f"""\
        Follows the protocol of Qiu et al., Science Progress 2025: 1,834 features of a sequence, T1 and T2 offered and not used; T1C, DWI and ADC fused; z-scores; Welch t test
        (p < 0.05); correlation above 0.9 dropped; LASSO of ten folds; {len(ids)} features; extra trees give the Rad-Signature; a logistic model adds volume and a clinical value.

        - Training: {len(data.train)} synthetic patients of three sites; {data.measured} features, {len(data.ids)} after the agreement of two simulated readers (ICC(2,1) >= 0.75; the paper used kappa).
        - LASSO: cross-validation likes the penalty {f['penalty']:.4f}; the path was followed to {f['used']:.4f}, where it holds {len(ids)} features.
        - Volume: that of the region on T1C. The paper's nodal lengths and volumes are left out: nodes of the generator do not differ. Clinical: N stage.
        - Performance: {results["summary"]}. Not calibrated further.
        - Limits: everything. What lies outside the training ranges (features, volume, acquisition, distance from the training set) is flagged.
        """, made_with()), {"distance.json": tools.distance_document("scaled", ids, z_train)})
    return results["summary"]


# ---------------------------------------------------------------------------------------------------------------------
# S1, Sun: T1, T2 and T1C, ComBat, mean normalisation; CatBoost on 6 features, a logistic model; AdaBoost on 8 features, a Cox model

S1_ROLES = ["T1", "T2", "T1C"]


def s1_measuring(cohort):
    return cohort.measuring_package("s1", S1_ROLES, (seed_cohort.PROFILES / "seed-1-sun.yaml").read_text(), N4 + RESCALE)


def s1_selection(data, rows, y, count, among):
    """ComBat, mean normalisation, correlation > 0.99 dropped, ANOVA p < 0.05; of those the `count` of highest F that are not correlated by more than `among`."""
    combat = tools.Combat(data.x[rows], data.sites[rows])
    x = combat(data.x[rows], data.sites[rows])
    scaled = (x - x.mean(axis=0)) / (x.max(axis=0) - x.min(axis=0))
    f, p = tools.f_values(scaled, y)
    order = np.argsort(-f, kind="stable")
    kept = tools.uncorrelated(scaled, order, 0.99)
    significant = [c for c in kept if p[c] < 0.05]
    columns = np.array(tools.uncorrelated(scaled, significant, among)[:count])
    chosen = x[:, columns]  # the figures of features.csv, to the last bit
    return {"combat": combat, "columns": columns, "mean": package.mean_and_sd(chosen)[0], "range": chosen.max(axis=0) - chosen.min(axis=0), "kept": len(kept), "anova": len(significant)}


def s1_scaled(data, f, raw, sites):
    harmonised = f["combat"](raw, sites, f["columns"])
    return harmonised, (harmonised - f["mean"]) / f["range"]


S1_STAGES = ("  - {id: harmonised, type: combat, params: harmonisation.json, in: radiomic, unknown_site: refuse}\n"
             "  - {id: scaled, type: mean_range, params: {from: features.csv}, in: harmonised}\n")
S1_EXTRACTION = "extraction: {T1: extraction/t1.yaml, T2: extraction/t2.yaml, T1C: extraction/t1c.yaml}\nfeatures: features.csv\nstages:\n"
S1_PREPROCESSING = "preprocessing:\n" + N4 + RESCALE + "  - {step: resample, spacing_mm: [1, 1, 1], interpolator: bspline, mask_interpolator: nearest}\n"


def catboost_document(model):
    """The library's own JSON, without the moment and the identity of its making: equal runs give equal bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.json"
        model.save_model(str(path), format="json")
        document = json.loads(path.read_text())
    for key in ("train_finish_time", "model_guid", "training"):
        document.get("model_info", {}).pop(key, None)
    return document


def make_s1_response(cohort, folder):
    import catboost
    data = Data(cohort, s1_measuring(cohort), "s1_response")
    clinical = data.clinical("n_stage", "wbc")

    def fit(rows):
        y = data.y[rows]
        f = s1_selection(data, rows, y, 6, 0.85)
        _, scaled = s1_scaled(data, f, data.x[np.ix_(rows, f["columns"])], data.sites[rows])
        make = lambda: catboost.CatBoostClassifier(iterations=70, depth=3, learning_rate=0.06, l2_leaf_reg=5, random_seed=11, thread_count=1, verbose=False, allow_writing_files=False)
        inner = np.empty(len(rows))
        for train, test in StratifiedKFold(5, shuffle=True, random_state=12).split(scaled, y):
            inner[test] = make().fit(scaled[train], y[train]).predict(scaled[test], prediction_type="RawFormulaVal")
        f["boosted"] = make().fit(scaled, y)
        f["combined"] = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(np.column_stack([clinical[rows], inner]), y)
        return f

    def stages(f, raw, sites):
        harmonised, scaled = s1_scaled(data, f, raw[:, :-2], sites)
        margin = f["boosted"].predict(scaled, prediction_type="RawFormulaVal")
        final = np.column_stack([raw[:, -2:], margin])
        return harmonised, scaled, 1 / (1 + np.exp(-margin)), margin, f["combined"].predict_proba(final)[:, 1], f["combined"].decision_function(final)

    raw_table = lambda f: np.column_stack([data.x[:, f["columns"]], clinical])

    def predictor(rows):
        f = fit(rows)
        return lambda others: stages(f, raw_table(f)[others], data.sites[others])[4]

    f = fit(data.train)
    table = raw_table(f)
    ids = [data.ids[c] for c in f["columns"]]
    every = [*ids, "clinical.n_stage", "clinical.wbc"]
    y_train, y_test = data.y[data.train], data.y[data.test]
    out_of_fold = tools.cross_validated(predictor, data.train, y_train)
    cut = tools.youden(y_train, out_of_fold)
    cohorts = [tools.figures("5-fold cross-validation of every step", y_train, out_of_fold, cut), tools.figures("held-out test set", y_test, stages(f, table[data.test], data.sites[data.test])[4], cut)]

    document = catboost_document(f["boosted"])
    first = data.test[0]
    rows = [("held-out", table[n], data.sites[n]) for n in data.test[:22]]
    splits = [(t["splits"][-1]["float_feature_index"], t["splits"][-1]["border"]) for t in document["oblivious_trees"][::8] if t.get("splits")]
    to_raw = lambda c, v: float(f["combat"].raw(v * f["range"][c] + f["mean"][c], data.sites[first], f["columns"][c]))
    rows += [("threshold", r, data.sites[first]) for r in tools.thresholds(splits, table[first], to_raw)]
    numbers, sites = np.array([r for _, r, _ in rows]), [s for _, _, s in rows]
    h, z, p_rad, m_rad, p, m = stages(f, numbers, sites)
    header = ["case", "site", *every, *[f"harmonised.{i}" for i in ids], *[f"scaled.{i}" for i in ids], "radscore", "radscore.margin", "combined", "combined.margin"]
    body = [[f"{rows[n][0]}-{n + 1}", sites[n], *numbers[n], *h[n], *z[n], p_rad[n], m_rad[n], p[n], m[n]] for n in range(len(rows))]
    body += [[r[0], data.sites[data.test[1]], *r[1:]] for r in missing_rows(table, data.test[1], (0, 5, 6, 7), len(header) - 2 - len(every))]

    results = {"summary": tools.summary(cohorts), "synthetic": True, "cohorts": cohorts, "selection": {
        "measured": data.measured, "agreement_of_readers": len(data.ids), "correlation_0.99": f["kept"], "anova": f["anova"], "used": len(ids)}}
    manifest = heading("demo-s1-response", "Response to a PD-1 inhibitor with chemoradiotherapy", "responder",
                       "drawn at random with a probability that depends on texture, volume, N stage and white cells of a synthetic patient", "responder", "MRI before the first dose") + \
        inputs(S1_ROLES, S1_ROLES, data.volumes(), ["n_stage", "wbc"], site=True) + S1_PREPROCESSING + S1_EXTRACTION + S1_STAGES + \
        "  - {id: radscore, type: tree_ensemble, format: catboost, file: model/catboost.json, in: scaled, link: logistic}\n" \
        "  - {id: combined, type: linear, file: model/combined.ir.json, in: [clinical.n_stage, clinical.wbc, radscore.margin], link: logistic}\n" \
        "outputs:\n  - {from: combined, name: Response, endpoint: RESPONSE, unit: \"%\", decimals: 1, primary: true}\n  - {from: radscore, name: Radscore, endpoint: RADSCORE, unit: \"1\", decimals: 3}\n" \
        "explain:\n  combined: {method: linear, space: margin}\n  radscore: {method: tree_path_dependent, space: margin}\n" \
        f"thresholds:\n  - {{on: combined, value: {cut:.17g}, label: response more likely, otherwise: response less likely, risk: low, otherwise_risk: high, source: \"Youden index, cross-validation\"}}\n" + \
        tail("Sun et al., Research 2025;8:0749: its protocol, not its numbers", versions(("catboost", catboost.__version__), ("neuroCombat", "0.2.12")), len(data.train), int(y_train.sum()))
    h_train, z_train = s1_scaled(data, f, data.x[np.ix_(data.train, f["columns"])], data.sites[data.train])
    profile = (seed_cohort.PROFILES / "seed-1-sun.yaml").read_text()
    tools.Package(folder, data.agreement).write(
        manifest, [tools.feature(i, CLINICAL[i[9:]][1] if i.startswith("clinical.") else "1") for i in every], np.column_stack([h_train, clinical[data.train]]), {r: profile for r in S1_ROLES},
        {"catboost.json": document, "combined.ir.json": tools.export.ir(f["combined"], ["clinical.n_stage", "clinical.wbc", "radscore.margin"])}, (header, body), results,
        tools.card("Response to a PD-1 inhibitor (synthetic demonstration)", f"""\
        Follows the protocol of Sun et al., Research 2025: N4, grey values 0 to 255, 1 mm, 25 bins; 1,130 features of T1, T2 and contrast-enhanced T1; ComBat over three sites; mean normalisation;
        correlation above 0.99 dropped; ANOVA; CatBoost on six features gives the Radscore; a logistic model adds N stage and white cells (it takes the Radscore's log-odds).

        - Training: {len(data.train)} synthetic patients of three sites; {data.measured} features, {len(data.ids)} after the agreement of two simulated readers (ICC(2,1) >= 0.75), {f['kept']} after
          correlation, {f['anova']} after ANOVA (p < 0.05). Of these the six of highest F that are correlated by no more than 0.85: the paper names its six and not how they were taken.
        - An image of a scanner that was not in training is refused: its effect is not known.
        - Performance: {results["summary"]}. Not calibrated further.
        - Limits: everything. What lies outside the training ranges (features, volume, acquisition, distance from the training set) is flagged.
        """, made_with(("catboost", catboost.__version__), ("neuroCombat", "0.2.12"))),
        {"harmonisation.json": f["combat"].document(ids, f["columns"], seed_cohort.SITE_HEADERS), "distance.json": tools.distance_document("scaled", ids, z_train)}, extra_columns=True)
    return results["summary"]


def log_rank(time, event, group):
    """Chi-square of two groups."""
    seen, expected, variance = 0.0, 0.0, 0.0
    for t in np.unique(time[event == 1]):
        at_risk, dead = time >= t, (time == t) & (event == 1)
        n, n1, d = at_risk.sum(), (at_risk & group).sum(), dead.sum()
        seen += (dead & group).sum()
        expected += d * n1 / n
        if n > 1:
            variance += d * (n1 / n) * (1 - n1 / n) * (n - d) / (n - 1)
    return (seen - expected) ** 2 / variance if variance > 0 else 0.0


def best_cut(score, time, event, share=0.2):
    """The cut of the largest log-rank statistic with at least that share on either side (maxstat without its p)."""
    cuts = [c for c in np.unique(score)[1:] if share <= (score >= c).mean() <= 1 - share]
    return max(cuts, key=lambda c: log_rank(time, event, score >= c))


def make_s1_survival(cohort, folder):
    import imblearn
    import lifelines
    import pandas as pd
    from imblearn.over_sampling import SMOTE
    from lifelines.utils import concordance_index
    data = Data(cohort, s1_measuring(cohort), "died")
    clinical = data.clinical("age", "n_stage")
    time, event = np.array([p["time_months"] for p in data.people]), data.y

    def boost(z, y):
        z, y = SMOTE(random_state=21, k_neighbors=5).fit_resample(z, y)
        return AdaBoostClassifier(n_estimators=40, learning_rate=0.5, random_state=22).fit(z, y)

    def fit(rows):
        y = data.y[rows]
        f = s1_selection(data, rows, y, 8, 0.85)
        _, scaled = s1_scaled(data, f, data.x[np.ix_(rows, f["columns"])], data.sites[rows])
        inner = np.empty(len(rows))
        for train, test in StratifiedKFold(5, shuffle=True, random_state=23).split(scaled, y):
            inner[test] = boost(scaled[train], y[train]).predict_proba(scaled[test])[:, 1]
        f["boosted"] = boost(scaled, y)
        table = pd.DataFrame({"age": clinical[rows, 0], "n_stage": clinical[rows, 1], "radscore": inner, "time": time[rows], "event": event[rows]})
        cox = lifelines.CoxPHFitter().fit(table, "time", "event")
        centre = table[["age", "n_stage", "radscore"]].mean().to_numpy()
        hazard = cox.baseline_cumulative_hazard_["baseline cumulative hazard"]
        steps = hazard[hazard.diff().fillna(hazard.iloc[0]) > 0]
        f.update(coef=cox.params_[["age", "n_stage", "radscore"]].to_numpy(), centre=centre, at=steps.index.to_numpy(dtype=float), hazard=steps.to_numpy(dtype=float), inner=inner,
                 cut=float(best_cut(inner, time[rows], event[rows])))
        return f

    def stages(f, raw, sites):
        harmonised, scaled = s1_scaled(data, f, raw[:, :-2], sites)
        score = f["boosted"].predict_proba(scaled)[:, 1]
        log_hazard = (np.column_stack([raw[:, -2:], score]) - f["centre"]) @ f["coef"]
        return harmonised, scaled, score, np.log(score) - np.log1p(-score), log_hazard

    raw_table = lambda f: np.column_stack([data.x[:, f["columns"]], clinical])
    f = fit(data.train)
    table = raw_table(f)
    ids = [data.ids[c] for c in f["columns"]]
    every = [*ids, "clinical.age", "clinical.n_stage"]
    concordance = {}
    out_of_fold = np.empty(len(data.train))
    for train, test in StratifiedKFold(5, shuffle=True, random_state=24).split(data.train, event[data.train]):
        g = fit(data.train[train])
        out_of_fold[test] = stages(g, raw_table(g)[data.train[test]], data.sites[data.train[test]])[4]
    held_out = stages(f, table[data.test], data.sites[data.test])
    for name, rows, risk in (("5-fold cross-validation of every step", data.train, out_of_fold), ("held-out test set", data.test, held_out[4])):
        rng, values = np.random.default_rng(25), []
        for _ in range(1000):
            pick = rng.integers(0, len(rows), len(rows))
            if event[rows[pick]].sum() > 1:
                values.append(concordance_index(time[rows[pick]], -risk[pick], event[rows[pick]]))
        concordance[name] = {"name": name, "n": int(len(rows)), "events": int(event[rows].sum()), "c_index": float(concordance_index(time[rows], -risk, event[rows])),
                             "c_index_ci": [float(q) for q in np.quantile(values, [0.025, 0.975])], "c_index_ci_method": "percentile bootstrap, 1000 resamples"}
    high = held_out[2] >= f["cut"]
    line = "synthetic patients, C-index " + ", ".join(f"{c['c_index']:.2f} ({c['c_index_ci'][0]:.2f} to {c['c_index_ci'][1]:.2f}) {where} (n = {c['n']})" for where, c in zip(("cross-validated", "held out"), concordance.values()))
    results = {"summary": line, "synthetic": True, "cohorts": list(concordance.values()), "cut_off": f["cut"],
               "log_rank_of_groups_in_test": {"chi_square": float(log_rank(time[data.test], event[data.test], high)), "high": int(high.sum()), "low": int((~high).sum())},
               "selection": {"measured": data.measured, "agreement_of_readers": len(data.ids), "correlation_0.99": f["kept"], "anova": f["anova"], "used": len(ids)}}

    first = data.test[0]
    rows = [("held-out", table[n], data.sites[n]) for n in data.test[:22]]
    splits = [(int(e.tree_.feature[0]), e.tree_.threshold[0]) for e in f["boosted"].estimators_[::5] if e.tree_.feature[0] >= 0]
    to_raw = lambda c, v: float(f["combat"].raw(v * f["range"][c] + f["mean"][c], data.sites[first], f["columns"][c]))
    rows += [("threshold", r, data.sites[first]) for r in tools.thresholds(splits, table[first], to_raw)]
    numbers, sites = np.array([r for _, r, _ in rows]), [s for _, _, s in rows]
    h, z, p, m, risk = stages(f, numbers, sites)
    header = ["case", "site", *every, *[f"harmonised.{i}" for i in ids], *[f"scaled.{i}" for i in ids], "radscore", "radscore.margin", "survival", "survival.margin"]
    body = [[f"{rows[n][0]}-{n + 1}", sites[n], *numbers[n], *h[n], *z[n], p[n], m[n], risk[n], risk[n]] for n in range(len(rows))]
    body += [[r[0], data.sites[data.test[1]], *r[1:]] for r in missing_rows(table, data.test[1], (0, 8, 9), len(header) - 2 - len(every))]

    cox = {"ir": 1, "kind": "cox", "features": ["clinical.age", "clinical.n_stage", "radscore"], "coef": f["coef"].tolist(), "centre": f["centre"].tolist(), "ties": "efron",
           "baseline": {"at": "centre", "time": f["at"].tolist(), "cumulative_hazard": f["hazard"].tolist()}}
    years = "".join(f"  - {{from: survival, name: Survival at {n} year{'s' if n > 1 else ''}, endpoint: OS{n}Y, unit: \"%\", decimals: 1, horizon: {12 * n}{TIME_UNIT}}}\n" for n in (1, 2, 3))
    manifest = heading("demo-s1-survival", "Overall survival after a PD-1 inhibitor with chemoradiotherapy", "death",
                       "drawn at random with a hazard that depends on texture, volume, N stage and age of a synthetic patient", "death", "MRI before the first dose") + \
        inputs(S1_ROLES, S1_ROLES, data.volumes(), ["age", "n_stage"], site=True) + S1_PREPROCESSING + S1_EXTRACTION + S1_STAGES + \
        "  - {id: radscore, type: tree_ensemble, file: model/radscore.ir.json, in: scaled, link: logistic}\n" \
        "  - {id: survival, type: cox, file: model/cox.ir.json, in: [clinical.age, clinical.n_stage, radscore]}\n" \
        "outputs:\n  - {from: radscore, name: OS-Radscore, endpoint: OSRADSCORE, unit: \"1\", decimals: 3, primary: true}\n" + years + \
        f"explain:\n  radscore: {{method: tree_path_dependent, space: margin}}\n  survival: {{method: linear, space: margin, mean: {{radscore: {f['inner'].mean():.17g}}}}}\n" \
        f"thresholds:\n  - {{on: radscore, value: {f['cut']:.17g}, label: high risk of death, otherwise: low risk of death, risk: high, otherwise_risk: low, source: \"largest log-rank statistic, training (paper 0.55)\"}}\n" + \
        tail("Sun et al., Research 2025;8:0749: its protocol, not its numbers", versions(("imbalanced-learn", imblearn.__version__), ("lifelines", lifelines.__version__), ("neuroCombat", "0.2.12")),
             len(data.train), int(event[data.train].sum()))
    h_train, z_train = s1_scaled(data, f, data.x[np.ix_(data.train, f["columns"])], data.sites[data.train])
    profile = (seed_cohort.PROFILES / "seed-1-sun.yaml").read_text()
    tools.Package(folder, data.agreement).write(
        manifest, [tools.feature(i, CLINICAL[i[9:]][1] if i.startswith("clinical.") else "1") for i in every], np.column_stack([h_train, clinical[data.train]]), {r: profile for r in S1_ROLES},
        {"radscore.ir.json": tools.export.ir(f["boosted"], ids), "cox.ir.json": cox}, (header, body), results,
        tools.card("Overall survival after a PD-1 inhibitor (synthetic demonstration)", f"""\
        Follows the protocol of Sun et al., Research 2025: preparation, features, ComBat and scaling as in demo-s1-response; death in follow-up balanced by SMOTE within the training rows; AdaBoost of
        {len(f['boosted'].estimators_)} stumps on eight features gives the OS-Radscore; a Cox model adds age and N stage; survival at 1, 2 and 3 years; two risk groups.

        - Training: {len(data.train)} synthetic patients of three sites, {int(event[data.train].sum())} deaths; the Cox model saw OS-Radscores of patients that AdaBoost had not been fitted on.
        - Cut-off of the OS-Radscore: {f['cut']:.3f}, the largest log-rank statistic in training (the paper's is 0.55). Its groups in the test set: chi-square {results['log_rank_of_groups_in_test']['chi_square']:.2f}.
        - An image of a scanner that was not in training is refused: its effect is not known.
        - Performance: {line}. Not calibrated further.
        - Limits: everything. What lies outside the training ranges (features, volume, acquisition, distance from the training set) is flagged.
        """, made_with(("imbalanced-learn", imblearn.__version__), ("lifelines", lifelines.__version__), ("neuroCombat", "0.2.12"))),
        {"harmonisation.json": f["combat"].document(ids, f["columns"], seed_cohort.SITE_HEADERS), "distance.json": tools.distance_document("scaled", ids, z_train)}, extra_columns=True)
    return line


# ---------------------------------------------------------------------------------------------------------------------
# S2, Zhuang: z-scores by stored cohort mean and sd, mRMR 100, LASSO 24, SVM

def make_s2(cohort, folder):
    roles = ["T1", "T2", "T1C"]
    profile = (seed_cohort.PROFILES / "seed-2-zhuang.yaml").read_text()
    voxels = cohort.measuring_package("s2-voxels", roles, "imageType:\n  Original: {}\nfeatureClass:\n  shape: [VoxelVolume]\n  firstorder: [Mean, Variance]\nsetting:\n  binWidth: 25\n", N4)
    wanted = [f"{r}.primary.original_{n}" for r in roles for n in ("shape_VoxelVolume", "firstorder_Mean", "firstorder_Variance")]
    _, v, _ = cohort.table(voxels, cohort.people[:seed_cohort.TRAINING], names=wanted)
    # Mean and standard deviation of all tumour voxels of the training patients, of images after N4; voxels are of one size within a sequence.
    constants = {}
    for n, role in enumerate(roles):
        weight, mean, variance = v[:, 3 * n] / v[:, 3 * n].sum(), v[:, 3 * n + 1], v[:, 3 * n + 2]
        centre = float((weight * mean).sum())
        constants[role] = (round(centre, 3), round(float(np.sqrt((weight * (variance + (mean - centre) ** 2)).sum())), 3))
    normalise = N4 + "".join(f"  - {{step: normalise, roles: [{r}], mean: {constants[r][0]}, sd: {constants[r][1]}}}\n" for r in roles)
    data = Data(cohort, cohort.measuring_package("s2", roles, profile, normalise), "s2_response", agreement=0.85)

    def fit(rows, final=False):
        x, y = data.x[rows], data.y[rows]
        mean, sd, z = standard(x)
        relevant = tools.mrmr(z, y, 100)
        penalty, chosen, _, used = tools.lasso(z[:, relevant], y, 24, final)
        columns = np.array(relevant)[chosen]
        # C and gamma by inner cross-validation; the paper's search was TPE with 100 iterations.
        best = (-1.0, 0.0, 0.0)
        for c in (0.25, 0.5, 1.0, 2.0, 4.0):
            for gamma in (0.25 / 24, 0.5 / 24, 1 / 24, 2 / 24):
                p = cross_val_predict(SVC(C=c, gamma=gamma), z[:, columns], y, cv=StratifiedKFold(5, shuffle=True, random_state=31), method="decision_function")
                best = max(best, (round(tools.roc_auc_score(y, p), 6), -c, gamma))
        model = SVC(C=-best[1], gamma=best[2], probability=True, random_state=32).fit(z[:, columns], y)
        return {"columns": columns, "mean": mean[columns], "sd": sd[columns], "model": model, "penalty": penalty, "used": used}

    def stages(f, raw):
        z = (raw - f["mean"]) / f["sd"]
        return z, f["model"].predict_proba(z)[:, 1], f["model"].decision_function(z)

    def predictor(rows):
        f = fit(rows)
        return lambda others: stages(f, data.x[np.ix_(others, f["columns"])])[1]

    f = fit(data.train, final=True)
    table = data.x[:, f["columns"]]
    ids = [data.ids[c] for c in f["columns"]]
    y_train, y_test = data.y[data.train], data.y[data.test]
    out_of_fold = tools.cross_validated(predictor, data.train, y_train)
    cut = tools.youden(y_train, out_of_fold)
    cohorts = [tools.figures("5-fold cross-validation of every step", y_train, out_of_fold, cut), tools.figures("held-out test set", y_test, stages(f, table[data.test])[1], cut)]
    # The patients nearest to the decision, and far from everything: a kernel that vanishes.
    numbers = np.array([*table[data.test], *table[data.train[np.argsort(np.abs(f["model"].decision_function((table[data.train] - f["mean"]) / f["sd"])))[:4]]], f["mean"], f["mean"] + 40 * f["sd"]])
    z, p, m = stages(f, numbers)
    kinds = ["held-out"] * len(data.test) + ["near-the-boundary"] * 4 + ["mean", "far-away"]
    header = ["case", *ids, *[f"scaled.{i}" for i in ids], "svm", "svm.margin"]
    body = [[f"{kind}-{n + 1}", *numbers[n], *z[n], p[n], m[n]] for n, kind in enumerate(kinds)] + missing_rows(table, data.test[1], (0, 23), len(ids) + 2)
    results = {"summary": tools.summary(cohorts), "synthetic": True, "cohorts": cohorts, "selection": {
        "measured": data.measured, "agreement_of_readers": len(data.ids), "mrmr": 100, "lasso_features": len(ids), "lasso_penalty_of_cross_validation": f["penalty"], "lasso_penalty_used": f["used"]},
        "normalisation": {r: {"mean": constants[r][0], "sd": constants[r][1]} for r in roles}}
    manifest = heading("demo-s2-response", "Complete response 6 months after treatment", "complete response",
                       "drawn at random with a probability that depends on texture and volume of a synthetic tumour", "complete response", "MRI before treatment") + \
        inputs(roles, roles, data.volumes()) + "preprocessing:\n" + normalise + \
        "extraction: {T1: extraction/t1.yaml, T2: extraction/t2.yaml, T1C: extraction/t1c.yaml}\nfeatures: features.csv\nstages:\n" \
        "  - {id: scaled, type: standard, params: {from: features.csv}, in: radiomic}\n" \
        "  - {id: svm, type: svm, file: model/svm.ir.json, in: scaled}\n" \
        "outputs:\n  - {from: svm, name: Complete response, endpoint: CR, unit: \"%\", decimals: 1, primary: true}\nbackground: background.csv\nexplain:\n  svm: {method: product_kernel, space: margin}\n" \
        f"thresholds:\n  - {{on: svm, value: {cut:.17g}, label: complete response more likely, otherwise: complete response less likely, risk: low, otherwise_risk: high, source: \"Youden index, cross-validation\"}}\n" + \
        tail("Zhuang et al., Front Med 2025;12:1654023: its protocol, not its numbers", versions(), len(data.train), int(y_train.sum()), tolerance="{stages: 1.0e-10}")
    _, _, z_train = standard(data.x[np.ix_(data.train, f["columns"])])
    tools.Package(folder, data.agreement).write(
        manifest, [tools.feature(i) for i in ids], table[data.train], {r: profile for r in roles}, {"svm.ir.json": tools.export.ir(f["model"], ids)}, (header, body), results,
        tools.card("Complete response 6 months after treatment (synthetic demonstration)", f"""\
        Follows the protocol of Zhuang et al., Frontiers in Medicine 2025: N4; z-scores with mean and standard deviation of all tumour voxels of the training cohort, one pair a sequence, kept in the
        manifest; 1,197 features of T1, T2 and contrast-enhanced T1 at 1 mm; ICC > 0.85; mRMR 100; LASSO of ten folds; {len(ids)} features; SVM with an RBF kernel, probabilities by libsvm's coupling.

        - Training: {len(data.train)} synthetic patients of three sites; {data.measured} features, {len(data.ids)} after the agreement of two simulated readers.
        - LASSO: cross-validation likes the penalty {f['penalty']:.4f}; the path was followed to {f['used']:.4f}, where it holds {len(ids)} features. SVM: C {f['model'].C:g}, gamma {f['model'].gamma:.4g}.
        - background.csv holds 40 rows of the synthetic training set; Shapley values are exact for this kernel.
        - Performance: {results["summary"]}. Not calibrated further.
        - Limits: everything. What lies outside the training ranges (features, volume, acquisition, distance from the training set) is flagged.
        """, made_with()), {"distance.json": tools.distance_document("scaled", ids, z_train)}, background=table[data.train[:40]])
    return results["summary"]


# ---------------------------------------------------------------------------------------------------------------------
# S3, Wu: habitats of three series, a Rad-score each, SVM with six clinical values

S3_ROLES = ["T2", "T1C", "T1C-FS"]
S3_HABITATS = """\
habitats:
  - {name: habitat, on: T2, of: primary, features: [T2], k: bic, k_max: 2, order: {by: T2, direction: ascending}, seed: 1}
  - {name: habitat, on: T1C, of: primary, features: [T1C], k: bic, k_max: 2, order: {by: T1C, direction: ascending}, seed: 1}
  - {name: habitat, on: T1C-FS, of: primary, features: [T1C-FS], k: bic, k_max: 4, order: {by: T1C-FS, direction: ascending}, seed: 1}
"""
S3_REGISTER = "  - {step: register, to: T2, roles: [T1C, T1C-FS]}\n"
S3_SCORES = (("radscore_fs", "T1C-FS.habitat2.", 12), ("radscore_ce", "T1C.habitat1.", 13), ("radscore_t2", "T2.habitat2.", 8))
S3_SIZES = (45, 15, 10)  # registration takes ten times what all else takes
S3_CLINICAL = ["t4a", "stage_iva", "neutrophils", "lymphocytes", "sii", "gtvnx_dose"]


def make_s3(cohort, folder):
    profile = (seed_cohort.PROFILES / "seed-3-wu.yaml").read_text()
    prefixes = tuple(prefix for _, prefix, _ in S3_SCORES)
    data = Data(cohort, cohort.measuring_package("s3", S3_ROLES, profile, N4 + RESCALE + S3_REGISTER, S3_HABITATS), "s3_residual", moved=True, pick=lambda i: i.startswith(prefixes), sizes=S3_SIZES)
    clinical = data.clinical(*S3_CLINICAL)
    groups = {name: np.array([n for n, i in enumerate(data.ids) if i.startswith(prefix)]) for name, prefix, _ in S3_SCORES}

    def fit(rows, final=False):
        y, scores, f = data.y[rows], {}, {"linear": {}, "columns": {}}
        inner = np.empty((len(rows), 3))
        for s, (name, _, count) in enumerate(S3_SCORES):
            x = data.x[np.ix_(rows, groups[name])]
            mean, sd, z = standard(x)
            p = tools.t_or_u(z, y)
            kept = tools.uncorrelated(z, [c for c in np.argsort(p, kind="stable") if p[c] < 0.05], 0.85)
            penalty, chosen, coefficients, used = tools.lasso(z[:, kept], y, count, final)
            local = np.array(kept)[chosen]
            f["columns"][name] = groups[name][local]
            f["linear"][name] = {"coef": coefficients, "intercept": float(y.mean()), "mean": mean[local], "sd": sd[local], "penalty": penalty, "used": used, "test": int((p < 0.05).sum()), "kept": len(kept)}
            # The SVM sees scores of patients that the LASSO was not fitted on.
            for train, test in StratifiedKFold(5, shuffle=True, random_state=41).split(z, y):
                _, part, weights, _ = tools.lasso(z[train][:, kept], y[train], count, False)
                inner[test, s] = z[test][:, np.array(kept)[part]] @ weights + y[train].mean()
        joined = np.column_stack([inner, clinical[rows]])
        f["centre"], f["spread"], z9 = standard(joined)
        best = (-1.0, 0.0, 0.0)
        for c in (0.25, 0.5, 1.0, 2.0):
            for gamma in (0.25 / 9, 0.5 / 9, 1 / 9):
                p = cross_val_predict(SVC(C=c, gamma=gamma), z9, y, cv=StratifiedKFold(5, shuffle=True, random_state=42), method="decision_function")
                best = max(best, (round(tools.roc_auc_score(y, p), 6), -c, gamma))
        f["model"] = SVC(C=-best[1], gamma=best[2], probability=True, random_state=43).fit(z9, y)
        f["order"] = np.concatenate([f["columns"][name] for name, _, _ in S3_SCORES])
        f["mean"] = np.concatenate([f["linear"][name]["mean"] for name, _, _ in S3_SCORES])
        f["sd"] = np.concatenate([f["linear"][name]["sd"] for name, _, _ in S3_SCORES])
        return f

    def stages(f, raw):
        z = (raw[:, :-6] - f["mean"]) / f["sd"]
        scores, at = [], 0
        for name, _, _ in S3_SCORES:
            count = len(f["columns"][name])
            scores.append(z[:, at:at + count] @ f["linear"][name]["coef"] + f["linear"][name]["intercept"])
            at += count
        scores = np.column_stack(scores)
        z9 = (np.column_stack([scores, raw[:, -6:]]) - f["centre"]) / f["spread"]
        return z, scores, z9, f["model"].predict_proba(z9)[:, 1], f["model"].decision_function(z9)

    raw_table = lambda f: np.column_stack([data.x[:, f["order"]], clinical])

    def predictor(rows):
        f = fit(rows)
        return lambda others: stages(f, raw_table(f)[others])[3]

    f = fit(data.train, final=True)
    table = raw_table(f)
    ids = [data.ids[c] for c in f["order"]]
    values = [f"clinical.{c}" for c in S3_CLINICAL]
    every = [*ids, *values]
    nine = [*[name for name, _, _ in S3_SCORES], *values]
    y_train, y_test = data.y[data.train], data.y[data.test]
    out_of_fold = tools.cross_validated(predictor, data.train, y_train)
    cut = tools.youden(y_train, out_of_fold)
    cohorts = [tools.figures("5-fold cross-validation of every step", y_train, out_of_fold, cut), tools.figures("held-out test set", y_test, stages(f, table[data.test])[3], cut)]
    numbers = np.array([*table[data.test], *table[data.train[:4]]])
    z, scores, z9, p, m = stages(f, numbers)
    header = ["case", *every, *[f"scaled.{i}" for i in ids], *[c for name, _, _ in S3_SCORES for c in (name, f"{name}.margin")], *[f"joined.{n}" for n in nine], "svm", "svm.margin"]
    body = [[f"{'held-out' if n < len(data.test) else 'training'}-{n + 1}", *numbers[n], *z[n], *np.repeat(scores[n], 2), *z9[n], p[n], m[n]] for n in range(len(numbers))]
    body += missing_rows(table, data.test[1], (0, len(ids) - 1, len(ids)), len(header) - 1 - len(every))
    counted = {role: {int(k): int(n) for k, n in zip(*np.unique([len(h["habitats"]) for found in data.found for h in found["habitats"] if h["role"] == role], return_counts=True))} for role in S3_ROLES}
    results = {"summary": tools.summary(cohorts), "synthetic": True, "cohorts": cohorts, "habitats_found": counted, "selection": {
        "measured": data.measured, "agreement_of_readers": len(data.ids),
        **{name: {"tests": f["linear"][name]["test"], "correlation_0.85": f["linear"][name]["kept"], "lasso_features": len(f["columns"][name]), "lasso_penalty_of_cross_validation": f["linear"][name]["penalty"],
                  "lasso_penalty_used": f["linear"][name]["used"]} for name, _, _ in S3_SCORES}}}
    numbers_of = lambda v: "[" + ", ".join(format(float(x), ".17g") for x in v) + "]"
    chain = "  - {id: scaled, type: standard, params: {from: features.csv}, in: radiomic}\n"
    learners = {}
    for name, _, _ in S3_SCORES:
        own = [data.ids[c] for c in f["columns"][name]]
        chain += f"  - {{id: {name}, type: linear, file: model/{name}.ir.json, in: {tools.flow('scaled.' + i for i in own)}}}\n"
        learners[f"{name}.ir.json"] = {"ir": 1, "kind": "linear", "features": own, "coef": f["linear"][name]["coef"].tolist(), "intercept": [f["linear"][name]["intercept"]], "link": "identity"}
    chain += f"  - {{id: joined, type: standard, params: {{mean: {numbers_of(f['centre'])}, scale: {numbers_of(f['spread'])}}}, in: {tools.flow(nine)}}}\n  - {{id: svm, type: svm, file: model/svm.ir.json, in: joined}}\n"
    learners["svm.ir.json"] = tools.export.ir(f["model"], nine)
    manifest = heading("demo-s3-residual", "Residual disease after radiotherapy", "residual disease",
                       "drawn at random with a probability that depends on texture, volume, stage, blood and dose of a synthetic patient", "residual disease", "MRI before treatment") + \
        inputs(S3_ROLES, S3_ROLES, data.volumes(), S3_CLINICAL) + "preprocessing:\n" + N4 + RESCALE + S3_REGISTER + S3_HABITATS + \
        "extraction: {T2: extraction/t2.yaml, T1C: extraction/t1c.yaml, T1C-FS: extraction/t1c-fs.yaml}\nfeatures: features.csv\nstages:\n" + chain + \
        "outputs:\n  - {from: svm, name: Residual disease, endpoint: RESIDUAL, unit: \"%\", decimals: 1, primary: true}\n" + \
        "".join(f"  - {{from: {name}, name: \"Rad-score {prefix.replace('.', ' ').strip()}\", endpoint: {name.upper().replace('SCORE', '')}, unit: \"1\", decimals: 3}}\n" for name, prefix, _ in S3_SCORES) + \
        "background: background.csv\nexplain:\n  svm: {method: product_kernel, space: margin}\n" + "".join(f"  {name}: {{method: linear, space: margin}}\n" for name, _, _ in S3_SCORES) + \
        f"thresholds:\n  - {{on: svm, value: {cut:.17g}, label: residual disease more likely, otherwise: residual disease less likely, risk: high, otherwise_risk: low, source: \"Youden index, cross-validation\"}}\n" + \
        tail("Wu et al., Sci Rep 2025, s41598-025-00186-0: its protocol, not its numbers", versions(), len(data.train), int(y_train.sum()), tolerance="{stages: 1.0e-10}")
    tools.Package(folder, data.agreement).write(
        manifest, [tools.feature(i, CLINICAL[i[9:]][1] if i.startswith("clinical.") else "1") for i in every], table[data.train], {r: profile for r in S3_ROLES}, learners, (header, body), results,
        tools.card("Residual disease after radiotherapy (synthetic demonstration)", f"""\
        Follows the protocol of Wu et al., Scientific Reports 2025: N4, 0 to 255, 1 mm; the region is drawn on T2 and carried to contrast-enhanced T1 with and without fat suppression by registration;
        habitats by Gaussian mixtures and BIC, labelled by k-means; 1,133 features of a habitat; t or U test (p < 0.05), correlation above 0.85 dropped, LASSO of ten folds; Rad-scores of a habitat of FS
        CE-T1, of CE-T1 and of T2; SVM of the three with T4a, stage IVA, neutrophils, lymphocytes, SII and GTVnx dose.

        - Choices the paper does not state: clusters run on the intensities of the one series; habitats are numbered by mean intensity, ascending; BIC picks among no more clusters than the paper found
          (4, 2 and 2). Found in the cohort: {counted}. So the fourth of FS CE-T1, which the paper uses, is missing in half of these tumours; the second, which all have, stands in for it, beside habitat 1
          of CE-T1 and habitat 2 of T2. A patient without one of the three gets no prediction.
        - Training: {len(data.train)} synthetic patients, who moved by 2 mm between the series; {data.measured} features of the three habitats, {len(data.ids)} after two simulated readers (ICC(2,1) >= 0.75).
        - background.csv holds 40 rows of the synthetic training set. Shapley values of the SVM are exact; each Rad-score is explained by itself.
        - Performance: {results["summary"]}. Not calibrated further.
        - Limits: everything. What lies outside the training ranges (features, volume, acquisition, distance from the training set) is flagged.
        """, made_with()), {"distance.json": tools.distance_document("joined", nine, stages(f, table[data.train])[2])}, background=table[data.train[:40]])
    return results["summary"]


# ---------------------------------------------------------------------------------------------------------------------
# S4, Hu: T2 radiomics and six outputs of a network of ResNet50's structure, ComBat, random forest

S4_DEEP = """\
deep:
  - {name: deep, on: T2, of: primary, network: model/network.onnx, output: logits, first_index: 0, slice: largest_area, channels: repeat_gray, crop: region, margin_mm: 4,
     range: {by: percentiles, low: 1, high: 99, of: slice}, eight_bits: true, resize: {filter: bilinear, size: [224, 224]}, mean: [0.485, 0.456, 0.406], sd: [0.229, 0.224, 0.225]}
"""
S4_WIDTH, S4_LOGITS = 5, 1000


def make_s4(cohort, folder):
    import onnx
    import make_resnet
    profile = (seed_cohort.PROFILES / "seed-4-hu.yaml").read_text()
    network = make_resnet.make_resnet(width=S4_WIDTH, classes=S4_LOGITS, folded=True, seed=4).SerializeToString(deterministic=True)
    data = Data(cohort, cohort.measuring_package("s4", ["T2"], profile), "s4_recurrence")
    deep, again = cohort.deep(network, data.people), cohort.deep(network, data.people[:seed_cohort.TWICE], reader=1)
    reliable = tools.icc(deep[:seed_cohort.TWICE], again)
    names = [f"T2.primary.deep_{n}" for n in range(S4_LOGITS)]
    data.measured += S4_LOGITS
    data.agreement.update(zip(names, map(float, reliable)))
    keep = np.flatnonzero(reliable >= 0.75)
    data.ids, data.x = [*data.ids, *[names[n] for n in keep]], np.column_stack([data.x, deep[:, keep]])
    is_deep = np.array([".deep_" in i for i in data.ids])

    def fit(rows, final=False):
        y = data.y[rows]
        combat = tools.Combat(data.x[rows], data.sites[rows])
        mean, sd, z = standard(combat(data.x[rows], data.sites[rows]))
        radiomic, deep = np.flatnonzero(~is_deep), np.flatnonzero(is_deep)
        penalty_r, chosen_r, _, used_r = tools.lasso(z[:, radiomic], y, 9, final)
        penalty_d, chosen_d, _, used_d = tools.lasso(z[:, deep], y, 6, final)
        columns = np.concatenate([radiomic[chosen_r], deep[chosen_d]])
        harmonised = combat(data.x[np.ix_(rows, columns)], data.sites[rows], columns)
        forest = RandomForestClassifier(n_estimators=150, max_depth=4, min_samples_leaf=4, random_state=51, n_jobs=1)
        inner = cross_val_predict(forest, harmonised, y, cv=StratifiedKFold(5, shuffle=True, random_state=52), method="predict_proba")[:, 1]
        platt = LogisticRegression(C=1e3, tol=1e-10, max_iter=1000).fit(inner[:, None], y)
        return {"combat": combat, "columns": columns, "forest": forest.fit(harmonised, y), "a": -float(platt.coef_[0, 0]), "b": -float(platt.intercept_[0]), "penalty": (penalty_r, penalty_d), "used": (used_r, used_d), "counts": (len(chosen_r), len(chosen_d))}

    def stages(f, raw, sites):
        harmonised = f["combat"](raw, sites, f["columns"])
        share = f["forest"].predict_proba(harmonised)[:, 1]
        margin = -(f["a"] * share + f["b"])
        return harmonised, share, 1 / (1 + np.exp(-margin)), margin

    def predictor(rows):
        f = fit(rows)
        return lambda others: stages(f, data.x[np.ix_(others, f["columns"])], data.sites[others])[2]

    f = fit(data.train, final=True)
    table = data.x[:, f["columns"]]
    ids = [data.ids[c] for c in f["columns"]]
    y_train, y_test = data.y[data.train], data.y[data.test]
    out_of_fold = tools.cross_validated(predictor, data.train, y_train)
    cut = tools.youden(y_train, out_of_fold)
    cohorts = [tools.figures("5-fold cross-validation of every step", y_train, out_of_fold, cut), tools.figures("held-out test set", y_test, stages(f, table[data.test], data.sites[data.test])[2], cut)]
    first = data.test[0]
    rows = [("held-out", table[n], data.sites[n]) for n in data.test[:22]]
    splits = [(int(e.tree_.feature[0]), e.tree_.threshold[0]) for e in f["forest"].estimators_[::12] if e.tree_.feature[0] >= 0]
    rows += [("threshold", r, data.sites[first]) for r in tools.thresholds(splits, table[first], lambda c, v: float(f["combat"].raw(v, data.sites[first], f["columns"][c])))]
    numbers, sites = np.array([r for _, r, _ in rows]), [s for _, _, s in rows]
    h, share, p, m = stages(f, numbers, sites)
    header = ["case", "site", *ids, *[f"harmonised.{i}" for i in ids], "forest", "forest.margin", "calibrated", "calibrated.margin"]
    body = [[f"{rows[n][0]}-{n + 1}", sites[n], *numbers[n], *h[n], share[n], share[n], p[n], m[n]] for n in range(len(rows))]
    body += [[r[0], data.sites[data.test[1]], *r[1:]] for r in missing_rows(table, data.test[1], (0, len(ids) - 1), len(header) - 2 - len(ids))]
    results = {"summary": tools.summary(cohorts), "synthetic": True, "cohorts": cohorts, "selection": {
        "measured": data.measured, "agreement_of_readers": len(data.ids), "of_these_deep": int(is_deep.sum()), "lasso_features": list(f["counts"]), "lasso_penalty_of_cross_validation": list(f["penalty"]),
        "lasso_penalty_used": list(f["used"])}}
    manifest = heading("demo-s4-recurrence", "Recurrence within 5 years after neoadjuvant chemoradiotherapy", "recurrence",
                       "drawn at random with a probability that depends on texture, volume and N stage of a synthetic patient", "recurrence", "MRI after two cycles") + \
        inputs(["T2"], ["T2"], data.volumes(), site=True) + "extraction: {T2: extraction/t2.yaml}\n" + S4_DEEP + "features: features.csv\nstages:\n" \
        "  - {id: harmonised, type: combat, params: harmonisation.json, in: [radiomic, deep], unknown_site: refuse}\n" \
        "  - {id: forest, type: tree_ensemble, file: model/forest.ir.json, in: harmonised, link: identity}\n" \
        f"  - {{id: calibrated, type: calibration, params: {{method: sigmoid, a: {f['a']:.17g}, b: {f['b']:.17g}}}, in: [forest.margin]}}\n" \
        "outputs:\n  - {from: calibrated, name: Recurrence, endpoint: RECURRENCE, unit: \"%\", decimals: 1, primary: true}\nexplain:\n  forest: {method: tree_path_dependent, space: margin}\n" \
        f"thresholds:\n  - {{on: calibrated, value: {cut:.17g}, label: recurrence more likely, otherwise: recurrence less likely, risk: high, otherwise_risk: low, source: \"Youden index, cross-validation\"}}\n" + \
        tail("Hu et al., Clin Exp Metastasis 2025;42:30: its protocol, not its numbers", versions(("onnx", onnx.__version__), ("neuroCombat", "0.2.12")), len(data.train), int(y_train.sum()),
             tolerance="{stages: 1.0e-12, deep: 1.0e-4}", missing="{radiomic: refuse, deep: refuse}")
    harmonised = stages(f, table[data.train], data.sites[data.train])[0]
    tools.Package(folder, data.agreement).write(
        manifest, [tools.feature(i) for i in ids], harmonised, {"T2": profile}, {"forest.ir.json": tools.export.ir(f["forest"], ids), "network.onnx": network}, (header, body), results,
        tools.card("Recurrence within 5 years (synthetic demonstration)", f"""\
        Follows the protocol of Hu et al., Clinical and Experimental Metastasis 2025, its model of T2: radiomics and 1,000 outputs of ResNet50, ComBat, LASSO of ten folds, nine radiomic and six deep features,
        random forest. The paper's 975 radiomic features are not what one run gives; the profile measures 1,130.

        - Network: ResNet50's structure at width {S4_WIDTH} of 64 with seeded random weights (make_resnet.py): it has learned nothing, and only tells images apart. Indices count from 0. Training rows by ONNX Runtime and Pillow.
        - Choices the paper does not state: the slice with the largest area, cut to the region and 4 mm, grey values from the 1st to the 99th percentile; ComBat on radiomic and deep features.
        - Training: {len(data.train)} synthetic patients of three sites; {data.measured} features, {len(data.ids)} after two simulated readers (ICC(2,1) >= 0.75), {int(is_deep.sum())} of them deep.
        - LASSO: cross-validation likes {f['penalty'][0]:.4f} and {f['penalty'][1]:.4f}; the paths were followed to {f['used'][0]:.4f} and {f['used'][1]:.4f}, where they hold {f['counts'][0]} and {f['counts'][1]}.
        - An image of a scanner that was not in training is refused: its effect is not known.
        - Performance: {results["summary"]}. Calibrated by a sigmoid (Platt) on predictions for patients that the forest was not fitted on.
        - Limits: everything. What lies outside the training ranges (features, volume, acquisition, distance from the training set) is flagged.
        """, made_with(("onnx", onnx.__version__), ("neuroCombat", "0.2.12"))),
        {"harmonisation.json": f["combat"].document(ids, f["columns"], seed_cohort.SITE_HEADERS), "distance.json": tools.distance_document("harmonised", ids, harmonised)})
    return results["summary"]


MAKERS = {"demo-s1-response": make_s1_response, "demo-s1-survival": make_s1_survival, "demo-s2-response": make_s2, "demo-s3-residual": make_s3, "demo-s4-recurrence": make_s4, "demo-s5-response": make_s5}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--bin", required=True, help="folder of choana and choana-fixtures")
    options.add_argument("--work", required=True, help="folder for studies and tables, about 4 GB")
    options.add_argument("--out", default=pathlib.Path(__file__).resolve().parents[1], type=pathlib.Path)
    options.add_argument("--jobs", type=int, default=2)
    options.add_argument("names", nargs="*")
    given = options.parse_args()
    cohort = seed_cohort.Cohort(given.bin, given.work, given.jobs)
    for name in given.names or MAKERS:
        print(f"{name}: {MAKERS[name](cohort, given.out / name)}", flush=True)


if __name__ == "__main__":
    main()
