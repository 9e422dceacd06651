#pragma once

#include <dcmtk/config/osconfig.h>
#include <dcmtk/ofstd/ofcond.h>

#include <string>
#include <string_view>

#include "core/result.h"

namespace choana::reporting {

/// Every OFCondition is looked at: a refused item must end the object, not vanish from it (spec/sr.md 8).
[[nodiscard]] inline Status checked(const OFCondition& condition, std::string_view step, std::string_view what) {
  if (condition.good()) return {};
  return fail(ErrorCode::internal, std::string(step), "A result object could not be built: " + std::string(what) + ": " + condition.text() + ". Please report this as a defect.");
}

}  // namespace choana::reporting
