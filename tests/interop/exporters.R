# exporters.R EXPORTER WORK CHOANA: conf/exporters/choana_export.R end to end: choana_export() -> `choana model check` -> `choana predict` beside the live model.
arguments <- commandArgs(trailingOnly = TRUE)
source(arguments[1])
work <- arguments[2]
choana <- arguments[3]
dir.create(work, recursive = TRUE, showWarnings = FALSE)
failures <- 0
report <- function(name, rows, difference, problem = NULL) {
  if (!is.null(problem)) failures <<- failures + 1
  cat(sprintf("%-44s%6d%11.2g%s\n", name, rows, difference, if (is.null(problem)) "" else paste("   FAIL", problem)))
}

one <- function(name, fit, rows, terms, values, bar = 1e-12, ...) {
  folder <- file.path(work, name)
  unlink(folder, recursive = TRUE)
  choana_export(fit, rows[1:60, ], folder, ...)
  checked <- suppressWarnings(system2(choana, c("model", "check", shQuote(folder)), stdout = TRUE, stderr = TRUE))
  if (!is.null(attr(checked, "status"))) return(report(name, nrow(rows), NaN, paste("check:", paste(checked, collapse = " "))))
  table <- file.path(work, paste0(name, ".csv")); out <- file.path(work, paste0(name, "-predicted.csv"))
  cells <- matrix(sprintf("%.17g", as.matrix(rows[, terms])), nrow = nrow(rows))
  writeLines(c(paste(c("case", terms), collapse = ","), paste(paste0("r", seq_len(nrow(rows))), apply(cells, 1, paste, collapse = ","), sep = ",")), table)
  scored <- suppressWarnings(system2(choana, c("predict", shQuote(folder), shQuote(table), "--explain", "--out", shQuote(out)), stdout = TRUE, stderr = TRUE))
  if (!is.null(attr(scored, "status"))) return(report(name, nrow(rows), NaN, paste("predict:", paste(scored, collapse = " "))))
  difference <- max(abs(utils::read.csv(out)$prediction - values))
  report(name, nrow(rows), difference, if (difference <= bar * max(1, abs(values))) NULL else "differs")
}

cat("\nexported with choana_export.R\n")
set.seed(31)
n <- 520
data <- data.frame(age = rnorm(n, 50, 10), volume = rexp(n, 0.05), stage = sample(0:3, n, TRUE), entropy = rnorm(n))
score <- 0.04 * (data$age - 50) + 0.02 * data$volume + 0.5 * data$stage - data$entropy
data$response <- as.integer(runif(n) < plogis(score - 1))
data$size <- score + rnorm(n)
time <- ceiling(rexp(n, exp(score / 2) / 900))  # days, with ties
data$time <- pmin(time, 2000)
data$event <- as.integer(time <= 2000)
terms <- c("age", "volume", "stage", "entropy")

fit <- glm(response ~ age + volume + stage + entropy, binomial, data)
one("glm_binomial", fit, data, terms, predict(fit, data, type = "response"))
fit <- glm(size ~ age + volume + stage + entropy, gaussian, data)
one("glm_gaussian", fit, data, terms, predict(fit, data))
if (requireNamespace("survival", quietly = TRUE)) {
  library(survival)
  for (ties in c("efron", "breslow")) {
    fit <- coxph(Surv(time, event) ~ age + volume + stage + entropy, data, ties = ties)
    one(paste0("coxph_", ties), fit, data, terms, predict(fit, data, type = "lp", reference = "sample"))
    for (horizon in c(365, 1000.5)) {
      curve <- summary(survfit(fit, newdata = data), times = horizon)$surv
      one(sprintf("coxph_%s_survival_at_%g", ties, horizon), fit, data, terms, as.vector(curve), horizon = horizon)
    }
  }
} else cat("SKIPPED: coxph (r-cran-survival is not installed)\n")
if (suppressPackageStartupMessages(requireNamespace("rms", quietly = TRUE))) {
  suppressPackageStartupMessages(library(rms))
  fit <- lrm(response ~ age + volume + stage + entropy, data)
  one("lrm", fit, data, terms, predict(fit, data, type = "fitted"))
} else cat("SKIPPED: lrm (r-cran-rms is not installed)\n")

# Refused, with a word and nothing left behind.
data$group <- factor(data$stage)
for (case in list(list("a factor", glm(response ~ age + group, binomial, data)), list("a transformed term", glm(size ~ log(volume + 1), gaussian, data)),
                  list("an offset", glm(size ~ age, gaussian, data, offset = data$volume)), list("Poisson", glm(stage ~ age, poisson, data)), list("lm", lm(size ~ age, data)),
                  list("strata", if (requireNamespace("survival", quietly = TRUE)) coxph(Surv(time, event) ~ age + strata(stage), data)))) {
  if (is.null(case[[2]])) next
  folder <- file.path(work, "refused")
  said <- tryCatch({ choana_export(case[[2]], data, folder); NULL }, error = conditionMessage)
  report(paste("refused:", case[[1]]), 0L, NaN, if (is.null(said)) "was exported" else if (file.exists(folder)) "left a folder behind" else NULL)
  unlink(folder, recursive = TRUE)
}
quit(status = if (failures > 0) 1 else 0)
