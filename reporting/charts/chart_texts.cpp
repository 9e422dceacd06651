#include "reporting/charts/chart_texts.h"

namespace choana::reporting {
namespace {

ChartTexts english() {
  ChartTexts t;
  t.research_only = "RESEARCH USE ONLY - not for diagnosis";
  t.demonstration = "DEMONSTRATION MODEL";
  t.prediction_subtitle = "Prediction from MR radiomics";
  t.measurement_title = "Radiomic measurements";
  t.measurement_subtitle = "Regions, intensities and key features";
  t.not_analysed = "Not analysed";
  t.threshold = "threshold";
  t.interval = "interval {low} to {high}";
  t.interval_robust = "{low} to {high} if redrawn";
  t.reliability_subtitle = "Course and reliability of the prediction";
  t.survival_title = "Predicted survival";
  t.survival_axis = "Survival (%)";
  t.time_axis = "Time ({unit})";
  t.time_axis_plain = "Time";
  t.hazard_space = "log hazard";
  t.raises_risk = "raises the risk";
  t.lowers_risk = "lowers the risk";
  t.if_redrawn = "If the region were redrawn";
  t.redrawn_note = "{used} of {count} regions shifted, turned, grown and shrunk ({mm} mm, {deg}°, boundary {edge} mm; standard deviations) could be predicted; the bar spans {share} % of them. "
                   "Not a confidence interval of the model.";
  t.moved_features = "Features that moved:";
  t.none_moved = "No feature moved by more than the model allows.";
  t.kept_features = "Not measured again:";
  t.more_features = "and {n} more";
  t.applicability_title = "Is the case like the training data?";
  t.inside_with_flags = "It counts as such by the model's rule, but:";
  t.inside_training = "Within the range of the training data";
  t.outside_training = "Unlike the training data";
  t.more_flags = "(and {n} more)";
  t.explanation = "What moved the result";
  t.other_features = "{n} other features";
  t.base = "base";
  t.output = "output";
  t.margin_space = "log-odds";
  t.probability_space = "probability";
  t.raises = "raises";
  t.lowers = "lowers";
  t.no_explanation = "This model gives no explanation.";
  t.regions = "Regions";
  t.region = "Region";
  t.series = "Series";
  t.volume = "Volume";
  t.diameter = "Diameter";
  t.sphericity = "Sphericity";
  t.mean = "Mean";
  t.entropy = "Entropy";
  t.skewness = "Skewness";
  t.p10 = "10th percentile";
  t.p90 = "90th percentile";
  t.contrast = "GLCM contrast";
  t.homogeneity = "GLCM homogeneity";
  t.surface = "Surface";
  t.not_computed = "–";
  t.slice = "slice {k} of {n}";
  t.model = "Model";
  t.performance = "Performance";
  t.settings = "settings";
  t.run = "run";
  t.status_demonstration = "demonstration";
  t.status_research = "research";
  t.status_clinical = "clinical";
  t.more_series = "{n} more series: see the structured report";
  t.more_regions = "and {n} more";
  t.nothing_measured = "No region was measured.";
  t.intensity_histogram = "Intensity";
  t.feature = "Feature";
  t.measured_value = "Value";
  t.share = "Share";
  t.histogram_of = "Voxels by intensity";
  t.in_region = "in {roi}";
  t.intensities_in = "{role} as received: voxels of {roi}";
  t.slices_title = "Regions slice by slice";
  t.slices_subtitle = "{role}: {n} of {all} slices with a region, from {from} to {to}";
  t.slices_note = "Outlines follow the voxels that were measured.";
  t.values_note = "Histograms: images as received. Features: after preparation; all of them are in the structured report.";
  return t;
}

ChartTexts chinese() {
  ChartTexts t = english();
  t.research_only = "RESEARCH USE ONLY 仅供研究，不得用于诊断";
  t.demonstration = "DEMONSTRATION MODEL 演示模型";
  t.prediction_subtitle = "基于 MR 影像组学的预测";
  t.measurement_title = "影像组学测量";
  t.measurement_subtitle = "感兴趣区、信号强度与主要特征";
  t.not_analysed = "未分析";
  t.threshold = "阈值";
  t.interval = "区间 {low} 至 {high}";
  t.interval_robust = "重新勾画时 {low} 至 {high}";
  t.reliability_subtitle = "预测的病程与可靠程度";
  t.survival_title = "预测生存曲线";
  t.survival_axis = "生存概率（%）";
  t.time_axis = "时间（{unit}）";
  t.time_axis_plain = "时间";
  t.hazard_space = "对数风险";
  t.raises_risk = "升高风险";
  t.lowers_risk = "降低风险";
  t.if_redrawn = "若感兴趣区勾画略有不同";
  t.redrawn_note = "对感兴趣区作 {count} 次小幅平移、旋转、扩大或缩小（{mm} mm，{deg}°，边界 {edge} mm，均为标准差），其中 {used} 次可预测；横条包含其中的 {share} %。这不是模型的置信区间。";
  t.moved_features = "变动较大的特征：";
  t.none_moved = "没有特征明显变动。";
  t.kept_features = "未随扰动重新测量：";
  t.more_features = "另有 {n} 个";
  t.applicability_title = "该病例与训练数据是否一致？";
  t.inside_with_flags = "按模型的规则仍视为一致，但须注意：";
  t.inside_training = "在训练数据范围之内";
  t.outside_training = "与训练数据不一致";
  t.more_flags = "（另有 {n} 项）";
  t.explanation = "各特征对结果的贡献";
  t.other_features = "其余 {n} 个特征";
  t.base = "基准值";
  t.output = "输出值";
  t.margin_space = "对数优势";
  t.probability_space = "概率";
  t.raises = "升高";
  t.lowers = "降低";
  t.no_explanation = "该模型不提供解释。";
  t.regions = "感兴趣区";
  t.region = "区域";
  t.series = "序列";
  t.volume = "体积";
  t.diameter = "最大径";
  t.sphericity = "球形度";
  t.mean = "均值";
  t.entropy = "熵";
  t.skewness = "偏度";
  t.p10 = "第 10 百分位";
  t.p90 = "第 90 百分位";
  t.contrast = "GLCM 对比度";
  t.homogeneity = "GLCM 同质性";
  t.surface = "表面积";
  t.slice = "第 {k}/{n} 层";
  t.model = "模型";
  t.performance = "性能";
  t.settings = "设置";
  t.run = "运行日期";
  t.status_demonstration = "演示";
  t.status_research = "研究";
  t.status_clinical = "临床";
  t.more_series = "另有 {n} 个序列，见结构化报告";
  t.more_regions = "另有 {n} 个";
  t.nothing_measured = "没有测量任何感兴趣区。";
  t.intensity_histogram = "信号强度";
  t.feature = "特征";
  t.measured_value = "测量值";
  t.share = "贡献";
  t.histogram_of = "信号强度直方图";
  t.in_region = "{roi} 内";
  t.intensities_in = "{role} 原始图像：{roi} 内信号强度分布";
  t.slices_title = "逐层感兴趣区";
  t.slices_subtitle = "{role}：含感兴趣区的 {all} 层中的 {n} 层，自 {from} 至 {to}";
  t.slices_note = "轮廓为实际测量的体素边界。";
  t.values_note = "直方图：接收到的原始图像。特征：预处理之后计算；全部特征见结构化报告。";
  return t;
}

}  // namespace

const ChartTexts& chart_texts(std::string_view language) {
  static const ChartTexts en = english(), zh = chinese();
  return language.starts_with("zh") ? zh : en;
}

std::string fill_in(std::string text, std::string_view name, std::string_view value) {
  const std::string key = "{" + std::string(name) + "}";
  if (const auto at = text.find(key); at != std::string::npos) text.replace(at, key.size(), value);
  return text;
}

}  // namespace choana::reporting
