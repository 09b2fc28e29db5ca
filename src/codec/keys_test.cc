#include "codec/keys.h"

#include <gtest/gtest.h>

#include "codec/quarantine.h"

namespace truetape {
namespace {

std::string key(const auto& value) {
  std::string out;
  put_key(value, out);
  return out;
}

TEST(Keys, OfEveryTopic) {
  Trade t;
  t.instrument = Instrument::parse("finnhub:BINANCE:BTCUSDT").value();
  EXPECT_EQ(key(t), "finnhub:BINANCE:BTCUSDT");
  Candle c;
  c.instrument = t.instrument;
  c.tape = Tape::agg;
  c.interval = Interval{300};
  c.start = parse_rfc3339("2024-08-08T23:55:00Z").value();
  EXPECT_EQ(key(c), "finnhub:BINANCE:BTCUSDT:agg:5m:20240808T235500Z");
  EXPECT_EQ(parse_window_key(key(c)), (WindowKey{c.instrument, c.tape, c.interval, c.start}));
  EXPECT_EQ(key(LateWindow{c.instrument, c.tape, c.interval, c.start, 3}), key(c));
  c.start = parse_rfc3339("1969-12-31T00:00:00Z").value();
  c.interval = Interval{86'400};
  EXPECT_EQ(key(c), "finnhub:BINANCE:BTCUSDT:agg:1d:19691231T000000Z");
  EXPECT_EQ(parse_window_key(key(c)), (WindowKey{c.instrument, c.tape, c.interval, c.start}));
  Gap g;
  g.instrument = t.instrument;
  g.era = 2;
  g.first_id = 18'446'744'073'709'551'615U;
  EXPECT_EQ(key(g), "finnhub:BINANCE:BTCUSDT:trade:2:18446744073709551615");
  EXPECT_EQ(parse_gap_key(key(g)), (GapKey{g.instrument, g.tape, g.era, g.first_id}));
  EXPECT_EQ(key(News{"finnhub", "1", {}, "", "", "", "", {}}), "finnhub");
  EXPECT_EQ(key(News{"finnhub", "1", {}, "", "", "", "", {t.instrument, g.instrument}}), "finnhub:BINANCE:BTCUSDT");
  NewsCount n;
  n.venue = "finnhub";
  n.source = "Reuters";
  n.start = parse_rfc3339("2024-08-08T23:59:00Z").value();
  n.interval = Interval{60};
  EXPECT_EQ(key(n), "finnhub::Reuters:1m:20240808T235900Z");
  n.instrument = t.instrument;
  n.source = "50% off: €";
  n.interval = Interval{3600};
  EXPECT_EQ(key(n), "finnhub:BINANCE:BTCUSDT:50%25 off%3A €:1h:20240808T235900Z");
  EXPECT_EQ(key(Quarantined{}), "");
}

TEST(Keys, RefuseWhatIsNone) {
  for (const char* text : {"", "a", "binance:BTCUSDT", "binance:BTCUSDT:trade:1m:2024",
                           "binance:BTCUSDT:trade:1m:20240230T000000Z", "binance:BTCUSDT:bar:1m:20240808T000000Z",
                           "binance:BTCUSDT:trade:7x:20240808T000000Z", "BTCUSDT:trade:1m:20240808T000000Z"})
    EXPECT_EQ(parse_window_key(text), std::nullopt) << text;
  for (const char* text : {"", "binance:BTCUSDT:trade:0:-1",
                           "binance:BTCUSDT:trade:0:", "binance:BTCUSDT:trade:4294967296:1", "trade:0:1"})
    EXPECT_EQ(parse_gap_key(text), std::nullopt) << text;
}

std::vector<Header> views(const OwnedHeaders& headers) {
  std::vector<Header> out;
  for (const auto& [header_name, value] : headers) out.push_back({header_name, value});
  return out;
}

Quarantined sample() {
  Quarantined q;
  q.instrument = Instrument::parse("binance:BTCUSDT").value();
  q.partition = 3;
  q.offset = 1'000'000'000'000;
  q.ordinal = 5;
  q.receive_time = timestamp_ns(1'723'161'599'123'456'789);
  q.id = Text<40>::cut("3000");
  q.reason = Reason::price;
  q.detail = "$.p: \"-1\", but a price is above 0";
  q.rule = Text<24>::cut("positive");
  q.rule_version = 4;
  q.raw = std::string{"\0\xff{\"p\":\"-1\"}", 13};
  q.headers = {{"kind", "frame"},
               {"seq", "17"},
               {"kind", "again"},
               {"__connect.errors.topic", "theirs"},
               {"truetape.error.reason", "x"},
               {"truetape.original.y", ""}};
  return q;
}

TEST(Quarantine, ComesBackWhole) {
  const Quarantined q = sample();
  const OwnedHeaders headers = quarantine_headers(q);
  const auto back = read_quarantined(q.raw, views(headers));
  ASSERT_TRUE(back) << back.error().detail;
  EXPECT_EQ(*back, q);
  const auto bare = read_quarantined("", views(quarantine_headers(Quarantined{})));
  ASSERT_TRUE(bare) << bare.error().detail;
  EXPECT_EQ(*bare, Quarantined{});
}

TEST(Quarantine, AReplayHasTheBytesAndHeadersOfTheRecordAndThePlace) {
  Quarantined q = sample();
  q.attempts = 3;
  q.headers = {{"kind", "history"}, {"instruments", "binance:BTCUSDT"}, {"row", "17"}};
  const auto back = read_quarantined(q.raw, views(quarantine_headers(q)));
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, q);
  const auto replay = replay_record(*back);
  ASSERT_TRUE(replay) << replay.error().detail;
  EXPECT_EQ(replay->value, q.raw);
  EXPECT_EQ(replay->headers, (OwnedHeaders{{"kind", "replay"},
                                           {"original_partition", "3"},
                                           {"original_offset", "1000000000000"},
                                           {"original_ordinal", "5"},
                                           {"original_reason", "price"},
                                           {"original_rule", "positive"},
                                           {"original_attempts", "3"},
                                           {"instruments", "binance:BTCUSDT"},
                                           {"row", "17"},
                                           {"original_kind", "history"},
                                           {"id", "3000"}}));
  const auto drop = drop_record(q);
  ASSERT_TRUE(drop);
  EXPECT_EQ(drop->value, "");
  EXPECT_EQ(drop->headers.back(), (std::pair<std::string, std::string>{"receive_time", "1723161599123456789"}));
  for (const auto& [header_name, value] :
       OwnedHeaders{{"kind", "config"}, {"kind", "session"}, {"kind", "replay"}, {"cut", "99999"}}) {
    Quarantined other = sample();
    other.headers = {{"kind", "frame"}};
    ASSERT_TRUE(replay_record(other));
    if (header_name == "kind") other.headers.clear();
    other.headers.emplace_back(header_name, value);
    EXPECT_FALSE(replay_record(other)) << value;
  }
  q.resolution = Resolution::replayed;
  EXPECT_EQ(read_quarantined(q.raw, views(quarantine_headers(q)))->resolution, Resolution::replayed);
  EXPECT_FALSE(drop_record(q));
  q.resolution = Resolution::none;
  q.reason = Reason::foreign;
  EXPECT_FALSE(drop_record(q));
}

TEST(Quarantine, PlacesAreReadAsTheyAreWritten) {
  EXPECT_EQ(to_text(place_of(sample())), "3/1000000000000/5");
  EXPECT_EQ(parse_quarantine_place("3/1000000000000/5"), place_of(sample()));
  EXPECT_EQ(parse_quarantine_place("0/7"), (QuarantinePlace{0, 7, 0}));
  for (const char* text : {"", "7", "/", "0/", "/7", "0/7/", "0/7/1/2", "-1/7", "0/-7", "0/7/-1", "x/7", "0/7x"})
    EXPECT_FALSE(parse_quarantine_place(text)) << text;
}

TEST(Quarantine, HeadersAreNamedAsKafkaConnects) {
  Quarantined q = sample();
  q.headers = {{"kind", "frame"}};
  q.detail += '\xff';
  const OwnedHeaders expected{{"kind", "frame"},
                              {"__connect.errors.topic", "raw"},
                              {"__connect.errors.partition", "3"},
                              {"__connect.errors.offset", "1000000000000"},
                              {"__connect.errors.connector.name", "truetape"},
                              {"__connect.errors.task.id", "process"},
                              {"__connect.errors.stage", "TRANSFORMATION"},
                              {"__connect.errors.class.name", "truetape.process"},
                              {"__connect.errors.exception.class.name", "truetape.price"},
                              {"__connect.errors.exception.message", "$.p: \"-1\", but a price is above 0\xef\xbf\xbd"},
                              {"__connect.errors.exception.stacktrace", ""},
                              {"truetape.error.reason", "price"},
                              {"truetape.error.detail", "$.p: \"-1\", but a price is above 0\xef\xbf\xbd"},
                              {"truetape.error.rule", "positive"},
                              {"truetape.error.rule_version", "4"},
                              {"truetape.error.ordinal", "5"},
                              {"truetape.error.id", "3000"},
                              {"truetape.error.first_ms", "1723161599123"},
                              {"truetape.error.receive_time", "1723161599123456789"},
                              {"truetape.error.attempts", "1"},
                              {"truetape.error.instrument", "binance:BTCUSDT"}};
  EXPECT_EQ(quarantine_headers(q), expected);
}

TEST(Quarantine, NamesTheHeaderThatIsWrong) {
  for (const auto& [header_name, value] :
       std::vector<std::pair<std::string, std::string>>{{"truetape.error.reason", "no_such"},
                                                        {"__connect.errors.offset", "1x"},
                                                        {"__connect.errors.partition", "99999999999"},
                                                        {"truetape.error.ordinal", "-1"},
                                                        {"truetape.error.rule_version", ""},
                                                        {"truetape.error.receive_time", "now"},
                                                        {"truetape.error.instrument", "none"},
                                                        {"truetape.error.rule", std::string(25, 'r')}}) {
    OwnedHeaders headers = quarantine_headers(sample());
    for (auto& h : headers)
      if (h.first == header_name) h.second = value;
    const auto refused = read_quarantined("", views(headers));
    ASSERT_FALSE(refused) << header_name;
    EXPECT_NE(refused.error().detail.find("`" + header_name + "`"), std::string::npos) << refused.error().detail;
  }
  EXPECT_FALSE(read_quarantined("", {}));
}

}  // namespace
}  // namespace truetape
