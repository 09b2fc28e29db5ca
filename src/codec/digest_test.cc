#include "codec/digest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "codec/canonical.h"

namespace truetape {
namespace {

Decimal decimal(std::string_view text) { return parse_decimal(text).value; }

bool binance(std::string_view venue) { return venue.starts_with("binance"); }

Trade trade(std::string_view instrument, std::uint64_t id, std::string_view time) {
  Trade t;
  t.instrument = Instrument::parse(instrument).value();
  t.id = Text<40>::cut(std::to_string(id));
  t.order = t.first_id = t.last_id = id;
  t.event_time = parse_rfc3339(time).value();
  t.price = decimal("1.50");
  t.quantity = decimal("2");
  t.taker_side = Side::buy;
  return t;
}
Candle candle(std::string_view instrument, int seconds, std::string_view start) {
  Candle c;
  c.instrument = Instrument::parse(instrument).value();
  c.interval = Interval{seconds};
  c.start = parse_rfc3339(start).value();
  c.open = c.high = c.low = c.close = decimal("1.5");
  c.volume = parse_amount("2").value();
  c.quote_volume = parse_amount("3").value();
  c.trades = 1;
  c.taker_buy_volume = c.taker_buy_quote_volume = Amount{};
  c.vwap = parse_amount("1.5").value();
  c.first_id = c.last_id = 7;
  c.first_time = c.last_time = c.start;
  c.completeness = Completeness::complete;
  c.status = CandleStatus::closed;
  c.proof = Proof::ids;
  return c;
}
std::string canonical(const auto& row) {
  std::string out;
  append_canonical(row, out);
  return out;
}
std::string sha256(std::string_view text) {
  Sha256 hash;
  hash.add(text);
  return hash.hex();
}

TEST(Canonical, ATradeWithoutItsCircumstance) {
  Trade t = trade("binance:BTCUSDT", 7, "2024-08-08T00:00:00.123456Z");
  t.kind = Text<20>::cut("MARKET");
  const std::string line = "0,7,7,7,7,1723075200123,1.5,2,buy,MARKET\n";
  EXPECT_EQ(canonical(t), line);
  t.receive_time = t.event_time;
  t.source = Text<40>::cut("session");
  t.seq = 8;
  t.ordinal = 9;
  t.marks = 3;
  t.event_time = parse_rfc3339("2024-08-08T00:00:00.123Z").value();
  EXPECT_EQ(canonical(t), line);
  t.id = Text<40>::cut("a,\"b\"");
  EXPECT_EQ(canonical(t), "0,7,\"a,\"\"b\"\"\",7,7,1723075200123,1.5,2,buy,MARKET\n");
}

TEST(Canonical, ACandleWithoutItsCircumstance) {
  Candle c = candle("binance:BTCUSDT", 60, "2024-08-08T00:01:00Z");
  const std::string line = "1723075260000,1.5,1.5,1.5,1.5,2,3,1,0,0,1.5,7,7,1723075260000,1723075260000,complete\n";
  EXPECT_EQ(canonical(c), line);
  c.status = CandleStatus::corrected;
  c.proof = Proof::declared;
  c.repaired = true;
  c.missing = 0;
  c.held = 1;
  c.epoch = 2;
  c.revision = 3;
  c.first_receive_time = c.last_receive_time = c.start;
  EXPECT_EQ(canonical(c), line);
  Candle empty;
  empty.start = c.start;
  empty.completeness = Completeness::gap;
  EXPECT_EQ(canonical(empty), "1723075260000,,,,,,,,,,,,,,,gap\n");
}

TEST(Digest, IsTheSha256OfTheLinesOfADay) {
  // FIPS 180-2's own example, so that the hash is the one that everybody means.
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const Trade a = trade("binance:BTCUSDT", 1, "2024-08-08T23:59:59.999999Z"),
              b = trade("binance:BTCUSDT", 2, "2024-08-09T00:00:00Z"),
              c = trade("binance:BTCUSDT", 3, "2024-08-08T12:00:00Z");  // a venue's clock may go back
  Digest digest{binance};
  for (const Trade& t : {a, b, c}) ASSERT_TRUE(digest.add(t));
  const auto rows = digest.finish();
  ASSERT_EQ(rows.size(), 2U);
  using namespace std::chrono;
  EXPECT_EQ(rows[0], (DigestRow{a.instrument, Tape::trade, false, std::nullopt, sys_days{2024y / 8 / 8}, 2,
                                sha256(canonical(a) + canonical(c))}));
  EXPECT_EQ(rows[1], (DigestRow{a.instrument, Tape::trade, false, std::nullopt, sys_days{2024y / 8 / 9}, 1,
                                sha256(canonical(b))}));
  EXPECT_TRUE(digest.finish().empty());
}

TEST(Digest, CountsOnlyProvenClosedCandles) {
  struct Case {
    CandleStatus status;
    Proof proof;
    std::uint64_t rows;
  };
  for (const Case& tried :
       {Case{CandleStatus::closed, Proof::ids, 1}, Case{CandleStatus::corrected, Proof::declared, 1},
        Case{CandleStatus::closed, Proof::overlap, 1}, Case{CandleStatus::open, Proof::ids, 0},
        Case{CandleStatus::closed, Proof::session, 0}, Case{CandleStatus::closed, Proof::none, 0}}) {
    Candle c = candle("binance:BTCUSDT", 60, "2024-08-08T00:00:00Z");
    c.status = tried.status;
    c.proof = tried.proof;
    Digest digest{binance};
    ASSERT_TRUE(digest.add(c));
    EXPECT_EQ(digest.finish().size(), tried.rows) << name(tried.status) << ' ' << name(tried.proof);
  }
}

// Windows of a minute that session evidence closed. Trades at 0:00:30 (5), 0:03:00 (6), 0:05:10 (8), 0:05:50 (9, late),
// 0:06:30 (10), 0:07:00 (era 1: 1).
TEST(Digest, CountsWhatTheTradesIdsProveByNow) {
  struct Case {
    const char* start;
    Completeness completeness;
    bool proven;
  };
  constexpr auto kQuiet = Completeness::quiet, kComplete = Completeness::complete, kGap = Completeness::gap;
  for (const Case& tried :
       {Case{"2024-08-08T00:00:00Z", kComplete, false},  // knowledge begins inside
        Case{"2024-08-08T00:01:00Z", kQuiet, true}, Case{"2024-08-08T00:02:00Z", kQuiet, true},  // 6 is at its end
        Case{"2024-08-08T00:02:00Z", kGap, false}, Case{"2024-08-08T00:02:00Z", Completeness::unverifiable, false},
        Case{"2024-08-08T00:03:00Z", kComplete, false},  // 7 may be of it
        Case{"2024-08-08T00:03:00Z", kGap, true}, Case{"2024-08-08T00:04:00Z", kQuiet, false},
        Case{"2024-08-08T00:04:00Z", kGap, true},
        Case{"2024-08-08T00:05:00Z", kComplete, false},  // 9 is not in the row
        Case{"2024-08-08T00:05:00Z", kGap, false},       // and is not missing
        Case{"2024-08-08T00:06:00Z", kComplete, false},  // eras prove nothing
        Case{"2024-08-08T00:07:00Z", kComplete, false}, Case{"2024-08-08T00:07:00Z", kGap, false}}) {
    for (const std::string_view venue : {"binance", "kucoin"}) {
      const std::string name = std::string{venue} + ":BTCUSDT";
      std::vector<Trade> trades{trade(name, 5, "2024-08-08T00:00:30Z"),  trade(name, 6, "2024-08-08T00:03:00Z"),
                                trade(name, 8, "2024-08-08T00:05:10Z"),  trade(name, 9, "2024-08-08T00:05:50Z"),
                                trade(name, 10, "2024-08-08T00:06:30Z"), trade(name, 1, "2024-08-08T00:07:00Z")};
      trades[3].marks = 1U << static_cast<unsigned>(Mark::late);
      trades.back().era = 1;
      Candle c = candle(name, 60, tried.start);
      c.proof = Proof::session;
      c.completeness = tried.completeness;
      Digest digest{binance};
      DigestCollector collector{binance};
      for (const Trade& t : trades) ASSERT_TRUE(digest.add(t));
      ASSERT_TRUE(digest.add(c));
      ASSERT_TRUE(collector.add(c));
      for (auto t = trades.rbegin(); t != trades.rend(); ++t) ASSERT_TRUE(collector.add(*t));
      const auto rows = digest.finish();
      EXPECT_EQ(rows.size(), tried.proven && venue == "binance" ? 2U : 1U) << venue << ' ' << tried.start;
      EXPECT_EQ(collector.finish().value(), rows);
      c.status = CandleStatus::open;
      for (const Trade& t : trades) ASSERT_TRUE(digest.add(t));
      ASSERT_TRUE(digest.add(c));
      EXPECT_EQ(digest.finish().size(), 1U);
    }
  }
  // Missing at the very end: no run reaches the window's end.
  Candle last = candle("binance:BTCUSDT", 60, "2024-08-08T00:03:00Z");
  last.proof = Proof::session;
  last.completeness = kGap;
  Digest digest{binance};
  ASSERT_TRUE(digest.add(trade("binance:BTCUSDT", 5, "2024-08-08T00:00:30Z")));
  ASSERT_TRUE(digest.add(trade("binance:BTCUSDT", 7, "2024-08-08T00:03:10Z")));
  ASSERT_TRUE(digest.add(last));
  EXPECT_EQ(digest.finish().size(), 2U);
}

TEST(Digest, RefusesRowsOutOfOrder) {
  Digest digest{binance};
  ASSERT_TRUE(digest.add(trade("binance:BTCUSDT", 2, "2024-08-08T00:00:00Z")));
  auto twice = digest.add(trade("binance:BTCUSDT", 2, "2024-08-08T00:00:00Z"));
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().detail,
            "Trade binance:BTCUSDT tape trade era 0 order 2 comes twice; a digest needs each row once and in order, so "
            "nothing can be said: "
            "the source of the rows is at fault.");
  EXPECT_FALSE(digest.add(trade("binance:BTCUSDT", 1, "2024-08-08T00:00:00Z")));
  EXPECT_TRUE(digest.add(trade("binance:ETHUSDT", 1, "2024-08-08T00:00:00Z")));
  EXPECT_FALSE(digest.add(trade("binance:BTCUSDT", 3, "2024-08-08T00:00:00Z")));
  ASSERT_TRUE(digest.add(candle("binance:BTCUSDT", 60, "2024-08-08T00:01:00Z")));
  EXPECT_FALSE(digest.add(candle("binance:BTCUSDT", 60, "2024-08-08T00:01:00Z")));
  EXPECT_FALSE(digest.add(candle("binance:BTCUSDT", 60, "2024-08-08T00:00:00Z")));
  EXPECT_FALSE(digest.add(candle("binance:BTCUSDT", 1, "2024-08-08T00:02:00Z")));
  EXPECT_TRUE(digest.add(candle("binance:BTCUSDT", 300, "2024-08-08T00:00:00Z")));
  const auto late = digest.add(trade("binance:ETHUSDT", 2, "2024-08-08T00:00:00Z"));
  ASSERT_FALSE(late);
  EXPECT_THAT(late.error().detail, testing::HasSubstr("comes after a candle; a digest needs"));
}

// A log holds candles at every stage of their life, trades in the order of their arrival and, raw doubled, twice.
TEST(Digest, TheCollectorFindsTheSameInAnyOrder) {
  std::vector<Trade> trades;
  std::vector<Candle> candles;
  for (const char* instrument : {"binance-usdm:BTCUSDT", "binance:BTCUSDT", "finnhub:AAPL"})
    for (std::uint64_t i = 1; i <= 50; ++i) {
      Trade t = trade(instrument, i, "2024-08-08T23:59:30Z");
      t.event_time += std::chrono::seconds{i};
      if (t.instrument.venue() == "finnhub") {
        t.id = {};
        t.order = 0;
        t.seq = i;
        t.source = Text<40>::cut("session");
      }
      trades.push_back(t);
    }
  for (const int seconds : {1, 60})
    for (int i = 0; i < 50; ++i) {
      Candle c = candle("binance:BTCUSDT", seconds, "2024-08-08T23:59:00Z");
      c.start += i * c.interval;
      c.epoch = 1;
      c.revision = 9;
      candles.push_back(c);
    }
  Digest ordered{binance};
  for (const Trade& t : trades) ASSERT_TRUE(ordered.add(t));
  for (const Candle& c : candles) ASSERT_TRUE(ordered.add(c));
  const auto expected = ordered.finish();
  ASSERT_EQ(expected.size(), 3U * 2 + 2 + 1);  // the seconds do not reach midnight

  auto all = candles;
  for (Candle c : candles) {
    c.revision = 3;
    c.open = decimal("1");
    all.push_back(c);
    c.status = CandleStatus::open;
    c.epoch = 4;
    all.push_back(c);
  }
  auto twice = trades;
  twice.insert(twice.end(), trades.begin(), trades.end());
  for (const unsigned seed : {1U, 2U, 3U}) {
    std::mt19937 random{seed};
    std::shuffle(twice.begin(), twice.end(), random);
    std::shuffle(all.begin(), all.end(), random);
    DigestCollector collector{binance};
    for (const Trade& t : twice) ASSERT_TRUE(collector.add(t));
    for (const Candle& c : all) ASSERT_TRUE(collector.add(c));
    const auto found = collector.finish();
    ASSERT_TRUE(found) << found.error().detail;
    EXPECT_EQ(*found, expected);
  }
}

TEST(Digest, TheCollectorSeesContradictions) {
  DigestCollector collector{binance};
  Trade t = trade("binance:BTCUSDT", 7, "2024-08-08T00:00:00Z");
  ASSERT_TRUE(collector.add(t));
  t.price = decimal("1.6");
  ASSERT_TRUE(collector.add(t));
  const auto refused = collector.finish();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().detail,
            "Trade binance:BTCUSDT tape trade era 0 order 7 comes twice with other content: report this, and import "
            "the sources anew into a fresh data directory.");
  Candle c = candle("binance:BTCUSDT", 60, "2024-08-08T00:00:00Z");
  ASSERT_TRUE(collector.add(c));
  ASSERT_TRUE(collector.add(c));
  c.close = decimal("1.6");
  EXPECT_FALSE(collector.add(c));
}

}  // namespace
}  // namespace truetape
