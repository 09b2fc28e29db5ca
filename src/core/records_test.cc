#include "core/records.h"

#include <gtest/gtest.h>

#include <set>

#include "core/raw.h"
#include "core/row_order.h"

namespace truetape {
namespace {

// Every word comes back as what it names, no two are the same.
template <class Enum, class Parse>
void words_come_back(Enum last, Parse parse) {
  std::set<std::string_view> seen;
  for (int i = 0; i <= static_cast<int>(last); ++i) {
    const auto value = static_cast<Enum>(i);
    EXPECT_TRUE(seen.insert(name(value)).second) << name(value);
    EXPECT_EQ(parse(name(value)), value) << name(value);
  }
  EXPECT_EQ(parse("no such word"), std::nullopt);
}
TEST(Records, WordsComeBack) {
  words_come_back(Tape::agg, parse_tape);
  words_come_back(Side::sell, parse_side);
  words_come_back(CandleStatus::corrected, parse_candle_status);
  words_come_back(Completeness::unverifiable, parse_completeness);
  words_come_back(Proof::overlap, parse_proof);
  words_come_back(GapState::lost, parse_gap_state);
  words_come_back(GapReason::manual, parse_gap_reason);
  words_come_back(Reason::foreign, parse_reason);
  words_come_back(QuoteKind::ticker, parse_quote_kind);
  words_come_back(RawKind::recompute, parse_raw_kind);
}

TEST(Records, WordsArePublic) {
  EXPECT_EQ(name(Side::unknown), "");
  EXPECT_EQ(name(Completeness::none), "");
  EXPECT_EQ(name(Completeness::unverifiable), "unverifiable");
  EXPECT_EQ(name(Proof::none), "");
  EXPECT_EQ(name(Reason::decimal_range), "decimal_range");
  EXPECT_EQ(name(Reason::side), "side");
  EXPECT_EQ(name(RawKind::history), "history");
}

TEST(Records, MarksBothWays) {
  EXPECT_EQ(marks_text(0), "");
  EXPECT_EQ(marks_text(0b1001), "off_tick|late");
  for (Marks marks = 0; marks < 16; ++marks) EXPECT_EQ(parse_marks(marks_text(marks)), marks);
  EXPECT_EQ(parse_marks("late|no such|off_lot"), 0b1010U);
}

// Ascending; each is compared with each.
TEST(RowOrder, SettledThenEpochThenRevision) {
  const auto candle = [](CandleStatus status, Completeness completeness, std::int64_t epoch, std::uint64_t revision) {
    Candle c;
    c.status = status;
    c.completeness = completeness;
    c.epoch = epoch;
    c.revision = revision;
    return row_order(c);
  };
  const std::vector<RowOrder> ascending{candle(CandleStatus::open, Completeness::none, 1, 9),
                                        candle(CandleStatus::closed, Completeness::partial, 2, 1),
                                        candle(CandleStatus::open, Completeness::gap, 2, 5),
                                        candle(CandleStatus::closed, Completeness::gap, 1, 1),
                                        candle(CandleStatus::corrected, Completeness::complete, 1, 2),
                                        candle(CandleStatus::closed, Completeness::complete, 2, 1)};
  for (std::size_t i = 0; i < ascending.size(); ++i)
    for (std::size_t k = 0; k < ascending.size(); ++k)
      EXPECT_EQ(replaces(ascending[i], ascending[k]), i > k) << i << ' ' << k;
}

TEST(Raw, HeadersAreRead) {
  const std::vector<Header> headers{{"kind", "backfill"},
                                    {"instruments", "binance:BTCUSDT,none,binance:ETHUSDT"},
                                    {"receive_time", "1723161599123456789"},
                                    {"connection", "c"},
                                    {"session", "s"},
                                    {"seq", "42"},
                                    {"row", "-7"},
                                    {"bad", "7x"}};
  const RawRecord raw = read_raw("bytes", headers, 3, 99);
  EXPECT_EQ(raw.kind, RawKind::backfill);
  EXPECT_EQ(raw.receive_time, timestamp_ns(1'723'161'599'123'456'789));
  EXPECT_EQ(raw.connection, "c");
  EXPECT_EQ(raw.session, "s");
  EXPECT_EQ(raw.seq, 42U);
  EXPECT_EQ(raw.bytes, "bytes");
  EXPECT_EQ(raw.partition, 3);
  EXPECT_EQ(raw.offset, 99);
  const auto list = raw.instrument_list();
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[0].text(), "binance:BTCUSDT");
  EXPECT_EQ(list[1].text(), "binance:ETHUSDT");
  EXPECT_TRUE(raw.names(list[1]));
  EXPECT_FALSE(raw.names(Instrument::parse("binance:ETHUSD").value()));
  EXPECT_EQ(raw.integer("row"), -7);
  EXPECT_EQ(raw.integer("bad"), std::nullopt);
  EXPECT_EQ(raw.integer("absent"), std::nullopt);
}

TEST(Raw, WhatCannotBeReadIsAFrame) {
  const std::vector<Header> headers{{"kind", "no such"}, {"receive_time", "soon"}, {"seq", "-1"}};
  for (const RawRecord& raw : {read_raw("", headers, 0, 0), read_raw("", {}, 0, 0)}) {
    EXPECT_EQ(raw.kind, RawKind::frame);
    EXPECT_EQ(raw.receive_time, std::nullopt);
    EXPECT_EQ(raw.seq, 0U);
    EXPECT_TRUE(raw.instrument_list().empty());
  }
}

}  // namespace
}  // namespace truetape
