#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace choana::test {

/// Reference values and real DICOM that are not part of the project: $CHOANA_SHARED, or ../shared beside the project.
inline std::filesystem::path shared_dir() {
  if (const char* dir = std::getenv("CHOANA_SHARED")) return dir;
  return std::filesystem::path(CHOANA_SOURCE_DIR) / ".." / "shared";
}

}  // namespace choana::test

/// First line of a test that needs a file or folder of the shared data: a visible skip where it is absent.
#define CHOANA_NEEDS_SHARED(relative)                                                                     \
  do {                                                                                                    \
    if (!std::filesystem::exists(choana::test::shared_dir() / (relative)))                                \
      GTEST_SKIP() << "needs shared/" << (relative) << " (set CHOANA_SHARED to the folder that holds it)"; \
  } while (false)
