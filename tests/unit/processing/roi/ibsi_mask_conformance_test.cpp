#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "dicom/dicom_reader.h"
#include "processing/roi/roi_builder.h"
#include "processing/volume/volume_builder.h"
#include "tests/support/nifti_mask.h"
#include "tests/support/series_on_disk.h"
#include "tests/support/shared_data.h"

namespace choana {
namespace {

namespace fs = std::filesystem;

Result<RegionOfInterest> region(const fs::path& image, const fs::path& structure_set, const std::string& name, processing::VolumeSet* volumes = nullptr) {
  auto built = processing::build_volumes(test::read_series(image));
  if (!built) return fail(built.error());
  if (built->volumes.size() != 1) return fail(ErrorCode::internal, "test", "expected one volume" + (built->rejected.empty() ? "" : ": " + built->rejected.front()));
  auto set = dicom::read_structure_set(structure_set);
  if (!set) return fail(set.error());
  const auto roi = std::find_if(set->rois.begin(), set->rois.end(), [&](const StructureSetRoi& r) { return name.empty() || r.name == name; });
  if (roi == set->rois.end()) return fail(ErrorCode::roi_missing, "test", name);
  RoiOrigin origin;
  origin.sop_instance_uid = set->sop_instance_uid;
  auto rasterised = processing::rasterise_roi(*roi, origin, built->volumes.front().volume.geometry());
  if (volumes != nullptr) *volumes = std::move(*built);
  return rasterised;
}

// Source: IBSI validation set (theibsi/data_sets, ibsi_validation/nifti), masks made with MIRP from the same contours.
class IbsiValidationMask : public ::testing::TestWithParam<std::pair<const char*, std::size_t>> {};

TEST_P(IbsiValidationMask, IsReproducedVoxelForVoxel) {
  CHOANA_NEEDS_SHARED("data/mr-t1-ibsi-sts-rtstruct");
  const fs::path folder = test::shared_dir() / "data/mr-t1-ibsi-sts-rtstruct" / GetParam().first;
  fs::path structure_set, published;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().filename() == "RS.dcm") structure_set = entry.path();
    if (entry.path().filename() == "MR_T1_mask.nii.gz") published = entry.path();
  }
  const auto ours = region(folder / "image", structure_set, "");
  ASSERT_TRUE(ours) << to_string(ours.error());
  const auto mask = test::read_nifti_mask(published);
  ASSERT_TRUE(mask);
  EXPECT_EQ(ours->voxels(), GetParam().second);
  // Compared where the voxels lie in the patient, so that neither axis order nor flips matter.
  std::size_t both = 0, theirs = 0;
  for (int k = 0; k < mask->size[2]; ++k)
    for (int j = 0; j < mask->size[1]; ++j)
      for (int i = 0; i < mask->size[0]; ++i) {
        const std::size_t at = (static_cast<std::size_t>(k) * static_cast<std::size_t>(mask->size[1]) + static_cast<std::size_t>(j)) *
                                   static_cast<std::size_t>(mask->size[0]) + static_cast<std::size_t>(i);
        if (mask->values[at] == 0) continue;
        ++theirs;
        const auto& m = mask->index_to_lps;
        const Vector3 point{m[0] * i + m[1] * j + m[2] * k + m[3], m[4] * i + m[5] * j + m[6] * k + m[7], m[8] * i + m[9] * j + m[10] * k + m[11]};
        const Vector3 index = ours->geometry().patient_to_index(point);
        const Index3 voxel{static_cast<int>(std::lround(index[0])), static_cast<int>(std::lround(index[1])), static_cast<int>(std::lround(index[2]))};
        bool inside = true;
        for (std::size_t axis = 0; axis < 3; ++axis) inside = inside && voxel[axis] >= 0 && voxel[axis] < ours->geometry().size()[axis];
        if (inside && ours->mask()[ours->geometry().offset(voxel[0], voxel[1], voxel[2])] != 0) ++both;
      }
  EXPECT_EQ(theirs, GetParam().second);
  EXPECT_DOUBLE_EQ(2.0 * static_cast<double>(both) / static_cast<double>(theirs + ours->voxels()), 1.0) << "Dice";
  EXPECT_EQ(ours->origin().contours_dropped, 0);
  EXPECT_EQ(ours->origin().fraction_outside_image, 0);
}

INSTANTIATE_TEST_SUITE_P(Patients, IbsiValidationMask,
                         ::testing::Values(std::pair<const char*, std::size_t>{"STS_002", 17090}, std::pair<const char*, std::size_t>{"STS_003", 25693},
                                           std::pair<const char*, std::size_t>{"STS_035", 11450}));

// Source: shared/data/mr-t2fs-sts001-siemens-rtstruct/README.md, even-odd fill by an independent script.
TEST(ObliqueStructureSet, HasThePublishedVolumes) {
  CHOANA_NEEDS_SHARED("data/mr-t2fs-sts001-siemens-rtstruct");
  const fs::path folder = test::shared_dir() / "data/mr-t2fs-sts001-siemens-rtstruct";
  const fs::path structure_set = folder / "rtstruct/RTstruct_T2FS.dcm";
  processing::VolumeSet volumes;
  const auto mass = region(folder / "image", structure_set, "GTV_Mass", &volumes);
  ASSERT_TRUE(mass) << to_string(mass.error());
  EXPECT_NEAR(mass->volume_ml(), 364.90, 0.5);
  EXPECT_EQ(mass->origin().contours_used, 20);
  EXPECT_EQ(mass->origin().contours_dropped, 0);
  EXPECT_NEAR(mass->origin().contour_volume_ml, mass->volume_ml(), 0.01 * mass->volume_ml());
  const auto edema = region(folder / "image", structure_set, "GTV_Edema");
  ASSERT_TRUE(edema) << to_string(edema.error());
  EXPECT_NEAR(edema->volume_ml(), 579.22, 0.5);
  EXPECT_EQ(edema->origin().contours_used, 32);
  const VolumeGeometry& geometry = volumes.volumes.front().volume.geometry();
  const auto set = dicom::read_structure_set(structure_set);
  ASSERT_TRUE(set);
  for (const StructureSetRoi& roi : set->rois)
    EXPECT_TRUE(processing::compare_references(roi, volumes.volumes.front().volume.reference(), geometry).empty()) << "all 52 references match";
  EXPECT_EQ(geometry.size(), (Index3{384, 384, 40}));
  EXPECT_NEAR(geometry.spacing_mm()[2], 5.2, 1e-3) << "slice distance, not slice thickness (4 mm)";
}

}  // namespace
}  // namespace choana
