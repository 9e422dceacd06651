#!/usr/bin/env python3
"""conf/exporters/choana_export.py end to end: export() -> `choana model check` -> `choana predict --explain` beside the live model.

    exporters.py WORK --program CHOANA
"""

import argparse
import csv
import pathlib
import subprocess
import sys
import warnings

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "conf" / "exporters")]
warnings.simplefilter("ignore")
import choana_export  # noqa: E402
import models  # noqa: E402
import models_sklearn  # noqa: E402


def run(*command):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True)


def write_table(path, names, rows):
    with open(path, "w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["case", *names])
        writer.writerows([[f"r{n}", *("" if np.isnan(v) else repr(float(v)) for v in row)] for n, row in enumerate(rows)])


def predictions(path, prefix):
    with open(path) as lines:
        rows = list(csv.DictReader(lines))
    columns = [prefix] if prefix in rows[0] else [c for c in rows[0] if c.startswith(prefix + ".") and c[len(prefix) + 1:].isdigit()]
    return np.array([[float(row[c]) for c in columns] for row in rows])


def one(program, work, name, model, points, names, rows, values, tolerance, **options):
    """Largest difference of the values on rows that the package has never seen, and whether it passed."""
    folder = work / name
    choana_export.export(model, points, names, folder, rows=rows[:60], **options)
    checked = run(program, "model", "check", folder)
    if checked.returncode != 0:
        return None, f"check: {(checked.stderr or checked.stdout).strip()[:300]}"
    table, out = work / f"{name}.csv", work / f"{name}-predicted.csv"
    write_table(table, names, rows)
    scored = run(program, "predict", folder, table, "--explain", "--out", out)
    if scored.returncode != 0:
        return None, f"predict: {scored.stderr.strip()[:300]}"
    difference = np.abs(predictions(out, "prediction") - values).max()
    return difference, "" if difference <= tolerance * max(1, np.abs(values).max()) else "differs"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--program", required=True)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(21)
    failures = 0

    def report(name, rows, difference, problem):
        nonlocal failures
        failures += bool(problem)
        print(f"{name:<44}{rows:>6}{difference if difference is not None else float('nan'):>11.2g}{'   FAIL ' + problem if problem else ''}", flush=True)

    print(f"\nexported with choana_export.py\n{'estimator':<44}{'rows':>6}{'value':>11}")
    for name, model, points, target in models_sklearn.estimators(rng, models.data):
        model.fit(points, target)
        rows = models_sklearn.threshold_rows(rng, name, model, points, models.beside)
        rows = rows[::-1].copy()  # thresholds first: they become the self-test, the rest is new to the package
        names = [f"f{n}" for n in range(rows.shape[1])]
        values = choana_export.expected(model, rows)
        tolerance = 1e-9 if "gaussian_process" in name else 1e-11
        report(name, len(rows), *one(arguments.program, arguments.work, name, model, points, names, rows, values, tolerance, background=10))
    cox = models_sklearn.fitted_cox(rng)
    if cox is None:
        print("SKIPPED: lifelines is not installed")
    else:
        model, rows, names = cox
        report("lifelines_cox", len(rows), *one(arguments.program, arguments.work, "lifelines_cox", model, rows, names, rows, choana_export.expected(model, rows), 1e-12))
        import pandas
        for horizon in (365.0, 1000.5):
            # lifelines interpolates between steps; at a step the two are one.
            times = np.asarray(model.baseline_cumulative_hazard_.index)
            at = times[times <= horizon].max()
            survival = np.asarray(model.predict_survival_function(pandas.DataFrame(rows, columns=names), times=[at])).reshape(-1, 1)
            report(f"lifelines_cox, survival at {horizon:g}", len(rows),
                   *one(arguments.program, arguments.work, f"lifelines_cox_{horizon:g}", model, rows, names, rows, survival, 1e-12, horizon=horizon))

    # What the exporter does not know is refused before anything is written.
    from sklearn.ensemble import GradientBoostingClassifier, VotingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures, StandardScaler
    from sklearn.svm import SVC
    x, y, signal = models.data(rng, rows=200, missing=0)
    y3 = np.digitize(signal, [-0.5, 0.5])
    for name, model, target in (("imputer", make_pipeline(SimpleImputer(), LogisticRegression()), y), ("min-max scaler", make_pipeline(MinMaxScaler(), LogisticRegression()), y),
                                ("two scalers", make_pipeline(StandardScaler(), StandardScaler(), LogisticRegression()), y), ("polynomial", make_pipeline(PolynomialFeatures(), LogisticRegression()), y),
                                ("SVM of three classes", SVC(), y3), ("voting", VotingClassifier([("a", GaussianNB()), ("b", LogisticRegression())]), y),
                                ("Manhattan neighbours", KNeighborsClassifier(metric="manhattan"), y), ("boosting from a model", GradientBoostingClassifier(init=LogisticRegression()), y)):
        folder = arguments.work / f"refused {name}"
        model.fit(x, target)
        try:
            choana_export.export(model, x, [f"f{n}" for n in range(x.shape[1])], folder)
            report(f"refused: {name}", 0, None, "was exported")
        except ValueError as error:
            report(f"refused: {name}", 0, None, "left a folder behind" if folder.exists() else "" if len(str(error)) > 15 else f"said '{error}'")
    if failures:
        print(f"{failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
