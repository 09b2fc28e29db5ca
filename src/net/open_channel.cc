#include "net/open_channel.h"

#include <openssl/evp.h>
#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>

#include "net/tls.h"

namespace truetape::net {
namespace {

using asio::ip::tcp;
using Endpoints = std::vector<tcp::endpoint>;
using Resolver = asio::ip::basic_resolver<tcp, asio::io_context::executor_type>;

// What one attempt knows on its way.
struct Attempt {
  Attempt(Loop& l, Nanoseconds limit) : loop{l}, until{l.now() + limit} {}
  Nanoseconds left() const { return until - loop.now(); }
  Loop& loop;
  SteadyTime until;
};

tl::unexpected<ConnectError> failed(Stage stage, Fault fault, Retry retry, std::string detail) {
  ConnectError error;
  error.fault = fault;
  error.retry = retry;
  error.detail = std::move(detail);
  error.stage = stage;
  return tl::unexpected{std::move(error)};
}
tl::unexpected<ConnectError> late(Stage stage, const Url& url, std::string_view doing) {
  return failed(
      stage, Fault::unavailable, Retry::after_backoff,
      url.origin() + ": no answer in time while " + std::string{doing} + "; check the address and the network");
}

struct Resolving {
  explicit Resolving(Loop& loop) : done{loop}, resolver{loop.impl().context} {}
  Event done;
  Resolver resolver;
  error_code ec;
  Endpoints endpoints;
};

// The system's resolver cannot be interrupted, so its answer goes to an object that may outlive the attempt.
awaitable<tl::expected<Endpoints, ConnectError>> resolve(Attempt& attempt, const Url& to) {
  error_code not_an_address;
  const auto literal = asio::ip::make_address(to.host, not_an_address);
  if (!not_an_address) co_return Endpoints{tcp::endpoint{literal, to.port}};
  const auto state = std::make_shared<Resolving>(attempt.loop);
  state->resolver.async_resolve(to.host, std::to_string(to.port), tcp::resolver::numeric_service,
                                [state](error_code ec, const Resolver::results_type& results) {
                                  state->ec = ec;
                                  for (const auto& entry : results) state->endpoints.push_back(entry.endpoint());
                                  state->done.set();
                                });
  if (!co_await state->done.wait_for(attempt.left())) co_return late(Stage::address, to, "looking up its name");
  if (state->ec || state->endpoints.empty()) {
    co_return failed(Stage::address, Fault::unavailable, Retry::after_backoff,
                     to.origin() + ": the name '" + to.host + "' is not known (" + state->ec.message() +
                         "); check the spelling and this machine's name service");
  }
  co_return std::move(state->endpoints);
}

// The addresses one after the other; each but the last gets at most half of the time that is left.
awaitable<tl::expected<std::unique_ptr<Channel>, ConnectError>> dial(Attempt& attempt, const Url& to) {
  auto endpoints = co_await resolve(attempt, to);
  if (!endpoints) co_return tl::unexpected{std::move(endpoints.error())};
  error_code last;
  std::string where;
  for (std::size_t i = 0; i < endpoints->size() && attempt.left() > Nanoseconds::zero(); ++i) {
    const tcp::endpoint& endpoint = (*endpoints)[i];
    auto channel = std::make_unique<Channel>(Socket{attempt.loop.impl().context});
    Deadline deadline{attempt.loop, *channel};
    deadline.set(i + 1 == endpoints->size() ? attempt.left() : attempt.left() / 2);
    const auto [ec] = co_await channel->socket().async_connect(endpoint, kTuple);
    if (!ec) {
      error_code ignored;  // an address family without Nagle has nothing to turn off
      channel->socket().set_option(tcp::no_delay{true}, ignored);
      co_return std::move(channel);
    }
    last = deadline.passed() ? make_error_code(asio::error::timed_out) : ec;
    where = endpoint.address().to_string();
  }
  co_return failed(Stage::connect, Fault::unavailable, Retry::after_backoff,
                   to.origin() + ": no connection to " + where + " (" + last.message() +
                       "); check the address, the network, and whether the server runs");
}

awaitable<tl::expected<void, ConnectError>> ask_proxy(Attempt& attempt, Channel& channel, const Url& proxy,
                                                      const Url& url) {
  const std::string host = url.host.find(':') == std::string::npos ? url.host : "[" + url.host + "]";
  const std::string authority = host + ":" + std::to_string(url.port);
  std::string request = "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n";
  if (!proxy.user.empty()) request += "Proxy-Authorization: " + basic_authorization(proxy) + "\r\n";
  request += "\r\n";
  Deadline deadline{attempt.loop, channel};
  deadline.set(attempt.left());
  const auto [sent, written] = co_await asio::async_write(channel, asio::buffer(request), kTuple);
  beast::flat_buffer buffer{16 * 1024};
  beast::http::response_parser<beast::http::empty_body> parser;
  parser.skip(true);
  error_code ec = sent;
  if (!ec) {
    const auto [got, read] = co_await beast::http::async_read_header(channel, buffer, parser, kTuple);
    ec = got;
  }
  if (deadline.passed()) co_return late(Stage::proxy, proxy, "asking the proxy for " + authority);
  if (ec)
    co_return failed(Stage::proxy, Fault::unavailable, Retry::after_backoff,
                     proxy.origin() + ": the proxy did not answer a CONNECT to " + authority + " (" + ec.message() +
                         "); check HTTPS_PROXY and HTTP_PROXY");
  const int status = static_cast<int>(parser.get().result_int());
  if (status / 100 != 2) {
    auto refused = failed(Stage::proxy, Fault::refused, status >= 500 ? Retry::after_backoff : Retry::never,
                          proxy.origin() + ": the proxy refused a connection to " + authority + " with status " +
                              std::to_string(status) +
                              (status == 407 ? "; give it a user and password in the proxy's URL"
                                             : "; ask its operator, or name the host in NO_PROXY"));
    refused.value().status = status;
    co_return refused;
  }
  if (buffer.size() != 0)
    co_return failed(Stage::proxy, Fault::malformed, Retry::after_backoff,
                     proxy.origin() + ": the proxy sent bytes of its own after its answer; is it an HTTP proxy?");
  co_return tl::expected<void, ConnectError>{};
}

awaitable<tl::expected<void, ConnectError>> secure(Attempt& attempt, Channel& channel, ssl::context& context,
                                                   const Url& url) {
  Channel::Tls& stream = channel.start_tls(context);
  Deadline deadline{attempt.loop, channel};
  deadline.set(attempt.left());
  error_code ec = expect_host(stream, url.host);
  if (!ec) {
    const auto [got] = co_await stream.async_handshake(ssl::stream_base::client, kTuple);
    ec = got;
  }
  if (deadline.passed()) co_return late(Stage::tls, url, "beginning TLS");
  if (!ec) co_return tl::expected<void, ConnectError>{};
  const std::string why = handshake_failure(stream, ec);
  if (certificate_refused(stream))
    co_return failed(Stage::tls, Fault::refused, Retry::after_backoff,
                     url.origin() + ": its certificate is not to be trusted (" + why +
                         "); check the host, this machine's clock, and the file of trusted authorities");
  co_return failed(Stage::tls, Fault::unavailable, Retry::after_backoff,
                   url.origin() + ": TLS failed (" + why + "); is this a TLS port?");
}

}  // namespace

std::string basic_authorization(const Url& url) {
  const std::string plain = url.user + ":" + url.password;
  std::string encoded(4 * ((plain.size() + 2) / 3) + 1, '\0');  // and the NUL that OpenSSL writes
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                  reinterpret_cast<const unsigned char*>(plain.data()), static_cast<int>(plain.size()));
  encoded.pop_back();
  return "Basic " + encoded;
}

std::string beginning(std::string_view body) {
  std::string line{body.substr(0, 120)};
  std::ranges::replace_if(
      line, [](char c) { return c < ' ' || c == '\x7f'; }, ' ');
  return line;
}

awaitable<tl::expected<std::unique_ptr<Channel>, ConnectError>> open_channel(Connector& connector, Url url,
                                                                             bool tunnel) {
  Connector::Impl& own = connector.impl();
  const Url* proxy = own.config.proxy.of(url);
  Attempt attempt{own.loop, own.config.connect_timeout};
  if (own.config.wire) {
    auto wire = own.config.wire(url);
    if (!wire)
      co_return failed(Stage::connect, Fault::unavailable, Retry::after_backoff,
                       url.origin() + ": refused by the simulated network");
    co_return std::make_unique<Channel>(Socket{own.loop.impl().context}, std::move(wire));
  }
  auto channel = co_await dial(attempt, proxy != nullptr ? *proxy : url);
  if (!channel) co_return tl::unexpected{std::move(channel.error())};
  if (proxy != nullptr && (tunnel || url.tls())) {
    auto through = co_await ask_proxy(attempt, **channel, *proxy, url);
    if (!through) co_return tl::unexpected{std::move(through.error())};
  }
  if (url.tls()) {
    auto secured = co_await secure(attempt, **channel, *own.tls, url);
    if (!secured) co_return tl::unexpected{std::move(secured.error())};
  }
  co_return std::move(*channel);
}

awaitable<void> finish(Loop& loop, std::shared_ptr<Channel> channel) {
  const SteadyTime until = loop.now() + kLingerWhole;
  Deadline deadline{loop, *channel};
  const auto wait_again = [&] { deadline.set(std::min(kLingerQuiet, until - loop.now())); };
  wait_again();
  co_await channel->async_flush(kTuple);
  if (channel->in_memory()) co_return channel->close();  // nothing is under way there
  if (channel->tls() != nullptr) co_await channel->tls()->async_shutdown(kTuple);
  error_code ec;
  channel->socket().shutdown(Socket::shutdown_send, ec);
  std::array<char, 16 * 1024> away;
  for (std::size_t total = 0; !ec && total < kLingerBytes;) {
    wait_again();
    const auto [got, bytes] = co_await channel->socket().async_read_some(asio::buffer(away), kTuple);
    ec = got;
    total += bytes;
  }
}

}  // namespace truetape::net
