"""What the six demonstration packages share: selection steps of the papers, honest figures, and writing a package.

Everything is computed from the training rows that it is given, so that the same function serves a cross-validation fold.
"""

import importlib.util
import json
import pathlib
import shutil
import textwrap

import numpy as np
from scipy import stats
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LassoCV, lars_path
from sklearn.metrics import brier_score_loss, roc_auc_score, roc_curve
from sklearn.model_selection import StratifiedKFold

import choana_package as package

_spec = importlib.util.spec_from_file_location("choana_export", pathlib.Path(__file__).resolve().parents[2] / "exporters" / "choana_export.py")
export = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(export)

STATEMENT = ("This model was trained on synthetic images of synthetic patients. It demonstrates the software, has no clinical meaning "
             "and must not be used for any decision about a patient.")
LASSO_ALPHAS = np.logspace(-3, 0, 50)  # the grid that the papers' penalties lie on


# -- selection --

def usable(x):
    """Columns without gaps that vary."""
    return np.where(~np.isnan(x).any(axis=0) & (np.nan_to_num(x).std(axis=0) > 1e-12 * np.maximum(1, np.abs(np.nan_to_num(x)).max(axis=0))))[0]


def icc(first, second):
    """ICC(2,1), two-way random, absolute agreement, single rater (Shrout and Fleiss 1979), a column a feature."""
    n = len(first)
    mean = (first + second) / 2
    grand = mean.mean(axis=0)
    rows = 2 * ((mean - grand) ** 2).sum(axis=0) / (n - 1)
    columns = n * ((first.mean(axis=0) - grand) ** 2 + (second.mean(axis=0) - grand) ** 2)
    residual = ((first - mean - first.mean(axis=0) + grand) ** 2 + (second - mean - second.mean(axis=0) + grand) ** 2).sum(axis=0) / (n - 1)
    with np.errstate(all="ignore"):
        return (rows - residual) / (rows + residual + 2 * (columns - residual) / n)


def uncorrelated(z, order, limit):
    """Of columns in that order, those whose absolute correlation with every one taken before is at most `limit`."""
    with np.errstate(all="ignore"):
        unit = (z - z.mean(axis=0)) / z.std(axis=0) / np.sqrt(len(z))
    taken = np.empty((len(z), 0))
    kept = []
    for column in order:
        if taken.shape[1] == 0 or np.abs(taken.T @ unit[:, column]).max() <= limit:
            kept.append(int(column))
            taken = np.column_stack([taken, unit[:, column]])
    return kept


def f_values(z, y):
    """ANOVA F of two groups, a column a feature, and p."""
    a, b = z[y == 1], z[y == 0]
    between = len(a) * (a.mean(axis=0) - z.mean(axis=0)) ** 2 + len(b) * (b.mean(axis=0) - z.mean(axis=0)) ** 2
    within = (((a - a.mean(axis=0)) ** 2).sum(axis=0) + ((b - b.mean(axis=0)) ** 2).sum(axis=0)) / (len(z) - 2)
    f = between / within
    return f, stats.f.sf(f, 1, len(z) - 2)


def t_or_u(z, y):
    """p of Welch's t test, or of Mann-Whitney's U where either group is not normal (Shapiro-Wilk, p < 0.05)."""
    p = stats.ttest_ind(z[y == 1], z[y == 0], equal_var=False).pvalue
    for n in range(z.shape[1]):
        a, b = z[y == 1, n], z[y == 0, n]
        if min(stats.shapiro(a).pvalue, stats.shapiro(b).pvalue) < 0.05:
            p[n] = stats.mannwhitneyu(a, b).pvalue
    return p


def mrmr(z, y, count):
    """Minimum redundancy, maximum relevance: F over the mean absolute correlation with what was taken before."""
    f, _ = f_values(z, y)
    unit = (z - z.mean(axis=0)) / z.std(axis=0) / np.sqrt(len(z))
    taken = [int(np.argmax(f))]
    redundancy = np.abs(unit.T @ unit[:, taken[0]])
    while len(taken) < min(count, z.shape[1]):
        score = f / np.maximum(redundancy / len(taken), 1e-3)
        score[taken] = -np.inf
        taken.append(int(np.argmax(score)))
        redundancy += np.abs(unit.T @ unit[:, taken[-1]])
    return taken


def lasso(z, y, count, final=True):
    """(penalty of LassoCV, 10 folds; columns; coefficients; penalty used): the papers take the features of the penalty that
    cross-validation likes best and print their number. Here the path is followed to that number. final: look for that penalty (it is for the record alone)."""
    chosen = LassoCV(alphas=LASSO_ALPHAS, cv=10, max_iter=5000).fit(z, y).alpha_ if final else float("nan")
    alphas, _, path = lars_path(z, y - y.mean(), method="lasso")
    counts = (np.abs(path) > 0).sum(axis=0)
    at = [n for n in range(len(alphas)) if counts[n] == count]
    n = at[-1] if at else int(np.argmin(np.abs(counts - count)))
    columns = np.flatnonzero(path[:, n])
    return float(chosen), columns, path[columns, n], float(alphas[n])


# -- figures --

def auc_interval(y, p, seed=1):
    """Percentile bootstrap, 2,000 resamples."""
    rng, values = np.random.default_rng(seed), []
    while len(values) < 2000:
        pick = rng.integers(0, len(y), len(y))
        if 0 < y[pick].sum() < len(y):
            values.append(roc_auc_score(y[pick], p[pick]))
    return [float(q) for q in np.quantile(values, [0.025, 0.975])]


def youden(y, p):
    fpr, tpr, cut = roc_curve(y, p)
    return float(cut[np.argmax(tpr - fpr)])


def figures(name, y, p, cut):
    said = p >= cut
    slope = np.polyfit(np.clip(p, 0.01, 0.99), y, 1)
    return {"name": name, "n": int(len(y)), "events": int(y.sum()), "auc": float(roc_auc_score(y, p)), "auc_ci": auc_interval(y, p), "auc_ci_method": "percentile bootstrap, 2000 resamples",
            "brier": float(brier_score_loss(y, p)), "calibration_in_the_large": float(y.mean() - p.mean()), "calibration_slope_of_a_straight_line": float(slope[0]), "threshold": cut,
            "sensitivity": float((said & (y == 1)).sum() / (y == 1).sum()), "specificity": float((~said & (y == 0)).sum() / (y == 0).sum())}


def cross_validated(fit, rows, y, folds=5, seed=3):
    """Out-of-fold predictions with every step, selection included, done anew in each fold. fit(training rows) -> predict(rows)."""
    p = np.empty(len(y))
    for train, test in StratifiedKFold(folds, shuffle=True, random_state=seed).split(rows, y):
        p[test] = fit(rows[train])(rows[test])
    return p


def summary(cohorts):
    """The line that stands in reports: what must be read stands first, a page may cut the end."""
    return "synthetic patients, AUC " + ", ".join(f"{c['auc']:.2f} ({c['auc_ci'][0]:.2f} to {c['auc_ci'][1]:.2f}) {where} (n = {c['n']})" for where, c in zip(("cross-validated", "held out"), cohorts))


# -- ComBat --

class Combat:
    """neuroCombat's estimates on the training rows, kept: gamma and delta of each site, grand mean and pooled variance (its `estimates`). No covariate: the
    outcome must never be one."""

    def __init__(self, x, sites):
        import contextlib, io
        import pandas as pd
        from neuroCombat import neuroCombat
        self.sites = sorted(set(sites))
        with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
            found = neuroCombat(dat=x.T, covars=pd.DataFrame({"site": list(sites)}), batch_col="site")["estimates"]
        names = [str(b) for b in found["batches"]]
        self.alpha = np.asarray(found["stand.mean"])[:, 0].copy()
        self.sigma2 = np.asarray(found["var.pooled"]).ravel().copy()
        self.gamma = {s: np.asarray(found["gamma.star"])[names.index(s)] for s in self.sites}
        self.delta = {s: np.asarray(found["delta.star"])[names.index(s)] for s in self.sites}

    def __call__(self, x, sites, columns=slice(None)):
        """x: rows by the chosen columns."""
        sigma, alpha = np.sqrt(self.sigma2[columns]), self.alpha[columns]
        out = np.empty_like(x)
        for n, site in enumerate(sites):
            z = (x[n] - alpha) / sigma
            out[n] = (z - self.gamma[site][columns]) / np.sqrt(self.delta[site][columns]) * sigma + alpha
        return out

    def raw(self, x, site, columns):
        """The raw value whose harmonised value is x."""
        sigma = np.sqrt(self.sigma2[columns])
        return ((x - self.alpha[columns]) / sigma * np.sqrt(self.delta[site][columns]) + self.gamma[site][columns]) * sigma + self.alpha[columns]

    def document(self, ids, columns, headers):
        return {"format": "choana-combat/1", "features": list(ids), "alpha": self.alpha[columns].tolist(), "sigma2": self.sigma2[columns].tolist(), "covariates": [],
                "sites": [{"name": s, "match": [{"manufacturer": headers[s][0], "manufacturer_model_name": headers[s][1], "field_strength_t": headers[s][2]}],
                           "gamma": self.gamma[s][columns].tolist(), "delta": self.delta[s][columns].tolist()} for s in self.sites]}


# -- packages --

def feature(identity, clinical_unit="1"):
    """(id, role, roi, kind, feature, unit) of `T2.primary.x` or `clinical.x`."""
    if identity.startswith("clinical."):
        return (identity, "", "", "clinical", identity[9:], clinical_unit)
    role, roi, name = identity.split(".", 2)
    units = {"MeshVolume": "mm3", "VoxelVolume": "mm3", "SurfaceArea": "mm2", "SurfaceVolumeRatio": "/mm", "Maximum3DDiameter": "mm", "MajorAxisLength": "mm", "MinorAxisLength": "mm",
             "LeastAxisLength": "mm", "Maximum2DDiameterSlice": "mm", "Maximum2DDiameterColumn": "mm", "Maximum2DDiameterRow": "mm"}
    return (identity, role, roi, "deep" if name.startswith("deep_") else "radiomic", name, units.get(name.rsplit("_", 1)[-1], "1") if "_shape_" in name else "1")


def flow(items):
    """A YAML list over several lines."""
    return "[" + ", ".join(items) + "]"


def distance_document(of, names, z):
    """Squared Mahalanobis distances of the training rows with a Ledoit-Wolf covariance; the limit is their 99 % quantile."""
    mean, sd = z.mean(axis=0), z.std(axis=0)
    precision = np.linalg.inv(LedoitWolf().fit((z - mean) / sd).covariance_) / np.outer(sd, sd)
    precision = (precision + precision.T) / 2
    d2 = np.einsum("ij,jk,ik->i", z - mean, precision, z - mean)
    return {"format": "choana-distance/1", "of": of, "features": list(names), "mean": mean.tolist(), "precision": precision.tolist(), "limit": float(np.quantile(d2, 0.99)), "quantile": 0.99}


def thresholds(trees, row, to_raw):
    """Rows on a split of the first node and one float32 beside it on either side."""
    rows = []
    for column, threshold in trees:
        value = np.float32(threshold)
        for v in (value, np.nextafter(value, np.float32(-np.inf)), np.nextafter(value, np.float32(np.inf))):
            changed = row.copy()
            changed[column] = to_raw(column, float(v))
            rows.append(changed)
    return rows


class Package:
    """Collects what a package holds and writes it."""

    def __init__(self, folder, agreement):
        self.folder, self.agreement = pathlib.Path(folder), agreement

    def write(self, manifest, features, x_train, extraction, learners, selftest, results, card, documents=None, extra_columns=False, background=None, binary=None):
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "extraction").mkdir(parents=True)
        (self.folder / "manifest.yaml").write_text(manifest)
        for role, text in extraction.items():
            (self.folder / "extraction" / f"{role.lower()}.yaml").write_text(text)
        rows = package.feature_rows(features, x_train)
        header = [*package.FEATURE_HEADER, "icc"]
        rows = [[*row, self.agreement.get(row[1])] for row in rows]
        if extra_columns:
            header += ["train_min", "train_max"]
            rows = [[*row, float(np.nanmin(x_train[:, n])), float(np.nanmax(x_train[:, n]))] for n, row in enumerate(rows)]
        package.write_csv(self.folder / "features.csv", header, rows)
        for name, document in learners.items():
            path = self.folder / "model" / name
            if isinstance(document, (bytes, str)):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(document if isinstance(document, bytes) else document.encode())
            else:
                package.write_json(path, document)
        for name, document in (documents or {}).items():
            package.write_json(self.folder / name, document)
        package.write_csv(self.folder / "selftest.csv", *selftest)
        if background is not None:
            package.write_csv(self.folder / "background.csv", [f[0] for f in features], [[float(v) for v in row] for row in background])
        (self.folder / "performance.json").write_text(json.dumps(results, indent=1) + "\n")
        (self.folder / "MODEL_CARD.md").write_text(card)
        package.write_sums(self.folder)


def card(title, body, made_with):
    return f"# {title}\n\n**Synthetic. For demonstration only.** {STATEMENT}\n\n{textwrap.dedent(body).strip()}\n\n{made_with}\n"
