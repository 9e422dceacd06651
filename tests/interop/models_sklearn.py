"""scikit-learn cases of models.py, written by conf/exporters/choana_export.py."""

import warnings

import numpy as np


def estimators(rng, data):
    """(name, estimator, inputs, outcome) of every kind that the exporter knows; inputs have missing values where the kind takes them."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import (AdaBoostClassifier, ExtraTreesClassifier, GradientBoostingClassifier, GradientBoostingRegressor, HistGradientBoostingClassifier,
                                  HistGradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor)
    from sklearn.gaussian_process import GaussianProcessClassifier
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel
    from sklearn.linear_model import ElasticNet, Lasso, LassoCV, LinearRegression, LogisticRegression, Ridge
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC, LinearSVC, NuSVC
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    warnings.simplefilter("ignore")
    x, y, signal = data(rng, rows=520)
    whole = np.nan_to_num(x)
    y3 = np.digitize(signal, [-0.5, 0.5])
    scaled = lambda model: make_pipeline(StandardScaler(), model)  # noqa: E731
    trees = {"max_depth": 5, "n_estimators": 20, "random_state": 1}
    return [("random_forest", RandomForestClassifier(**trees), x, y), ("random_forest_3", RandomForestClassifier(**trees), x, y3), ("random_forest_regressor", RandomForestRegressor(**trees), x, signal),
             ("extra_trees", ExtraTreesClassifier(**trees), x, y), ("extra_trees_3", ExtraTreesClassifier(**trees), x, y3), ("decision_tree", DecisionTreeClassifier(max_depth=6, random_state=1), x, y), ("decision_tree_regressor", DecisionTreeRegressor(max_depth=6, random_state=1), x, signal),
             ("gradient_boosting", GradientBoostingClassifier(n_estimators=30, random_state=1), whole, y), ("gradient_boosting_3", GradientBoostingClassifier(n_estimators=15, random_state=1), whole, y3),
             ("gradient_boosting_regressor", GradientBoostingRegressor(n_estimators=30, random_state=1), whole, signal),
             ("hist_gradient_boosting", HistGradientBoostingClassifier(max_iter=20, random_state=1), x, y), ("hist_gradient_boosting_3", HistGradientBoostingClassifier(max_iter=10, random_state=1), x, y3),
             ("hist_gradient_boosting_regressor", HistGradientBoostingRegressor(max_iter=20, random_state=1), x, signal),
             ("ada_boost", AdaBoostClassifier(n_estimators=20, random_state=1), whole, y), ("ada_boost_deep", AdaBoostClassifier(DecisionTreeClassifier(max_depth=3), n_estimators=20, random_state=1), whole, y), ("svc_rbf", scaled(SVC(probability=True, random_state=1)), whole, y),
             ("svc_poly", scaled(SVC(kernel="poly", coef0=1, probability=True, random_state=1)), whole, y), ("svc_sigmoid", scaled(SVC(kernel="sigmoid")), whole, y),
             ("svc_linear", scaled(SVC(kernel="linear")), whole, y), ("nu_svc", scaled(NuSVC(nu=0.3)), whole, y), ("nu_svc_probability", scaled(NuSVC(nu=0.3, probability=True, random_state=1)), whole, y), ("linear_svc", scaled(LinearSVC()), whole, y),
             ("knn_uniform", scaled(KNeighborsClassifier(7)), whole, y), ("knn_distance", scaled(KNeighborsClassifier(7, weights="distance")), whole, y),
             ("knn_3", scaled(KNeighborsClassifier(5)), whole, y3), ("gaussian_nb", GaussianNB(), whole, y), ("gaussian_nb_3", GaussianNB(), whole, y3),
             ("logistic", scaled(LogisticRegression()), whole, y), ("logistic_3", scaled(LogisticRegression()), whole, y3), ("linear", LinearRegression(), whole, signal),
             ("lasso_cv", scaled(LassoCV()), whole, signal), ("elastic_net", scaled(ElasticNet(alpha=0.01)), whole, signal), ("mlp", scaled(MLPClassifier((9, 5), max_iter=200, random_state=1)), whole, y),
             ("mlp_3", scaled(MLPClassifier((7,), activation="tanh", max_iter=200, random_state=1)), whole, y3),
             ("gaussian_process", scaled(GaussianProcessClassifier(ConstantKernel(1.0) * RBF(1.0), random_state=1)), whole, y),
             ("calibrated_sigmoid", CalibratedClassifierCV(LogisticRegression(max_iter=1000), method="sigmoid", cv=3), whole, y),
             ("calibrated_isotonic", CalibratedClassifierCV(RandomForestClassifier(**trees), method="isotonic", cv=3), whole, y),
             ("calibrated_svc", CalibratedClassifierCV(SVC(gamma=0.01), method="sigmoid", ensemble=False), whole, y),
             ("calibrated_forest_sigmoid", CalibratedClassifierCV(ExtraTreesClassifier(**trees), method="sigmoid", cv=3), x, y),
             ("lasso", Lasso(alpha=0.01), whole, signal), ("ridge", scaled(Ridge()), whole, signal)]


def threshold_rows(rng, name, model, points, beside):
    """The inputs, and rows on split thresholds and one step beside them; or moved a little where a kind has none."""
    splits = []
    for estimator in np.ravel(getattr(model, "estimators_", [model] if hasattr(model, "tree_") else [])):
        if hasattr(estimator, "tree_"):
            tree = estimator.tree_
            splits += [(f, t) for f, t in zip(tree.feature, tree.threshold) if f >= 0]
    for stage in getattr(model, "_predictors", []):
        for predictor in stage:
            splits += [(n["feature_idx"], n["num_threshold"]) for n in predictor.nodes if not n["is_leaf"]]
    if splits:
        return beside(rng, points, splits, "hist" not in name)
    return points + (rng.standard_normal(points.shape) * 1e-3 if "knn" in name else 0)


def write_cases(work, tag, exporter, data, beside, write_case):
    import sklearn

    library = f"scikit-learn {sklearn.__version__}"
    rng = np.random.default_rng(14)
    for name, model, points, target in estimators(rng, data):
        model.fit(points, target)
        rows = threshold_rows(rng, name, model, points, beside)
        names = [f"f{n}" for n in range(rows.shape[1])]
        values = exporter.expected(model, rows)
        document = exporter.ir(model, names)

        def write_model(folder, document=document):
            import json
            (folder / "model.ir.json").write_text(json.dumps(document, allow_nan=False))
            return "model.ir.json"

        tolerance = 1e-6 if name == "knn_distance" else 1e-10 if "gaussian_process" in name else 1e-11
        write_case(work, f"{tag}_{name}", "ir", library, write_model, rows, values, exporter._margins(model, document, rows, values), tolerance=tolerance)
    cox = fitted_cox(rng)
    if cox is not None:
        model, rows, names = cox
        document = exporter.ir(model, names)

        def write_cox(folder):
            import json
            (folder / "model.ir.json").write_text(json.dumps(document, allow_nan=False))
            return "model.ir.json"

        values = exporter.expected(model, rows)
        write_case(work, f"{tag}_lifelines_cox", "ir", "lifelines", write_cox, rows, values, values, tolerance=1e-12)


def fitted_cox(rng, rows=520):
    """A lifelines CoxPHFitter with its rows and names; None where lifelines is not installed."""
    try:
        import lifelines
        import pandas
    except ModuleNotFoundError:
        return None
    x = rng.standard_normal((rows, 4)) * [1, 10, 0.1, 2]
    time = np.ceil(-np.log(rng.random(rows)) * 900 * np.exp(-0.5 * x[:, 0] - 0.04 * x[:, 1]))  # days, with ties
    names = [f"f{n}" for n in range(x.shape[1])]
    frame = pandas.DataFrame(x, columns=names)
    frame["time"], frame["event"] = np.minimum(time, 2000), (time <= 2000).astype(int)
    return lifelines.CoxPHFitter().fit(frame, "time", "event"), x, names
