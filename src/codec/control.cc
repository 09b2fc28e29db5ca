#include "codec/control.h"

#include <algorithm>
#include <utility>

#include "codec/json_object.h"
#include "core/wildcard.h"

namespace truetape {
namespace {

using json_object::element;
using json_object::ObjectReader;
using json_object::ObjectText;

constexpr std::string_view kIngestKey = "ingest", kWantKey = "want:", kFeedKey = "feed:";
constexpr std::string_view kSetKey = "set:";

std::string feed_text(const FeedReport& report) {
  std::string out;
  ObjectText feed{out};
  feed.time("at", report.at);
  feed.flag("running", report.running);
  if (report.clock_offset) feed.number("clock_offset_ns", std::int64_t{report.clock_offset->count()});
  feed.member("connections");
  out += '[';
  for (const FeedReport::Connection& c : report.connections) {
    if (&c != &report.connections.front()) out += ',';
    ObjectText connection{out};
    connection.text("name", c.name);
    connection.text("state", c.state);
    connection.number("streams", c.streams);
    connection.number("confirmed", c.confirmed);
    connection.number("frames", c.frames);
    connection.number("bytes", c.bytes);
    connection.number("connects", c.connects);
    connection.number("failures", c.failures);
    connection.time("last_frame", c.last_frame);
    connection.time("witness", c.witness);
    if (!c.trouble.empty()) connection.text("trouble", c.trouble);
    connection.time("next_attempt", c.next_attempt);
    connection.end();
  }
  out += ']';
  feed.member("unknown");
  out += '[';
  for (const Instrument& i : report.unknown) {
    if (&i != &report.unknown.front()) out += ',';
    append_json(i.str(), out);
  }
  out += ']';
  feed.end();
  return out;
}

FeedReport read_feed(std::string_view venue, element object, std::string& wrong) {
  FeedReport out;
  out.venue = venue;
  ObjectReader feed{object, "$", wrong};
  out.at = feed.time("at").value_or(Timestamp{});
  out.running = feed.need<bool>("running");
  if (const auto offset = feed.get<std::int64_t>("clock_offset_ns")) out.clock_offset = Nanoseconds{*offset};
  if (const auto connections = feed.get<simdjson::dom::array>("connections")) {
    for (const element entry : *connections) {
      ObjectReader c{entry, "$.connections[" + std::to_string(out.connections.size()) + "]", wrong};
      FeedReport::Connection connection;
      connection.name = c.need<std::string_view>("name");
      connection.state = c.need<std::string_view>("state");
      connection.streams = c.get<std::uint64_t>("streams").value_or(0);
      connection.confirmed = c.get<std::uint64_t>("confirmed").value_or(0);
      connection.frames = c.get<std::uint64_t>("frames").value_or(0);
      connection.bytes = c.get<std::uint64_t>("bytes").value_or(0);
      connection.connects = c.get<std::uint64_t>("connects").value_or(0);
      connection.failures = c.get<std::uint64_t>("failures").value_or(0);
      connection.last_frame = c.time("last_frame");
      connection.witness = c.time("witness");
      connection.trouble = c.get<std::string_view>("trouble").value_or("");
      connection.next_attempt = c.time("next_attempt");
      out.connections.push_back(std::move(connection));
    }
  }
  if (const auto unknown = feed.get<simdjson::dom::array>("unknown")) {
    for (const element entry : *unknown) {
      std::string_view text;
      const auto instrument =
          entry.get(text) == simdjson::SUCCESS ? Instrument::parse(text) : std::optional<Instrument>{};
      if (instrument)
        out.unknown.push_back(*instrument);
      else
        feed.note("unknown", "holds something that is no instrument");
    }
  }
  return out;
}

}  // namespace

ControlText control_text(const ControlRecord& record) {
  struct Text {
    ControlText operator()(const IngestSwitch& s) const {
      return {std::string{kIngestKey}, s.started ? R"({"state":"started"})" : R"({"state":"stopped"})"};
    }
    ControlText operator()(const WantedInstrument& w) const {
      return {std::string{kWantKey} + w.instrument.str(), w.wanted ? R"({"wanted":true})" : R"({"wanted":false})"};
    }
    ControlText operator()(const RuleSetting& r) const {
      std::string value = R"({"value":)";
      append_json(r.value, value);
      return {std::string{kSetKey} + r.name, value + "}"};
    }
    ControlText operator()(const FeedReport& f) const { return {std::string{kFeedKey} + f.venue, feed_text(f)}; }
  };
  return std::visit(Text{}, record);
}

Result<std::optional<ControlRecord>> parse_control(std::string_view key, std::string_view value) {
  const auto refuse = [&](const std::string& what) {
    return failure(Fault::malformed, Retry::never, "control record " + std::string{key} + ": " + what);
  };
  const bool ingest = key == kIngestKey, want = key.starts_with(kWantKey), feed = key.starts_with(kFeedKey),
             set = key.starts_with(kSetKey);
  if (!ingest && !want && !feed && !set) return std::nullopt;
  simdjson::dom::parser parser;
  element object;
  if (parser.parse(value.data(), value.size()).get(object) != simdjson::SUCCESS || !object.is_object())
    return refuse("its value is no JSON object");
  std::string wrong;
  ObjectReader members{object, "$", wrong};
  std::optional<ControlRecord> out;
  if (ingest) {
    const auto state = members.need<std::string_view>("state");
    if (state != "started" && state != "stopped") members.note("state", "is neither started nor stopped");
    out = IngestSwitch{state == "started"};
  } else if (want) {
    const auto instrument = Instrument::parse(key.substr(kWantKey.size()));
    if (!instrument) return refuse("its key names no instrument; it is want:VENUE:SYMBOL");
    out = WantedInstrument{*instrument, members.need<bool>("wanted")};
  } else if (set) {
    out = RuleSetting{std::string{key.substr(kSetKey.size())}, std::string{members.need<std::string_view>("value")}};
  } else {
    out = read_feed(key.substr(kFeedKey.size()), object, wrong);
  }
  if (!wrong.empty()) return refuse(wrong);
  return out;
}

void ControlState::fold(const ControlRecord& record) {
  struct Fold {
    ControlState& state;
    void operator()(const IngestSwitch& s) const {
      state.started = s.started;
      if (!s.started) ++state.stops;
    }
    void operator()(const WantedInstrument& w) const {
      if (w.wanted)
        state.wanted.insert(w.instrument);
      else
        state.wanted.erase(w.instrument);
    }
    void operator()(const RuleSetting& r) const { state.rules.insert_or_assign(r.name, r.value); }
    void operator()(const FeedReport& f) const { state.feeds.insert_or_assign(f.venue, f); }
  };
  std::visit(Fold{*this}, record);
}

bool ControlState::wants(const Instrument& instrument, std::string_view quote) const {
  if (wanted.contains(instrument)) return true;
  return std::ranges::any_of(wanted, [&](const Instrument& other) {
    if (other.venue() != instrument.venue()) return false;
    const auto wildcard = wildcard_of(other);
    return wildcard && may_mean(*wildcard, quote);
  });
}

}  // namespace truetape
