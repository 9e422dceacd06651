#include "dicom/association_client.h"

#include <dcmtk/config/osconfig.h>

#include <dcmtk/dcmdata/dcostrmb.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmnet/scp.h>
#include <gtest/gtest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/unit/node/temporary_folder.h"

extern char** environ;

namespace choana {
namespace {

namespace fs = std::filesystem;

constexpr const char* mr_storage = UID_MRImageStorage;
constexpr const char* sr_storage = UID_EnhancedSRStorage;

// A listening socket on a free port of the loopback.
struct Listener {
  int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::uint16_t port = 0;

  Listener() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(socket, 8), 0);
    ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
  }
  ~Listener() { close(); }
  void close() {
    if (socket >= 0) ::close(socket);
    socket = -1;
  }
};

std::uint16_t free_port() {
  const Listener listener;
  return listener.port;
}

// Accepts one connection, reads what comes first and answers with fixed bytes, then waits for the peer to leave.
class ScriptedPeer {
 public:
  explicit ScriptedPeer(std::string answer) : thread_([this, answer = std::move(answer)] { serve(answer); }) {}
  ~ScriptedPeer() {
    ::shutdown(listener_.socket, SHUT_RDWR);
    thread_.join();
  }
  [[nodiscard]] std::uint16_t port() const { return listener_.port; }

 private:
  void serve(const std::string& answer) {
    const int connection = ::accept(listener_.socket, nullptr, nullptr);
    if (connection < 0) return;
    char bytes[4096];
    if (::recv(connection, bytes, sizeof bytes, 0) > 0 && !answer.empty()) static_cast<void>(::send(connection, answer.data(), answer.size(), MSG_NOSIGNAL));
    while (::recv(connection, bytes, sizeof bytes, 0) > 0) {}
    ::close(connection);
  }

  Listener listener_;
  std::thread thread_;
};

// A-ASSOCIATE-RJ, PS3.8 9.3.4: result, source, reason.
std::string rejection(char result, char source, char reason) { return std::string{3, 0, 0, 0, 0, 4, 0, result, source, reason}; }

PeerAddress peer_at(std::uint16_t port) {
  PeerAddress peer;
  peer.called_ae_title = "PACS";
  peer.calling_ae_title = "CHOANA";
  peer.host = "127.0.0.1";
  peer.port = port;
  return peer;
}

AssociationTimeouts short_waits() {
  AssociationTimeouts timeouts;
  timeouts.connect_s = 2;
  timeouts.associate_s = 1;
  timeouts.response_s = 1;
  return timeouts;
}

fs::path write_object(const fs::path& folder, const std::string& name, const char* sop_class, E_TransferSyntax syntax = EXS_LittleEndianExplicit) {
  DcmFileFormat format;
  DcmDataset& dataset = *format.getDataset();
  dataset.putAndInsertString(DCM_SOPClassUID, sop_class);
  dataset.putAndInsertString(DCM_SOPInstanceUID, ("2.25.1234" + std::to_string(std::hash<std::string>{}(name))).c_str());
  dataset.putAndInsertString(DCM_StudyInstanceUID, "2.25.5");
  dataset.putAndInsertString(DCM_SeriesInstanceUID, "2.25.6");
  dataset.putAndInsertString(DCM_PatientName, "Test^Synthetic");
  dataset.putAndInsertString(DCM_Modality, sop_class == mr_storage ? "MR" : "SR");
  const fs::path file = folder / (name + ".dcm");
  EXPECT_TRUE(format.saveFile(file.c_str(), syntax).good());
  return file;
}

// DCMTK's storescp as an independent peer.
class StoreScp {
 public:
  StoreScp(const fs::path& folder, std::vector<std::string> options = {}) : port_(free_port()) {
    std::vector<std::string> words{"storescp", "-od", folder.string(), "-aet", "PACS"};
    words.insert(words.end(), options.begin(), options.end());
    words.push_back(std::to_string(port_));
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (::posix_spawnp(&process_, "storescp", &actions, nullptr, arguments.data(), environ) != 0) process_ = -1;
    posix_spawn_file_actions_destroy(&actions);
  }
  ~StoreScp() {
    if (process_ <= 0) return;
    ::kill(process_, SIGTERM);
    ::waitpid(process_, nullptr, 0);
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] bool wait_until_listening() const {
    for (int n = 0; n < 500; ++n) {
      const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      address.sin_port = htons(port_);
      const bool connected = ::connect(probe, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
      ::close(probe);
      if (connected) return true;
      ::poll(nullptr, 0, 20);
    }
    return false;
  }
  static bool installed() { return std::system("command -v storescp >/dev/null 2>&1") == 0; }

 private:
  std::uint16_t port_;
  pid_t process_ = -1;
};

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  return files;
}

TEST(StoreClient, NobodyListeningIsAFailedConnection) {
  StoreClient client(peer_at(free_port()), short_waits());
  const auto echo = client.echo();
  ASSERT_FALSE(echo);
  EXPECT_EQ(echo.error().code, ErrorCode::connection_failed);
  EXPECT_NE(echo.error().message.find("PACS at 127.0.0.1:"), std::string::npos) << echo.error().message;
}

TEST(StoreClient, APeerThatNeverAnswersTimesOut) {
  const ScriptedPeer peer("");
  StoreClient client(peer_at(peer.port()), short_waits());
  const auto echo = client.echo();
  ASSERT_FALSE(echo);
  EXPECT_EQ(echo.error().code, ErrorCode::timed_out) << echo.error().message;
}

TEST(StoreClient, ARejectionSaysWhetherARetryCanHelp) {
  {
    const ScriptedPeer peer(rejection(1, 1, 3));  // permanent, service user, calling AE title not recognised
    const auto echo = StoreClient(peer_at(peer.port()), short_waits()).echo();
    ASSERT_FALSE(echo);
    EXPECT_EQ(echo.error().code, ErrorCode::association_rejected);
    EXPECT_EQ(echo.error().context, "permanent");
    EXPECT_NE(echo.error().message.find("does not know our AE title CHOANA"), std::string::npos) << echo.error().message;
  }
  {
    const ScriptedPeer peer(rejection(2, 3, 2));  // transient, service provider (presentation), local limit exceeded
    const auto echo = StoreClient(peer_at(peer.port()), short_waits()).echo();
    ASSERT_FALSE(echo);
    EXPECT_EQ(echo.error().context, "transient");
    EXPECT_NE(echo.error().message.find("busy"), std::string::npos) << echo.error().message;
  }
}

TEST(StoreClient, APeerThatSpeaksSomethingElseIsAnError) {
  const ScriptedPeer peer("HTTP/1.1 400 Bad Request\r\n\r\n");
  const auto echo = StoreClient(peer_at(peer.port()), short_waits()).echo();
  ASSERT_FALSE(echo);
  EXPECT_TRUE(echo.error().code == ErrorCode::connection_failed || echo.error().code == ErrorCode::timed_out) << to_string(echo.error());
}

TEST(StoreClient, AFileThatIsNoDicomIsNamed) {
  const test::TemporaryFolder folder;
  std::ofstream(folder.path() / "x.dcm") << "nothing";
  StoreClient client(peer_at(free_port()), short_waits());
  const auto connected = client.connect({folder.path() / "x.dcm"});
  ASSERT_FALSE(connected);
  EXPECT_EQ(connected.error().code, ErrorCode::not_dicom);
  EXPECT_EQ(client.connect({folder.path() / "none.dcm"}).error().code, ErrorCode::io_error);
}

TEST(StoreClient, StoresOverOneAssociationWhatAnIndependentScpReceives) {
  if (!StoreScp::installed()) GTEST_SKIP() << "storescp (package dcmtk) is not installed";
  const test::TemporaryFolder sent;
  const test::TemporaryFolder received;
  const StoreScp scp(received.path());
  ASSERT_TRUE(scp.wait_until_listening());
  const std::vector<fs::path> files{write_object(sent.path(), "sr", sr_storage), write_object(sent.path(), "mr", mr_storage),
                                    write_object(sent.path(), "implicit", mr_storage, EXS_LittleEndianImplicit)};
  StoreClient client(peer_at(scp.port()));
  ASSERT_TRUE(client.echo());
  EXPECT_FALSE(client.connected());
  const auto connected = client.connect(files);
  ASSERT_TRUE(connected) << connected.error().message;
  for (const fs::path& file : files) {
    const auto status = client.store(file);
    ASSERT_TRUE(status) << status.error().message;
    EXPECT_EQ(*status, 0);
  }
  client.release();
  EXPECT_FALSE(client.connected());
  EXPECT_EQ(files_in(received.path()).size(), 3U);
  DcmFileFormat back;
  for (const fs::path& file : files_in(received.path())) {
    ASSERT_TRUE(back.loadFile(file.c_str()).good());
    OFString name;
    back.getDataset()->findAndGetOFString(DCM_PatientName, name);
    EXPECT_EQ(name, "Test^Synthetic");
  }
}

TEST(StoreClient, AnObjectIsSentInTheDefaultSyntaxWhereThePeerKnowsNoOther) {
  if (!StoreScp::installed()) GTEST_SKIP() << "storescp (package dcmtk) is not installed";
  const test::TemporaryFolder sent;
  const test::TemporaryFolder received;
  const StoreScp scp(received.path(), {"+xi"});  // implicit VR little endian only
  ASSERT_TRUE(scp.wait_until_listening());
  const fs::path file = write_object(sent.path(), "sr", sr_storage);
  StoreClient client(peer_at(scp.port()));
  ASSERT_TRUE(client.connect({file}));
  const auto status = client.store(file);
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(*status, 0);
}

TEST(StoreClient, AClassThatWasNotProposedIsRefusedAndTheAssociationStays) {
  if (!StoreScp::installed()) GTEST_SKIP() << "storescp (package dcmtk) is not installed";
  const test::TemporaryFolder sent;
  const test::TemporaryFolder received;
  const StoreScp scp(received.path());
  ASSERT_TRUE(scp.wait_until_listening());
  const fs::path sr = write_object(sent.path(), "sr", sr_storage);
  const fs::path mr = write_object(sent.path(), "mr", mr_storage);
  StoreClient client(peer_at(scp.port()));
  ASSERT_TRUE(client.connect({sr}));
  const auto refused = client.store(mr);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::peer_refused);
  EXPECT_TRUE(client.store(sr)) << "the association still works";
}

TEST(StoreClient, AFullPeerAnswersOutOfResources) {
  if (!StoreScp::installed()) GTEST_SKIP() << "storescp (package dcmtk) is not installed";
  const test::TemporaryFolder sent;
  const test::TemporaryFolder received;
  const StoreScp scp(received.path());
  ASSERT_TRUE(scp.wait_until_listening());
  const fs::path file = write_object(sent.path(), "sr", sr_storage);
  StoreClient client(peer_at(scp.port()));
  ASSERT_TRUE(client.connect({file}));
  fs::remove_all(received.path());  // storescp cannot create its file any more
  const auto status = client.store(file);
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(*status >> 8U, 0xA7);
}

TEST(StoreClient, APeerThatDiesIsNoticedAndTheNextAssociationIsNew) {
  if (!StoreScp::installed()) GTEST_SKIP() << "storescp (package dcmtk) is not installed";
  const test::TemporaryFolder sent;
  const test::TemporaryFolder received;
  const fs::path file = write_object(sent.path(), "sr", sr_storage);
  auto scp = std::make_unique<StoreScp>(received.path());
  ASSERT_TRUE(scp->wait_until_listening());
  StoreClient client(peer_at(scp->port()), short_waits());
  ASSERT_TRUE(client.connect({file}));
  scp.reset();
  const auto status = client.store(file);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::connection_failed) << status.error().message;
  EXPECT_FALSE(client.connected());
  EXPECT_EQ(client.connect({file}).error().code, ErrorCode::connection_failed);
}

// Storage commitment by DCMTK's acceptor: reports on the same association, then ends.
class CommitmentScp final : public DcmSCP {
 public:
  CommitmentScp(bool reports, Uint16 action_status) : reports_(reports), action_status_(action_status) {
    port_ = free_port();
    setPort(port_);
    setAETitle("PACS");
    setConnectionBlockingMode(DUL_NOBLOCK);
    setConnectionTimeout(30);
    OFList<OFString> syntaxes;
    syntaxes.push_back(UID_LittleEndianImplicitTransferSyntax);
    addPresentationContext(UID_StorageCommitmentPushModelSOPClass, syntaxes);
    EXPECT_TRUE(openListenPort().good());
    thread_ = std::thread([this] { acceptAssociations(); });
  }
  ~CommitmentScp() override { thread_.join(); }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  std::string transaction;
  unsigned long items = 0;

 protected:
  OFBool stopAfterCurrentAssociation() override { return OFTrue; }
  OFBool stopAfterConnectionTimeout() override { return OFTrue; }
  OFCondition handleIncomingCommand(T_DIMSE_Message* message, const DcmPresentationContextInfo& context) override {
    if (message->CommandField != DIMSE_N_ACTION_RQ) return DcmSCP::handleIncomingCommand(message, context);
    DcmDataset* request = nullptr;
    Uint16 action = 0;
    OFCondition condition = receiveACTIONRequest(message->msg.NActionRQ, context.presentationContextID, request, action);
    const std::unique_ptr<DcmDataset> owned(request);
    if (condition.bad()) return condition;
    OFString uid;
    request->findAndGetOFString(DCM_TransactionUID, uid);
    transaction = uid.c_str();
    DcmSequenceOfItems* sequence = nullptr;
    if (request->findAndGetSequence(DCM_ReferencedSOPSequence, sequence).good()) items = sequence->card();
    EXPECT_EQ(action, 1);
    condition = sendACTIONResponse(context.presentationContextID, message->msg.NActionRQ.MessageID, message->msg.NActionRQ.RequestedSOPClassUID,
                                   message->msg.NActionRQ.RequestedSOPInstanceUID, action_status_);
    if (condition.bad() || !reports_) return condition;
    DcmDataset report;
    report.putAndInsertString(DCM_TransactionUID, uid.c_str());
    for (unsigned long n = 0; n < items; ++n) {
      DcmItem* item = nullptr;
      const bool fails = n == 0;
      report.findOrCreateSequenceItem(fails ? DCM_FailedSOPSequence : DCM_ReferencedSOPSequence, item, -2);
      OFString value;
      sequence->getItem(n)->findAndGetOFString(DCM_ReferencedSOPInstanceUID, value);
      item->putAndInsertString(DCM_ReferencedSOPInstanceUID, value.c_str());
      item->putAndInsertString(DCM_ReferencedSOPClassUID, sr_storage);
      if (fails) item->putAndInsertUint16(DCM_FailureReason, 0x0112);
    }
    Uint16 status = 0xFFFF;
    return sendEVENTREPORTRequest(context.presentationContextID, UID_StorageCommitmentPushModelSOPInstance, message->msg.NActionRQ.MessageID, 2, &report,
                                  status);
  }

 private:
  bool reports_;
  Uint16 action_status_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

TEST(StorageCommitment, IsAskedForAndReportedOnTheSameAssociation) {
  CommitmentScp scp(true, STATUS_Success);
  const auto report = StoreClient(peer_at(scp.port())).request_commitment("2.25.77", {{sr_storage, "2.25.1", 0}, {sr_storage, "2.25.2", 0}}, 10);
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_TRUE(*report);
  EXPECT_EQ(scp.transaction, "2.25.77");
  EXPECT_EQ((*report)->transaction_uid, "2.25.77");
  ASSERT_EQ((*report)->committed.size(), 1U);
  EXPECT_EQ((*report)->committed[0].sop_instance_uid, "2.25.2");
  ASSERT_EQ((*report)->failed.size(), 1U);
  EXPECT_EQ((*report)->failed[0].sop_instance_uid, "2.25.1");
  EXPECT_EQ((*report)->failed[0].failure_reason, 0x0112);
}

TEST(StorageCommitment, WithoutWaitingThereIsNoReportYet) {
  CommitmentScp scp(false, STATUS_Success);
  const auto report = StoreClient(peer_at(scp.port())).request_commitment("2.25.77", {{sr_storage, "2.25.1", 0}}, 0);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_FALSE(*report);
  EXPECT_EQ(scp.items, 1U);
}

TEST(StorageCommitment, ARefusedRequestIsAnError) {
  CommitmentScp scp(false, 0x0110);
  const auto report = StoreClient(peer_at(scp.port())).request_commitment("2.25.77", {{sr_storage, "2.25.1", 0}}, 5);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::peer_refused);
}

TEST(StorageCommitment, APeerThatDoesNotOfferItIsSaidSo) {
  if (!StoreScp::installed()) GTEST_SKIP() << "storescp (package dcmtk) is not installed";
  const test::TemporaryFolder received;
  const StoreScp scp(received.path());
  ASSERT_TRUE(scp.wait_until_listening());
  const auto report = StoreClient(peer_at(scp.port())).request_commitment("2.25.77", {{sr_storage, "2.25.1", 0}}, 5);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::peer_refused);
}

// DCMTK writes, our bounded reader reads.
std::vector<std::uint8_t> written_report(E_TransferSyntax syntax, E_EncodingType lengths) {
  DcmDataset dataset;
  dataset.putAndInsertString(DCM_TransactionUID, "2.25.77");
  dataset.putAndInsertString(DCM_RetrieveAETitle, "ARCHIVE");
  for (const char* uid : {"2.25.1", "2.25.22"}) {
    DcmItem* item = nullptr;
    dataset.findOrCreateSequenceItem(DCM_ReferencedSOPSequence, item, -2);
    item->putAndInsertString(DCM_ReferencedSOPClassUID, sr_storage);
    item->putAndInsertString(DCM_ReferencedSOPInstanceUID, uid);
    item->putAndInsertUint8Array(DcmTag(0x0009, 0x1010, EVR_UN), reinterpret_cast<const Uint8*>("abcd"), 4);
  }
  DcmItem* item = nullptr;
  dataset.findOrCreateSequenceItem(DCM_FailedSOPSequence, item, -2);
  item->putAndInsertString(DCM_ReferencedSOPInstanceUID, "2.25.3");
  item->putAndInsertUint16(DCM_FailureReason, 0x0110);
  std::vector<char> buffer(65536);
  DcmOutputBufferStream stream(buffer.data(), static_cast<offile_off_t>(buffer.size()));
  dataset.transferInit();
  EXPECT_TRUE(dataset.write(stream, syntax, lengths, nullptr).good());
  dataset.transferEnd();
  void* bytes = nullptr;
  offile_off_t size = 0;
  stream.flushBuffer(bytes, size);
  return {static_cast<std::uint8_t*>(bytes), static_cast<std::uint8_t*>(bytes) + size};
}

TEST(CommitmentReport, IsReadInEveryEncoding) {
  for (const E_TransferSyntax syntax : {EXS_LittleEndianImplicit, EXS_LittleEndianExplicit})
    for (const E_EncodingType lengths : {EET_ExplicitLength, EET_UndefinedLength}) {
      const auto report = read_commitment_report(DcmXfer(syntax).getXferID(), written_report(syntax, lengths));
      ASSERT_TRUE(report) << report.error().message;
      EXPECT_EQ(report->transaction_uid, "2.25.77");
      ASSERT_EQ(report->committed.size(), 2U);
      EXPECT_EQ(report->committed[1].sop_instance_uid, "2.25.22");
      EXPECT_EQ(report->committed[1].sop_class_uid, sr_storage);
      ASSERT_EQ(report->failed.size(), 1U);
      EXPECT_EQ(report->failed[0].failure_reason, 0x0110);
    }
}

TEST(CommitmentReport, SurvivesAnyDamage) {
  for (const E_TransferSyntax syntax : {EXS_LittleEndianImplicit, EXS_LittleEndianExplicit}) {
    const std::string uid = DcmXfer(syntax).getXferID();
    const std::vector<std::uint8_t> whole = written_report(syntax, EET_UndefinedLength);
    for (std::size_t cut = 0; cut < whole.size(); ++cut) {
      const auto report = read_commitment_report(uid, {whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(cut)});
      if (report) {
        EXPECT_LE(report->committed.size(), 2U);
      }
      for (const int value : {0x00, 0xFF, 0x7F}) {
        std::vector<std::uint8_t> damaged = whole;
        damaged[cut] = static_cast<std::uint8_t>(value);
        static_cast<void>(read_commitment_report(uid, damaged));
      }
    }
  }
  // A nest of a thousand sequences is refused, not followed.
  std::vector<std::uint8_t> nest;
  for (int n = 0; n < 1000; ++n)
    for (const int byte : {0x08, 0x00, 0x99, 0x11, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF})
      nest.push_back(static_cast<std::uint8_t>(byte));
  const auto report = read_commitment_report(UID_LittleEndianImplicitTransferSyntax, nest);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::limit_exceeded);
}

}  // namespace
}  // namespace choana
