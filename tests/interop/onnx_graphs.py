#!/usr/bin/env python3
"""Compare our ONNX walker with ONNX Runtime and scikit-learn on graphs that skl2onnx writes, and on a ResNet50.

    python onnx_graphs.py --runner build/bench/bin/onnx_run

Python with scikit-learn 1.9.1, skl2onnx 1.20.0, onnx 1.17.0, onnxruntime 1.31.1. 500 rows a model. Exit 0 when every graph is within the tolerance of one of its two references: ONNX Runtime errs on some graphs and refuses others (spec notes).
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (AdaBoostClassifier, ExtraTreesClassifier, GradientBoostingClassifier, GradientBoostingRegressor, HistGradientBoostingClassifier,
                              RandomForestClassifier, RandomForestRegressor)
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, RobustScaler, StandardScaler
from sklearn.svm import SVC, SVR, NuSVC
from sklearn.tree import DecisionTreeClassifier

warnings.simplefilter("ignore")
onnxruntime.set_default_logger_severity(4)


def models():
    yield "logistic", LogisticRegression()
    yield "logistic, three classes", LogisticRegression(), 3
    yield "scaler + logistic", make_pipeline(StandardScaler(), LogisticRegression())
    yield "min-max + logistic", make_pipeline(MinMaxScaler(), LogisticRegression())
    yield "robust + logistic", make_pipeline(RobustScaler(), LogisticRegression())
    yield "imputer + logistic", make_pipeline(SimpleImputer(), LogisticRegression())
    yield "normalizer + logistic", make_pipeline(Normalizer(), LogisticRegression())
    yield "decision tree", DecisionTreeClassifier(max_depth=5, random_state=0)
    yield "random forest", RandomForestClassifier(40, random_state=0)
    yield "random forest, three classes", RandomForestClassifier(40, random_state=0), 3
    yield "extra trees", ExtraTreesClassifier(40, random_state=0)
    yield "gradient boosting", GradientBoostingClassifier(n_estimators=40, random_state=0)
    yield "gradient boosting, three classes", GradientBoostingClassifier(n_estimators=30, random_state=0), 3
    yield "hist gradient boosting", HistGradientBoostingClassifier(max_iter=40, random_state=0)
    yield "ada boost", AdaBoostClassifier(n_estimators=25, random_state=0)
    yield "svc rbf, probability", make_pipeline(StandardScaler(), SVC(probability=True, random_state=0))
    yield "svc rbf, probability, three classes", make_pipeline(StandardScaler(), SVC(probability=True, random_state=0)), 3
    yield "svc linear, probability", SVC(kernel="linear", probability=True, random_state=0)
    yield "svc poly, probability", SVC(kernel="poly", probability=True, random_state=0)
    yield "nu-svc, probability", NuSVC(probability=True, random_state=0)
    yield "knn uniform", KNeighborsClassifier(5)
    yield "gaussian nb", GaussianNB()
    yield "gaussian nb, three classes", GaussianNB(), 3
    yield "mlp relu", make_pipeline(StandardScaler(), MLPClassifier((16, 8), random_state=0, max_iter=300))
    yield "mlp tanh, three classes", make_pipeline(StandardScaler(), MLPClassifier((12,), activation="tanh", random_state=0, max_iter=300)), 3
    yield "mlp logistic", make_pipeline(StandardScaler(), MLPClassifier((12,), activation="logistic", random_state=0, max_iter=300))
    yield "calibrated logistic", CalibratedClassifierCV(LogisticRegression(), cv=3)
    yield "lda", LinearDiscriminantAnalysis()
    yield "qda", QuadraticDiscriminantAnalysis()
    yield "gaussian process", GaussianProcessClassifier(ConstantKernel(1.0) * RBF(2.0), optimizer=None)


def regressors():
    yield "linear regression", LinearRegression()
    yield "ridge", Ridge()
    yield "lasso", make_pipeline(StandardScaler(), Lasso(0.05))
    yield "random forest regressor", RandomForestRegressor(30, random_state=0)
    yield "gradient boosting regressor", GradientBoostingRegressor(n_estimators=30, random_state=0)
    yield "svr", make_pipeline(StandardScaler(), SVR())
    yield "knn regressor", KNeighborsRegressor(4)


def run_ours(runner, model, x, name, output, folder):
    with open(f"{folder}/m.onnx", "wb") as f:
        f.write(model.SerializeToString())
    x.tofile(f"{folder}/x.raw")
    shape = ",".join(str(n) for n in x.shape)
    done = subprocess.run([runner, f"{folder}/m.onnx", output, f"{folder}/y.raw", "1", f"{name}={folder}/x.raw:{shape}"], capture_output=True, text=True)
    if done.returncode != 0:
        return None, done.stderr.strip()
    return open(f"{folder}/y.raw", "rb").read(), ""


def compare(runner, folder):
    rng = np.random.default_rng(11)
    bad = 0
    ran = 0
    largest = 0.0

    def data(classes):
        x = rng.normal(size=(700, 8)) * np.array([1, 2, 0.5, 10, 1, 1, 3, 1]) + 1
        score = x[:, 0] - 0.4 * x[:, 1] + 0.1 * x[:, 3] + 0.5 * x[:, 4] * x[:, 5] + rng.normal(size=700)
        y = np.digitize(score, np.quantile(score, np.linspace(0, 1, classes + 1)[1:-1]))
        return x.astype(np.float32), y, score

    jobs = [(name, model, rest[0] if rest else 2, True) for name, model, *rest in models()] + [(name, model, 2, False) for name, model in regressors()]
    for name, model, classes, classifier in jobs:
        for dtype in (np.float32, np.float64):
            x, y, score = data(classes)
            model.fit(x[:200], y[:200] if classifier else score[:200])
            rows = x[200:].astype(dtype)
            kind = FloatTensorType if dtype == np.float32 else DoubleTensorType
            label = f"{name} ({np.dtype(dtype).name})"
            try:
                options = {id(model): {"zipmap": False}} if classifier else None
                graph = to_onnx(model, initial_types=[("x", kind([None, 8]))], options=options, target_opset={"": 17, "ai.onnx.ml": 3})
            except Exception as error:  # the exporter cannot: nothing to run
                print(f"not exported  {label}: {type(error).__name__}")
                continue
            output = graph.graph.output[-1].name
            expected = model.predict_proba(rows) if classifier else model.predict(rows).reshape(-1, 1)
            try:
                runtime = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"]).run([output], {"x": rows})[0]
            except Exception as error:
                runtime = None
            raw, message = run_ours(runner, graph, rows, "x", output, folder)
            if raw is None:
                print(f"NOT RUN       {label}: {message}")
                bad += 1
                continue
            size = len(raw) // expected.size
            ours = np.frombuffer(raw, np.float32 if size == 4 else np.float64).reshape(expected.shape)
            to_sklearn = float(np.abs(ours - expected).max())
            to_runtime = float(np.abs(ours - runtime.reshape(ours.shape)).max()) if runtime is not None else None
            scale = max(1.0, float(np.abs(expected).max()))
            # A Gaussian process in single precision solves an ill-conditioned system: every runtime rounds it in its own way.
            limit = 5e-4 if name == "gaussian process" and dtype == np.float32 else 2e-5
            ok = to_sklearn <= limit * scale or (to_runtime is not None and to_runtime <= limit * scale)
            best = min(to_sklearn, to_runtime if to_runtime is not None else np.inf)
            largest = max(largest, best if ok else 0)
            ran += 1
            bad += not ok
            shown = "refused" if to_runtime is None else f"{to_runtime:.1e}"
            print(f"{'same         ' if ok else 'DIFFERS      '} {label}: from scikit-learn {to_sklearn:.1e}, from ONNX Runtime {shown}")
    print(f"{ran} graphs ran, {bad} outside, largest difference to the nearer reference {largest:.1e}")
    return bad


def resnet(runner, folder):
    """A ResNet50 with random weights: the same file in both runtimes, one thread each."""
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "conf", "models", "scripts"))
    from make_resnet import make_resnet
    bad = 0
    for folded in (False, True):
        model = make_resnet(64, 1000, folded, 13 if not folded else 18)
        x = np.random.default_rng(3).normal(size=(1, 3, 224, 224)).astype(np.float32)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        times = []
        for _ in range(6):
            before = resource.getrusage(resource.RUSAGE_SELF)
            expected = session.run(["logits"], {"input": x})[0]
            after = resource.getrusage(resource.RUSAGE_SELF)
            times.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000)
        with open(f"{folder}/r.onnx", "wb") as f:
            f.write(model.SerializeToString())
        x.tofile(f"{folder}/x.raw")
        done = subprocess.run([runner, f"{folder}/r.onnx", "logits", f"{folder}/y.raw", "6", f"input={folder}/x.raw:1,3,224,224"], capture_output=True, text=True)
        if done.returncode != 0:
            print("NOT RUN       ResNet50:", done.stderr)
            bad += 1
            continue
        ours = np.fromfile(f"{folder}/y.raw", np.float32).reshape(expected.shape)
        difference = float(np.abs(ours - expected).max() / np.abs(expected).max())
        bad += difference > 1e-4
        print(f"ResNet50, {'folded' if folded else 'with batch normalisation'}: difference {difference:.1e} of the largest logit; "
              f"CPU ms a slice: ours {json.loads(done.stdout)['cpu_ms']:.1f}, ONNX Runtime {min(times):.1f}")
    return bad


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--runner", required=True)
    arguments = parser.parse_args()
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    with tempfile.TemporaryDirectory() as work:
        failures = compare(os.path.abspath(arguments.runner), work) + resnet(os.path.abspath(arguments.runner), work)
    sys.exit(1 if failures else 0)
