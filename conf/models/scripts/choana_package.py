"""Write Choana model packages (format choana-model/1) from scikit-learn models.

One plain file, numpy and scikit-learn only. The numbers of the package come from the live model: parameters as doubles
that read back exactly, and a self-test that Choana recomputes before it admits the package. Format: ../README.md.
"""

import csv
import hashlib
import json
import math
import pathlib

import numpy as np

LARGEST_DOUBLE = 1.7976931348623157e308  # stands for +infinity as a threshold: JSON has none


def linear_ir(model, features, note=None):
    """LogisticRegression (binary) or a linear regression -> IR kind `linear`."""
    binary = hasattr(model, "classes_")
    assert not binary or len(model.classes_) == 2, "one probability is expected"
    ir = {"ir": 1, "kind": "linear", "features": list(features),
          "coef": [float(c) for c in np.ravel(model.coef_)],
          "intercept": [float(c) for c in np.ravel(model.intercept_)],
          "link": "logistic" if binary else "identity"}
    if note:
        ir["note"] = note
    return ir


def _tree(tree, value_of_node):
    """One sklearn.tree._tree.Tree. The left child is taken if float32(x) <= threshold, compared in double."""
    leaf = tree.children_left == -1
    threshold = [LARGEST_DOUBLE if math.isinf(t) else float(t) for t in tree.threshold]
    missing = getattr(tree, "missing_go_to_left", np.zeros(tree.node_count))
    return {"group": 0,
            "feature": [-1 if leaf[n] else int(tree.feature[n]) for n in range(tree.node_count)],
            "threshold": [0.0 if leaf[n] else threshold[n] for n in range(tree.node_count)],
            "left": [int(c) for c in tree.children_left],
            "right": [int(c) for c in tree.children_right],
            "missing_left": [int(m) for m in missing],
            "value": [value_of_node(n) if leaf[n] else 0.0 for n in range(tree.node_count)],
            "cover": [float(c) for c in tree.weighted_n_node_samples]}


def gradient_boosting_ir(model, features, note=None):
    """GradientBoostingClassifier (binary): margin = prior log-odds + learning rate * sum of leaves."""
    prior = model.init_.class_prior_[1]
    ir = {"ir": 1, "kind": "tree_ensemble", "features": list(features), "compare": "le_f32_f64", "sum": "f64",
          "scale": float(model.learning_rate), "base": [float(math.log(prior / (1 - prior)))], "link": "logistic",
          "average": False,
          "trees": [_tree(stage[0].tree_, lambda n, t=stage[0].tree_: float(t.value[n, 0, 0])) for stage in model.estimators_]}
    if note:
        ir["note"] = note
    return ir


def forest_ir(model, features, note=None):
    """RandomForestClassifier or ExtraTreesClassifier (binary): the mean share of class 1; margin = probability."""
    def share(tree):
        return lambda n: float(tree.value[n, 0, 1] / tree.value[n, 0].sum())
    ir = {"ir": 1, "kind": "tree_ensemble", "features": list(features), "compare": "le_f32_f64", "sum": "f64",
          "scale": 1.0 / len(model.estimators_), "base": [0.0], "link": "identity", "average": True,
          "trees": [_tree(e.tree_, share(e.tree_)) for e in model.estimators_]}
    if note:
        ir["note"] = note
    return ir


def svm_ir(model, features):
    """SVC or NuSVC, two classes. With probability=True scikit-learn's probabilities are libsvm's coupling."""
    assert len(model.classes_) == 2
    gamma = float(getattr(model, "_gamma", 0.0))
    ir = {"ir": 1, "kind": "svm", "features": list(features), "kernel": model.kernel, "gamma": gamma, "coef0": float(model.coef0),
          "degree": float(model.degree), "sv": model.support_vectors_.tolist(), "dual_coef": np.ravel(model.dual_coef_).tolist(),
          "intercept": [float(model.intercept_[0])], "probability": "none"}
    if getattr(model, "probability", False) is True:
        ir.update(probability="libsvm_coupling", A=float(model.probA_[0]), B=float(model.probB_[0]))
    return ir


def gaussian_nb_ir(model, features):
    return {"ir": 1, "kind": "gaussian_nb", "features": list(features), "prior": model.class_prior_.tolist(), "mean": model.theta_.tolist(),
            "var": model.var_.tolist()}


def mlp_ir(model, features):
    return {"ir": 1, "kind": "mlp", "features": list(features), "coefs": [c.tolist() for c in model.coefs_],
            "intercepts": [i.tolist() for i in model.intercepts_], "activation": model.activation, "output": model.out_activation_}


def calibrated_ir(model, features, base_ir):
    """CalibratedClassifierCV, two classes; base_ir makes the IR of one fitted estimator."""
    members = []
    for member in model.calibrated_classifiers_:
        base = {k: v for k, v in base_ir(member.estimator).items() if k not in ("ir", "features", "note")}
        (calibrator,) = member.calibrators
        if hasattr(calibrator, "a_"):
            mapped = {"kind": "sigmoid", "a": float(calibrator.a_), "b": float(calibrator.b_)}
        else:
            mapped = {"kind": "isotonic", "x": calibrator.X_thresholds_.tolist(), "y": calibrator.y_thresholds_.tolist()}
        members.append({"base": base, "calibrator": mapped})
    return {"ir": 1, "kind": "calibrated", "features": list(features), "members": members}


def mean_and_sd(x):
    """Mean and standard deviation (ddof 0) of every column without its NaN: what features.csv stores, to the last bit,
    and therefore what a stage `standard` from features.csv uses."""
    columns = [np.ascontiguousarray(x[~np.isnan(x[:, n]), n]) for n in range(x.shape[1])]
    return np.array([c.mean() for c in columns]), np.array([c.std(ddof=0) for c in columns])


def feature_rows(features, x):
    """Rows of features.csv: features are (id, role, roi, kind, name, unit), x the training rows (NaN = missing)."""
    rows = []
    mean, sd = mean_and_sd(x)
    for n, (identity, role, roi, kind, name, unit) in enumerate(features):
        q01, q99 = np.nanquantile(x[:, n], [0.01, 0.99])
        rows.append([n + 1, identity, role, roi, kind, name, unit, mean[n], sd[n], q01, q99])
    return rows


FEATURE_HEADER = ["order", "id", "role", "roi", "kind", "feature", "unit", "train_mean", "train_sd", "q01", "q99"]


def write_csv(path, header, rows):
    """Doubles with 17 significant digits, NaN and None as empty cells."""
    def cell(value):
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return ""
        return format(float(value), ".17g") if isinstance(value, (float, np.floating)) else value
    with open(path, "w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([[cell(v) for v in row] for row in rows])


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, allow_nan=False, separators=(",", ":")) + "\n")


def write_sums(folder):
    """SHA256SUMS over every file, as sha256sum writes it. Last: whatever is changed later makes the package refused."""
    folder = pathlib.Path(folder)
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in ("SHA256SUMS", "SHA256SUMS.sig"))
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(folder).as_posix()}\n" for p in files]
    (folder / "SHA256SUMS").write_text("".join(lines))
