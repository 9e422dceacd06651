# Write what `choana model import --format ir` takes from a fitted R model: model.ir.json, features.csv and rows.csv.
#
#   source("choana_export.R")
#   choana_export(fit, rows, "folder")          # rows: a data frame with at least 20 complete rows
#   choana model import folder/model.ir.json --format ir --features folder/features.csv --selftest folder/rows.csv --out package
#
# fit: glm (gaussian identity, binomial logit), survival::coxph, rms::lrm; numeric terms only, each a column of `rows`. Base R alone.

choana_number <- function(x) sprintf("%.17g", x)
choana_list <- function(x) paste0("[", paste(choana_number(x), collapse = ","), "]")
choana_text <- function(x) paste0('"', gsub('(["\\\\])', "\\\\\\1", x), '"')

choana_export <- function(fit, rows, folder) {
  dir.create(folder, recursive = TRUE, showWarnings = FALSE)
  kind <- class(fit)
  if ("coxph" %in% kind) {
    terms <- names(coef(fit))
    base <- survival::basehaz(fit, centered = TRUE)  # at the covariates' means: fit$means
    keep <- !duplicated(base$hazard, fromLast = FALSE) & base$hazard > 0
    body <- paste0('"kind":"cox","coef":', choana_list(coef(fit)), ',"centre":', choana_list(fit$means), ',"ties":', choana_text(fit$method),
                   ',"baseline":{"at":"centre","time":', choana_list(base$time[keep]), ',"cumulative_hazard":', choana_list(base$hazard[keep]), "}")
    x <- as.matrix(rows[, terms, drop = FALSE])
    expected <- as.vector(sweep(x, 2, fit$means) %*% coef(fit))
  } else if ("lrm" %in% kind || "glm" %in% kind) {
    all <- coef(fit)
    terms <- setdiff(names(all), c("(Intercept)", "Intercept"))
    if (length(all) != length(terms) + 1) stop("a model with one intercept is expected")
    logistic <- "lrm" %in% kind || (fit$family$family == "binomial" && fit$family$link == "logit")
    if (!logistic && !(fit$family$family == "gaussian" && fit$family$link == "identity")) stop("binomial (logit) and gaussian (identity) are exported")
    intercept <- all[setdiff(names(all), terms)]
    body <- paste0('"kind":"linear","coef":', choana_list(all[terms]), ',"intercept":', choana_list(intercept), ',"link":', choana_text(if (logistic) "logistic" else "identity"))
    expected <- as.vector(if ("lrm" %in% kind) predict(fit, rows, type = "fitted") else predict(fit, rows, type = "response"))
  } else stop("glm, coxph and lrm are exported")
  if (!all(terms %in% names(rows))) stop("terms that are no column of `rows`: give factors and transformed terms as numeric columns")
  if (nrow(rows) < 20) stop("the self-test needs at least 20 rows")
  writeLines(paste0('{"ir":1,"features":[', paste(choana_text(terms), collapse = ","), "],", body, "}"), file.path(folder, "model.ir.json"))
  writeLines(c("feature", terms), file.path(folder, "features.csv"))
  cells <- apply(as.matrix(rows[, terms, drop = FALSE]), 2, choana_number)
  lines <- paste(paste0("row-", seq_len(nrow(rows))), apply(matrix(cells, nrow = nrow(rows)), 1, paste, collapse = ","), choana_number(expected), sep = ",")
  writeLines(c(paste(c("case", terms, "expected"), collapse = ","), lines), file.path(folder, "rows.csv"))
  invisible(folder)
}
