#include <gmock/gmock.h>

#include <algorithm>

#include "batch/audit_fields.h"
#include "batch/audit_testing.h"
#include "codec/random_records.h"

namespace truetape {
namespace {

using namespace audit_testing;

TEST_F(AuditTest, AnUndamagedStoreIsProvedAndItsDaysAreCounted) {
  fill();
  load();
  const AuditReport report = audited();
  EXPECT_EQ(verdicts(), kSound);
  EXPECT_FALSE(report.differs());
  ASSERT_EQ(report.days.size(), 3U);
  const AuditDay& day = report.days[0];
  EXPECT_EQ(day.log, day.store);
  EXPECT_EQ(day.log.trades, 100U);
  // 100..199 have quantities of 1 to 7 thousandths: fourteen times all seven, and those of 198 and 199.
  EXPECT_EQ(to_text(*day.log.volume), "0.399");
  EXPECT_EQ(day.log.candles, 3U);
  EXPECT_EQ((std::pair{day.first_id, day.last_id}), (std::pair<std::string, std::string>{"100", "199"}));
  EXPECT_EQ((std::tuple{day.open, day.lost, day.missing}), (std::tuple{1U, 1U, 14U}));
  EXPECT_EQ(day.log.trades_digest.size(), 32U);
  EXPECT_NE(day.log.trades_digest, report.days[1].log.trades_digest);
  EXPECT_EQ(report.days[2].first_id, "");
  EXPECT_EQ(
      report.summary(),
      "log and store hold the same 160 trades and 3 candles of 2 instruments on 3 days; 1 hole is open, 1 lost (14 "
      "ids lack)");
}

// From one trade before midnight to one of the day after next.
TEST_F(AuditTest, AGapIsCountedOnEachDayThatItTouches) {
  constexpr auto kMidnight = kNoon + 12h;
  Gap hole = gap(43'000, 500, GapState::open, 1);
  hole.to = kMidnight + 24h + 2h;
  commit_trades(kBtc, 42'000, 42'010);
  commit_trades(kBtc, 90'000, 90'010);    // the 9th
  commit_trades(kBtc, 180'000, 180'010);  // the 10th
  Gap tail = gap(200'000, 0, GapState::open, 1);
  tail.to.reset();
  commit({hole, tail});
  load();
  const auto counts = [&](const AuditReport& report) {
    std::vector<std::tuple<std::string, std::uint64_t, std::uint64_t>> out;
    for (const AuditDay& day : report.days)
      out.emplace_back(to_rfc3339(Timestamp{day.day}).substr(5, 5), day.open, day.missing);
    return out;
  };
  using Counts = decltype(counts(AuditReport{}));
  const AuditReport whole = audited();
  EXPECT_EQ(counts(whole), (Counts{{"08-08", 1, 500}, {"08-09", 1, 500}, {"08-10", 2, 500}}));
  EXPECT_EQ((std::tuple{whole.open, whole.lost, whole.missing}), (std::tuple{2U, 0U, 500U}));
  EXPECT_TRUE(whole.summary().ends_with("on 3 days; 2 holes are open (500 ids lack)")) << whole.summary();
  EXPECT_EQ(counts(audited({.from = kMidnight, .to = kMidnight + 24h})), (Counts{{"08-09", 1, 500}}));
  // Also where no trade is: it is on the first day and on the last that are looked at.
  EXPECT_EQ(counts(audited({.from = kMidnight + 24h + 1h, .to = kMidnight + 24h + 2h})), (Counts{{"08-10", 1, 500}}));
  EXPECT_EQ(counts(audited({.from = kMidnight + 24h + 2h + 1ns, .to = kMidnight + 25h + 2h})), Counts{});
  plant("UPDATE gaps SET missing = 7 WHERE first_id = 43000");
  EXPECT_EQ(verdicts({.from = kMidnight, .to = kMidnight + 24h})[0],
            "binance:BTCUSDT 08-09: differs at gap 43000 2024-08-08T23:56:40Z missing: log 500, store 7");
}

TEST_F(AuditTest, EachDamageIsFoundAndLocated) {
  fill();
  load();
  struct Case {
    std::string damage, mend, found;
  };
  const auto field = [](const std::string& column, const std::string& found) {
    return Case{"UPDATE trades SET " + column + " = " + column + " + 1 WHERE trade_order = 150",
                "UPDATE trades SET " + column + " = " + column + " - 1 WHERE trade_order = 150", found};
  };
  const std::string at = "binance:BTCUSDT 08-08: differs at trade 150 2024-08-08T12:02:30Z ";
  const Case cases[] = {
      field("price", at + "price: log 60000.5, store 60000.6"),
      field("quantity", at + "quantity: log 0.004, store 0.005"),
      field("taker_side", at + "taker_side: log buy, store sell"),
      field("marks", at + "marks: log nothing, store off_tick"),
      field("receive_time", at + "receive_time: log 2024-08-08T12:02:30.005Z, store 2024-08-08T12:02:30.005000001Z"),
      field("ordinal", at + "ordinal: log 0, store 1"),
      {"UPDATE trades SET id = 'x' WHERE trade_order = 150", "UPDATE trades SET id = NULL WHERE trade_order = 150",
       "binance:BTCUSDT 08-08: differs at trade x 2024-08-08T12:02:30Z id: log 150, store x"},
      {"UPDATE trades SET kind = 'ADL' WHERE trade_order = 150",
       "UPDATE trades SET kind = NULL WHERE trade_order = 150", at + "kind: log nothing, store ADL"},
      {"UPDATE trades SET trade_order = 1150 WHERE trade_order = 150",
       "UPDATE trades SET trade_order = 150 WHERE trade_order = 1150",
       at.substr(0, at.size() - 1) + ": not in the store"},
      {"INSERT INTO trades SELECT instrument_id, tape, era + 1, trade_order, event_time, price, price_scale, quantity, "
       "quantity_scale, taker_side, marks, source_id, seq, ordinal, receive_time, first_id, last_id, id, kind FROM "
       "trades "
       "WHERE trade_order = 150",
       "DELETE FROM trades WHERE era = 1",
       "binance:BTCUSDT 08-08: differs at trade 1:150 2024-08-08T12:02:30Z: not in the log"},
      {"UPDATE trades_without_id SET price = price - 1 WHERE seq = 40",
       "UPDATE trades_without_id SET price = price + 1 WHERE seq = 40",
       "kucoin:KCS-USDT 08-08: differs at trade file-1/40/0 2024-08-08T12:00:40Z price: log 60000.4, store 60000.3"},
      {"UPDATE trades_without_id SET ordinal = 1 WHERE seq = 40",
       "UPDATE trades_without_id SET ordinal = 0 WHERE seq = 40",
       "kucoin:KCS-USDT 08-08: differs at trade file-1/40/0 2024-08-08T12:00:40Z: not in the store"},
      {"UPDATE candles SET revision = 2, status = 1 WHERE revision = 5",
       "UPDATE candles SET revision = 5, status = 2 WHERE revision = 2",
       "binance:BTCUSDT 08-08: differs at candle 1m 2024-08-08T12:00:00Z revision: log 5, store 2"},
      {"UPDATE candles SET volume = 4 WHERE revision = 3", "UPDATE candles SET volume = 3 WHERE revision = 3",
       "binance:BTCUSDT 08-08: differs at candle 1m 2024-08-08T12:01:00Z volume: log 3, store 4"},
      {"UPDATE candles SET interval = 300 WHERE revision = 3", "UPDATE candles SET interval = 60 WHERE revision = 3",
       "binance:BTCUSDT 08-08: differs at candle 1m 2024-08-08T12:01:00Z: not in the store"},
      {"UPDATE gaps SET state = 1 WHERE first_id = 110", "UPDATE gaps SET state = 2 WHERE first_id = 110",
       "binance:BTCUSDT 08-08: differs at gap 110 2024-08-08T12:01:50Z state: log progress, store open"},
      {"UPDATE gaps SET first_id = 111 WHERE first_id = 110", "UPDATE gaps SET first_id = 110 WHERE first_id = 111",
       "binance:BTCUSDT 08-08: differs at gap 110 2024-08-08T12:01:50Z: not in the store"},
      {"UPDATE progress SET frontier = frontier + 1", "UPDATE progress SET frontier = frontier - 1",
       "progress of binance:BTCUSDT trade frontier: log 2024-08-08T12:02:00Z, store 2024-08-08T12:02:00.000000001Z"},
      {"UPDATE quarantine SET detail = 'x'", "UPDATE quarantine SET detail = 'no price'",
       "quarantine: item 1 of raw/0 offset 3 is not the same in log and store"},
      {"UPDATE quarantine SET ordinal = 2", "UPDATE quarantine SET ordinal = 1",
       "quarantine: item 1 of raw/0 offset 3 is not in the store"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.damage);
    plant(c.damage);
    std::vector<std::string> expected = kSound;
    const auto same_day = std::ranges::find_if(
        expected, [&](const std::string& line) { return line.substr(0, 21) == c.found.substr(0, 21); });
    if (same_day != expected.end())
      *same_day = c.found;
    else
      expected.push_back(c.found);
    std::vector<std::string> found = verdicts();
    if (c.damage.starts_with("UPDATE quarantine SET ordinal")) {
      EXPECT_EQ(found.back(), "quarantine: item 2 of raw/0 offset 3 is not in the log");
      found.pop_back();
    }
    EXPECT_EQ(found, expected);
    EXPECT_TRUE(audited().differs());
    // In several passes over the candles it is the same.
    EXPECT_EQ(verdicts({.windows = 1}).size(), verdicts().size());
    EXPECT_EQ(verdicts({.windows = 1})[0], verdicts()[0]);
    plant(c.mend);
  }
  EXPECT_EQ(verdicts(), kSound);
}

TEST_F(AuditTest, WhatTheStoreHasNotLoadedYetIsNotAskedFor) {
  fill();
  load();
  commit_trades(kBtc, 200, 300);
  commit({candle(1, CandleStatus::closed, 9), gap(110, 0, GapState::repaired, 3), progress(3)});
  EXPECT_EQ(verdicts(),
            (std::vector<std::string>{"binance:BTCUSDT 08-08: not loaded yet (102 records of it in the log)", kSound[1],
                                      kSound[2]}));
  const AuditReport behind = audited();
  EXPECT_FALSE(behind.differs());
  EXPECT_EQ(behind.days[0].log.trades, 100U);
  EXPECT_EQ(behind.notes,
            std::vector<std::string>{"the store is behind its log: 103 records are not loaded yet (100 of "
                                     "trades, 1 of candles, 1 of gaps, 1 of progress)"});
  EXPECT_EQ(behind.summary(),
            "log and store hold the same 160 trades and 3 candles of 2 instruments on 3 days; of 1 day 102 records of "
            "the log are not loaded yet; 1 hole is open, 1 lost (14 ids lack)");
  load();
  EXPECT_EQ(verdicts(), kSound);
  EXPECT_EQ(audited().days[0].log.trades, 200U);
  EXPECT_EQ(audited().notes, std::vector<std::string>{});
}

// A store without rows and position of a topic, or of all, is behind: nothing of it is proved.
TEST_F(AuditTest, WhatWasNeverLoadedIsNotProved) {
  fill();
  load();
  plant("DELETE FROM candles; DELETE FROM positions WHERE topic = 'candles'");
  EXPECT_EQ(verdicts()[0], "binance:BTCUSDT 08-08: not loaded yet (6 records of it in the log)");
  plant(
      "DELETE FROM trades; DELETE FROM trades_without_id; DELETE FROM gaps; DELETE FROM progress; DELETE FROM "
      "quarantine; DELETE FROM positions");
  EXPECT_EQ(verdicts(),
            (std::vector<std::string>{"binance:BTCUSDT 08-08: not loaded yet (111 records of it in the log)",
                                      "binance:BTCUSDT 08-09: not loaded yet (10 records of it in the log)",
                                      "kucoin:KCS-USDT 08-08: not loaded yet (50 records of it in the log)"}));
  EXPECT_EQ(verdicts({.instrument = kKcs}).size(), 1U);
  EXPECT_EQ(audited({.instrument = kKcs}).notes,
            std::vector<std::string>{"the store is behind its log: 50 records are not loaded yet (50 of trades)"});
}

TEST_F(AuditTest, APositionMovedBackIsToldWithTheRowsBeyondIt) {
  fill();
  load();
  const std::int32_t partition = partition_of(kBtc, log_.partitions());
  const std::string place = std::to_string(partition);
  const std::int64_t end = log_.span(topic::trades, partition)->end;
  plant("UPDATE positions SET next = next - 3 WHERE topic = 'trades' AND partition = " + place);
  const std::string next = std::to_string(end - 3);
  std::vector<std::string> expected = kSound;
  expected[1] =
      "binance:BTCUSDT 08-09: differs at trade 86407 2024-08-09T12:00:07Z: in the store, beyond its position trades/" +
      place + " = " + next;
  expected.push_back("position trades/" + place + ": the store says " + next +
                     ", but it holds the trade that stands there in the log");
  EXPECT_EQ(verdicts(), expected);
  expected.insert(expected.end() - 1, "position trades/" + place + ": the store says " + next +
                                          ", but its loader had told the log " + std::to_string(end));
  EXPECT_EQ(verdicts({.told = {{"trades", partition, end}}}), expected);
  load();
  EXPECT_EQ(verdicts({.told = {{"trades", partition, end}}}), kSound);

  plant("UPDATE positions SET next = next - 2 WHERE topic = 'candles' AND partition = " + place);
  EXPECT_EQ(
      verdicts()[0],
      "binance:BTCUSDT 08-08: differs at candle 1m 2024-08-08T12:00:00Z: in the store, beyond its position candles/" +
          place + " = " + std::to_string(log_.span(topic::candles, partition)->end - 2));
  load();
  EXPECT_EQ(verdicts(), kSound);
}

TEST_F(AuditTest, AStoreThatIsAheadOrOfAnotherLogIsRefusedInOneSentence) {
  fill();
  load();
  plant("UPDATE positions SET next = 9000 WHERE topic = 'gaps' AND partition = " +
        std::to_string(partition_of(kBtc, log_.partitions())));
  auto refused = try_audit({.load = "LOAD"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::mismatch);
  EXPECT_TRUE(refused.error().detail.starts_with("the store is ahead of its log: it has gaps/"))
      << refused.error().detail;
  EXPECT_TRUE(
      refused.error().detail.ends_with("up to offset 9000, but the log ends at 5. The log was put back to an older "
                                       "copy, or is another's; to keep the store's rows and load all that this log "
                                       "has, run: LOAD --adopt"))
      << refused.error().detail;
  plant("UPDATE meta SET value = 'another' WHERE name = 'log_id'");
  refused = try_audit({.load = "LOAD"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::mismatch);
  EXPECT_TRUE(refused.error().detail.starts_with("the store holds the rows of log another, but this log is"))
      << refused.error().detail;
}

// Retention takes the beginning of trades and candles.
TEST_F(AuditTest, WhatTheLogHasLostIsNoDifferenceAndWhatItHoldsIsStillCompared) {
  fill();
  load();
  commit({candle(0, CandleStatus::corrected, 7)});
  load();
  const std::int32_t btc = partition_of(kBtc, log_.partitions()), kcs = partition_of(kKcs, log_.partitions());
  ASSERT_NE(btc, kcs);
  log_.trim(topic::trades, btc, 40);    // 100 to 139
  log_.trim(topic::candles, btc, 2);    // the first rows of windows 0 and 1
  log_.trim(topic::trades, kcs, 1000);  // all but the last
  EXPECT_EQ(verdicts(), (std::vector<std::string>{
                            "binance:BTCUSDT 08-08: pruned from the log (40 of its trades are only in the store)",
                            "binance:BTCUSDT 08-09: proved",
                            "kucoin:KCS-USDT 08-08: pruned from the log (49 of its trades are only in the store)"}));
  const AuditReport report = audited();
  EXPECT_FALSE(report.differs());
  EXPECT_EQ(report.notes, std::vector<std::string>{
                              "the log no longer holds its first 89 records of trades and 2 of candles: what they "
                              "said cannot be compared"});
  EXPECT_EQ(
      report.summary(),
      "log and store hold the same 71 trades and 3 candles of 2 instruments on 3 days; on 2 days the store holds more "
      "than the log, 89 trades; 1 hole is open, 1 lost (14 ids lack)");

  // What the log still holds must be there, and as it is.
  const std::string pruned = verdicts()[2];
  const auto both = [&](const std::string& damage, const std::string& found) {
    SCOPED_TRACE(damage);
    plant(damage);
    EXPECT_EQ(verdicts()[0], "binance:BTCUSDT 08-08: differs at trade " + found);
  };
  both("DELETE FROM trades WHERE trade_order = 180", "180 2024-08-08T12:03:00Z: not in the store");
  both("UPDATE trades SET marks = 1 WHERE trade_order = 170",
       "170 2024-08-08T12:02:50Z marks: log nothing, store off_tick");
  // Of a trade of before nothing is known. One that came after records which the log holds must be there.
  both("UPDATE trades SET price = 1 WHERE trade_order = 120",
       "170 2024-08-08T12:02:50Z marks: log nothing, store off_tick");
  both("UPDATE trades SET trade_order = 1000150 WHERE trade_order = 150", "150 2024-08-08T12:02:30Z: not in the store");
  plant(
      "INSERT INTO trades SELECT instrument_id, tape, era, 150, event_time, price, price_scale, quantity, "
      "quantity_scale, "
      "taker_side, marks, source_id, seq, ordinal, receive_time, 150, 150, '150', kind FROM trades WHERE trade_order = "
      "1000150; UPDATE trades SET marks = 0 WHERE trade_order = 170; DELETE FROM trades WHERE trade_order = 140");
  both("UPDATE trades SET id = NULL, first_id = NULL, last_id = NULL WHERE trade_order = 150",
       "140 2024-08-08T12:02:20Z: not in the store");
}

TEST_F(AuditTest, WhatIsNotKnownIsNotCalledSound) {
  commit_trades(kBtc, 100, 110);
  load();
  const auto refused = try_audit({.instrument = Instrument::parse("binance:NOSUCH").value()});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::not_found);
  EXPECT_EQ(refused.error().detail, "nothing is known of binance:NOSUCH; there is binance:BTCUSDT");
  EXPECT_TRUE(audited({.instrument = kBtc, .from = kNoon + 48h}).days.empty());
}

TEST_F(AuditTest, WhatIsNotProcessedYetIsSaid) {
  commit_trades(kBtc, 100, 110);
  load();
  EXPECT_EQ(audited().notes, std::vector<std::string>{});
  auto appender = log_.appender(topic::raw).value();
  ASSERT_TRUE(appender->append(0, {"", "{}", {}}));
  ASSERT_TRUE(appender->flush(0ms).value());
  EXPECT_EQ(audited({.load = "LOAD"}).notes,
            std::vector<std::string>{"results are not made of all that the log has received yet: 1 record waits; where "
                                     "nothing runs: LOAD"});
}

class RetentionMeanwhile : public AuditTest, public testing::WithParamInterface<int> {};
TEST_P(RetentionMeanwhile, WhatItDeletesIsNoDifference) {
  commit_trades(kBtc, 100, 200);
  load();
  plant("UPDATE trades SET marks = 1 WHERE trade_order = 195");  // so that it looks again
  ShrinkingLog log{log_, partition_of(kBtc, log_.partitions()), 7, GetParam()};
  const auto report = try_audit(log);
  ASSERT_TRUE(report) << report.error().detail;
  ASSERT_EQ(report->days.size(), 1u);
  EXPECT_EQ(text(report->days[0]), "differs at trade 195 2024-08-08T12:03:15Z marks: log nothing, store off_tick");
}
INSTANTIATE_TEST_SUITE_P(Audit, RetentionMeanwhile, testing::Range(0, 6));

// A topic that keeps each key's last record may have dropped the row that the store has, because a newer one follows.
TEST_F(AuditTest, ARowThatCompactionDroppedForANewerOneIsNoDifference) {
  commit_trades(kBtc, 100, 110);
  commit({gap(110, 10, GapState::open, 1), progress(1)});
  load();
  commit({gap(110, 4, GapState::progress, 2), progress(2)});
  const std::int32_t btc = partition_of(kBtc, log_.partitions());
  log_.trim(topic::gaps, btc, 1);
  log_.trim(topic::progress, btc, 1);
  ASSERT_EQ(log_.span(topic::gaps, btc)->oldest, 1);
  EXPECT_EQ(verdicts(), std::vector<std::string>{"binance:BTCUSDT 08-08: not loaded yet (1 record of it in the log)"});
  load();
  EXPECT_EQ(verdicts(), std::vector<std::string>{"binance:BTCUSDT 08-08: proved"});
  plant("UPDATE gaps SET missing = 5");
  EXPECT_EQ(verdicts(),
            std::vector<std::string>{"binance:BTCUSDT 08-08: differs at gap 110 2024-08-08T12:01:50Z missing: "
                                     "log 4, store 5"});
}

TEST_F(AuditTest, ARowOfALaterRecordOfAKnownSessionWasNotLost) {
  fill();
  load();
  const std::int32_t btc = partition_of(kBtc, log_.partitions());
  log_.trim(topic::trades, btc, 40);
  plant(
      "INSERT INTO trades SELECT instrument_id, tape, era, 1000150, event_time, price, price_scale, quantity, "
      "quantity_scale, taker_side, marks, source_id, seq, ordinal, receive_time, first_id, last_id, id, kind FROM "
      "trades "
      "WHERE trade_order = 150");
  EXPECT_EQ(verdicts()[0],
            "binance:BTCUSDT 08-08: differs at trade 1000150 2024-08-08T12:02:30Z: not in the log, which has earlier "
            "records of its session");
  plant("UPDATE trades SET seq = 20 WHERE trade_order = 1000150");  // as if it came before: nothing tells it apart
  EXPECT_EQ(verdicts()[0], "binance:BTCUSDT 08-08: pruned from the log (41 of its trades are only in the store)");
}

TEST_F(AuditTest, RowsOfAnotherLogAreTold) {
  fill();
  load();
  MemoryLog other{MemoryOptions{.partitions = 2, .id = "22222222-2222-4222-8222-222222222222", .dice = {}}};
  std::swap(log_, other);
  task_.reset();
  commit_trades(kBtc, 150, 210);
  adopt_ = true;
  load();
  EXPECT_EQ(verdicts(),
            (std::vector<std::string>{
                "binance:BTCUSDT 08-08: holds another log's rows (3 of its candles are only in the store; 50 of "
                "its trades are only in the store; 3 of its gaps are only in the store)",
                "binance:BTCUSDT 08-09: holds another log's rows (none of its trades is in the log)",
                "kucoin:KCS-USDT 08-08: holds another log's rows (none of its trades is in the log)"}));
  plant("DELETE FROM trades WHERE trade_order = 160");
  EXPECT_EQ(verdicts()[0], "binance:BTCUSDT 08-08: differs at trade 160 2024-08-08T12:02:40Z: not in the store");
}

// A store that had all of it before, by another way, differs in each row's circumstance and in nothing that they tell.
TEST_F(AuditTest, RowsThatCameByAnotherWayTellTheSame) {
  fill();
  load();
  MemoryLog other{MemoryOptions{.partitions = 2, .id = "22222222-2222-4222-8222-222222222222", .dice = {}}};
  std::swap(log_, other);
  task_.reset();
  fill();
  adopt_ = true;
  load();
  plant("UPDATE trades SET seq = seq + 1000");  // those without ids are known by it, and lie elsewhere
  const std::string same = ": holds another log's rows (the same trades, which came by another way)";
  EXPECT_EQ(verdicts(), (std::vector<std::string>{"binance:BTCUSDT 08-08" + same, "binance:BTCUSDT 08-09" + same,
                                                  "kucoin:KCS-USDT 08-08: no ids"}));
  plant("UPDATE trades SET price = price + 1 WHERE trade_order = 86409");
  plant("DELETE FROM trades WHERE trade_order = 150");
  EXPECT_THAT(verdicts(),
              testing::ElementsAre("binance:BTCUSDT 08-08: differs at trade 150 2024-08-08T12:02:30Z: not in the store",
                                   testing::StartsWith("binance:BTCUSDT 08-09: differs at trade 86409 "
                                                       "2024-08-09T12:00:09Z price: log "),
                                   "kucoin:KCS-USDT 08-08: no ids"));
}

class AuditOfHoles : public AuditTest {
 protected:
  AuditOfHoles() : AuditTest{{.partitions = 2, .offset_holes = true, .dice = {}}} {}
};
TEST_F(AuditOfHoles, OffsetsMayHaveHoles) {
  fill();
  load();
  EXPECT_EQ(verdicts(), kSound);
  plant("DELETE FROM trades WHERE trade_order = 86409");
  EXPECT_EQ(verdicts()[1], "binance:BTCUSDT 08-09: differs at trade 86409 2024-08-09T12:00:09Z: not in the store");
}

// What is named is what is summed: rows that differ in any member differ in their hashes, and in a field that is named.
TEST(AuditFields, CoverEveryMember) {
  using namespace audit_parts;
  RandomRecords random{20'240'808};
  for (int n = 0; n < 2'000; ++n) {
    const Trade a = random.trade(), b = random.trade();
    EXPECT_EQ(hash_of(a), hash_of(Trade{a}));
    EXPECT_EQ(difference(a, a), "");
    Trade mixed = a;  // the key is not a field
    mixed.instrument = b.instrument;
    mixed.tape = b.tape;
    EXPECT_EQ(hash_of(a) == hash_of(b), mixed == b) << n;
    EXPECT_EQ(difference(a, b).empty(), mixed == b) << n;
    Candle c = random.candle();
    const Candle d = random.candle();
    EXPECT_EQ(difference(c, c), "");
    c.instrument = d.instrument;
    c.tape = d.tape;
    c.interval = d.interval;
    c.start = d.start;
    EXPECT_EQ(hash_of(c) == hash_of(d), c == d) << n;
    EXPECT_EQ(difference(c, d).empty(), c == d) << n;
  }
  // One member at a time, of those that a text can hide.
  const Trade t = trade(kBtc, 150);
  for (const auto change :
       {+[](Trade& x) { ++x.era; }, +[](Trade& x) { ++x.order; }, +[](Trade& x) { ++x.first_id; },
        +[](Trade& x) { ++x.last_id; }, +[](Trade& x) { x.event_time += 1ns; },
        +[](Trade& x) { x.receive_time.reset(); }, +[](Trade& x) { x.receive_time = Timestamp{}; },
        +[](Trade& x) { ++x.price.mantissa; }, +[](Trade& x) { ++x.price.scale; },
        +[](Trade& x) { ++x.quantity.mantissa; }, +[](Trade& x) { x.taker_side = Side::unknown; },
        +[](Trade& x) { x.kind = Text<20>::cut("A"); }, +[](Trade& x) { x.marks = 8; }, +[](Trade& x) { x.id = {}; },
        +[](Trade& x) { x.source = {}; }, +[](Trade& x) { ++x.seq; }, +[](Trade& x) { ++x.ordinal; }}) {
    Trade changed = t;
    change(changed);
    EXPECT_NE(hash_of(changed), hash_of(t));
    EXPECT_NE(difference(t, changed), "");
  }
}

}  // namespace
}  // namespace truetape
