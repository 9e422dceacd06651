#include "processing/prediction/learners/onnx_model.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "core/near_match.h"
#include "processing/onnx/onnx_graph.h"
#include "processing/onnx/onnx_session.h"

namespace choana::processing {
namespace {

constexpr double multiplications_a_row = 1e10;
constexpr std::size_t classes_max = 1000;
constexpr double probability_tolerance = 1e-4;  // of float32 probabilities and their sum

// Operators through which a value stays what it is.
bool hands_on(const OnnxNode& node) {
  static const std::set<std::string> names{"Identity", "Cast", "ZipMap", "Reshape", "Flatten", "Squeeze", "Unsqueeze"};
  return names.contains(node.op) && !node.inputs.empty();
}

const OnnxNode* maker_of(const OnnxGraph& graph, const std::string& name) {
  for (const OnnxNode& node : graph.nodes)
    if (std::find(node.outputs.begin(), node.outputs.end(), name) != node.outputs.end()) return &node;
  return nullptr;
}

// The node that really makes a value, and which of its outputs it is.
std::pair<const OnnxNode*, std::size_t> origin_of(const OnnxGraph& graph, std::string name) {
  const OnnxNode* node = maker_of(graph, name);
  for (std::size_t steps = 0; node != nullptr && hands_on(*node) && steps <= graph.nodes.size(); ++steps) {
    const OnnxNode* before = maker_of(graph, node->inputs[0]);
    if (before == nullptr) return {nullptr, 0};
    name = node->inputs[0];
    node = before;
  }
  if (node == nullptr) return {nullptr, 0};
  return {node, static_cast<std::size_t>(std::find(node->outputs.begin(), node->outputs.end(), name) - node->outputs.begin())};
}

// A list of maps is the matrix that it was made of.
std::string unzipped(const OnnxGraph& graph, const std::string& name) {
  const OnnxNode* node = maker_of(graph, name);
  return node != nullptr && node->op == "ZipMap" && !node->inputs.empty() ? node->inputs[0] : name;
}

bool is_two_class_decision(const OnnxGraph& graph, const std::string& name) {
  const auto [node, output] = origin_of(graph, name);
  if (node == nullptr || node->op != "SVMClassifier" || output != 1) return false;
  const auto found = node->attributes.find("prob_a");
  const auto* numbers = found == node->attributes.end() ? nullptr : std::get_if<std::vector<double>>(&found->second);
  return numbers == nullptr || numbers->empty();
}

bool deals_with_missing(const OnnxGraph& graph) {
  static const std::set<std::string> names{"TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor", "Imputer", "IsNaN"};
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const OnnxNode& node) { return names.contains(node.op); });
}

// Rows x columns of floating numbers as doubles; nothing for anything else.
std::optional<std::vector<std::vector<double>>> table_of(const Tensor& tensor, std::size_t rows) {
  if (tensor.type() != ElementType::float32 && tensor.type() != ElementType::float64) return std::nullopt;
  if (tensor.size() == 0 || tensor.size() % rows != 0 || (rows > 1 && (tensor.shape.empty() || tensor.shape[0] != static_cast<std::int64_t>(rows)))) return std::nullopt;
  const std::size_t columns = tensor.size() / rows;
  std::vector<std::vector<double>> table(rows, std::vector<double>(columns));
  for (std::size_t n = 0; n < tensor.size(); ++n)
    table[n / columns][n % columns] = tensor.type() == ElementType::float32 ? static_cast<double>(tensor.values<float>()[n]) : tensor.values<double>()[n];
  return table;
}

bool are_probabilities(const std::vector<double>& row) {
  double sum = 0;
  for (const double value : row) {
    if (!(value >= -probability_tolerance && value <= 1 + probability_tolerance)) return false;
    sum += value;
  }
  return std::abs(sum - 1) <= probability_tolerance * static_cast<double>(row.size());
}

}  // namespace

struct OnnxModel::State {
  explicit State(OnnxSession prepared) : session(std::move(prepared)) {}

  OnnxSession session;
  std::size_t features = 0;
  std::vector<std::string> names;    // one input a feature; empty: one for all
  std::string value, score;          // of the graph; score may be empty
  bool flat = false;                 // the input has no axis of rows
  bool batches = false;              // several rows at once
  std::size_t columns = 1;           // of the value
  std::size_t score_columns = 1;
  std::optional<std::size_t> column; // of the class that is given alone
  bool decision = false;             // value: the first column is class 1's
  bool score_decision = false;
  std::size_t classes = 1;           // outputs of the learner
  bool probabilities = false;
  bool takes_missing = false;
  std::string summary;

  [[nodiscard]] tl::unexpected<Error> wrong(ErrorCode code, const std::string& sentence) const { return fail(code, "predict", sentence); }

  [[nodiscard]] Result<Tensor> tensor_of(const OnnxInput& input, const std::vector<std::vector<double>>& rows, std::size_t first, std::size_t count) const {
    Tensor tensor;
    for (std::size_t axis = 0; axis < input.shape.size(); ++axis)
      tensor.shape.push_back(axis + 1 < input.shape.size() || names.size() > 1 ? (axis == 0 && !flat ? static_cast<std::int64_t>(rows.size()) : 1) : static_cast<std::int64_t>(count));
    const auto each = [&](auto& values) -> Status {
      using T = typename std::decay_t<decltype(values)>::value_type;
      values.reserve(rows.size() * count);
      for (const auto& row : rows)
        for (std::size_t f = first; f < first + count; ++f) {
          const T element = static_cast<T>(row[f]);
          if constexpr (std::is_integral_v<T>) {
            if (static_cast<double>(element) != row[f]) return wrong(ErrorCode::invalid_argument, "The ONNX graph takes whole numbers for '" + input.name.substr(0, 64) + "'.");
          } else if (std::isinf(element)) {
            return wrong(ErrorCode::invalid_argument, "An input is larger than the ONNX graph's type can hold.");
          }
          values.push_back(element);
        }
      return {};
    };
    Status status;
    if (input.type == ElementType::float32) {
      status = each(tensor.data.emplace<std::vector<float>>());
    } else if (input.type == ElementType::float64) {
      status = each(tensor.data.emplace<std::vector<double>>());
    } else {
      for (const auto& row : rows)
        for (std::size_t f = first; f < first + count; ++f)
          if (!(std::abs(row[f]) <= 9e15)) return wrong(ErrorCode::invalid_argument, "The ONNX graph takes whole numbers for '" + input.name.substr(0, 64) + "'.");
      status = each(tensor.data.emplace<std::vector<std::int64_t>>());
    }
    if (!status) return fail(status.error());
    return tensor;
  }

  [[nodiscard]] Result<std::vector<Tensor>> run(const OnnxSession& ready, const std::vector<std::vector<double>>& rows) const {
    std::map<std::string, Tensor> inputs;
    const auto& declared = ready.inputs();
    for (std::size_t n = 0; n < declared.size(); ++n) {
      auto tensor = names.empty() ? tensor_of(declared[n], rows, 0, features) : tensor_of(declared[n], rows, n, 1);
      if (!tensor) return fail(tensor.error());
      inputs.emplace(declared[n].name, std::move(*tensor));
    }
    return ready.run(std::move(inputs), multiplications_a_row * static_cast<double>(rows.size()));
  }

  // Columns of the chosen classes.
  [[nodiscard]] std::vector<double> chosen(const std::vector<double>& row, bool two_class_decision) const {
    if (!column) return row;
    if (row.size() == 1) return {*column == 0 ? -row[0] : row[0]};  // one score of two classes: of class 1
    return {row[two_class_decision && row.size() == 2 ? 1 - *column : *column]};
  }
};

Result<OnnxModel> OnnxModel::read(std::string_view bytes, const std::string& name, std::size_t features, const OnnxSelection& selection) {
  const auto refuse = [&](const std::string& sentence) { return fail(ErrorCode::invalid_package, "read_onnx_model", name + " " + sentence); };
  auto graph = read_onnx(bytes, name);
  if (!graph) return fail(graph.error());
  const bool missing = deals_with_missing(*graph);
  const auto listed = [](const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "'" : ", '") + word.substr(0, 64) + "'";
    return text;
  };

  // Inputs: one for all features, or one each.
  std::vector<std::string> declared;
  for (const OnnxInput& input : graph->inputs) declared.push_back(input.name);
  if (declared.empty()) return refuse("takes no input.");
  if (!selection.input.empty() && (declared.size() != 1 || declared.front() != selection.input))
    return refuse("has the inputs " + listed(declared) + ", and the manifest names '" + selection.input.substr(0, 64) + "'." + did_you_mean(selection.input, declared));
  const bool one_each = declared.size() > 1;
  if (one_each && declared.size() != features) return refuse("takes " + std::to_string(declared.size()) + " inputs (" + listed(declared) + "), and " + std::to_string(features) + " are given.");
  for (const OnnxInput& input : graph->inputs) {
    const bool number = input.type == ElementType::float32 || input.type == ElementType::float64 || input.type == ElementType::int64;
    const std::int64_t wide = input.shape.empty() ? 1 : input.shape.back(), wanted = one_each ? 1 : static_cast<std::int64_t>(features);
    if (!number || input.shape.empty() || input.shape.size() > 2) return refuse("has the input '" + input.name.substr(0, 64) + "', which is not rows of numbers (float, double or int64).");
    // An axis alone is the features of one row; for one input a feature it is the rows.
    if (wide >= 0 && wide != wanted && !(one_each && input.shape.size() == 1)) return refuse("takes rows of " + std::to_string(wide) + " numbers, and " + std::to_string(wanted) + " are given.");
  }
  const bool flat = !one_each && graph->inputs.front().shape.size() == 1;
  const bool batches = std::all_of(graph->inputs.begin(), graph->inputs.end(), [&](const OnnxInput& input) { return !flat && input.shape.front() < 0; });

  // Values: all that the graph gives out on trial, then the ones that are used.
  OnnxSelection use = selection;
  use.output = unzipped(*graph, use.output);
  use.score = unzipped(*graph, use.score);
  std::vector<std::string> wanted;
  if (use.output.empty()) {
    for (const std::string& output : graph->outputs)
      if (const std::string made = unzipped(*graph, output); std::find(wanted.begin(), wanted.end(), made) == wanted.end()) wanted.push_back(made);
  } else {
    wanted.push_back(use.output);
  }
  if (!use.score.empty() && std::find(wanted.begin(), wanted.end(), use.score) == wanted.end()) wanted.push_back(use.score);
  std::map<std::string, bool> decisions;
  for (const std::string& value : wanted) decisions[value] = is_two_class_decision(*graph, value);
  const std::size_t nodes = graph->nodes.size();
  const std::string only = nodes == 1 ? graph->nodes.front().op : "";
  std::set<std::string> sigmoids;
  for (const std::string& value : wanted)
    if (const auto [node, at] = origin_of(*graph, value); node != nullptr && node->domain.empty() && node->op == "Sigmoid") sigmoids.insert(value);

  const std::vector<std::vector<double>> trials{std::vector<double>(features, 0.0), std::vector<double>(features, 1.0)};
  const auto prepare = [&](OnnxGraph from, std::vector<std::string> outputs) -> Result<std::shared_ptr<State>> {
    auto session = OnnxSession::prepare(std::move(from), std::move(outputs));
    if (!session) return fail(session.error());
    auto state = std::make_shared<State>(std::move(*session));
    state->features = features;
    if (one_each) state->names = declared;
    state->flat = flat;
    state->batches = batches;
    state->takes_missing = missing;
    state->summary = nodes == 1 ? only : std::to_string(nodes) + " operators";
    return state;
  };
  // What each wanted value is on two rows of numbers.
  const auto try_out = [&](const State& state) -> Result<std::vector<std::vector<std::optional<std::vector<double>>>>> {
    std::vector<std::vector<std::optional<std::vector<double>>>> found(state.session.outputs().size());
    for (const auto& row : trials) {
      auto tensors = state.run(state.session, {row});
      if (!tensors) return fail(tensors.error());
      for (std::size_t n = 0; n < tensors->size(); ++n) {
        const auto table = table_of((*tensors)[n], 1);
        found[n].push_back(table && table->front().size() <= classes_max ? std::optional(table->front()) : std::nullopt);
      }
    }
    return found;
  };

  if (use.output.empty()) {
    auto state = prepare(*graph, wanted);
    if (!state) return fail(state.error());
    const auto found = try_out(**state);
    if (!found) return fail(found.error());
    std::vector<std::string> candidates;
    for (std::size_t n = 0; n < wanted.size(); ++n)
      if ((*found)[n].front() && wanted[n] != use.score) candidates.push_back(wanted[n]);
    if (candidates.empty()) return refuse("gives no floating numbers: a model that names a class only has no probability to report.");
    if (candidates.size() > 1) return refuse("gives several values, and which one to use is in doubt: state one of " + listed(candidates) + " as output.");
    use.output = candidates.front();
  }
  std::vector<std::string> used{use.output};
  if (!use.score.empty()) used.push_back(use.score);
  auto state = prepare(std::move(*graph), used);
  if (!state) return fail(state.error());
  State& model = **state;
  model.value = use.output;
  model.score = use.score;
  model.decision = decisions[use.output];
  model.score_decision = decisions[use.score];
  const auto found = try_out(model);
  if (!found) return fail(found.error());
  if (!(*found)[0].front()) return refuse("gives '" + use.output.substr(0, 64) + "' as something else than floating numbers, at most " + std::to_string(classes_max) + " a row.");
  const std::size_t columns = (*found)[0].front()->size();
  model.columns = columns;
  if (columns == 1) {
    model.probabilities = sigmoids.contains(use.output);
    if (selection.chosen_class && *selection.chosen_class != 1) return refuse("gives one value, which is that of class 1.");
  } else {
    model.probabilities = !model.decision && std::all_of((*found)[0].begin(), (*found)[0].end(), [](const auto& row) { return row && are_probabilities(*row); });
    if (selection.chosen_class && !(*selection.chosen_class >= 0 && static_cast<std::size_t>(*selection.chosen_class) < columns))
      return refuse("has the classes 0 to " + std::to_string(columns - 1) + ", and the manifest asks for class " + std::to_string(*selection.chosen_class) + ".");
    if (selection.chosen_class)
      model.column = static_cast<std::size_t>(*selection.chosen_class);
    else if (columns == 2)
      model.column = 1;
    model.classes = model.column ? 1 : columns;
  }
  if (!use.score.empty()) {
    const auto& score = (*found)[1].front();
    if (!score || (score->size() != columns && !(score->size() == 1 && columns == 2)))
      return refuse("gives '" + use.score.substr(0, 64) + "' as something else than one score for each of the " + std::to_string(columns) + " values of '" + use.output.substr(0, 64) + "'.");
    model.score_columns = score->size();
  }
  OnnxModel result;
  result.state_ = std::move(*state);
  return result;
}

Result<OnnxModel::Rows> OnnxModel::score(const std::vector<std::vector<double>>& rows) const {
  const State& model = *state_;
  Rows result;
  const std::size_t batch = model.batches ? std::size_t{1024} : std::size_t{1};
  for (std::size_t first = 0; first < rows.size(); first += batch) {
    const std::vector<std::vector<double>> part(rows.begin() + static_cast<std::ptrdiff_t>(first), rows.begin() + static_cast<std::ptrdiff_t>(std::min(rows.size(), first + batch)));
    auto tensors = model.run(model.session, part);
    if (!tensors) return fail(tensors.error());
    const auto values = table_of((*tensors)[0], part.size());
    const auto scores = model.score.empty() ? values : table_of((*tensors)[1], part.size());
    if (!values || !scores) return model.wrong(ErrorCode::invalid_package, "The ONNX graph does not give one row of values for every row.");
    for (std::size_t r = 0; r < part.size(); ++r) {
      const std::vector<double>& row = (*values)[r];
      if (row.size() != model.columns || (!model.score.empty() && (*scores)[r].size() != model.score_columns))
        return model.wrong(ErrorCode::invalid_package, "The ONNX graph gives another number of values for this row.");
      if (model.probabilities && (row.size() > 1 ? !are_probabilities(row) : !(row[0] >= -probability_tolerance && row[0] <= 1 + probability_tolerance)))
        return model.wrong(ErrorCode::not_computable, "The ONNX graph gives something else than probabilities for this row.");
      std::vector<double> chosen = model.chosen(row, model.decision);
      if (model.probabilities)
        for (double& value : chosen) value = std::clamp(value, 0.0, 1.0);
      result.margins.push_back(model.score.empty() ? chosen : model.chosen((*scores)[r], model.score_decision));
      result.values.push_back(std::move(chosen));
    }
  }
  return result;
}

Link OnnxModel::link() const { return state_->probabilities ? Link::own : Link::identity; }
std::size_t OnnxModel::outputs() const { return state_->classes; }
bool OnnxModel::has_score() const { return !state_->score.empty(); }
bool OnnxModel::takes_missing() const { return state_->takes_missing; }
const std::vector<std::string>& OnnxModel::feature_names() const { return state_->names; }
const std::string& OnnxModel::summary() const { return state_->summary; }

}  // namespace choana::processing
