#include "processing/pipeline/study_log.h"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace choana::processing {

std::string json_quoted(const std::string& text) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') json += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", c);
      json += escape;
    } else {
      json += c;
    }
  }
  return json + "\"";
}

void StudyLog::issue(ErrorCode code, std::string text, std::string role, std::string roi) {
  StudyIssue added{code, std::move(text), std::move(role), std::move(roi)};
  const auto same = [&](const StudyIssue& other) { return other.text == added.text && other.role == added.role && other.roi == added.roi; };
  if (std::none_of(findings_.issues.begin(), findings_.issues.end(), same)) findings_.issues.push_back(std::move(added));
}

StudyLog::Timer::Timer(StudyLog& log, std::string name, std::string role)
    : log_(log), name_(std::move(name)), role_(std::move(role)), started_s_(log.now_s()), outer_inside_s_(std::exchange(log.inside_s_, 0)) {}

StudyLog::Timer::~Timer() {
  const double all = log_.now_s() - started_s_;
  log_.findings_.steps.push_back({name_, role_, "{}", all - log_.inside_s_});
  log_.inside_s_ = outer_inside_s_ + all;
}

}  // namespace choana::processing
