#!/usr/bin/env python3
"""Models of real libraries beside `choana model import` and `choana predict`: every margin, value and Shapley value.

    models.py make WORK                    train with the libraries of this environment, write WORK/<case>/
    models.py compare WORK --program CHOANA  import, score and hold against what the libraries said

Each case has 500 rows and more: rows with missing values, and rows on split thresholds and one float (or double) beside.
Bars: XGBoost, LightGBM and CatBoost margins equal to the last bit; scikit-learn 1e-12; Shapley values 1e-12 of brute
force where the model is small enough, and the libraries' own within what their arithmetic allows (named by case).
"""

import argparse
import csv
import importlib
import itertools
import json
import pathlib
import subprocess
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent


def data(rng, rows=520, columns=8, missing=0.08):
    x = rng.standard_normal((rows, columns)) * np.array([1, 10, 0.1, 100, 3, 1, 1, 5])[:columns]
    x[:, columns - 1] = np.round(x[:, columns - 1])  # ties, zeros and whole numbers
    signal = np.tanh(x[:, 0]) + x[:, 1] / 20 - x[:, 2] * 4 * (x[:, columns - 2] > 0)
    p = 1 / (1 + np.exp(-2 * signal))
    y = (rng.random(rows) < p).astype(int)
    if missing:
        x[rng.random(x.shape) < missing] = np.nan
    return x, y, signal


def beside(rng, x, splits, single, count=140):
    """Rows on a threshold and one step beside it: splits are (feature, threshold)."""
    splits = [s for s in splits if np.isfinite(s[1]) and abs(s[1]) < 1e30]
    rng.shuffle(splits)
    rows = []
    for feature, threshold in splits[:count // 3]:
        for way in (0, -np.inf, np.inf):
            row = x[rng.integers(len(x))].copy()
            kind = np.float32 if single else np.float64
            at = kind(threshold)
            row[int(feature)] = float(at if way == 0 else np.nextafter(at, kind(way)))
            rows.append(row)
    return np.vstack([x] + rows) if rows else x


def write_case(work, name, form, library, write_model, rows, values, margins, shap_values=None, base=None, names=None, tolerance=None, shap_tolerance=1e-6):
    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    names = names or [f"f{n}" for n in range(rows.shape[1])]
    model = write_model(folder)
    with open(folder / "features.csv", "w") as out:
        out.write("feature\n" + "".join(n + "\n" for n in names))
    values = np.asarray(values, dtype=np.float64).reshape(len(rows), -1)
    header = ["case", *names, *(["expected"] if values.shape[1] == 1 else [f"expected.{c}" for c in range(values.shape[1])])]
    with open(folder / "rows.csv", "w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(header)
        for n, (row, value) in enumerate(zip(rows, values)):
            writer.writerow([f"r{n}", *("" if np.isnan(v) else repr(float(v)) for v in row), *(repr(float(v)) for v in value)])
    arrays = {"values": values, "margins": np.asarray(margins, dtype=np.float64).reshape(len(rows), -1)}
    if shap_values is not None:
        shap_values = np.asarray(shap_values, dtype=np.float64)
        arrays["shap"] = shap_values.reshape(len(rows), len(names), -1)
        arrays["base"] = np.asarray(base, dtype=np.float64).reshape(-1)
    np.savez(folder / "expected.npz", **arrays)
    meta = {"format": form, "library": library, "model": model, "tolerance": tolerance or 0.0, "shap_tolerance": shap_tolerance}
    (folder / "meta.json").write_text(json.dumps(meta))


def xgboost_cases(work, tag):
    import xgboost as xgb
    version = tuple(int(v) for v in xgb.__version__.split(".")[:2])
    library = f"xgboost {xgb.__version__}"
    rng = np.random.default_rng(11)
    x, y, signal = data(rng)
    y3 = np.digitize(signal, [-0.5, 0.5])
    time = np.exp(-signal + rng.standard_normal(len(y))) * np.where(rng.random(len(y)) < 0.3, -1, 1)
    common = {"max_depth": 4, "eta": 0.3, "seed": 1, "nthread": 1}
    cases = [("logistic", {"objective": "binary:logistic"}, y, "json"), ("logistic_ubj", {"objective": "binary:logistic", "base_score": 0.37}, y, "ubj"),
             ("logitraw", {"objective": "binary:logitraw", "base_score": 0.3}, y, "json"), ("cox", {"objective": "survival:cox"}, time, "json"),
             ("softprob", {"objective": "multi:softprob", "num_class": 3}, y3, "json"), ("softprob_ubj", {"objective": "multi:softprob", "num_class": 3}, y3, "ubj"),
             ("dart", {"objective": "binary:logistic", "booster": "dart", "rate_drop": 0.3}, y, "json"),
             ("forest", {"objective": "binary:logistic", "num_parallel_tree": 25, "subsample": 0.7, "colsample_bynode": 0.6, "eta": 1, "rounds": 1}, y, "json"),
             ("squarederror", {"objective": "reg:squarederror"}, signal, "json"), ("poisson", {"objective": "count:poisson"}, np.round(np.exp(signal / 2)), "json"),
             ("gamma", {"objective": "reg:gamma"}, np.exp(signal), "json"), ("tweedie", {"objective": "reg:tweedie"}, np.exp(signal), "json"),
             ("pseudohuber", {"objective": "reg:pseudohubererror"}, signal, "json"), ("reg_logistic", {"objective": "reg:logistic", "base_score": 0.2}, y, "json"),
             ("hinge", {"objective": "binary:hinge"}, y, "json"), ("absoluteerror", {"objective": "reg:absoluteerror"}, signal, "json"),
             ("gblinear", {"objective": "binary:logistic", "booster": "gblinear"}, y, "json"),
             ("gblinear_softprob", {"objective": "multi:softprob", "num_class": 3, "booster": "gblinear"}, y3, "json"),
             ("stump_only", {"objective": "binary:logistic", "max_depth": 1, "rounds": 1}, y, "json"),
             ("single_leaf", {"objective": "binary:logistic", "gamma": 1e9, "rounds": 2}, y, "json"),
             ("lossguide", {"objective": "binary:logistic", "grow_policy": "lossguide", "tree_method": "hist", "max_leaves": 20, "max_depth": 0}, y, "json")]
    categories = np.round(np.abs(x)) % 7
    categories[np.isnan(x)] = np.nan
    for name, parameters, target, extension in cases + [("categorical", {"objective": "binary:logistic", "tree_method": "hist", "max_cat_to_onehot": 2}, y, "json")]:
        parameters = dict(parameters)
        rounds = parameters.pop("rounds", 30)
        points, types = x, None
        if name == "categorical":
            types = ["q"] * 6 + ["c"] * 2
            points = x.copy()
            points[:, 6:] = categories[:, 6:]
        settings = {**({} if "gblinear" in name else common), **parameters}
        try:
            train = xgb.DMatrix(points, target, feature_types=types, enable_categorical=types is not None)
            booster = xgb.train(settings, train, rounds)
        except xgb.core.XGBoostError as error:
            print(f"  {library} does not train {name}: {str(error).splitlines()[0][:100]}")
            continue
        text = json.loads(booster.save_raw("json"))
        splits = []
        gradient = text["learner"]["gradient_booster"]
        gradient = gradient.get("gbtree", gradient)
        for tree in gradient["model"].get("trees", []):
            splits += [(f, t) for f, t, l, k in zip(tree["split_indices"], tree["split_conditions"], tree["left_children"], tree["split_type"]) if l >= 0 and k == 0]
        rows = beside(rng, points, splits, True)
        if name == "categorical":
            strange = rows[:6].copy()
            strange[:, 6] = [50, 7, 0, 1e7, 2, np.nan]
            rows = np.vstack([rows, strange])
        matrix = xgb.DMatrix(rows, feature_types=types, enable_categorical=types is not None)
        margins, values = booster.predict(matrix, output_margin=True), booster.predict(matrix)
        shap_values = base = None
        if "gblinear" not in name:
            contributions = booster.predict(matrix, pred_contribs=True)
            contributions = contributions.reshape(len(rows), -1, contributions.shape[-1])
            shap_values, base = np.moveaxis(contributions[:, :, :-1], 1, 2), contributions[0, :, -1]
        file = f"model.{extension}"
        write_case(work, f"{tag}_{name}", "xgboost", library, lambda folder: booster.save_model(folder / file) or file, rows, values, margins, shap_values, base,
                   shap_tolerance=1e-4 if name == "categorical" else 2e-5)
    # scikit-learn's interface with early stopping predicts with the best round.
    early = xgb.XGBClassifier(n_estimators=200, max_depth=3, learning_rate=0.5, early_stopping_rounds=3, n_jobs=1, random_state=2)
    early.fit(x[:250], y[:250], eval_set=[(x[250:], y[250:])], verbose=False)
    write_case(work, f"{tag}_early_stopping", "xgboost", library, lambda folder: early.save_model(folder / "model.json") or "model.json", x, early.predict_proba(x)[:, 1],
               early.predict(x, output_margin=True))


def lightgbm_cases(work, tag):
    import lightgbm as lgb
    library = f"lightgbm {lgb.__version__}"
    rng = np.random.default_rng(12)
    x, y, signal = data(rng)
    x[rng.random(x.shape) < 0.05] = 0
    x[rng.random(x.shape) < 0.01] = 1e-36
    y3 = np.digitize(signal, [-0.5, 0.5])
    whole = x.copy()
    whole[:, 6] = np.abs(np.round(np.nan_to_num(x[:, 6]) * 3)) % 40
    whole[rng.random(len(x)) < 0.05, 6] = np.nan
    complete = np.nan_to_num(x)
    cases = [("binary", {"objective": "binary"}, x, y), ("binary_sigmoid", {"objective": "binary", "sigmoid": 1.7}, x, y), ("dart", {"objective": "binary", "boosting": "dart"}, x, y),
             ("forest", {"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}, x, y),
             ("forest_regression", {"objective": "regression", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}, x, signal),
             ("goss", {"objective": "binary", "data_sample_strategy": "goss"}, x, y), ("multiclass", {"objective": "multiclass", "num_class": 3}, x, y3),
             ("multiclassova", {"objective": "multiclassova", "num_class": 3, "sigmoid": 0.8}, x, y3), ("regression", {"objective": "regression"}, x, signal),
             ("regression_sqrt", {"objective": "regression", "reg_sqrt": True}, x, signal * 3), ("regression_l1", {"objective": "regression_l1"}, x, signal),
             ("huber", {"objective": "huber"}, x, signal), ("poisson", {"objective": "poisson"}, x, np.round(np.exp(signal / 2))), ("gamma", {"objective": "gamma"}, x, np.exp(signal)),
             ("tweedie", {"objective": "tweedie"}, x, np.exp(signal)), ("cross_entropy", {"objective": "cross_entropy"}, x, 1 / (1 + np.exp(-signal))),
             ("cross_entropy_lambda", {"objective": "cross_entropy_lambda"}, x, 1 / (1 + np.exp(-signal))), ("zero_as_missing", {"objective": "binary", "zero_as_missing": True}, x, y),
             ("no_missing", {"objective": "binary", "use_missing": False}, x, y), ("trained_complete", {"objective": "binary"}, complete, y),
             ("categorical", {"objective": "binary", "categorical_feature": [6], "min_data_per_group": 5, "cat_smooth": 1}, whole, y),
             ("categorical_onehot", {"objective": "binary", "categorical_feature": [7], "max_cat_to_onehot": 64, "min_data_per_group": 5}, np.abs(x), y),
             ("stump", {"objective": "binary", "num_leaves": 2, "rounds": 1}, x, y), ("single_leaf", {"objective": "binary", "min_gain_to_split": 1e9, "rounds": 2}, x, y)]
    for name, parameters, points, target in cases:
        parameters = dict(parameters)
        rounds = parameters.pop("rounds", 30)
        booster = lgb.train({"verbose": -1, "num_leaves": 15, "min_data_in_leaf": 5, "num_threads": 1, "seed": 3, **parameters}, lgb.Dataset(points, target), rounds)
        splits = []
        for tree in booster.dump_model()["tree_info"]:
            open_nodes = [tree["tree_structure"]]
            while open_nodes:
                node = open_nodes.pop()
                if "split_feature" in node:
                    if node["decision_type"] == "<=":
                        splits.append((node["split_feature"], node["threshold"]))
                    open_nodes += [node["left_child"], node["right_child"]]
        rows = beside(rng, points if name != "trained_complete" else x, splits, False)
        tail = rows[:8].copy()
        tail[:4, 0], tail[4:, 1] = [0.0, -0.0, 1e-35, 1.0000001e-35], [1e-36, -1e-36, -1.0000001e-35, np.nan]
        if name.startswith("categorical"):
            tail[:, 6] = tail[:, 7] = [-1, -0.5, 0.5, 3.9, 1e6, 3e9, 63, np.nan]
        rows = np.vstack([rows, tail])
        contributions = np.asarray(booster.predict(rows, pred_contrib=True))
        contributions = contributions.reshape(len(rows), -1, rows.shape[1] + 1)
        write_case(work, f"{tag}_{name}", "lightgbm", library, lambda folder: booster.save_model(folder / "model.txt") and "model.txt", rows, booster.predict(rows),
                   booster.predict(rows, raw_score=True), np.moveaxis(contributions[:, :, :-1], 1, 2), contributions[0, :, -1], shap_tolerance=1e-9)


def catboost_cases(work, tag):
    import catboost as cb
    library = f"catboost {cb.__version__}"
    rng = np.random.default_rng(13)
    x, y, signal = data(rng)
    y3 = np.digitize(signal, [-0.5, 0.5])
    cases = [("logloss", {"loss_function": "Logloss"}, y), ("multiclass", {"loss_function": "MultiClass"}, y3), ("one_vs_all", {"loss_function": "MultiClassOneVsAll"}, y3),
             ("rmse", {"loss_function": "RMSE"}, signal), ("poisson", {"loss_function": "Poisson"}, np.round(np.exp(signal / 2))), ("nan_max", {"loss_function": "Logloss", "nan_mode": "Max"}, y),
             ("lossguide", {"loss_function": "Logloss", "grow_policy": "Lossguide"}, y), ("depthwise", {"loss_function": "RMSE", "grow_policy": "Depthwise"}, signal),
             ("bias", {"loss_function": "RMSE", "boost_from_average": True}, signal + 100), ("deep", {"loss_function": "Logloss", "depth": 10, "iterations": 8}, y),
             ("multiclass_lossguide", {"loss_function": "MultiClass", "grow_policy": "Lossguide"}, y3), ("crossentropy", {"loss_function": "CrossEntropy"}, 1 / (1 + np.exp(-signal)))]
    for name, parameters, target in cases:
        model = cb.CatBoost({"iterations": 30, "depth": 5, "verbose": False, "random_seed": 4, "thread_count": 1, "allow_writing_files": False, **parameters}).fit(x, target)
        borders = [(f, b) for f, values in enumerate(model.get_borders().values()) for b in values]
        rows = beside(rng, x, borders, True)
        pool = cb.Pool(rows)
        loss = parameters["loss_function"]
        kind = "Probability" if loss in ("Logloss", "MultiClass", "MultiClassOneVsAll", "CrossEntropy") else "Exponent" if loss == "Poisson" else "RawFormulaVal"
        values = model.predict(pool, prediction_type=kind)
        if loss in ("Logloss", "CrossEntropy"):
            values = values[:, 1]
        shap_values = base = None
        # CatBoost's ShapValues break additivity on non-symmetric trees (spec/models.md 10).
        if "grow_policy" not in parameters:
            contributions = model.get_feature_importance(pool, type="ShapValues")
            contributions = contributions.reshape(len(rows), -1, rows.shape[1] + 1)
            shap_values, base = np.moveaxis(contributions[:, :, :-1], 1, 2), contributions[0, :, -1]
        write_case(work, f"{tag}_{name}", "catboost", library, lambda folder: model.save_model(str(folder / "model.json"), format="json") or "model.json", rows, values,
                   model.predict(pool, prediction_type="RawFormulaVal"), shap_values, base, tolerance=1e-12, shap_tolerance=1e-9)


def sklearn_cases(work, tag):
    sys.path.insert(0, str(HERE.parents[1] / "conf" / "exporters"))
    try:
        exporter = importlib.import_module("choana_export")
    except ModuleNotFoundError:
        print("  conf/exporters/choana_export.py is not there: no scikit-learn cases")
        return
    exporter_cases = importlib.import_module("models_sklearn")
    exporter_cases.write_cases(work, tag, exporter, data, beside, write_case)


def make(work):
    for module, cases in (("xgboost", xgboost_cases), ("lightgbm", lightgbm_cases), ("catboost", catboost_cases), ("sklearn", sklearn_cases)):
        try:
            version = importlib.import_module(module).__version__
        except ModuleNotFoundError:
            continue
        if module == "sklearn" and version.startswith(("0.", "1.0", "1.1", "1.2", "1.3")):
            continue
        print(f"training with {module} {version}", flush=True)
        cases(work, f"{module}-{'.'.join(version.split('.')[:2])}")


def compare(work, program):
    failures = 0
    print(f"{'case':<44}{'rows':>6}{'value':>11}{'margin':>11}{'shap':>11}")
    for folder in sorted(p.parent for p in work.glob("*/meta.json")):
        meta = json.loads((folder / "meta.json").read_text())
        expected = np.load(folder / "expected.npz")
        package, out = folder / "package", folder / "predicted.csv"
        subprocess.run(["rm", "-rf", str(package)], check=True)
        imported = subprocess.run([program, "model", "import", str(folder / meta["model"]), "--format", meta["format"], "--features", str(folder / "features.csv"),
                                   "--selftest", str(folder / "rows.csv"), "--out", str(package)], capture_output=True, text=True)
        if imported.returncode != 0:
            print(f"{folder.name:<44}  import: {imported.stderr.strip()[:300]}")
            failures += 1
            continue
        table = folder / "table.csv"
        with open(folder / "rows.csv") as rows, open(table, "w", newline="") as out_table:
            reader = csv.reader(rows)
            header = next(reader)
            keep = [c for c, n in enumerate(header) if not n.startswith("expected")]
            writer = csv.writer(out_table)
            writer.writerow([header[c] for c in keep])
            writer.writerows([[row[c] for c in keep] for row in reader])
        scored = subprocess.run([program, "predict", str(package), str(table), "--explain", "--out", str(out)], capture_output=True, text=True)
        if scored.returncode != 0:
            print(f"{folder.name:<44}  predict: {scored.stderr.strip()[:300]}")
            failures += 1
            continue
        with open(out) as lines:
            got = list(csv.DictReader(lines))
        names = [header[c] for c in keep[1:]]

        def columns(prefix, classes):
            return np.array([[float(row[prefix + s]) for s in ([""] if classes == 1 else [f".{c}" for c in range(classes)])] for row in got])

        classes = expected["values"].shape[1]
        value = np.abs(columns("prediction", classes) - expected["values"]).max()
        groups = expected["margins"].shape[1]
        margin = np.abs(columns("prediction.margin", groups) - expected["margins"]).max() if groups == classes else np.nan
        shap_difference = np.nan
        if "shap" in expected and "prediction.base" + ("" if classes == 1 else ".0") in got[0]:
            suffixes = [""] if classes == 1 else [f".{c}" for c in range(classes)]
            mine = np.array([[[float(row[f"prediction.shap.{n}{s}"]) for s in suffixes] for n in names] for row in got])
            bases = np.array([float(got[0]["prediction.base" + s]) for s in suffixes])
            shap_difference = max(np.abs(mine - expected["shap"]).max(), np.abs(bases - expected["base"]).max())
        bad = not (value <= max(meta["tolerance"], 1.2e-7 * max(1, np.abs(expected["values"]).max()) if meta["format"] == "xgboost" else 1e-13 * max(1, np.abs(expected["values"]).max())))
        bad = bad or (groups == classes and not margin <= meta["tolerance"]) or (not np.isnan(shap_difference) and not shap_difference <= meta["shap_tolerance"])
        failures += bad
        print(f"{folder.name:<44}{len(got):>6}{value:>11.2g}{margin:>11.2g}{shap_difference:>11.2g}{'   FAIL' if bad else ''}")
    if failures:
        print(f"{failures} cases failed")
    return 1 if failures else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["make", "compare"])
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--program")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    if arguments.command == "make":
        make(arguments.work)
        return 0
    return compare(arguments.work.resolve(), arguments.program)


if __name__ == "__main__":
    sys.exit(main())
