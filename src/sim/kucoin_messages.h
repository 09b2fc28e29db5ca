// What KuCoin's WebSocket says. In the order of keys of its documentation, or, for what is in the form of before 2022,
// of recordings of then.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "sim/market.h"

namespace truetape::sim::kucoin {

std::string match_message(const Listing& listing, const Deal& deal);
// `all`: of the topic of all symbols.
std::string ticker_message(const Listing& listing, const Level& level, bool all);
std::string level1_message(const Listing& listing, const Level& level);
// `fresh`: of a bar that was not told of before. `told` is in nanoseconds on the wire.
std::string candle_message(const Listing& listing, std::string_view type, const Bar& bar, bool fresh, Time told);
// ["1729839600","67644.9",…]: start in seconds, open, close, high, low, volume, turnover.
void append_candle(std::string& out, const Bar& bar);

// `id` empty: without one.
std::string ack_message(std::string_view id);
std::string error_message(std::string_view id, int code, std::string_view text);

enum class Channel : std::uint8_t { match, ticker, all_tickers, level1, candles, silent };
struct Topic {
  std::string name;  // of one symbol: "/market/match:BTC-USDT"
  Channel channel = Channel::silent;
  std::uint32_t instrument = 0;
  const BarInterval* interval = nullptr;
  std::string_view type = {};  // of candles: "1min"
};
// What the venue answers instead: {code, text} as "404 topic does not exist".
struct TopicError {
  int code = 0;
  std::string text;
};
// "/market/match:BTC-USDT,ETH-USDT": one for each argument; blanks before arguments are left out. `most` arguments.
tl::expected<std::vector<Topic>, TopicError> parse_topic(std::string_view text, std::size_t most, const Market& market);

// The venue's names of intervals: "1min", "1hour", "1month".
const BarInterval* find_candle_type(std::string_view type);

}  // namespace truetape::sim::kucoin
