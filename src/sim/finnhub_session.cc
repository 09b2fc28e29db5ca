#include "sim/finnhub_session.h"

#include <simdjson.h>

#include <algorithm>

#include "sim/finnhub_front.h"

namespace truetape::sim {
namespace {

using net::SteadyTime;

SteadyTime after(SteadyTime from, Nanoseconds by) {
  return by <= Nanoseconds::zero() || by > SteadyTime::max() - from ? SteadyTime::max() : from + by;
}

}  // namespace

FinnhubSession::FinnhubSession(FinnhubFront& front, Simulator& simulator, Wire& wire, std::string token)
    : front_{front}, simulator_{simulator}, wire_{wire}, token_{std::move(token)}, timer_{simulator.loop()} {}

void FinnhubSession::open() {  // nothing is said
  const SteadyTime now = simulator_.loop().now();
  next_ping_ = after(now, simulator_.limits().ping_every);
  life_end_ = after(now, simulator_.limits().life);
  front_.opened(wire_, token_);
  tick();
}

void FinnhubSession::received(std::string_view message) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  std::string_view type, symbol;
  if (parser.parse(message.data(), message.size()).get(root) != simdjson::SUCCESS ||
      root["type"].get(type) != simdjson::SUCCESS || root["symbol"].get(symbol) != simdjson::SUCCESS)
    return;  // whatever it is, nothing comes
  const bool subscribe = type.starts_with("subscribe");
  std::string_view what = type.substr(std::min(type.size(), subscribe ? std::size_t{9} : std::size_t{11}));
  if ((!subscribe && !type.starts_with("unsubscribe")) || (!what.empty() && what != "-news" && what != "-pr")) return;
  if (!what.empty()) what.remove_prefix(1);
  std::string name{what};
  if (!name.empty()) name += ':';
  name += symbol;
  const auto found = names_.find(name);
  if (subscribe && found == names_.end()) {
    const auto symbols = std::ranges::count_if(names_, [](const auto& one) { return one.second; });
    if (what.empty() && symbols >= static_cast<std::ptrdiff_t>(simulator_.limits().streams))
      return wire_.say(finnhub::error_message("Subscribing to too many symbols"));
    names_.emplace(name, what.empty());
    front_.subscribe(*this, wire_, name);
  } else if (!subscribe && found != names_.end()) {
    names_.erase(found);
    front_.unsubscribe(wire_, name);
  }
}

void FinnhubSession::say_error(int code) {
  wire_.say(finnhub::error_message(code == 401 ? "Invalid API key" : "Something went wrong"));
}

// ---- messages

void FinnhubSession::add(std::string_view type, std::string item, const Subscriber& subscriber, std::uint64_t id,
                         bool whole) {
  if (wire_.over()) return;
  Batch& batch = batches_[std::string{type}];
  if (batch.items.empty()) {
    ++batch.number;
    batch.key = id;
    for (const char c : subscriber.log->name) batch.key = mix(batch.key, static_cast<unsigned char>(c));
    if (!whole && simulator_.limits().flush > Nanoseconds::zero())
      simulator_.at(simulator_.now() + std::chrono::floor<Duration>(simulator_.limits().flush),
                    [weak = wire_.weak_from_this(), this, own = std::string{type}, number = batch.number] {
                      if (weak.lock() && batches_[own].number == number) flush(own);
                    });
  }
  batch.items.push_back(std::move(item));
  const auto part = std::ranges::find(batch.parts, subscriber.log, &Part::log);
  if (part == batch.parts.end())
    batch.parts.push_back({.log = subscriber.log, .first = id, .last = id});
  else
    part->last = id;
  for (const std::uint32_t fault : subscriber.faults)
    if (const auto at = std::ranges::lower_bound(batch.faults, fault); at == batch.faults.end() || *at != fault)
      batch.faults.insert(at, fault);
  if (!whole && (batch.items.size() >= simulator_.limits().batch || simulator_.limits().flush <= Nanoseconds::zero()))
    flush(type);
}

void FinnhubSession::flush() {
  for (const auto& [type, batch] : batches_) flush(type);
}

void FinnhubSession::flush(std::string_view type) {
  const auto found = batches_.find(type);
  if (found == batches_.end() || found->second.items.empty()) return;
  Batch batch = std::move(found->second);
  found->second = {.items = {}, .parts = {}, .faults = {}, .number = batch.number};
  if (simulator_.limits().ping_idle) next_ping_ = after(simulator_.loop().now(), simulator_.limits().ping_every);
  wire_.deliver(std::move(batch.parts), batch.faults, batch.key,
                std::make_shared<const std::string>(finnhub::data_message(batch.items, type)));
}

// ---- pings, the end

void FinnhubSession::tick() {
  if (wire_.deaf()) return;
  const Limits& limits = simulator_.limits();
  const SteadyTime now = simulator_.loop().now();
  if (now >= life_end_) return wire_.end("life", limits.life_end, 1001, "");
  if (now >= next_ping_) {
    next_ping_ = after(now, limits.ping_every);
    if (!wire_.stalled()) {
      ++wire_.log().pings;
      wire_.say(R"({"type":"ping"})");
    }
  }
  if (const SteadyTime next = std::min(next_ping_, life_end_); next != SteadyTime::max())
    timer_.at(next, [this] { tick(); });
}

void FinnhubSession::ended() {
  front_.closed(wire_, token_);
  for (const auto& [type, batch] : batches_) wire_.unsent(batch.parts);
  for (const auto& [name, trades] : names_) front_.unsubscribe(wire_, name);
}

}  // namespace truetape::sim
