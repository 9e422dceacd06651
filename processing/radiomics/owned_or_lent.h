#pragma once

#include <optional>
#include <utility>

namespace choana::processing {

/// A value that is held here, or lent by someone who keeps it alive and unchanged: steps pass volumes on without copying them.
template <typename T>
class OwnedOrLent {
 public:
  OwnedOrLent(T value) : owned_(std::move(value)) {}          // NOLINT: made from either without ceremony
  OwnedOrLent(const T* lent) : lent_(lent) {}                 // NOLINT

  [[nodiscard]] const T& operator*() const { return owned_ ? *owned_ : *lent_; }
  [[nodiscard]] const T* operator->() const { return &**this; }
  [[nodiscard]] bool owned() const { return owned_.has_value(); }

 private:
  std::optional<T> owned_;
  const T* lent_ = nullptr;
};

}  // namespace choana::processing
