#include "scp/crc32c.h"

#include <gtest/gtest.h>

#include <numeric>

namespace choana::scp {
namespace {

// RFC 3720 (iSCSI) appendix B.4; "123456789" from the Rocksoft catalogue of CRCs (CRC-32/ISCSI).
TEST(Crc32c, HasTheValuesOfTheStandard) {
  EXPECT_EQ(crc32c(0, Bytes(32, 0x00)), 0x8A9136AAU);
  EXPECT_EQ(crc32c(0, Bytes(32, 0xFF)), 0x62A8AB43U);
  Bytes rising(32);
  std::iota(rising.begin(), rising.end(), std::uint8_t{0});
  EXPECT_EQ(crc32c(0, rising), 0x46DD794EU);
  const std::string_view digits = "123456789";
  EXPECT_EQ(crc32c(0, Bytes(digits.begin(), digits.end())), 0xE3069283U);
}

TEST(Crc32c, IsTheSameInPieces) {
  Bytes bytes(1000);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  for (const std::size_t cut : {0U, 1U, 7U, 8U, 9U, 500U, 1000U}) {
    EXPECT_EQ(crc32c(crc32c(0, ByteView(bytes).first(cut)), ByteView(bytes).subspan(cut)), crc32c(0, bytes));
  }
}

}  // namespace
}  // namespace choana::scp
