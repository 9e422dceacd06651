// N4 of our own beside ITK's in one process and at one thread: iteration counts, largest and root mean square difference of the log field, CPU seconds.
// Prints rows of the table in docs/benchmarks.md; asserts nothing.
//   n4_bench [--series FOLDER] [--ours] [--only TEXT]      --ours: without ITK (and the unshrunk cases with it)

#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "dicom/dicom_reader.h"
#include "processing/preprocessing/bias_field_correction.h"
#include "processing/volume/volume_builder.h"
#include "tests/support/head_phantom.h"

namespace {

using namespace choana;
using namespace choana::processing;

double cpu_s() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec) + 1e-6 * static_cast<double>(usage.ru_utime.tv_usec);
}

std::string counts(const std::vector<BiasFieldLevel>& levels) {
  std::string text;
  for (const BiasFieldLevel& level : levels) text += (text.empty() ? "" : " ") + std::to_string(level.iterations);
  return text;
}

struct Options {
  bool ours = false;
  std::string only;
};

void compare(const Options& options, const std::string& name, const SeriesVolume& image, std::array<int, 3> shrink, BiasFieldMask mask, bool with_itk) {
  const std::string what = name + " " + std::to_string(shrink[0]) + "x" + std::to_string(shrink[1]) + "x" + std::to_string(shrink[2]) +
                           (mask == BiasFieldMask::otsu ? " Otsu" : " > 0");
  if (what.find(options.only) == std::string::npos) return;
  BiasFieldSettings settings;
  settings.n4.shrink = shrink;
  settings.mask = mask;
  // The mask is made once, outside the clock: it is the same for both.
  BiasFieldInput input;
  if (mask == BiasFieldMask::otsu)
    input.mask = *otsu_mask(image.geometry(), image.voxels(), settings.otsu_bins);
  else
    for (const float voxel : image.voxels()) input.mask.push_back(voxel > 0 ? 1 : 0);
  double best = 1e9;
  Result<BiasFieldCorrection> ours = fail(ErrorCode::internal, "bench", "");
  for (int repeat = 0; repeat < (best > 1 && repeat > 1 ? 2 : 5); ++repeat) {
    const double start = cpu_s();
    ours = correct_bias_field(image, settings, nullptr, input);
    best = std::min(best, cpu_s() - start);
    if (!ours) {
      std::printf("%s: %s\n", what.c_str(), ours.error().message.c_str());
      return;
    }
  }
  if (options.ours || !with_itk) {
    std::printf("| %s | %s | | %.3f | | | |\n", what.c_str(), counts(ours->levels).c_str(), best);
    std::fflush(stdout);
    return;
  }
  settings.engine = BiasFieldEngine::itk;
  const double start = cpu_s();
  const auto theirs = correct_bias_field(image, settings, nullptr, input);
  const double itk_s = cpu_s() - start;
  if (!theirs) {
    std::printf("%s: %s\n", what.c_str(), theirs.error().message.c_str());
    return;
  }
  double largest = 0, squares = 0, low = 1e9, high = -1e9;
  std::vector<double> differences;
  for (std::size_t n = 0; n < ours->log_field.size(); ++n) {
    const double a = static_cast<double>(ours->log_field[n]), b = static_cast<double>(theirs->log_field[n]);
    differences.push_back(std::abs(a - b));
    largest = std::max(largest, std::abs(a - b));
    squares += (a - b) * (a - b);
    low = std::min(low, b);
    high = std::max(high, b);
  }
  const auto middle = differences.begin() + static_cast<std::ptrdiff_t>(differences.size() / 2);
  std::nth_element(differences.begin(), middle, differences.end());
  std::printf("| %s | %s | %s | %.2f | %.3f | %.0f | %.1e / %.1e / %.1e |\n", what.c_str(), counts(theirs->levels).c_str(),
              counts(ours->levels) == counts(theirs->levels) ? "equal" : counts(ours->levels).c_str(), itk_s, best, itk_s / best, largest, std::sqrt(squares / static_cast<double>(differences.size())),
              *middle);
  std::fflush(stdout);
}

Result<SeriesVolume> read_folder(const std::string& folder) {
  std::vector<AcquiredSlice> slices;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file() || entry.path().extension() != ".dcm") continue;
    auto read = dicom::read_slices(entry.path());
    if (!read) return fail(read.error());
    for (AcquiredSlice& slice : *read) slices.push_back(std::move(slice));
  }
  auto volumes = build_volumes(std::move(slices));
  if (!volumes) return fail(volumes.error());
  if (volumes->volumes.empty()) return fail(ErrorCode::no_image_series, "bench", "no volume");
  return volumes->volumes.front().volume;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  std::string folder;
  for (int at = 1; at < argc; ++at) {
    const std::string argument = argv[at];
    if (argument == "--ours") options.ours = true;
    if (argument == "--series" && at + 1 < argc) folder = argv[++at];
    if (argument == "--only" && at + 1 < argc) options.only = argv[++at];
  }
  std::printf("| case | iterations of ITK | ours | ITK s | ours s | times | log field: max / rms / median |\n| --- | --- | --- | --- | --- | --- | --- |\n");
  std::vector<std::pair<std::string, SeriesVolume>> images{{"head", test::head_phantom({320, 320, 40}, 1)}};
  if (!folder.empty()) {
    auto real = read_folder(folder);
    if (real)
      images.emplace_back("real", *real);
    else
      std::printf("%s\n", to_string(real.error()).c_str());
  }
  for (const auto& [name, image] : images)
    for (const std::array<int, 3> shrink : {std::array{4, 4, 4}, {4, 4, 1}, {1, 1, 1}})
      for (const BiasFieldMask mask : {BiasFieldMask::otsu, BiasFieldMask::positive})
        compare(options, name, image, shrink, mask, shrink[0] > 1);
  return 0;
}
