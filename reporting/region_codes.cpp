#include "reporting/region_codes.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <initializer_list>
#include <vector>

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

/// The words of a name in lower case; "GTV" and what follows it are one: "GTV_p", "GTV P" and "gtvp" read alike. Running
/// numbers at the end of a word are dropped.
std::vector<std::string> words(std::string_view name) {
  std::vector<std::string> result;
  bool open = false;
  for (const char c : name.substr(0, 256)) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) == 0) {
      open = false;
      continue;
    }
    if (!open && (result.empty() || result.back() != "gtv")) result.emplace_back();
    open = true;
    result.back() += static_cast<char>(std::tolower(byte));
  }
  for (std::string& word : result)
    while (word.size() > 1 && std::isdigit(static_cast<unsigned char>(word.back())) != 0) word.pop_back();
  return result;
}

/// Is any word one of `whole`, or does any contain one of `parts`?
bool any_word(const std::vector<std::string>& all, std::initializer_list<std::string_view> whole, std::initializer_list<std::string_view> parts = {}) {
  return std::any_of(all.begin(), all.end(), [&](const std::string& word) {
    return std::find(whole.begin(), whole.end(), word) != whole.end() ||
           std::any_of(parts.begin(), parts.end(), [&](std::string_view part) { return word.find(part) != std::string::npos; });
  });
}

bool is_head_and_neck(std::string_view term) {
  const std::string letters = upper_letters(term);
  return letters.empty() || letters == "NASOPHARYNX" || letters == "HEADNECK" || letters == "HEAD" || letters == "NECK" || letters == "PHARYNX" ||
         letters == "HEADANDNECK" || letters == "NPC" || letters == "SKULL" || letters == "SKULLBASE" || letters == "OROPHARYNX" || letters == "PHARYNXLARYNX";
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
  const std::vector<std::string> text = words(name);
  const auto says = [&](std::string_view chinese) { return name.find(chinese) != std::string_view::npos; };
  RegionCodes result;
  result.category = codes::morphologically_abnormal_structure;

  const bool retropharyngeal = says("咽后") || any_word(text, {"gtvrpn", "gtvrpln", "rpn", "rpln"}, {"retroph"});
  const bool left = any_word(text, {"l", "left", "gtvnl", "gtvndl", "gtvlnl"});
  const bool right = any_word(text, {"r", "right", "gtvnr", "gtvndr", "gtvlnr"});
  const bool nodal = retropharyngeal || says("淋巴") ||
                     any_word(text, {"gtvn", "gtvnd", "gtvns", "gtvnl", "gtvnr", "gtvndl", "gtvndr", "gtvln", "gtvlnl", "gtvlnr", "gtvnode", "gtvnodes", "gtvnodal", "ln", "node", "nodes", "nodal"}, {"lymph"});
  const bool says_nasopharynx = !nodal && (says("鼻咽") || any_word(text, {"nx", "npc", "gtvnx", "gtvpnx", "gtvnpc"}, {"nasoph"}));
  const bool primary = !nodal && (says_nasopharynx || says("原发") || any_word(text, {"gtvp", "gtvt", "gtvpri", "gtvtumor", "gtvtumour"}, {"primary"}));
  const bool target = says("肿瘤") || says("病灶") || any_word(text, {}, {"gtv", "tumor", "tumour", "mass", "lesion", "cancer", "neoplasm"});

  if (nodal) {
    result.finding = codes::gtv_nodal;
    result.type = codes::neoplasm_secondary;
    if (retropharyngeal) result.site = codes::retropharyngeal_lymph_node;
    else if (is_head_and_neck(body_part_examined)) result.site = codes::lymph_node_of_head_and_neck;
    if (!result.site.empty()) {
      if (left) result.laterality = codes::left;
      if (right) result.laterality = codes::right;
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
