#include "processing/prediction/roi_name_pattern.h"

#include <bitset>
#include <optional>
#include <string>
#include <vector>

namespace choana::processing {
namespace {

struct Atom {
  std::bitset<256> characters;
  bool may_be_absent = false;
  bool may_repeat = false;
};

unsigned char lower(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 'A' && byte <= 'Z' ? static_cast<unsigned char>(byte - 'A' + 'a') : byte;
}

struct Alternatives {
  std::vector<std::vector<Atom>> sequences;
  std::string problem;
};

Alternatives compile(std::string_view pattern) {
  Alternatives result;
  result.sequences.emplace_back();
  if (pattern.empty() || pattern.size() > 64) {
    result.problem = "must have 1 to 64 characters";
    return result;
  }
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    std::vector<Atom>& atoms = result.sequences.back();
    if (c == '|') {
      result.sequences.emplace_back();
      continue;
    }
    if (c == '*' || c == '+' || c == '?') {
      if (atoms.empty() || atoms.back().may_repeat || atoms.back().may_be_absent) {
        result.problem = "has a '" + std::string(1, c) + "' with nothing to repeat";
        return result;
      }
      atoms.back().may_be_absent = c != '+';
      atoms.back().may_repeat = c != '?';
      continue;
    }
    if (c == '(' || c == ')' || c == '{' || c == '}' || c == '^' || c == '$' || c == ']') {
      result.problem = "uses '" + std::string(1, c) + "'; known are . [] * + ? | and \\";
      return result;
    }
    Atom atom;
    if (c == '.') {
      atom.characters.set();
    } else if (c == '[') {
      const bool inverted = i + 1 < pattern.size() && pattern[i + 1] == '^';
      if (inverted) ++i;
      bool closed = false;
      for (++i; i < pattern.size(); ++i) {
        if (pattern[i] == ']') {
          closed = true;
          break;
        }
        if (i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
          for (int b = lower(pattern[i]); b <= lower(pattern[i + 2]); ++b) atom.characters.set(static_cast<std::size_t>(b));
          i += 2;
        } else {
          atom.characters.set(lower(pattern[i]));
        }
      }
      if (!closed || atom.characters.none()) {
        result.problem = closed ? "has an empty class []" : "has a [ without ]";
        return result;
      }
      if (inverted) atom.characters.flip();
    } else {
      if (c == '\\' && ++i == pattern.size()) {
        result.problem = "ends with \\";
        return result;
      }
      atom.characters.set(lower(pattern[i]));
    }
    atoms.push_back(atom);
  }
  for (const auto& sequence : result.sequences)
    if (sequence.empty()) result.problem = "has an empty alternative";
  return result;
}

// The set of atoms that may come next, moved along the name: no backtracking.
bool matches(const std::vector<Atom>& atoms, std::string_view name) {
  std::vector<char> at(atoms.size() + 1, 0);
  const auto skip_absent = [&](std::vector<char>& positions) {
    for (std::size_t a = 0; a < atoms.size(); ++a)
      if (positions[a] != 0 && atoms[a].may_be_absent) positions[a + 1] = 1;
  };
  at[0] = 1;
  skip_absent(at);
  for (const char c : name) {
    std::vector<char> next(atoms.size() + 1, 0);
    for (std::size_t a = 0; a < atoms.size(); ++a) {
      if (at[a] == 0 || !atoms[a].characters.test(lower(c))) continue;
      next[a + 1] = 1;
      if (atoms[a].may_repeat) next[a] = 1;
    }
    // A repeated atom was met once, so it may now be left: `next[a]` with a `+` is left through `next[a + 1]`.
    skip_absent(next);
    at = std::move(next);
  }
  return at[atoms.size()] != 0;
}

}  // namespace

Status check_roi_name_pattern(std::string_view pattern) {
  const Alternatives compiled = compile(pattern);
  if (compiled.problem.empty()) return {};
  return fail(ErrorCode::invalid_package, "read_manifest",
              "The name pattern '" + std::string(pattern.substr(0, 64)) + "' " + compiled.problem + ".");
}

bool matches_roi_name(std::string_view pattern, std::string_view name) {
  while (!name.empty() && name.front() == ' ') name.remove_prefix(1);
  while (!name.empty() && name.back() == ' ') name.remove_suffix(1);
  if (name.size() > 256) return false;
  const Alternatives compiled = compile(pattern);
  if (!compiled.problem.empty()) return false;
  for (const auto& sequence : compiled.sequences)
    if (matches(sequence, name)) return true;
  return false;
}

}  // namespace choana::processing
