#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "processing/onnx/onnx_graph.h"
#include "processing/onnx/tensor.h"

namespace choana::processing {

/// A graph made ready to run: constants folded, batch normalisations folded into convolutions, sums and rectifiers joined to them, values freed after
/// their last use. float32 image operators run on loops of our own for the vector unit of the machine, one thread; everything else in double, rounded once to the type of the graph.
class OnnxSession {
 public:
  /// outputs: names of any values of the graph, of its inner ones too; empty: the graph's own outputs.
  /// Errors: invalid_package (an operator that is not supported, with its name; an output that nothing makes).
  static Result<OnnxSession> prepare(OnnxGraph graph, std::vector<std::string> outputs = {});
  ~OnnxSession();
  OnnxSession(OnnxSession&&) noexcept;
  OnnxSession& operator=(OnnxSession&&) noexcept;

  [[nodiscard]] const std::vector<OnnxInput>& inputs() const;
  [[nodiscard]] const std::vector<std::string>& outputs() const;

  /// Run once. inputs: by name; types as declared, shapes fitting the declared ones. multiplications_max: a bound on the arithmetic (and so on the time)
  /// that does not hang on a clock. Several threads may run one session.
  /// Errors: invalid_argument (an input is missing or does not fit), invalid_package (shapes that do not fit inside), limit_exceeded (more arithmetic
  /// than that), out_of_memory.
  [[nodiscard]] Result<std::vector<Tensor>> run(std::map<std::string, Tensor> inputs, double multiplications_max = 1e13) const;

 private:
  struct State;
  explicit OnnxSession(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace choana::processing
