#include "processing/prediction/readers/json_internal.h"

#include <set>
#include <vector>

namespace choana::processing {

Result<nlohmann::json> parse_json_strictly(std::string_view text, const std::string& name, int depth_max) {
  using nlohmann::json;
  std::vector<std::set<std::string>> keys;
  std::string repeated;
  bool too_deep = false;
  const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
    const auto level = static_cast<std::size_t>(depth);
    if (depth > depth_max) too_deep = true;
    if (event == json::parse_event_t::object_start) {
      if (keys.size() <= level + 1) keys.resize(level + 2);
      keys[level + 1].clear();
    } else if (event == json::parse_event_t::key && repeated.empty()) {
      if (keys.size() <= level) keys.resize(level + 1);
      if (!keys[level].insert(parsed.get<std::string>()).second) repeated = parsed.get<std::string>();
    }
    return !too_deep;
  };
  json document;
  try {
    document = json::parse(text, watch);
  } catch (const json::exception& e) {
    // The library quotes the input; what follows its own words is cut.
    return fail(ErrorCode::invalid_package, "read_json",
                name + " is not valid JSON: " + std::string(e.what()).substr(0, 160) + ".");
  }
  if (too_deep)
    return fail(ErrorCode::limit_exceeded, "read_json",
                name + " is nested deeper than " + std::to_string(depth_max) + " levels.");
  if (!repeated.empty())
    return fail(ErrorCode::invalid_package, "read_json", name + " has the key '" + repeated.substr(0, 64) + "' twice.");
  return document;
}

}  // namespace choana::processing
