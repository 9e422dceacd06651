// Writes synthetic DICOM studies for tests and demonstrations.

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>

#include "dicom-fixtures/synthetic/npc_study.h"

int main(int argc, char** argv) {
  using namespace choana::fixtures;
  NpcStudyOptions options;
  std::string out, manifest, size = "full", roi = "rtstruct", charset = "ascii", bad = "none";
  bool no_node = false;

  CLI::App app{"Writes a synthetic study of the nasopharynx: MR series, a tumour of known volume, RTSTRUCT and SEG. Equal options give equal bytes."};
  app.add_option("out", out, "Folder for the DICOM files (created; must be empty)")->required();
  app.add_option("--manifest", manifest, "Where to write the truth as JSON (default: OUT.json)");
  app.add_option("--seed", options.seed, "Which patient")->capture_default_str();
  app.add_option("--size", size, "small: 64x64x12; full: 256x256x32")->check(CLI::IsMember({"small", "full"}))->capture_default_str();
  app.add_option("--tumour-ml", options.tumour_ml, "Volume of the tumour")->check(CLI::Range(0.5, 120.0))->capture_default_str();
  app.add_option("--response", options.response, "0: heterogeneous, necrotic, lobulated; 1: even, compact")->check(CLI::Range(0.0, 1.0))->capture_default_str();
  app.add_option("--sequences", options.sequences, "t1, t2, t1c, t1cfs, dwi, adc")->delimiter(',')->capture_default_str();
  app.add_option("--roi", roi, "Object that carries the contours")->check(CLI::IsMember({"none", "rtstruct", "seg", "both"}))->capture_default_str();
  app.add_option("--roi-on", options.roi_on, "Sequence that the ROI is drawn on (default: t2, else t1c)");
  app.add_option("--charset", charset, "Chinese names and descriptions, or English")->check(CLI::IsMember({"ascii", "utf8", "gb18030"}))->capture_default_str();
  app.add_option("--patient-id", options.patient_id, "Patient ID (default: TEST-<seed>)");
  std::string site = "a";
  app.add_option("--site", site, "Scanner: a (3 T), b (1.5 T, noisier), c (3 T, sharper)")->check(CLI::IsMember({"a", "b", "c"}))->capture_default_str();
  app.add_option("--age", options.age_years, "Age in years")->check(CLI::Range(0, 120))->capture_default_str();
  app.add_option("--reader", options.reader, "0: contours on the true surface; another number: a reader who strays from it by up to 1.2 mm")->capture_default_str();
  app.add_option("--motion-mm", options.motion_mm, "T1C and T1C-FS are moved against T2 by so much")->check(CLI::Range(0.0, 10.0))->capture_default_str();
  app.add_flag("--no-node", no_node, "Without the second ROI, GTVnd");
  app.add_flag("--oblique", options.oblique, "Tilted slices");
  app.add_flag("--enhanced", options.enhanced, "Enhanced MR objects for the anatomical series");
  app.add_option("--bad", bad,
                 "A deliberate defect: not-dicom, truncated, missing-pixel-data, rtstruct-series-missing, roi-outside, roi-one-voxel, duplicate-uid")
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  options.small = size == "small";
  options.node = !no_node;
  options.site = site == "b" ? Site::b : site == "c" ? Site::c : Site::a;
  options.roi = roi == "none" ? RoiObject::none : roi == "seg" ? RoiObject::seg : roi == "both" ? RoiObject::both : RoiObject::rtstruct;
  options.charset = charset == "utf8" ? Charset::utf8 : charset == "gb18030" ? Charset::gb18030 : Charset::ascii;
  const auto parsed = parse_bad_case(bad);
  if (!parsed) {
    std::cerr << parsed.error().message << '\n';
    return 2;
  }
  options.bad = *parsed;

  const std::filesystem::path folder = std::filesystem::path(out).lexically_normal();
  const auto study = write_npc_study(options, folder);
  if (!study) {
    std::cerr << study.error().message << '\n';
    return study.error().code == choana::ErrorCode::invalid_argument ? 2 : 1;
  }
  const std::string text = manifest_json(options, *study, folder);
  std::filesystem::path beside = folder.has_filename() ? folder : folder.parent_path();
  beside += ".json";
  const std::filesystem::path where = manifest.empty() ? beside : std::filesystem::path(manifest);
  std::ofstream file(where);
  file << text;
  file.close();
  if (!file) {
    std::cerr << "Cannot write " << where.string() << '\n';
    return 1;
  }
  std::cout << text;
  return 0;
}
