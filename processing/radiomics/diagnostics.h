#pragma once

#include <string>
#include <vector>

#include "processing/radiomics/region_preparation.h"

namespace choana::processing {

/// A double as Python prints it: the shortest text that restores it, exponent form below 1e-4 and from 1e16.
[[nodiscard]] std::string python_text(double value);

/// SHA-1 of the voxel buffer in its pixel type, little endian, as SimpleITK's Hash computes it.
[[nodiscard]] std::string voxel_hash(const ScalarVolume& image);
[[nodiscard]] std::string voxel_hash(const MaskVolume& mask);

/// Collects what PyRadiomics calls diagnostics, in its names and order.
class DiagnosticsRecorder {
 public:
  explicit DiagnosticsRecorder(std::vector<Diagnostic>& sink) : sink_(sink) {}

  void add_versions();
  void add_configuration(const ExtractionProfile& profile, int label);
  /// stage: original (with hash), interpolated.
  void add_image(const ScalarVolume& image, const std::string& stage);
  /// stage: original (with hash), interpolated, corrected, resegmented. image: nullptr, or on the grid of the mask. box: of the label.
  void add_mask(const ScalarVolume* image, const MaskVolume& mask, int label, const VoxelBox& box, const std::string& stage);

 private:
  void text(const std::string& name, const std::string& value);
  void number(const std::string& name, double value);
  void count(const std::string& name, long value);
  void doubles(const std::string& name, const Vector3& values);
  void integers(const std::string& name, const std::vector<int>& values);

  std::vector<Diagnostic>& sink_;
};

}  // namespace choana::processing
