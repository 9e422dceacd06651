#pragma once

#include <memory>
#include <string>
#include <vector>

#include "processing/radiomics/feature_family.h"
#include "processing/radiomics/matrices/cooccurrence.h"

namespace choana::processing {

/// Means of the features over directions, one matrix after the other, so that one alone is held. A direction without a value is left
/// out of the mean.
class GlcmMeans {
 public:
  /// names empty: all that are listed.
  explicit GlcmMeans(const std::vector<std::string>& names);
  ~GlcmMeans();
  GlcmMeans(const GlcmMeans&) = delete;
  GlcmMeans& operator=(const GlcmMeans&) = delete;

  void add(const CooccurrenceMatrix& direction);
  [[nodiscard]] std::vector<NamedValue> values() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Grey level co-occurrence features: the mean over directions (one matrix when they were joined).
/// names empty: all that are listed.
[[nodiscard]] std::vector<NamedValue> glcm_features(const std::vector<CooccurrenceMatrix>& directions, const std::vector<std::string>& names);
[[nodiscard]] std::vector<FeatureDescription> describe_glcm();

}  // namespace choana::processing
