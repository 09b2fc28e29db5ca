// A venue's pure half: bytes in, events out. Linked by process, import, batch and tests; feed.h is the I/O half.
// A new venue is one folder and one line in all.inc (docs/adding-a-venue.md).
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/event.h"

namespace truetape {

struct Klines;

struct Venue {
  std::string_view name;  // "binance"
  TradeIds trade_ids;
  // The instruments that a frame speaks of, upper case, in order of appearance; empty: a control frame or unreadable.
  // Called before the append: time bounded by the frame's length, never fails on content. Appends to `out`.
  void (*route)(std::string_view frame, std::vector<Instrument>& out);
  // The newest time at which the venue says it sent something in this frame (Binance "E"): what a session's witness is
  // made of. nullopt where the frame has none.
  std::optional<Timestamp> (*sent_time)(std::string_view frame);
  // kinds frame, backfill, reference and replay; contract as Decoder::decode.
  void (*decode)(const RawRecord& record, Events& out);
  // The venue's own candles (venues/klines.h); nullptr: they cannot be asked for or read.
  const Klines* klines;
  // Where a venue answers a subscription to trades with the last one before it (Coinbase `last_match`): the time of
  // that trade, of such a frame. Nothing was traded between it and the subscription, so the evidence of the connection
  // begins there. nullptr: the venue does no such thing.
  std::optional<Timestamp> (*last_before)(std::string_view frame) = nullptr;
};

std::span<const Venue> venues();
const Venue* find_venue(std::string_view name);  // nullptr: none of that name
// Venue::route of that venue; of one that is not known: none.
std::vector<Instrument> route_frame(std::string_view venue, std::string_view frame);

}  // namespace truetape
