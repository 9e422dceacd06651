#include "node/commands/extract/batch_table.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>

#include "core/near_match.h"
#include "processing/prediction/readers/table.h"

namespace choana::node::extract {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t batch_rows_max = 1'000'000;
constexpr std::uintmax_t text_bytes_max = std::uintmax_t{256} << 20;

tl::unexpected<Error> refuse(std::string message) { return fail(ErrorCode::invalid_argument, "extract", std::move(message)); }

std::optional<int> whole_number(const std::string& text) {
  int value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || problem != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// A table of another dialect must not be half understood: its numbers would silently change.
std::optional<std::string> other_dialect(std::string_view text) {
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) return "is written in UTF-16; save it as CSV in UTF-8";
  if (text.find('\0') != std::string_view::npos) return "holds bytes that are no text; save it as CSV in UTF-8";
  const std::string_view header = text.substr(0, text.find_first_of("\r\n"));
  if (header.find(',') != std::string_view::npos) return std::nullopt;
  for (const auto& [mark, name] : {std::pair{';', "semicolons"}, {'\t', "tabs"}, {'|', "bars"}})
    if (header.find(mark) != std::string_view::npos)
      return std::string("is separated by ") + name + "; write it with commas between the cells and points in numbers (a spreadsheet of a country with decimal commas does otherwise)";
  return std::nullopt;
}

}  // namespace

bool Case::has_column(std::string_view name) const {
  return std::any_of(columns.begin(), columns.end(), [&](const auto& column) { return column.first == name; });
}

Result<std::string> read_text(const fs::path& path) {
  std::error_code problem;
  if (!fs::is_regular_file(path, problem)) return fail(ErrorCode::not_found, "extract", "There is no file " + path.string() + ".");
  if (fs::file_size(path, problem) > text_bytes_max) return fail(ErrorCode::limit_exceeded, "extract", "The file " + path.string() + " is larger than 256 MiB.");
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  if (!in) return fail(ErrorCode::io_error, "extract", "The file " + path.string() + " cannot be read.");
  return text.str();
}

Result<Batch> read_batch(const Options& options) {
  const std::string name = fs::path(options.input).filename().string();
  const auto text = read_text(options.input);
  if (!text) return fail(text.error());
  if (const auto dialect = other_dialect(*text)) return refuse(name + " " + *dialect + ".");
  const auto table = processing::read_table(*text, name, batch_rows_max);
  if (!table) {
    Error error = table.error();
    if (error.message.find(" cells in line ") != std::string::npos)
      error.message += " A cell with a comma (a decimal comma, a path) must stand in double quotes.";
    return fail(std::move(error));
  }
  const auto image = table->find("Image");
  const auto mask = table->find("Mask");
  for (const auto& [column, wanted] : {std::pair{image, "Image"}, {mask, "Mask"}})
    if (!column) return refuse(name + " has no column '" + wanted + "'." + did_you_mean(wanted, table->columns));
  const auto label = table->find("Label");
  const auto channel = table->find("Label_channel");
  const auto roi = table->find("ROI");
  const auto series = table->find("Series");
  const auto volume = table->find("Volume");
  const fs::path folder = fs::absolute(options.input).parent_path();
  Batch batch;
  for (std::size_t row = 0; row < table->rows.size(); ++row) {
    const auto& cells = table->rows[row];
    const std::string where = "row " + std::to_string(row + 1) + " of " + name;
    if (cells[*image].empty() || cells[*mask].empty()) {
      batch.warnings.push_back(where + " lacks an image or a mask and is left out.");
      continue;
    }
    Case one;
    one.number = batch.cases.size() + 1;
    one.image = (folder / cells[*image]).lexically_normal();
    one.mask = (folder / cells[*mask]).lexically_normal();
    for (std::size_t column = 0; column < cells.size(); ++column) one.columns.emplace_back(table->columns[column], cells[column]);
    one.columns[*image].second = one.image.string();
    one.columns[*mask].second = one.mask.string();
    if (label && !cells[*label].empty()) {
      auto choice = parse_labels(cells[*label]);
      if (choice) one.labels = std::move(*choice);
      else one.problem = choice.error();
    }
    if (channel && !cells[*channel].empty()) {
      one.label_channel = whole_number(cells[*channel]);
      if (!one.label_channel || *one.label_channel < 0) one.problem = refuse("The Label_channel '" + cells[*channel] + "' is no whole number from 0.").value();
    }
    one.rois = options.rois;
    if (roi && !cells[*roi].empty()) one.rois = {cells[*roi]};
    one.series = series && !cells[*series].empty() ? cells[*series] : options.series;
    one.volume = volume && !cells[*volume].empty() ? cells[*volume] : options.volume;
    batch.cases.push_back(std::move(one));
  }
  if (batch.cases.empty()) return refuse(name + " holds no case.");
  return batch;
}

Case single_case(const Options& options) {
  const std::string mask = options.mask.empty() ? options.input : options.mask;
  Case one;
  one.columns = {{"Image", options.input}, {"Mask", mask}};
  one.image = options.input;
  one.mask = mask;
  one.rois = options.rois;
  one.series = options.series;
  one.volume = options.volume;
  return one;
}

}  // namespace choana::node::extract
