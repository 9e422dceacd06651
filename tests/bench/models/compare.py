#!/usr/bin/env python3
"""CPU time of one row, ours and the libraries' own: predictions and Shapley values. Prints a table; asserts nothing.

    python compare.py --bin build/bench/bin --work DIR [--trees 500] [--repeats 5]

Models of 500 trees of depth 6 over 24 inputs. One thread. Repeats are interleaved, ours and theirs in turns; each figure is the least of all repeats, in microseconds of
CPU a row. "batch" figures of Shapley values take 200 rows in one call, the cheapest way that the libraries offer; single predictions are one row a call.
"""
import argparse
import csv
import ctypes
import os
import pathlib
import subprocess
import sys
import time
import warnings

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
warnings.simplefilter("ignore")
import numpy as np  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "conf" / "exporters"))


def timed(call, least_s=0.03):
    """Seconds of CPU of one call, from enough calls to be seen by the clock."""
    turns = 1
    while True:
        start = time.process_time()
        for _ in range(turns):
            call()
        seconds = time.process_time() - start
        if seconds >= least_s:
            return seconds / turns
        turns *= 2


class LightgbmFast:
    """LightGBM's C API for single rows: LGBM_BoosterPredictForMatSingleRowFast."""

    def __init__(self, lgb, path, columns, explain=False):
        self.library = lgb.basic._LIB
        handle, iterations = ctypes.c_void_p(), ctypes.c_int(0)
        self.check(self.library.LGBM_BoosterCreateFromModelfile(str(path).encode(), ctypes.byref(iterations), ctypes.byref(handle)))
        self.fast = ctypes.c_void_p()
        self.check(self.library.LGBM_BoosterPredictForMatSingleRowFastInit(handle, ctypes.c_int(0), ctypes.c_int(0), ctypes.c_int(-1), ctypes.c_int(1), ctypes.c_int(columns),
                                                                           b"num_threads=1", ctypes.byref(self.fast)))
        self.out, self.length = (ctypes.c_double * 8)(), ctypes.c_int64(0)

    @staticmethod
    def check(code):
        if code != 0:
            raise RuntimeError("LightGBM's C API refused")

    def per_row(self, rows):
        """Seconds a row. The loop itself is Python; the cost of an empty C call is taken off."""
        predict, fast, length, out = self.library.LGBM_BoosterPredictForMatSingleRowFast, self.fast, ctypes.byref(self.length), self.out
        pointers = [row.ctypes.data_as(ctypes.c_void_p) for row in rows]

        def run():
            for pointer in pointers:
                predict(fast, pointer, length, out)

        empty, number = self.library.LGBM_GetMaxThreads, ctypes.c_int(0)

        def idle():
            for _ in pointers:
                empty(ctypes.byref(number), None, None, None)

        return (timed(run) - timed(idle)) / len(rows)


def write_rows(path, x):
    with open(path, "w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([f"f{n}" for n in range(x.shape[1])])
        writer.writerows([["" if np.isnan(v) else repr(float(v)) for v in row] for row in x])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--trees", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    work = args.work
    work.mkdir(parents=True, exist_ok=True)
    import catboost as cb
    import lightgbm as lgb
    import shap
    import sklearn
    import xgboost as xgb
    from sklearn.ensemble import RandomForestClassifier

    import choana_export
    print(f"xgboost {xgb.__version__}, lightgbm {lgb.__version__}, catboost {cb.__version__}, scikit-learn {sklearn.__version__}, shap {shap.__version__}; {args.trees} trees of depth 6")
    rng = np.random.default_rng(5)
    columns = 24
    x = rng.standard_normal((20000, columns))
    y = (rng.random(len(x)) < 1 / (1 + np.exp(-x[:, 0] - x[:, 1] * x[:, 2]))).astype(int)
    rows = np.ascontiguousarray(x[:200])
    names = [f"f{n}" for n in range(columns)]

    booster = xgb.train({"max_depth": 6, "eta": 0.05, "objective": "binary:logistic", "nthread": 1, "tree_method": "hist", "min_child_weight": 0, "seed": 1}, xgb.DMatrix(x, y), args.trees)
    booster.save_model(work / "xgboost.json")
    light = lgb.train({"objective": "binary", "num_leaves": 64, "max_depth": 6, "learning_rate": 0.05, "min_data_in_leaf": 5, "num_threads": 1, "verbose": -1, "seed": 1}, lgb.Dataset(x, y), args.trees)
    light.save_model(work / "lightgbm.txt")
    cat = cb.CatBoostClassifier(iterations=args.trees, depth=6, learning_rate=0.05, thread_count=1, verbose=False, random_seed=1, allow_writing_files=False).fit(x, y)
    cat.save_model(str(work / "catboost.json"), format="json")
    forest = RandomForestClassifier(args.trees, max_depth=6, random_state=1, n_jobs=1).fit(x[:4000], y[:4000])
    choana_export.write_inputs(forest, names, rows, work)
    (work / "model.ir.json").rename(work / "forest.json")
    unpruned = RandomForestClassifier(args.trees, random_state=1, n_jobs=1).fit(x[:400], y[:400])
    choana_export.write_inputs(unpruned, names, rows, work)
    (work / "model.ir.json").rename(work / "unpruned.json")
    write_rows(work / "rows.csv", rows)  # the exporter's file of this name has the expectations too
    print("leaves a tree:", {"xgboost": round(sum(t.count("leaf=") for t in booster.get_dump()) / args.trees, 1), "lightgbm": light.trees_to_dataframe()["left_child"].isna().sum() / args.trees,
                             "catboost": 64, "forest": np.mean([t.get_n_leaves() for t in forest.estimators_]), "unpruned": np.mean([t.get_n_leaves() for t in unpruned.estimators_])}, flush=True)

    # Packages, made as a user makes them.
    packages = {}
    single = {"xgboost": lambda: booster.predict(xgb.DMatrix(rows, nthread=1)), "lightgbm": lambda: light.predict(rows), "catboost": lambda: cat.predict_proba(rows)[:, 1]}
    files = {"xgboost": ("xgboost", "xgboost.json"), "lightgbm": ("lightgbm", "lightgbm.txt"), "catboost": ("catboost", "catboost.json"), "forest": ("ir", "forest.json"), "unpruned": ("ir", "unpruned.json")}
    (work / "features.csv").write_text("feature\n" + "".join(f"{n}\n" for n in names))
    for name, (form, file) in files.items():
        values = np.ravel(single[name]()) if name in single else {"forest": forest, "unpruned": unpruned}[name].predict_proba(rows)[:, 1]
        with open(work / f"{name}.csv", "w", newline="") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(["case", *names, "expected"])
            writer.writerows([[f"r{n}", *(repr(float(v)) for v in row), repr(float(v))] for n, (row, v) in enumerate(zip(rows, values))])
        target = work / f"package-{name}"
        subprocess.run(["rm", "-rf", str(target)], check=True)
        subprocess.run([str(args.bin / "choana"), "model", "import", str(work / file), "--format", form, "--features", str(work / "features.csv"), "--selftest", str(work / f"{name}.csv"),
                        "--out", str(target)], check=True, stdout=subprocess.DEVNULL)
        packages[name] = target

    background = rows[:50]
    matrix, pool = xgb.DMatrix(rows, nthread=1), cb.Pool(rows)
    one = [rows[n:n + 1] for n in range(20)]
    fast = LightgbmFast(lgb, work / "lightgbm.txt", columns)
    state = {"n": 0}

    def next_row():
        state["n"] = (state["n"] + 1) % len(one)
        return one[state["n"]]

    explainers = {"forest": shap.TreeExplainer(forest, feature_perturbation="tree_path_dependent"), "unpruned": shap.TreeExplainer(unpruned, feature_perturbation="tree_path_dependent"),
                  "forest50": shap.TreeExplainer(forest, background, feature_perturbation="interventional", model_output="raw"),
                  "lightgbm50": shap.TreeExplainer(light, background, feature_perturbation="interventional", model_output="raw"),
                  "xgboost50": shap.TreeExplainer(booster, background, feature_perturbation="interventional", model_output="raw")}
    few = rows[:40]
    theirs = {
        ("xgboost", "path_dependent", "pred_contribs"): lambda: timed(lambda: booster.predict(matrix, pred_contribs=True)) / len(rows),
        ("lightgbm", "path_dependent", "pred_contrib"): lambda: timed(lambda: light.predict(rows, pred_contrib=True, num_threads=1)) / len(rows),
        ("catboost", "path_dependent", "ShapValues"): lambda: timed(lambda: cat.get_feature_importance(pool, type="ShapValues", thread_count=1)) / len(rows),
        ("forest", "path_dependent", "shap"): lambda: timed(lambda: explainers["forest"].shap_values(few, check_additivity=False)) / len(few),
        ("unpruned", "path_dependent", "shap"): lambda: timed(lambda: explainers["unpruned"].shap_values(few[:10], check_additivity=False)) / 10,
        ("xgboost", "interventional", "shap, 50 rows"): lambda: timed(lambda: explainers["xgboost50"].shap_values(few[:10], check_additivity=False)) / 10,
        ("lightgbm", "interventional", "shap, 50 rows"): lambda: timed(lambda: explainers["lightgbm50"].shap_values(few[:10], check_additivity=False)) / 10,
        ("forest", "interventional", "shap, 50 rows"): lambda: timed(lambda: explainers["forest50"].shap_values(few[:10], check_additivity=False)) / 10,
        ("xgboost", "score", "DMatrix and predict"): lambda: timed(lambda: booster.predict(xgb.DMatrix(next_row(), nthread=1))),
        ("xgboost", "score", "inplace_predict"): lambda: timed(lambda: booster.inplace_predict(next_row())),
        ("lightgbm", "score", "predict"): lambda: timed(lambda: light.predict(next_row(), num_threads=1)),
        ("lightgbm", "score", "C API, SingleRowFast"): lambda: fast.per_row(rows),
        ("catboost", "score", "predict_proba"): lambda: timed(lambda: cat.predict_proba(next_row(), thread_count=1)),
        ("forest", "score", "predict_proba"): lambda: timed(lambda: forest.predict_proba(next_row())),
        ("unpruned", "score", "predict_proba"): lambda: timed(lambda: unpruned.predict_proba(next_row())),
    }
    best = {}
    for _ in range(args.repeats):
        for name, (form, file) in files.items():
            for command in ([str(args.bin / "models_bench"), "model", form, str(work / file), str(work / "rows.csv"), "50"],
                            [str(args.bin / "models_bench"), "package", str(packages[name]), str(work / "rows.csv")]):
                for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
                    what, value = line.split()
                    best[name, what, "ours"] = min(best.get((name, what, "ours"), np.inf), float(value))
            for key, call in theirs.items():
                if key[0] == name:
                    best[key] = min(best.get(key, np.inf), call() * 1e6)
    print("\n| Model | What | Choana, us | Library | us | Ratio |\n| --- | --- | --- | --- | --- | --- |")
    for key in theirs:
        name, what, by = key
        mine = best.get((name, what, "ours"), float("nan"))
        print(f"| {name} | {what} | {mine:.1f} | {by} | {best[key]:.1f} | {best[key] / mine:.1f} |")
    for name in files:
        print(f"| {name} | ModelPackage::score; with explanation | {best[name, 'package_score', 'ours']:.1f}; {best[name, 'package_explain', 'ours']:.1f} | | | |")


if __name__ == "__main__":
    main()
