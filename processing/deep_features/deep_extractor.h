#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "processing/deep_features/image_preparation.h"

namespace choana::processing {

/// An image network as a package brings it: a file of weights, how its input is made, and which of its values are the features.
struct DeepFeatureSettings {
  ImagePreparation preparation;
  std::string output;        // name of any value in the graph; empty: its only output
  int first_index = 0;       // of the names: 0 or 1, as the paper counts
};

/// The values of one slice, in the network's order. Named "deep_<index>" from `first_index` on.
struct DeepFeatures {
  std::vector<float> values;
  int slice = 0;
  std::vector<float> pixels;  // what the network saw, 0 to 255
};

/// Run the network on the slice where the region is largest. onnx: content of the file; name: for messages.
/// Errors: those of read_onnx, OnnxSession and prepare_slice; invalid_package (the graph wants another input than one image of three channels).
[[nodiscard]] Result<DeepFeatures> extract_deep_features(std::string_view onnx, const std::string& name, const SeriesVolume& series, const RegionOfInterest& region,
                                                         const DeepFeatureSettings& settings);

}  // namespace choana::processing
