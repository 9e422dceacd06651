// Radiomics beside PyRadiomics: the same images and parameter files (tests/bench/radiomics/run.sh). Prints; asserts nothing.
//   radiomics_bench make FOLDER                            write the synthetic cases as NRRD, the same on every machine
//   radiomics_bench run IMAGE MASK PROFILE THREADS REPEATS  one line: CPU s, wall s, peak MB, voxels, features
//   radiomics_bench stages IMAGE MASK PROFILE               ns of one thread per voxel of the region, by stage and derived image

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "core/task_pool.h"
#include "processing/itk/image_file.h"
#include "processing/radiomics/feature_extractor.h"
#include "processing/radiomics/filters/filter_catalogue.h"

namespace {

using namespace choana;
using namespace choana::processing;

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + 1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}
long peak_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}
double wall_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

template <typename T>
void write_nrrd(const std::filesystem::path& file, const char* type, const Index3& size, const Vector3& spacing, const std::vector<T>& voxels) {
  std::ofstream out(file, std::ios::binary);
  out << "NRRD0004\ntype: " << type << "\ndimension: 3\nspace: left-posterior-superior\nsizes: " << size[0] << ' ' << size[1] << ' ' << size[2]
      << "\nspace directions: (" << spacing[0] << ",0,0) (0," << spacing[1] << ",0) (0,0," << spacing[2]
      << ")\nkinds: domain domain domain\nendian: little\nencoding: raw\nspace origin: (0,0,0)\n\n";
  out.write(reinterpret_cast<const char*>(voxels.data()), static_cast<std::streamsize>(voxels.size() * sizeof(T)));
}

/// An ellipsoid in a smooth image with noise: int16 values of about 0 to 800.
void make_case(const std::filesystem::path& folder, const std::string& name, Index3 size, Vector3 spacing_mm, Vector3 radii_mm) {
  std::vector<std::int16_t> image;
  std::vector<std::uint8_t> mask;
  std::uint32_t state = 1;
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j)
      for (int i = 0; i < size[0]; ++i) {
        double noise = 0;  // the sum of four draws: nearly normal, standard deviation 40
        for (int draw = 0; draw < 4; ++draw) {
          state = state * 1664525u + 1013904223u;
          noise += static_cast<double>(state >> 8) / 16777216.0 - 0.5;
        }
        image.push_back(static_cast<std::int16_t>(std::floor(400 + 250 * std::sin(0.11 * i) * std::cos(0.09 * j) + 100 * std::sin(0.2 * k) + 69.3 * noise)));
        double radius = 0;
        const int index[3] = {i, j, k};
        for (std::size_t axis = 0; axis < 3; ++axis) {
          const double distance = (index[axis] - 0.5 * (size[axis] - 1)) * spacing_mm[axis] / radii_mm[axis];
          radius += distance * distance;
        }
        mask.push_back(radius < 1 ? 1 : 0);
      }
  write_nrrd(folder / (name + "_image.nrrd"), "short", size, spacing_mm, image);
  write_nrrd(folder / (name + "_label.nrrd"), "unsigned char", size, spacing_mm, mask);
}

int make(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  make_case(folder, "resampled-60k", {200, 200, 120}, {0.9, 0.9, 1.3}, {26, 25, 22});
  make_case(folder, "thick-slices", {320, 320, 40}, {0.75, 0.75, 4.4}, {31, 30, 30});
  make_case(folder, "whole-60k", {200, 200, 120}, {1, 1, 1}, {26, 25, 22});
  make_case(folder, "whole-1m", {200, 200, 120}, {1, 1, 1}, {72, 70, 47.5});
  for (const auto& [name, radius] : std::map<std::string, double>{{"size-1e3", 6.2}, {"size-1e4", 13.36}, {"size-1e5", 28.8}}) make_case(folder, name, {200, 200, 120}, {1, 1, 1}, {radius, radius, radius});
  return 0;
}

struct Case {
  ScalarVolume image;
  MaskVolume mask;
  ExtractionProfile profile;
};

Result<Case> load(char** arguments) {
  auto image = read_image_file(arguments[0]);
  if (!image) return fail(image.error());
  auto mask = read_mask_file(arguments[1]);
  if (!mask) return fail(mask.error());
  std::ifstream in(arguments[2]);
  std::stringstream text;
  text << in.rdbuf();
  auto profile = parse_profile(text.str(), "bench");
  if (!profile) return fail(profile.error());
  return Case{std::move(*image), std::move(*mask), std::move(*profile)};
}

int run(const Case& one, int threads, int repeats) {
  TaskPool pool(threads);
  double cpu = 1e9;
  double wall = 1e9;
  std::size_t voxels = 0;
  std::size_t features = 0;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    const double cpu_start = cpu_seconds();
    const double wall_start = wall_seconds();
    const auto result = extract_features(one.image, one.mask, 1, one.profile, threads > 1 ? &pool : nullptr);
    wall = std::min(wall, wall_seconds() - wall_start);
    cpu = std::min(cpu, cpu_seconds() - cpu_start);
    if (!result) {
      std::fprintf(stderr, "%s\n", result.error().message.c_str());
      return 1;
    }
    voxels = result->voxels_used;
    features = result->features.size();
  }
  std::printf("%.4f %.4f %ld %zu %zu\n", cpu, wall, peak_mb(), voxels, features);
  return 0;
}

/// The least CPU time of some calls, ns.
double least_ns(const std::function<void()>& body, int repeats = 5) {
  double least = 1e18;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    const double start = cpu_seconds();
    body();
    least = std::min(least, cpu_seconds() - start);
  }
  return 1e9 * least;
}

int stages(const Case& one) {
  ExtractionProfile plain = one.profile;
  plain.settings.additional_info = false;
  const auto prepared = prepare_region(one.image, one.mask, 1, plain);
  if (!prepared) return 1;
  const auto voxels = static_cast<double>(prepared->voxels_used);
  std::printf("%zu voxels; ns of one thread per voxel of the region\n", prepared->voxels_used);
  const double bare = least_ns([&] { (void)prepare_region(one.image, one.mask, 1, plain); });
  ExtractionProfile described = one.profile;
  described.settings.additional_info = true;
  std::printf("| prepare (resample or look for the label) | %.1f |\n", bare / voxels);
  std::printf("| diagnostics (hashes of the given volumes) | %.1f |\n", (least_ns([&] { (void)prepare_region(one.image, one.mask, 1, described); }) - bare) / voxels);
  const std::vector<FamilyRequest> shape{{"shape", {}}};
  std::printf("| shape | %.1f |\n", least_ns([&] { (void)measure_shape(cut_region(prepared->morphological_mask(), 1, prepared->box), plain.settings, shape); }) / voxels);
  std::printf("\n| Image | levels | filter | sample, levels | firstorder | glcm | glrlm | glszm | gldm, ngtdm | all |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
  for (const ImageTypeRequest& type : plain.image_types) {
    const FilterInput input{*prepared->image, prepared->intensity_mask(), 1, prepared->box, nullptr};
    const auto derived = derive_images(type.name, input, type.settings);
    if (!derived) return 1;
    const double filter = least_ns([&] { (void)derive_images(type.name, input, type.settings); }) / static_cast<double>(std::max<std::size_t>(1, derived->images.size()));
    for (const DerivedImage& image : derived->images) {
      const auto cost = [&](const std::vector<FamilyRequest>& families) {
        return least_ns([&] { (void)measure_image(image, prepared->region, prepared->box, type.settings, families); }) / voxels;
      };
      const double sample = cost({});
      const auto measured = measure_image(image, prepared->region, prepared->box, type.settings, {});
      std::printf("| %s | %d | %.1f | %.1f |", image.name.c_str(), measured && measured->levels ? measured->levels->highest : 0, filter / voxels, sample);
      double sum = filter / voxels + sample;
      for (const std::vector<FamilyRequest>& families :
           {std::vector<FamilyRequest>{{"firstorder", {}}}, {{"glcm", {}}}, {{"glrlm", {}}}, {{"glszm", {}}}, {{"gldm", {}}, {"ngtdm", {}}}}) {
        const double family = cost(families) - sample;
        sum += family;
        std::printf(" %.1f |", family);
      }
      std::printf(" %.1f |\n", sum);
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  if (command == "make" && argc == 3) return make(argv[2]);
  if ((command == "run" && argc == 7) || (command == "stages" && argc == 5)) {
    const auto one = load(argv + 2);
    if (!one) {
      std::fprintf(stderr, "%s\n", one.error().message.c_str());
      return 1;
    }
    return command == "run" ? run(*one, std::atoi(argv[5]), std::atoi(argv[6])) : stages(*one);
  }
  std::fprintf(stderr, "usage: radiomics_bench make FOLDER | run IMAGE MASK PROFILE THREADS REPEATS | stages IMAGE MASK PROFILE\n");
  return 2;
}
