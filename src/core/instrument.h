// What is traded, and where: `venue:SYMBOL` in the venue's own spelling (design: "binance:BTCUSDT",
// "finnhub:BINANCE:BTCUSDT"). The venue is the part before the first colon; the symbol may hold further colons.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/text.h"

namespace truetape {

class Instrument {
 public:
  static constexpr std::size_t kMaxBytes = 62;

  Instrument() = default;  // empty: no instrument

  // "binance:BTCUSDT". nullopt unless it has a venue of [a-z0-9-]+ and a symbol of 1.. bytes without control
  // characters, blanks and commas, both together at most kMaxBytes. The symbol's spelling is the caller's matter.
  static std::optional<Instrument> parse(std::string_view text);
  static std::optional<Instrument> of(std::string_view venue, std::string_view symbol);
  // Becomes that of a text which the caller has checked: parse() would take it.
  void assign_checked(std::string_view text) { text_.assign(text); }

  std::string_view text() const { return text_.view(); }
  std::string_view venue() const { return text().substr(0, text().find(':')); }
  std::string_view symbol() const { return text().substr(text().find(':') + 1); }
  bool empty() const { return text_.empty(); }
  std::string str() const { return text_.str(); }

  friend bool operator==(const Instrument&, const Instrument&) = default;
  friend auto operator<=>(const Instrument&, const Instrument&) = default;

 private:
  Text<kMaxBytes> text_;
};

// As Kafka's Java client computes it (org.apache.kafka.common.utils.Utils.murmur2), as unsigned.
std::uint32_t murmur2(std::string_view data);

// The partition of an instrument: murmur2 of its text as Kafka's Java client computes it
// (org.apache.kafka.common.utils.Utils.murmur2, toPositive, modulo). `partitions` > 0.
std::int32_t partition_of(const Instrument& instrument, std::int32_t partitions);

}  // namespace truetape

template <>
struct std::hash<truetape::Instrument> {
  std::size_t operator()(const truetape::Instrument& i) const { return std::hash<std::string_view>{}(i.text()); }
};
