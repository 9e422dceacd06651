#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "core/result.h"
#include "node/node_settings.h"

namespace choana::node {

struct NodePorts;

/// The composition root: builds everything by constructor, in this order, and takes it down in the reverse one:
/// store, outbox, runner, indexer (store rows and assembler), acceptor, HTTP.
class Node {
 public:
  /// program: what is started as worker (`program --worker FILE`). series_rules_toml: text of the rules in use, or
  /// empty for the built-in ones.
  /// Errors: invalid_settings, io_error, disk_full, connection_failed (a port is taken).
  static Result<std::unique_ptr<Node>> start(NodeSettings settings, std::filesystem::path program, std::string series_rules_toml);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// True while every part makes progress; the watchdog's question.
  [[nodiscard]] bool healthy() const;
  /// The reason why the process must end and be started anew, or an empty string (a failed sync, a broken store).
  [[nodiscard]] std::string fatal() const;
  /// One line for systemctl status.
  [[nodiscard]] std::string status_line() const;
  /// Stop accepting, let what is in flight end, stop workers and sending. Correctness never depends on it.
  void drain();

 private:
  struct State;
  explicit Node(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace choana::node
