#!/usr/bin/env python3
"""Habitats held against scikit-learn: the number of habitats, the BIC at it, and the partition (adjusted Rand index), never raw labels.

    habitats.py --figures > tests/unit/processing/habitats/sklearn_figures.json   figures that the unit test holds
    habitats.py HABITATS_TEST WORK_DIR                                            fresh data, both sides computed now

scikit-learn is run with the settings that Choana declares: z-scores, full covariances, reg_covar 1e-6, tol 1e-6, five starts.
"""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import sklearn
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler


def blobs(seed, centres, spreads, counts):
    rng = np.random.default_rng(seed)
    parts = [rng.multivariate_normal(np.atleast_1d(c), np.atleast_2d(s), n) for c, s, n in zip(centres, spreads, counts)]
    x = np.vstack(parts)
    return np.round(x[rng.permutation(len(x))], 3)


def cases(seed):
    yield "one sequence, two habitats", blobs(seed, [300.0, 520.0], [900.0, 2500.0], [420, 260]), 8
    yield "one sequence, four habitats", blobs(seed + 1, [100.0, 260.0, 430.0, 620.0], [400.0, 600.0, 500.0, 900.0], [150, 260, 240, 110]), 8
    yield ("two sequences, three habitats, correlated",
           blobs(seed + 2, [[200, 900], [420, 700], [460, 1150]], [[[900, 500], [500, 1600]], [[1600, -700], [-700, 900]], [[700, 0], [0, 2500]]], [240, 300, 180]), 6)
    yield ("three sequences, four habitats",
           blobs(seed + 3, [[1, 0, 5], [9, 0, 5], [1, 9, 5], [9, 9, 14]], [np.diag([1, 2, 1]), np.diag([2, 1, 1]), np.diag([1, 1, 3]), np.diag([1, 1, 1]) + 0.4], [130, 140, 150, 160]), 6)
    yield "one habitat only", blobs(seed + 4, [50.0], [64.0], [400]), 5


def figures(name, x, k_max):
    z = StandardScaler().fit_transform(x)
    bic = []
    for k in range(1, k_max + 1):
        best = max((GaussianMixture(k, tol=1e-6, reg_covar=1e-6, max_iter=1000, random_state=start).fit(z) for start in range(5)), key=lambda m: m.score(z))
        bic.append(best.bic(z))
        if k == 1 or bic[-1] <= min(bic[:-1]):
            chosen, mixture = k, best
    means = KMeans(chosen, n_init=10, random_state=0, tol=0).fit(z)
    return {"name": name, "columns": x.shape[1], "k_max": k_max, "points": [float(v) for v in x.ravel()], "bic": [float(b) for b in bic], "chosen": chosen,
            "k_means": means.labels_.tolist(), "inertia": float(means.inertia_), "mixture": mixture.predict(z).tolist()}


if sys.argv[1:] == ["--figures"]:
    json.dump({"made_by": "tests/interop/habitats.py --figures", "versions": {"scikit-learn": sklearn.__version__, "numpy": np.__version__},
               "cases": [figures(*case) for case in cases(11)]}, sys.stdout, separators=(",", ":"))
    print()
    sys.exit(0)

program, work = sys.argv[1], pathlib.Path(sys.argv[2])
work.mkdir(parents=True, exist_ok=True)
expected = [figures(*case) for seed in (101, 202, 303, 404) for case in cases(seed)]
(work / "in.json").write_text(json.dumps({"cases": [{k: case[k] for k in ("name", "columns", "k_max", "points")} for case in expected]}))
subprocess.run([program, "--gtest_filter=*ClustersGivenPointsWhereAsked"], check=True, stdout=subprocess.DEVNULL,
               env=os.environ | {"CHOANA_HABITATS_IN": str(work / "in.json"), "CHOANA_HABITATS_OUT": str(work / "out.json")})
failures, worst_bic, worst_rand = 0, 0.0, 1.0
for theirs, ours in zip(expected, json.loads((work / "out.json").read_text())["cases"], strict=True):
    bic = abs(dict(map(tuple, ours["bic"]))[theirs["chosen"]] - theirs["bic"][theirs["chosen"] - 1])
    rand = min(adjusted_rand_score(theirs["k_means"], ours["k_means"]), adjusted_rand_score(theirs["mixture"], ours["mixture"]))
    worst_bic, worst_rand = max(worst_bic, bic), min(worst_rand, rand)
    if ours["chosen"] != theirs["chosen"] or bic > 0.01 or rand < 0.99:
        failures += 1
        print(f"{theirs['name']}: k {ours['chosen']} against {theirs['chosen']}, BIC there {bic:.2g} apart, adjusted Rand index {rand:.4f}")
print(f"{len(expected)} cases against scikit-learn {sklearn.__version__}: {failures} differ; BIC at k at most {worst_bic:.2g} apart, adjusted Rand index at least {worst_rand:.4f}")
sys.exit(1 if failures else 0)
