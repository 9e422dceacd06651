#!/usr/bin/env python3
"""Figures of scikit-learn and shap that tests/unit/processing/prediction holds our learners against.

    pip install scikit-learn==1.9.1 shap==0.51.0
    python3 tests/interop/prediction_figures.py > tests/unit/processing/prediction/sklearn_figures.json

Every model is small and trained on random numbers. Rows hold values on split thresholds, one float beside them, and NaN
where the learner has a rule for it.
"""

import json
import pathlib
import sys

import numpy as np
import shap
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "conf" / "models" / "scripts"))
import choana_package as package  # noqa: E402

rng = np.random.default_rng(7)
names = [f"f{n}" for n in range(5)]
x = rng.standard_normal((240, 5)) * [1, 10, 0.1, 100, 3] + [0, 50, 1, -200, 7]
y = (rng.random(240) < 1 / (1 + np.exp(-(x[:, 0] + (x[:, 1] - 50) / 10 - (x[:, 2] - 1) * 8 * x[:, 0])))).astype(int)
y3 = y + (x[:, 4] > 9)
rows = x[:8] + 0.0


def beside_thresholds(trees):
    out = []
    for tree in trees:
        for shift in (None, -np.inf, np.inf):
            row = rows[0].copy()
            value = np.float32(tree.threshold[0])
            row[tree.feature[0]] = np.float64(value if shift is None else np.nextafter(value, np.float32(shift)))
            out.append(row)
    return np.array(out)


def figures(name, ir, points, margins, values, shap_base=None, shap_values=None):
    entry = {"name": name, "ir": ir, "rows": [[None if np.isnan(v) else float(v) for v in row] for row in points],
             "margins": np.asarray(margins).reshape(len(points), -1).tolist(),
             "values": np.asarray(values).reshape(len(points), -1).tolist()}
    if shap_values is not None:
        entry["shap_base"], entry["shap"] = float(shap_base), np.asarray(shap_values).tolist()
    return entry


models = []

boosted = GradientBoostingClassifier(n_estimators=6, max_depth=3, random_state=1).fit(x, y)
points = np.vstack([rows, beside_thresholds([e[0].tree_ for e in boosted.estimators_[:3]])])
explainer = shap.TreeExplainer(boosted, feature_perturbation="tree_path_dependent")
models.append(figures("GradientBoostingClassifier", package.gradient_boosting_ir(boosted, names), points, boosted.decision_function(points),
                      boosted.predict_proba(points)[:, 1], np.ravel(explainer.expected_value)[0], explainer.shap_values(points)))

x_missing = x.copy()
x_missing[rng.random(x.shape) < 0.15] = np.nan
for name, model in (("RandomForestClassifier", RandomForestClassifier(n_estimators=5, max_depth=4, random_state=2)),
                    ("ExtraTreesClassifier", ExtraTreesClassifier(n_estimators=5, max_depth=4, random_state=3))):
    model.fit(x_missing, y)
    points = np.vstack([rows, x_missing[:10], beside_thresholds([e.tree_ for e in model.estimators_[:3]])])
    p = model.predict_proba(points)[:, 1]
    models.append(figures(name, package.forest_ir(model, names), points, p, p))

# HistGradientBoosting compares in double and knows where missing values go; its leaves hold the learning rate already.
hist = HistGradientBoostingClassifier(max_iter=5, max_leaf_nodes=7, min_samples_leaf=10, early_stopping=False, random_state=4).fit(x_missing, y)
trees = []
for (predictor,) in hist._predictors:
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(bool)
    trees.append({"group": 0, "feature": [-1 if l else int(f) for l, f in zip(leaf, nodes["feature_idx"])],
                  "threshold": [0.0 if l else float(min(t, package.LARGEST_DOUBLE)) for l, t in zip(leaf, nodes["num_threshold"])],
                  "left": [-1 if l else int(c) for l, c in zip(leaf, nodes["left"])],
                  "right": [-1 if l else int(c) for l, c in zip(leaf, nodes["right"])],
                  "missing_left": [int(m) for m in nodes["missing_go_to_left"]],
                  "value": [float(v) if l else 0.0 for l, v in zip(leaf, nodes["value"])],
                  "cover": [float(c) for c in nodes["count"]]})
ir = {"ir": 1, "kind": "tree_ensemble", "features": names, "compare": "le_f64", "sum": "f64", "scale": 1.0,
      "base": [float(np.ravel(hist._baseline_prediction)[0])], "link": "logistic", "trees": trees}
points = np.vstack([rows, x_missing[:10]])
for n, tree in enumerate(trees[:3]):
    row = rows[0].copy()
    row[tree["feature"][0]] = tree["threshold"][0]
    points = np.vstack([points, row])
models.append(figures("HistGradientBoostingClassifier", ir, points, hist.decision_function(points), hist.predict_proba(points)[:, 1]))

scaler = StandardScaler().fit(x)
logistic = LogisticRegression(max_iter=1000).fit(scaler.transform(x), y)
ir = package.linear_ir(logistic, names)
ir["scaler"] = {"kind": "standard", "mean": scaler.mean_.tolist(), "scale": scaler.scale_.tolist()}
z = scaler.transform(rows)
explainer = shap.LinearExplainer(logistic, shap.maskers.Independent(scaler.transform(x), max_samples=1000))
models.append(figures("StandardScaler, LogisticRegression", ir, rows, logistic.decision_function(z), logistic.predict_proba(z)[:, 1],
                      explainer.expected_value, explainer.shap_values(z)))
models[-1]["mean"] = x.mean(axis=0).tolist()

softmax = LogisticRegression(max_iter=5000).fit(scaler.transform(x), y3)
ir = {"ir": 1, "kind": "linear", "features": names, "scaler": {"kind": "standard", "mean": scaler.mean_.tolist(), "scale": scaler.scale_.tolist()},
      "coef": softmax.coef_.tolist(), "intercept": softmax.intercept_.tolist(), "link": "softmax"}
models.append(figures("LogisticRegression, three classes", ir, rows, softmax.decision_function(z), softmax.predict_proba(z)))

boosted3 = GradientBoostingClassifier(n_estimators=3, max_depth=2, random_state=5).fit(x, y3)
prior = np.log(boosted3.init_.class_prior_)
prior -= prior.mean()  # scikit-learn centres the log priors of three classes or more
trees = []
for stage in boosted3.estimators_:
    for group, estimator in enumerate(stage):
        tree = package._tree(estimator.tree_, lambda n, t=estimator.tree_: float(t.value[n, 0, 0]))
        tree["group"] = group
        trees.append(tree)
raw = boosted3.decision_function(rows)
probability = boosted3.predict_proba(rows)
ir = {"ir": 1, "kind": "tree_ensemble", "features": names, "compare": "le_f32_f64", "sum": "f64", "scale": float(boosted3.learning_rate),
      "base": prior.tolist(), "link": "softmax", "trees": trees}
models.append(figures("GradientBoostingClassifier, three classes", ir, rows, raw, probability))

linear = LinearRegression().fit(x, y)
models.append(figures("LinearRegression", package.linear_ir(linear, names), rows, linear.predict(rows), linear.predict(rows)))


def with_scaler(ir):
    return ir | {"scaler": {"kind": "standard", "mean": scaler.mean_.tolist(), "scale": scaler.scale_.tolist()}}


zx, zrows = scaler.transform(x), scaler.transform(np.vstack([rows, 3 * rows - 2 * x.mean(axis=0)]))
points = np.vstack([rows, 3 * rows - 2 * x.mean(axis=0)])
for kernel in ("rbf", "poly", "sigmoid", "linear"):
    machine = SVC(kernel=kernel, probability=kernel == "rbf", random_state=6, C=0.3).fit(zx[:60], y[:60])
    d = machine.decision_function(zrows)
    models.append(figures(f"SVC, {kernel}", with_scaler(package.svm_ir(machine, names)), points, d, machine.predict_proba(zrows)[:, 1] if kernel == "rbf" else d))
for labels, name in ((y, "GaussianNB"), (y3, "GaussianNB, three classes")):
    bayes = GaussianNB().fit(x, labels)
    joint = bayes.predict_joint_log_proba(points)
    p = bayes.predict_proba(points)
    two = len(bayes.classes_) == 2
    models.append(figures(name, package.gaussian_nb_ir(bayes, names), points, joint[:, 1] - joint[:, 0] if two else joint, p[:, 1] if two else p))
for labels, activation in ((y, "relu"), (y3, "tanh"), (y, "logistic")):
    network = MLPClassifier((4, 3), activation=activation, max_iter=300, random_state=8).fit(zx, labels)
    p = network.predict_proba(zrows)
    two = p.shape[1] == 2
    # The last layer before its link: log-odds, or logarithms up to a constant that the test takes off.
    margin = np.log(p[:, 1] / p[:, 0]) if two else np.log(p)
    models.append(figures(f"MLPClassifier, {activation}", with_scaler(package.mlp_ir(network, names)), points, margin, p[:, 1] if two else p))
for method, base, exporter in (("sigmoid", SVC(C=0.3), package.svm_ir), ("isotonic", LogisticRegression(), package.linear_ir),
                               ("isotonic", RandomForestClassifier(n_estimators=4, max_depth=3, random_state=9), package.forest_ir)):
    calibrated = CalibratedClassifierCV(base, method=method, cv=2).fit(zx[:60], y[:60])
    p = calibrated.predict_proba(zrows)[:, 1]
    with np.errstate(divide="ignore"):
        margin = np.clip(np.log(p) - np.log1p(-p), -37, 37)
    models.append(figures(f"CalibratedClassifierCV, {method}, {type(base).__name__}", with_scaler(package.calibrated_ir(calibrated, names, lambda e: exporter(e, names))), points, margin, p))

json.dump({"made_by": "tests/interop/prediction_figures.py",
           "versions": {"scikit-learn": sklearn.__version__, "shap": shap.__version__, "numpy": np.__version__}, "models": models},
          sys.stdout, allow_nan=False, separators=(",", ":"))
print()
