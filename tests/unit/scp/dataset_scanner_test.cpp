#include "scp/dataset_scanner.h"

#include <gtest/gtest.h>

#include <bit>
#include <fstream>
#include <iostream>
#include <iterator>

#include "scp/sop_classes.h"
#include "scp/upper_layer/presentation_context.h"
#include "core/clinical_value.h"
#include "tests/support/data_set_bytes.h"
#include "tests/support/shared_data.h"

namespace choana::scp {
namespace {

using test::DataSetBytes;
using test::Encoding;
using test::mr_head;

struct Scan {
  Status status;
  ReceivedInstance instance;
};

Scan scan(std::string_view syntax, ByteView bytes, ScannerLimits limits = {}, std::size_t piece = 1 << 16) {
  DatasetScanner scanner(syntax, limits);
  Scan result;
  while (result.status && !bytes.empty()) {
    const auto part = bytes.first(std::min(piece, bytes.size()));
    bytes = bytes.subspan(part.size());
    result.status = scanner.feed(part);
  }
  if (result.status) result.status = scanner.finish();
  scanner.describe(result.instance);
  return result;
}

std::string_view syntax_of(Encoding encoding) {
  return encoding == Encoding::explicit_little ? explicit_little_endian : encoding == Encoding::explicit_big ? explicit_big_endian : implicit_little_endian;
}
constexpr std::array encodings{Encoding::explicit_little, Encoding::implicit_little, Encoding::explicit_big};

std::string binary64(double value, Encoding encoding) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  std::string text;
  for (int i = 0; i < 8; ++i) text += static_cast<char>(bits >> (8 * (encoding == Encoding::explicit_big ? 7 - i : i)));
  return text;
}

TEST(DatasetScanner, ReadsTheFactsOfAnImageInEveryEncoding) {
  for (const Encoding encoding : encodings) {
    DataSetBytes set(encoding);
    set.text(0x00080005, "CS", "ISO_IR 100").text(0x00080008, "CS", "DERIVED\\PRIMARY\\ADC");
    set.text(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.4").text(0x00080018, "UI", "1.2.3.4");
    set.text(0x00080022, "DA", "20260102").text(0x00080032, "TM", "101112.5").text(0x00080060, "CS", "MR");
    set.text(0x00080070, "LO", "SIEMENS").text(0x0008103E, "LO", "t1 ax caf\xE9").text(0x00081090, "LO", "Prisma");
    set.text(0x00100020, "LO", "TEST-7 ");
    set.text(0x00180010, "LO", "Gadovist").text(0x00180015, "CS", "NECK").text(0x00180020, "CS", "SE\\IR").text(0x00180021, "CS", "SK");
    set.text(0x00180022, "CS", "FS\\PFP").text(0x00180024, "SH", "*tse2d1_9").text(0x00180050, "DS", "3.5").text(0x00180080, "DS", "+5.2e2");
    set.text(0x00180081, "DS", " 12 ").text(0x00180082, "DS", "220").text(0x00180086, "IS", "1").text(0x00180087, "DS", "2.89362");
    set.text(0x00181020, "LO", "VE11").text(0x00181030, "LO", "T1 neck").text(0x00181314, "DS", "150").text(0x00185100, "CS", "HFS");
    set.head(0x00189087, "FD", 8).raw(binary64(800, encoding));
    set.text(0x0020000D, "UI", "1.2.3").text(0x0020000E, "UI", "1.2.3.1").text(0x00200011, "IS", "5").text(0x00200012, "IS", "2");
    set.text(0x00200013, "IS", "17").text(0x00200100, "IS", "3").text(0x00282110, "CS", "01");
    const Scan result = scan(syntax_of(encoding), set.bytes());
    ASSERT_TRUE(result.status) << to_string(result.status.error());
    const ReceivedInstance& i = result.instance;
    EXPECT_EQ(i.sop_instance_uid, "1.2.3.4");
    EXPECT_EQ(i.study_instance_uid, "1.2.3");
    EXPECT_EQ(i.series_instance_uid, "1.2.3.1");
    EXPECT_EQ(i.series_number, 5);
    EXPECT_EQ(i.patient_key, patient_key("TEST-7"));
    EXPECT_EQ(i.instance_number, 17);
    const AcquisitionFacts& f = i.acquisition;
    EXPECT_EQ(f.image_type, (std::vector<std::string>{"DERIVED", "PRIMARY", "ADC"}));
    EXPECT_EQ(f.series_description, "t1 ax caf\xC3\xA9");
    EXPECT_EQ(f.scanning_sequence, (std::vector<std::string>{"SE", "IR"}));
    EXPECT_EQ(f.scan_options, (std::vector<std::string>{"FS", "PFP"}));
    EXPECT_EQ(f.contrast_agent, "Gadovist");
    EXPECT_EQ(f.repetition_time_ms, 520);
    EXPECT_EQ(f.echo_time_ms, 12);
    EXPECT_EQ(f.inversion_time_ms, 220);
    EXPECT_EQ(f.flip_angle_deg, 150);
    EXPECT_EQ(f.field_strength_t, 2.89362);
    EXPECT_EQ(f.slice_thickness_mm, 3.5);
    EXPECT_EQ(f.b_value_s_per_mm2, 800);
    EXPECT_EQ(f.temporal_position, 3);
    EXPECT_EQ(f.acquisition_number, 2);
    EXPECT_EQ(f.patient_position, "HFS");
    EXPECT_TRUE(f.lossy_compressed);
  }
}

TEST(DatasetScanner, ReadsTheBValuesOfTheVendors) {
  const auto b = [](DataSetBytes set, Encoding encoding = Encoding::explicit_little) {
    return scan(syntax_of(encoding), set.bytes()).instance.acquisition.b_value_s_per_mm2;
  };
  EXPECT_EQ(b(mr_head().text(0x00190010, "LO", "SIEMENS MR HEADER").text(0x0019100C, "IS", "1000")), 1000);
  EXPECT_EQ(b(mr_head().text(0x00190011, "LO", "SIEMENS MR HEADER").text(0x0019110C, "IS", "50")), 50) << "another block";
  EXPECT_EQ(b(mr_head().text(0x00430010, "LO", "GEMS_PARM_01").text(0x00431039, "IS", "1000000800\\8\\0\\0")), 800);
  EXPECT_EQ(b(mr_head().text(0x00430010, "LO", "GEMS_PARM_01").text(0x00431039, "IS", "0\\8\\0\\0")), 0) << "zero is a value";
  DataSetBytes philips = mr_head();
  philips.text(0x20010010, "LO", "Philips Imaging DD 001").head(0x20011003, "FL", 4).u32(std::bit_cast<std::uint32_t>(600.0F));
  EXPECT_EQ(b(philips), 600);
  DataSetBytes implicit = mr_head({}, Encoding::implicit_little);
  implicit.text(0x00190010, "LO", "SIEMENS MR HEADER").text(0x0019100C, "IS", "400");
  EXPECT_EQ(b(implicit, Encoding::implicit_little), 400);
  EXPECT_FALSE(b(mr_head().text(0x00190010, "LO", "ANOTHER VENDOR").text(0x0019100C, "IS", "1000"))) << "the creator decides";
  EXPECT_FALSE(b(mr_head().text(0x0019100C, "IS", "1000"))) << "without a creator it means nothing";
}

TEST(DatasetScanner, TakesOddNumbersForAbsent) {
  const Scan result = scan(explicit_little_endian, mr_head().text(0x00180080, "DS", "fast").text(0x00180081, "DS", "").text(0x00180082, "DS", "nan").text(0x00200011, "IS", "99999999999").bytes());
  ASSERT_TRUE(result.status);
  EXPECT_FALSE(result.instance.acquisition.repetition_time_ms);
  EXPECT_FALSE(result.instance.acquisition.echo_time_ms);
  EXPECT_FALSE(result.instance.acquisition.inversion_time_ms);
  EXPECT_EQ(result.instance.series_number, 0);
}

// The way of an RTSTRUCT to its contour images, and of a SEG to its sources (PS3.3 C.8.8.5, C.8.20.2).
DataSetBytes structure_set(Encoding encoding, int references, bool defined_lengths) {
  DataSetBytes inner(encoding);
  for (int i = 0; i < references; ++i) {
    DataSetBytes item(encoding);
    item.text(0x00081150, "UI", "1.2.840.10008.5.1.4.1.1.4").text(0x00081155, "UI", "1.2.9." + std::to_string(i));
    inner.item(static_cast<std::uint32_t>(item.size())).raw(item.bytes());
  }
  const auto wrap = [&](std::uint32_t tag, const DataSetBytes& items) {
    DataSetBytes out(encoding);
    if (defined_lengths) return out.head(tag, "SQ", static_cast<std::uint32_t>(items.size())).raw(items.bytes());
    return out.head(tag, "SQ", 0xFFFFFFFF).raw(items.bytes()).end_sequence();
  };
  const auto in_item = [&](const DataSetBytes& content) {
    DataSetBytes out(encoding);
    if (defined_lengths) return out.item(static_cast<std::uint32_t>(content.size())).raw(content.bytes());
    return out.item().raw(content.bytes()).end_item();
  };
  const auto images = wrap(0x30060016, inner);
  const auto series = wrap(0x30060014, in_item(images));
  DataSetBytes study(encoding);  // names the study, not an instance
  study.text(0x00081150, "UI", "1.2.840.10008.3.1.2.3.1").text(0x00081155, "UI", "1.2.8.8").raw(series.bytes());
  const auto frame = wrap(0x30060010, in_item(wrap(0x30060012, in_item(study))));
  auto set = mr_head({std::string(rt_structure_set_class), "1.2.3.4", "1.2.3", "1.2.3.1"}, encoding);
  return set.raw(frame.bytes());
}

ScannerLimits collecting(std::size_t most = 20000) {
  ScannerLimits limits;
  limits.collect_references = true;
  limits.references_max = most;
  return limits;
}

TEST(DatasetScanner, CollectsTheImagesARegionWasDrawnOnInEveryEncoding) {
  for (const Encoding encoding : encodings) {
    for (const bool defined : {false, true}) {
      const Scan result = scan(syntax_of(encoding), structure_set(encoding, 3, defined).bytes(), collecting());
      ASSERT_TRUE(result.status) << to_string(result.status.error());
      EXPECT_EQ(result.instance.referenced_sop_instance_uids, (std::vector<std::string>{"1.2.9.0", "1.2.9.1", "1.2.9.2"}));
      EXPECT_TRUE(result.instance.references_complete);
    }
  }
}

TEST(DatasetScanner, SaysWhenItStoppedCollecting) {
  const auto bytes = structure_set(Encoding::explicit_little, 50, false).bytes();
  const Scan bounded = scan(explicit_little_endian, bytes, collecting(20));
  ASSERT_TRUE(bounded.status);
  EXPECT_EQ(bounded.instance.referenced_sop_instance_uids.size(), 20U);
  EXPECT_FALSE(bounded.instance.references_complete);
  EXPECT_TRUE(scan(explicit_little_endian, bytes, collecting(50)).instance.references_complete);
}

TEST(DatasetScanner, LeavesReferencesToOtherStudiesOut) {
  auto set = mr_head({std::string(segmentation_class), "1.2.3.4", "1.2.3", "1.2.3.1"});
  const auto reference = [](const char* uid) { return DataSetBytes().item().text(0x00081155, "UI", uid).end_item().end_sequence().bytes(); };
  set.head(0x00081115, "SQ", 0xFFFFFFFF).item().head(0x0008114A, "SQ", 0xFFFFFFFF).raw(reference("1.5.1")).end_item().end_sequence();
  set.head(0x00081200, "SQ", 0xFFFFFFFF).item().head(0x00081115, "SQ", 0xFFFFFFFF).item().head(0x0008114A, "SQ", 0xFFFFFFFF).raw(reference("1.5.2"));
  set.end_item().end_sequence().end_item().end_sequence();
  set.head(0x00081140, "SQ", 0xFFFFFFFF).raw(reference("1.5.3"));  // a localiser
  const Scan result = scan(explicit_little_endian, set.bytes(), collecting());
  ASSERT_TRUE(result.status) << to_string(result.status.error());
  EXPECT_EQ(result.instance.referenced_sop_instance_uids, std::vector<std::string>{"1.5.1"});
}

TEST(DatasetScanner, JudgesAlikeInPiecesOfAnySize) {
  const auto bytes = structure_set(Encoding::explicit_little, 5, false).bytes();
  for (const std::size_t piece : {1U, 2U, 3U, 7U, 8U, 13U, 64U}) {
    const Scan result = scan(explicit_little_endian, bytes, collecting(), piece);
    ASSERT_TRUE(result.status) << piece;
    EXPECT_EQ(result.instance.referenced_sop_instance_uids.size(), 5U);
  }
}

TEST(DatasetScanner, RefusesEveryCutOfADataSet) {
  const auto bytes = structure_set(Encoding::explicit_little, 2, false).raw(DataSetBytes().head(0x7FE00010, "OW", 4).raw("abcd").bytes()).bytes();
  std::size_t walked = 0;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    // Between two elements of the top level a cut cannot be seen; only there may it pass.
    if (scan(explicit_little_endian, ByteView(bytes).first(size), collecting()).status) ++walked;
  }
  EXPECT_EQ(walked, 10U);  // the nine elements of the head and the sequence
}

TEST(DatasetScanner, NeedsNoMemoryForDeclaredLengths) {
  // 213 octets made DCMTK ask for 4.28 GB (spec/durability.md 1c).
  const Scan result = scan(explicit_little_endian, mr_head().head(0x7FE00010, "OW", 0xFFFFFFF0).raw("abcd").bytes());
  ASSERT_FALSE(result.status);
  EXPECT_EQ(result.status.error().code, ErrorCode::truncated);
}

// ---- real files ----

struct File {
  std::string syntax;
  std::string sop_instance;
  Bytes data_set;
};

// The meta header by hand; nothing for what is not Part 10.
std::optional<File> read_part10(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  const Bytes bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  if (bytes.size() < 144 || as_text(ByteView(bytes).subspan(128, 4)) != "DICM") return std::nullopt;
  File file;
  std::size_t at = 132;
  const auto u16 = [&](std::size_t i) { return static_cast<std::size_t>(bytes[i] | (bytes[i + 1] << 8)); };
  while (at + 12 <= bytes.size() && u16(at) == 2) {
    const std::string_view vr = as_text(ByteView(bytes).subspan(at + 4, 2));
    const bool is_long = vr == "OB" || vr == "UN";
    const std::size_t head = is_long ? 12 : 8;
    const std::size_t length = is_long ? u16(at + 8) | (u16(at + 10) << 16) : u16(at + 6);
    if (length > bytes.size() - at - head) return std::nullopt;
    std::string value(as_text(ByteView(bytes).subspan(at + head, length)));
    while (!value.empty() && (value.back() == '\0' || value.back() == ' ')) value.pop_back();
    if (u16(at + 2) == 0x10) file.syntax = value;
    if (u16(at + 2) == 0x03) file.sop_instance = value;
    at += head + length;
  }
  file.data_set.assign(bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.end());
  return file;
}

// The meta header of each file is the independent witness for the SOP Instance UID. A few published files disagree with
// themselves; they are named here.
TEST(DatasetScanner, WalksEveryRealObject) {
  CHOANA_NEEDS_SHARED("data");
  std::size_t files = 0;
  std::size_t same = 0;
  for (const char* folder : {"compressed-nema-wg04", "ibsi1-digital-phantom", "mr-adc-qinprostate-ge", "mr-dce-ucsfbr06-ge-seg-fractional", "mr-dwi-ge-signa", "mr-enhanced-siemens-xa30",
                             "mr-t1-ibsi-sts-rtstruct", "mr-t2fs-sts001-siemens-rtstruct", "rtstruct-oddities", "seg-dcmqi", "seg-pydicom", "seg-sr-highdicom", "sr-tid1500-qin-headneck"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(test::shared_dir() / "data" / folder)) {
      const auto file = entry.is_regular_file() ? read_part10(entry.path()) : std::nullopt;
      if (!file) continue;
      const Scan result = scan(file->syntax, file->data_set, collecting());
      EXPECT_TRUE(result.status) << entry.path() << ": " << (result.status ? "" : to_string(result.status.error()));
      ++files;
      if (result.instance.sop_instance_uid == file->sop_instance) ++same;
    }
  }
  std::cout << files << " files walked, " << same << " with the UID of their meta header\n";
  EXPECT_GT(files, 200U);
  EXPECT_GE(same + 10, files);
}

TEST(DatasetScanner, SurvivesEveryCorruptFile) {
  CHOANA_NEEDS_SHARED("data/corrupt-pydicom");
  std::size_t files = 0;
  std::size_t refused = 0;
  for (const char* folder : {"corrupt-pydicom", "corrupt-fuzz-pwnlab-v2"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(test::shared_dir() / "data" / folder)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream stream(entry.path(), std::ios::binary);
      const Bytes whole((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
      const auto part10 = read_part10(entry.path());
      // As its own transfer syntax, and the raw octets as every other: nothing may crash or hang.
      for (const std::string_view syntax : {explicit_little_endian, implicit_little_endian, explicit_big_endian, deflated_little_endian}) {
        (void)scan(syntax, whole, collecting());
        if (part10) (void)scan(syntax, part10->data_set, collecting(), 97);
      }
      if (!part10) continue;
      ++files;
      if (!scan(part10->syntax, part10->data_set).status) ++refused;
    }
  }
  std::cout << refused << " of " << files << " corrupt files refused\n";
  EXPECT_GT(files, 50U);
  EXPECT_GT(refused, 0U);
}

}  // namespace
}  // namespace choana::scp
