#include "processing/deep_features/deep_extractor.h"

#include <cmath>
#include <utility>

#include "processing/onnx/onnx_session.h"

namespace choana::processing {

Result<DeepFeatures> extract_deep_features(std::string_view onnx, const std::string& name, const SeriesVolume& series, const RegionOfInterest& region, const DeepFeatureSettings& settings) {
  auto image = prepare_slice(series, region, settings.preparation);
  if (!image) return fail(image.error());
  auto graph = read_onnx(onnx, name);
  if (!graph) return fail(graph.error());
  const auto wrong = [&](const std::string& what) { return fail(ErrorCode::invalid_package, "deep_features", "The network " + name + " " + what + "."); };
  if (graph->inputs.size() != 1 || graph->inputs[0].type != ElementType::float32 || graph->inputs[0].shape.size() != 4)
    return wrong("wants another input than one image (batch, channels, rows, columns) of single precision");
  if (settings.output.empty() && graph->outputs.size() != 1) return wrong("has several outputs; the package must name one");
  const std::string input = graph->inputs[0].name;
  auto session = OnnxSession::prepare(std::move(*graph), settings.output.empty() ? std::vector<std::string>{} : std::vector<std::string>{settings.output});
  if (!session) return fail(session.error());
  auto outputs = session->run({{input, std::move(image->input)}});
  if (!outputs) return fail(outputs.error());
  const auto* values = std::get_if<std::vector<float>>(&outputs->front().data);
  if (values == nullptr || values->empty() || values->size() > 100'000) return wrong("gives no features of single precision, or too many");
  for (const float value : *values)
    if (!std::isfinite(value)) return fail(ErrorCode::not_computable, "deep_features", "The network " + name + " gave a value that is not a number.");
  return DeepFeatures{*values, image->slice, std::move(image->pixels)};
}

}  // namespace choana::processing
