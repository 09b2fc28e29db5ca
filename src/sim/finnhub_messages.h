// What Finnhub's WebSocket says, in the order of keys of recordings, which is the alphabet's; its kinds of symbols; and
// the hours of the exchanges in New York.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/market.h"

namespace truetape::sim::finnhub {

enum class Class : std::uint8_t { shares, currencies, crypto };
// "AAPL", "OANDA:EUR_USD", "BINANCE:BTCUSDT": by what stands before the colon.
Class class_of(std::string_view symbol);

// 09:30 to 16:00 is regular, from 04:00 pre-market, until 20:00 post-market, on weekdays; holidays are not known.
enum class MarketSession : std::uint8_t { closed, pre, regular, post };
MarketSession session_at(Time t);

// The fields of news that are texts.
inline constexpr std::array<std::pair<std::string_view, std::string NewsText::*>, 7> kNewsTexts{
    {{"category", &NewsText::category},
     {"headline", &NewsText::headline},
     {"image", &NewsText::image},
     {"related", &NewsText::related},
     {"source", &NewsText::source},
     {"summary", &NewsText::summary},
     {"url", &NewsText::url}}};

// {"c":["1","12"],"p":164.0601,"s":"AAPL","t":1680286537580,"v":5}
std::string trade_item(const Listing& listing, const Deal& deal);
// {"category":"company","datetime":1679920200,…}: as REST has it too
std::string news_item(const News& news);
// {"data":[…],"type":"trade"}
std::string data_message(const std::vector<std::string>& items, std::string_view type);
// {"msg":"…","type":"error"}
std::string error_message(std::string_view text);

}  // namespace truetape::sim::finnhub
