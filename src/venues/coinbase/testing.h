// Shared by this folder's tests.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "venues/coinbase/coinbase.h"
#include "venues/coinbase/item.h"

namespace truetape::coinbase {

// The examples of the venue's documents; orders' ids are shortened.
inline constexpr std::string_view kMatch =
    R"({"type":"match","trade_id":10,"sequence":50,"maker_order_id":"ac928c66","taker_order_id":"132fb6ae","time":"2014-11-07T08:19:27.028459Z","product_id":"BTC-USD","size":"5.23512","price":"400.23","side":"sell"})";
inline constexpr std::string_view kLastMatch =
    R"({"type":"last_match","trade_id":9,"maker_order_id":"ac928c65","taker_order_id":"132fb6ad","side":"buy","size":"0.5","price":"400.20","product_id":"BTC-USD","sequence":49,"time":"2014-11-07T08:17:01.5Z"})";
inline constexpr std::string_view kTicker =
    R"({"type":"ticker","sequence":37475248783,"product_id":"ETH-USD","price":"1285.22","open_24h":"1310.79","volume_24h":"245532.79269678","low_24h":"1280.52","high_24h":"1313.8","volume_30d":"9788783.60117027","best_bid":"1285.04","best_bid_size":"0.46688654","best_ask":"1285.27","best_ask_size":"1.56637040","side":"buy","time":"2022-10-19T23:28:22.061769Z","trade_id":370843401,"last_size":"11.4396987"})";
inline constexpr std::string_view kPage =
    R"([{"trade_id":74,"side":"sell","size":"0.01000000","price":"10.00000000","time":"2014-11-07T22:19:28.578544Z"},{"trade_id":73,"side":"buy","size":"0.02000000","price":"9.5","time":"2014-11-07T01:08:43.642366Z"},{"trade_id":71,"side":"sell","size":"1","price":"9.75","time":"2014-11-07T01:08:43Z"}])";
inline constexpr std::string_view kProduct =
    R"({"id":"BTC-USD","base_currency":"BTC","quote_currency":"USD","quote_increment":"0.01000000","base_increment":"0.00000001","display_name":"BTC/USD","min_market_funds":"10","margin_enabled":false,"post_only":false,"limit_only":false,"cancel_only":false,"status":"online","status_message":"","auction_mode":false})";

inline constexpr Timestamp kReceived = timestamp_ns(1'666'222'102'100'000'000);

inline std::string routed(std::string_view frame) {
  std::vector<Instrument> to;
  kExchange.route(frame, to);
  std::string out;
  for (const Instrument& i : to) out += (out.empty() ? "" : ",") + i.str();
  return out;
}

// A record as ingest makes it: a frame is routed by the venue.
inline Events decoded(std::string_view bytes, RawKind kind = RawKind::frame, std::string instruments = "",
                      std::vector<Header> headers = {}) {
  if (kind == RawKind::frame) instruments = routed(bytes);
  RawRecord record;
  record.kind = kind;
  record.bytes = bytes;
  record.instruments = instruments;
  record.headers = headers;
  if (kind == RawKind::frame) record.receive_time = kReceived;
  Events out;
  kExchange.decode(record, out);
  return out;
}

inline std::string with(std::string_view text, std::string_view from, std::string_view to) {
  std::string out{text};
  const std::size_t at = out.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? out : out.replace(at, from.size(), to);
}

}  // namespace truetape::coinbase
