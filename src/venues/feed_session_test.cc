#include "venues/feed_session.h"

#include <gtest/gtest.h>

#include "venues/feed_testing.h"

namespace truetape {
namespace {

using namespace std::chrono_literals;

const Timestamp kNow = *parse_rfc3339("2024-08-08T23:59:00Z");
const Instrument kBtc = *Instrument::parse("binance:BTCUSDT");
const Instrument kEth = *Instrument::parse("binance:ETHUSDT");
const Instrument kLtc = *Instrument::parse("binance:LTCUSDT");

std::string ns(Timestamp t) { return std::to_string(to_ns(t)); }

class SessionWriterTest : public testing::Test {
 protected:
  explicit SessionWriterTest(std::int32_t partitions = 1) : sink_{loop_, partitions} { writer_.set_clock(2s, 20ms); }
  bool frame(const Instrument& of, Timestamp received = kNow, bool tape = true) {
    return writer_.frame("{}", std::span{&of, 1}, received, tape);
  }
  void carry(std::vector<Instrument> instruments, Timestamp since) { writer_.carry(instruments, since); }
  void drop(std::vector<Instrument> instruments, Timestamp now) { writer_.drop(instruments, now); }
  // "kind:session:seq:event:last_seq:instruments" of the records since the last call.
  std::vector<std::string> said() {
    std::vector<std::string> out;
    for (; seen_ < sink_.records.size(); ++seen_) {
      const PutRecord& r = sink_.records[seen_];
      out.push_back(r.kind() + " " + r["session"] + " " + r["seq"] + " " + r["event"] + " " + r["last_seq"] + " " +
                    r["instruments"]);
    }
    return out;
  }
  const PutRecord& last() const { return sink_.records.back(); }
  using Lines = std::vector<std::string>;

  ManualClock clock_{kNow};
  net::Loop loop_{clock_};
  MemorySink sink_;
  int ids_ = 0;
  SessionWriter writer_{sink_, "binance", "binance-1", [this] { return "s" + std::to_string(++ids_); }};
  std::size_t seen_ = 0;
};

TEST_F(SessionWriterTest, AFrameOfTheTapeCarriesItsSessionAndNumber) {
  ASSERT_TRUE(writer_.frame("{\"e\":1}", std::span{&kBtc, 1}, kNow, true));
  const PutRecord& r = last();
  EXPECT_EQ(r.partition, 0);
  EXPECT_EQ(r.key, "binance:BTCUSDT");
  EXPECT_EQ(r.bytes, "{\"e\":1}");
  EXPECT_EQ(r.headers, (std::map<std::string, std::string, std::less<>>{{"kind", "frame"},
                                                                        {"instruments", "binance:BTCUSDT"},
                                                                        {"receive_time", ns(kNow)},
                                                                        {"connection", "binance-1"},
                                                                        {"session", "s1"},
                                                                        {"seq", "1"},
                                                                        {"clock_offset", "2000000000"}}));
}

TEST_F(SessionWriterTest, OtherFramesCarryNoSession) {
  ASSERT_TRUE(frame(kBtc, kNow, false));
  EXPECT_EQ(last()["session"], "-");
  EXPECT_EQ(last()["seq"], "-");
  ASSERT_TRUE(writer_.frame("{\"result\":null}", {}, kNow, false));
  EXPECT_EQ(last().headers, (std::map<std::string, std::string, std::less<>>{{"kind", "frame"},
                                                                             {"instruments", ""},
                                                                             {"receive_time", ns(kNow)},
                                                                             {"connection", "binance-1"},
                                                                             {"venue", "binance"},
                                                                             {"clock_offset", "2000000000"}}));
}

TEST_F(SessionWriterTest, OpenThenBeatsWhereTheWitnessMovedThenClose) {
  carry({kBtc, kEth}, kNow + 2s);
  ASSERT_TRUE(frame(kBtc));
  writer_.beat(kNow + 1s);
  writer_.beat(kNow + 2s);
  EXPECT_EQ(said(), (Lines{"frame s1 1 - - binance:BTCUSDT", "session s1 2 open 1 binance:BTCUSDT,binance:ETHUSDT"}))
      << "and no beat without a witness";
  EXPECT_EQ(last()["subscribed"], ns(kNow + 2s));
  EXPECT_EQ(last()["witness"], "-");
  EXPECT_EQ(last()["clock_error"], "20000000");

  writer_.witness(kNow + 3s);
  writer_.beat(kNow + 3s);
  EXPECT_EQ(last()["witness"], ns(kNow + 3s));
  EXPECT_EQ(last().key, "binance:BTCUSDT");
  EXPECT_EQ(last()["venue"], "binance");
  writer_.beat(kNow + 4s);
  writer_.witness(kNow + 1s);  // never back
  writer_.beat(kNow + 5s);
  EXPECT_EQ(said(), (Lines{"session s1 3 beat 2 "}));
  writer_.witness(kNow + 6s);
  writer_.close(kNow + 7s);
  EXPECT_EQ(said(), (Lines{"session s1 4 close 3 "}));
  EXPECT_EQ(last()["witness"], ns(kNow + 6s));
  writer_.beat(kNow + 8s);
  writer_.close(kNow + 9s);
  EXPECT_EQ(said(), Lines{});
}

TEST_F(SessionWriterTest, AllAreNamedAgainEachMinuteWithTheLatestBeginning) {
  carry({kBtc}, kNow);
  writer_.beat(kNow);
  carry({kEth}, kNow + 5s);
  writer_.beat(kNow + 5s);
  EXPECT_EQ(said(), (Lines{"session s1 1 open 0 binance:BTCUSDT", "session s1 2 beat 1 binance:ETHUSDT"}));
  EXPECT_EQ(last()["subscribed"], ns(kNow + 5s));
  writer_.beat(kNow + 59s);
  EXPECT_EQ(said(), Lines{});
  writer_.beat(kNow + 60s);
  EXPECT_EQ(said(), (Lines{"session s1 3 beat 2 binance:BTCUSDT,binance:ETHUSDT"}));
  EXPECT_EQ(last()["subscribed"], ns(kNow + 5s));
}

TEST_F(SessionWriterTest, SubscriptionsThatBeganApartAreSaidApart) {
  carry({kBtc}, kNow);
  carry({kEth, kLtc}, kNow + 1s);
  writer_.beat(kNow + 2s);
  EXPECT_EQ(said(),
            (Lines{"session s1 1 open 0 binance:BTCUSDT", "session s1 2 beat 1 binance:ETHUSDT,binance:LTCUSDT"}));
}

TEST_F(SessionWriterTest, WithoutTheVenuesClockNothingIsSaid) {
  SessionWriter blind{sink_, "binance", "binance-1", [] { return "s9"; }};
  blind.carry(std::vector{kBtc}, kNow);
  ASSERT_TRUE(blind.frame("{}", std::span{&kBtc, 1}, kNow, true));
  EXPECT_EQ(last()["clock_offset"], "-");
  blind.beat(kNow);
  EXPECT_EQ(said(), (Lines{"frame s9 1 - - binance:BTCUSDT"}));
  blind.set_clock(0s, 1ms);
  blind.beat(kNow);
  EXPECT_EQ(said(), (Lines{"session s9 2 open 1 binance:BTCUSDT"}));
}

TEST_F(SessionWriterTest, AHeldWitnessIsInNoRecordUntilItIsLetGo) {
  writer_.hold_witness(true);
  writer_.witness(kNow + 1s);
  carry({kBtc}, kNow);
  writer_.beat(kNow + 1s);
  writer_.beat(kNow + 2s);
  EXPECT_EQ(said(), (Lines{"session s1 1 open 0 binance:BTCUSDT"})) << "so that frames are counted from now on";
  EXPECT_EQ(last()["witness"], "-");
  writer_.hold_witness(false);
  writer_.beat(kNow + 3s);
  EXPECT_EQ(said(), (Lines{"session s1 2 beat 1 "}));
  EXPECT_EQ(last()["witness"], ns(kNow + 1s));
}

// ---- the end of a subscription

TEST_F(SessionWriterTest, ADroppedInstrumentEndsTheSessionOfItsPartitionAndTheOthersGoOnWithoutABreak) {
  carry({kBtc, kEth}, kNow);
  writer_.witness(kNow + 10s);
  writer_.beat(kNow + 10s);
  writer_.witness(kNow + 11s);
  said();
  drop({kEth}, kNow + 12s);
  EXPECT_EQ(said(), (Lines{"session s1 2 close 1 "}));
  EXPECT_EQ(last()["witness"], ns(kNow + 11s));
  ASSERT_TRUE(frame(kEth, kNow + 12s));  // was on its way
  ASSERT_TRUE(frame(kBtc, kNow + 12s));
  writer_.beat(kNow + 13s);
  EXPECT_EQ(said(), (Lines{"frame s2 1 - - binance:ETHUSDT", "frame s2 2 - - binance:BTCUSDT",
                           "session s2 3 open 2 binance:BTCUSDT"}));
  EXPECT_EQ(last()["subscribed"], ns(kNow + 11s)) << "where the old session's evidence ends";
}

TEST_F(SessionWriterTest, TheLastInstrumentDroppedLeavesNoSession) {
  carry({kBtc}, kNow);
  writer_.beat(kNow);
  drop({kBtc}, kNow + 1s);
  writer_.witness(kNow + 2s);
  writer_.beat(kNow + 2s);
  writer_.close(kNow + 3s);
  EXPECT_EQ(said(), (Lines{"session s1 1 open 0 binance:BTCUSDT", "session s1 2 close 1 "}));
}

TEST_F(SessionWriterTest, DroppingWhatIsNotCarriedChangesNothing) {
  carry({kBtc}, kNow);
  writer_.beat(kNow);
  drop({kEth}, kNow + 1s);
  ASSERT_TRUE(frame(kBtc, kNow + 2s));
  EXPECT_EQ(said(), (Lines{"session s1 1 open 0 binance:BTCUSDT", "frame s1 2 - - binance:BTCUSDT"}));
}

// ---- no room, and loss

TEST_F(SessionWriterTest, WhatFindsNoRoomTakesNoNumberAndIsSaidLater) {
  carry({kBtc}, kNow);
  sink_.set_room(0);
  EXPECT_FALSE(frame(kBtc));
  writer_.witness(kNow + 1s);
  writer_.beat(kNow + 1s);
  sink_.set_room(std::nullopt);
  ASSERT_TRUE(frame(kBtc));
  writer_.beat(kNow + 2s);
  EXPECT_EQ(said(), (Lines{"frame s1 1 - - binance:BTCUSDT", "session s1 2 open 1 binance:BTCUSDT"}));
  EXPECT_EQ(last()["witness"], ns(kNow + 1s));
}

TEST_F(SessionWriterTest, AfterALossTheSessionEndsWithoutAWordAndTheNextCountsFromThere) {
  carry({kBtc}, kNow);
  writer_.witness(kNow + 10s);
  writer_.beat(kNow + 10s);
  sink_.lose();
  ASSERT_TRUE(frame(kBtc, kNow + 11s));
  writer_.beat(kNow + 12s);
  EXPECT_EQ(said(), (Lines{"session s1 1 open 0 binance:BTCUSDT", "frame s2 1 - - binance:BTCUSDT",
                           "session s2 2 open 1 binance:BTCUSDT"}));
  EXPECT_EQ(last()["subscribed"], ns(kNow + 11s + 2s + 20ms)) << "the venue's time then, on the safe side";
  sink_.lose();
  writer_.close(kNow + 13s);
  EXPECT_EQ(said(), Lines{});
}

// ---- several partitions

class PartitionsTest : public SessionWriterTest {
 protected:
  PartitionsTest() : SessionWriterTest{16} {}
};

TEST_F(PartitionsTest, EachPartitionHasItsOwnNumbersAndNamesOnlyItsInstruments) {
  const std::int32_t btc = partition_of(kBtc, 16), eth = partition_of(kEth, 16);
  ASSERT_NE(btc, eth);
  carry({kBtc, kEth}, kNow);
  ASSERT_TRUE(frame(kBtc));
  ASSERT_TRUE(frame(kBtc));
  ASSERT_TRUE(frame(kEth));
  writer_.beat(kNow + 1s);
  std::map<std::int32_t, Lines> by_partition;
  for (const PutRecord& r : sink_.records)
    by_partition[r.partition].push_back(r.kind() + " " + r["seq"] + " " + r["last_seq"] + " " + r["instruments"]);
  EXPECT_EQ(by_partition,
            (std::map<std::int32_t, Lines>{
                {btc, {"frame 1 - binance:BTCUSDT", "frame 2 - binance:BTCUSDT", "session 3 2 binance:BTCUSDT"}},
                {eth, {"frame 1 - binance:ETHUSDT", "session 2 1 binance:ETHUSDT"}}}));
}

TEST_F(PartitionsTest, AFrameOfSeveralGoesOnceToEachPartitionAlsoIfOneHasNoRoom) {
  const std::vector both{kBtc, kEth};
  sink_.set_room(1);
  EXPECT_FALSE(writer_.frame("{}", both, kNow, true));
  EXPECT_FALSE(writer_.frame("{}", both, kNow, true));
  sink_.set_room(std::nullopt);
  EXPECT_TRUE(writer_.frame("{}", both, kNow, true));
  ASSERT_EQ(sink_.records.size(), 2u);
  EXPECT_NE(sink_.records[0].partition, sink_.records[1].partition);
  EXPECT_EQ(sink_.records[0]["seq"], "1");
  EXPECT_EQ(sink_.records[1]["seq"], "1");
}

TEST_F(PartitionsTest, ADropEndsOnlyTheSessionOfItsOwnPartition) {
  carry({kBtc, kEth}, kNow);
  writer_.beat(kNow);
  said();
  drop({kEth}, kNow + 1s);
  ASSERT_TRUE(frame(kBtc, kNow + 2s));
  const PutRecord& r = last();
  EXPECT_EQ(r["seq"], "2") << "BTCUSDT's session goes on";
}

TEST_F(SessionWriterTest, ASingleRecordBelongsToNoSession) {
  const std::array<Header, 1> tape{Header{header::tape, "agg"}};
  ASSERT_TRUE(put_single(sink_, RawKind::config, kBtc, {}, kNow, tape));
  EXPECT_EQ(last().headers, (std::map<std::string, std::string, std::less<>>{{"kind", "config"},
                                                                             {"instruments", "binance:BTCUSDT"},
                                                                             {"receive_time", ns(kNow)},
                                                                             {"venue", "binance"},
                                                                             {"tape", "agg"}}));
}

}  // namespace
}  // namespace truetape
