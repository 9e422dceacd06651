#pragma once

#include <cmath>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>

#include "processing/itk/image_file.h"
#include "processing/radiomics/image.h"
#include "tests/support/shared_data.h"

/// The images, masks and bar of shared/reference/pyradiomics (README.md there says how its values were made).
namespace choana::test {

/// Relative; the absolute one is for values that are 0 but for rounding.
constexpr double pyradiomics_relative_tolerance = 1e-6;
constexpr double pyradiomics_absolute_tolerance = 1e-10;

inline bool equals_pyradiomics(double value, double expected) {
  return std::abs(value - expected) <= std::max(pyradiomics_absolute_tolerance, pyradiomics_relative_tolerance * std::abs(expected));
}

inline std::filesystem::path pyradiomics_reference() { return shared_dir() / "reference/pyradiomics"; }

struct PyradiomicsCase {
  processing::ScalarVolume image;
  processing::MaskVolume mask;
};

/// A case by its name, read once.
inline const PyradiomicsCase& pyradiomics_case(const std::string& name) {
  static std::map<std::string, PyradiomicsCase> cases;
  auto found = cases.find(name);
  if (found == cases.end()) {
    auto image = processing::read_image_file(pyradiomics_reference() / "images" / (name + "_image.nrrd"));
    auto mask = processing::read_mask_file(pyradiomics_reference() / "images" / (name + "_label.nrrd"));
    if (!image || !mask) throw std::runtime_error("cannot read " + name);
    found = cases.emplace(name, PyradiomicsCase{std::move(*image), std::move(*mask)}).first;
  }
  return found->second;
}

}  // namespace choana::test
