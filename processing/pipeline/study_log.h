#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "core/error.h"
#include "core/study_findings.h"

namespace choana::processing {

/// A text as a JSON string, with its quotes. Bytes above 0x7F stay as they are.
[[nodiscard]] std::string json_quoted(const std::string& text);

/// What a run notes on its way: issues, steps with their times, and the error that explains why there is no result.
class StudyLog {
 public:
  /// findings: gets issues and steps; outlives the log. now_s: a clock that only runs forward, or empty for no times.
  StudyLog(StudyFindings& findings, std::function<double()> now_s) : findings_(findings), clock_(std::move(now_s)) {}

  [[nodiscard]] double now_s() const { return clock_ ? clock_() : 0.0; }
  /// The same text of the same role and region is noted once.
  void issue(ErrorCode code, std::string text, std::string role, std::string roi);
  /// The first error is the one that explains an absence.
  void remember(const Error& error) {
    if (!first_error_) first_error_ = error;
  }
  [[nodiscard]] const std::optional<Error>& first_error() const { return first_error_; }
  void step(StepRecord record) { findings_.steps.push_back(std::move(record)); }
  /// As `step`, within a timer that runs: its seconds are not counted there again.
  void inner_step(StepRecord record) {
    inside_s_ += record.seconds;
    step(std::move(record));
  }

  /// Records a step when it goes. A step within a step is recorded by itself and not counted twice.
  class Timer {
   public:
    Timer(StudyLog& log, std::string name, std::string role);
    ~Timer();
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

   private:
    StudyLog& log_;
    std::string name_, role_;
    double started_s_, outer_inside_s_;
  };

 private:
  StudyFindings& findings_;
  std::function<double()> clock_;
  std::optional<Error> first_error_;
  double inside_s_ = 0;  // of steps that ended within the present one
};

}  // namespace choana::processing
