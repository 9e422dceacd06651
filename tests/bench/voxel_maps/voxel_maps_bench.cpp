// CPU time of voxel maps. Prints; asserts nothing.
//   voxel_maps_bench IMAGE MASK PARAMETERS [THREADS [REPEATS [FOLDER]]]      FOLDER: write the maps there, <feature>.nrrd

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "core/task_pool.h"
#include "processing/itk/image_file.h"
#include "processing/radiomics/voxel_maps.h"

int main(int argc, char** argv) {
  using namespace choana;
  using namespace choana::processing;
  if (argc < 4) return 2;
  const auto image = read_image_file(argv[1]);
  const auto mask = read_mask_file(argv[2]);
  std::ifstream in(argv[3]);
  std::stringstream text;
  text << in.rdbuf();
  const auto profile = parse_profile(text.str(), "bench");
  if (!image || !mask || !profile) {
    std::printf("%s\n", !image ? to_string(image.error()).c_str() : !mask ? to_string(mask.error()).c_str() : to_string(profile.error()).c_str());
    return 1;
  }
  TaskPool pool(argc > 4 ? std::atoi(argv[4]) : 1);
  const int repeats = argc > 5 ? std::atoi(argv[5]) : 5;
  const std::filesystem::path folder = argc > 6 ? argv[6] : "";
  double cpu = 1e9;
  double wall = 1e9;
  std::size_t voxels = 0;
  std::size_t maps = 0;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    const std::clock_t cpu_start = std::clock();
    const auto wall_start = std::chrono::steady_clock::now();
    const auto result = extract_voxel_maps(*image, *mask, profile->settings.label, *profile, [&](VoxelMap&& map) -> Status {
      if (repeat > 0 || folder.empty()) return {};
      return write_image_file(map.volume, folder / (map.id.str() + ".nrrd"));
    }, &pool);
    if (!result) {
      std::printf("%s\n", to_string(result.error()).c_str());
      return 1;
    }
    cpu = std::min(cpu, static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC);
    wall = std::min(wall, std::chrono::duration<double>(std::chrono::steady_clock::now() - wall_start).count());
    voxels = result->voxels;
    maps = result->maps;
    if (repeat == 0)
      for (const std::string& note : result->notes) std::fprintf(stderr, "%s\n", note.c_str());
  }
  std::printf("%zu voxels %zu maps cpu_s %.4f wall_s %.4f threads %d\n", voxels, maps, cpu, wall, pool.threads());
  return 0;
}
