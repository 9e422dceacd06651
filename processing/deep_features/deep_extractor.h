#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/feature.h"
#include "core/result.h"
#include "processing/deep_features/image_preparation.h"

namespace choana::processing {

/// How an image network of a package is used: how its input is made, and which of its values are the features.
struct DeepFeatureSettings {
  ImagePreparation preparation;
  std::string input;         // name of the graph's input; empty: its only one
  std::string output;        // name of any value in the graph; empty: its only output
  int first_index = 0;       // of the features' names: 0 or 1, as the paper counts
};

/// The values of one slice, in the network's order. The first has the index `first_index`.
struct DeepFeatures {
  std::vector<float> values;
  int slice = 0;
  std::vector<float> pixels;  // what the network saw, 0 to 255
};

/// An image network made ready to run. Weights are read once; copies share them.
class DeepNetwork {
 public:
  /// onnx: content of the file; name: of the file, for messages. The network is run once on a grey ramp of the prepared size, so that one that cannot
  /// run, needs too much arithmetic or gives nothing finite is refused here. Errors: those of read_onnx and OnnxSession; invalid_package (the graph wants
  /// another input than one image of three channels and that size, has several outputs and none is named, gives something else than features).
  static Result<DeepNetwork> prepare(std::string_view onnx, const std::string& name, DeepFeatureSettings settings);

  /// SHA-256 of the file, hex.
  [[nodiscard]] const std::string& sha256() const;
  [[nodiscard]] const DeepFeatureSettings& settings() const;
  /// Number of features.
  [[nodiscard]] std::size_t length() const;
  /// What the network gave for the ramp: in every row and channel, column x of w is x / w - 0.5 in single precision.
  [[nodiscard]] const std::vector<float>& ramp_output() const;
  /// Names a network, with the way its image is made, in results: "network-resnet50-1a2b3c4d". Another file or another preparation has another label.
  [[nodiscard]] const std::string& label() const;

  /// Run the network on the slice where the region is largest.
  /// Errors: those of prepare_slice and OnnxSession; not_computable (a value that is not a number).
  [[nodiscard]] Result<DeepFeatures> extract(const SeriesVolume& series, const RegionOfInterest& region) const;

 private:
  struct State;
  explicit DeepNetwork(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

/// What the feature at a position of the output is called among measurements: "network-resnet50-1a2b3c4d_deep_66".
[[nodiscard]] FeatureId deep_feature_id(const DeepNetwork& network, std::size_t position);

}  // namespace choana::processing
