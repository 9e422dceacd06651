#include "scp/association_policy.h"

#include <gtest/gtest.h>

namespace choana::scp {
namespace {

AddressBytes at(const char* text) { return parse_address(text).value(); }

TEST(Network, HoldsTheAddressesOfItsPrefix) {
  const auto net = Network::parse("10.1.128.0/17").value();
  EXPECT_TRUE(net.contains(at("10.1.128.1")));
  EXPECT_TRUE(net.contains(at("10.1.255.255")));
  EXPECT_FALSE(net.contains(at("10.1.127.255")));
  EXPECT_FALSE(net.contains(at("10.2.128.1")));
  EXPECT_TRUE(Network::parse("0.0.0.0/0").value().contains(at("192.0.2.1")));
  EXPECT_FALSE(Network::parse("0.0.0.0/0").value().contains(at("2001:db8::1")));
}

TEST(Network, OfOneAddressHoldsOnlyThat) {
  const auto net = Network::parse("192.0.2.7").value();
  EXPECT_TRUE(net.contains(at("192.0.2.7")));
  EXPECT_FALSE(net.contains(at("192.0.2.8")));
}

TEST(Network, SpeaksIPv6AndMappedAddresses) {
  const auto net = Network::parse("2001:db8:1::/48").value();
  EXPECT_TRUE(net.contains(at("2001:db8:1:ffff::9")));
  EXPECT_FALSE(net.contains(at("2001:db8:2::9")));
  EXPECT_TRUE(Network::parse("127.0.0.0/8").value().contains(at("::ffff:127.0.0.1")));
  EXPECT_TRUE(Network::parse("fe80::/10").value().contains(at("fe80::1%eth0")));
}

TEST(Network, RefusesWhatIsNotCidr) {
  for (const char* text : {"", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/8x", "10.0.0", "host.example", "::/129"}) {
    const auto network = Network::parse(text);
    ASSERT_FALSE(network.has_value()) << text;
    EXPECT_EQ(network.error().code, ErrorCode::invalid_settings);
  }
}

TEST(AeTitle, IsOneToSixteenPrintableCharactersWithoutBackslash) {
  EXPECT_TRUE(is_valid_ae_title("MR-1 A"));
  EXPECT_TRUE(is_valid_ae_title("ABCDEFGHIJKLMNOP"));
  for (const char* text : {"", "    ", "ABCDEFGHIJKLMNOPQ", "A\\B", "A\nB", "\xC3\xA9"}) EXPECT_FALSE(is_valid_ae_title(text)) << text;
}

struct PolicyRow {
  const char* called;
  const char* calling;
  const char* address;
  std::optional<AssociateReject> reject;
};

TEST(AssociationPolicy, DeniesWhateverNoRuleAllows) {
  const auto policy = AssociationPolicy::make("CHOANA", {{"mr", "MR1", {"10.0.0.0/8", "fd00::/8"}}, {"wing", "*", {"172.16.5.0/24"}}, {"nowhere", "CT1", {}}}, false).value();
  const std::vector<PolicyRow> rows{
      {"CHOANA", "MR1", "10.9.9.9", std::nullopt},
      {"CHOANA", "MR1", "fd00::5", std::nullopt},
      {"CHOANA", "MR1", "11.0.0.1", reject::calling_ae_title},
      {"CHOANA", "ANY", "172.16.5.3", std::nullopt},
      {"CHOANA", "ANY", "172.16.6.3", reject::calling_ae_title},
      {"CHOANA", "CT1", "10.9.9.9", reject::calling_ae_title},
      {"OTHER", "MR1", "10.9.9.9", reject::called_ae_title},
      {"OTHER", "MR2", "10.9.9.9", reject::calling_ae_title},
      {"CHOANA", "", "10.9.9.9", reject::calling_ae_title},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(policy.decide(row.called, row.calling, at(row.address)).reject, row.reject) << row.called << ' ' << row.calling << ' ' << row.address;
  }
  EXPECT_EQ(policy.decide("CHOANA", "MR1", at("10.9.9.9")).peer, "mr");
  EXPECT_TRUE(policy.knows(at("172.16.5.3")));
  EXPECT_FALSE(policy.knows(at("192.0.2.1")));
}

TEST(AssociationPolicy, LetsUnknownPeersInOnlyWhereToldTo) {
  const auto policy = AssociationPolicy::make(" CHOANA ", {}, true).value();
  EXPECT_FALSE(policy.decide("CHOANA", "ANY", at("192.0.2.1")).reject);
  EXPECT_EQ(policy.decide("CHOANA", "", at("192.0.2.1")).reject, reject::calling_ae_title);
  EXPECT_EQ(policy.decide("OTHER", "ANY", at("192.0.2.1")).reject, reject::called_ae_title);
}

TEST(AssociationPolicy, RefusesSettingsThatCannotWork) {
  EXPECT_EQ(AssociationPolicy::make("", {}, false).error().code, ErrorCode::invalid_settings);
  EXPECT_EQ(AssociationPolicy::make("A", {{"x", "TITLE-THAT-IS-TOO-LONG", {}}}, false).error().code, ErrorCode::invalid_settings);
  EXPECT_EQ(AssociationPolicy::make("A", {{"x", "X", {"10.0.0.0/99"}}}, false).error().code, ErrorCode::invalid_settings);
}

}  // namespace
}  // namespace choana::scp
