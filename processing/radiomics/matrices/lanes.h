#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace choana::processing {

/// Whole numbers of neighbouring voxels that are worked on together. Reading and writing takes whole groups, so arrays have `lane_count`
/// elements of slack behind their last voxel.
inline constexpr std::size_t lane_count = 32;

template <typename T>
struct LanesOf {
  typedef T type __attribute__((vector_size(lane_count * sizeof(T))));
};
template <typename T>
using Lanes = typename LanesOf<T>::type;

template <typename T>
[[gnu::always_inline]] inline void load(const T* from, Lanes<T>& lanes) {
  std::memcpy(&lanes, from, sizeof lanes);
}
template <typename T>
[[gnu::always_inline]] inline void store(const Lanes<T>& lanes, T* to) {
  std::memcpy(to, &lanes, sizeof lanes);
}

}  // namespace choana::processing
