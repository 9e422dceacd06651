#include "processing/onnx/operators.h"

namespace choana::processing {

std::span<const OperatorRow> machine_learning_operators() { return {}; }

}  // namespace choana::processing
