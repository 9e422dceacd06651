// Peers that are slow, silent or gone: each is ended by its deadline, and nobody honest waits for them. The deadlines are
// shortened by settings; nothing here is asserted on the clock, a connection must only end by itself.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <thread>

#include "tests/integration/scp/wire_fixture.h"

namespace choana::test {
namespace {

using namespace std::chrono_literals;

// How many connections ended in this way, once none is left.
std::uint64_t ended(Receiver& receiver, const std::string& how) {
  for (int i = 0; i < 1000 && receiver.acceptor().counters().connections_open != 0; ++i) {
    pollfd nothing{-1, 0, 0};
    ::poll(&nothing, 1, 10);
  }
  const auto counters = receiver.acceptor().counters();
  const auto found = counters.connections_ended.find(how);
  return found == counters.connections_ended.end() ? 0 : found->second;
}

bool honest_is_served(Receiver& receiver) {
  Client client(receiver);
  return client.associate() && client.store(mr_image()) == 0 && client.release();
}

TEST(Deadlines, EndHalfAnAssociationRequest) {
  Receiver receiver([](scp::AcceptorSettings& s) { s.deadlines.associate = 200ms; });
  RawPeer peer(receiver.port());
  peer.send(ByteView(encode(association_request(usual_contexts()))).first(40));
  EXPECT_TRUE(peer.ended());
  EXPECT_EQ(ended(receiver, "associate_timed_out"), 1U);
}

TEST(Deadlines, EndAConnectionThatSaysNothing) {
  Receiver receiver([](scp::AcceptorSettings& s) { s.deadlines.associate = 200ms; });
  RawPeer peer(receiver.port());
  EXPECT_TRUE(peer.ended());
}

TEST(Deadlines, EndAnAssociationRequestThatDripsIn) {
  Receiver receiver([](scp::AcceptorSettings& s) { s.deadlines.associate = 300ms; });
  RawPeer peer(receiver.port());
  const auto request = encode(association_request(usual_contexts()));
  std::size_t sent = 0;
  while (sent < request.size() && peer.send(ByteView(request).subspan(sent, 1))) {
    ++sent;
    pollfd nothing{-1, 0, 0};
    ::poll(&nothing, 1, 20);  // the drip itself; the deadline counts from the connection, not from the last drop
  }
  EXPECT_TRUE(peer.ended());
  EXPECT_LT(sent, request.size());
}

TEST(Deadlines, EndAnAssociationThatIsIdle) {
  Receiver receiver([](scp::AcceptorSettings& s) { s.deadlines.association_idle = 200ms; });
  Client client(receiver);
  ASSERT_TRUE(client.associate());
  const auto pdu = client.peer.receive();
  ASSERT_TRUE(pdu);
  EXPECT_EQ(pdu->type, 7);
  EXPECT_TRUE(client.peer.ended());
  client.peer.close();
  EXPECT_EQ(ended(receiver, "idle_timed_out"), 1U);
}

TEST(Deadlines, EndADataSetThatStalls) {
  Receiver receiver([](scp::AcceptorSettings& s) { s.deadlines.message_idle = 200ms; });
  Client client(receiver);
  ASSERT_TRUE(client.associate());
  client.command(3, store_request(std::string(mr_class), "1.2.3.100.1"));
  client.peer.send(scp::Bytes{4, 0, 0, 0, 1, 0, 0, 0});
  EXPECT_TRUE(client.aborted());
  EXPECT_TRUE(receiver.committed().empty());
}

TEST(Deadlines, EndACommandWithoutItsDataSet) {
  Receiver receiver([](scp::AcceptorSettings& s) { s.deadlines.message_idle = 200ms; });
  Client client(receiver);
  ASSERT_TRUE(client.associate());
  client.command(3, store_request(std::string(mr_class), "1.2.3.100.1"));
  EXPECT_TRUE(client.aborted());
}

TEST(Deadlines, EndADataSetBelowTheRateFloor) {
  Receiver receiver([](scp::AcceptorSettings& s) {
    s.deadlines.rate_grace = 300ms;
    s.deadlines.rate_floor_bytes_per_s = 1'000'000;
  });
  Client client(receiver);
  ASSERT_TRUE(client.associate());
  client.command(3, store_request(std::string(mr_class), "1.2.3.100.1"));
  const scp::Bytes drop{4, 0, 0, 0, 0, 8, 0, 0, 0, 4, 3, 0, 8, 0};
  int drops = 0;
  while (drops < 10'000 && client.peer.send(drop)) {
    ++drops;
    pollfd nothing{-1, 0, 0};
    ::poll(&nothing, 1, 10);
  }
  EXPECT_LT(drops, 10'000);
  client.peer.close();
  EXPECT_EQ(ended(receiver, "too_slow"), 1U);
}

TEST(Deadlines, EndAPeerThatStaysAfterTheRelease) {
  Receiver receiver([](scp::AcceptorSettings& s) { s.deadlines.artim = 200ms; });
  Client client(receiver);
  ASSERT_TRUE(client.associate());
  client.peer.send(scp::encode_release_request());
  const auto pdu = client.peer.receive();
  ASSERT_TRUE(pdu);
  EXPECT_EQ(pdu->type, 6);
  // The peer neither closes nor reads; the connection must still leave our books.
  for (int i = 0; i < 1000 && receiver.acceptor().counters().connections_open != 0; ++i) {
    pollfd nothing{-1, 0, 0};
    ::poll(&nothing, 1, 10);
  }
  EXPECT_EQ(receiver.acceptor().counters().connections_open, 0U);
}

TEST(Deadlines, EndAPeerThatNeverReads) {
  Receiver receiver([](scp::AcceptorSettings& s) { s.deadlines.write = 300ms; });
  Client client(receiver);
  ASSERT_TRUE(client.associate());
  // Echo upon echo without reading one answer: at some point nothing more goes out, and nothing more is taken in.
  const auto echo = scp::encode_data(1, true, encode(echo_request()), 0);
  scp::Bytes many;
  for (int i = 0; i < 1000; ++i) many.insert(many.end(), echo.begin(), echo.end());
  bool gone = false;
  for (int i = 0; i < 2000 && !gone; ++i) gone = !client.peer.send(many);
  EXPECT_TRUE(gone);
  EXPECT_EQ(ended(receiver, "write_timed_out"), 1U);
}

TEST(Crowd, OfSilentAndStalledPeersKeepsNoHonestOneWaiting) {
  rlimit descriptors{};
  ::getrlimit(RLIMIT_NOFILE, &descriptors);
  if (descriptors.rlim_max < 4096) GTEST_SKIP() << "needs 4,096 open files for both ends";
  descriptors.rlim_cur = 4096;
  ::setrlimit(RLIMIT_NOFILE, &descriptors);
  Receiver receiver;
  std::vector<std::unique_ptr<RawPeer>> silent;
  std::vector<std::unique_ptr<Client>> associated;
  const auto request = encode(association_request(usual_contexts()));
  for (int i = 0; i < 1500; ++i) {
    silent.push_back(std::make_unique<RawPeer>(receiver.port()));
    if (i % 2 == 0) silent.back()->send(ByteView(request).first(40));
  }
  for (int i = 0; i < 100; ++i) {
    associated.push_back(std::make_unique<Client>(receiver));
    ASSERT_TRUE(associated.back()->associate()) << i;
    if (i % 2 == 0) associated.back()->command(3, store_request(std::string(mr_class), "1.2.3.100.1"));
  }
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(honest_is_served(receiver));
}

TEST(Crowd, OfStrangersGetsFewConnectionsAndLeavesRoom) {
  Receiver receiver([](scp::AcceptorSettings& s) { s.peers = {{"far", "FAR", {"10.0.0.0/8"}}}; });
  std::vector<std::unique_ptr<RawPeer>> strangers;
  for (int i = 0; i < 100; ++i) strangers.push_back(std::make_unique<RawPeer>(receiver.port()));
  int open = 0;
  for (auto& stranger : strangers) {
    if (!stranger->ended(50)) ++open;
  }
  EXPECT_LE(open, 8);
}

TEST(Crowd, OfManyShortAssociationsLeavesNothingBehind) {
  // DCMTK's pool ends after 32,697 associations (spec/durability.md 2.9).
  Receiver receiver;
  for (int i = 0; i < 3000; ++i) {
    Client client(receiver);
    ASSERT_TRUE(client.associate()) << i;
    ASSERT_TRUE(client.release()) << i;
  }
  for (int i = 0; i < 500 && receiver.acceptor().counters().connections_open != 0; ++i) {
    pollfd nothing{-1, 0, 0};
    ::poll(&nothing, 1, 10);
  }
  const auto counters = receiver.acceptor().counters();
  EXPECT_EQ(counters.connections_open, 0U);
  EXPECT_EQ(counters.associations_open, 0U);
  EXPECT_EQ(counters.associations_accepted, 3000U);
}

TEST(Drain, EndsIdleAssociationsAndLetsTheCommandInFlightEnd) {
  Receiver receiver;
  Client idle(receiver);
  Client busy(receiver);
  ASSERT_TRUE(idle.associate());
  ASSERT_TRUE(busy.associate());
  const auto image = mr_image();
  busy.command(3, store_request(std::string(mr_class), "1.2.3.100.1"));
  const auto whole = scp::encode_data(3, false, image, 16384);
  busy.peer.send(ByteView(whole).first(6));
  // The command has arrived once its file is under way.
  const auto under_way = [&] {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(receiver.spool())) {
      if (entry.path().extension() == ".part") return true;
    }
    return false;
  };
  while (!under_way()) std::this_thread::yield();
  std::thread drain([&] { receiver.acceptor().drain(20s); });
  EXPECT_TRUE(idle.aborted());
  busy.peer.send(ByteView(whole).subspan(6));
  EXPECT_EQ(busy.status(), 0);
  EXPECT_TRUE(busy.aborted());
  drain.join();
  EXPECT_EQ(receiver.committed().size(), 1U);
  RawPeer late(receiver.port());
  EXPECT_TRUE(!late.connected() || late.ended());
}

TEST(Drain, AbortsWhatDoesNotEndInTime) {
  Receiver receiver;
  Client stalled(receiver);
  ASSERT_TRUE(stalled.associate());
  stalled.command(3, store_request(std::string(mr_class), "1.2.3.100.1"));
  receiver.acceptor().drain(100ms);
  EXPECT_TRUE(stalled.peer.ended());
  EXPECT_TRUE(receiver.committed().empty());
}

TEST(Restart, AdoptsWhatWasAcknowledged) {
  TemporaryFolder state;
  const auto place = [&](scp::AcceptorSettings& s) {
    s.spool_dir = state.path() / "spool";
    s.quarantine_dir = state.path() / "quarantine";
  };
  std::vector<ReceivedInstance> before;
  {
    Receiver receiver(place);
    Client client(receiver);
    ASSERT_TRUE(client.associate());
    for (int i = 0; i < 5; ++i) ASSERT_EQ(client.store(mr_image({}, 512U + 2U * static_cast<unsigned>(i))), 0);
    before = receiver.committed();
  }
  Receiver again(place);
  const auto& adopted = again.acceptor().recovery().adopted;
  ASSERT_EQ(adopted.size(), before.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(adopted[i].receive_id, before[i].receive_id);
    EXPECT_EQ(adopted[i].sha256, before[i].sha256);
    EXPECT_EQ(adopted[i].spool_file, before[i].spool_file);
    EXPECT_EQ(adopted[i].association_id, before[i].association_id);
    EXPECT_EQ(adopted[i].peer_address, before[i].peer_address);
  }
  Client client(again);
  ASSERT_TRUE(client.associate());
  EXPECT_EQ(client.store(mr_image()), 0);
  EXPECT_GT(again.committed().back().receive_id, before.back().receive_id);
  EXPECT_GT(again.committed().back().association_id, before.back().association_id);
}

TEST(Start, SaysWhatIsWrongWithTheAddress) {
  TemporaryFolder state;
  scp::AcceptorSettings settings;
  settings.spool_dir = state.path() / "spool";
  settings.quarantine_dir = state.path() / "quarantine";
  for (const char* listen : {"", "11112", "127.0.0.1:", "127.0.0.1:99999", "host.invalid:1", "127.0.0.1:1x"}) {
    settings.listen = listen;
    const auto started = scp::Acceptor::start(settings, {});
    ASSERT_FALSE(started) << listen;
    EXPECT_EQ(started.error().code, ErrorCode::invalid_settings) << listen;
  }
  settings.listen = "127.0.0.1:0";
  const auto first = scp::Acceptor::start(settings, {});
  ASSERT_TRUE(first);
  settings.listen = "127.0.0.1:" + std::to_string((*first)->port());
  settings.spool_dir = state.path() / "spool2";
  const auto second = scp::Acceptor::start(settings, {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::connection_failed);
}

}  // namespace
}  // namespace choana::test
