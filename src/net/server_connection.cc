#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include "core/utf8.h"
#include "net/http_date.h"
#include "net/server_impl.h"
#include "net/websocket_impl.h"

namespace truetape::net {
namespace {

namespace http = beast::http;
using Parser = http::request_parser<http::string_body>;
using Then = ServerAnswer::Then;

std::string_view words_of(int status) {
  const auto known = http::int_to_status(static_cast<unsigned>(status));
  const auto words = http::obsolete_reason(known);
  return {words.data(), words.size()};
}

// A string of JSON, whatever bytes it holds.
std::string json_string(std::string_view bytes) {
  std::string text, result = "\"";
  append_utf8(bytes, text);
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      constexpr std::string_view kHex = "0123456789abcdef";
      result += "\\u00";
      result += kHex[static_cast<unsigned char>(c) >> 4];
      result += kHex[static_cast<unsigned char>(c) & 15];
    } else {
      result += c;
    }
  }
  return result + '"';
}

// What the status allows: 1xx, 204 and 304 have no body and no length.
bool may_have_body(int status) { return status >= 200 && status != 204 && status != 304; }

std::string answer_head(const ServerAnswer& answer, Timestamp now, bool keep, bool http10, bool chunked) {
  std::string head;
  head.reserve(256);
  head += "HTTP/1.1 ";
  head += std::to_string(answer.status);
  head += ' ';
  head += words_of(answer.status);
  head += "\r\nDate: ";
  head += to_http_date(now);
  for (const auto& [name, value] : answer.headers) {
    // A field that would break the line, and so let a value write further fields, is left out.
    if (name.find_first_of("\r\n: ") != std::string::npos || value.find_first_of("\r\n") != std::string::npos) continue;
    head += "\r\n";
    head += name;
    head += ": ";
    head += value;
  }
  if (chunked) {
    head += "\r\nTransfer-Encoding: chunked";
  } else if (!answer.source && may_have_body(answer.status)) {
    head += "\r\nContent-Length: ";
    head += std::to_string(answer.body.size());
  }
  if (!keep)
    head += "\r\nConnection: close";
  else if (http10)
    head += "\r\nConnection: keep-alive";
  head += "\r\n\r\n";
  return head;
}

std::string hex(std::size_t value) {
  std::array<char, 20> text{};
  const int length = std::snprintf(text.data(), text.size(), "%zx", value);
  return {text.data(), static_cast<std::size_t>(length)};
}

// False: the answer did not go out whole.
awaitable<bool> write_answer(Loop& loop, Channel& channel, Nanoseconds limit, const ServerAnswer& answer, bool keep,
                             bool http10, bool body_wanted) {
  const bool chunked = answer.source && !http10 && may_have_body(answer.status);
  const std::string head = answer_head(answer, loop.clock().now(), keep, http10, chunked);
  Deadline deadline{loop, channel};
  deadline.set(limit);
  const bool has_body = body_wanted && may_have_body(answer.status);
  const std::array<asio::const_buffer, 2> whole{
      asio::buffer(head), has_body && !answer.source ? asio::buffer(answer.body) : asio::const_buffer{}};
  auto [ec, bytes] = co_await asio::async_write(channel, whole, kTuple);
  if (ec) co_return false;
  while (has_body && answer.source) {
    deadline.cancel();  // the source may take its time
    const Result<std::string> piece = co_await answer.source();
    if (!piece) co_return false;
    deadline.set(limit);
    std::string before = chunked ? hex(piece->size()) + "\r\n" : std::string{};
    const std::string_view after = chunked ? "\r\n" : "";
    const std::array<asio::const_buffer, 3> parts{asio::buffer(before), asio::buffer(*piece), asio::buffer(after)};
    const auto [failed, sent] = co_await asio::async_write(channel, parts, kTuple);
    if (failed) co_return false;
    if (piece->empty()) break;
  }
  co_return true;
}

int status_of(error_code ec) {
  if (ec == http::error::header_limit || ec == http::error::buffer_overflow) return 431;
  if (ec == http::error::body_limit) return 413;
  return 400;
}

std::shared_ptr<ServerRequest> request_of(const Parser& parser, const ServerConnection& connection,
                                          Timestamp received) {
  auto request = std::make_shared<ServerRequest>();
  const auto& message = parser.get();
  request->method = std::string{message.method_string()};
  request->target = std::string{message.target()};
  for (const auto& field : message) request->headers.add(std::string{field.name_string()}, std::string{field.value()});
  request->address = connection.address;
  request->tls = connection.channel->tls() != nullptr;
  request->received = received;
  return request;
}

awaitable<ServerAnswer> ask_handler(Server::Impl& server, RequestPtr request) {
  if (!server.handlers.http) co_return problem(404, "there is nothing here but WebSockets");
  try {
    co_return co_await server.handlers.http(request);
  } catch (const std::exception& e) {
    ++server.stats.failed_handlers;
    server.trouble(request->method + " " + request->where.path + " failed: " + e.what());
    co_return problem(500, "the server failed while it answered; its log says why");
  }
}
awaitable<std::optional<ServerAnswer>> ask_upgrade(Server::Impl& server, RequestPtr request) {
  if (!server.handlers.websocket) co_return problem(426, "there is no WebSocket here");
  if (!server.handlers.upgrade) co_return std::nullopt;
  try {
    co_return co_await server.handlers.upgrade(request);
  } catch (const std::exception& e) {
    ++server.stats.failed_handlers;
    server.trouble("an upgrade at " + request->where.path + " failed: " + e.what());
    co_return problem(500, "the server failed while it answered; its log says why");
  }
}

// The life of an upgraded connection.
awaitable<void> serve_websocket(std::shared_ptr<ServerConnection> self, RequestPtr request,
                                const http::request<http::string_body>& head) {
  Server::Impl& server = *self->server;
  const auto impl = std::make_shared<WebSocket::Impl>(server.loop, self->channel, server.config.websocket,
                                                      self->address + request->where.path);
  {
    Deadline deadline{server.loop, *self->channel};
    deadline.set(server.config.header_timeout);
    const auto [ec] = co_await impl->stream.async_accept(head, kTuple);
    if (ec) {  // a client that asks for another version, say; Beast has told it
      ++server.stats.bad_requests;
      co_return;
    }
  }
  ++server.stats.upgrades;
  impl->start();
  auto socket = std::make_shared<WebSocket>(impl);
  self->websocket = socket;
  if (server.stopping) socket->close(1001, "the server stops");
  try {
    co_await server.handlers.websocket(request, socket);
  } catch (const std::exception& e) {
    ++server.stats.failed_handlers;
    server.trouble("the WebSocket " + impl->peer + " failed: " + e.what());
    socket->close(1011, "the server failed", true);
  }
  socket->close(1000, "");
  co_await impl->ended.wait();
}

}  // namespace

ServerAnswer text_answer(int status, std::string content_type, std::string body) {
  ServerAnswer answer;
  answer.status = status;
  answer.headers.add("Content-Type", std::move(content_type));
  answer.body = std::move(body);
  return answer;
}

ServerAnswer problem(int status, std::string_view detail) {
  return text_answer(status, "application/problem+json",
                     "{\"type\":\"about:blank\",\"title\":" + json_string(words_of(status)) +
                         ",\"status\":" + std::to_string(status) + ",\"detail\":" + json_string(detail) + "}\n");
}

ServerConnection::ServerConnection(std::shared_ptr<Server::Impl> s, std::shared_ptr<Channel> c, std::string from)
    : server{std::move(s)}, channel{std::move(c)}, address{std::move(from)} {
  server->connections.insert(this);
  ++server->by_address[address];
  server->stats.open = server->connections.size();
}
ServerConnection::~ServerConnection() {
  server->connections.erase(this);
  if (const auto place = server->by_address.find(address); --place->second == 0) server->by_address.erase(place);
  server->stats.open = server->connections.size();
  if (server->connections.empty()) server->all_gone.set();
}

awaitable<void> ServerConnection::run(std::shared_ptr<ServerConnection> self) {
  Server::Impl& server = *self->server;
  const ServerConfig& config = server.config;
  Channel& channel = *self->channel;
  Deadline deadline{server.loop, channel};
  if (server.tls) {
    deadline.set(config.header_timeout);
    const auto [ec] = co_await channel.start_tls(*server.tls).async_handshake(ssl::stream_base::server, kTuple);
    if (ec) co_return;
  }
  beast::flat_buffer buffer;
  for (bool first = true; !server.stopping; first = false) {
    if (buffer.size() == 0) {
      deadline.set(first ? config.header_timeout : config.idle_timeout);
      self->between_requests = true;
      const auto [ec, bytes] = co_await channel.async_read_some(buffer.prepare(4096), kTuple);
      self->between_requests = false;
      if (ec) co_return;
      buffer.commit(bytes);
    }

    Parser parser;
    parser.header_limit(config.most_header);
    parser.body_limit(config.most_body);
    deadline.set_for_reading(config.header_timeout);
    auto [ec, header_bytes] = co_await http::async_read_header(channel, buffer, parser, kTuple);
    const Timestamp received = server.loop.clock().now();
    std::string_view slow = "the request's header did not come in time";
    if (!ec && !deadline.passed() && !parser.is_done()) {
      slow = "the request's body did not come in time";
      deadline.set_for_reading(config.body_timeout);
      if (equal_ignoring_case(std::string_view{parser.get()[http::field::expect]}, "100-continue")) {
        constexpr std::string_view kGoOn = "HTTP/1.1 100 Continue\r\n\r\n";
        const auto [failed, sent] = co_await asio::async_write(channel, asio::buffer(kGoOn), kTuple);
        ec = failed;
      }
      if (!ec) {
        const auto [failed, body_bytes] = co_await http::async_read(channel, buffer, parser, kTuple);
        ec = failed;
      }
    }
    const bool late = deadline.passed();
    deadline.cancel();

    std::optional<ServerAnswer> refusal;
    RequestPtr request;
    if (late) {
      refusal = problem(408, slow);
    } else if (ec) {
      // Not for the stream's end or a network error: nobody would read an answer.
      if (ec == http::error::end_of_stream || ec == http::error::partial_message ||
          ec.category() != make_error_code(http::error::bad_version).category())
        co_return;
      const int status = status_of(ec);
      refusal =
          problem(status, status == 413   ? "the body is longer than " + std::to_string(config.most_body) + " bytes"
                          : status == 431 ? "the header is longer than " + std::to_string(config.most_header) + " bytes"
                                          : "this is no HTTP request: " + ec.message());
    } else {
      const auto made = request_of(parser, *self, received);
      std::string target = made->target;
      if (target.starts_with("http://") || target.starts_with("https://")) {  // as through a proxy
        const auto url = parse_url(target);
        target = url ? url->target : std::string{};
      }
      made->body = std::move(parser.get().body());
      auto where = parse_target(target);
      if (!where)
        refusal = problem(400, where.error().detail);
      else if (parser.get().version() >= 11 && !made->headers.find("Host"))
        refusal = problem(400, "the Host field is missing");
      else
        made->where = std::move(*where);
      request = made;
    }
    if (refusal) {
      ++server.stats.bad_requests;
      if (co_await write_answer(server.loop, channel, config.write_timeout, *refusal, false, false, true))
        co_await finish(server.loop, self->channel);
      co_return;
    }
    ++server.stats.requests;

    ServerAnswer answer;
    if (beast::websocket::is_upgrade(parser.get())) {
      auto refused = co_await ask_upgrade(server, request);
      if (!refused && buffer.size() != 0) refused = problem(400, "frames were sent before the upgrade was accepted");
      if (!refused) co_return co_await serve_websocket(self, request, parser.get());
      answer = std::move(*refused);
    } else {
      answer = co_await ask_handler(server, request);
    }
    if (answer.then == Then::cut) co_return channel.close();
    if (answer.then == Then::reset) co_return channel.reset();
    const bool http10 = parser.get().version() < 11;
    const bool keep =
        answer.then == Then::keep && parser.keep_alive() && !server.stopping && !(http10 && answer.source);
    if (!co_await write_answer(server.loop, channel, config.write_timeout, answer, keep, http10,
                               request->method != "HEAD"))
      co_return channel.close();
    if (!keep) co_return co_await finish(server.loop, self->channel);
  }
}

}  // namespace truetape::net
