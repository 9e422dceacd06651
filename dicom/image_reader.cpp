#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "dicom/dataset_internal.h"
#include "dicom/dicom_reader.h"
#include "dicom/pixels_internal.h"

namespace choana::dicom {
namespace {

constexpr const char* step = "read_image";

bool is_single_frame_image(const std::string& uid) {
  return uid == UID_MRImageStorage || uid == UID_CTImageStorage || uid == UID_PositronEmissionTomographyImageStorage;
}
bool is_enhanced_image(const std::string& uid) {
  return uid == UID_EnhancedMRImageStorage || uid == UID_EnhancedCTImageStorage || uid == UID_EnhancedPETImageStorage ||
         uid == UID_LegacyConvertedEnhancedMRImageStorage || uid == UID_LegacyConvertedEnhancedCTImageStorage ||
         uid == UID_LegacyConvertedEnhancedPETImageStorage;
}

/// Position, orientation and spacing of a frame. Direction cosines are rounded in many files: they are normalised,
/// and the column direction is made perpendicular; more than half a degree off is no geometry.
void read_geometry(AcquiredSlice& slice, const std::vector<double>& position, const std::vector<double>& orientation,
                   const std::vector<double>& spacing) {
  if (position.size() < 3 || orientation.size() < 6 || spacing.size() < 2) return;
  if (!is_plausible_spacing(spacing[0]) || !is_plausible_spacing(spacing[1])) return;
  if (!is_plausible_position(position)) return;
  Vector3 row{orientation[0], orientation[1], orientation[2]};
  Vector3 column{orientation[3], orientation[4], orientation[5]};
  const double row_length = norm(row), column_length = norm(column);
  if (std::abs(row_length - 1) > 0.05 || std::abs(column_length - 1) > 0.05) return;
  row = (1 / row_length) * row;
  column = (1 / column_length) * column;
  const double skew = dot(row, column);
  if (std::abs(skew) > 0.01) return;
  column = column - skew * row;
  column = (1 / norm(column)) * column;
  slice.position_mm = {position[0], position[1], position[2]};
  slice.row_direction = row;
  slice.column_direction = column;
  slice.row_spacing_mm = spacing[0];     // PS3.3 10.7.1.3: distance between rows first
  slice.column_spacing_mm = spacing[1];
  slice.has_geometry = true;
}

/// Stored value to output value (PS3.3 C.11.1): linear, or by table.
struct ModalityTransform {
  double slope = 1;
  double intercept = 0;
  bool is_table = false;
  double table_first = 0;
  std::vector<float> table;

  [[nodiscard]] bool is_identity() const { return !is_table && slope == 1 && intercept == 0; }
  [[nodiscard]] double apply(double stored) const {
    if (!is_table) return slope * stored + intercept;
    const double index = std::clamp(stored - table_first, 0.0, static_cast<double>(table.size()) - 1);
    return static_cast<double>(table[static_cast<std::size_t>(index)]);
  }
};

ModalityTransform read_transform(const Item& ds, const FrameGroups& groups, const PixelLayout& layout) {
  ModalityTransform transform;
  const Item values = groups.group(DCM_PixelValueTransformationSequence);
  const Item& source = values.empty() ? ds : values;
  const auto slope = source.number(DCM_RescaleSlope);
  const auto intercept = source.number(DCM_RescaleIntercept);
  if (slope || intercept) {
    transform.slope = slope.value_or(1);
    transform.intercept = intercept.value_or(0);
    if (transform.slope == 0) transform.slope = 1;
    return transform;
  }
  const Item lut = ds.first(DCM_ModalityLUTSequence);
  const std::vector<double> descriptor = lut.numbers(DCM_LUTDescriptor, 3);
  if (descriptor.size() < 3) return transform;
  const std::size_t entries = descriptor[0] == 0 ? 65536 : static_cast<std::size_t>(static_cast<std::uint16_t>(static_cast<int>(std::clamp(descriptor[0], -65536.0, 65536.0))));
  DcmElement* data = lut.element(DCM_LUTData);
  Uint16* words = nullptr;
  if (data == nullptr || entries == 0 || data->getLength() < 2 * entries || data->getUint16Array(words).bad() || words == nullptr) return transform;
  transform.is_table = true;
  // The first mapped value has the sign of the pixels (PS3.3 C.11.1.1.1); its VR may be either.
  const int first = static_cast<int>(std::clamp(descriptor[1], -65536.0, 65536.0));
  transform.table_first = layout.is_signed ? static_cast<double>(static_cast<std::int16_t>(first)) : static_cast<double>(static_cast<std::uint16_t>(first));
  transform.table.assign(words, words + entries);
  return transform;
}

PixelType stored_type(const PixelLayout& layout) {
  if (layout.is_float) return layout.bits_allocated == 64 ? PixelType::float64 : PixelType::float32;
  if (layout.bits_allocated == 8) return layout.is_signed ? PixelType::int8 : PixelType::uint8;
  if (layout.bits_allocated == 16) return layout.is_signed ? PixelType::int16 : PixelType::uint16;
  return layout.is_signed ? PixelType::int32 : PixelType::uint32;
}

/// The type SimpleITK gives a rescaled image: the smallest integer type that holds every value the stored bits can
/// become when slope and intercept are whole numbers, else floating point. Source: GDCM Rescaler, ComputeBestFit.
PixelType output_type(const PixelLayout& layout, const ModalityTransform& transform) {
  if (layout.is_float) return transform.is_identity() ? stored_type(layout) : PixelType::float32;
  if (transform.is_table) return PixelType::uint16;
  if (transform.is_identity()) return stored_type(layout);
  if (transform.slope != std::floor(transform.slope) || transform.intercept != std::floor(transform.intercept)) return PixelType::float32;
  const double range = std::ldexp(1.0, layout.bits_stored);
  const double stored_low = layout.is_signed ? -range / 2 : 0;
  const double stored_high = layout.is_signed ? range / 2 - 1 : range - 1;
  const double a = transform.slope * stored_low + transform.intercept, b = transform.slope * stored_high + transform.intercept;
  const double low = std::min(a, b), high = std::max(a, b);
  const auto types = low >= 0 ? std::vector<PixelType>{PixelType::uint8, PixelType::uint16, PixelType::uint32}
                              : std::vector<PixelType>{PixelType::int8, PixelType::int16, PixelType::int32};
  for (const PixelType type : types)
    if (low >= value_range(type).first && high <= value_range(type).second) return type;
  return PixelType::float32;
}

/// What a reader of the ledger should know about the values.
std::vector<std::string> value_notes(const Item& ds, const FrameGroups& groups) {
  std::vector<std::string> notes;
  if (ds.has(DCM_PixelPaddingValue)) notes.emplace_back("The object declares a pixel padding value; padded pixels were kept as they are.");
  for (const Item* item : {&groups.frame, &ds}) {
    if (item->empty()) continue;
    const auto slope = item->private_tag(0x2005, "Philips MR Imaging DD 001", 0x0E);
    const auto intercept = item->private_tag(0x2005, "Philips MR Imaging DD 001", 0x0D);
    if (!slope || !item->has(*slope)) continue;
    const auto slope_value = item->number(*slope), intercept_value = intercept ? item->number(*intercept) : std::nullopt;
    if (!slope_value) continue;
    notes.push_back("Philips private scale slope " + std::to_string(*slope_value) + " and intercept " + std::to_string(intercept_value.value_or(0)) +
                    " are present and were not applied; values are those of the standard rescale.");
    break;
  }
  return notes;
}

void append_unique(std::vector<std::string>& list, const std::string& text) {
  if (std::find(list.begin(), list.end(), text) == list.end()) list.push_back(text);
}

}  // namespace

Result<std::vector<AcquiredSlice>> read_slices(const std::filesystem::path& file, bool decode_pixels) {
  const std::string context = name_of(file);
  auto loaded = load_file(file, step, decode_pixels);
  if (!loaded) return fail(loaded.error());
  const Item ds = loaded->item();

  AcquiredSlice common;
  common.file = file.string();
  common.sop_class_uid = ds.uid(DCM_SOPClassUID);
  common.sop_instance_uid = ds.uid(DCM_SOPInstanceUID);
  common.study_instance_uid = ds.uid(DCM_StudyInstanceUID);
  common.series_instance_uid = ds.uid(DCM_SeriesInstanceUID);
  common.frame_of_reference_uid = ds.uid(DCM_FrameOfReferenceUID);
  common.series_number = ds.integer(DCM_SeriesNumber).value_or(0);
  common.instance_number = ds.integer(DCM_InstanceNumber).value_or(0);
  if (common.sop_class_uid.empty() || common.sop_instance_uid.empty())
    return fail(ErrorCode::missing_attribute, step, "The object has no SOP class or instance UID.", context);
  const bool enhanced = is_enhanced_image(common.sop_class_uid);
  if (!enhanced && !is_single_frame_image(common.sop_class_uid))
    return fail(ErrorCode::unsupported_sop_class, step, "The object is not an MR, CT or PET image that can be measured.", context);

  auto layout = read_layout(ds, step, context);
  if (!layout) return fail(layout.error());
  if (layout->bits_allocated == 1) return fail(ErrorCode::invalid_attribute, step, "An image of single bits cannot be measured.", context);
  common.columns = layout->columns;
  common.rows = layout->rows;
  if (!enhanced && layout->frames > 1)
    return fail(ErrorCode::invalid_attribute, step, "A single-frame image declares several frames.", context);
  if (decode_pixels && !loaded->preflight.has_pixel_data)
    return fail(ErrorCode::missing_pixel_data, step, "The object holds no pixel data.", context);

  const Item shared = ds.first(DCM_SharedFunctionalGroupsSequence);
  const std::vector<Item> per_frame = ds.items(DCM_PerFrameFunctionalGroupsSequence);
  if (enhanced && static_cast<int>(per_frame.size()) < layout->frames)
    return fail(ErrorCode::missing_attribute, step,
                "The object has " + std::to_string(layout->frames) + " frames but describes only " + std::to_string(per_frame.size()) + ".", context);

  std::vector<AcquiredSlice> slices;
  std::vector<ModalityTransform> transforms;
  for (int frame = 0; frame < layout->frames; ++frame) {
    AcquiredSlice slice = common;
    FrameGroups groups;
    if (enhanced) {
      groups = {per_frame[static_cast<std::size_t>(frame)], shared};
      slice.frame_number = frame + 1;
      const Item measures = groups.group(DCM_PixelMeasuresSequence);
      read_geometry(slice, groups.group(DCM_PlanePositionSequence).numbers(DCM_ImagePositionPatient, 3),
                    groups.group(DCM_PlaneOrientationSequence).numbers(DCM_ImageOrientationPatient, 6), measures.numbers(DCM_PixelSpacing, 2));
    } else {
      read_geometry(slice, ds.numbers(DCM_ImagePositionPatient, 3), ds.numbers(DCM_ImageOrientationPatient, 6), ds.numbers(DCM_PixelSpacing, 2));
    }
    slice.acquisition = read_acquisition(ds, groups, loaded->transfer_syntax_uid);
    const ModalityTransform transform = read_transform(ds, groups, *layout);
    slice.pixel_type = output_type(*layout, transform);
    slice.notes = value_notes(ds, groups);
    transforms.push_back(transform);
    slices.push_back(std::move(slice));
  }
  if (!decode_pixels) return slices;

  const Status decoded = decode_frames(*loaded, *layout, layout->frames, step, context, [&](int frame, const std::vector<std::uint8_t>& bytes) -> Status {
    AcquiredSlice& slice = slices[static_cast<std::size_t>(frame)];
    const ModalityTransform& transform = transforms[static_cast<std::size_t>(frame)];
    bool bits_masked = false;
    const std::vector<double> stored = stored_values(bytes, *layout, bits_masked);
    auto values = std::make_shared<std::vector<float>>(stored.size());
    for (std::size_t i = 0; i < stored.size(); ++i) {
      const double value = transform.apply(stored[i]);
      if (!(std::abs(value) <= static_cast<double>(std::numeric_limits<float>::max()))) return fail(ErrorCode::invalid_attribute, step, "The image holds values that are not numbers.", context);
      (*values)[i] = static_cast<float>(value);
    }
    slice.pixels = std::move(values);
    if (bits_masked) append_unique(slice.notes, "Bits above the stored ones were set (an overlay in the pixels?) and were masked away.");
    return {};
  });
  if (!decoded) return fail(decoded.error());
  return slices;
}

}  // namespace choana::dicom
