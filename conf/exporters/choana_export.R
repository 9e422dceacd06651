# Write a Choana model package (format choana-model/1) from a fitted R model: the model, its features and self-test rows that the live model scored.
#
#   source("choana_export.R")
#   choana_export(fit, rows, "folder")          # rows: a data frame with at least 20 complete rows; the folder is new
#   choana_export(fit, rows, "folder", horizon = 365)     # coxph: the survival up to 365, in the unit of its times; otherwise the log hazard
#
#   choana model check folder
#   choana predict folder table.csv --explain
#
# fit: glm (gaussian identity, binomial logit), survival::coxph without strata, rms::lrm of two classes; numeric terms only, each a column of `rows`. Base R alone.

choana_number <- function(x) sprintf("%.17g", x)
choana_list <- function(x) paste0("[", paste(choana_number(x), collapse = ","), "]")
choana_text <- function(x) paste0('"', gsub('(["\\\\])', "\\\\\\1", x), '"')

# SHA-256 of a file (FIPS 180-4): base R has none before 4.5. Words are doubles below 2^32, taken apart into halves where bits are needed.
choana_sha256 <- function(path) {
  word <- 2^32
  bits <- function(f, a, b) f(a %/% 65536, b %/% 65536) * 65536 + f(a %% 65536, b %% 65536)
  xor2 <- function(a, b) bits(bitwXor, a, b)
  and2 <- function(a, b) bits(bitwAnd, a, b)
  turn <- function(x, n) (x %/% 2^n) + (x %% 2^n) * 2^(32 - n)
  fraction <- function(x) floor((x - floor(x)) * word)
  primes <- Filter(function(n) n == 2 || all(n %% 2:ceiling(sqrt(n)) != 0), 2:311)
  k <- fraction(primes^(1 / 3))
  h <- fraction(sqrt(primes[1:8]))
  bytes <- as.numeric(readBin(path, "raw", file.info(path)$size))
  size <- length(bytes)
  bytes <- c(bytes, 128, rep(0, (55 - size) %% 64), rep(0, 4), (8 * size) %/% 256^(3:0) %% 256)
  words <- colSums(matrix(bytes, nrow = 4) * 256^(3:0))
  for (block in seq_len(length(words) / 16)) {
    w <- c(words[(block - 1) * 16 + 1:16], numeric(48))
    for (i in 17:64) {
      s0 <- xor2(xor2(turn(w[i - 15], 7), turn(w[i - 15], 18)), w[i - 15] %/% 8)
      s1 <- xor2(xor2(turn(w[i - 2], 17), turn(w[i - 2], 19)), w[i - 2] %/% 1024)
      w[i] <- (w[i - 16] + s0 + w[i - 7] + s1) %% word
    }
    v <- h
    for (i in 1:64) {
      s1 <- xor2(xor2(turn(v[5], 6), turn(v[5], 11)), turn(v[5], 25))
      choice <- xor2(and2(v[5], v[6]), and2(word - 1 - v[5], v[7]))
      t1 <- (v[8] + s1 + choice + k[i] + w[i]) %% word
      s0 <- xor2(xor2(turn(v[1], 2), turn(v[1], 13)), turn(v[1], 22))
      majority <- xor2(xor2(and2(v[1], v[2]), and2(v[1], v[3])), and2(v[2], v[3]))
      v <- c((t1 + s0 + majority) %% word, v[1:3], (v[4] + t1) %% word, v[5:7])
    }
    h <- (h + v) %% word
  }
  paste(sprintf("%04x%04x", h %/% 65536, h %% 65536), collapse = "")
}

choana_export <- function(fit, rows, folder, horizon = NULL, version = "1.0.0", title = NULL, tolerance = 1e-9) {
  if (file.exists(folder)) stop("the folder is there already: ", folder)
  if (nrow(rows) < 20) stop("the self-test needs at least 20 rows")
  kind <- class(fit)
  cox <- "coxph" %in% kind
  if (!is.null(horizon) && !cox) stop("a horizon belongs to a Cox model")
  all <- coef(fit)
  if (anyNA(all)) stop("a coefficient could not be estimated (NA): take its term out and fit again")
  if (cox) {
    terms <- names(all)
  } else if ("lrm" %in% kind || "glm" %in% kind) {
    terms <- setdiff(names(all), c("(Intercept)", "Intercept"))
    if (length(all) != length(terms) + 1) stop("a model with one intercept is expected")
  } else stop("glm, coxph and lrm are exported, not ", kind[1])
  if (length(terms) == 0) stop("the model has no term")
  missing <- setdiff(terms, names(rows))
  if (length(missing) > 0) stop("terms that are no column of `rows`: ", paste(missing, collapse = ", "), "; give factors and transformed terms as numeric columns")
  x <- as.matrix(rows[, terms, drop = FALSE])
  if (!is.numeric(x) || any(!is.finite(x))) stop("`rows` must hold finite numbers for every term")
  if (length(grep('[",\n]', terms)) > 0) stop("a term has a comma, a quote or a line break in its name")
  if (cox) {
    if (!is.null(fit$call$strata) || any(grepl("strata(", attr(stats::terms(fit), "term.labels"), fixed = TRUE))) stop("coxph with strata is not exported")
    if (!is.null(fit$offset) || any(grepl("offset(", deparse(stats::formula(fit)), fixed = TRUE))) stop("coxph with an offset is not exported")
    base <- survival::basehaz(fit, centered = TRUE)  # at the covariates' means: fit$means
    keep <- !duplicated(base$hazard) & base$hazard > 0
    body <- paste0('"kind":"cox","coef":', choana_list(all), ',"centre":', choana_list(fit$means), ',"ties":', choana_text(fit$method),
                   ',"baseline":{"at":"centre","time":', choana_list(base$time[keep]), ',"cumulative_hazard":', choana_list(base$hazard[keep]), "}")
    values <- as.vector(predict(fit, newdata = rows, type = "lp", reference = "sample"))
    margins <- values
    type <- "cox"
  } else {
    lrm <- "lrm" %in% kind
    logistic <- lrm || (fit$family$family == "binomial" && fit$family$link == "logit")
    if (!logistic && !(fit$family$family == "gaussian" && fit$family$link == "identity")) stop("binomial (logit) and gaussian (identity) are exported")
    if (!lrm && !is.null(fit$offset)) stop("glm with an offset is not exported")
    intercept <- all[setdiff(names(all), terms)]
    body <- paste0('"kind":"linear","coef":', choana_list(all[terms]), ',"intercept":', choana_list(intercept), ',"link":', choana_text(if (logistic) "logistic" else "identity"))
    values <- as.vector(predict(fit, rows, type = if (lrm) "fitted" else "response"))
    margins <- as.vector(predict(fit, rows, type = if (lrm) "lp" else "link"))
    type <- "linear"
  }
  # What the exporter understood must be what the model says, before anything is written.
  own <- if (cox) sweep(x, 2, fit$means) %*% all else x %*% all[terms] + intercept
  if (max(abs(own - margins)) > 1e-9 * max(1, abs(margins))) stop("the model predicts something else than its coefficients say (transformed terms, an offset or a penalty?)")

  write_lines <- function(lines, name) {
    out <- file(file.path(folder, name), "wb")
    on.exit(close(out))
    writeLines(enc2utf8(lines), out, useBytes = TRUE)
  }
  dir.create(file.path(folder, "model"), recursive = TRUE)
  write_lines(paste0('{"ir":1,"features":[', paste(choana_text(terms), collapse = ","), "],", body, "}"), "model/model.ir.json")
  quantiles <- apply(x, 2, stats::quantile, c(0.01, 0.99), names = FALSE)
  sd <- apply(x, 2, function(column) sqrt(mean((column - mean(column))^2)))
  write_lines(c("order,id,role,roi,kind,feature,unit,train_mean,train_sd,q01,q99",
                paste(seq_along(terms), terms, "", "", "table", terms, "1", choana_number(colMeans(x)), choana_number(sd), choana_number(quantiles[1, ]), choana_number(quantiles[2, ]), sep = ",")), "features.csv")
  cells <- matrix(choana_number(x), nrow = nrow(x))
  write_lines(c(paste(c("case", terms, "model", "model.margin"), collapse = ","),
                paste(paste0("row-", seq_len(nrow(x))), apply(cells, 1, paste, collapse = ","), choana_number(values), choana_number(margins), sep = ",")), "selftest.csv")
  if (is.null(title)) title <- paste(kind[1], "exported from R")
  write_lines(c("format: choana-model/1", paste0("id: ", choana_text(basename(folder))), paste0("version: ", version), paste0("title: ", choana_text(title)), "status: research",
                'intended_use: "Exported with choana_export.R; its intended use has not been stated."', "inputs: {}", "features: features.csv", "stages:",
                paste0("  - {id: model, type: ", type, ", file: model/model.ir.json, in: table}"), "outputs:",
                paste0("  - {from: model, name: prediction, endpoint: PREDICTION, primary: true", if (!is.null(horizon)) paste0(", horizon: ", choana_number(horizon)), "}"),
                "missing: {table: pass}", "uncertainty: {quantile_guard: [0.01, 0.99]}", paste0("selftest: {file: selftest.csv, tolerance: {stages: ", choana_number(tolerance), "}}"),
                "integrity: {sums: SHA256SUMS}"), "manifest.yaml")
  write_lines(c(paste("#", title), "", "Complete this card: population, limits, contact. The training figures of features.csv are those of the rows given to the exporter."), "MODEL_CARD.md")
  files <- sort(setdiff(list.files(folder, recursive = TRUE), "SHA256SUMS"), method = "radix")
  write_lines(paste(vapply(file.path(folder, files), choana_sha256, ""), files, sep = "  "), "SHA256SUMS")
  invisible(folder)
}
