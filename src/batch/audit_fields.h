// Everything that a row holds, field by field, in one list each: what audit sums up, and what it names when two rows
// differ. Internal to batch/audit.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "core/records.h"

namespace truetape::audit_parts {

// Calls `field(name, value)` for each; what a person wants to know first comes first. The keys of candles, gaps and
// progress (instrument, tape and so on) are left out: rows are compared under one key.
template <class F>
void fields(const Trade& t, F&& field) {
  field("era", t.era);
  field("order", t.order);
  field("event_time", t.event_time);
  field("price", t.price);
  field("quantity", t.quantity);
  field("taker_side", t.taker_side);
  field("kind", t.kind);
  field("id", t.id);
  field("first_id", t.first_id);
  field("last_id", t.last_id);
  field("receive_time", t.receive_time);
  field("marks", t.marks);
  field("source", t.source);
  field("seq", t.seq);
  field("ordinal", t.ordinal);
}

template <class F>
void fields(const Candle& c, F&& field) {
  field("epoch", c.epoch);
  field("revision", c.revision);
  field("status", c.status);
  field("completeness", c.completeness);
  field("proof", c.proof);
  field("repaired", c.repaired);
  field("missing", c.missing);
  field("held", c.held);
  field("open", c.open);
  field("high", c.high);
  field("low", c.low);
  field("close", c.close);
  field("volume", c.volume);
  field("quote_volume", c.quote_volume);
  field("trades", c.trades);
  field("taker_buy_volume", c.taker_buy_volume);
  field("taker_buy_quote_volume", c.taker_buy_quote_volume);
  field("vwap", c.vwap);
  field("first_id", c.first_id);
  field("last_id", c.last_id);
  field("first_time", c.first_time);
  field("last_time", c.last_time);
  field("first_receive_time", c.first_receive_time);
  field("last_receive_time", c.last_receive_time);
}

template <class F>
void fields(const Gap& g, F&& field) {
  field("epoch", g.epoch);
  field("revision", g.revision);
  field("state", g.state);
  field("reason", g.reason);
  field("last_id", g.last_id);
  field("missing", g.missing);
  field("from", g.from);
  field("to", g.to);
}

template <class F>
void fields(const Progress& p, F&& field) {
  field("epoch", p.epoch);
  field("revision", p.revision);
  field("frontier", p.frontier);
  field("closed_until", p.closed_until);
  field("proven_until", p.proven_until);
  field("sealed_until", p.sealed_until);
}

template <class F>
void fields(const Quarantined& q, F&& field) {
  field("rule_version", q.rule_version);
  field("reason", q.reason);
  field("instrument", q.instrument.text());
  field("receive_time", q.receive_time);
  field("id", q.id);
  field("detail", std::string_view{q.detail});
  field("rule", q.rule);
  field("attempts", q.attempts);
  field("raw", std::string_view{q.raw});
  for (const auto& [name, value] : q.headers) {
    field("headers", std::string_view{name});
    field("headers", std::string_view{value});
  }
}

// A sum of 128-bit hashes modulo 2^128, so that the order in which rows are added does not matter, and one that is
// there twice counts twice. It finds accidents, not someone who seeks rows of equal sums.
struct Sum {
  UInt128 bits = 0;
  void add(UInt128 hash) { bits += hash; }
  friend bool operator==(const Sum&, const Sum&) = default;
};
std::string hex(const Sum& sum);  // 32 digits

// Two lanes of folded 64 x 64 bit products, each word in both, so that a lane that a product of zero has emptied is
// made up for by the other.
class RowHash {
 public:
  void operator()(const char*, std::uint64_t value) { word(value); }
  void operator()(const char*, std::uint32_t value) { word(value); }
  void operator()(const char*, std::int64_t value) { word(static_cast<std::uint64_t>(value)); }
  void operator()(const char*, bool value) { word(value ? 1 : 0); }
  void operator()(const char*, Timestamp value) { word(static_cast<std::uint64_t>(to_ns(value))); }
  void operator()(const char*, Decimal value) {
    pair(static_cast<std::uint64_t>(value.mantissa), static_cast<std::uint64_t>(value.scale));
  }
  void operator()(const char*, Amount value) {
    const auto bits = static_cast<UInt128>(value.units);
    pair(static_cast<std::uint64_t>(bits), static_cast<std::uint64_t>(bits >> 64));
  }
  void operator()(const char*, std::string_view value) {
    std::size_t at = 0;
    for (; at + 8 <= value.size(); at += 8) {
      std::uint64_t bytes;
      std::memcpy(&bytes, value.data() + at, 8);
      word(bytes);
    }
    std::uint64_t rest = 0;
    for (unsigned shift = 0; at < value.size(); ++at, shift += 8)
      rest |= std::uint64_t{static_cast<unsigned char>(value[at])} << shift;
    pair(rest, value.size());
  }
  template <std::size_t N>
  void operator()(const char* name, const Text<N>& value) {
    (*this)(name, value.view());
  }
  template <class T>
  void operator()(const char* name, const std::optional<T>& value) {
    word(value ? 1 : 0);
    if (value) (*this)(name, *value);
  }
  template <class Enum>
  requires std::is_enum_v<Enum>
  void operator()(const char*, Enum value) { word(static_cast<std::uint64_t>(value)); }

  UInt128 finish() {
    const std::uint64_t low = fold(a_ ^ kOdd[2], b_ ^ kOdd[3]), high = fold(b_ ^ kOdd[0], a_ ^ kOdd[1]);
    return UInt128{high} << 64 | low;
  }

 private:
  static constexpr std::array<std::uint64_t, 4> kOdd{0xa0761d6478bd642f, 0xe7037ed1a0b428db, 0x8ebc6af09c88c6e3,
                                                     0x589965cc75374cc3};
  static std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
    const UInt128 product = UInt128{a} * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }
  void word(std::uint64_t value) { pair(value, 0); }
  void pair(std::uint64_t left, std::uint64_t right) {
    a_ = fold(left ^ a_ ^ kOdd[0], right ^ kOdd[1]) + (left << 1 | 1);
    b_ = fold(right ^ b_ ^ kOdd[2], left ^ kOdd[3]) + right;
  }

  std::uint64_t a_ = kOdd[3], b_ = kOdd[1];
};

template <class Row>
UInt128 hash_of(const Row& row) {
  RowHash hash;
  fields(row, hash);
  return hash.finish();
}

// The first field in which two rows of one key differ, with both values: "price: log 61837.64, store 61837.63".
// Empty: they do not.
std::string difference(const Trade& log, const Trade& store);
std::string difference(const Candle& log, const Candle& store);
std::string difference(const Gap& log, const Gap& store);
std::string difference(const Progress& log, const Progress& store);
std::string difference(const Quarantined& log, const Quarantined& store);

}  // namespace truetape::audit_parts
