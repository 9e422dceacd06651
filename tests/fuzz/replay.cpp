// Runs a fuzz target over its seeds, over every cut of them, over simple mutations, and over the files of the folders
// named as arguments.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "tests/fuzz/seeds.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--write-seeds") {  // to start a libFuzzer corpus
    std::size_t number = 0;
    for (const auto& seed : choana_fuzz_seeds()) {
      std::ofstream file(std::filesystem::path(argv[2]) / ("seed-" + std::to_string(number++)), std::ios::binary);
      file.write(reinterpret_cast<const char*>(seed.data()), static_cast<std::streamsize>(seed.size()));
    }
    return 0;
  }
  std::size_t runs = 0;
  const auto run = [&runs](const std::vector<std::uint8_t>& input) {
    LLVMFuzzerTestOneInput(input.data(), input.size());
    ++runs;
  };
  for (const auto& seed : choana_fuzz_seeds()) {
    run(seed);
    for (std::size_t size = 0; size < seed.size() && size < 2000; ++size) run({seed.begin(), seed.begin() + static_cast<std::ptrdiff_t>(size)});
    for (std::size_t at = 0; at < seed.size() && at < 2000; ++at) {
      for (const int value : {0x00, 0x7F, 0xFF, 0xFE}) {
        auto changed = seed;
        changed[at] = static_cast<std::uint8_t>(value);
        run(changed);
      }
    }
  }
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i])) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      run({std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()});
    }
  }
  std::printf("%zu inputs\n", runs);
}
