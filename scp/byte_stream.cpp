#include "scp/byte_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

namespace choana::scp {
namespace {

class TcpStream final : public ByteStream {
 public:
  explicit TcpStream(asio::ip::tcp::socket socket) : socket_(std::move(socket)) {
    boost::system::error_code ignored;
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    socket_.non_blocking(true, ignored);
  }

  void handshake(std::function<void(const boost::system::error_code&)> handler) override {
    asio::post(socket_.get_executor(), [handler = std::move(handler)] { handler({}); });
  }
  void read_some(std::span<std::uint8_t> into, Handler handler) override {
    socket_.async_read_some(asio::buffer(into.data(), into.size()), std::move(handler));
  }
  void write(std::span<const std::uint8_t> bytes, Handler handler) override {
    asio::async_write(socket_, asio::buffer(bytes.data(), bytes.size()), std::move(handler));
  }
  void shutdown_send() override {
    boost::system::error_code ignored;
    socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  }
  void close() override {
    boost::system::error_code ignored;
    socket_.close(ignored);
  }
  void acknowledge_quickly() override {
    const int on = 1;
    ::setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
  }
  asio::any_io_executor executor() override { return socket_.get_executor(); }

 private:
  asio::ip::tcp::socket socket_;
};

}  // namespace

std::unique_ptr<ByteStream> make_tcp_stream(asio::ip::tcp::socket socket) { return std::make_unique<TcpStream>(std::move(socket)); }

}  // namespace choana::scp
