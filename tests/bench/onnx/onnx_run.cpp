// Runs one ONNX file on float32 inputs from raw files and writes an output: what tests/interop and the bench compare with ONNX Runtime.
//   onnx_run MODEL.onnx OUTPUT_NAME|- OUT.raw REPEATS|- NAME=IN.raw:d0,d1,... [...]
// REPEATS -: one run for every line that comes in, each answered with its CPU time in milliseconds, so that runs can be interleaved with another program's.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "processing/onnx/onnx_session.h"

namespace {

using namespace choana;
using namespace choana::processing;

std::string read_all(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

double cpu_s() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

template <typename T>
void write(const Tensor& tensor, std::ofstream& out) {
  const auto& values = tensor.values<T>();
  out.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) return 2;
  auto graph = read_onnx(read_all(argv[1]), argv[1]);
  if (!graph) return std::fprintf(stderr, "%s\n", graph.error().message.c_str()), 1;
  std::map<std::string, Tensor> inputs;
  for (int at = 5; at < argc; ++at) {
    const std::string text = argv[at];
    const auto equals = text.find('='), colon = text.rfind(':');
    const std::string name = text.substr(0, equals), raw = read_all(text.substr(equals + 1, colon - equals - 1));
    Tensor tensor;
    for (std::size_t from = colon + 1; from < text.size();) {
      const auto comma = std::min(text.find(',', from), text.size());
      tensor.shape.push_back(std::stoll(text.substr(from, comma - from)));
      from = comma + 1;
    }
    ElementType type = ElementType::float32;
    for (const OnnxInput& input : graph->inputs)
      if (input.name == name) type = input.type;
    const auto fill = [&]<typename T>(std::vector<T>& values) { values.assign(reinterpret_cast<const T*>(raw.data()), reinterpret_cast<const T*>(raw.data() + raw.size())); };
    if (type == ElementType::float64) fill(tensor.data.emplace<std::vector<double>>());
    else if (type == ElementType::int64) fill(tensor.data.emplace<std::vector<std::int64_t>>());
    else fill(tensor.data.emplace<std::vector<float>>());
    inputs.emplace(name, std::move(tensor));
  }
  const std::string wanted = argv[2];
  auto session = OnnxSession::prepare(std::move(*graph), wanted == "-" ? std::vector<std::string>{} : std::vector<std::string>{wanted});
  if (!session) return std::fprintf(stderr, "%s\n", session.error().message.c_str()), 1;
  const bool asked = std::string(argv[4]) == "-";
  const int repeats = asked ? std::numeric_limits<int>::max() : std::atoi(argv[4]);
  std::vector<Tensor> outputs;
  double best_cpu = 1e9;
  for (int n = 0; n < repeats; ++n) {
    if (asked && std::fgetc(stdin) == EOF) break;
    const double started = cpu_s();
    auto result = session->run(inputs);
    if (!result) return std::fprintf(stderr, "%s\n", result.error().message.c_str()), 1;
    if (n > 0 || repeats == 1) best_cpu = std::min(best_cpu, cpu_s() - started);
    outputs = std::move(*result);
    if (asked) {
      std::printf("%.3f\n", (cpu_s() - started) * 1000);
      std::fflush(stdout);
    }
  }
  std::ofstream out(argv[3], std::ios::binary);
  for (const Tensor& tensor : outputs) {
    if (tensor.type() == ElementType::float32) write<float>(tensor, out);
    else if (tensor.type() == ElementType::float64) write<double>(tensor, out);
    else if (tensor.type() == ElementType::int64) write<std::int64_t>(tensor, out);
  }
  if (!asked) std::printf("{\"cpu_ms\": %.3f}\n", best_cpu * 1000);
  return 0;
}
