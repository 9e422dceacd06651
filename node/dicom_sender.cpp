#include "node/dicom_sender.h"

#include <utility>

#include "dicom/association_client.h"

namespace choana {
namespace {

class DicomSender final : public Sender {
 public:
  explicit DicomSender(PeerAddress peer) : client_(std::move(peer)) {}

  Status connect(const std::vector<std::filesystem::path>& files) override { return client_.connect(files); }
  Result<std::uint16_t> send(const std::filesystem::path& file) override { return client_.store(file); }
  void release() override { client_.release(); }
  Status probe() override { return client_.echo(); }
  Result<std::optional<CommitmentReport>> request_commitment(const std::string& transaction_uid, const std::vector<CommitmentItem>& items,
                                                             int wait_s) override {
    return client_.request_commitment(transaction_uid, items, wait_s);
  }

 private:
  StoreClient client_;
};

}  // namespace

SenderFactory dicom_senders(std::string calling_ae_title) {
  return [calling = std::move(calling_ae_title)](const DestinationSettings& destination) -> std::unique_ptr<Sender> {
    PeerAddress peer;
    peer.called_ae_title = destination.ae_title;
    peer.calling_ae_title = calling;
    peer.host = destination.host;
    peer.port = destination.port;
    peer.tls = destination.tls;
    peer.certificate_file = destination.tls_files.certificate_file;
    peer.key_file = destination.tls_files.key_file;
    peer.trusted_file = destination.tls_files.trusted_file;
    return std::make_unique<DicomSender>(std::move(peer));
  };
}

}  // namespace choana
