#include "dicom/association_client.h"

#include <dcmtk/config/osconfig.h>

#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dcmlayer.h>
#include <dcmtk/dcmnet/dcmtrans.h>
#include <dcmtk/dcmnet/dimse.h>
#include <dcmtk/dcmtls/tlslayer.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <utility>

namespace choana {
namespace {

constexpr const char* step = "associate";
constexpr std::size_t contexts_max = 128;
constexpr long receive_pdu_max = 131072;

// Debian's DCMTK leaves Nagle's algorithm on and sends each PDU in two writes: 44 ms an object. The variable TCP_NODELAY
// would change it for the whole process; a transport layer of our own sees the socket.
template <typename Layer>
class WithoutDelay final : public Layer {
 public:
  using Layer::Layer;

  DcmTransportConnection* createConnection(DcmNativeSocketType socket, OFBool secure) override {
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return Layer::createConnection(socket, secure);
  }
};

bool is_timeout(const OFCondition& condition) {
  return condition == DUL_READTIMEOUT || condition == DIMSE_NODATAAVAILABLE;
}

// DCMTK's own text may hold what the peer sent; one line of printable ASCII is enough.
std::string text_of(const OFCondition& condition) {
  std::string text;
  for (const char c : std::string(condition.text()).substr(0, 200)) text += c >= 0x20 && c < 0x7F ? c : ' ';
  return text;
}

struct Proposal {
  std::string sop_class_uid;
  std::string transfer_syntax_uid;
  friend bool operator<(const Proposal& a, const Proposal& b) {
    return std::tie(a.sop_class_uid, a.transfer_syntax_uid) < std::tie(b.sop_class_uid, b.transfer_syntax_uid);
  }
};

Result<Proposal> proposal_for(const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error)) return fail(ErrorCode::io_error, step, "The file to send is not there: " + file.filename().string());
  DcmFileFormat format;
  if (format.loadFile(OFFilename(file.c_str()), EXS_Unknown, EGL_noChange, DCM_MaxReadLength, ERM_metaOnly).bad())
    return fail(ErrorCode::not_dicom, step, "The file to send is no DICOM file: " + file.filename().string());
  DcmMetaInfo& meta = *format.getMetaInfo();
  OFString sop_class;
  OFString syntax;
  if (meta.findAndGetOFString(DCM_MediaStorageSOPClassUID, sop_class).bad() || meta.findAndGetOFString(DCM_TransferSyntaxUID, syntax).bad())
    return fail(ErrorCode::not_dicom, step, "The file to send has no complete file meta information: " + file.filename().string());
  return Proposal{sop_class.c_str(), syntax.c_str()};
}

bool is_uncompressed(const std::string& transfer_syntax_uid) {
  return transfer_syntax_uid == UID_LittleEndianImplicitTransferSyntax || transfer_syntax_uid == UID_LittleEndianExplicitTransferSyntax ||
         transfer_syntax_uid == UID_BigEndianExplicitTransferSyntax || transfer_syntax_uid == UID_DeflatedExplicitVRLittleEndianTransferSyntax;
}

std::vector<CommitmentItem> items_of(DcmDataset& dataset, const DcmTagKey& sequence_tag) {
  std::vector<CommitmentItem> items;
  DcmSequenceOfItems* sequence = nullptr;
  if (dataset.findAndGetSequence(sequence_tag, sequence).bad() || sequence == nullptr) return items;
  for (unsigned long n = 0; n < sequence->card(); ++n) {
    DcmItem& item = *sequence->getItem(n);
    OFString sop_class;
    OFString sop_instance;
    Uint16 reason = 0;
    item.findAndGetOFString(DCM_ReferencedSOPClassUID, sop_class);
    item.findAndGetOFString(DCM_ReferencedSOPInstanceUID, sop_instance);
    item.findAndGetUint16(DCM_FailureReason, reason);
    items.push_back({sop_class.c_str(), sop_instance.c_str(), reason});
  }
  return items;
}

}  // namespace

struct StoreClient::State {
  PeerAddress peer;
  AssociationTimeouts timeouts;
  std::unique_ptr<DcmTransportLayer> layer;
  T_ASC_Network* network = nullptr;
  T_ASC_Association* association = nullptr;

  ~State() { drop(true); }

  void drop(bool abort) {
    if (association != nullptr) {
      if (abort) ASC_abortAssociation(association);
      ASC_destroyAssociation(&association);
    }
    association = nullptr;
    if (network != nullptr) ASC_dropNetwork(&network);
    network = nullptr;
  }

  // The transport layer outlives associations: TLS files are read once.
  Status make_layer() {
    if (layer) return {};
    if (!peer.tls) {
      layer = std::make_unique<WithoutDelay<DcmTransportLayer>>();
      return {};
    }
    auto tls = std::make_unique<WithoutDelay<DcmTLSTransportLayer>>(NET_REQUESTOR, nullptr, OFTrue);
    const auto wrong = [](const std::string& what) { return fail(ErrorCode::invalid_settings, step, what); };
    if (tls->addTrustedCertificateFile(peer.trusted_file.c_str(), DCF_Filetype_PEM).bad())
      return wrong("The trusted certificates cannot be read: " + peer.trusted_file.string());
    if (!peer.certificate_file.empty()) {
      if (tls->setPrivateKeyFile(peer.key_file.c_str(), DCF_Filetype_PEM).bad()) return wrong("The TLS key cannot be read: " + peer.key_file.string());
      if (tls->setCertificateFile(peer.certificate_file.c_str(), DCF_Filetype_PEM).bad())
        return wrong("The TLS certificate cannot be read: " + peer.certificate_file.string());
      if (!tls->checkPrivateKeyMatchesCertificate()) return wrong("TLS key and certificate do not belong together: " + peer.certificate_file.string());
    }
    tls->setCertificateVerification(DCV_requireCertificate);
    if (tls->setTLSProfile(TSP_Profile_BCP195).bad() || tls->activateCipherSuites().bad()) return wrong("OpenSSL does not offer the cipher suites of BCP 195.");
    layer = std::move(tls);
    return {};
  }

  Status associate(const std::vector<std::pair<std::string, std::vector<std::string>>>& contexts) {
    drop(true);
    if (auto made = make_layer(); !made) return made;
    dcmConnectionTimeout.set(timeouts.connect_s);
    T_ASC_Parameters* parameters = nullptr;
    OFCondition condition = ASC_initializeNetwork(NET_REQUESTOR, 0, timeouts.associate_s, &network);
    if (condition.good()) condition = ASC_setTransportLayer(network, layer.get(), 0);
    if (condition.good()) condition = ASC_createAssociationParameters(&parameters, receive_pdu_max);
    if (condition.good()) {
      ASC_setAPTitles(parameters, peer.calling_ae_title.c_str(), peer.called_ae_title.c_str(), nullptr);
      ASC_setPresentationAddresses(parameters, "localhost", (peer.host + ":" + std::to_string(peer.port)).c_str());
      condition = ASC_setTransportLayerType(parameters, peer.tls ? OFTrue : OFFalse);
    }
    T_ASC_PresentationContextID id = 1;
    for (const auto& [sop_class, syntaxes] : contexts) {
      if (condition.bad()) break;
      std::vector<const char*> list;
      for (const std::string& syntax : syntaxes) list.push_back(syntax.c_str());
      condition = ASC_addPresentationContext(parameters, id, sop_class.c_str(), list.data(), static_cast<int>(list.size()));
      id = static_cast<T_ASC_PresentationContextID>(id + 2);
    }
    if (condition.bad()) {
      if (parameters != nullptr) ASC_destroyAssociationParameters(&parameters);
      drop(false);
      return fail(ErrorCode::internal, step, "The association could not be prepared: " + text_of(condition));
    }
    condition = ASC_requestAssociation(network, parameters, &association, nullptr, nullptr, DUL_NOBLOCK, timeouts.associate_s);
    if (condition.good()) {
      if (ASC_countAcceptedPresentationContexts(association->params) > 0) return {};
      release();
      return fail(ErrorCode::peer_refused, step, who() + " accepts none of the proposed SOP classes.");
    }
    Error error = association_error(condition, parameters);
    // On failure DCMTK keeps the parameters in the association it made, or leaves them to us.
    if (association == nullptr) ASC_destroyAssociationParameters(&parameters);
    drop(false);
    return fail(std::move(error));
  }

  [[nodiscard]] std::string who() const { return peer.called_ae_title + " at " + peer.host + ":" + std::to_string(peer.port); }

  Error association_error(const OFCondition& condition, T_ASC_Parameters* parameters) const {
    if (condition == DUL_ASSOCIATIONREJECTED) {
      T_ASC_RejectParameters reject;
      ASC_getRejectParameters(parameters, &reject);
      const bool permanent = reject.result == ASC_RESULT_REJECTEDPERMANENT;
      std::string reason;
      switch (reject.reason) {
        case ASC_REASON_SU_CALLEDAETITLENOTRECOGNIZED: reason = "it does not know the called AE title " + peer.called_ae_title; break;
        case ASC_REASON_SU_CALLINGAETITLENOTRECOGNIZED: reason = "it does not know our AE title " + peer.calling_ae_title + "; it must be registered there"; break;
        case ASC_REASON_SP_PRES_LOCALLIMITEXCEEDED:
        case ASC_REASON_SP_PRES_TEMPORARYCONGESTION: reason = "it is busy"; break;
        default: reason = "reason " + std::to_string(static_cast<int>(reject.reason) & 0xff);
      }
      return {ErrorCode::association_rejected, step, who() + " rejected the association: " + reason + ".", permanent ? "permanent" : "transient"};
    }
    if (is_timeout(condition)) return {ErrorCode::timed_out, step, who() + " did not answer the association request in time.", {}};
    return {ErrorCode::connection_failed, step, "No connection to " + who() + ": " + text_of(condition) + ".", {}};
  }

  Error exchange_error(const OFCondition& condition, const char* during) {
    drop(true);
    if (is_timeout(condition)) return {ErrorCode::timed_out, during, who() + " did not answer in time; the association was aborted.", {}};
    return {ErrorCode::connection_failed, during, "The association with " + who() + " broke: " + text_of(condition) + ".", {}};
  }

  // Wait for the N-EVENT-REPORT on the association that carried the N-ACTION; no report is no error.
  std::optional<CommitmentReport> wait_for_report(int wait_s) {
    T_ASC_PresentationContextID id = 0;
    T_DIMSE_Message message{};
    DcmDataset* detail = nullptr;
    const OFCondition received = DIMSE_receiveCommand(association, DIMSE_NONBLOCKING, wait_s, &id, &message, &detail);
    delete detail;
    if (received == DUL_PEERREQUESTEDRELEASE) {
      ASC_acknowledgeRelease(association);
      drop(false);
      return std::nullopt;
    }
    if (received == DIMSE_NODATAAVAILABLE) return std::nullopt;
    if (received.bad() || message.CommandField != DIMSE_N_EVENT_REPORT_RQ || message.msg.NEventReportRQ.DataSetType != DIMSE_DATASET_PRESENT) {
      drop(true);
      return std::nullopt;
    }
    const T_DIMSE_N_EventReportRQ& request = message.msg.NEventReportRQ;
    DcmDataset* dataset = nullptr;
    if (DIMSE_receiveDataSetInMemory(association, DIMSE_NONBLOCKING, timeouts.response_s, &id, &dataset, nullptr, nullptr).bad() || dataset == nullptr) {
      delete dataset;
      drop(true);
      return std::nullopt;
    }
    const std::unique_ptr<DcmDataset> owned(dataset);
    T_DIMSE_Message answer{};
    answer.CommandField = DIMSE_N_EVENT_REPORT_RSP;
    T_DIMSE_N_EventReportRSP& response = answer.msg.NEventReportRSP;
    response.MessageIDBeingRespondedTo = request.MessageID;
    response.DimseStatus = STATUS_Success;
    response.DataSetType = DIMSE_DATASET_NULL;
    response.EventTypeID = request.EventTypeID;
    response.opts = O_NEVENTREPORT_AFFECTEDSOPCLASSUID | O_NEVENTREPORT_AFFECTEDSOPINSTANCEUID | O_NEVENTREPORT_EVENTTYPEID;
    OFStandard::strlcpy(response.AffectedSOPClassUID, UID_StorageCommitmentPushModelSOPClass, sizeof response.AffectedSOPClassUID);
    OFStandard::strlcpy(response.AffectedSOPInstanceUID, UID_StorageCommitmentPushModelSOPInstance, sizeof response.AffectedSOPInstanceUID);
    if (DIMSE_sendMessageUsingMemoryData(association, id, &answer, nullptr, nullptr, nullptr, nullptr).bad()) drop(true);
    CommitmentReport report;
    OFString transaction;
    dataset->findAndGetOFString(DCM_TransactionUID, transaction);
    report.transaction_uid = transaction.c_str();
    report.committed = items_of(*dataset, DCM_ReferencedSOPSequence);
    report.failed = items_of(*dataset, DCM_FailedSOPSequence);
    return report;
  }

  void release() {
    if (association == nullptr) return;
    const bool released = ASC_releaseAssociation(association).good();
    drop(!released);
  }
};

StoreClient::StoreClient(PeerAddress peer, AssociationTimeouts timeouts) : state_(std::make_unique<State>()) {
  // DCMTK writes what peers sent to standard error; our errors say what is needed, without it.
  static std::once_flag quiet;
  std::call_once(quiet, [] { OFLog::configure(OFLogger::OFF_LOG_LEVEL); });
  state_->peer = std::move(peer);
  state_->timeouts = timeouts;
}
StoreClient::~StoreClient() = default;
StoreClient::StoreClient(StoreClient&&) noexcept = default;
StoreClient& StoreClient::operator=(StoreClient&&) noexcept = default;

bool StoreClient::connected() const { return state_->association != nullptr; }

void StoreClient::release() { state_->release(); }

Status StoreClient::echo() {
  if (auto associated = state_->associate({{UID_VerificationSOPClass, {UID_LittleEndianImplicitTransferSyntax}}}); !associated) return associated;
  DIC_US status = 0;
  DcmDataset* detail = nullptr;
  const DIC_US message = state_->association->nextMsgID++;
  const OFCondition condition = DIMSE_echoUser(state_->association, message, DIMSE_NONBLOCKING, state_->timeouts.response_s, &status, &detail);
  delete detail;
  if (condition.bad()) return fail(state_->exchange_error(condition, "echo"));
  state_->release();
  if (status != STATUS_Success) return fail(ErrorCode::peer_refused, "echo", state_->who() + " answered C-ECHO with a failure.");
  return {};
}

Status StoreClient::connect(const std::vector<std::filesystem::path>& files) {
  std::set<Proposal> proposals;
  for (const std::filesystem::path& file : files) {
    const auto proposal = proposal_for(file);
    if (!proposal) return fail(proposal.error());
    proposals.insert(*proposal);
    // Every SCP must accept the default syntax; an uncompressed object can be sent in it.
    if (is_uncompressed(proposal->transfer_syntax_uid)) proposals.insert({proposal->sop_class_uid, UID_LittleEndianImplicitTransferSyntax});
  }
  if (proposals.empty()) return fail(ErrorCode::invalid_argument, step, "There is nothing to send.");
  if (proposals.size() > contexts_max) return fail(ErrorCode::limit_exceeded, step, "More than 128 presentation contexts would be needed.");
  std::vector<std::pair<std::string, std::vector<std::string>>> contexts;
  for (const Proposal& proposal : proposals) contexts.push_back({proposal.sop_class_uid, {proposal.transfer_syntax_uid}});
  return state_->associate(contexts);
}

Result<std::uint16_t> StoreClient::store(const std::filesystem::path& file) {
  constexpr const char* during = "store";
  if (state_->association == nullptr) return fail(ErrorCode::connection_failed, during, "There is no association with " + state_->who() + ".");
  DcmFileFormat format;
  std::error_code error;
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(file, error));
  if (error) return fail(ErrorCode::io_error, during, "The file to send is not there: " + file.filename().string());
  if (format.loadFile(OFFilename(file.c_str())).bad()) return fail(ErrorCode::not_dicom, during, "The file to send is no DICOM file: " + file.filename().string());
  DcmDataset* dataset = format.getDataset();
  OFString sop_class;
  OFString sop_instance;
  if (dataset->findAndGetOFString(DCM_SOPClassUID, sop_class).bad() || dataset->findAndGetOFString(DCM_SOPInstanceUID, sop_instance).bad() ||
      sop_class.empty() || sop_instance.empty() || sop_class.length() > 64 || sop_instance.length() > 64)
    return fail(ErrorCode::not_dicom, during, "The file to send has no SOP class or instance UID: " + file.filename().string());

  const DcmXfer original(dataset->getOriginalXfer());
  const T_ASC_PresentationContextID id = ASC_findAcceptedPresentationContextID(state_->association, sop_class.c_str(), original.getXferID());
  T_ASC_PresentationContext context;
  if (id == 0 || ASC_findAcceptedPresentationContext(state_->association->params, id, &context).bad())
    return fail(ErrorCode::peer_refused, during, state_->who() + " accepts no presentation context for SOP class " + sop_class.c_str() + ".");
  const DcmXfer accepted(context.acceptedTransferSyntax);
  if (accepted.getXfer() != original.getXfer() && dataset->chooseRepresentation(accepted.getXfer(), nullptr).bad())
    return fail(ErrorCode::peer_refused, during,
                state_->who() + " accepts SOP class " + sop_class.c_str() + " only in a transfer syntax that this object cannot take.");

  T_DIMSE_C_StoreRQ request{};
  request.MessageID = state_->association->nextMsgID++;
  OFStandard::strlcpy(request.AffectedSOPClassUID, sop_class.c_str(), sizeof request.AffectedSOPClassUID);
  OFStandard::strlcpy(request.AffectedSOPInstanceUID, sop_instance.c_str(), sizeof request.AffectedSOPInstanceUID);
  request.DataSetType = DIMSE_DATASET_PRESENT;
  request.Priority = DIMSE_PRIORITY_MEDIUM;
  const int timeout_s = state_->timeouts.response_s + static_cast<int>(size / std::max<std::int64_t>(1, state_->timeouts.floor_bytes_per_s));
  T_DIMSE_C_StoreRSP response{};
  DcmDataset* detail = nullptr;
  const OFCondition condition = DIMSE_storeUser(state_->association, id, &request, nullptr, dataset, nullptr, nullptr, DIMSE_NONBLOCKING, timeout_s,
                                                &response, &detail);
  delete detail;
  if (condition.bad()) return fail(state_->exchange_error(condition, during));
  return response.DimseStatus;
}

Result<std::optional<CommitmentReport>> StoreClient::request_commitment(const std::string& transaction_uid, const std::vector<CommitmentItem>& items,
                                                                        int wait_s) {
  constexpr const char* during = "request_commitment";
  const std::vector<std::string> syntaxes{UID_LittleEndianExplicitTransferSyntax, UID_LittleEndianImplicitTransferSyntax};
  if (auto associated = state_->associate({{UID_StorageCommitmentPushModelSOPClass, syntaxes}}); !associated) return fail(associated.error());
  const T_ASC_PresentationContextID id = ASC_findAcceptedPresentationContextID(state_->association, UID_StorageCommitmentPushModelSOPClass);
  if (id == 0) {
    state_->release();
    return fail(ErrorCode::peer_refused, during, state_->who() + " does not offer storage commitment; set storage_commitment = \"off\".");
  }
  DcmDataset dataset;
  dataset.putAndInsertString(DCM_TransactionUID, transaction_uid.c_str());
  for (std::size_t n = 0; n < items.size(); ++n) {
    DcmItem* item = nullptr;
    if (dataset.findOrCreateSequenceItem(DCM_ReferencedSOPSequence, item, -2).bad()) return fail(ErrorCode::internal, during, "The request could not be built.");
    item->putAndInsertString(DCM_ReferencedSOPClassUID, items[n].sop_class_uid.c_str());
    item->putAndInsertString(DCM_ReferencedSOPInstanceUID, items[n].sop_instance_uid.c_str());
  }
  T_DIMSE_Message message{};
  message.CommandField = DIMSE_N_ACTION_RQ;
  T_DIMSE_N_ActionRQ& request = message.msg.NActionRQ;
  request.MessageID = state_->association->nextMsgID++;
  request.ActionTypeID = 1;
  request.DataSetType = DIMSE_DATASET_PRESENT;
  OFStandard::strlcpy(request.RequestedSOPClassUID, UID_StorageCommitmentPushModelSOPClass, sizeof request.RequestedSOPClassUID);
  OFStandard::strlcpy(request.RequestedSOPInstanceUID, UID_StorageCommitmentPushModelSOPInstance, sizeof request.RequestedSOPInstanceUID);
  OFCondition condition = DIMSE_sendMessageUsingMemoryData(state_->association, id, &message, nullptr, &dataset, nullptr, nullptr);
  T_DIMSE_Message answer{};
  if (condition.good()) {
    T_ASC_PresentationContextID answer_id = 0;
    DcmDataset* detail = nullptr;
    condition = DIMSE_receiveCommand(state_->association, DIMSE_NONBLOCKING, state_->timeouts.response_s, &answer_id, &answer, &detail);
    delete detail;
  }
  if (condition.bad()) return fail(state_->exchange_error(condition, during));
  if (answer.CommandField != DIMSE_N_ACTION_RSP) {
    state_->drop(true);
    return fail(ErrorCode::connection_failed, during, state_->who() + " answered the request for storage commitment with something else.");
  }
  if (answer.msg.NActionRSP.DataSetType != DIMSE_DATASET_NULL) {
    T_ASC_PresentationContextID data_id = 0;
    DcmDataset* unused = nullptr;
    condition = DIMSE_receiveDataSetInMemory(state_->association, DIMSE_NONBLOCKING, state_->timeouts.response_s, &data_id, &unused, nullptr, nullptr);
    delete unused;
    if (condition.bad()) return fail(state_->exchange_error(condition, during));
  }
  if (answer.msg.NActionRSP.DimseStatus != STATUS_Success) {
    state_->release();
    return fail(ErrorCode::peer_refused, during, state_->who() + " refused the request for storage commitment.");
  }
  std::optional<CommitmentReport> report;
  if (wait_s > 0) report = state_->wait_for_report(wait_s);
  state_->release();
  return report;
}

}  // namespace choana
