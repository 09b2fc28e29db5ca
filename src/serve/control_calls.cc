#include "serve/control_calls.h"

#include <simdjson.h>

#include <algorithm>

#include "codec/cells.h"

namespace truetape {
namespace {

using net::awaitable;
using net::ServerAnswer;

constexpr std::chrono::seconds kLongest{5};  // until the record is durable
constexpr std::string_view kInstruments = "/api/v1/instruments";

}  // namespace

ControlCalls::ControlCalls(Context& context) : context_{context}, worker_{context.loop, 1} {}

Status ControlCalls::append(const ControlText& record) {
  if (!appender_) {
    auto made = context_.parts.log.appender(topic::control);
    if (!made) return tl::unexpected{made.error()};
    appender_ = std::move(*made);
  }
  if (!appender_->append(kControlPartition, {record.key, record.value, {}}))
    return failure(Fault::unavailable, Retry::after_backoff, "the log takes no records now; ask again in a moment");
  const auto durable = appender_->flush(kLongest);
  if (durable && *durable) return {};
  appender_.reset();  // with what it holds: nothing takes effect later because there is room again
  Error error = durable ? Error{Fault::unavailable, Retry::after_backoff, "the record was not durable within 5 s"}
                        : durable.error();
  error.detail += "; it may have taken effect all the same: GET /api/v1/pipeline tells";
  return tl::unexpected{std::move(error)};
}

awaitable<ServerAnswer> ControlCalls::put(ControlRecord record, std::string body) {
  const auto call = [this, text = control_text(record)] { return append(text); };
  const Status done = co_await worker_.run(call);
  if (!done) {
    ServerAnswer answer = net::problem(503, done.error().detail);
    answer.headers.add("Retry-After", "1");
    co_return answer;
  }
  co_return net::text_answer(202, "application/json", std::move(body));
}

awaitable<ServerAnswer> ControlCalls::want(net::RequestPtr request) {
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  std::string_view text;
  if (parser.parse(request->body.data(), request->body.size()).get(object) != simdjson::SUCCESS ||
      object["instrument"].get(text) != simdjson::SUCCESS)
    co_return net::problem(400, R"(the body must be JSON like {"instrument": "binance:ETHUSDT"})");
  const auto instrument = context_.parts.receivable(text);
  if (!instrument) co_return net::problem(400, "instrument: " + instrument.error().detail);
  std::string body = R"({"state":"wanted","instrument":)";
  append_json(instrument->text(), body);
  co_return co_await put(WantedInstrument{*instrument, true}, body + "}\n");
}

awaitable<ServerAnswer> ControlCalls::unwant(net::RequestPtr request) {
  const std::string_view text = std::string_view{request->where.path}.substr(kInstruments.size() + 1);
  const auto instrument = Instrument::parse(text);
  if (!instrument) co_return net::problem(400, "write DELETE /api/v1/instruments/VENUE:SYMBOL");
  if (!context_.recent.control().wanted.contains(*instrument))
    co_return net::problem(404, instrument->str() + " is not wanted");
  std::string body = R"({"state":"not wanted","instrument":)";
  append_json(instrument->text(), body);
  co_return co_await put(WantedInstrument{*instrument, false}, body + "}\n");
}

std::optional<awaitable<ServerAnswer>> ControlCalls::call(const net::RequestPtr& request) {
  const std::string_view path = request->where.path;
  if (request->method == "POST") {
    if (path == "/start") return put(IngestSwitch{true}, "{\"state\":\"started\"}\n");
    if (path == "/stop") return put(IngestSwitch{false}, "{\"state\":\"stopped\"}\n");
    if (path == kInstruments) return want(request);
  }
  if (request->method == "DELETE" && path.size() > kInstruments.size() + 1 && path.starts_with(kInstruments) &&
      path[kInstruments.size()] == '/')
    return unwant(request);
  return std::nullopt;
}

}  // namespace truetape
