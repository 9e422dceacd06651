#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

#include "core/error.h"

namespace choana {

/// A value or the reason why there is none. `std::expected` is C++23; until then tl::expected.
template <typename T>
using Result = tl::expected<T, Error>;

/// Outcome of an action without a value.
using Status = tl::expected<void, Error>;

/// `return fail(ErrorCode::roi_empty, "rasterise", "...")`.
[[nodiscard]] inline tl::unexpected<Error> fail(ErrorCode code, std::string step, std::string message, std::string context = {}) {
  return tl::unexpected<Error>(Error{code, std::move(step), std::move(message), std::move(context)});
}

/// Hand on the error of another result.
[[nodiscard]] inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

}  // namespace choana
