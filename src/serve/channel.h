// What a stream client can subscribe to: a channel, of one instrument or of none, as it stands in messages.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/instrument.h"
#include "core/result.h"
#include "core/time.h"

namespace truetape {

enum class ChannelKind : std::uint8_t {
  candles,
  trades,
  quotes,
  gaps,
  progress,
  feeds,
  instruments,
  news,
  news_counts
};
// Else of all: what feeds say, lists, and headlines, which need not speak of an instrument that is known here.
constexpr bool of_instrument(ChannelKind kind) { return kind < ChannelKind::feeds; }

struct ChannelKey {
  ChannelKind kind = ChannelKind::candles;
  Interval interval{};    // of candles and news_counts
  Instrument instrument;  // empty where the channel is of none
  friend bool operator==(const ChannelKey&, const ChannelKey&) = default;
  friend auto operator<=>(const ChannelKey&, const ChannelKey&) = default;
};

// "candles:1m", "trades", …; `intervals`: of candles. An error is a sentence with what is allowed.
Result<ChannelKey> parse_channel(std::string_view text, std::span<const Interval> intervals);
std::string channel_name(const ChannelKey& key);

}  // namespace truetape

template <>
struct std::hash<truetape::ChannelKey> {
  std::size_t operator()(const truetape::ChannelKey& k) const {
    return std::hash<truetape::Instrument>{}(k.instrument) * 31 + static_cast<std::size_t>(k.kind) * 7 +
           static_cast<std::size_t>(k.interval.count());
  }
};
