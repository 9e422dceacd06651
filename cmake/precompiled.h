#pragma once

// Standard headers that nearly every file includes, parsed once in the release build (CHOANA_PRECOMPILE). The other presets do without, so that a
// file that leaves out an include is found.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <variant>
#include <vector>
