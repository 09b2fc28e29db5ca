#include "net/server.h"

#include <boost/asio/write.hpp>

#include "net/server_impl.h"
#include "net/tls.h"

namespace truetape::net {
namespace {

using asio::ip::tcp;

std::string shown(const asio::ip::address& address) {
  // One client is one address, whether it comes by IPv4 or as ::ffff:1.2.3.4.
  if (address.is_v6() && address.to_v6().is_v4_mapped())
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
  return address.to_string();
}

constexpr std::string_view kFull =
    "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n";

}  // namespace

Server::Server(Loop& loop, ServerConfig config, Handlers handlers)
    : impl_{std::make_shared<Impl>(loop, std::move(config), std::move(handlers))} {}

Server::~Server() {
  impl_->stopping = true;
  error_code ignored;
  impl_->acceptor.close(ignored);
  for (ServerConnection* connection : std::set{impl_->connections}) {
    if (const auto socket = connection->websocket.lock())
      socket->drop();
    else
      connection->channel->close();
  }
}

Result<std::uint16_t> Server::listen() {
  Impl& own = *impl_;
  const auto fail = [&](Fault fault, const std::string& why) {
    error_code ignored;
    own.acceptor.close(ignored);
    return failure(fault, Retry::never,
                   "cannot listen on " + own.config.address + " port " + std::to_string(own.config.port) + ": " + why);
  };
  error_code ec;
  const auto address = asio::ip::make_address(own.config.address, ec);
  if (ec) return fail(Fault::malformed, "that is no numeric address; write 127.0.0.1, 0.0.0.0 or ::");
  if (own.config.certificate_file.empty() != own.config.key_file.empty())
    return fail(Fault::malformed, "TLS needs a certificate and a key; give both files or none");
  if (!own.config.certificate_file.empty()) {
    auto context = server_tls(own.config.certificate_file, own.config.key_file);
    if (!context) return fail(context.error().fault, context.error().detail);
    own.tls = std::move(*context);
  }
  const tcp::endpoint endpoint{address, own.config.port};
  own.acceptor.open(endpoint.protocol(), ec);
  if (!ec) own.acceptor.set_option(asio::socket_base::reuse_address{true}, ec);
  if (!ec) own.acceptor.bind(endpoint, ec);
  if (!ec) own.acceptor.listen(asio::socket_base::max_listen_connections, ec);
  if (ec == asio::error::address_in_use)
    return fail(Fault::refused, "another program has it; choose another port, or 0");
  if (ec) return fail(Fault::io, ec.message() + "; check the address and the rights");
  own.port = own.acceptor.local_endpoint(ec).port();
  own.loop.spawn(Impl::accept(impl_));
  return own.port;
}

std::uint16_t Server::port() const { return impl_->port; }
std::string Server::origin() const {
  Url url;
  url.scheme = impl_->config.certificate_file.empty() ? "http" : "https";
  url.host = impl_->config.address;
  url.port = impl_->port;
  return url.origin();
}
const Server::Stats& Server::stats() const { return impl_->stats; }
void Server::on_trouble(std::function<void(const std::string&)> call) { impl_->on_trouble = std::move(call); }

awaitable<void> Server::Impl::accept(std::shared_ptr<Impl> self) {
  while (!self->stopping) {
    Socket socket{self->loop.impl().context};
    const auto [ec] = co_await self->acceptor.async_accept(socket, kTuple);
    if (self->stopping) co_return;
    if (!ec) {
      self->take(std::move(socket));
      continue;
    }
    if (ec == asio::error::connection_aborted) continue;
    // Out of file descriptors or memory: others must end first.
    self->trouble("accepting connections failed (" + ec.message() + "); trying again in 100 ms");
    co_await self->loop.sleep(std::chrono::milliseconds{100});
  }
}

void Server::Impl::take(Socket socket) {
  error_code ec;
  const tcp::endpoint from = socket.remote_endpoint(ec);
  if (ec) return;  // gone already
  socket.set_option(tcp::no_delay{true}, ec);
  std::string address = shown(from.address());
  ++stats.accepted;
  const auto same = by_address.find(address);
  if (connections.size() >= config.most_connections ||
      (same != by_address.end() && same->second >= config.most_per_address)) {
    ++stats.refused_connections;
    if (!tls) {
      // A few bytes into an empty buffer: never waits, and if it fails nobody is worse off.
      socket.non_blocking(true, ec);
      socket.write_some(asio::buffer(kFull), ec);
      socket.shutdown(Socket::shutdown_send, ec);
    }
    return;
  }
  auto channel = std::make_shared<Channel>(std::move(socket));
  loop.spawn(ServerConnection::run(
      std::make_shared<ServerConnection>(shared_from_this(), std::move(channel), std::move(address))));
}

awaitable<void> Server::stop(Nanoseconds limit) {
  const std::shared_ptr<Impl> own = impl_;  // the server may be gone before
  own->stopping = true;
  error_code ignored;
  own->acceptor.close(ignored);
  for (ServerConnection* connection : std::set{own->connections}) {
    if (const auto socket = connection->websocket.lock())
      socket->close(1001, "the server stops");
    else if (connection->between_requests)
      connection->channel->close();
  }
  const SteadyTime until = own->loop.now() + limit;
  while (!own->connections.empty()) {
    own->all_gone.reset();
    if (co_await own->all_gone.wait_for(until - own->loop.now())) continue;
    for (ServerConnection* connection : std::set{own->connections}) {
      if (const auto socket = connection->websocket.lock())
        socket->drop();
      else
        connection->channel->close();
    }
    co_return;
  }
}

}  // namespace truetape::net
