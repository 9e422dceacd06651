#!/usr/bin/env python3
"""Small models of real libraries with what the libraries say of a few rows: tests/unit/processing/prediction/foreign_figures.json.

    pip install xgboost==3.2.0 lightgbm==4.7.0 catboost==1.2.10 scikit-learn==1.9.1
    python3 tests/interop/foreign_figures.py > tests/unit/processing/prediction/foreign_figures.json

Models as text, binary ones in hexadecimal; rows with null for missing; margins and values one list a row.
"""

import json
import pathlib
import sys
import tempfile

import catboost as cb
import lightgbm as lgb
import numpy as np
import xgboost as xgb

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from models import beside, data  # noqa: E402

rng = np.random.default_rng(21)
x, y, signal = data(rng, 200, 4, 0.1)
y3 = np.digitize(signal, [-0.5, 0.5])
folder = pathlib.Path(tempfile.mkdtemp())
figures = []


def add(name, form, model, rows, margins, values):
    figures.append({"name": name, "format": form, **model, "rows": [[None if np.isnan(v) else float(v) for v in row] for row in rows],
                    "margins": np.asarray(margins, dtype=np.float64).reshape(len(rows), -1).tolist(), "values": np.asarray(values, dtype=np.float64).reshape(len(rows), -1).tolist()})


for name, parameters, target in (("logistic", {"objective": "binary:logistic"}, y), ("softprob", {"objective": "multi:softprob", "num_class": 3}, y3), ("cox", {"objective": "survival:cox"}, np.exp(-signal)),
                                 ("dart", {"objective": "binary:logistic", "booster": "dart", "rate_drop": 0.5}, y), ("gblinear", {"objective": "binary:logistic", "booster": "gblinear"}, y),
                                 ("gblinear_softprob", {"objective": "multi:softprob", "num_class": 3, "booster": "gblinear"}, y3)):
    booster = xgb.train({**({} if "gblinear" in name else {"max_depth": 2}), "nthread": 1, **parameters}, xgb.DMatrix(x, target), 2 if "softprob" in name else 3)
    splits = []
    if "gblinear" not in name:
        gradient = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]
        for tree in gradient.get("gbtree", gradient)["model"]["trees"]:
            splits += [(f, t) for f, t, l in zip(tree["split_indices"], tree["split_conditions"], tree["left_children"]) if l >= 0]
    rows = beside(rng, x[:4], splits, True, 9)
    matrix = xgb.DMatrix(rows)
    add("xgboost 3.2.0 " + name, "xgboost", {"text": booster.save_raw("json").decode()}, rows, booster.predict(matrix, output_margin=True), booster.predict(matrix))
    if name == "logistic":
        add("xgboost 3.2.0 logistic ubj", "xgboost", {"hex": booster.save_raw("ubj").hex()}, rows, booster.predict(matrix, output_margin=True), booster.predict(matrix))

whole = x.copy()
whole[:, 3] = np.abs(np.round(np.nan_to_num(x[:, 3]) * 3)) % 40
for name, parameters, points, target in (("binary", {"objective": "binary", "sigmoid": 1.5}, x, y), ("forest", {"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}, x, y),
                                         ("categorical", {"objective": "binary", "categorical_feature": [3], "min_data_per_group": 5, "cat_smooth": 1}, whole, y),
                                         ("multiclass", {"objective": "multiclass", "num_class": 3}, x, y3), ("zero_as_missing", {"objective": "binary", "zero_as_missing": True}, x, y)):
    booster = lgb.train({"verbose": -1, "num_leaves": 5, "min_data_in_leaf": 5, "num_threads": 1, **parameters}, lgb.Dataset(points, target), 3)
    rows = np.vstack([points[:6], np.zeros((1, 4)), np.full((1, 4), 1e-36), np.full((1, 4), -1.0), np.full((1, 4), np.nan)])
    text = booster.model_to_string()
    add("lightgbm 4.7.0 " + name, "lightgbm", {"text": text[:text.index("end of trees")] + "end of trees\n"}, rows, booster.predict(rows, raw_score=True), booster.predict(rows))

for name, parameters, target in (("logloss", {"loss_function": "Logloss"}, y), ("multiclass", {"loss_function": "MultiClass"}, y3), ("nan_max", {"loss_function": "RMSE", "nan_mode": "Max"}, signal),
                                 ("lossguide", {"loss_function": "Logloss", "grow_policy": "Lossguide"}, y)):
    model = cb.CatBoost({"iterations": 3, "depth": 2, "verbose": False, "thread_count": 1, "allow_writing_files": False, **parameters}).fit(x, target)
    model.save_model(str(folder / "m.json"), format="json")
    document = json.loads((folder / "m.json").read_text())
    document["model_info"] = {"params": {"loss_function": document["model_info"]["params"]["loss_function"]}}
    rows = beside(rng, x[:5], [(f, b) for f, values in enumerate(model.get_borders().values()) for b in values], True, 9)
    kind = "RawFormulaVal" if name == "nan_max" else "Probability"
    values = model.predict(rows, prediction_type=kind)
    add("catboost 1.2.10 " + name, "catboost", {"text": json.dumps(document)}, rows, model.predict(rows, prediction_type="RawFormulaVal"),
        values[:, 1] if values.ndim == 2 and values.shape[1] == 2 else values)

print(json.dumps({"tools": {"xgboost": xgb.__version__, "lightgbm": lgb.__version__, "catboost": cb.__version__, "numpy": np.__version__}, "models": figures}))
