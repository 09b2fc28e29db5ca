#include "net/websocket_client.h"

#include "net/open_channel.h"
#include "net/websocket_impl.h"

namespace truetape::net {
namespace {

namespace websocket = beast::websocket;

// The same request may be answered otherwise later.
bool passing(int status) { return status == 408 || status == 418 || status == 425 || status == 429 || status >= 500; }

tl::unexpected<ConnectError> failed(Fault fault, Retry retry, std::string detail) {
  ConnectError error;
  error.fault = fault;
  error.retry = retry;
  error.detail = std::move(detail);
  error.stage = Stage::handshake;
  return tl::unexpected{std::move(error)};
}

tl::unexpected<ConnectError> refused(const Url& url, const websocket::response_type& answer) {
  const int status = static_cast<int>(answer.result_int());
  auto error = failed(Fault::refused, passing(status) ? Retry::after_backoff : Retry::never, {});
  ConnectError& e = error.value();
  e.status = status;
  for (const auto& field : answer) e.headers.add(std::string{field.name_string()}, std::string{field.value()});
  e.body = answer.body();
  const std::string type = e.headers.content_type();
  e.detail = url.place() + ": answered with status " + std::to_string(status) + " instead of a WebSocket";
  if (!e.body.empty()) e.detail += ", " + (type.empty() ? "unnamed content" : type) + ": " + beginning(e.body);
  e.detail += passing(status) ? "; try again later" : "; check the address and whether this place may use it";
  return error;
}

}  // namespace

awaitable<tl::expected<std::unique_ptr<WebSocket>, ConnectError>> connect_websocket(Connector& connector,
                                                                                    WebSocketRequest request) {
  const auto url = parse_url(request.url);
  if (!url || (url->scheme != "ws" && url->scheme != "wss")) {
    co_return failed(Fault::malformed, Retry::never,
                     url ? url->origin() + " is no address of a WebSocket; use ws:// or wss://" : url.error().detail);
  }
  auto channel = co_await open_channel(connector, *url, true);
  if (!channel) co_return tl::unexpected{std::move(channel.error())};
  Loop& loop = connector.loop();
  const auto socket = std::make_shared<WebSocket::Impl>(loop, std::shared_ptr<Channel>{std::move(*channel)},
                                                        request.config, url->place());
  socket->stream.set_option(websocket::stream_base::decorator([&](websocket::request_type& head) {
    head.set(beast::http::field::user_agent, "truetape");
    if (!url->user.empty()) head.set(beast::http::field::authorization, basic_authorization(*url));
    for (const auto& [name, value] : request.headers) head.set(name, value);
  }));
  Deadline deadline{loop, *socket->channel};
  deadline.set(request.handshake_timeout);
  websocket::response_type answer;
  const auto [ec] = co_await socket->stream.async_handshake(answer, url->host_field(), url->target, kTuple);
  if (deadline.passed())
    co_return failed(Fault::unavailable, Retry::after_backoff,
                     url->place() + ": no answer to the WebSocket handshake in time; try again later");
  if (ec == websocket::error::upgrade_declined) co_return refused(*url, answer);
  if (ec) {
    const bool protocol = ec == websocket::condition::handshake_failed ||
                          ec.category() == make_error_code(beast::http::error::bad_version).category();
    co_return failed(
        protocol ? Fault::malformed : Fault::unavailable, Retry::after_backoff,
        url->place() + ": the WebSocket handshake failed (" + ec.message() + "); is this a WebSocket server?");
  }
  socket->start();
  co_return std::make_unique<WebSocket>(socket);
}

}  // namespace truetape::net
