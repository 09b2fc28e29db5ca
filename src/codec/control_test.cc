#include "codec/control.h"

#include <gtest/gtest.h>

namespace truetape {
namespace {

FeedReport report() {
  return {.venue = "binance",
          .at = timestamp_ns(1'700'000'000'123'456'789),
          .running = true,
          .clock_offset = Nanoseconds{-2'000'000},
          .connections = {{.name = "binance-1",
                           .state = "live",
                           .streams = 3,
                           .confirmed = 2,
                           .frames = 10,
                           .bytes = 2'000,
                           .connects = 1,
                           .failures = 0,
                           .last_frame = timestamp_ns(1'700'000'000'000'000'000),
                           .witness = std::nullopt},
                          {.name = "binance-1b",
                           .state = "waiting",
                           .last_frame = {},
                           .witness = {},
                           .trouble = "the peer said \"no\"",
                           .next_attempt = timestamp_ns(1'700'000'001'000'000'000)}},
          .unknown = {*Instrument::parse("binance:NOSUCH")}};
}

TEST(Control, EveryRecordComesBack) {
  const Instrument btc = *Instrument::parse("binance:BTCUSDT");
  for (const ControlRecord& record :
       {ControlRecord{IngestSwitch{true}}, ControlRecord{IngestSwitch{false}},
        ControlRecord{WantedInstrument{btc, true}}, ControlRecord{WantedInstrument{btc, false}},
        ControlRecord{report()}, ControlRecord{FeedReport{.venue = "x"}}}) {
    const ControlText text = control_text(record);
    const auto back = parse_control(text.key, text.value);
    ASSERT_TRUE(back) << text.value << ": " << back.error().detail;
    ASSERT_TRUE(*back) << text.key;
    EXPECT_TRUE(**back == record) << text.key << ' ' << text.value;
  }
}

TEST(Control, TheTextsArePublic) {
  EXPECT_EQ(control_text(IngestSwitch{false}).value, R"({"state":"stopped"})");
  const ControlText want = control_text(WantedInstrument{*Instrument::parse("binance:BTCUSDT"), true});
  EXPECT_EQ(want.key, "want:binance:BTCUSDT");
  EXPECT_EQ(want.value, R"({"wanted":true})");
  FeedReport small = report();
  small.connections.pop_back();
  EXPECT_EQ(control_text(small).value,
            R"({"at":"2023-11-14T22:13:20.123456789Z","running":true,"clock_offset_ns":-2000000,)"
            R"("connections":[{"name":"binance-1","state":"live","streams":3,"confirmed":2,"frames":10,"bytes":2000,)"
            R"("connects":1,"failures":0,"last_frame":"2023-11-14T22:13:20Z"}],"unknown":["binance:NOSUCH"]})");
}

TEST(Control, WhatIsWrongIsNamed) {
  const struct {
    const char *key, *value, *sentence;
  } cases[] = {
      {"ingest", "", "control record ingest: its value is no JSON object"},
      {"ingest", "[]", "control record ingest: its value is no JSON object"},
      {"ingest", "{}", "control record ingest: $.state is missing"},
      {"ingest", R"({"state":"on"})", "control record ingest: $.state is neither started nor stopped"},
      {"want:BTCUSDT", R"({"wanted":true})",
       "control record want:BTCUSDT: its key names no instrument; it is want:VENUE:SYMBOL"},
      {"want:binance:BTCUSDT", R"({"wanted":1})",
       "control record want:binance:BTCUSDT: $.wanted has another type than it should"},
      {"feed:x", R"({"running":true,"connections":[{"state":"live"}]})",
       "control record feed:x: $.connections[0].name is missing"},
      {"feed:x", R"({"running":true,"at":"noon"})",
       "control record feed:x: $.at is no time; write it as 2024-08-08T23:59:59.123Z"},
  };
  for (const auto& c : cases) {
    const auto parsed = parse_control(c.key, c.value);
    ASSERT_FALSE(parsed) << c.key << ' ' << c.value;
    EXPECT_EQ(parsed.error().detail, c.sentence);
  }
}

TEST(Control, OfAKeyTheLastRecordCountsAndUnknownKeysArePassedOver) {
  const auto unknown = parse_control("later", "not even json");
  ASSERT_TRUE(unknown);
  EXPECT_FALSE(*unknown);
  const Instrument a = *Instrument::parse("binance:A"), b = *Instrument::parse("binance:B");
  ControlState state;
  EXPECT_TRUE(state.started);
  for (const ControlRecord& record :
       {ControlRecord{WantedInstrument{a, true}}, ControlRecord{WantedInstrument{b, true}},
        ControlRecord{IngestSwitch{false}}, ControlRecord{WantedInstrument{a, false}}, ControlRecord{report()}})
    state.fold(record);
  EXPECT_FALSE(state.started);
  EXPECT_EQ(state.stops, 1U);
  state.fold(IngestSwitch{true});
  EXPECT_TRUE(state.started);
  EXPECT_EQ(state.stops, 1U);
  EXPECT_EQ(state.wanted, std::set<Instrument>{b});
  EXPECT_EQ(state.feeds.at("binance"), report());
}

}  // namespace
}  // namespace truetape
