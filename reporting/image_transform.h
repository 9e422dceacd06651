#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/coded_concept.h"
#include "core/feature.h"

namespace choana::reporting {

/// The image a feature was computed on, as PyRadiomics prefixes say it ("log-sigma-3-0-mm-3D", "wavelet-HHL").
struct ImageTransform {
  std::string label;                    // "LoG sigma 3.0 mm" (digits as written), "wavelet HHL"; empty for the original image
  CodedConcept filter;                  // FLT_...; empty for the original image
  CodedConcept sub_band;                // SB_...; empty unless wavelet
  CodedConcept map;                     // LBP_...; which of the maps of a local binary pattern in 3-D
  std::optional<double> log_sigma_mm;
  int wavelet_level = 1;

  [[nodiscard]] bool original() const { return filter.empty(); }
};

/// Read a prefix; one that PyRadiomics does not know becomes a filter of its own name.
[[nodiscard]] ImageTransform image_transform(std::string_view image);

/// What an input of a model is: a feature of an image of some role, or something else (clinical, deep).
struct ModelInput {
  std::optional<FeatureId> feature;
  std::string role;                     // empty when the name does not begin with one
};

/// Read the name of a model's input: "T1C_original_glcm_JointEntropy", "T2.GTVp.wavelet-LLH_glcm_Idm", "age".
[[nodiscard]] ModelInput model_input(const std::string& name);

/// (SEQ_..., 99CHOANA, ...) of a role: T1, T1C, T1C-FS, T2, T2-FS, DWI-b800, ADC; others as MR.
[[nodiscard]] CodedConcept role_code(std::string_view role);

/// Code of a model's input: that of the feature, or a private one that is a function of the name.
[[nodiscard]] CodedConcept input_code(const std::string& name, const std::string& label);

/// A UCUM unit with its meaning in words; the code itself where we have none.
[[nodiscard]] Unit unit_of(const std::string& code);

}  // namespace choana::reporting
