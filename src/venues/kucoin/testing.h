// Shared by this folder's tests.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "venues/kucoin/item.h"
#include "venues/kucoin/kucoin.h"

namespace truetape::kucoin {

// As the venue writes since 2022, and as it wrote before.
inline constexpr std::string_view kTrade =
    R"({"topic":"/market/match:BTC-USDT","type":"message","subject":"trade.l3match","data":{"symbol":"BTC-USDT","sequence":"11067996711960577","side":"buy","size":"0.003","price":"67523","takerOrderId":"671b50161777ff00074c168d","makerOrderId":"671b5007389355000701b1d3","tradeId":"11067996711960577","time":"1729843222921000000","type":"match"}})";
inline constexpr std::string_view kOldTrade =
    R"({"data":{"symbol":"ABC-BTC","sequence":"1612701563869","side":"sell","size":"81.8814","price":"0.00000011170000000000","takerOrderId":"6085c097587c2000060cde57","time":"1619378327739050725","type":"match","makerOrderId":"6085c06144b3790006512a4d","tradeId":"6085c09769bc506996295e36"},"subject":"trade.l3match","topic":"/market/match:ABC-BTC","type":"message"})";
inline constexpr std::string_view kTicker =
    R"({"topic":"/market/ticker:BTC-USDT","type":"message","subject":"trade.ticker","data":{"sequence":"14691455768","price":"67220","size":"0.00004316","bestAsk":"67218.7","bestAskSize":"1.92318539","bestBid":"67218.6","bestBidSize":"0.01045638","time":1729757723612}})";
inline constexpr std::string_view kBest =
    R"({"topic":"/spotMarket/level1:BTC-USDT","type":"message","subject":"level1","data":{"asks":["68145.8","0.51987471"],"bids":["68145.7","1.29267802"],"timestamp":1729816058766}})";

inline constexpr Timestamp kReceived = timestamp_ns(1'729'843'222'950'000'000);

inline std::string routed(std::string_view frame) {
  std::vector<Instrument> to;
  kucoin::kSpot.route(frame, to);
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
  kucoin::kSpot.decode(record, out);
  return out;
}

inline std::string with(std::string_view text, std::string_view from, std::string_view to) {
  std::string out{text};
  const std::size_t at = out.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? out : out.replace(at, from.size(), to);
}

}  // namespace truetape::kucoin
