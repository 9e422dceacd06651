#include "core/version.h"
#include "reporting/dcmtk_error_internal.h"
#include "reporting/result_header_internal.h"
#include "reporting/secondary_capture_internal.h"

namespace choana::reporting {
namespace {

constexpr const char* step = "write_report";

Status put(DcmItem& item, const DcmTagKey& tag, const std::string& value) {
  return checked(item.putAndInsertOFStringArray(tag, OFString(value.c_str(), value.size())), step, DcmTag(tag).getTagName());
}

}  // namespace

Result<std::unique_ptr<DcmDataset>> build_secondary_capture(const ChartPage& page, const RunIdentity& run, bool research, const std::string& body_part_term) {
  if (page.width < 1 || page.height < 1 || page.width > 65535 || page.height > 65535 ||
      page.rgb.size() != std::size_t{3} * static_cast<std::size_t>(page.width) * static_cast<std::size_t>(page.height))
    return fail(ErrorCode::invalid_argument, step, "A chart page has not as many pixels as its size says.");
  auto dataset = std::make_unique<DcmDataset>();
  std::string description = page.title;
  if (!page.description.empty()) description += (description.empty() ? "" : ". ") + page.description;
  const std::pair<DcmTagKey, std::string> values[] = {
      {DCM_ImageType, "DERIVED\\SECONDARY"},
      {DCM_ConversionType, "SYN"},
      // One of the two must be there (PS3.3 C.7.3.1): a part that is not paired, or an unknown side.
      {body_part_term.empty() ? DCM_Laterality : DCM_BodyPartExamined, body_part_term},
      {DCM_PatientOrientation, ""},
      {DCM_DateOfSecondaryCapture, run.run_date},
      {DCM_TimeOfSecondaryCapture, run.run_time},
      {DCM_BurnedInAnnotation, "NO"},
      {DCM_RecognizableVisualFeatures, "NO"},
      {DCM_DerivationDescription, cut_text(description, 1024)},
      {DCM_LossyImageCompression, "00"},
      {DCM_PhotometricInterpretation, "RGB"},
  };
  for (const auto& [tag, value] : values)
    if (const auto done = put(*dataset, tag, value); !done) return fail(done.error());
  if (research)
    if (const auto done = put(*dataset, DCM_ImageComments, "RESEARCH USE ONLY"); !done) return fail(done.error());
  const std::pair<DcmTagKey, Uint16> numbers[] = {{DCM_SamplesPerPixel, 3},
                                                  {DCM_PlanarConfiguration, 0},
                                                  {DCM_Rows, static_cast<Uint16>(page.height)},
                                                  {DCM_Columns, static_cast<Uint16>(page.width)},
                                                  {DCM_BitsAllocated, 8},
                                                  {DCM_BitsStored, 8},
                                                  {DCM_HighBit, 7},
                                                  {DCM_PixelRepresentation, 0}};
  for (const auto& [tag, value] : numbers)
    if (const auto done = checked(dataset->putAndInsertUint16(tag, value), step, "image attribute"); !done) return fail(done.error());
  // DCMTK pads to even length itself.
  if (const auto done = checked(dataset->putAndInsertUint8Array(DCM_PixelData, page.rgb.data(), static_cast<unsigned long>(page.rgb.size())), step, "pixel data"); !done)
    return fail(done.error());

  if (!page.slice.sop_instance_uid.empty() && !page.slice.sop_class_uid.empty()) {
    DcmItem* source = nullptr;
    if (const auto done = checked(dataset->findOrCreateSequenceItem(DCM_SourceImageSequence, source, 0), step, "source image"); !done) return fail(done.error());
    const std::pair<DcmTagKey, std::string> parts[] = {{DCM_ReferencedSOPClassUID, page.slice.sop_class_uid},
                                                       {DCM_ReferencedSOPInstanceUID, page.slice.sop_instance_uid},
                                                       {DCM_SpatialLocationsPreserved, "NO"}};
    for (const auto& [tag, value] : parts)
      if (const auto done = put(*source, tag, value); !done) return fail(done.error());
    if (page.slice.frame_number > 0)
      if (const auto done = put(*source, DCM_ReferencedFrameNumber, std::to_string(page.slice.frame_number)); !done) return fail(done.error());
    DcmItem* purpose = nullptr;
    if (const auto done = checked(source->findOrCreateSequenceItem(DCM_PurposeOfReferenceCodeSequence, purpose, 0), step, "purpose"); !done) return fail(done.error());
    const std::pair<DcmTagKey, std::string> code[] = {
        {DCM_CodeValue, "121322"}, {DCM_CodingSchemeDesignator, "DCM"}, {DCM_CodeMeaning, "Source image for image processing operation"}};
    for (const auto& [tag, value] : code)
      if (const auto done = put(*purpose, tag, value); !done) return fail(done.error());
    if (!page.source_series_uid.empty()) {
      DcmItem* series = nullptr;
      DcmItem* instance = nullptr;
      if (const auto done = checked(dataset->findOrCreateSequenceItem(DCM_ReferencedSeriesSequence, series, 0), step, "referenced series"); !done) return fail(done.error());
      if (const auto done = put(*series, DCM_SeriesInstanceUID, page.source_series_uid); !done) return fail(done.error());
      if (const auto done = checked(series->findOrCreateSequenceItem(DCM_ReferencedInstanceSequence, instance, 0), step, "referenced instance"); !done) return fail(done.error());
      if (const auto done = put(*instance, DCM_ReferencedSOPClassUID, page.slice.sop_class_uid); !done) return fail(done.error());
      if (const auto done = put(*instance, DCM_ReferencedSOPInstanceUID, page.slice.sop_instance_uid); !done) return fail(done.error());
    }
  }
  return dataset;
}

}  // namespace choana::reporting
