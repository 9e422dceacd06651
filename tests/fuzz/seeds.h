#pragma once

#include <cstdint>
#include <vector>

/// Inputs that reach the inner parts of a target; made by code, so that no binary file lies in the tree.
std::vector<std::vector<std::uint8_t>> choana_fuzz_seeds();
