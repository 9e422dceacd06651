#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>

#include "core/result.h"
#include "scp/asio.h"

namespace choana::scp {

/// A connected byte stream on its own strand: plain TCP, or TLS over it. Handlers run on the strand.
class ByteStream {
 public:
  using Handler = std::function<void(const boost::system::error_code&, std::size_t)>;
  virtual ~ByteStream() = default;
  /// Ready to carry DICOM; at once for plain TCP.
  virtual void handshake(std::function<void(const boost::system::error_code&)> handler) = 0;
  virtual void read_some(std::span<std::uint8_t> into, Handler handler) = 0;
  /// All of `bytes`, which must stay until the handler runs.
  virtual void write(std::span<const std::uint8_t> bytes, Handler handler) = 0;
  /// Say that nothing more comes, then wait until the peer has gone; what it still sends is dropped, up to a bound.
  virtual void finish(std::function<void()> handler) = 0;
  virtual void close() = 0;
  /// Ask the kernel to acknowledge at once: senders with Nagle's algorithm wait for it (spec/durability 4.1). The flag
  /// wears off, so it is set again after every read.
  virtual void acknowledge_quickly() = 0;
  virtual asio::any_io_executor executor() = 0;
};

[[nodiscard]] std::unique_ptr<ByteStream> make_tcp_stream(asio::ip::tcp::socket socket);

/// What all TLS connections share: certificate, key, trusted authorities. TLS 1.2 and 1.3 with the suites of PS3.15 B.12
/// (forward secrecy and AEAD only), a certificate demanded from the peer.
class TlsContext {
 public:
  virtual ~TlsContext() = default;
  [[nodiscard]] virtual std::unique_ptr<ByteStream> make_stream(asio::ip::tcp::socket socket) = 0;
};
/// PEM files. Errors: invalid_settings (a file that cannot be read, a key that does not fit its certificate).
[[nodiscard]] Result<std::unique_ptr<TlsContext>> make_tls_context(const std::filesystem::path& certificate_file, const std::filesystem::path& key_file,
                                                                   const std::filesystem::path& trusted_file);

}  // namespace choana::scp
