// Shared by this folder's tests.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "venues/finnhub/finnhub.h"
#include "venues/finnhub/item.h"

namespace truetape::finnhub {

inline Timestamp ms(std::int64_t time) { return timestamp_ns(time * 1'000'000); }
inline constexpr std::int64_t kReceivedNs = 1'680'286'539'000'000'000;

// A record as ingest makes it. `instruments`: of its partition; nullopt: all that the venue routes it to.
struct Routed {
  std::string instruments;
  std::vector<Header> headers;
  RawRecord record;

  explicit Routed(std::string_view bytes, RawKind kind = RawKind::frame,
                  std::optional<std::string_view> named = std::nullopt) {
    std::vector<Instrument> to;
    if (kind == RawKind::frame) kVenue.route(bytes, to);
    for (const Instrument& i : to) instruments += (instruments.empty() ? "" : ",") + i.str();
    if (named) instruments = *named;
    record.kind = kind;
    record.bytes = bytes;
    record.instruments = instruments;
    record.receive_time = timestamp_ns(kReceivedNs);
  }
  Routed(const Routed&) = delete;
  Events decoded() const {
    Events out;
    kVenue.decode(record, out);
    return out;
  }
};

inline Events decoded(std::string_view bytes, RawKind kind = RawKind::frame) { return Routed{bytes, kind}.decoded(); }

// "AAPL 164.0601 x 5 @1680286537580 #0": a line for each trade, quote ("= AAPL …"), bad item ("! …") and headline.
inline std::vector<std::string> lines(const Events& events) {
  std::vector<std::string> out;
  const auto at = [](Timestamp t) { return " @" + std::to_string(to_ns(t) / 1'000'000); };
  for (const Item& item : events.items) {
    const std::string who = item.trade.instrument.empty() ? "" : std::string{item.trade.instrument.symbol()} + " ";
    if (item.type == Item::Type::bad)
      out.push_back("! " + who + std::string{name(item.reason)} + " #" + std::to_string(item.ordinal) + " " +
                    item.detail);
    else
      out.push_back(who + to_text(item.trade.price) + " x " + to_text(item.trade.quantity) + at(item.trade.event_time) +
                    " #" + std::to_string(item.ordinal));
  }
  for (const Quote& q : events.quotes)
    out.push_back("= " + std::string{q.instrument.symbol()} + " " + (q.last ? to_text(*q.last) : "") +
                  (q.event_time ? at(*q.event_time) : ""));
  for (const News& n : events.news) {
    std::string line = "news " + n.id + at(n.event_time) + " [" + n.source + "] " + n.headline;
    for (const Instrument& i : n.related) line += " " + std::string{i.symbol()};
    out.push_back(line);
  }
  for (const Reference& r : events.references)
    out.push_back("ref " + r.instrument.str() + " " + r.base + " " + r.quote + " " + r.name);
  if (events.not_a_trade != 0) out.push_back("other " + std::to_string(events.not_a_trade));
  return out;
}

using Lines = std::vector<std::string>;

}  // namespace truetape::finnhub
