// Shared by this folder's tests.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "venues/binance/binance.h"
#include "venues/binance/item.h"

namespace truetape::binance {

struct Captured {
  Timestamp received;
  std::string frame;
};

inline std::vector<Captured> captured(const std::string& file) {
  std::ifstream in{std::string{TRUETAPE_SOURCE_DIR} + "/src/venues/binance/testdata/" + file};
  std::vector<Captured> out;
  for (std::string line; std::getline(in, line);) {
    const std::size_t blank = line.find(' ');
    out.push_back({timestamp_ns(std::stoll(line.substr(0, blank))), line.substr(blank + 1)});
  }
  EXPECT_FALSE(out.empty()) << file << " is missing";
  return out;
}

// A record as ingest makes it: routed by the venue.
struct Routed {
  std::string instruments;
  std::vector<Header> headers;
  RawRecord record;

  Routed(const Venue& venue, std::string_view frame, RawKind kind = RawKind::frame) {
    std::vector<Instrument> to;
    if (kind == RawKind::frame) venue.route(frame, to);
    for (const Instrument& i : to) instruments += (instruments.empty() ? "" : ",") + i.str();
    record.kind = kind;
    record.bytes = frame;
    record.instruments = instruments;
    record.receive_time = timestamp_ns(1'723'161'254'000'000'000);
  }
  Routed(const Routed&) = delete;
};

inline Events decoded(const Venue& venue, std::string_view frame) {
  const Routed routed{venue, frame};
  Events out;
  venue.decode(routed.record, out);
  return out;
}

// Everything but where the bytes lie.
inline void expect_same(const Events& a, const Events& b, std::string_view what) {
  EXPECT_EQ(a.not_a_trade, b.not_a_trade) << what;
  EXPECT_EQ(a.quotes, b.quotes) << what;
  ASSERT_EQ(a.items.size(), b.items.size()) << what;
  for (std::size_t i = 0; i < a.items.size(); ++i) {
    EXPECT_EQ(a.items[i].type, b.items[i].type) << what;
    EXPECT_EQ(a.items[i].trade, b.items[i].trade) << what;
    EXPECT_EQ(a.items[i].detail, b.items[i].detail) << what;
    EXPECT_EQ(a.items[i].reason, b.items[i].reason) << what;
    EXPECT_EQ(a.items[i].has_id, b.items[i].has_id) << what;
    EXPECT_EQ(a.items[i].has_time, b.items[i].has_time) << what;
    EXPECT_EQ(a.items[i].follows, b.items[i].follows) << what;
  }
}

}  // namespace truetape::binance
