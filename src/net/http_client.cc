#include "net/http_client.h"

#include <algorithm>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <list>
#include <map>
#include <set>

#include "net/open_channel.h"

namespace truetape::net {
namespace {

namespace http = beast::http;
using namespace std::string_view_literals;
using Request = http::request<http::string_body>;
using Parser = http::response_parser<http::string_body>;

struct Connection {
  explicit Connection(std::unique_ptr<Channel> c) : channel{std::move(c)} {}
  std::unique_ptr<Channel> channel;
  beast::flat_buffer buffer;
  SteadyTime idle_since{};
};

bool idempotent(std::string_view method) { return method == "GET" || method == "HEAD"; }

// A header field that would end early and begin another.
bool breaks_lines(std::string_view text) { return text.find_first_of("\r\n\0"sv) != std::string_view::npos; }

}  // namespace

struct HttpClient::Impl {
  struct Origin {
    explicit Origin(Loop& loop) : freed{loop} {}
    std::list<Connection> idle;  // the one used last at the end
    std::size_t busy = 0;
    Event freed;
  };

  Impl(Connector& c, HttpClientConfig conf) : connector{c}, loop{c.loop()}, config{std::move(conf)}, sweeper{loop} {}

  static awaitable<Result<HttpAnswer>> send(std::shared_ptr<Impl> self, HttpRequest request);
  static awaitable<Result<HttpAnswer>> exchange(std::shared_ptr<Impl> self, Origin& origin, const HttpRequest& request,
                                                const Url& url);
  // The outcome of one request on one connection; `stale`: it failed before any byte of an answer.
  struct Outcome {
    Result<HttpAnswer> answer;
    bool stale = false, keep = false;
  };
  static awaitable<Outcome> ask(std::shared_ptr<Impl> self, Connection& connection, const HttpRequest& request,
                                const Url& url);
  Request head(const HttpRequest& request, const Url& url) const;
  void sweep();

  Connector& connector;
  Loop& loop;
  HttpClientConfig config;
  std::map<std::string, Origin> origins;
  std::set<Channel*> under_way;
  bool closed = false;
  Stats stats;
  Timer sweeper;
};

Request HttpClient::Impl::head(const HttpRequest& request, const Url& url) const {
  const Url* proxy = url.tls() ? nullptr : connector.impl().config.proxy.of(url);
  Request message;
  message.version(11);
  message.method_string(request.method);
  message.target(proxy != nullptr ? url.origin() + url.target : url.target);
  message.set(http::field::host, url.host_field());
  message.set(http::field::user_agent, config.user_agent);
  if (proxy != nullptr && !proxy->user.empty())
    message.set(http::field::proxy_authorization, basic_authorization(*proxy));
  if (!url.user.empty()) message.set(http::field::authorization, basic_authorization(url));
  for (const auto& [name, value] : request.headers) message.set(name, value);
  message.body() = request.body;
  if (!request.body.empty() || !idempotent(request.method)) message.content_length(request.body.size());
  return message;
}

awaitable<HttpClient::Impl::Outcome> HttpClient::Impl::ask(std::shared_ptr<Impl> self, Connection& connection,
                                                           const HttpRequest& request, const Url& url) {
  const std::string who = request.method + " " + url.place();
  const auto fail = [](Fault fault, Retry retry, std::string detail, bool stale) {
    return Outcome{.answer = failure(fault, retry, std::move(detail)), .stale = stale, .keep = false};
  };
  const HttpClientConfig& config = self->config;
  const std::string too_long =
      who + ": the body is longer than " + std::to_string(config.most_body) + " bytes; ask for less";
  Request message = self->head(request, url);
  HttpAnswer answer;
  Deadline deadline{self->loop, *connection.channel};
  deadline.set(config.header_timeout);
  answer.sent = self->loop.clock().now();
  const auto [write_error, written] = co_await http::async_write(*connection.channel, message, kTuple);

  // After a failed write the answer may still be there: a server that refuses a body answers before reading it.
  std::optional<Parser> parser;
  error_code ec;
  do {  // again after an interim answer such as 100 Continue
    parser.emplace();
    parser->header_limit(config.most_header);
    parser->body_limit(config.most_body);
    parser->skip(request.method == "HEAD");
    const auto [got, bytes] = co_await http::async_read_header(*connection.channel, connection.buffer, *parser, kTuple);
    ec = got;
  } while (!ec && parser->get().result_int() / 100 == 1 && parser->get().result_int() != 101);
  answer.received = self->loop.clock().now();
  if (ec) {
    if (self->closed) co_return fail(Fault::unavailable, Retry::never, who + ": ended, the client was closed", false);
    if (deadline.passed())
      co_return fail(Fault::unavailable, Retry::after_backoff, who + ": no answer in time; the server is slow or gone",
                     false);
    if (ec == http::error::header_limit || ec == http::error::buffer_overflow)
      co_return fail(Fault::malformed, Retry::never,
                     who + ": the answer's header is longer than " + std::to_string(config.most_header) + " bytes",
                     false);
    if (ec == http::error::body_limit) co_return fail(Fault::out_of_range, Retry::never, too_long, false);
    const bool silent = !parser->got_some() && connection.buffer.size() == 0;
    const bool cut = ec == http::error::end_of_stream || ec == http::error::partial_message ||
                     ec.category() != make_error_code(http::error::bad_version).category();
    if (cut)
      co_return fail(Fault::unavailable, Retry::reconnect,
                     who + ": the connection ended before an answer (" + (write_error ? write_error : ec).message() +
                         "); ask again later",
                     silent);
    co_return fail(Fault::malformed, Retry::never,
                   who + ": the answer is no HTTP (" + ec.message() + "); check host and port", false);
  }
  deadline.set(config.body_timeout);
  if (!parser->is_done()) {
    const auto [body_error, bytes] = co_await http::async_read(*connection.channel, connection.buffer, *parser, kTuple);
    ec = body_error;
  }
  deadline.cancel();
  if (ec) {
    if (self->closed) co_return fail(Fault::unavailable, Retry::never, who + ": ended, the client was closed", false);
    if (deadline.passed())
      co_return fail(Fault::unavailable, Retry::after_backoff,
                     who + ": the body did not come in time; the server is slow or gone", false);
    if (ec == http::error::body_limit) co_return fail(Fault::out_of_range, Retry::never, too_long, false);
    co_return fail(Fault::unavailable, Retry::reconnect,
                   who + ": the connection ended within the body (" + ec.message() + "); ask again later", false);
  }
  auto& read = parser->get();
  answer.status = static_cast<int>(read.result_int());
  for (const auto& field : read) answer.headers.add(std::string{field.name_string()}, std::string{field.value()});
  answer.body = std::move(read.body());
  const bool keep = parser->keep_alive() && !write_error && !self->closed && connection.buffer.size() == 0;
  co_return Outcome{.answer = std::move(answer), .stale = false, .keep = keep};
}

awaitable<Result<HttpAnswer>> HttpClient::Impl::exchange(std::shared_ptr<Impl> self, Origin& origin,
                                                         const HttpRequest& request, const Url& url) {
  for (;;) {
    std::list<Connection> connection;
    const bool reused = !origin.idle.empty();
    if (reused) {
      connection.splice(connection.end(), origin.idle, std::prev(origin.idle.end()));
      ++self->stats.reused;
    } else {
      auto opened = co_await open_channel(self->connector, url, false);
      if (!opened) co_return tl::unexpected{Error{std::move(opened.error())}};
      connection.emplace_back(std::move(*opened));
      ++self->stats.connections;
    }
    if (self->closed)
      co_return failure(Fault::unavailable, Retry::never, url.place() + ": ended, the client was closed");
    Channel* channel = connection.front().channel.get();
    self->under_way.insert(channel);
    Outcome outcome = co_await ask(self, connection.front(), request, url);
    self->under_way.erase(channel);
    if (outcome.stale && reused && idempotent(request.method) && !self->closed) continue;
    if (outcome.keep) {
      connection.front().idle_since = self->loop.now();
      origin.idle.splice(origin.idle.end(), connection);
      self->sweep();
    }
    co_return std::move(outcome.answer);
  }
}

awaitable<Result<HttpAnswer>> HttpClient::Impl::send(std::shared_ptr<Impl> self, HttpRequest request) {
  const auto url = parse_url(request.url);
  if (!url) co_return tl::unexpected{url.error()};
  if (url->scheme != "http" && url->scheme != "https")
    co_return failure(Fault::malformed, Retry::never,
                      url->origin() + " is no address of HTTP; use http:// or https://");
  bool broken = breaks_lines(request.method) || request.method.empty() || request.method.find(' ') != std::string::npos;
  for (const auto& [name, value] : request.headers) broken = broken || breaks_lines(name) || breaks_lines(value);
  if (broken)
    co_return failure(Fault::malformed, Retry::never, url->place() + ": the method or a header field has a line break");
  ++self->stats.requests;
  Origin& origin = self->origins.try_emplace(url->origin(), self->loop).first->second;
  while (!self->closed && origin.busy >= self->config.most_connections) {
    origin.freed.reset();
    co_await origin.freed.wait();
  }
  if (self->closed)
    co_return failure(Fault::unavailable, Retry::never, url->place() + ": ended, the client was closed");
  ++origin.busy;
  auto answer = co_await exchange(self, origin, request, *url);
  --origin.busy;
  origin.freed.set();
  co_return std::move(answer);
}

void HttpClient::Impl::sweep() {
  SteadyTime next = SteadyTime::max();
  for (auto& [name, origin] : origins) {
    std::erase_if(origin.idle,
                  [this](const Connection& c) { return loop.now() - c.idle_since >= config.idle_timeout; });
    if (!origin.idle.empty()) next = std::min(next, origin.idle.front().idle_since + config.idle_timeout);
  }
  if (next == SteadyTime::max())
    sweeper.cancel();
  else if (!sweeper.armed())
    sweeper.at(next, [this] { sweep(); });
}

HttpClient::HttpClient(Connector& connector, HttpClientConfig config)
    : impl_{std::make_shared<Impl>(connector, std::move(config))} {}
HttpClient::~HttpClient() { close(); }

awaitable<Result<HttpAnswer>> HttpClient::send(HttpRequest request) { return Impl::send(impl_, std::move(request)); }

void HttpClient::close() {
  impl_->closed = true;
  impl_->sweeper.cancel();
  for (Channel* channel : impl_->under_way) channel->close();
  for (auto& [name, origin] : impl_->origins) {
    origin.idle.clear();
    origin.freed.set();
  }
}

const HttpClient::Stats& HttpClient::stats() const { return impl_->stats; }

}  // namespace truetape::net
