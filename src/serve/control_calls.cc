#include "serve/control_calls.h"

#include <simdjson.h>

#include <algorithm>

#include "codec/cells.h"
#include "serve/request.h"

namespace truetape {
namespace {

using net::awaitable;
using net::ServerAnswer;

constexpr std::chrono::seconds kLongest{5};  // until the record is durable
constexpr std::string_view kInstruments = "/api/v1/instruments";
constexpr std::string_view kReplay = "/api/v1/quarantine/replay", kDrop = "/api/v1/quarantine/drop";
constexpr std::uint64_t kMostAtOnce = 100'000;  // items of quarantine that one call works on

// What {"instrument": …, "reason": …, "rule": …, "from": …, "to": …, "items": ["0/4711/3"]} or {"all": true} chooses.
Result<QuarantineWork> parse_work(std::string_view body) {
  const auto refuse = [](std::string sentence) { return failure(Fault::malformed, Retry::never, std::move(sentence)); };
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  if (parser.parse(body.data(), body.size()).get(object) != simdjson::SUCCESS)
    return refuse(R"(the body must be JSON like {"reason": "rule", "rule": "step"})");
  QuarantineWork out;
  bool all = false, any = false;
  for (const auto [key, value] : object) {
    const std::string name{key};
    if (name == "all") {
      if (value.get(all) != simdjson::SUCCESS) return refuse("all: must be true");
      continue;
    }
    any = true;
    if (name == "items") {
      simdjson::dom::array items;
      if (value.get(items) != simdjson::SUCCESS || items.size() == 0 || items.size() > 1'000)
        return refuse("items: must be a list of 1 to 1000 places such as \"0/4711/3\"");
      for (const auto item : items) {
        std::string_view text;
        const auto place =
            item.get(text) == simdjson::SUCCESS ? parse_quarantine_place(text) : std::optional<QuarantinePlace>{};
        if (!place) return refuse("items: a place is a text like \"0/4711/3\" (partition, offset, ordinal)");
        out.places.push_back(*place);
      }
      continue;
    }
    std::string_view text;
    if (value.get(text) != simdjson::SUCCESS) return refuse(name + ": must be a text");
    if (name == "instrument") {
      out.what.instrument = Instrument::parse(text);
      if (!out.what.instrument) return refuse("instrument: write VENUE:SYMBOL, such as binance:BTCUSDT");
    } else if (name == "reason") {
      out.what.reason = parse_reason(text);
      if (!out.what.reason) return refuse("reason: this is none; docs/records.md lists them");
    } else if (name == "rule") {
      if (text.empty()) return refuse("rule: is empty; name one, or leave it out");
      if (!is_rule(text)) return refuse("rule: this one puts nothing into quarantine; docs/rules.md lists them");
      out.what.rule = text;
    } else if (name == "from" || name == "to") {
      auto& time = name == "from" ? out.what.from : out.what.to;
      time = parse_time(text);
      if (!time) return refuse(name + ": is no time; write RFC 3339, such as 2024-08-08T23:59:00Z");
    } else {
      return refuse("the body has a key that is not known; docs/api.md lists them");
    }
  }
  if (any == all) return refuse(R"(choose items, or say {"all": true})");
  out.most = kMostAtOnce;
  return out;
}

}  // namespace

ControlCalls::ControlCalls(Context& context)
    : context_{context}, worker_{context.loop, 1}, quarantine_worker_{context.loop, 1} {}

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

Result<QuarantineWorked> ControlCalls::work(const QuarantineWork& work) {
  if (!raw_) {
    auto made = context_.parts.log.appender(topic::raw);
    if (!made) return tl::unexpected{made.error()};
    raw_ = std::move(*made);
  }
  auto did =
      work_quarantine(context_.parts.history, {*raw_, context_.parts.log.partitions(), context_.parts.route}, work);
  if (!did) raw_.reset();
  return did;
}

awaitable<ServerAnswer> ControlCalls::quarantine(net::RequestPtr request, bool drop) {
  auto chosen = parse_work(request->body);
  if (!chosen) co_return net::problem(400, chosen.error().detail);
  chosen->drop = drop;
  const auto call = [this, work = std::move(*chosen)] { return this->work(work); };
  const auto did = co_await quarantine_worker_.run(call);
  if (!did) {
    ServerAnswer answer = net::problem(503, did.error().detail);
    answer.headers.add("Retry-After", "1");
    co_return answer;
  }
  std::string body = "{\"sent\":" + std::to_string(did->sent) + ",\"unusable\":" + std::to_string(did->unusable) +
                     ",\"more\":" + (did->more ? "true" : "false");
  if (did->unusable > 0) {
    body += ",\"why\":";
    append_json(did->why, body);
  }
  co_return net::text_answer(202, "application/json", body + "}\n");
}

std::optional<awaitable<ServerAnswer>> ControlCalls::call(const net::RequestPtr& request) {
  const std::string_view path = request->where.path;
  if (request->method == "POST") {
    if (path == "/start") return put(IngestSwitch{true}, "{\"state\":\"started\"}\n");
    if (path == "/stop") return put(IngestSwitch{false}, "{\"state\":\"stopped\"}\n");
    if (path == kInstruments) return want(request);
    if (path == kReplay || path == kDrop) return quarantine(request, path == kDrop);
  }
  if (request->method == "DELETE" && path.size() > kInstruments.size() + 1 && path.starts_with(kInstruments) &&
      path[kInstruments.size()] == '/')
    return unwant(request);
  return std::nullopt;
}

}  // namespace truetape
