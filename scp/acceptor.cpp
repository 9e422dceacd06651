#include "scp/acceptor.h"

#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <thread>

#include "core/log.h"
#include "scp/connection.h"
#include "scp/sop_classes.h"

namespace choana::scp {
namespace {

using asio::ip::tcp;

constexpr int listen_backlog = 512;

Result<tcp::endpoint> parse_endpoint(const std::string& listen) {
  const std::size_t colon = listen.rfind(':');
  const auto wrong = [&] {
    return fail(ErrorCode::invalid_settings, "listen", "receive.listen = \"" + listen + "\" is not host:port, such as 0.0.0.0:11112.");
  };
  if (colon == std::string::npos) return wrong();
  std::string host = listen.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  if (host.empty() || host == "*") host = "0.0.0.0";
  unsigned port = 0;
  const char* first = listen.data() + colon + 1;
  const char* last = listen.data() + listen.size();
  const auto [end, error] = std::from_chars(first, last, port);
  if (error != std::errc{} || end != last || port > 65535) return wrong();
  boost::system::error_code bad;
  const auto address = asio::ip::make_address(host, bad);
  if (bad) return wrong();
  return tcp::endpoint(address, static_cast<unsigned short>(port));
}

AddressBytes address_bytes(const asio::ip::address& address) {
  if (address.is_v6()) return address.to_v6().to_bytes();
  return asio::ip::make_address_v6(asio::ip::v4_mapped, address.to_v4()).to_bytes();
}

Result<int> open_listener(tcp::acceptor& listener, const tcp::endpoint& endpoint, const std::string& text) {
  boost::system::error_code error;
  listener.open(endpoint.protocol(), error);
  if (!error) listener.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) listener.bind(endpoint, error);
  if (!error) listener.listen(listen_backlog, error);
  if (error) return fail(ErrorCode::connection_failed, "listen", "Cannot listen on " + text + ": " + error.message() + ". Is another program using the port?");
  return listener.local_endpoint(error).port();
}

// A connection is a descriptor, a file under way two, a commit one. Shells give 1,024.
void raise_descriptor_limit(const AcceptorSettings& settings) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const auto needed = static_cast<rlim_t>(settings.connections_unassociated_max + 4 * settings.associations_max + 256);
  if (limit.rlim_cur >= needed) return;
  limit.rlim_cur = std::min(limit.rlim_max, needed);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

struct Acceptor::State {
  asio::io_context io;
  AcceptorShared shared;  // its connections end before the io_context does
  InstanceSpool::Recovery recovery;
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  asio::strand<asio::io_context::executor_type> strand{io.get_executor()};
  tcp::acceptor listener{strand};
  tcp::acceptor tls_listener{strand};
  std::unique_ptr<TlsContext> tls;
  asio::steady_timer heartbeat{strand};
  std::vector<std::thread> threads;
  int port = 0;
  int tls_port = 0;
  bool drained = false;

  // context: of the TLS port, or null.
  void accept(tcp::acceptor& from, TlsContext* context) {
    from.async_accept(asio::make_strand(io), [this, &from, context](const boost::system::error_code& error, tcp::socket socket) {
      if (error == asio::error::operation_aborted || !from.is_open()) return;
      if (error) {
        // Out of descriptors, mostly: let a connection go that says nothing, and breathe.
        evict_oldest(nullptr);
        auto pause = std::make_shared<asio::steady_timer>(strand, std::chrono::milliseconds(100));
        pause->async_wait([this, &from, context, pause](const boost::system::error_code&) {
          if (from.is_open()) accept(from, context);
        });
        return;
      }
      welcome(std::move(socket), context);
      accept(from, context);
    });
  }

  // Make room among connections that have not said who they are: the oldest (of one address) goes. An honest peer says
  // it within milliseconds, so that a crowd of silent ones cannot keep it out.
  void evict_oldest(const AddressBytes* address) {
    const std::lock_guard lock(shared.mutex);
    for (auto it = shared.unassociated.begin(); it != shared.unassociated.end(); ++it) {
      if (address != nullptr && it->address != *address) continue;
      if (const auto connection = it->connection.lock()) connection->evict();
      shared.unassociated.erase(it);
      return;
    }
  }

  void welcome(tcp::socket socket, TlsContext* context) {
    boost::system::error_code error;
    const auto remote = socket.remote_endpoint(error);
    if (error) return;
    const AddressBytes address = address_bytes(remote.address());
    std::size_t total = 0;
    std::size_t same = 0;
    bool known = false;
    {
      const std::lock_guard lock(shared.mutex);
      ++shared.counters.connections_total;
      total = shared.unassociated.size();
      same = static_cast<std::size_t>(std::count_if(shared.unassociated.begin(), shared.unassociated.end(), [&](const auto& u) { return u.address == address; }));
      known = shared.policy->knows(address);
    }
    const int same_max = known ? shared.settings.connections_per_known_address_max : shared.settings.connections_per_unknown_address_max;
    const bool crowded = same >= static_cast<std::size_t>(same_max);
    const bool full = total >= static_cast<std::size_t>(shared.settings.connections_unassociated_max);
    if (crowded) {
      evict_oldest(&address);
    } else if (full) {
      evict_oldest(nullptr);
    }
    auto stream = context != nullptr ? context->make_stream(std::move(socket)) : make_tcp_stream(std::move(socket));
    auto connection = std::make_shared<Connection>(shared, std::move(stream), address);
    {
      const std::lock_guard lock(shared.mutex);
      if (shared.draining) return;
      shared.connections.insert(connection);
      shared.counters.connections_open = shared.connections.size();
      shared.unassociated.push_back({address, connection});
    }
    connection->start();
  }

  void beat() {
    {
      const std::lock_guard lock(shared.mutex);
      ++shared.counters.progress;
    }
    // The next hour's folder exists and is durable before the hour begins.
    if (auto status = shared.spool->prepare_buckets(shared.clock->wall_ms()); !status && status.error().code == ErrorCode::io_error) shared.fatal(status.error());
    heartbeat.expires_after(std::chrono::seconds(1));
    heartbeat.async_wait([this](const boost::system::error_code& error) {
      if (!error) beat();
    });
  }
};

Acceptor::Acceptor(std::unique_ptr<State> state) : state_(std::move(state)) {}

Acceptor::~Acceptor() { drain(std::chrono::milliseconds(0)); }

Result<std::unique_ptr<Acceptor>> Acceptor::start(AcceptorSettings settings, AcceptorCallbacks callbacks, const Clock& clock) {
  auto endpoint = parse_endpoint(settings.listen);
  if (!endpoint) return fail(endpoint.error());
  auto policy = AssociationPolicy::make(settings.ae_title, settings.peers, settings.accept_unknown_peers);
  if (!policy) return fail(policy.error());

  raise_descriptor_limit(settings);
  auto state = std::make_unique<State>();
  AcceptorShared& shared = state->shared;
  shared.settings = std::move(settings);
  shared.callbacks = std::move(callbacks);
  shared.clock = &clock;
  shared.policy = std::make_shared<const AssociationPolicy>(std::move(*policy));
  shared.offered = offered_classes(shared.settings.extra_sop_classes, shared.settings.extra_transfer_syntaxes);
  shared.storage_limits.object_max_bytes = shared.settings.object_max_bytes;
  shared.storage_limits.disk_reserve_bytes = shared.settings.disk_reserve_bytes;

  InstanceSpool::Settings spool_settings;
  spool_settings.directory = shared.settings.spool_dir;
  spool_settings.quarantine = shared.settings.quarantine_dir;
  spool_settings.first_receive_id = shared.settings.first_receive_id;
  spool_settings.verify_content_after_ms = shared.settings.verify_content_after_ms;
  spool_settings.is_recorded = shared.settings.is_recorded;
  spool_settings.object_max_bytes = shared.settings.object_max_bytes;
  auto spool = InstanceSpool::open(std::move(spool_settings), &state->recovery);
  if (!spool) return fail(spool.error());
  shared.spool = std::move(*spool);
  if (auto status = shared.spool->prepare_buckets(clock.wall_ms()); !status) return fail(status.error());
  for (const ReceivedInstance& instance : state->recovery.adopted) {
    shared.next_association_id = std::max(shared.next_association_id, instance.association_id + 1);
  }
  shared.committer = std::make_unique<SpoolCommitter>(
      *shared.spool, SpoolCommitter::Settings{shared.settings.committer_threads, shared.settings.sync_mode},
      [&shared](const Error& error) { shared.fatal(error); });

  auto port = open_listener(state->listener, *endpoint, shared.settings.listen);
  if (!port) return fail(port.error());
  state->port = *port;
  if (const auto& tls = shared.settings.tls) {
    auto tls_endpoint = parse_endpoint(tls->listen);
    if (!tls_endpoint) return fail(tls_endpoint.error());
    auto context = make_tls_context(tls->certificate_file, tls->key_file, tls->trusted_file);
    if (!context) return fail(context.error());
    state->tls = std::move(*context);
    auto tls_port = open_listener(state->tls_listener, *tls_endpoint, tls->listen);
    if (!tls_port) return fail(tls_port.error());
    state->tls_port = *tls_port;
    state->accept(state->tls_listener, state->tls.get());
  }
  state->accept(state->listener, nullptr);
  state->beat();
  // Two at least: one may wait for the disk while the other keeps the connections going.
  const int automatic = static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 2U, 4U));
  const int threads = shared.settings.threads > 0 ? shared.settings.threads : automatic;
  for (int i = 0; i < threads; ++i) {
    state->threads.emplace_back([s = state.get()] { s->io.run(); });
  }
  log::info("scp", "listening", {{"port", state->port}, {"tls_port", state->tls_port}, {"ae_title", shared.settings.ae_title}});
  return std::unique_ptr<Acceptor>(new Acceptor(std::move(state)));
}

const InstanceSpool::Recovery& Acceptor::recovery() const { return state_->recovery; }

int Acceptor::port() const { return state_->port; }
int Acceptor::tls_port() const { return state_->tls_port; }

AcceptorCounters Acceptor::counters() const {
  AcceptorCounters counters;
  {
    const std::lock_guard lock(state_->shared.mutex);
    counters = state_->shared.counters;
  }
  const SpoolCommitter::Counters committer = state_->shared.committer->counters();
  counters.commit_batches = committer.batches;
  counters.commit_file_system_syncs = committer.file_system_syncs;
  counters.commits_waiting = committer.waiting;
  counters.commit_busy_since_ms = committer.busy_since_ms;
  return counters;
}

Status Acceptor::replace_peers(std::vector<PeerRule> peers, bool accept_unknown_peers) {
  auto policy = AssociationPolicy::make(state_->shared.settings.ae_title, std::move(peers), accept_unknown_peers);
  if (!policy) return fail(policy.error());
  const std::lock_guard lock(state_->shared.mutex);
  state_->shared.policy = std::make_shared<const AssociationPolicy>(std::move(*policy));
  return {};
}

Status Acceptor::remove_spool_file(const std::string& spool_file) { return state_->shared.spool->remove(spool_file); }

void Acceptor::drain(std::chrono::milliseconds time) {
  if (!state_ || std::exchange(state_->drained, true)) return;
  AcceptorShared& shared = state_->shared;
  const auto for_all = [&](bool at_once) {
    std::vector<std::shared_ptr<Connection>> connections;
    {
      const std::lock_guard lock(shared.mutex);
      connections.assign(shared.connections.begin(), shared.connections.end());
    }
    for (const auto& connection : connections) connection->drain(at_once);
  };
  {
    const std::lock_guard lock(shared.mutex);
    shared.draining = true;
  }
  asio::post(state_->strand, [s = state_.get()] {
    boost::system::error_code ignored;
    s->listener.close(ignored);
    s->heartbeat.cancel();
    s->tls_listener.close(ignored);
  });
  for_all(false);
  {
    std::unique_lock lock(shared.mutex);
    shared.changed.wait_for(lock, time, [&] { return shared.connections.empty(); });
  }
  for_all(true);
  {
    std::unique_lock lock(shared.mutex);
    shared.changed.wait_for(lock, std::chrono::seconds(10), [&] { return shared.connections.empty(); });
  }
  // Answers of the last commits still find their strands.
  shared.committer->stop();
  state_->work.reset();
  state_->io.stop();
  for (std::thread& thread : state_->threads) thread.join();
}

}  // namespace choana::scp
