// Acquisition facts, standard elements first, then the vendors' private ones.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "dicom/dataset_internal.h"

namespace choana::dicom {
namespace {

std::optional<double> first_of(std::optional<double> a, std::optional<double> b) { return a ? a : b; }

/// The b-value in a Siemens CSA header ("SV10", little endian): named fields with text items. Bounded by the bytes.
std::optional<double> b_value_of_csa_header(const std::string& header) {
  const auto number = [&](std::size_t at) -> std::uint32_t {
    if (at + 4 > header.size()) return 0;
    std::uint32_t value = 0;
    for (std::size_t n = 4; n-- > 0;) value = (value << 8) | static_cast<unsigned char>(header[at + n]);
    return value;
  };
  if (header.size() < 16 || header.compare(0, 4, "SV10") != 0) return std::nullopt;
  const std::uint32_t fields = number(8);
  std::size_t at = 16;
  for (std::uint32_t field = 0; field < fields && field < 1024; ++field) {
    if (at + 84 > header.size()) return std::nullopt;
    const std::string name(header.data() + at, strnlen(header.data() + at, 64));
    const std::uint32_t items = number(at + 76);
    at += 84;
    for (std::uint32_t item = 0; item < items && item < 4096; ++item) {
      if (at + 16 > header.size()) return std::nullopt;
      const std::uint32_t length = number(at + 4);
      at += 16;
      if (length > header.size() - at) return std::nullopt;
      if (name == "B_value" && item == 0 && length > 0) {
        const std::string text(header.data() + at, strnlen(header.data() + at, length));
        return parse_decimal(text);
      }
      at += (std::size_t{length} + 3) & ~std::size_t{3};
      if (at > header.size()) return std::nullopt;
    }
  }
  return std::nullopt;
}

/// A private number that may have lost its VR (UN): decimal text, or a little-endian float of 4 or 8 bytes.
std::optional<double> private_number(const Item& item, const DcmTagKey& tag, bool binary) {
  if (!binary) return item.number(tag);
  DcmElement* element = item.element(tag);
  if (element == nullptr) return std::nullopt;
  if (element->ident() != EVR_UN && element->ident() != EVR_OB) return item.number(tag);
  const std::string bytes = item.raw(tag);
  double value = 0;
  if (bytes.size() == 8) {
    std::memcpy(&value, bytes.data(), 8);
  } else if (bytes.size() == 4) {
    float single = 0;
    std::memcpy(&single, bytes.data(), 4);
    value = static_cast<double>(single);
  } else {
    return std::nullopt;
  }
  return std::isfinite(value) ? std::optional<double>(value) : std::nullopt;
}

bool mentions(const std::string& manufacturer, const char* name) {
  std::string upper = manufacturer;
  std::transform(upper.begin(), upper.end(), upper.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return upper.find(name) != std::string::npos;
}

std::optional<double> plausible_b_value(std::optional<double> b) {
  return b && *b >= 0 && *b <= 100'000 ? b : std::nullopt;
}

/// Where the vendors keep the b-value when (0018,9087) is absent.
std::optional<double> private_b_value(const Item& item, const std::string& manufacturer) {
  if (item.empty()) return std::nullopt;
  const auto read = [&](Uint16 group, const char* creator, Uint16 offset, bool binary) -> std::optional<double> {
    const auto tag = item.private_tag(group, creator, offset);
    return tag ? private_number(item, *tag, binary) : std::nullopt;
  };
  if (manufacturer.empty() || mentions(manufacturer, "SIEMENS")) {
    if (auto b = plausible_b_value(read(0x0019, "SIEMENS MR HEADER", 0x0C, false))) return b;
    if (const auto tag = item.private_tag(0x0029, "SIEMENS CSA HEADER", 0x10))
      if (auto b = plausible_b_value(b_value_of_csa_header(item.raw(*tag)))) return b;
  }
  if (manufacturer.empty() || mentions(manufacturer, "GE ") || mentions(manufacturer, "GENERAL ELECTRIC")) {
    // GE adds multiples of 1e9 to mark the kind of scan.
    if (auto b = read(0x0043, "GEMS_PARM_01", 0x39, false)) return plausible_b_value(std::fmod(*b, 1e9));
  }
  if (manufacturer.empty() || mentions(manufacturer, "PHILIPS"))
    if (auto b = plausible_b_value(read(0x2001, "Philips Imaging DD 001", 0x03, true))) return b;
  if (manufacturer.empty() || mentions(manufacturer, "UIH") || mentions(manufacturer, "UNITED IMAGING"))
    if (auto b = plausible_b_value(read(0x0065, "Image Private Header", 0x09, true))) return b;
  return std::nullopt;
}

std::optional<Vector3> unit_vector(const std::vector<double>& values) {
  if (values.size() < 3) return std::nullopt;
  const Vector3 v{values[0], values[1], values[2]};
  const double length = norm(v);
  if (!(length > 1e-6)) return std::nullopt;
  return (1.0 / length) * v;
}

std::optional<Vector3> private_diffusion_direction(const Item& item, const std::string& manufacturer) {
  if (item.empty()) return std::nullopt;
  if (mentions(manufacturer, "SIEMENS"))
    if (const auto tag = item.private_tag(0x0019, "SIEMENS MR HEADER", 0x0E)) {
      if (auto direction = unit_vector(item.numbers(*tag, 3))) return direction;
      const std::string bytes = item.raw(*tag);
      if (bytes.size() == 24) {
        std::array<double, 3> v{};
        std::memcpy(v.data(), bytes.data(), 24);
        if (std::isfinite(v[0]) && std::isfinite(v[1]) && std::isfinite(v[2])) return unit_vector({v[0], v[1], v[2]});
      }
    }
  if (mentions(manufacturer, "GE "))
    if (const auto x = item.private_tag(0x0019, "GEMS_ACQU_01", 0xBB)) {
      const auto at = [&](Uint16 n) { return item.number(DcmTagKey(0x0019, static_cast<Uint16>(x->getElement() + n))).value_or(0); };
      return unit_vector({at(0), at(1), at(2)});
    }
  if (mentions(manufacturer, "PHILIPS"))
    if (const auto x = item.private_tag(0x2005, "Philips MR Imaging DD 001", 0xB0)) {
      const auto at = [&](Uint16 n) { return private_number(item, DcmTagKey(0x2005, static_cast<Uint16>(x->getElement() + n)), true).value_or(0); };
      return unit_vector({at(0), at(1), at(2)});
    }
  return std::nullopt;
}

std::string agents_of(const Item& sequence_holder) {
  std::string agents;
  for (const Item& agent : sequence_holder.items(DCM_ContrastBolusAgentSequence)) {
    const std::string meaning = agent.text(DCM_CodeMeaning);
    if (meaning.empty()) continue;
    if (!agents.empty()) agents += ", ";
    agents += meaning;
    if (agents.size() > 512) break;
  }
  return agents;
}

/// Split a DT into date and time: YYYYMMDD and HHMMSS.FFFFFF without the zone.
void split_date_time(const std::string& date_time, std::string& date, std::string& time) {
  if (date_time.size() < 8) return;
  date = date_time.substr(0, 8);
  time = date_time.substr(8, date_time.find_first_of("+-", 8) - 8);
}

}  // namespace

bool is_lossy_transfer_syntax(const std::string& uid) {
  static const std::array<const char*, 11> lossy{
      UID_JPEGProcess1TransferSyntax, UID_JPEGProcess2_4TransferSyntax, UID_JPEGLSLossyTransferSyntax, UID_JPEG2000TransferSyntax,
      UID_JPEG2000Part2MulticomponentImageCompressionTransferSyntax, "1.2.840.10008.1.2.4.203", "1.2.840.10008.1.2.4.52",
      "1.2.840.10008.1.2.4.53", "1.2.840.10008.1.2.4.55", "1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.112"};
  return std::find(lossy.begin(), lossy.end(), uid) != lossy.end();
}

AcquisitionFacts read_acquisition(const Item& ds, const FrameGroups& groups, const std::string& transfer_syntax_uid) {
  AcquisitionFacts facts;
  facts.modality = ds.text(DCM_Modality);
  facts.series_description = ds.text(DCM_SeriesDescription);
  facts.protocol_name = ds.text(DCM_ProtocolName);
  facts.sequence_name = ds.text(DCM_SequenceName);
  if (facts.sequence_name.empty()) facts.sequence_name = ds.text(DCM_PulseSequenceName);
  facts.body_part = ds.text(DCM_BodyPartExamined);
  facts.manufacturer = ds.text(DCM_Manufacturer);
  facts.manufacturer_model_name = ds.text(DCM_ManufacturerModelName);
  facts.software_versions = ds.text(DCM_SoftwareVersions);
  facts.patient_position = ds.text(DCM_PatientPosition);

  const Item frame_type = groups.group(DCM_MRImageFrameTypeSequence);
  facts.image_type = frame_type.texts(DCM_FrameType);
  if (facts.image_type.empty()) facts.image_type = ds.texts(DCM_ImageType);
  facts.acquisition_contrast = frame_type.text(DCM_AcquisitionContrast);
  if (facts.acquisition_contrast.empty()) facts.acquisition_contrast = ds.text(DCM_AcquisitionContrast);
  facts.complex_component = frame_type.text(DCM_ComplexImageComponent);
  if (facts.complex_component.empty()) facts.complex_component = ds.text(DCM_ComplexImageComponent);

  facts.scanning_sequence = ds.texts(DCM_ScanningSequence);
  facts.sequence_variant = ds.texts(DCM_SequenceVariant);
  facts.scan_options = ds.texts(DCM_ScanOptions);

  facts.acquisition_date = ds.text(DCM_AcquisitionDate);
  facts.acquisition_time = ds.text(DCM_AcquisitionTime);
  facts.content_time = ds.text(DCM_ContentTime);
  const Item content = groups.group(DCM_FrameContentSequence);
  for (const std::string& date_time : {content.text(DCM_FrameAcquisitionDateTime), ds.text(DCM_AcquisitionDateTime)})
    if (facts.acquisition_time.empty()) split_date_time(date_time, facts.acquisition_date, facts.acquisition_time);
  if (facts.acquisition_date.empty()) facts.acquisition_date = ds.text(DCM_SeriesDate);
  if (facts.acquisition_time.empty()) facts.acquisition_time = ds.text(DCM_SeriesTime);

  facts.contrast_agent = ds.text(DCM_ContrastBolusAgent);
  if (facts.contrast_agent.empty()) facts.contrast_agent = agents_of(ds);

  const Item timing = groups.group(DCM_MRTimingAndRelatedParametersSequence);
  const Item echo = groups.group(DCM_MREchoSequence);
  const Item modifier = groups.group(DCM_MRModifierSequence);
  facts.repetition_time_ms = first_of(timing.number(DCM_RepetitionTime), ds.number(DCM_RepetitionTime));
  facts.echo_time_ms = first_of(echo.number(DCM_EffectiveEchoTime), ds.number(DCM_EchoTime));
  facts.inversion_time_ms = first_of(modifier.number(DCM_InversionTimes), ds.number(DCM_InversionTime));
  facts.flip_angle_deg = first_of(timing.number(DCM_FlipAngle), ds.number(DCM_FlipAngle));
  facts.field_strength_t = ds.number(DCM_MagneticFieldStrength);
  // Some writers state gauss: no scanner reaches 100 tesla, none of the field is below 0.01.
  if (facts.field_strength_t && *facts.field_strength_t > 100) *facts.field_strength_t /= 10'000;

  // An enhanced object says in its own words what the classic one writes as codes.
  if (facts.scanning_sequence.empty()) {
    const std::string pulse = ds.text(DCM_EchoPulseSequence);
    if (pulse == "SPIN" || pulse == "BOTH") facts.scanning_sequence.emplace_back("SE");
    if (pulse == "GRADIENT" || pulse == "BOTH") facts.scanning_sequence.emplace_back("GR");
    if (ds.text(DCM_EchoPlanarPulseSequence) == "YES") facts.scanning_sequence.emplace_back("EP");
    if (modifier.text(DCM_InversionRecovery) == "YES") facts.scanning_sequence.emplace_back("IR");
  }
  for (const std::string& suppression : {modifier.text(DCM_SpectrallySelectedSuppression), ds.text(DCM_SpectrallySelectedSuppression)})
    if (suppression.find("FAT") != std::string::npos && std::find(facts.scan_options.begin(), facts.scan_options.end(), "FS") == facts.scan_options.end())
      facts.scan_options.emplace_back("FS");

  const Item diffusion = groups.group(DCM_MRDiffusionSequence);
  facts.b_value_s_per_mm2 = plausible_b_value(first_of(diffusion.number(DCM_DiffusionBValue), ds.number(DCM_DiffusionBValue)));
  if (!facts.b_value_s_per_mm2) facts.b_value_s_per_mm2 = private_b_value(ds, facts.manufacturer);
  if (!facts.b_value_s_per_mm2) facts.b_value_s_per_mm2 = private_b_value(groups.frame, facts.manufacturer);
  facts.diffusion_direction = unit_vector(diffusion.first(DCM_DiffusionGradientDirectionSequence).numbers(DCM_DiffusionGradientOrientation, 3));
  if (!facts.diffusion_direction) facts.diffusion_direction = unit_vector(ds.numbers(DCM_DiffusionGradientOrientation, 3));
  if (!facts.diffusion_direction) facts.diffusion_direction = private_diffusion_direction(ds, facts.manufacturer);

  const Item measures = groups.group(DCM_PixelMeasuresSequence);
  facts.slice_thickness_mm = first_of(measures.number(DCM_SliceThickness), ds.number(DCM_SliceThickness));
  const auto whole = [](std::optional<int> a, std::optional<int> b) { return a ? a : b; };
  facts.temporal_position = whole(content.integer(DCM_TemporalPositionIndex), ds.integer(DCM_TemporalPositionIdentifier));
  facts.acquisition_number = whole(content.integer(DCM_FrameAcquisitionNumber), ds.integer(DCM_AcquisitionNumber));
  facts.echo_number = ds.integer(DCM_EchoNumbers);
  facts.stack_id = content.text(DCM_StackID);
  facts.trigger_time_ms = ds.number(DCM_TriggerTime);
  facts.lossy_compressed = ds.text(DCM_LossyImageCompression) == "01" || is_lossy_transfer_syntax(transfer_syntax_uid);
  return facts;
}

}  // namespace choana::dicom
