#include "scp/byte_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <array>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>

namespace choana::scp {
namespace {

using asio::ip::tcp;
namespace ssl = asio::ssl;

constexpr std::size_t dropped_bytes_max = 1024 * 1024;

void prepare(tcp::socket& socket) {
  boost::system::error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  socket.non_blocking(true, ignored);
}

void acknowledge(tcp::socket& socket) {
  const int on = 1;
  ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

class TcpStream final : public ByteStream {
 public:
  explicit TcpStream(tcp::socket socket) : socket_(std::move(socket)) { prepare(socket_); }

  void handshake(std::function<void(const boost::system::error_code&)> handler) override {
    asio::post(socket_.get_executor(), [handler = std::move(handler)] { handler({}); });
  }
  void read_some(std::span<std::uint8_t> into, Handler handler) override {
    socket_.async_read_some(asio::buffer(into.data(), into.size()), std::move(handler));
  }
  void write(std::span<const std::uint8_t> bytes, Handler handler) override {
    asio::async_write(socket_, asio::buffer(bytes.data(), bytes.size()), std::move(handler));
  }
  void finish(std::function<void()> handler) override {
    boost::system::error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    drop(std::move(handler));
  }
  void close() override {
    boost::system::error_code ignored;
    socket_.close(ignored);
  }
  void acknowledge_quickly() override { acknowledge(socket_); }
  asio::any_io_executor executor() override { return socket_.get_executor(); }

 private:
  // Closing with octets unread would reset the connection and take our last PDU along.
  void drop(std::function<void()> handler) {
    socket_.async_read_some(asio::buffer(dropped_), [this, handler = std::move(handler)](const boost::system::error_code& error, std::size_t count) mutable {
      dropped_bytes_ += count;
      if (error || dropped_bytes_ > dropped_bytes_max) return handler();
      drop(std::move(handler));
    });
  }

  tcp::socket socket_;
  std::array<std::uint8_t, 4096> dropped_{};
  std::size_t dropped_bytes_ = 0;
};

class TlsStream final : public ByteStream {
 public:
  TlsStream(tcp::socket socket, ssl::context& context) : stream_(std::move(socket), context) { prepare(stream_.next_layer()); }

  void handshake(std::function<void(const boost::system::error_code&)> handler) override {
    stream_.async_handshake(ssl::stream_base::server, std::move(handler));
  }
  void read_some(std::span<std::uint8_t> into, Handler handler) override {
    stream_.async_read_some(asio::buffer(into.data(), into.size()), std::move(handler));
  }
  void write(std::span<const std::uint8_t> bytes, Handler handler) override {
    asio::async_write(stream_, asio::buffer(bytes.data(), bytes.size()), std::move(handler));
  }
  void finish(std::function<void()> handler) override {
    stream_.async_shutdown([handler = std::move(handler)](const boost::system::error_code&) { handler(); });
  }
  void close() override {
    boost::system::error_code ignored;
    stream_.next_layer().close(ignored);
  }
  void acknowledge_quickly() override { acknowledge(stream_.next_layer()); }
  asio::any_io_executor executor() override { return stream_.get_executor(); }

 private:
  ssl::stream<tcp::socket> stream_;
};

class SharedTls final : public TlsContext {
 public:
  std::unique_ptr<ByteStream> make_stream(tcp::socket socket) override { return std::make_unique<TlsStream>(std::move(socket), context); }

  ssl::context context{ssl::context::tls_server};
};

// PS3.15 B.12 with BCP 195 (RFC 9325 4.2): forward secrecy and AEAD. The suites of TLS 1.3 are all of that kind.
constexpr const char* suites_of_tls12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384";

}  // namespace

std::unique_ptr<ByteStream> make_tcp_stream(tcp::socket socket) { return std::make_unique<TcpStream>(std::move(socket)); }

Result<std::unique_ptr<TlsContext>> make_tls_context(const std::filesystem::path& certificate_file, const std::filesystem::path& key_file,
                                                     const std::filesystem::path& trusted_file) {
  auto shared = std::make_unique<SharedTls>();
  ssl::context& context = shared->context;
  const auto wrong = [](const char* key, const boost::system::error_code& error) {
    return fail(ErrorCode::invalid_settings, "tls", "receive.tls." + std::string(key) + " cannot be used: " + error.message() + ".");
  };
  boost::system::error_code error;
  if (context.use_certificate_chain_file(certificate_file.string(), error); error) return wrong("certificate_file", error);
  if (context.use_private_key_file(key_file.string(), ssl::context::pem, error); error) return wrong("key_file", error);
  if (context.load_verify_file(trusted_file.string(), error); error) return wrong("trusted_file", error);
  if (context.set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert, error); error) return wrong("trusted_file", error);
  SSL_CTX* native = context.native_handle();
  if (SSL_CTX_check_private_key(native) != 1) {
    return fail(ErrorCode::invalid_settings, "tls", "receive.tls.key_file does not belong to receive.tls.certificate_file.");
  }
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(native, suites_of_tls12);
  SSL_CTX_set_dh_auto(native, 1);
  SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  // Resumed sessions would outlive a certificate that was withdrawn.
  SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(native, 0);
  SSL_CTX_set_options(native, SSL_OP_NO_TICKET);
  return shared;
}

}  // namespace choana::scp
