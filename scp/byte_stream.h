#pragma once

#include <functional>
#include <memory>
#include <span>

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
  virtual void shutdown_send() = 0;
  virtual void close() = 0;
  /// Ask the kernel to acknowledge at once: senders with Nagle's algorithm wait for it (spec/durability 4.1). The flag
  /// wears off, so it is set again after every read.
  virtual void acknowledge_quickly() = 0;
  virtual asio::any_io_executor executor() = 0;
};

[[nodiscard]] std::unique_ptr<ByteStream> make_tcp_stream(asio::ip::tcp::socket socket);

}  // namespace choana::scp
