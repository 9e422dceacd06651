#include "processing/deep_features/deep_extractor.h"

#include <cctype>
#include <cmath>
#include <cstdio>
#include <utility>

#include "core/sha256.h"
#include "processing/onnx/onnx_session.h"

namespace choana::processing {
namespace {

constexpr std::size_t features_max = 100'000;
constexpr double multiplications_max = 2e11;  // of one slice: fifty times a ResNet50

tl::unexpected<Error> wrong(const std::string& name, const std::string& what) { return fail(ErrorCode::invalid_package, "deep_features", "The network " + name + " " + what + "."); }

// Everything that shapes the values beside the weights.
std::string text_of(const DeepFeatureSettings& how) {
  const ImagePreparation& image = how.preparation;
  std::string text = how.input + "\n" + how.output + "\n" + std::to_string(how.first_index);
  for (const double value : {image.crop_to_region ? 1.0 : 0.0, image.margin_mm, static_cast<double>(image.range), static_cast<double>(image.range_of), image.low, image.high, image.eight_bits ? 1.0 : 0.0,
                             static_cast<double>(image.columns), static_cast<double>(image.rows), static_cast<double>(image.filter), image.mean[0], image.mean[1], image.mean[2], image.sd[0], image.sd[1], image.sd[2]}) {
    char number[40];
    std::snprintf(number, sizeof number, "\n%.17g", value);
    text += number;
  }
  return text;
}

// "model/resnet50.onnx" -> "network-resnet50-1a2b3c4d"
std::string label_of(const std::string& file, const std::string& sha256, const DeepFeatureSettings& how) {
  std::string stem = file.substr(file.rfind('/') + 1);
  stem = stem.substr(0, stem.find('.')).substr(0, 20);
  for (char& c : stem)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '-';
  return "network-" + (stem.empty() || stem == "network" ? "" : stem + "-") + sha256_hex(sha256 + "\n" + text_of(how)).substr(0, 8);
}

Result<std::vector<float>> run_on(const OnnxSession& session, const std::string& name, const std::string& input, Tensor image) {
  auto outputs = session.run({{input, std::move(image)}}, multiplications_max);
  if (!outputs) return fail(outputs.error());
  auto* values = std::get_if<std::vector<float>>(&outputs->front().data);
  if (values == nullptr || values->empty() || values->size() > features_max) return wrong(name, "gives no features of single precision, or more than " + std::to_string(features_max));
  for (const float value : *values)
    if (!std::isfinite(value)) return fail(ErrorCode::not_computable, "deep_features", "The network " + name + " gave a value that is not a number.");
  return std::move(*values);
}

}  // namespace

struct DeepNetwork::State {
  std::string name, sha256, label, input;
  DeepFeatureSettings settings;
  OnnxSession session;
  std::vector<float> ramp_output;
};

Result<DeepNetwork> DeepNetwork::prepare(std::string_view onnx, const std::string& name, DeepFeatureSettings settings) {
  auto graph = read_onnx(onnx, name);
  if (!graph) return fail(graph.error());
  if (graph->inputs.size() != 1 || graph->inputs[0].type != ElementType::float32 || graph->inputs[0].shape.size() != 4)
    return wrong(name, "wants another input than one image (batch, channels, rows, columns) of single precision");
  const std::string input = graph->inputs[0].name;
  if (!settings.input.empty() && settings.input != input) return wrong(name, "has no input '" + settings.input.substr(0, 64) + "'; its input is '" + input.substr(0, 64) + "'");
  const std::vector<std::int64_t> shape{1, 3, settings.preparation.rows, settings.preparation.columns};
  for (std::size_t axis = 0; axis < shape.size(); ++axis)
    if (const std::int64_t declared = graph->inputs[0].shape[axis]; declared >= 0 && declared != shape[axis])
      return wrong(name, "wants " + std::to_string(declared) + " along axis " + std::to_string(axis) + " of its input; the package prepares " + std::to_string(shape[axis]));
  if (settings.output.empty() && graph->outputs.size() != 1) return wrong(name, "has several outputs; the package must name one");
  auto session = OnnxSession::prepare(std::move(*graph), settings.output.empty() ? std::vector<std::string>{} : std::vector<std::string>{settings.output});
  if (!session) return fail(session.error());

  Tensor ramp{shape, std::vector<float>(static_cast<std::size_t>(3) * static_cast<std::size_t>(shape[2] * shape[3]))};
  auto& values = ramp.values<float>();
  for (std::size_t at = 0; at < values.size(); ++at) values[at] = static_cast<float>(at % static_cast<std::size_t>(shape[3])) / static_cast<float>(shape[3]) - 0.5F;
  auto tried = run_on(*session, name, input, std::move(ramp));
  if (!tried) return fail(tried.error());
  const std::string digest = sha256_hex(onnx);
  std::string label = label_of(name, digest, settings);
  return DeepNetwork(std::make_shared<const State>(State{name, digest, std::move(label), input, std::move(settings), std::move(*session), std::move(*tried)}));
}

const std::string& DeepNetwork::sha256() const { return state_->sha256; }
const DeepFeatureSettings& DeepNetwork::settings() const { return state_->settings; }
std::size_t DeepNetwork::length() const { return state_->ramp_output.size(); }
const std::vector<float>& DeepNetwork::ramp_output() const { return state_->ramp_output; }
const std::string& DeepNetwork::label() const { return state_->label; }

Result<DeepFeatures> DeepNetwork::extract(const SeriesVolume& series, const RegionOfInterest& region) const {
  auto image = prepare_slice(series, region, state_->settings.preparation);
  if (!image) return fail(image.error());
  auto values = run_on(state_->session, state_->name, state_->input, std::move(image->input));
  if (!values) return fail(values.error());
  return DeepFeatures{std::move(*values), image->slice, std::move(image->pixels)};
}

FeatureId deep_feature_id(const DeepNetwork& network, std::size_t position) {
  return {network.label(), "deep", std::to_string(position + static_cast<std::size_t>(network.settings().first_index))};
}

}  // namespace choana::processing
