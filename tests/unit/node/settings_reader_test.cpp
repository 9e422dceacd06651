#include "node/settings_reader.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace choana {
namespace {

// The file of interface.md section 3, as a person would write it with every table present.
constexpr const char* whole_file = R"([node]
ae_title = "CHOANA"
state_dir = "/var/lib/choana"
language = "zh"

[receive]
listen = "127.0.0.1:0"
associations_max = 8
object_max_mib = 512
accept_unknown_peers = false
extra_sop_classes = ["1.2.840.10008.5.1.4.1.1.66"]
[receive.tls]
listen = "0.0.0.0:2762"
certificate_file = "node.pem"
key_file = "/run/key.pem"
trusted_file = "ca.pem"

[[peer]]
name = "mr-1"
ae_title = "MR1"
networks = ["127.0.0.0/8", "fd00::/8"]

[[peer]]
name = "any"
ae_title = "*"
networks = ["10.1.2.3"]

[[destination]]
name = "pacs"
ae_title = "PACS"
host = "127.0.0.1"
port = 4242
tls = true
storage_commitment = "new"

[query]
destination = "pacs"

[study]
quiet_s = 5
deadline_s = 60

[process]
workers = 2
threads = 4
memory_max_mib = 2048
wall_max_s = 900

[models]
trusted_keys = ["keys/lab.pem", "ed25519:AAAA"]

[[package]]
path = "models/npc"
enabled = true

[report]
sr_sop_class = "comprehensive3d"
not_analysed = false
charts = false

[http]
listen = "0.0.0.0:8080"
token_file = "/etc/choana/token"

[store]
url = "sqlite"

[retention]
inputs_days = 3
results_days = 36
disk_low_mib = 100
disk_reserve_mib = 50

[log]
level = "debug"
)";

std::string error_of(const std::string& text) {
  const auto settings = parse_settings(text, "/etc/choana/choana.toml");
  return settings ? std::string() : settings.error().message;
}

TEST(SettingsReader, ReadsEveryKeyOfEveryTable) {
  const auto read = parse_settings(whole_file, "/etc/choana/choana.toml");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->node.language, "zh");
  EXPECT_EQ(read->receive.listen, (ListenAddress{"127.0.0.1", 0}));
  EXPECT_EQ(read->receive.associations_max, 8);
  EXPECT_EQ(read->receive.object_max_mib, 512);
  ASSERT_TRUE(read->receive.tls);
  EXPECT_EQ(read->receive.tls->files.certificate_file, "/etc/choana/node.pem") << "relative to the settings file";
  ASSERT_EQ(read->peers.size(), 2U);
  EXPECT_EQ(read->peers[1].ae_title, "*");
  EXPECT_EQ(read->peers[0].networks[1], "fd00::/8");
  ASSERT_NE(read->find_destination("pacs"), nullptr);
  EXPECT_EQ(read->find_destination("pacs")->port, 4242);
  EXPECT_EQ(read->find_destination("pacs")->storage_commitment, StorageCommitmentMode::new_association);
  EXPECT_EQ(read->find_destination("pacs")->tls_files.trusted_file, "/etc/choana/ca.pem") << "taken from [receive.tls]";
  EXPECT_EQ(read->query->destination, "pacs");
  EXPECT_EQ(read->study.quiet_s, 5);
  EXPECT_EQ(read->process.threads, 4);
  EXPECT_EQ(read->packages.at(0).path, "/etc/choana/models/npc");
  EXPECT_EQ(read->models.trusted_keys, (std::vector<std::string>{"/etc/choana/keys/lab.pem", "ed25519:AAAA"}));
  EXPECT_EQ(read->report.sr_sop_class, SrSopClass::comprehensive3d);
  EXPECT_FALSE(read->report.not_analysed);
  EXPECT_EQ(read->http.listen->host, "0.0.0.0");
  EXPECT_EQ(read->retention.results_days, 36);
  EXPECT_EQ(read->log.level, "debug");
}

TEST(SettingsReader, AnEmptyFileGivesTheDocumentedDefaults) {
  const auto read = parse_settings("", "choana.toml");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->node.ae_title, "CHOANA");
  EXPECT_EQ(read->node.database_file(), "/var/lib/choana/choana.db");
  EXPECT_EQ(read->receive.listen, (ListenAddress{"127.0.0.1", 11112}));
  EXPECT_EQ(read->http.listen, (ListenAddress{"127.0.0.1", 8080}));
  EXPECT_EQ(read->study.quiet_s, 60);
  EXPECT_FALSE(read->query);
  EXPECT_FALSE(read->receive.accept_unknown_peers);
}

TEST(SettingsReader, TheShippedFileHoldsTheDefaults) {
  const auto shipped = read_settings(std::string(CHOANA_SOURCE_DIR) + "/conf/choana.toml");
  ASSERT_TRUE(shipped) << shipped.error().message;
  const auto defaults = parse_settings("", "choana.toml");
  EXPECT_EQ(shipped->settings_sha256, defaults->settings_sha256);
  EXPECT_EQ(shipped->receive.listen, defaults->receive.listen);
  EXPECT_EQ(shipped->receive.object_max_mib, defaults->receive.object_max_mib);
  EXPECT_EQ(shipped->process.memory_max_mib, defaults->process.memory_max_mib);
  EXPECT_EQ(shipped->retention.disk_low_mib, defaults->retention.disk_low_mib);
  EXPECT_EQ(shipped->http.listen, defaults->http.listen);
}

// One misspelt key for each table: the message names the line and what was meant.
struct Misspelt {
  const char* table;
  const char* right;
  const char* wrong;
};

class MisspeltKey : public testing::TestWithParam<Misspelt> {};

TEST_P(MisspeltKey, IsNamedWithItsLineAndTheNearMatch) {
  std::string text = whole_file;
  const auto table_at = text.find(GetParam().table);
  ASSERT_NE(table_at, std::string::npos);
  const auto at = text.find(std::string("\n") + GetParam().right + " =", table_at);
  ASSERT_NE(at, std::string::npos);
  text.replace(at + 1, std::string(GetParam().right).size(), GetParam().wrong);
  const auto line = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n') + 2;
  const std::string error = error_of(text);
  EXPECT_NE(error.find("/etc/choana/choana.toml:" + std::to_string(line) + ": unknown key \"" + GetParam().wrong + "\" in " + GetParam().table),
            std::string::npos)
      << error;
  EXPECT_NE(error.find(std::string("Did you mean ") + GetParam().right), std::string::npos) << error;
}

INSTANTIATE_TEST_SUITE_P(EveryTable, MisspeltKey,
                         testing::Values(Misspelt{"[node]", "ae_title", "ae_titel"}, Misspelt{"[receive]", "associations_max", "association_max"},
                                         Misspelt{"[receive.tls]", "key_file", "keyfile"}, Misspelt{"[[peer]]", "networks", "network"},
                                         Misspelt{"[[destination]]", "storage_commitment", "storage_comitment"},
                                         Misspelt{"[query]", "destination", "destinaton"}, Misspelt{"[study]", "quiet_s", "quite_s"},
                                         Misspelt{"[process]", "memory_max_mib", "memory_max_mb"}, Misspelt{"[[package]]", "enabled", "enable"},
                                         Misspelt{"[report]", "not_analysed", "not_analyzed"}, Misspelt{"[http]", "token_file", "token_flie"},
                                         Misspelt{"[store]", "url", "ulr"}, Misspelt{"[retention]", "inputs_days", "input_days"},
                                         Misspelt{"[log]", "level", "levle"}));

struct Wrong {
  const char* text;
  const char* expected;  // part of the message
};

class WrongValue : public testing::TestWithParam<Wrong> {};

TEST_P(WrongValue, IsExplained) {
  const std::string error = error_of(GetParam().text);
  EXPECT_NE(error.find(GetParam().expected), std::string::npos) << GetParam().text << "\n-> " << error;
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, WrongValue,
    testing::Values(Wrong{"[study]\nquiet_s = \"60\"\n", ":2: quiet_s in [study] expects a whole number, but is text."},
                    Wrong{"[study]\nquiet_s = 0\n", "must be 1 to"}, Wrong{"[study]\nquiet_s = 600\ndeadline_s = 60\n", "must not be below quiet_s"},
                    Wrong{"[nod]\n", ":1: unknown table [nod]. Did you mean node?"}, Wrong{"ae_title = \"X\"\n", "It belongs in [node]."},
                    Wrong{"[study]\nworkers = 2\n", "It belongs in [process]."},
                    Wrong{"[peer]\nname = \"a\"\n", "write [[peer]] with double brackets"}, Wrong{"node = 3\n", "write [node]"},
                    Wrong{"[node]\nae_title = \"MORE THAN SIXTEEN\"\n", "1 to 16 ASCII characters"}, Wrong{"[node]\nlanguage = \"de\"\n", "\"en\", \"zh\""},
                    Wrong{"[receive]\nlisten = \"0.0.0.0\"\n", "such as"}, Wrong{"[receive]\nlisten = \"0.0.0.0:70000\"\n", "such as"},
                    Wrong{"[receive]\nlisten = \"::1:104\"\n", "such as"},
                    Wrong{"[[peer]]\nname = \"a\"\nae_title = \"A\"\nnetworks = [\"10.0.0.0/33\"]\n", "10.0.0.0/33"},
                    Wrong{"[[peer]]\nname = \"a\"\nae_title = \"A\"\n", ":1: [[peer]] needs the key networks."},
                    Wrong{"[[destination]]\nname = \"a\"\nae_title = \"A\"\nhost = \"h\"\nport = 104\ntls = true\n", "needs trusted_file"},
                    Wrong{"[query]\ndestination = \"pcas\"\n[[destination]]\nname = \"pacs\"\nae_title = \"A\"\nhost = \"h\"\nport = 104\n",
                          "Did you mean pacs?"},
                    Wrong{"[http]\nlisten = \"0.0.0.0:80\"\n", "set token_file"}, Wrong{"[store]\nurl = \"mysql://x\"\n", "\"sqlite\" or"},
                    Wrong{"[log]\nlevel = \"inf\"\n", "Did you mean info?"}, Wrong{"[node\n", "is not TOML"},
                    Wrong{"[retention]\ndisk_low_mib = 1\n", "must not be above disk_low_mib"},
                    Wrong{"[receive]\nextra_sop_classes = [\"1.2\", 3]\n", "expects texts, but holds a whole number"}));

TEST(SettingsReader, SaysEverythingThatIsWrongAtOnceInOrderOfLines) {
  const std::string error = error_of("[log]\nlevle = 1\n[study]\nquiet_s = true\n[nodes]\n");
  std::istringstream lines(error);
  std::string first, second, third;
  std::getline(lines, first);
  std::getline(lines, second);
  std::getline(lines, third);
  EXPECT_NE(first.find(":2:"), std::string::npos) << error;
  EXPECT_NE(second.find(":4:"), std::string::npos) << error;
  EXPECT_NE(third.find(":5:"), std::string::npos) << error;
}

TEST(SettingsReader, AnEmptyHttpAddressTurnsItOff) {
  const auto read = parse_settings("[http]\nlisten = \"\"\n", "choana.toml");
  ASSERT_TRUE(read);
  EXPECT_FALSE(read->http.listen);
}

TEST(SettingsReader, OnlyWhatShapesResultsChangesTheDigest) {
  const auto base = parse_settings("", "choana.toml");
  const auto logging = parse_settings("[log]\nlevel = \"debug\"\n[receive]\nlisten = \"127.0.0.1:0\"\n", "choana.toml");
  const auto report = parse_settings("[report]\nsr_sop_class = \"comprehensive\"\n", "choana.toml");
  EXPECT_EQ(base->settings_sha256, logging->settings_sha256);
  EXPECT_NE(base->settings_sha256, report->settings_sha256);
}

TEST(SettingsReader, AFileThatIsNotThereIsNotFound) {
  const auto read = read_settings("/nowhere/choana.toml");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::not_found);
}

// Cut at every byte and with every byte replaced: an answer, never a crash.
TEST(SettingsReader, SurvivesAnyDamageToTheFile) {
  const std::string text = whole_file;
  for (std::size_t n = 0; n < text.size(); n += 3) {
    static_cast<void>(parse_settings(text.substr(0, n), "choana.toml"));
    std::string damaged = text;
    damaged[n] = static_cast<char>(n * 37 % 256);
    static_cast<void>(parse_settings(damaged, "choana.toml"));
  }
}

}  // namespace
}  // namespace choana
