#!/usr/bin/env python3
"""ONNX models as model packages: skl2onnx exports, `choana model import`, `choana model check`, `choana predict`, held against scikit-learn and ONNX Runtime.

    python onnx_packages.py --program build/dev/bin/choana --work FOLDER

At least 500 rows a model: held-out ones, rows with missing values where the model takes them, rows on split thresholds and one step beside. A difference counts from
scikit-learn or from ONNX Runtime, whichever is nearer: each errs on some graphs (spec notes). What skl2onnx exports as another model must be refused by the self-test: k nearest neighbours by
distance (it writes uniform weights), and forests that learned which way a missing value goes (it writes that none goes left). It never returns on a forest with infinite thresholds in double.
"""
import argparse
import functools
import csv
import math
import os
import subprocess
import sys
import warnings

import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import AdaBoostClassifier, ExtraTreesClassifier, GradientBoostingClassifier, GradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Lasso, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

warnings.simplefilter("ignore")
print = functools.partial(print, flush=True)
onnxruntime.set_default_logger_severity(4)
FEATURES = [f"f{n}" for n in range(7)]
TREES = {"n_estimators": 30, "random_state": 1}


def jobs():
    """name, model, classes (0: a regressor), takes missing values, what to compare, zipmap."""
    scaled = lambda model: make_pipeline(StandardScaler(), model)  # noqa: E731
    yield "random forest", RandomForestClassifier(**TREES), 2, False, "probability", True
    yield "random forest, three classes", RandomForestClassifier(**TREES), 3, False, "probability", False
    yield "random forest with missing values", RandomForestClassifier(**TREES), 2, True, "refused", False
    yield "imputer + random forest", make_pipeline(SimpleImputer(), RandomForestClassifier(**TREES)), 2, True, "probability", False
    yield "extra trees", ExtraTreesClassifier(**TREES), 2, False, "probability", False
    yield "gradient boosting", GradientBoostingClassifier(**TREES), 2, False, "probability", False
    yield "ada boost", AdaBoostClassifier(**TREES), 2, False, "probability", False
    yield "svc, probability", scaled(SVC(probability=True, random_state=1)), 2, False, "probability", True
    yield "svc, probability, three classes", scaled(SVC(probability=True, random_state=1)), 3, False, "probability", False
    yield "svc, decision", scaled(SVC()), 2, False, "decision", False
    yield "svc, decision, three classes", scaled(SVC()), 3, False, "decision", False
    yield "svc linear, decision", scaled(SVC(kernel="linear")), 2, False, "decision", False
    yield "logistic", scaled(LogisticRegression()), 2, False, "probability", True
    yield "logistic, three classes", scaled(LogisticRegression()), 3, False, "probability", True
    yield "imputer + logistic", make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()), 2, True, "probability", False
    yield "knn uniform", KNeighborsClassifier(5), 2, False, "probability", False
    yield "knn distance", KNeighborsClassifier(5, weights="distance"), 2, False, "refused", False
    yield "gaussian nb", GaussianNB(), 2, False, "probability", False
    yield "mlp", scaled(MLPClassifier((16, 8), random_state=1, max_iter=300)), 2, False, "probability", False
    yield "mlp, three classes", scaled(MLPClassifier((12,), activation="tanh", random_state=1, max_iter=300)), 3, False, "probability", False
    yield "gaussian process", GaussianProcessClassifier(ConstantKernel(1.0) * RBF(2.0), optimizer=None), 2, False, "probability", False
    yield "calibrated logistic", CalibratedClassifierCV(LogisticRegression(), cv=3), 2, False, "probability", False
    yield "calibrated svc", CalibratedClassifierCV(SVC(gamma=0.05), ensemble=False), 2, False, "probability", False
    yield "random forest regressor", RandomForestRegressor(**TREES), 0, False, "value", False
    yield "gradient boosting regressor", GradientBoostingRegressor(**TREES), 0, False, "value", False
    yield "lasso", scaled(Lasso(0.02)), 0, False, "value", False


def thresholds(model):
    found = []
    for estimator in np.ravel(getattr(model[-1] if hasattr(model, "steps") else model, "estimators_", [])):
        if hasattr(estimator, "tree_"):
            found += [(f, t) for f, t in zip(estimator.tree_.feature, estimator.tree_.threshold) if f >= 0 and np.isfinite(t)]
    return found


def rows_of(rng, model, missing):
    rows = rng.normal(size=(500, len(FEATURES))).astype(np.float32).astype(np.float64)
    if missing:
        gaps = rng.normal(size=(80, len(FEATURES))).astype(np.float32).astype(np.float64)
        gaps[rng.random(gaps.shape) < 0.25] = np.nan
        rows = np.vstack([rows, gaps])
    edges = []
    splits = thresholds(model)
    for n in rng.permutation(len(splits))[:60]:
        feature, threshold = splits[n]
        for value in (threshold, np.nextafter(np.float32(threshold), np.float32(np.inf)), np.nextafter(np.float32(threshold), np.float32(-np.inf))):
            row = rng.normal(size=len(FEATURES)).astype(np.float32).astype(np.float64)
            row[feature] = np.float32(value)
            edges.append(row)
    return rows, np.array(edges).reshape(-1, len(FEATURES))


def expected_of(model, what, rows):
    if what == "decision":
        return model.decision_function(rows).reshape(len(rows), -1)
    if what == "value":
        return model.predict(rows).reshape(-1, 1)
    return model.predict_proba(rows)


def write_table(path, header, rows):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def cells(row):
    return ["" if math.isnan(v) else repr(float(v)) for v in row]


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr.strip()


def predict(program, package, rows, folder, explain=False):
    write_table(f"{folder}/rows.csv", ["case", *FEATURES], [[f"r{n}", *cells(row)] for n, row in enumerate(rows)])
    code, out, error = run(program, "predict", package, f"{folder}/rows.csv", *(["--explain"] if explain else []))
    if code != 0:
        raise RuntimeError(error)
    table = list(csv.reader(out.splitlines()))
    return table[0], table[1:]


def values_of(header, table, both):
    wanted = [n for n, name in enumerate(header) if name == "prediction" or (name.startswith("prediction.") and name[11:].isdigit())]
    values = np.array([[float(row[n]) for n in wanted] for row in table])
    return values[:, 1:] if both and values.shape[1] == 2 else values


def compare(program, work, only=""):
    bad = total = 0
    for name, model, classes, missing, what, zipmap in jobs():
        if only not in name:
            continue
        rng = np.random.default_rng(5)
        x = rng.normal(size=(420, len(FEATURES))).astype(np.float32).astype(np.float64)
        signal = x[:, 0] - 0.6 * x[:, 1] + 0.5 * x[:, 2] * x[:, 3] + 0.4 * rng.normal(size=len(x))
        y = signal if classes == 0 else np.digitize(signal, np.quantile(signal, np.linspace(0, 1, classes + 1)[1:-1]))
        train = x[:200] if "process" in name else x
        if missing:
            train = train.copy()
            train[rng.random(train.shape) < 0.1] = np.nan
        model.fit(train, y[:len(train)])
        rows, edges = rows_of(rng, model, missing)
        for kind, dtype in ((FloatTensorType, np.float32), (DoubleTensorType, np.float64)):
            if "with missing" in name and dtype == np.float64:
                continue
            label = f"{name} ({np.dtype(dtype).name})"
            folder = os.path.join(work, label.replace(" ", "_").replace(",", ""))
            os.makedirs(folder, exist_ok=True)
            try:
                options = {id(model): {"zipmap": zipmap}} if classes else None
                graph = to_onnx(model, initial_types=[("x", kind([None, len(FEATURES)]))], options=options, target_opset={"": 17, "ai.onnx.ml": 3})
            except Exception as error:
                print(f"not exported  {label}: {type(error).__name__}")
                continue
            with open(f"{folder}/model.onnx", "wb") as file:
                file.write(graph.SerializeToString())
            write_table(f"{folder}/features.csv", ["feature"], [[f] for f in FEATURES])
            truth = expected_of(model, "probability" if what == "refused" else what, rows)
            edge_truth = expected_of(model, what, edges) if len(edges) else np.zeros((0, truth.shape[1]))
            single = truth.shape[1] == 1
            header = ["case", *FEATURES, *(["expected"] if single else [f"expected.{c}" for c in range(truth.shape[1])])]
            some = [n for n in range(40)] + ([n for n in range(500, 540)] if missing else [])
            write_table(f"{folder}/selftest.csv", header, [[f"case-{n}", *cells(rows[n]), *map(repr, map(float, truth[n]))] for n in some])
            write_table(f"{folder}/background.csv", FEATURES, [cells(row) for row in rows[40:60]])
            package = f"{folder}/package"
            run("rm", "-rf", package)
            tolerance = "1e-3" if "process" in name and dtype == np.float32 else "2e-5"
            code, out, error = run(program, "model", "import", f"{folder}/model.onnx", "--format", "onnx", "--features", f"{folder}/features.csv", "--selftest", f"{folder}/selftest.csv",
                                   "--background", f"{folder}/background.csv", "--tolerance", tolerance, "--out", package)
            total += 1
            if what == "refused":
                refused = code != 0 and "expected" in error and not os.path.exists(package)
                bad += not refused
                print(f"{'refused      ' if refused else 'ADMITTED     '} {label}: {error[:150]}")
                continue
            if code != 0:
                print(f"NOT IMPORTED  {label}: {error}")
                bad += 1
                continue
            for command in (("model", "check", package), ("model", "show", package)):
                code, out, error = run(program, *command)
                if code != 0:
                    print(f"NOT CHECKED   {label}: {error}")
                    bad += 1
            try:
                session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
                made = session.run(None, {"x": np.vstack([rows, edges]).astype(dtype)})[-1]
                runtime = np.array([[one[c] for c in sorted(one)] for one in made]) if zipmap else np.asarray(made)
                runtime = runtime.reshape(len(rows) + len(edges), -1)[:, :truth.shape[1]]  # a decision and its negative
            except Exception:
                runtime = None
            every = np.vstack([rows, edges])
            every_truth = np.vstack([truth, edge_truth])
            try:
                header, table = predict(program, package, every, folder)
            except RuntimeError as error:
                print(f"NOT PREDICTED {label}: {error}")
                bad += 1
                continue
            ours = values_of(header, table, both=False)
            limit = float(tolerance) * np.maximum(1, np.abs(every_truth))
            apart = np.abs(ours - every_truth)
            other = np.abs(ours - runtime) if runtime is not None else np.full_like(apart, np.inf)
            outside = ((apart > limit) & (other > limit)).any(axis=1)
            flips = ((apart > limit) & (other <= limit)).any(axis=1)
            header, table = predict(program, package, rows[:3], folder, explain=True)
            base, margin = header.index(next(h for h in header if h.startswith("prediction.base"))), header.index(next(h for h in header if h.startswith("prediction.margin")))
            suffix = header[base][len("prediction.base"):]
            shares = [n for n, h in enumerate(header) if h.startswith("prediction.shap.") and h.endswith(suffix)]
            # A Gaussian process in single precision rounds a batch of rows otherwise than one row, by more than an explanation may be off: then none is shown.
            withheld = any(row[base] == "" for row in table)
            gap = math.inf if withheld else max(abs(float(row[base]) + sum(float(row[n]) for n in shares) - float(row[margin])) for row in table)
            ok = not outside.any() and (gap < 1e-6 or (withheld and "process" in name and dtype == np.float32)) and len(shares) == len(FEATURES)
            bad += not ok
            shown = "refused" if runtime is None else f"{other.max():.1e}"
            print(f"{'same         ' if ok else 'DIFFERS      '} {label}: {len(every)} rows, from scikit-learn {apart.max():.1e}, from ONNX Runtime {shown}"
                  + (f", {flips.sum()} rows as ONNX Runtime and not as scikit-learn" if flips.any() else "") + (f", {outside.sum()} ROWS AS NEITHER" if outside.any() else "") + (", explanations withheld" if withheld else f", explanations add up to {gap:.0e}"))
    print(f"{total} packages, {bad} wrong")
    return bad


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--only", default="", help="models whose name holds this word")
    arguments = parser.parse_args()
    sys.exit(1 if compare(os.path.abspath(arguments.program), os.path.abspath(arguments.work), arguments.only) else 0)
