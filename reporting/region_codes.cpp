#include "reporting/region_codes.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <regex>

#include "reporting/sr/codes.h"

namespace choana::reporting {
namespace {

struct BodyPart {
  const char* term;
  CodedConcept code;
};

// PS3.16 Annex L and CID 4031, 4, 7601.
const std::array<BodyPart, 20>& body_parts() {
  static const std::array<BodyPart, 20> table{{
      {"NASOPHARYNX", codes::nasopharynx},
      {"HEADNECK", {"774007", "SCT", "Head and Neck"}},
      {"HEAD", {"69536005", "SCT", "Head"}},
      {"NECK", {"45048000", "SCT", "Neck"}},
      {"BRAIN", {"12738006", "SCT", "Brain"}},
      {"CHEST", {"816094009", "SCT", "Chest"}},
      {"LUNG", {"39607008", "SCT", "Lung"}},
      {"BREAST", {"76752008", "SCT", "Breast"}},
      {"ABDOMEN", {"818981001", "SCT", "Abdomen"}},
      {"LIVER", {"10200004", "SCT", "Liver"}},
      {"KIDNEY", {"64033007", "SCT", "Kidney"}},
      {"PANCREAS", {"15776009", "SCT", "Pancreas"}},
      {"PELVIS", {"816092008", "SCT", "Pelvis"}},
      {"PROSTATE", {"41216001", "SCT", "Prostate"}},
      {"CERVIX", {"71252005", "SCT", "Cervix"}},
      {"UTERUS", {"35039007", "SCT", "Uterus"}},
      {"RECTUM", {"34402009", "SCT", "Rectum"}},
      {"BLADDER", {"89837001", "SCT", "Bladder"}},
      {"ESOPHAGUS", {"32849002", "SCT", "Esophagus"}},
      {"LARYNX", {"4596009", "SCT", "Larynx"}},
  }};
  return table;
}

std::string upper_letters(std::string_view text) {
  std::string result;
  for (const char c : text)
    if (std::isalpha(static_cast<unsigned char>(c)) != 0) result += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return result;
}

/// Lower case, with every run of other characters than letters and digits as one blank.
std::string words(std::string_view text) {
  std::string result;
  for (const char c : text.substr(0, 256)) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0) result += static_cast<char>(std::tolower(byte));
    else if (!result.empty() && result.back() != ' ') result += ' ';
  }
  return result;
}

bool matches(const std::string& text, const char* pattern) { return std::regex_search(text, std::regex(pattern)); }

bool is_head_and_neck(std::string_view term) {
  const std::string letters = upper_letters(term);
  return letters.empty() || letters == "NASOPHARYNX" || letters == "HEADNECK" || letters == "HEAD" || letters == "NECK" || letters == "PHARYNX" ||
         letters == "HEADANDNECK" || letters == "NPC" || letters == "SKULL" || letters == "SKULLBASE" || letters == "ORPHARYNX" || letters == "PHARYNXLARYNX";
}

}  // namespace

CodedConcept body_part_code(std::string_view body_part_examined) {
  std::string letters = upper_letters(body_part_examined);
  if (letters == "HEADANDNECK") letters = "HEADNECK";
  if (letters == "THORAX") letters = "CHEST";
  for (const BodyPart& part : body_parts())
    if (letters == part.term) return part.code;
  return {};
}

std::string body_part_term(std::string_view body_part_examined) {
  std::string letters = upper_letters(body_part_examined);
  // NASOPHARYNX is no defined term of Annex L, though it occurs.
  if (letters == "NASOPHARYNX" || letters == "HEADANDNECK") return "HEADNECK";
  if (letters == "THORAX" || letters == "LUNG" || letters == "BREAST") return "CHEST";
  if (letters == "KIDNEY") return "ABDOMEN";
  if (body_part_code(letters).empty()) letters.clear();
  return letters;
}

RegionCodes region_codes(std::string_view name, std::string_view body_part_examined, const CodedConcept& stated_finding) {
  const std::string text = words(name);
  RegionCodes result;
  result.category = codes::morphologically_abnormal_structure;

  const auto says = [&](std::string_view chinese) { return name.find(chinese) != std::string_view::npos; };
  const bool says_node = says("淋巴");
  const bool says_nasopharynx = !says_node && (says("鼻咽") || matches(text, "nasoph|gtv ?p? ?nx|\\bnx\\b|\\bnpc\\b"));
  const bool retropharyngeal = says("咽后") || matches(text, "gtv ?rpl?n|\\brpl?n\\b|retroph");
  const bool nodal = retropharyngeal || says_node || (!says_nasopharynx && matches(text, "gtv ?l?n(d|s|l|r)?( |\\d|$)|gtv ?(node|ln)|lymph|\\bnodes?\\b|\\bnodal\\b|\\bln\\d*\\b"));
  const bool primary = !nodal && (says_nasopharynx || says("原发") || matches(text, "gtv ?(p|t)( |\\d|$)|gtv ?(primary|tumou?r)|primary|gtvpri"));
  const bool target = says("肿瘤") || says("病灶") || matches(text, "gtv|tumou?r|mass|lesion|cancer|neoplasm");

  if (nodal) {
    result.finding = codes::gtv_nodal;
    result.type = codes::neoplasm_secondary;
    if (retropharyngeal) result.site = codes::retropharyngeal_lymph_node;
    else if (is_head_and_neck(body_part_examined)) result.site = codes::lymph_node_of_head_and_neck;
    if (!result.site.empty()) {
      if (matches(text, "(^| |nd|n)l( |\\d|$)|left")) result.laterality = codes::left;
      if (matches(text, "(^| |nd|n)r( |\\d|$)|right")) result.laterality = codes::right;
    }
  } else if (primary) {
    result.finding = codes::gtv_primary;
    result.type = codes::neoplasm_primary;
    if (says_nasopharynx || is_head_and_neck(body_part_examined)) result.site = codes::nasopharynx;
  } else if (target) {
    result.finding = codes::gtv;
    result.type = codes::mass;
  } else {
    result.category = {"309825002", "SCT", "Spatial and Relational Concept"};
    result.type = {"111099", "DCM", "Selected region"};
  }
  if (result.site.empty()) result.site = body_part_code(body_part_examined);
  if (!stated_finding.empty()) result.finding = stated_finding;
  return result;
}

}  // namespace choana::reporting
