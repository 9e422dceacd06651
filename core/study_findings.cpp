#include "core/study_findings.h"

namespace choana {

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::reported: return "reported";
    case Outcome::not_analysed: return "not_analysed";
    case Outcome::failed: return "failed";
  }
  return "failed";
}

}  // namespace choana
