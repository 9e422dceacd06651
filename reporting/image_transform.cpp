#include "reporting/image_transform.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <utility>

#include "core/sha256.h"
#include "reporting/feature_codes.h"
#include "reporting/sr/codes.h"

namespace choana::reporting {
namespace {

CodedConcept ours(std::string value, std::string meaning) { return {std::move(value), codes::private_scheme, std::move(meaning)}; }

std::string upper_word(std::string_view text, std::size_t most) {
  std::string word;
  for (const char c : text) {
    if (word.size() == most) break;
    const auto byte = static_cast<unsigned char>(c);
    word += std::isalnum(byte) != 0 ? static_cast<char>(std::toupper(byte)) : '_';
  }
  return word;
}

std::string private_code(const char* prefix, const std::string& name) {
  std::string digest = sha256_hex(name).substr(0, 13);
  std::transform(digest.begin(), digest.end(), digest.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return prefix + digest;
}

constexpr std::array families{"shape", "shape2D", "firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm"};

bool is_known_image(std::string_view image) {
  constexpr std::array plain{"original", "square", "squareroot", "logarithm", "exponential", "gradient"};
  return std::find(plain.begin(), plain.end(), image) != plain.end() || image.starts_with("log-sigma-") || image.starts_with("wavelet") || image.starts_with("lbp-");
}

}  // namespace

ImageTransform image_transform(std::string_view image) {
  ImageTransform transform;
  if (image == "original") return transform;
  if (image.starts_with("log-sigma-")) {
    // The number as Python prints it, its point a hyphen: log-sigma-3-0-mm-3D, log-sigma-3-mm-3D, and with an exponent log-sigma-1e-05-mm-3D
    // or log-sigma-1-5e-05-mm-3D. The label keeps the digits as they are written: 1 and 1-0 are two images.
    std::string_view written = image.substr(10);
    if (const auto end = written.find("-mm"); end != std::string_view::npos) written = written.substr(0, end);
    std::string number;
    for (const char c : written) {
      const bool exponent = number.find('e') != std::string::npos;
      if (std::isdigit(static_cast<unsigned char>(c)) != 0) number += c;
      else if (c == 'e' && !exponent) number += c;
      else if ((c == '-' || c == '+') && number.ends_with('e')) number += c;
      else if (c == '-' && !exponent && number.find('.') == std::string::npos) number += '.';
      else break;
    }
    double sigma = 0;
    std::from_chars(number.data(), number.data() + number.size(), sigma);
    transform.filter = codes::ours("FLT_LOG", "Laplacian of Gaussian");
    transform.log_sigma_mm = sigma;
    transform.label = "LoG sigma " + number + " mm";
    return transform;
  }
  if (image.starts_with("wavelet")) {
    const std::size_t hyphen = image.find('-');
    const std::string letters(hyphen == std::string_view::npos ? std::string_view{} : image.substr(hyphen + 1));
    if (hyphen != std::string_view::npos && hyphen > 7) std::from_chars(image.data() + 7, image.data() + hyphen, transform.wavelet_level);
    transform.filter = codes::ours("FLT_WAVELET", "Wavelet");
    transform.sub_band = ours("SB_" + upper_word(letters, 8), "Wavelet sub-band " + letters.substr(0, 32));
    transform.label = "wavelet " + letters + (transform.wavelet_level > 1 ? " level " + std::to_string(transform.wavelet_level) : "");
    return transform;
  }
  struct Named {
    std::string_view image;
    const char* value;
    const char* meaning;
  };
  constexpr std::array<Named, 6> named{{{"square", "FLT_SQUARE", "Square"},
                                        {"squareroot", "FLT_SQRT", "Square root"},
                                        {"logarithm", "FLT_LOGARITHM", "Logarithm"},
                                        {"exponential", "FLT_EXP", "Exponential"},
                                        {"gradient", "FLT_GRADIENT", "Gradient magnitude"},
                                        {"lbp-2D", "FLT_LBP2D", "Local binary pattern 2D"}}};
  transform.label = std::string(image.substr(0, 48));
  for (const Named& each : named) {
    if (image != each.image) continue;
    transform.filter = codes::ours(each.value, each.meaning);
    return transform;
  }
  if (image.starts_with("lbp-3D-")) {
    const std::string_view which = image.substr(7);
    transform.filter = codes::ours("FLT_LBP3D", "Local binary pattern 3D");
    transform.map = ours("LBP_" + upper_word(which, 8), which == "k" ? "Kurtosis map" : "Map " + std::string(which.substr(0, 16)));
    return transform;
  }
  if (image.starts_with("network-")) {
    transform.label = std::string(image.substr(0, 64));
    transform.filter = ours(private_code("NN_", transform.label), "Image network " + transform.label.substr(8, 50));
    return transform;
  }
  transform.filter = ours("FLT_" + upper_word(image, 12), std::string(image.substr(0, 64)));
  return transform;
}

ModelInput model_input(const std::string& name) {
  ModelInput input;
  // From the end: name, family, image; what stands before the image is role and region.
  const std::size_t name_at = name.rfind('_');
  const std::size_t family_at = name_at == std::string::npos || name_at == 0 ? std::string::npos : name.rfind('_', name_at - 1);
  if (family_at == std::string::npos) return input;
  const std::string family = name.substr(family_at + 1, name_at - family_at - 1);
  if (std::find(families.begin(), families.end(), family) == families.end()) return input;
  const std::size_t image_at = name.find_last_of("_.:/ ", family_at == 0 ? 0 : family_at - 1);
  const std::string image = name.substr(image_at == std::string::npos ? 0 : image_at + 1, family_at - (image_at == std::string::npos ? 0 : image_at + 1));
  if (!is_known_image(image)) return input;
  input.feature = FeatureId{image, family, name.substr(name_at + 1)};
  if (image_at != std::string::npos) input.role = name.substr(0, name.find_first_of("_.:/ "));
  return input;
}

CodedConcept role_code(std::string_view role) {
  if (role == "T1") return codes::ours("SEQ_T1", "T1 weighted");
  if (role == "T1C") return codes::ours("SEQ_T1C", "T1 weighted, contrast enhanced");
  if (role == "T1C-FS") return codes::ours("SEQ_T1CFS", "T1 weighted, contrast enhanced, fat suppressed");
  if (role == "T1-FS") return codes::ours("SEQ_T1FS", "T1 weighted, fat suppressed");
  if (role == "T2") return codes::ours("SEQ_T2", "T2 weighted");
  if (role == "T2-FS") return codes::ours("SEQ_T2FS", "T2 weighted, fat suppressed");
  if (role == "ADC") return codes::ours("SEQ_ADC", "Apparent diffusion coefficient");
  if (role == "DWI") return codes::ours("SEQ_DWI", "Diffusion weighted");
  if (role.starts_with("DWI-b")) {
    const std::string b(role.substr(5, 5));
    return ours("SEQ_DWI_B" + upper_word(b, 5), "Diffusion weighted, b " + b + " s/mm2");
  }
  if (role == "MR" || role.empty()) return codes::ours("SEQ_MR", "MR, sequence type not recognised");
  return ours("SEQ_" + upper_word(role, 12), std::string(role.substr(0, 64)));
}

CodedConcept input_code(const std::string& name, const std::string& label) {
  const ModelInput input = model_input(name);
  if (input.feature) return feature_code(*input.feature).concept_name;
  std::string meaning = label.empty() ? name : label;
  if (meaning.size() > 60) meaning.resize(60);
  // "T2 deep 66 of resnet50-1a2b3c4d": the same name of another network is another input.
  const bool deep = label.find(" deep ") != std::string::npos && label.find(" of ") != std::string::npos;
  return ours(private_code("IN_", deep ? name + " " + label : name), meaning);
}

Unit unit_of(const std::string& code) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 17> known{{{"1", "no units"},
                                                                                 {"%", "Percent"},
                                                                                 {"mm", "millimeter"},
                                                                                 {"mm2", "square millimeter"},
                                                                                 {"mm3", "cubic millimeter"},
                                                                                 {"cm", "centimeter"},
                                                                                 {"cm3", "cubic centimeter"},
                                                                                 {"ml", "milliliter"},
                                                                                 {"/mm", "per millimeter"},
                                                                                 {"a", "year"},
                                                                                 {"mo", "month"},
                                                                                 {"d", "day"},
                                                                                 {"kg", "kilogram"},
                                                                                 {"s/mm2", "second per square millimeter"},
                                                                                 {"[arb'U]", "arbitrary unit"},
                                                                                 {"[arb'U]2", "square arbitrary unit"},
                                                                                 {"[arb'U]2.mm3", "square arbitrary unit cubic millimeter"}}};
  if (code.empty()) return {};
  for (const auto& [value, meaning] : known)
    if (code == value) return {std::string(value), std::string(meaning)};
  return {code.substr(0, 16), code.substr(0, 64)};
}

}  // namespace choana::reporting
