// The inside of a Server, for files of src/net.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <map>
#include <set>

#include "net/channel.h"
#include "net/server.h"

namespace truetape::net {

// One accepted connection, registered with its server while it lives.
struct ServerConnection : std::enable_shared_from_this<ServerConnection> {
  ServerConnection(std::shared_ptr<Server::Impl> s, std::shared_ptr<Channel> c, std::string from);
  ~ServerConnection();

  // TLS, then requests until the end. Answers nothing: what goes wrong is told to the client or counted.
  static awaitable<void> run(std::shared_ptr<ServerConnection> self);

  std::shared_ptr<Server::Impl> server;
  std::shared_ptr<Channel> channel;
  std::string address;
  bool between_requests = false;       // may be closed without loss
  std::weak_ptr<WebSocket> websocket;  // once upgraded
};

struct Server::Impl : std::enable_shared_from_this<Server::Impl> {
  using Acceptor = asio::basic_socket_acceptor<asio::ip::tcp, asio::io_context::executor_type>;

  Impl(Loop& l, ServerConfig conf, Handlers h)
      : loop{l}, config{std::move(conf)}, handlers{std::move(h)}, acceptor{l.impl().context}, all_gone{l} {}
  static awaitable<void> accept(std::shared_ptr<Impl> self);
  void take(Socket socket);
  void trouble(const std::string& sentence) const {
    if (on_trouble) on_trouble(sentence);
  }

  Loop& loop;
  ServerConfig config;
  Handlers handlers;
  std::unique_ptr<ssl::context> tls;
  Acceptor acceptor;
  std::uint16_t port = 0;
  bool stopping = false;
  std::set<ServerConnection*> connections;
  std::map<std::string, std::size_t> by_address;
  Event all_gone;
  Stats stats;
  std::function<void(const std::string&)> on_trouble;
};

}  // namespace truetape::net
