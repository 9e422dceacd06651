#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/study_findings.h"
#include "dicom-fixtures/synthetic/npc_phantom.h"

namespace choana::test {

/// A study of the synthetic head: `roles` painted on a grid of `size`, tumour and (two_regions) node as regions, made-up features.
inline StudyFindings phantom_findings(const std::vector<std::string>& roles, Index3 size = {64, 64, 12}, bool two_regions = true) {
  using namespace fixtures;
  const std::map<std::string, Contrast> contrasts{{"T1", Contrast::t1},          {"T2", Contrast::t2},          {"T1C", Contrast::t1c},
                                                  {"T1C-FS", Contrast::t1c_fs},  {"DWI-b800", Contrast::dwi_b800}, {"ADC", Contrast::dwi_b0}};
  const NpcPhantom phantom({3, 25, 0.3});
  const Vector3 spacing{232.0 / size[0], 232.0 / size[1], 72.0 / size[2]};
  const auto grid = VolumeGeometry::make(size, spacing, {-116 + spacing[0] / 2, -118 + spacing[1] / 2, -38}, {1, 0, 0, 0, 1, 0, 0, 0, 1}, "1.2.3").value();
  StudyFindings findings;
  findings.outcome = Outcome::reported;
  findings.study_instance_uid = "1.2.3.4";
  std::vector<std::uint8_t> tumour(grid.voxel_count()), node(grid.voxel_count());
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j)
      for (int i = 0; i < size[0]; ++i) {
        const Vector3 p = grid.index_to_patient({double(i), double(j), double(k)});
        tumour[grid.offset(i, j, k)] = phantom.tumour_distance_mm(p) <= 0;
        node[grid.offset(i, j, k)] = phantom.node_distance_mm(p) <= 0;
      }
  int number = 0;
  for (const std::string& role : roles) {
    const auto found = contrasts.find(role);
    auto image = phantom.paint(grid, {found == contrasts.end() ? Contrast::t1 : found->second});
    for (std::size_t n = 0; n < image[0].size(); ++n) image[0][n] = std::max(0.0f, image[0][n] + 14 * gaussian_noise(77, n));
    SeriesReference reference;
    reference.series_instance_uid = "1.2.3.4." + std::to_string(++number);
    for (int k = 0; k < size[2]; ++k) reference.slices.push_back({"1.2.840.10008.5.1.4.1.1.4", reference.series_instance_uid + "." + std::to_string(k), 0, ""});
    MeasuredSeries series{role, SeriesVolume::make(grid, image[0], PixelType::uint16, reference, {}).value(), {}};
    series.rois.push_back(RegionOfInterest::make("GTVp", grid, tumour, {}).value());
    if (two_regions) series.rois.push_back(RegionOfInterest::make("GTVnd", grid, node, {}).value());
    for (const auto& roi : series.rois) {
      Measurement m;
      m.role = role;
      m.roi = roi.name();
      m.series_instance_uid = reference.series_instance_uid;
      const double mm3 = roi.volume_ml() * 1000;
      const std::vector<std::tuple<const char*, const char*, double>> values{
          {"shape", "MeshVolume", mm3}, {"shape", "Maximum3DDiameter", 1.6 * std::cbrt(mm3)}, {"shape", "Sphericity", 0.734}, {"shape", "SurfaceArea", 5.6 * std::pow(mm3, 2.0 / 3)},
          {"firstorder", "Mean", 512.3 + number}, {"firstorder", "10Percentile", 401.0}, {"firstorder", "90Percentile", 688.5}, {"firstorder", "Skewness", -0.21 * number},
          {"firstorder", "Entropy", 3.41}, {"glcm", "Contrast", 12.84}};
      for (const auto& [family, name, value] : values) (void)m.features.add(FeatureId{"original", family, name}, value);
      findings.measurements.push_back(std::move(m));
    }
    findings.measured.push_back(std::move(series));
  }
  return findings;
}

inline Prediction phantom_prediction() {
  Prediction p;
  p.package = "npc-response";
  p.version = "1.0.0";
  p.status = "demonstration";
  p.title = "Response of nasopharyngeal carcinoma";
  p.output = "Complete response 3 months after chemoradiotherapy";
  p.endpoint = "CR";
  p.value = 72.4;
  p.margin = 0.965;
  p.interval_low = 58.1;
  p.interval_high = 83.2;
  p.threshold = 46;
  p.group = "likely responder";
  p.risk = "low";
  p.performance = "AUC 0.81 (95 % CI 0.74 to 0.88), internal test, n = 200, synthetic";
  p.explanation.method = "tree_path_dependent";
  p.explanation.space = "margin";
  p.explanation.base = -0.118;
  const std::vector<std::tuple<const char*, double, double>> shares{
      {"T2 original glcm JointEntropy", 7.62, 0.41},        {"T1C wavelet-HHL glcm Imc2", 0.8123, 0.33},      {"ADC original firstorder Mean", 812.4, 0.29},
      {"T2 original shape Sphericity", 0.71, -0.22},        {"T1 log-sigma-3-mm-3D glszm ZoneEntropy", 5.11, 0.17}, {"T1C original firstorder Skewness", -0.334, -0.12},
      {"T2 wavelet-LLL gldm DependenceVariance", 22.9, 0.1}, {"T2 original ngtdm Busyness", 1.93, 0.08},       {"T1 original glrlm RunEntropy", 4.31, 0.05},
      {"T1 original glrlm ShortRunEmphasis", 0.91, -0.03},  {"T1C original glszm SmallAreaEmphasis", 0.61, 0.023}};
  double output = p.explanation.base;
  for (const auto& [label, value, share] : shares) {
    p.explanation.contributions.push_back({label, label, value, "1", share});
    output += share;
  }
  p.explanation.output = output;
  return p;
}

}  // namespace choana::test
