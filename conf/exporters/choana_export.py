"""Write a Choana model package (format choana-model/1) from a fitted scikit-learn model. One plain file; numpy and
scikit-learn only.

    from choana_export import export
    export(model, x_train, feature_names, "my-package", rows=x_selftest)

`model` may be a Pipeline of StandardScaler and an estimator, or one of: LogisticRegression, LinearRegression, Ridge, Lasso, ElasticNet and
their CV forms, LinearSVC; SVC and NuSVC; RandomForest, ExtraTrees, DecisionTree, GradientBoosting, HistGradientBoosting (classifiers and
regressors), AdaBoostClassifier; KNeighborsClassifier; GaussianNB; MLPClassifier; GaussianProcessClassifier with constant * RBF;
CalibratedClassifierCV over linear, SVM or tree models; lifelines.CoxPHFitter. Anything else is refused with a word. The self-test rows are scored by the live model; `choana model check` recomputes them.
`ir(model, names)` gives the neutral form alone, for `choana model import --format ir`.
"""

import csv
import hashlib
import json
import math
import pathlib

import numpy as np

LARGEST_DOUBLE = 1.7976931348623157e308  # stands for an infinite threshold: JSON has none


def _numbers(array):
    return np.asarray(array, dtype=np.float64).tolist()


def _two_classes(model):
    if len(model.classes_) != 2:
        raise ValueError(f"{type(model).__name__} is exported for two classes, this one has {len(model.classes_)}")


def _tree(tree, value, group=0):
    """A sklearn.tree._tree.Tree: float32(x) <= threshold goes left, compared in double."""
    leaf = tree.children_left == -1
    missing = getattr(tree, "missing_go_to_left", np.zeros(tree.node_count))
    count = range(tree.node_count)
    return {"group": group, "feature": [-1 if leaf[n] else int(tree.feature[n]) for n in count],
            "threshold": [0.0 if leaf[n] else (LARGEST_DOUBLE if math.isinf(tree.threshold[n]) else float(tree.threshold[n])) for n in count],
            "left": [int(c) for c in tree.children_left], "right": [int(c) for c in tree.children_right], "missing_left": [int(m) for m in missing],
            "value": [float(value(n)) if leaf[n] else 0.0 for n in count], "cover": [float(c) for c in tree.weighted_n_node_samples]}


def _ensemble(trees, base, scale, link, compare="le_f32_f64", average=False):
    return {"kind": "tree_ensemble", "compare": compare, "sum": "f64", "scale": float(scale), "base": _numbers(base), "link": link, "average": average, "trees": trees}


def _forest(trees, classes):
    """Mean of the trees' class shares (two classes: of class 1), or of their values."""
    out = []
    for estimator in trees:
        tree = estimator.tree_
        if classes is None:
            out.append(_tree(tree, lambda n, t=tree: t.value[n, 0, 0]))
            continue
        for group, c in enumerate([1] if classes == 2 else range(classes)):
            out.append(_tree(tree, lambda n, t=tree, c=c: t.value[n, 0, c] / t.value[n, 0].sum(), group))
    groups = 1 if classes in (None, 2) else classes
    return _ensemble(out, [0.0] * groups, 1.0 / len(trees), "identity", average=True)


def _gradient_boosting(model):
    classes = len(model.classes_) if hasattr(model, "classes_") else None
    groups = model.estimators_.shape[1]
    if type(model.init_).__name__ not in ("DummyClassifier", "DummyRegressor", "str"):
        raise ValueError("GradientBoosting with an init estimator of its own is not exported")
    base = np.ravel(model._raw_predict_init(np.zeros((1, model.n_features_in_), dtype=np.float32)))
    trees = [_tree(stage[g].tree_, lambda n, t=stage[g].tree_: t.value[n, 0, 0], g) for stage in model.estimators_ for g in range(groups)]
    return _ensemble(trees, base, model.learning_rate, "identity" if classes is None else "logistic" if groups == 1 else "softmax")


def _hist_gradient_boosting(model):
    trees = []
    for stage in model._predictors:
        for group, predictor in enumerate(stage):
            nodes = predictor.nodes
            if nodes["is_categorical"].any():
                raise ValueError("categorical splits of HistGradientBoosting are not exported")
            leaf = nodes["is_leaf"].astype(bool)
            threshold = nodes["num_threshold"]
            trees.append({"group": group, "feature": [-1 if l else int(f) for l, f in zip(leaf, nodes["feature_idx"])],
                          "threshold": [0.0 if l else (LARGEST_DOUBLE if math.isinf(t) else float(t)) for l, t in zip(leaf, threshold)],
                          "left": [-1 if l else int(c) for l, c in zip(leaf, nodes["left"])], "right": [-1 if l else int(c) for l, c in zip(leaf, nodes["right"])],
                          "missing_left": [int(m) for m in nodes["missing_go_to_left"]], "value": [float(v) if l else 0.0 for l, v in zip(leaf, nodes["value"])],
                          "cover": [float(c) for c in nodes["count"]]})
    base = np.ravel(model._baseline_prediction)
    return _ensemble(trees, base, 1.0, "identity" if not hasattr(model, "classes_") else "logistic" if len(base) == 1 else "softmax", compare="le_f64")


def _ada_boost(model):
    """Two classes. SAMME.R: half the log ratio of clipped shares; SAMME: signed votes. The margin is what the logistic function turns into predict_proba."""
    import sklearn
    _two_classes(model)
    weights = model.estimator_weights_[:len(model.estimators_)]
    total = float(np.sum(weights))
    eps = np.finfo(np.float64).eps
    newer = tuple(int(v) for v in sklearn.__version__.split(".")[:2]) >= (1, 3)
    trees = []
    for estimator, weight in zip(model.estimators_, weights):
        if not hasattr(estimator, "tree_"):
            raise ValueError("AdaBoost is exported over decision trees only")
        tree = estimator.tree_
        if getattr(model, "algorithm", "SAMME") == "SAMME.R":
            def value(n, t=tree):
                p = np.clip(t.value[n, 0] / t.value[n, 0].sum(), eps, None)
                return math.log(p[1]) - math.log(p[0])
        else:
            def value(n, t=tree, w=weight):
                return float(w) if np.argmax(t.value[n, 0]) == 1 else -float(w)
        trees.append(_tree(tree, value))
    # predict_proba is the logistic function of the decision (twice of it since 1.3 for SAMME).
    scale = 1.0 / total if getattr(model, "algorithm", "SAMME") == "SAMME.R" else (2.0 if newer else 1.0) / total
    return _ensemble(trees, [0.0], scale, "logistic")


def _svm(model):
    if hasattr(model, "classes_"):
        _two_classes(model)
    out = {"kind": "svm", "kernel": model.kernel, "gamma": float(getattr(model, "_gamma", 0.0)), "coef0": float(model.coef0), "degree": float(model.degree),
           "sv": _numbers(model.support_vectors_), "dual_coef": _numbers(np.ravel(model.dual_coef_)), "intercept": [float(model.intercept_[0])], "probability": "none"}
    if getattr(model, "probability", False) is True:
        out.update(probability="libsvm_coupling", A=float(model.probA_[0]), B=float(model.probB_[0]))
    return out


def _linear(model, name):
    classes = len(model.classes_) if hasattr(model, "classes_") else None
    coef, intercept = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
    if len(intercept) == 1 and len(coef) > 1:
        intercept = np.repeat(intercept, len(coef))
    link = "identity"
    if classes and "Logistic" in name:
        link = "logistic" if len(coef) == 1 else "softmax"
    return {"kind": "linear", "coef": _numbers(coef) if len(coef) > 1 else _numbers(coef[0]), "intercept": _numbers(intercept), "link": link}


def _gaussian_process(model):
    from sklearn.gaussian_process.kernels import ConstantKernel, Product, RBF
    _two_classes(model)
    fitted = model.base_estimator_
    kernel = fitted.kernel_
    if isinstance(kernel, RBF):
        constant, rbf = 1.0, kernel
    elif isinstance(kernel, Product) and isinstance(kernel.k1, ConstantKernel) and isinstance(kernel.k2, RBF):
        constant, rbf = float(kernel.k1.constant_value), kernel.k2
    else:
        raise ValueError("only Gaussian processes with the kernel constant * RBF are exported")
    return {"kind": "gp_laplace", "kernel": "constant*rbf", "constant": constant, "length_scale": _numbers(np.atleast_1d(rbf.length_scale)), "x": _numbers(fitted.X_train_),
            "y_minus_pi": _numbers(fitted.y_train_ - fitted.pi_), "w_sr": _numbers(fitted.W_sr_), "L": _numbers(np.tril(fitted.L_))}


def _calibrated(model):
    members = []
    for member in model.calibrated_classifiers_:
        base, (calibrator,) = _body(member.estimator), member.calibrators
        if not hasattr(member.estimator, "decision_function"):
            pass  # a forest: its probability is calibrated, which is its margin here
        if base["kind"] == "svm":
            base.update(probability="none")
            base.pop("A", None), base.pop("B", None)
        members.append({"base": base, "calibrator": {"kind": "sigmoid", "a": float(calibrator.a_), "b": float(calibrator.b_)} if hasattr(calibrator, "a_") else
                        {"kind": "isotonic", "x": _numbers(calibrator.X_thresholds_), "y": _numbers(calibrator.y_thresholds_)}})
    return {"kind": "calibrated", "members": members}


def _cox(model):
    """lifelines.CoxPHFitter without strata, splines or weights of its own."""
    if getattr(model, "strata", None) or getattr(model, "baseline_estimation_method", "breslow") != "breslow":
        raise ValueError("CoxPHFitter is exported without strata and with Breslow's baseline")
    hazard = model.baseline_cumulative_hazard_
    time, steps = np.asarray(hazard.index, dtype=np.float64), np.asarray(hazard.iloc[:, 0], dtype=np.float64)
    keep = np.diff(np.concatenate([[0.0], steps])) > 0
    return {"kind": "cox", "coef": _numbers(model.params_), "centre": _numbers(model._norm_mean), "ties": "efron",
            "baseline": {"at": "centre", "time": _numbers(time[keep]), "cumulative_hazard": _numbers(steps[keep])}}


def _body(model):
    name = type(model).__name__
    if name == "CoxPHFitter":
        return _cox(model)
    classes = len(model.classes_) if hasattr(model, "classes_") and np.ndim(model.classes_) == 1 else None
    if name.startswith(("RandomForest", "ExtraTrees")):
        return _forest(model.estimators_, classes)
    if name.startswith(("DecisionTree", "ExtraTree")):
        return _forest([model], classes)
    if name.startswith("GradientBoosting"):
        return _gradient_boosting(model)
    if name.startswith("HistGradientBoosting"):
        return _hist_gradient_boosting(model)
    if name == "AdaBoostClassifier":
        return _ada_boost(model)
    if name in ("SVC", "NuSVC", "SVR", "NuSVR"):
        return _svm(model)
    if name == "GaussianNB":
        return {"kind": "gaussian_nb", "prior": _numbers(model.class_prior_), "mean": _numbers(model.theta_), "var": _numbers(model.var_)}
    if name == "MLPClassifier":
        return {"kind": "mlp", "coefs": [_numbers(c) for c in model.coefs_], "intercepts": [_numbers(i) for i in model.intercepts_], "activation": model.activation,
                "output": model.out_activation_}
    if name == "KNeighborsClassifier":
        if model.effective_metric_ != "euclidean":
            raise ValueError("only the Euclidean metric is exported")
        return {"kind": "knn", "k": int(model.n_neighbors), "weights": model.weights, "metric": "euclidean", "x": _numbers(model._fit_X), "y": [int(c) for c in model._y],
                "ties": "training row index ascending"}
    if name == "GaussianProcessClassifier":
        return _gaussian_process(model)
    if name == "CalibratedClassifierCV":
        return _calibrated(model)
    if hasattr(model, "coef_"):
        return _linear(model, name)
    raise ValueError(f"choana_export does not know {name}")


def ir(model, features):
    """The neutral form (IR 1) of a fitted model."""
    scaler = None
    if type(model).__name__ == "Pipeline":
        *before, (_, last) = model.steps
        for _, step in before:
            if type(step).__name__ != "StandardScaler" or scaler is not None:
                raise ValueError("a Pipeline may hold one StandardScaler before the model")
            mean = step.mean_ if step.with_mean else np.zeros(step.n_features_in_)
            scaler = {"kind": "standard", "mean": _numbers(mean), "scale": _numbers(step.scale_ if step.with_std else np.ones(step.n_features_in_))}
        model = last
    body = _body(model)
    document = {"ir": 1, "kind": body.pop("kind"), "features": list(features)}
    if scaler:
        document["scaler"] = scaler
    return {**document, **body}


def expected(model, rows):
    """What the live model says: the probability of class 1, one column a class, a decision, a value, or a log hazard (Cox)."""
    if type(model).__name__ == "CoxPHFitter":
        return np.asarray(model.predict_log_partial_hazard(np.asarray(rows))).reshape(len(rows), -1)
    if hasattr(model, "predict_proba"):
        p = np.asarray(model.predict_proba(rows))
        return p[:, 1:2] if p.shape[1] == 2 else p
    return np.asarray(model.decision_function(rows) if hasattr(model, "decision_function") else model.predict(rows)).reshape(len(rows), -1)


def write_inputs(model, features, rows, folder):
    """model.ir.json, features.csv and rows.csv: what `choana model import --format ir` takes."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.ir.json").write_text(json.dumps(ir(model, features), allow_nan=False, separators=(",", ":")) + "\n")
    with open(folder / "features.csv", "w", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([["feature"], *([f] for f in features)])
    values = expected(model, rows)
    names = ["expected"] if values.shape[1] == 1 else [f"expected.{c}" for c in range(values.shape[1])]
    with open(folder / "rows.csv", "w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["case", *features, *names])
        for n, (row, value) in enumerate(zip(np.asarray(rows, dtype=np.float64), values)):
            writer.writerow([f"row-{n + 1}", *("" if np.isnan(v) else format(v, ".17g") for v in row), *(format(float(v), ".17g") for v in value)])


def _cell(value):
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else format(float(value), ".17g")


def export(model, x_train, features, folder, rows=None, package_id=None, version="1.0.0", title=None, tolerance=1e-9, background=50, seed=1, horizon=None):
    """Write a whole package into `folder` (new). rows: at least 20 for the self-test, chosen from x_train if not given.
    background: so many training rows explain models that need them (they are patients' rows: 0 leaves them out).
    horizon: of a Cox model, a time in its unit; the package then gives the survival up to it, otherwise the log hazard."""
    x_train, folder = np.asarray(x_train, dtype=np.float64), pathlib.Path(folder)
    rows = x_train[:60] if rows is None else np.asarray(rows, dtype=np.float64)
    if len(rows) < 20:
        raise ValueError("the self-test needs at least 20 rows")
    document = ir(model, features)
    if horizon is not None and document["kind"] != "cox":
        raise ValueError("a horizon belongs to a Cox model")
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "model.ir.json").write_text(json.dumps(document, allow_nan=False, separators=(",", ":")) + "\n")
    with np.errstate(all="ignore"), open(folder / "features.csv", "w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["order", "id", "role", "roi", "kind", "feature", "unit", "train_mean", "train_sd", "q01", "q99"])
        for n, name in enumerate(features):
            column = x_train[~np.isnan(x_train[:, n]), n]
            writer.writerow([n + 1, name, "", "", "table", name, "1", _cell(column.mean()), _cell(column.std()), *(_cell(q) for q in np.quantile(column, [0.01, 0.99]))])
    values = expected(model, rows)
    classes = values.shape[1]
    margins = _margins(model, document, rows, values)
    suffixes = [""] if classes == 1 else [f".{c}" for c in range(classes)]
    with open(folder / "selftest.csv", "w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["case", *features, *("model" + s for s in suffixes), *("model.margin" + s for s in suffixes)])
        for n in range(len(rows)):
            writer.writerow([f"row-{n + 1}", *(_cell(float(v)) for v in rows[n]), *(_cell(float(v)) for v in values[n]), *(_cell(float(v)) for v in margins[n])])
    complete = x_train[~np.isnan(x_train).any(axis=1)]
    has_background = background > 0 and len(complete) > 0
    if has_background:
        chosen = complete[np.random.default_rng(seed).permutation(len(complete))[:min(background, 100)]]
        with open(folder / "background.csv", "w", newline="") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(features)
            writer.writerows([[_cell(float(v)) for v in row] for row in chosen])
    title = title or f"{type(model).__name__} exported from scikit-learn"
    (folder / "manifest.yaml").write_text(
        f"format: choana-model/1\nid: {package_id or folder.name}\nversion: {version}\ntitle: {json.dumps(title)}\nstatus: research\n"
        'intended_use: "Exported with choana_export.py; its intended use has not been stated."\ninputs: {}\nfeatures: features.csv\nstages:\n'
        f"  - {{id: model, type: {document['kind']}, file: model/model.ir.json, in: table}}\noutputs:\n  - {{from: model, name: prediction, endpoint: PREDICTION, primary: true{f', horizon: {float(horizon)!r}' if horizon is not None else ''}}}\n"
        + ("background: background.csv\n" if has_background else "")
        + f"missing: {{table: pass}}\nuncertainty: {{quantile_guard: [0.01, 0.99]}}\nselftest: {{file: selftest.csv, tolerance: {{stages: {tolerance!r}}}}}\nintegrity: {{sums: SHA256SUMS}}\n")
    (folder / "MODEL_CARD.md").write_text(f"# {title}\n\nComplete this card: population, limits, contact."
                                          + (" background.csv and, for some kinds of model, the model itself hold rows of training data.\n" if has_background else "\n"))
    sums = [(p.relative_to(folder).as_posix(), hashlib.sha256(p.read_bytes()).hexdigest()) for p in folder.rglob("*") if p.is_file()]
    (folder / "SHA256SUMS").write_text("".join(f"{digest}  {path}\n" for path, digest in sorted(sums)))


def _margins(model, document, rows, values):
    """The margin of the IR kind, from the live model where it has a method for it."""
    kind, link = document["kind"], document.get("link", "identity")
    last = model.steps[-1][1] if type(model).__name__ == "Pipeline" else model
    if kind in ("knn", "cox") or (kind in ("tree_ensemble", "linear") and link == "identity"):
        return values
    if kind == "tree_ensemble" and type(last).__name__ == "AdaBoostClassifier":
        p = values
        return np.log(p) - np.log1p(-p)
    if kind in ("tree_ensemble", "linear", "svm"):
        decision = model.decision_function(rows) if hasattr(model, "decision_function") else model.predict(rows)
        return np.asarray(decision).reshape(len(rows), -1)
    if kind == "gaussian_nb":
        joint = last.predict_joint_log_proba(model[:-1].transform(rows) if last is not model else rows)
        return joint[:, 1:2] - joint[:, :1] if joint.shape[1] == 2 else joint
    if kind == "gp_laplace":
        z = model[:-1].transform(rows) if last is not model else rows
        fitted = last.base_estimator_
        return (fitted.kernel_(fitted.X_train_, z).T @ (fitted.y_train_ - fitted.pi_)).reshape(-1, 1)
    if kind == "mlp":
        z = model[:-1].transform(rows) if last is not model else rows
        activation = z
        for layer, (w, b) in enumerate(zip(last.coefs_, last.intercepts_)):
            activation = activation @ w + b
            if layer + 1 < len(last.coefs_):
                activation = {"relu": lambda a: np.maximum(a, 0), "tanh": np.tanh, "logistic": lambda a: 1 / (1 + np.exp(-a)), "identity": lambda a: a}[last.activation](activation)
        return activation
    with np.errstate(divide="ignore"):
        return np.clip(np.log(values) - np.log1p(-values), -37, 37)
