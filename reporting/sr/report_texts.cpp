#include "reporting/sr/report_texts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <numeric>

namespace choana::reporting {
namespace {

std::string printed(const char* format, double number) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, number);
  return text.data();
}

std::string signed_readable(double number) { return (number < 0 ? "" : "+") + readable(number); }

const std::string& name_of(const Contribution& contribution) { return contribution.label.empty() ? contribution.feature : contribution.label; }

/// Chinese sentences follow each other without a blank.
std::string tidy(std::string text) {
  const std::string stop = "。";
  for (std::size_t at = text.find(stop + " "); at != std::string::npos; at = text.find(stop + " ", at)) text.erase(at + stop.size(), 1);
  return text;
}

std::string joined(const std::vector<std::string>& parts, const std::string& between) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : between) + part;
  return text;
}

}  // namespace

std::string readable(double number) {
  if (!std::isfinite(number)) return "?";
  const double magnitude = std::abs(number);
  if (magnitude != 0 && (magnitude < 1e-3 || magnitude >= 1e7)) return printed("%.3g", number);
  if (magnitude >= 1000) return printed("%.0f", number);
  if (magnitude >= 10) return printed("%.1f", number);
  if (magnitude >= 1) return printed("%.2f", number);
  return printed("%.3g", number);
}

std::string readable(double number, const std::string& unit) {
  if (unit == "a") return readable(number) + " years";
  if (unit == "mo") return readable(number) + " months";
  if (unit == "d") return readable(number) + " days";
  if (unit == "%") return printed("%.1f", number) + " %";
  return unit.empty() || unit == "1" ? readable(number) : readable(number) + " " + unit;
}

std::vector<std::size_t> strongest_contributions(const Explanation& explanation, std::size_t most) {
  std::vector<std::size_t> order(explanation.contributions.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::abs(explanation.contributions[a].contribution) > std::abs(explanation.contributions[b].contribution);
  });
  if (order.size() > most) order.resize(most);
  return order;
}

std::string ReportTexts::use_comment(const std::string& status) const {
  if (status == "clinical")
    return chinese_ ? "自动生成，未经医师核实。须由有资质的医师结合临床判断使用。"
                    : "Automatically generated and not verified by a physician. To be read by a qualified physician together with all clinical information.";
  std::string text = chinese_ ? "RESEARCH USE ONLY（仅供研究使用）。自动生成，未经医师核实；不得用于诊断或治疗决策。"
                              : "RESEARCH USE ONLY. Automatically generated, not verified by a physician; not for diagnosis or decisions on treatment.";
  if (status == "demonstration")
    text += chinese_ ? "演示模型（demonstration）：其数值仅说明流程可用，不代表预测正确。"
                     : " Demonstration model: its figures show that the chain works, not that the prediction is true.";
  return text;
}

std::string ReportTexts::radiomics_narrative(const std::string& label, const SeriesReference& series, const std::string& profile,
                                             const std::vector<RegionSummary>& regions) const {
  std::string source = label + (chinese_ ? "（序列 " : " (series ") + std::to_string(series.series_number);
  if (!series.description.empty()) source += (chinese_ ? "，" : ", ") + series.description;
  source += chinese_ ? "）" : ")";
  std::string text = chinese_ ? "影像组学测量，" + source + "。" : "Radiomics of " + source + ".";
  for (const RegionSummary& region : regions) {
    text += chinese_ ? " " + region.name + "：体积 " + printed("%.2f", region.volume_ml) + " cm3" : " " + region.name + ": volume " + printed("%.2f", region.volume_ml) + " cm3";
    if (region.diameter_mm > 0)
      text += chinese_ ? "，最大三维直径 " + printed("%.1f", region.diameter_mm) + " mm" : ", maximum 3D diameter " + printed("%.1f", region.diameter_mm) + " mm";
    text += chinese_ ? "，特征 " + std::to_string(region.features) + " 个" : ", " + std::to_string(region.features) + " features";
    if (region.not_computed > 0)
      text += chinese_ ? "，未计算 " + std::to_string(region.not_computed) + " 个（原因见“Features not computed”）"
                       : ", " + std::to_string(region.not_computed) + " not computed (reasons under Features not computed)";
    text += chinese_ ? "。" : ".";
  }
  text += chinese_ ? " 特征名称与数值遵循 PyRadiomics 定义；全部设置见 Algorithm Parameters" : " Features are named and defined as in PyRadiomics; all settings stand under Algorithm Parameters";
  if (!profile.empty()) text += chinese_ ? "（方案 " + profile + "）" : " (profile " + profile + ")";
  return tidy(text + (chinese_ ? "。" : "."));
}

std::string ReportTexts::headline(const Prediction& prediction) const {
  std::string text;
  if (!prediction.applicability.inside)
    text = chinese_ ? "注意：超出训练数据范围，勿依赖此结果。" : "CAUTION, outside the range of the training data, do not rely on this result: ";
  text += prediction.output + (chinese_ ? "：" : ": ") + readable(prediction.value, prediction.unit);
  std::vector<std::string> more;
  if (prediction.interval_low && prediction.interval_high)
    more.push_back((prediction.robustness ? (chinese_ ? "勾画略有不同时为 " : "if drawn slightly differently ") : (chinese_ ? "95% 置信区间 " : "95% confidence interval ")) + readable(*prediction.interval_low, prediction.unit) + (chinese_ ? " 至 " : " to ") +
                   readable(*prediction.interval_high, prediction.unit));
  if (prediction.threshold) more.push_back((chinese_ ? "阈值 " : "threshold ") + readable(*prediction.threshold, prediction.unit));
  if (!more.empty()) text += (chinese_ ? "（" : " (") + joined(more, chinese_ ? "，" : ", ") + (chinese_ ? "）" : ")");
  if (!prediction.group.empty()) text += (chinese_ ? "，" : ", ") + prediction.group;
  return text;
}

std::string ReportTexts::robustness(const Prediction& prediction) const {
  const Robustness& how = *prediction.robustness;
  std::string text;
  if (chinese_) {
    text = "对感兴趣区作 " + std::to_string(how.count) + " 次小幅扰动（平移 " + printed("%.3g", how.translation_mm) + " mm，旋转 " + printed("%.3g", how.rotation_deg) + "°，边界 " + printed("%.3g", how.boundary_mm) +
           " mm，均为标准差），其中 " + std::to_string(how.used) + " 次可计算。";
    if (prediction.interval_low && prediction.interval_high)
      text += printed("%.4g", 100 * how.coverage) + " % 的扰动预测位于 " + readable(*prediction.interval_low, prediction.unit) + " 至 " + readable(*prediction.interval_high, prediction.unit) + "。";
    text += "这只说明结果对勾画的依赖程度，不是模型的置信区间。";
  } else {
    text = std::to_string(how.used) + " of " + std::to_string(how.count) + " perturbed regions (shift " + printed("%.3g", how.translation_mm) + " mm, rotation " + printed("%.3g", how.rotation_deg) +
           " degrees, boundary " + printed("%.3g", how.boundary_mm) + " mm, standard deviations) could be measured and predicted.";
    if (prediction.interval_low && prediction.interval_high)
      text += " " + printed("%.4g", 100 * how.coverage) + " % of their predictions lie between " + readable(*prediction.interval_low, prediction.unit) + " and " +
              readable(*prediction.interval_high, prediction.unit) + ".";
    text += " This says how much the result depends on how the region was drawn; it is not a confidence interval of the model.";
  }
  if (!how.moved.empty())
    text += (chinese_ ? "变动较大的特征：" : " Features that moved: ") + joined(how.moved, chinese_ ? "、" : ", ") + (chinese_ ? "。" : ".");
  else
    text += chinese_ ? "没有特征明显变动。" : " No feature moved by more than the model allows.";
  if (!how.kept.empty())
    text += (chinese_ ? "未随扰动重新测量：" : " Not measured again: ") + joined(how.kept, chinese_ ? "、" : ", ") + (chinese_ ? "。" : ".");
  return text;
}

double survival_at(const SurvivalCurve& curve, double time) {
  double survival = 1;
  for (std::size_t n = 0; n < curve.time.size() && n < curve.survival.size() && curve.time[n] <= time; ++n) survival = curve.survival[n];
  return survival;
}

std::string ReportTexts::time(double time, const std::string& unit) const {
  if (unit.empty()) return printed("%.6g", time);
  if (chinese_) return printed("%.6g", time) + (unit == "month" ? " 个月" : unit == "day" ? " 天" : unit == "year" ? " 年" : " " + unit);
  return printed("%.6g", time) + " " + unit + (time == 1 ? "" : "s");
}

std::string ReportTexts::survival(const SurvivalCurve& curve) const {
  constexpr std::size_t steps_max = 40;
  std::vector<std::string> lines;
  for (const double horizon : curve.horizons) lines.push_back((chinese_ ? "生存概率，" : "Survival at ") + time(horizon, curve.time_unit) + (chinese_ ? "：" : ": ") + readable(100 * survival_at(curve, horizon), "%"));
  const std::size_t steps = std::min(curve.time.size(), curve.survival.size());
  const std::size_t shown = std::min(steps, steps_max);
  std::string text;
  for (std::size_t n = 0; n < shown; ++n) {
    // The first and the last step and even parts between.
    const std::size_t at = shown < 2 ? 0 : n * (steps - 1) / (shown - 1);
    text += (text.empty() ? "" : "; ") + printed("%.6g", curve.time[at]) + ": " + readable(100 * curve.survival[at], "%");
  }
  if (!text.empty())
    lines.push_back((chinese_ ? "生存函数（" + time(steps > 0 ? curve.time[steps - 1] : 0, curve.time_unit) + "内 " + std::to_string(shown) + "/" + std::to_string(steps) + " 个台阶，时间：概率）：" + text
                              : "Steps (" + std::to_string(shown) + " of " + std::to_string(steps) + ", time" + (curve.time_unit.empty() ? std::string() : " in " + curve.time_unit + "s") + ": survival): " + text));
  return joined(lines, "\n");
}

std::string ReportTexts::applicability(const Applicability& applicability) const {
  if (applicability.inside && applicability.flags.empty()) return chinese_ ? "在训练数据范围之内。" : "Inside the range of the training data.";
  if (applicability.inside)
    return (chinese_ ? "按模型的规则仍视为在训练数据范围之内，但须注意：" : "Counted as inside the range of the training data by the model's rule, but: ") + joined(applicability.flags, " ");
  return (chinese_ ? "超出训练数据范围，预测不可靠：" : "OUTSIDE the range of the training data; the prediction is not reliable: ") + joined(applicability.flags, " ");
}

std::string ReportTexts::prediction_narrative(const std::vector<Prediction>& predictions) const {
  const std::string stop = chinese_ ? "。" : ".";
  std::string text;
  for (std::size_t first = 0; first < predictions.size();) {
    // The outputs of one model share what is said of the model.
    const Prediction& model = predictions[first];
    std::size_t last = first;
    while (last < predictions.size() && predictions[last].package == model.package && predictions[last].version == model.version) ++last;
    if (!text.empty()) text += "\n";
    for (std::size_t n = first; n < last; ++n) text += headline(predictions[n]) + stop + " ";
    const std::string name = model.title.empty() ? model.package : model.title;
    std::string about = model.package + (chinese_ ? "，版本 " : ", version ") + model.version;
    if (!model.status.empty()) about += (chinese_ ? "，" : ", ") + model.status;
    text += chinese_ ? "模型：" + name + "（" + about + "）。" : "Model: " + name + " (" + about + "). ";
    text += applicability(model.applicability);
    if (!model.performance.empty()) text += (chinese_ ? "模型性能：" : " Model performance: ") + model.performance + stop;
    std::vector<std::string> parts;
    for (const std::size_t n : strongest_contributions(model.explanation, 3)) {
      const Contribution& each = model.explanation.contributions[n];
      parts.push_back(name_of(each) + " (" + signed_readable(each.contribution) + ")");
    }
    if (!parts.empty())
      text += (chinese_ ? "主要贡献（" : " Strongest contributions (") + model.output + (chinese_ ? "，" : ", ") + model.explanation.space + (chinese_ ? "）：" : "): ") +
              joined(parts, chinese_ ? "、" : ", ") + stop;
    if (model.status != "clinical") text += chinese_ ? "RESEARCH USE ONLY（仅供研究使用）。" : " RESEARCH USE ONLY.";
    first = last;
  }
  return tidy(text);
}

std::string ReportTexts::image_number(int instance_number, int frame_number) const {
  if (frame_number > 0) return (chinese_ ? "第 " : "frame ") + std::to_string(frame_number) + (chinese_ ? " 帧" : "");
  return (chinese_ ? "第 " : "image ") + std::to_string(instance_number) + (chinese_ ? " 幅" : "");
}

std::string ReportTexts::key_slice_line(const std::string& region, const std::string& label, const std::string& image, double volume_ml, double diameter_mm) const {
  std::string text = region + (chinese_ ? "：最大层面为 " + label + " " + image + "，体积 " : ": largest on " + image + " of " + label + ", volume ") + printed("%.2f", volume_ml) + " cm3";
  if (diameter_mm > 0) text += (chinese_ ? "，最大三维直径 " : ", maximum 3D diameter ") + printed("%.1f", diameter_mm) + " mm";
  return text + (chinese_ ? "。" : ".");
}

std::string ReportTexts::key_slice_narrative(const std::vector<std::string>& lines) const { return tidy(joined(lines, " ") + " " + polygon_note()); }

std::string ReportTexts::polygon_note() const {
  return chinese_ ? "轮廓为该层面上最大的外边界；完整掩膜见 SEG 对象。" : "The outline is the largest outer boundary on that slice; the whole mask is in the SEG object.";
}

std::string ReportTexts::not_analysed_narrative(const Error& reason) const {
  return (chinese_ ? "本检查未进行分析：" : "This study was not analysed: ") + reason.message + (reason.message.ends_with('.') || reason.message.empty() ? "" : chinese_ ? "。" : ".");
}

std::string ReportTexts::next_step() const {
  return chinese_ ? "未产生任何测量或预测。补齐或更正数据后重新发送该检查，系统将自动重新分析。"
                  : "No measurement and no prediction was made. Send the missing or corrected objects; the study is then analysed again.";
}

std::string ReportTexts::region_origin(const RegionOfInterest& roi) const {
  const RoiOrigin& origin = roi.origin();
  std::string text;
  switch (origin.kind) {
    case RoiOrigin::Kind::structure_set:
      text = chinese_ ? "RTSTRUCT ROI " + std::to_string(origin.number) + "“" + roi.name() + "”" : "RTSTRUCT ROI " + std::to_string(origin.number) + " \"" + roi.name() + "\"";
      text += chinese_ ? "：使用轮廓 " + std::to_string(origin.contours_used) + " 条，舍弃 " + std::to_string(origin.contours_dropped) + " 条；勾画体积 " +
                             printed("%.2f", origin.contour_volume_ml) + " cm3，体素体积 " + printed("%.2f", roi.volume_ml()) + " cm3。"
                       : ": " + std::to_string(origin.contours_used) + " contours used, " + std::to_string(origin.contours_dropped) + " dropped; drawn volume " +
                             printed("%.2f", origin.contour_volume_ml) + " cm3, voxel volume " + printed("%.2f", roi.volume_ml()) + " cm3.";
      break;
    case RoiOrigin::Kind::segmentation:
      text = (chinese_ ? "SEG 分割 " : "SEG segment ") + std::to_string(origin.number) + " \"" + roi.name() + "\"" + (chinese_ ? "：体素体积 " : ": voxel volume ") +
             printed("%.2f", roi.volume_ml()) + " cm3" + (chinese_ ? "。" : ".");
      break;
    case RoiOrigin::Kind::mask_image:
      text = (chinese_ ? "掩膜图像 \"" : "Mask image \"") + roi.name() + (chinese_ ? "\"：体素体积 " : "\": voxel volume ") + printed("%.2f", roi.volume_ml()) + " cm3" + (chinese_ ? "。" : ".");
      break;
  }
  if (origin.fraction_outside_image > 0)
    text += chinese_ ? " 位于图像之外：" + printed("%.2f", 100 * origin.fraction_outside_image) + " %。" : " Outside the image: " + printed("%.2f", 100 * origin.fraction_outside_image) + " %.";
  if (origin.algorithm_type.empty())
    text += chinese_ ? " 发送方未说明勾画方式，按 SEMIAUTOMATIC 记录。" : " The sender does not say how it was drawn; recorded as SEMIAUTOMATIC.";
  for (const std::string& note : origin.notes) text += " " + note;
  return tidy(text);
}

std::string ReportTexts::contribution_table(const Explanation& explanation, const std::vector<std::size_t>& order) const {
  std::vector<std::string> lines;
  for (const std::size_t n : order) {
    const Contribution& each = explanation.contributions[n];
    const std::string value = std::isfinite(each.value) ? readable(each.value, each.unit) : std::string(chinese_ ? "（缺失）" : "(missing)");
    lines.push_back(name_of(each) + " = " + value + ": " + signed_readable(each.contribution));
  }
  return joined(lines, "\n");
}

std::string ReportTexts::explanation_note(const Explanation& explanation) const {
  return (chinese_ ? "Shapley 加性解释，方法 " : "Additive explanation by Shapley values, method ") + explanation.method + (chinese_ ? "，空间 " : ", in the space ") + explanation.space +
         (chinese_ ? "：基准值 + 各贡献之和 = 模型输出。" : ": base value + sum of contributions = model output.");
}

std::string ReportTexts::replaces(std::size_t objects, int revision) const {
  return chinese_ ? "第 " + std::to_string(revision) + " 版结果，取代此前的 " + std::to_string(objects) + " 个对象："
                  : "Revision " + std::to_string(revision) + " of the result; it replaces " + std::to_string(objects) + " earlier objects:";
}

}  // namespace choana::reporting
