// The TLS port against programs that are not ours: openssl makes the certificates and knocks, DCMTK's echoscu associates.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "tests/integration/scp/wire_fixture.h"

namespace choana::test {
namespace {

bool run(const std::string& command) { return std::system((command + " >/dev/null 2>&1").c_str()) == 0; }

// One authority of ours and one stranger, each with a certificate.
struct Certificates {
  TemporaryFolder folder;
  bool made = false;

  Certificates() {
    made = authority("ca") && authority("other") && leaf("node", "ca") && leaf("peer", "ca") && leaf("stranger", "other");
  }
  [[nodiscard]] std::string file(const std::string& name) const { return (folder.path() / name).string(); }
  bool authority(const std::string& name) {
    return run("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=" + name + " -keyout " + file(name + ".key") + " -out " + file(name + ".pem"));
  }
  bool leaf(const std::string& name, const std::string& by) {
    return run("openssl req -newkey rsa:2048 -nodes -subj /CN=" + name + " -keyout " + file(name + ".key") + " -out " + file(name + ".csr")) &&
           run("openssl x509 -req -days 2 -in " + file(name + ".csr") + " -CA " + file(by + ".pem") + " -CAkey " + file(by + ".key") + " -CAcreateserial -out " + file(name + ".pem"));
  }
};

std::function<void(scp::AcceptorSettings&)> with(const Certificates& certificates) {
  return [&](scp::AcceptorSettings& s) {
    s.tls = scp::AcceptorTls{"127.0.0.1:0", certificates.file("node.pem"), certificates.file("node.key"), certificates.file("ca.pem")};
    s.deadlines.handshake = std::chrono::milliseconds(500);
  };
}

TEST(Tls, ServesAPeerWithACertificateAndNobodyElse) {
  if (!run("command -v openssl") || !run("command -v echoscu")) GTEST_SKIP() << "needs the programs openssl and echoscu";
  Certificates certificates;
  ASSERT_TRUE(certificates.made);
  Receiver receiver(with(certificates));
  const std::string port = std::to_string(receiver.acceptor().tls_port());
  const auto echo = [&](const std::string& name, const std::string& more = {}) {
    return run("echoscu -v -aet MR1 -aec CHOANA +tls " + certificates.file(name + ".key") + " " + certificates.file(name + ".pem") + " +cf " + certificates.file("ca.pem") + " " + more +
               " 127.0.0.1 " + port);
  };
  EXPECT_TRUE(echo("peer"));
  EXPECT_FALSE(echo("stranger")) << "a certificate of another authority";
  EXPECT_FALSE(run("echoscu -aet MR1 -aec CHOANA -ta 2 -to 2 127.0.0.1 " + port)) << "no TLS on the TLS port";
  EXPECT_FALSE(run("echoscu -aet MR1 -aec CHOANA +tla -ic 127.0.0.1 " + port)) << "no certificate";
  const std::string knock = "openssl s_client -connect 127.0.0.1:" + port + " -cert " + certificates.file("peer.pem") + " -key " + certificates.file("peer.key") + " -CAfile " +
                            certificates.file("ca.pem") + " -verify_return_error ";
  EXPECT_TRUE(run(knock + "-tls1_2 </dev/null"));
  EXPECT_TRUE(run(knock + "-tls1_3 </dev/null"));
  EXPECT_FALSE(run(knock + "-tls1_1 -cipher DEFAULT@SECLEVEL=0 </dev/null"));
  EXPECT_FALSE(run(knock + "-tls1_2 -cipher AES128-SHA </dev/null")) << "no forward secrecy";
}

TEST(Tls, StoresThroughAnotherToolkit) {
  if (!run("command -v openssl") || !run("command -v storescu") || !run("command -v dump2dcm")) GTEST_SKIP() << "needs the programs openssl, storescu and dump2dcm";
  Certificates certificates;
  ASSERT_TRUE(certificates.made);
  Receiver receiver(with(certificates));
  std::ofstream(certificates.file("a.dump")) << "(0008,0016) UI [1.2.840.10008.5.1.4.1.1.4]\n(0008,0018) UI [1.2.3.4.5]\n(0020,000d) UI [1.2.3.4]\n(0020,000e) UI [1.2.3.4.1]\n";
  ASSERT_TRUE(run("dump2dcm " + certificates.file("a.dump") + " " + certificates.file("a.dcm")));
  EXPECT_TRUE(run("storescu -aet MR1 -aec CHOANA +tls " + certificates.file("peer.key") + " " + certificates.file("peer.pem") + " +cf " + certificates.file("ca.pem") + " 127.0.0.1 " +
                  std::to_string(receiver.acceptor().tls_port()) + " " + certificates.file("a.dcm")));
  ASSERT_EQ(receiver.committed().size(), 1U);
  EXPECT_EQ(receiver.committed()[0].sop_instance_uid, "1.2.3.4.5");
}

TEST(Tls, HandshakesThatStallAreEnded) {
  if (!run("command -v openssl")) GTEST_SKIP() << "needs the program openssl";
  Certificates certificates;
  ASSERT_TRUE(certificates.made);
  Receiver receiver(with(certificates));
  RawPeer silent(receiver.acceptor().tls_port());
  RawPeer half(receiver.acceptor().tls_port());
  half.send(std::string_view("\x16\x03\x01\x02\x00\x01\x00", 7));
  EXPECT_TRUE(silent.ended());
  EXPECT_TRUE(half.ended());
}

TEST(Tls, SaysWhichFileIsWrong) {
  if (!run("command -v openssl")) GTEST_SKIP() << "needs the program openssl";
  Certificates certificates;
  ASSERT_TRUE(certificates.made);
  scp::AcceptorSettings settings;
  settings.listen = "127.0.0.1:0";
  settings.spool_dir = certificates.folder.path() / "spool";
  settings.quarantine_dir = certificates.folder.path() / "quarantine";
  const auto message = [&](const std::string& certificate, const std::string& key, const std::string& trusted) {
    settings.tls = scp::AcceptorTls{"127.0.0.1:0", certificates.file(certificate), certificates.file(key), certificates.file(trusted)};
    const auto started = scp::Acceptor::start(settings, {});
    return started ? std::string("started") : started.error().message;
  };
  EXPECT_NE(message("none.pem", "node.key", "ca.pem").find("certificate_file"), std::string::npos);
  EXPECT_NE(message("node.pem", "none.key", "ca.pem").find("key_file"), std::string::npos);
  EXPECT_NE(message("node.pem", "peer.key", "ca.pem").find("key_file"), std::string::npos);
  EXPECT_NE(message("node.pem", "node.key", "none.pem").find("trusted_file"), std::string::npos);
}

}  // namespace
}  // namespace choana::test
