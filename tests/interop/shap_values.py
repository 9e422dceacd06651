#!/usr/bin/env python3
"""Shapley values of every method of a package beside brute force (all subsets, in numpy) and the `shap` package.

    shap_values.py WORK --program CHOANA

Values are those of the margin. Brute force: 1e-12 of the largest magnitude at stake (1e-9 where the kernel of a Gaussian process has digits of its own).
shap: what its own arithmetic allows (interventional trees are summed in float there). Its known errors (spec/models.md 10: interventional values on rows that lie on a threshold) are avoided: rows here
lie on none. Base and shares must add up to the margin on every row.
"""

import argparse
import csv
import hashlib
import itertools
import math
import pathlib
import subprocess
import sys
import warnings

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "conf" / "exporters"))
warnings.simplefilter("ignore")
import choana_export  # noqa: E402

BACKGROUND = 12


def from_games(games, count):
    """Shapley values (rows x inputs) of games: subset as a tuple -> value of each row."""
    rows = len(games[()])
    shares = np.zeros((rows, count))
    for size in range(count):
        weight = math.factorial(size) * math.factorial(count - size - 1) / math.factorial(count)
        for subset in itertools.combinations(range(count), size):
            for i in set(range(count)) - set(subset):
                shares[:, i] += weight * (games[tuple(sorted((*subset, i)))] - games[subset])
    return games[()], shares


def subsets(count):
    return itertools.chain.from_iterable(itertools.combinations(range(count), size) for size in range(count + 1))


def interventional(margin, rows, background):
    """The definition: known inputs from the row, the others from each background row in turn."""
    games = {}
    for subset in subsets(rows.shape[1]):
        mixed = np.repeat(background[None], len(rows), axis=0)
        for i in subset:
            mixed[:, :, i] = rows[:, None, i]
        games[subset] = margin(mixed.reshape(-1, rows.shape[1])).reshape(len(rows), -1).mean(axis=1)
    return from_games(games, rows.shape[1])


def path_dependent(document, rows):
    """The definition: an unknown split counts both children by their cover. For trees of the neutral form that compare float32(x) <= threshold."""
    single = rows.astype(np.float32).astype(np.float64)

    def expectation(tree, subset, row, node):
        feature = tree["feature"][node]
        if feature < 0:
            return tree["value"][node]
        left, right = tree["left"][node], tree["right"][node]
        if feature in subset:
            value = row[feature]
            go_left = bool(tree["missing_left"][node]) if np.isnan(value) else value <= tree["threshold"][node]
            return expectation(tree, subset, row, left if go_left else right)
        cover = tree["cover"]
        return (cover[left] * expectation(tree, subset, row, left) + cover[right] * expectation(tree, subset, row, right)) / cover[node]

    games = {}
    for subset in subsets(rows.shape[1]):
        known = set(subset)
        games[subset] = np.array([document["base"][0] + document["scale"] * sum(expectation(tree, known, row, 0) for tree in document["trees"]) for row in single])
    return from_games(games, rows.shape[1])


def package(folder, model, points, names, rows, method, background):
    choana_export.export(model, points, names, folder, rows=rows, background=0)
    with open(folder / "background.csv", "w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([[format(v, ".17g") for v in row] for row in background])
    manifest = (folder / "manifest.yaml").read_text()
    # The closed form of a linear model takes the mean of the rows that brute force takes.
    mean = ", mean: {" + ", ".join(f"{n}: {m!r}" for n, m in zip(names, background.mean(axis=0).tolist())) + "}" if method == "linear" else ""
    (folder / "manifest.yaml").write_text(manifest.replace("missing: {table: pass}", f"background: background.csv\nexplain: {{model: {{method: {method}{mean}}}}}\nmissing: {{table: pass}}"))
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "SHA256SUMS")
    (folder / "SHA256SUMS").write_text("".join(f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(folder).as_posix()}\n" for p in files))


def explain(program, folder, names, rows):
    table, out = folder.with_suffix(".csv"), folder.with_suffix(".out.csv")
    with open(table, "w", newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["case", *names])
        writer.writerows([[f"r{n}", *("" if np.isnan(v) else repr(float(v)) for v in row)] for n, row in enumerate(rows)])
    done = subprocess.run([program, "predict", str(folder), str(table), "--explain", "--out", str(out)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip()[:400])
    with open(out) as lines:
        got = list(csv.DictReader(lines))
    number = lambda column: np.array([float(row[column]) for row in got])  # noqa: E731
    return number("prediction.base"), np.stack([number(f"prediction.shap.{n}") for n in names], axis=1), number("prediction.margin")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--program", required=True)
    arguments = parser.parse_args()
    subprocess.run(["rm", "-rf", str(arguments.work)], check=True)
    arguments.work.mkdir(parents=True)
    import shap
    from sklearn.ensemble import AdaBoostClassifier, ExtraTreesClassifier, GradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
    from sklearn.gaussian_process import GaussianProcessClassifier
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel
    from sklearn.linear_model import Lasso, LogisticRegression
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.svm import SVC, LinearSVC

    rng = np.random.default_rng(41)
    inputs = 6
    x = rng.standard_normal((300, inputs)) * [1, 2, 0.5, 3, 1, 1]
    signal = np.tanh(x[:, 0]) + x[:, 1] * x[:, 2] - 0.3 * x[:, 3]
    y = (signal + 0.3 * rng.standard_normal(len(x)) > 0).astype(int)
    rows, background = x[:24] + 0.01 * rng.standard_normal((24, inputs)), x[100:100 + BACKGROUND].copy()
    names = [f"f{n}" for n in range(inputs)]
    trees = {"n_estimators": 15, "max_depth": 6, "random_state": 1}
    forest, extra, regressor = RandomForestClassifier(**trees).fit(x, y), ExtraTreesClassifier(**trees).fit(x, y), RandomForestRegressor(**trees).fit(x, signal)
    boosting, ada = GradientBoostingClassifier(n_estimators=20, max_depth=4, random_state=1).fit(x, y), AdaBoostClassifier(n_estimators=15, random_state=1).fit(x, y)
    share = lambda model: (lambda r: model.predict_proba(r)[:, 1])  # noqa: E731
    decision = lambda model: (lambda r: model.decision_function(r))  # noqa: E731
    svc, process = SVC(random_state=1).fit(x, y), GaussianProcessClassifier(ConstantKernel(1.0) * RBF(1.5), random_state=1).fit(x[:120], y[:120])
    latent = lambda r: process.base_estimator_.kernel_(r, process.base_estimator_.X_train_) @ (process.base_estimator_.y_train_ - process.base_estimator_.pi_)  # noqa: E731
    bayes, network, neighbours = GaussianNB().fit(x, y), MLPClassifier((7, 4), max_iter=300, random_state=1).fit(x, y), KNeighborsClassifier(7).fit(x, y)
    odds = lambda r: np.diff(bayes.predict_joint_log_proba(r), axis=1)[:, 0]  # noqa: E731
    logit = lambda r: (lambda p: np.log(p) - np.log1p(-p))(network.predict_proba(r)[:, 1])  # noqa: E731
    logistic, linear_svc, lasso = LogisticRegression().fit(x, y), LinearSVC().fit(x, y), Lasso(alpha=0.01).fit(x, signal)
    masker = shap.maskers.Independent(background, max_samples=BACKGROUND)

    def tree_explainer(model, index=None, perturbation="tree_path_dependent"):
        def run(points):
            explainer = shap.TreeExplainer(model, background if perturbation == "interventional" else None, feature_perturbation=perturbation, model_output="raw")
            values = explainer.shap_values(points, check_additivity=False)
            if index is not None:
                values = values[index] if isinstance(values, list) else values[:, :, index]
            return values
        return run

    def exact(margin):
        return lambda points: shap.explainers.Exact(margin, masker)(points, silent=True).values

    linear = lambda model: (lambda points: shap.LinearExplainer(model, masker).shap_values(points))  # noqa: E731
    paths = lambda model: (lambda points: path_dependent(choana_export.ir(model, names), points))  # noqa: E731
    mixing = lambda margin: (lambda points: interventional(margin, points, background))  # noqa: E731
    # method, model, its margin, brute force, shap, bars of the two
    cases = [("tree_path_dependent", "RandomForest", forest, paths(forest), tree_explainer(forest, 1), 1e-12, 1e-9),
             ("tree_path_dependent", "ExtraTrees", extra, paths(extra), tree_explainer(extra, 1), 1e-12, 1e-9),
             ("tree_path_dependent", "RandomForestRegressor", regressor, paths(regressor), tree_explainer(regressor), 1e-12, 1e-9),
             ("tree_path_dependent", "GradientBoosting", boosting, paths(boosting), tree_explainer(boosting), 1e-12, 1e-9),
             ("tree_path_dependent", "AdaBoost", ada, paths(ada), None, 1e-12, None),
             ("tree_interventional", "RandomForest", forest, mixing(share(forest)), tree_explainer(forest, 1, "interventional"), 1e-12, 1e-6),
             ("tree_interventional", "RandomForestRegressor", regressor, mixing(regressor.predict), tree_explainer(regressor, None, "interventional"), 1e-12, 1e-6),
             ("tree_interventional", "GradientBoosting", boosting, mixing(decision(boosting)), tree_explainer(boosting, None, "interventional"), 1e-12, 1e-6),
             ("linear", "LogisticRegression", logistic, mixing(decision(logistic)), linear(logistic), 1e-12, 1e-12),
             ("linear", "LinearSVC", linear_svc, mixing(decision(linear_svc)), linear(linear_svc), 1e-12, 1e-12),
             ("linear", "Lasso", lasso, mixing(lasso.predict), linear(lasso), 1e-12, 1e-12),
             ("product_kernel", "SVC, RBF", svc, mixing(decision(svc)), exact(decision(svc)), 1e-12, 1e-12),
             ("product_kernel", "Gaussian process, latent mean", process, mixing(latent), exact(latent), 1e-12, 1e-12),
             ("additive", "GaussianNB, log odds", bayes, mixing(odds), exact(odds), 1e-11, 1e-11),
             ("enumeration", "MLP, log odds", network, mixing(logit), exact(logit), 1e-12, 1e-12),
             ("enumeration", "KNeighbors, share", neighbours, mixing(share(neighbours)), exact(share(neighbours)), 1e-12, 1e-12),
             ("permutation", "MLP, log odds", network, mixing(logit), exact(logit), None, None)]
    failures = 0
    print(f"shap {shap.__version__}; {len(rows)} rows, {inputs} inputs, {BACKGROUND} background rows\n{'method':<22}{'model':<32}{'brute force':>12}{'shap':>12}{'not additive':>14}")
    for number, (method, label, model, brute, library, bar, library_bar) in enumerate(cases):
        folder = arguments.work / f"{number:02d}-{method}"
        points = rows.copy()
        if method.startswith("tree_path") and label != "GradientBoosting" and label != "AdaBoost":
            points[:3, 0] = np.nan  # brute force and ours: shap refuses or ignores them
        try:
            package(folder, model, x, names, x[120:180], method, background)
            base, shares, margin = explain(arguments.program, folder, names, points)
        except (RuntimeError, ValueError) as error:
            print(f"{method:<22}{label:<32} {error}   FAIL")
            failures += 1
            continue
        true_base, true_shares = brute(points)
        scale = max(1.0, np.abs(true_base).max(), np.abs(true_shares).max())
        to_brute = max(np.abs(shares - true_shares).max(), np.abs(base - true_base).max())
        complete = ~np.isnan(points).any(axis=1)
        to_shap = np.abs(shares[complete] - library(points[complete])).max() if library else np.nan
        gap = np.abs(base + shares.sum(axis=1) - margin).max()
        bad = gap > 1e-9 * scale
        if method == "permutation":  # an estimate: it states its error, of which five fit between it and the truth
            bad = bad or to_brute > 0.2 * np.abs(true_shares).max()
        else:
            bad = bad or not to_brute <= bar * scale or (library is not None and not to_shap <= library_bar * scale)
        failures += bool(bad)
        print(f"{method:<22}{label:<32}{to_brute:>12.2g}{to_shap:>12.2g}{gap:>14.2g}{'   FAIL' if bad else ''}", flush=True)
    if failures:
        print(f"{failures} cases failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
