// PyRadiomics baselines and texture matrices (golden values: radiomics_golden_test.cpp). Sources: shared/reference/pyradiomics (README.md there): PyRadiomics tag
// v3.0.1 baselines, and values computed with the v3.0.1 code. Bar: relative 1e-6.

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <iostream>
#include <map>

#include "processing/preprocessing/discretiser.h"
#include "processing/radiomics/families/surface_mesh.h"
#include "processing/radiomics/feature_extractor.h"
#include "processing/radiomics/matrices/cooccurrence.h"
#include "processing/radiomics/matrices/dependence.h"
#include "processing/radiomics/matrices/level_volume.h"
#include "processing/radiomics/matrices/neighbouring_tone_difference.h"
#include "processing/radiomics/matrices/run_length.h"
#include "processing/radiomics/matrices/size_zone.h"
#include "tests/support/csv.h"
#include "tests/support/pyradiomics_reference.h"
#include "tests/support/shared_data.h"

namespace choana::processing {
namespace {

using Case = test::PyradiomicsCase;
constexpr auto reference = test::pyradiomics_reference;
constexpr auto load_case = test::pyradiomics_case;
constexpr auto equals = test::equals_pyradiomics;

/// A Python dictionary literal of settings as YAML: only None, True and False differ.
std::string yaml_of_python(std::string text) {
  for (const auto& [from, to] : {std::pair<std::string, std::string>{"None", "null"}, {"True", "true"}, {"False", "false"}})
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) text.replace(at, from.size(), to);
  return text;
}

ExtractionProfile profile_of(const std::string& yaml) {
  auto profile = parse_profile(yaml, "test");
  if (!profile) throw std::runtime_error(to_string(profile.error()));
  return *profile;
}

struct Score {
  int equal = 0;
  int compared = 0;
  std::string first_failures;

  void add(const std::string& what, const ExtractionResult& result, const std::string& feature, double expected) {
    ++compared;
    const auto id = FeatureId::parse(feature);
    const auto value = id ? result.features.number(*id) : std::nullopt;
    const bool fine = value && equals(*value, expected);
    if (fine) ++equal;
    else if (first_failures.size() < 4000)
      first_failures += what + " " + feature + ": expected " + std::to_string(expected) + ", got " + (value ? std::to_string(*value) : "nothing") + "\n";
  }
};

/// brain1 mesh values of the baseline are older than the mesh code; these are those of v3.0.1 (README, "What v3.0.1 really gives").
const std::map<std::string, double> stale_brain1{{"original_shape_MeshVolume", 16147.51180013021},
                                                 {"original_shape_SurfaceArea", 6438.821603779402},
                                                 {"original_shape_SurfaceVolumeRatio", 0.3987500788652454},
                                                 {"original_shape_Sphericity", 0.4798234536231475}};

void check_baseline(const std::string& family) {
  const auto rows = test::read_csv(reference() / "baseline" / ("baseline_" + family + ".csv"));
  std::map<std::string, const std::vector<std::string>*> by_name;
  for (const auto& row : rows) by_name[row[0]] = &row;
  Score score;
  for (std::size_t column = 1; column < rows[0].size(); ++column) {
    const std::string variant = rows[0][column];
    std::string name = variant.substr(0, variant.find('_'));
    if (name.starts_with("lung")) continue;  // images are not published
    const Case& one = load_case(name);
    MaskVolume mask = one.mask;
    if (family == "shape2D") {
      // The label files of these tests hold the slice at the k of the bounding box (162, 84, 16, ...).
      const std::string& box = (*by_name.at("diagnostics_Mask-corrected_BoundingBox"))[column];
      const int slice = std::stoi(box.substr(box.find(',', box.find(',') + 1) + 1));
      const Index3& size = mask.geometry.size();
      for (int k = 0; k < size[2]; ++k)
        if (k != slice)
          std::fill_n(mask.labels.begin() + static_cast<std::ptrdiff_t>(mask.geometry.offset(0, 0, k)), static_cast<std::ptrdiff_t>(size[0]) * size[1], 0u);
    }
    const std::string settings = yaml_of_python((*by_name.at("diagnostics_Configuration_Settings"))[column]);
    const ExtractionProfile profile = profile_of("setting: " + settings + "\nimageType: {Original: {}}\nfeatureClass: {" + family + ": }\n");
    const auto result = extract_features(one.image, mask, 1, profile);
    ASSERT_TRUE(result) << variant << ": " << to_string(result.error());
    for (const auto& row : rows) {
      if (!row[0].starts_with("original_")) continue;
      double expected = std::stod(row[column]);
      if (variant == "brain1" && family == "shape" && stale_brain1.contains(row[0])) expected = stale_brain1.at(row[0]);
      score.add(variant, *result, row[0], expected);
    }
  }
  std::cout << family << " baseline: " << score.equal << " of " << score.compared << "\n";
  EXPECT_EQ(score.equal, score.compared) << score.first_failures;
  EXPECT_GT(score.compared, 0);
}

class Baseline : public testing::TestWithParam<const char*> {};

TEST_P(Baseline, EqualsPyRadiomicsInEveryVariant) {
  CHOANA_NEEDS_SHARED("reference/pyradiomics/baseline");
  check_baseline(GetParam());
}

INSTANTIATE_TEST_SUITE_P(Families, Baseline, testing::Values("firstorder", "glcm", "gldm", "glrlm", "glszm", "ngtdm", "shape", "shape2D"),
                         [](const auto& one) { return std::string(one.param); });

/// A float64 .npy file of version 1.
struct Array {
  std::vector<std::size_t> shape;
  std::vector<double> values;  // C order
};

Array read_npy(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(in)), {});
  const std::size_t header_size = static_cast<unsigned char>(bytes.at(8)) + 256u * static_cast<unsigned char>(bytes.at(9));
  const std::string header = bytes.substr(10, header_size);
  EXPECT_NE(header.find("'<f8'"), std::string::npos) << header;
  const bool fortran = header.find("'fortran_order': True") != std::string::npos;
  Array array;
  std::string numbers = header.substr(header.find('(') + 1);
  numbers.resize(numbers.find(')'));
  std::replace(numbers.begin(), numbers.end(), ',', ' ');
  std::stringstream shape(numbers);
  for (std::string count; shape >> count;) array.shape.push_back(std::stoul(count));  // Python 2 wrote 27L
  std::vector<double> raw((bytes.size() - 10 - header_size) / 8);
  std::memcpy(raw.data(), bytes.data() + 10 + header_size, raw.size() * 8);
  array.values = raw;
  if (fortran) {
    EXPECT_EQ(array.shape.size(), 2u);
    for (std::size_t r = 0; r < array.shape[0]; ++r)
      for (std::size_t c = 0; c < array.shape[1]; ++c) array.values[r * array.shape[1] + c] = raw[c * array.shape[0] + r];
  }
  return array;
}

LevelVolume levels_of(const Case& one) {
  const VoxelBox box = bounding_box(one.mask, 1);
  std::vector<std::uint8_t> region;
  std::vector<double> values;
  const auto labels = crop_values(one.mask.labels, one.mask.geometry.size(), box);
  const auto voxels = crop_values(one.image.voxels, one.image.geometry.size(), box);
  for (std::size_t at = 0; at < labels.size(); ++at) {
    region.push_back(labels[at] == 1 ? 1 : 0);
    if (labels[at] == 1) values.push_back(voxels[at]);
  }
  return make_level_volume(box.size, region, *discretise_by_width(values, 25), one.image.geometry.spacing_mm(), 1);
}

/// The matrix without the sizes that do not occur, as a dense array of levels x sizes.
std::vector<double> compact(const LevelSizeMatrix& matrix, const std::vector<std::uint32_t>& sizes) {
  std::vector<double> dense(matrix.levels.size() * sizes.size(), 0);
  for (const MatrixEntry& entry : matrix.entries) {
    const auto column = std::lower_bound(sizes.begin(), sizes.end(), entry.column) - sizes.begin();
    dense[entry.row * sizes.size() + static_cast<std::size_t>(column)] = entry.count;
  }
  return dense;
}

std::vector<std::uint32_t> sizes_of(const std::vector<LevelSizeMatrix>& matrices) {
  std::vector<std::uint32_t> sizes;
  for (const auto& matrix : matrices)
    for (const MatrixEntry& entry : matrix.entries) sizes.push_back(entry.column);
  std::sort(sizes.begin(), sizes.end());
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  return sizes;
}

class TextureMatrices : public testing::TestWithParam<const char*> {};

TEST_P(TextureMatrices, EqualPyRadiomics) {
  CHOANA_NEEDS_SHARED("reference/pyradiomics/matrices");
  const std::string name = GetParam();
  const LevelVolume volume = levels_of(load_case(name));
  const auto file = [&](const std::string& family) { return read_npy(reference() / "matrices" / (name + "_" + family + ".npy")); };

  const Array glcm = file("glcm");
  const auto pairs = count_cooccurrences(volume, {1}, -1, true, WeightingNorm::none);
  ASSERT_EQ(glcm.shape, (std::vector<std::size_t>{volume.levels.size(), volume.levels.size(), pairs.size()}));
  std::vector<double> dense(glcm.values.size(), 0);
  for (std::size_t d = 0; d < pairs.size(); ++d)
    for (const MatrixEntry& entry : pairs[d].entries) dense[(entry.row * volume.levels.size() + entry.column) * pairs.size() + d] = entry.count;
  for (std::size_t at = 0; at < dense.size(); ++at) ASSERT_NEAR(dense[at], glcm.values[at], 1e-15) << "glcm " << at;

  const Array glrlm = file("glrlm");
  const auto runs = count_runs(volume, -1, WeightingNorm::none);
  const auto lengths = sizes_of(runs);
  ASSERT_EQ(glrlm.shape, (std::vector<std::size_t>{volume.levels.size(), lengths.size(), runs.size()}));
  for (std::size_t d = 0; d < runs.size(); ++d) {
    const auto one = compact(runs[d], lengths);
    for (std::size_t at = 0; at < one.size(); ++at) ASSERT_EQ(one[at], glrlm.values[at * runs.size() + d]) << "glrlm " << at << " direction " << d;
  }
  const auto check = [&](const std::string& family, const LevelSizeMatrix& matrix) {
    const Array expected = file(family);
    const auto sizes = sizes_of({matrix});
    ASSERT_EQ(expected.shape, (std::vector<std::size_t>{volume.levels.size(), sizes.size()})) << family;
    EXPECT_EQ(compact(matrix, sizes), expected.values) << family;
  };
  check("glszm", count_zones(volume, -1));
  check("gldm", count_dependences(volume, {1}, -1, 0));
  const Array ngtdm = file("ngtdm");
  const auto tones = sum_tone_differences(volume, {1}, -1);
  ASSERT_EQ(ngtdm.shape, (std::vector<std::size_t>{volume.levels.size(), 3}));
  for (std::size_t row = 0; row < volume.levels.size(); ++row) {
    EXPECT_EQ(tones.counts[row], ngtdm.values[3 * row]);
    EXPECT_NEAR(tones.differences[row], ngtdm.values[3 * row + 1], 1e-9);
    EXPECT_EQ(tones.levels[row], ngtdm.values[3 * row + 2]);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, TextureMatrices, testing::Values("brain1", "brain2", "breast1"), [](const auto& one) { return std::string(one.param); });

TEST(DigitalPhantom, EqualsPyRadiomicsWithBothAggregations) {
  CHOANA_NEEDS_SHARED("reference/pyradiomics/golden/ibsi_digital_phantom_features.csv");
  CHOANA_NEEDS_SHARED("reference/ibsi/phase1/digital_phantom");
  const auto folder = test::shared_dir() / "reference/ibsi/phase1/digital_phantom";
  const auto phantom_image = read_image_file(folder / "image.nii.gz");
  const auto phantom_mask = read_mask_file(folder / "mask.nii.gz");
  ASSERT_TRUE(phantom_image && phantom_mask);
  const Case phantom{*phantom_image, *phantom_mask};
  const std::string classes =
      "\nfeatureClass:\n  shape: [MeshVolume, VoxelVolume, SurfaceArea, SurfaceVolumeRatio, Sphericity, Compactness1, Compactness2, SphericalDisproportion, "
      "Maximum3DDiameter, Maximum2DDiameterSlice, Maximum2DDiameterColumn, Maximum2DDiameterRow, MajorAxisLength, MinorAxisLength, LeastAxisLength, Elongation, "
      "Flatness]\n  firstorder:\n  glcm:\n  gldm:\n  glrlm:\n  glszm:\n  ngtdm:\n";
  const auto mean = extract_features(phantom.image, phantom.mask, 1, profile_of("setting: {binWidth: 1}" + classes));
  const auto merged = extract_features(phantom.image, phantom.mask, 1, profile_of("setting: {binWidth: 1, weightingNorm: no_weighting}" + classes));
  ASSERT_TRUE(mean) << to_string(mean.error());
  ASSERT_TRUE(merged) << to_string(merged.error());
  Score score;
  const auto rows = test::read_csv(reference() / "golden/ibsi_digital_phantom_features.csv");
  for (std::size_t at = 1; at < rows.size(); ++at) {
    if (!rows[at][1].empty()) score.add("mean", *mean, "original_" + rows[at][0], std::stod(rows[at][1]));
    if (!rows[at][2].empty()) score.add("merged", *merged, "original_" + rows[at][0], std::stod(rows[at][2]));
  }
  std::cout << "IBSI digital phantom: " << score.equal << " of " << score.compared << "\n";
  EXPECT_EQ(score.equal, score.compared) << score.first_failures;
}

TEST(MarchingCubes, EveryCaseHasThePublishedAreaAndVolume) {
  CHOANA_NEEDS_SHARED("reference/pyradiomics/golden/marching_cube_cases.csv");
  const auto rows = test::read_csv(reference() / "golden/marching_cube_cases.csv");
  ASSERT_EQ(rows.size(), 257u);
  for (std::size_t at = 1; at < rows.size(); ++at) {
    const int cube_case = std::stoi(rows[at][0]);
    const MeshMeasures isotropic = measure_cube_case(cube_case, {1, 1, 1});
    const MeshMeasures anisotropic = measure_cube_case(cube_case, {1, 2, 3});
    EXPECT_NEAR(isotropic.area_mm2, std::stod(rows[at][2]), 1e-12) << cube_case;
    EXPECT_NEAR(isotropic.volume_mm3, std::stod(rows[at][3]), 1e-12) << cube_case;
    EXPECT_NEAR(anisotropic.area_mm2, std::stod(rows[at][4]), 1e-12) << cube_case;
    EXPECT_NEAR(anisotropic.volume_mm3, std::stod(rows[at][5]), 1e-12) << cube_case;
  }
}

}  // namespace
}  // namespace choana::processing
