#!/usr/bin/env python3
"""Make the demonstration packages of conf/models from synthetic cohorts.

    python3 make_demo_packages.py [FOLDER]        (default: conf/models)

Needs numpy and scikit-learn (made with the versions that each MODEL_CARD.md names). Seeded: the same versions write the
same bytes. No patient, no phantom and no published coefficient went into these models. They show how a package works and
predict nothing.
"""

import pathlib
import shutil
import sys
import textwrap

import numpy as np
import sklearn
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

import choana_package as package

EXTRACTION = """\
# PyRadiomics parameters. A fixed number of bins makes grey levels independent of the scanner's intensity scale.
imageType:
  Original: {}
setting:
  resampledPixelSpacing: [1, 1, 1]
  interpolator: sitkBSpline
  binCount: 25
  label: 1
"""

SYNTHETIC = ("This model was trained on random numbers. It demonstrates the software, has no clinical meaning "
             "and must not be used for any decision about a patient.")


def draw_cohort(rng, centres, count):
    """Rows of features: a common factor makes texture features go together, as they do; volumes are log-normal."""
    factor = rng.standard_normal(count)
    columns = []
    for mean, sd, loading, log in centres:
        z = loading * factor + np.sqrt(1 - loading**2) * rng.standard_normal(count)
        columns.append(np.exp(mean + sd * z) if log else mean + sd * z)
    return np.column_stack(columns)


def auc_interval(rng, y, p):
    """Percentile bootstrap, 2,000 resamples."""
    values = []
    while len(values) < 2000:
        pick = rng.integers(0, len(y), len(y))
        if 0 < y[pick].sum() < len(y):
            values.append(roc_auc_score(y[pick], p[pick]))
    return np.quantile(values, [0.025, 0.975])


def performance(rng, y, p, cut):
    low, high = auc_interval(rng, y, p)
    auc, said = roc_auc_score(y, p), p >= cut
    return {
        "summary": f"AUC {auc:.2f} (95 % CI {low:.2f} to {high:.2f}), n = {len(y)}, held-out synthetic rows; no patients",
        "synthetic": True,
        "cohorts": [{"name": "held-out synthetic rows", "n": int(len(y)), "events": int(y.sum()), "auc": float(auc),
                     "auc_ci": [float(low), float(high)], "auc_ci_method": "percentile bootstrap, 2000 resamples",
                     "brier": float(brier_score_loss(y, p)), "threshold": cut,
                     "sensitivity": float((said & (y == 1)).sum() / (y == 1).sum()),
                     "specificity": float((~said & (y == 0)).sum() / (y == 0).sum())}]}


def rows_on_thresholds(trees, base_row, to_raw):
    """Rows that lie on a split, and one float beside it on either side: where careless comparisons differ."""
    rows = []
    for tree in trees:
        feature, threshold = int(tree.feature[0]), np.float32(tree.threshold[0])
        for value in (threshold, np.nextafter(threshold, np.float32(-np.inf)), np.nextafter(threshold, np.float32(np.inf))):
            row = base_row.copy()
            row[feature] = to_raw(feature, np.float64(value))
            rows.append(row)
    return rows


def card(title, body, made_with):
    return f"# {title}\n\n**Synthetic. For demonstration only.** {SYNTHETIC}\n\n{textwrap.dedent(body).strip()}\n\n{made_with}\n"


def write_package(folder, manifest, features, x_train, learners, selftest, results, model_card):
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "extraction").mkdir(parents=True)
    (folder / "manifest.yaml").write_text(manifest)
    for role in sorted({f[1] for f in features}):
        (folder / "extraction" / f"{role.lower()}.yaml").write_text(EXTRACTION)
    package.write_csv(folder / "features.csv", package.FEATURE_HEADER, package.feature_rows(features, x_train))
    for name, ir in learners.items():
        package.write_json(folder / "model" / name, ir)
    package.write_csv(folder / "selftest.csv", *selftest)
    package.write_json(folder / "performance.json", results)
    (folder / "MODEL_CARD.md").write_text(model_card)
    package.write_sums(folder)


def radiomic(role, name, unit="1"):
    return (f"{role}.primary.{name}", role, "primary", "radiomic", name, unit)


MADE_WITH = f"Made by `conf/models/scripts/make_demo_packages.py` with scikit-learn {sklearn.__version__} and numpy {np.__version__}."


# ---------------------------------------------------------------------------------------------------------------------
# demo-npc-response: contrast-enhanced T1 and T2 -> boosted Rad-score -> logistic model with the tumour volume

# (mean, sd, loading on the common factor, log-normal), about 1.5 times as wide as what PyRadiomics 3.0.1 measures with
# EXTRACTION on 40 synthetic studies of dicom-fixtures (seeds 1 to 40, 15 to 40 ml, response 0 to 1): a demonstration
# patient lies inside. The factor is heterogeneity, which makes texture features go together, as they do there.
RESPONSE_FEATURES = [
    (radiomic("T2", "original_shape_MeshVolume", "mm3"), (np.log(25000), 0.45, 0.0, True)),
    (radiomic("T2", "original_shape_Sphericity"), (0.77, 0.033, -0.6, False)),
    (radiomic("T2", "original_firstorder_Kurtosis"), (np.log(8.7), 0.50, -0.8, True)),
    (radiomic("T2", "original_glcm_JointEntropy"), (4.95, 0.95, 0.9, False)),
    (radiomic("T1C", "original_firstorder_Entropy"), (3.25, 0.55, 0.9, False)),
    (radiomic("T1C", "original_firstorder_Skewness"), (-1.7, 0.70, 0.85, False)),
    (radiomic("T1C", "original_glcm_Imc2"), (0.865, 0.065, 0.8, False)),
    (radiomic("T1C", "original_glszm_ZonePercentage"), (np.log(0.053), 0.35, 0.4, True)),
]

RESPONSE_MANIFEST = """\
format: choana-model/1
id: demo-npc-response
version: 0.1.0
title: Complete response of nasopharyngeal carcinoma (synthetic demonstration)
status: demonstration
intended_use:
  statement: {statement}
  population: synthetic studies of dicom-fixtures
  timing: MRI before treatment
  not_for: [patients]
  outcome: {{name: complete response, definition: a random label that depends on the features, positive: complete response}}
inputs:
  sequences:
    T1C: {{required: true, modality: MR, contrast: true, accepts: [T1C, T1C-FS]}}
    T2: {{required: true, modality: MR, accepts: [T2, T2-FS]}}
  rois:
    primary: {{required: true, of: [T1C, T2], names: [GTVp, GTVnx, "GTV[-_ ]?p.*", "GTV[-_ ]?nx.*", GTV, primary, "tumou?r"]}}
preprocessing:
  - {{step: n4, shrink: [4, 4, 4]}}
extraction: {{T1C: extraction/t1c.yaml, T2: extraction/t2.yaml}}
features: features.csv
stages:
  - {{id: scaled, type: standard, params: {{from: features.csv}}, in: radiomic}}
  - {{id: radscore, type: tree_ensemble, file: model/radscore.ir.json, in: scaled, link: logistic}}
  - {{id: combined, type: linear, file: model/combined.ir.json, in: [radscore.margin, scaled.T2.primary.original_shape_MeshVolume], link: logistic}}
outputs:
  - {{from: combined, name: Complete response, endpoint: CR, unit: "%", decimals: 1, primary: true}}
  - {{from: radscore, name: Rad-score, endpoint: RADSCORE, unit: "1", decimals: 3}}
explain:
  combined: {{method: linear, space: margin}}
  radscore: {{method: tree_path_dependent, space: margin}}
calibration: {{method: none, evidence: performance.json}}
thresholds:
  - {{on: combined, value: 0.5, label: complete response more likely, otherwise: complete response less likely, risk: low, otherwise_risk: high, source: half; not tuned}}
missing: {{radiomic: refuse}}
uncertainty: {{quantile_guard: [0.01, 0.99], max_flagged: 1, beyond: flag}}
performance: performance.json
selftest: {{file: selftest.csv, tolerance: {{stages: 1.0e-12}}}}
provenance:
  training_data: synthetic, {n_train} rows drawn at random
  trained_with: {{scikit-learn: "{sklearn}"}}
integrity: {{sums: SHA256SUMS}}
"""


def make_response(folder):
    rng = np.random.default_rng(20251121)
    features = [f for f, _ in RESPONSE_FEATURES]
    ids = [f[0] for f in features]
    x = draw_cohort(rng, [c for _, c in RESPONSE_FEATURES], 700)
    z = (x - x.mean(0)) / x.std(0)
    # Even, compact and small tumours respond.
    logit = 0.1 - 0.5 * z[:, 0] + 0.4 * z[:, 1] - 0.6 * z[:, 3] - 0.5 * z[:, 4] - 0.3 * z[:, 6] + 0.25 * z[:, 5] * z[:, 7]
    y = (rng.random(len(x)) < 1 / (1 + np.exp(-logit))).astype(int)
    train, test = slice(0, 450), slice(450, None)

    # What features.csv stores is what the stage `scaled` uses: the same mean and sd, the same formula, in double.
    mean, sd = package.mean_and_sd(x[train])
    scale = lambda rows: (rows - mean) / sd
    radscore = GradientBoostingClassifier(n_estimators=60, max_depth=3, learning_rate=0.06, min_samples_leaf=15, random_state=1)
    # The second model sees margins of rows that the first was not fitted on.
    folds = StratifiedKFold(5, shuffle=True, random_state=2)
    margins = cross_val_predict(radscore, scale(x[train]), y[train], cv=folds, method="decision_function")
    radscore.fit(scale(x[train]), y[train])
    combined = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000)
    combined.fit(np.column_stack([margins, scale(x[train])[:, 0]]), y[train])

    def stages(rows):
        scaled = scale(rows)
        margin = radscore.decision_function(scaled)
        final = np.column_stack([margin, scaled[:, 0]])
        return scaled, radscore.predict_proba(scaled)[:, 1], margin, combined.predict_proba(final)[:, 1], combined.decision_function(final)

    rows = [("held-out", row) for row in x[test][:24]]
    rows += [("threshold", row) for row in rows_on_thresholds([e[0].tree_ for e in radscore.estimators_[::6]], x[test][30],
                                                              lambda f, v: v * sd[f] + mean[f])]
    numbers = np.array([row for _, row in rows])
    scaled, p_rad, m_rad, p_final, m_final = stages(numbers)
    header = ["case", *ids, *[f"scaled.{i}" for i in ids], "radscore", "radscore.margin", "combined", "combined.margin"]
    table = [[f"{kind}-{n + 1}", *numbers[n], *scaled[n], p_rad[n], m_rad[n], p_final[n], m_final[n]] for n, (kind, _) in enumerate(rows)]
    for n in (0, 3, 7):  # a missing feature: no prediction
        row = list(x[test][40])
        row[n] = None
        table.append([f"missing-{n + 1}", *row, *[None] * (len(ids) + 4)])

    results = performance(rng, y[test], stages(x[test])[3], 0.5)
    write_package(folder, RESPONSE_MANIFEST.format(statement=SYNTHETIC, n_train=450, sklearn=sklearn.__version__), features, x[train],
                  {"radscore.ir.json": package.gradient_boosting_ir(radscore, ids, "GradientBoostingClassifier, synthetic"),
                   "combined.ir.json": package.linear_ir(combined, ["radscore.margin", ids[0]], "LogisticRegression, synthetic")},
                  (header, table), results,
                  card("Complete response of nasopharyngeal carcinoma (synthetic demonstration)", f"""\
                  The form follows published systems: a radiomic score from contrast-enhanced T1 and T2 images, then a logistic model
                  that adds the tumour volume. The numbers follow nothing: features of 700 imaginary tumours were drawn at random
                  around the values of synthetic studies, and the label was drawn from a formula of them.

                  - Inputs: eight original PyRadiomics features of the region `primary` on T1C and T2, 1 mm voxels, 25 bins.
                  - Rad-score: 60 boosted trees of depth 3. Combined: logistic regression of its log-odds and the scaled volume.
                  - Training: 450 synthetic rows. Performance: {results["summary"]}.
                  - Limits: everything. Features outside the 1 % to 99 % training range are flagged.
                  """, MADE_WITH))
    return results["summary"]


# ---------------------------------------------------------------------------------------------------------------------
# demo-t2-only: one T2 series of any body part -> random forest -> logistic model

T2_FEATURES = [
    (radiomic("T2", "original_shape_MeshVolume", "mm3"), (np.log(25000), 0.50, 0.0, True)),
    (radiomic("T2", "original_shape_Sphericity"), (0.75, 0.05, -0.5, False)),
    (radiomic("T2", "original_shape_SurfaceVolumeRatio", "/mm"), (1.0, 0.02, 0.0, False)),  # a factor; see make_t2_only
    (radiomic("T2", "original_firstorder_Entropy"), (2.95, 0.55, 0.9, False)),
    (radiomic("T2", "original_firstorder_Kurtosis"), (np.log(8.5), 0.55, -0.8, True)),
    (radiomic("T2", "original_glcm_Imc2"), (0.845, 0.08, 0.8, False)),
]

T2_MANIFEST = """\
format: choana-model/1
id: demo-t2-only
version: 0.1.0
title: Residual disease from one T2 series (synthetic demonstration)
status: demonstration
intended_use:
  statement: {statement}
  population: any study with a T2-weighted series and a delineated mass
  not_for: [patients]
  outcome: {{name: residual disease, definition: a random label that depends on the features, positive: residual disease}}
inputs:
  sequences:
    T2: {{required: true, modality: MR, accepts: [T2, T2-FS]}}
  rois:
    primary: {{required: true, of: [T2], names: [GTVp, GTVnx, GTV, GTV_Mass, "GTV.*", primary, mass, "tumou?r"]}}
extraction: {{T2: extraction/t2.yaml}}
features: features.csv
stages:
  - {{id: forest, type: tree_ensemble, file: model/forest.ir.json, in: radiomic, link: identity}}
  - {{id: scaled, type: standard, params: {{from: features.csv}}, in: [T2.primary.original_shape_Sphericity]}}
  - {{id: combined, type: linear, file: model/combined.ir.json, in: [forest, scaled], link: logistic}}
outputs:
  - {{from: combined, name: Residual disease, endpoint: RESIDUAL, unit: "%", decimals: 1, primary: true}}
explain:
  combined: {{method: linear, space: margin}}
thresholds:
  - {{on: combined, value: 0.35, label: intermediate, otherwise: residual disease less likely, risk: moderate, otherwise_risk: low, source: not tuned}}
  - {{on: combined, value: 0.65, label: residual disease more likely, risk: high, source: not tuned}}
missing: {{radiomic: {{T2.primary.original_firstorder_Kurtosis: pass}}}}
uncertainty: {{quantile_guard: [0.01, 0.99], max_flagged: 0, beyond: flag}}
performance: performance.json
selftest: {{file: selftest.csv, tolerance: {{stages: 1.0e-12}}}}
provenance:
  training_data: synthetic, {n_train} rows drawn at random
  trained_with: {{scikit-learn: "{sklearn}"}}
integrity: {{sums: SHA256SUMS}}
"""


def make_t2_only(folder):
    rng = np.random.default_rng(20251122)
    features = [f for f, _ in T2_FEATURES]
    ids = [f[0] for f in features]
    x = draw_cohort(rng, [c for _, c in T2_FEATURES], 600)
    # Volume and sphericity fix the ratio of surface to volume, but for the mesh.
    x[:, 2] *= (36 * np.pi / x[:, 0]) ** (1 / 3) / x[:, 1]
    z = (x - x.mean(0)) / x.std(0)
    logit = 0.5 * z[:, 0] - 0.5 * z[:, 1] + 0.7 * z[:, 3] + 0.4 * z[:, 5] + 0.3 * z[:, 4]
    y = (rng.random(len(x)) < 1 / (1 + np.exp(-logit))).astype(int)
    # The forest learns where to send a kurtosis that could not be computed (a flat region).
    x[rng.random(len(x)) < 0.08, 4] = np.nan
    train, test = slice(0, 400), slice(400, None)
    mean, sd = package.mean_and_sd(x[train][:, 1:2])
    # Sphericity lies between 0 and 1 whatever comes; a volume of half a litre would push a linear model to certainty.
    scale = lambda rows: (rows[:, 1:2] - mean) / sd
    forest = RandomForestClassifier(n_estimators=60, max_depth=4, min_samples_leaf=10, random_state=3, n_jobs=1)
    folds = StratifiedKFold(5, shuffle=True, random_state=4)
    shares = cross_val_predict(forest, x[train], y[train], cv=folds, method="predict_proba")[:, 1]
    forest.fit(x[train], y[train])
    combined = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000)
    combined.fit(np.column_stack([shares, scale(x[train])]), y[train])

    def stages(rows):
        share = forest.predict_proba(rows)[:, 1]
        final = np.column_stack([share, scale(rows)])
        return share, scale(rows), combined.predict_proba(final)[:, 1], combined.decision_function(final)

    rows = [("held-out", row) for row in x[test][:24]]
    rows += [("threshold", row) for row in rows_on_thresholds([e.tree_ for e in forest.estimators_[::6]], x[test][26], lambda f, v: v)]
    kurtosis_missing = x[test][27:31].copy()
    kurtosis_missing[:, 4] = np.nan
    rows += [("without-kurtosis", row) for row in kurtosis_missing]
    numbers = np.array([row for _, row in rows])
    share, scaled, p_final, m_final = stages(numbers)
    header = ["case", *ids, "forest", "forest.margin", f"scaled.{ids[1]}", "combined", "combined.margin"]
    table = [[f"{kind}-{n + 1}", *numbers[n], share[n], share[n], *scaled[n], p_final[n], m_final[n]] for n, (kind, _) in enumerate(rows)]
    for n in (0, 5):
        row = list(x[test][40])
        row[n] = None
        table.append([f"missing-{n + 1}", *row, *[None] * 5])

    results = performance(rng, y[test], stages(x[test])[2], 0.5)
    write_package(folder, T2_MANIFEST.format(statement=SYNTHETIC, n_train=400, sklearn=sklearn.__version__), features, x[train],
                  {"forest.ir.json": package.forest_ir(forest, ids, "RandomForestClassifier, synthetic"),
                   "combined.ir.json": package.linear_ir(combined, ["forest", ids[1]], "LogisticRegression, synthetic")},
                  (header, table), results,
                  card("Residual disease from one T2 series (synthetic demonstration)", f"""\
                  The smallest useful package: one T2 series with or without fat suppression, one region, six original PyRadiomics
                  features. It runs on studies of any body part, so that a site can see the whole way from DICOM to report; the
                  guard then says that such a mass is unlike the synthetic training rows of about 8 to 80 ml.

                  - Forest: 60 trees of depth 4, which know where a missing kurtosis goes. Combined: logistic regression of the
                    forest's probability and the scaled sphericity, neither of which runs away on a case unlike the training rows.
                  - Training: 400 synthetic rows. Performance: {results["summary"]}.
                  - Limits: everything. Features outside the 1 % to 99 % training range are flagged.
                  """, MADE_WITH))
    return results["summary"]


if __name__ == "__main__":
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[1]
    print("demo-npc-response:", make_response(root / "demo-npc-response"))
    print("demo-t2-only:", make_t2_only(root / "demo-t2-only"))
