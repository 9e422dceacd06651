#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace choana {
namespace {

// durability.md section 3, test 24: exposure at most 1.5 on systemd's scale of 10 (the threshold is given in tenths).
TEST(ServiceUnit, ExposesLittle) {
  if (std::system("command -v systemd-analyze >/dev/null 2>&1") != 0) GTEST_SKIP() << "systemd-analyze (package systemd) is not installed";
  const std::string command =
      "systemd-analyze security --no-pager --offline=true --threshold=15 '" CHOANA_SOURCE_DIR "/systemd/choana.service' >/dev/null 2>&1";
  EXPECT_EQ(std::system(command.c_str()), 0);
}

}  // namespace
}  // namespace choana
