#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace choana::processing {

/// Whole numbers of neighbouring voxels that are worked on together, at most 32 bytes of them: wider ones would be taken apart again.
/// Reading and writing takes whole groups, so arrays have `lane_slack` elements behind their last voxel.
inline constexpr std::size_t lane_bytes = 32;
inline constexpr std::size_t lane_slack = 32;

template <typename T, std::size_t count>
struct LanesOf {
  static_assert(count * sizeof(T) <= lane_bytes);
  typedef T type __attribute__((vector_size(count * sizeof(T))));
};
template <typename T, std::size_t count = lane_bytes / sizeof(T)>
using Lanes = typename LanesOf<T, count>::type;

template <typename Vector, typename T>
[[gnu::always_inline]] inline void load(const T* from, Vector& lanes) {
  std::memcpy(&lanes, from, sizeof lanes);
}
template <typename Vector, typename T>
[[gnu::always_inline]] inline void store(const Vector& lanes, T* to) {
  std::memcpy(to, &lanes, sizeof lanes);
}

}  // namespace choana::processing
