// Logs whose epoch is greater than that of rows in the store: after a restore, which makes nothing anew, and after
// results were made anew.
#include "batch/audit_testing.h"

namespace truetape {
namespace {

using namespace audit_testing;

constexpr const char* kInvented[] = {
    "INSERT INTO trades SELECT instrument_id, tape, era, 1000150, event_time, price, price_scale, quantity, "
    "quantity_scale, taker_side, marks, source_id, seq, ordinal, receive_time, first_id, last_id, id, kind FROM trades "
    "WHERE trade_order = 150",
    "UPDATE candles SET interval = 300 WHERE revision = 3",
    "UPDATE candles SET revision = 9 WHERE revision = 5",
    "UPDATE gaps SET first_id = 111 WHERE first_id = 110",
    "UPDATE progress SET tape = 1",
    "UPDATE quarantine SET ordinal = 2",
};
constexpr const char* kInventedMended[] = {
    "DELETE FROM trades WHERE trade_order = 1000150",
    "UPDATE candles SET interval = 60 WHERE revision = 3",
    "UPDATE candles SET revision = 5 WHERE revision = 9",
    "UPDATE gaps SET first_id = 110 WHERE first_id = 111",
    "UPDATE progress SET tape = 0",
    "UPDATE quarantine SET ordinal = 1",
};

// A log as `restore` leaves it: all its rows are of an older epoch.
class AuditOfARestoredLog : public AuditTest {
 protected:
  AuditOfARestoredLog() : AuditTest{{.partitions = 2, .epoch = kEpoch + 1000, .dice = {}}} {}
};
TEST_F(AuditOfARestoredLog, ANewEpochAloneExcusesNothing) {
  fill();
  load();
  EXPECT_EQ(verdicts(), kSound);
  const std::string day = "binance:BTCUSDT 08-08: differs at ";
  const std::vector<std::string> found[] = {
      {day + "trade 1000150 2024-08-08T12:02:30Z: not in the log", kSound[1], kSound[2]},
      {day + "candle 1m 2024-08-08T12:01:00Z: not in the store", kSound[1], kSound[2]},
      {day + "candle 1m 2024-08-08T12:00:00Z revision: log 5, store 9", kSound[1], kSound[2]},
      {day + "gap 110 2024-08-08T12:01:50Z: not in the store", kSound[1], kSound[2]},
      {kSound[0], kSound[1], kSound[2], "progress of binance:BTCUSDT agg: not in the log",
       "progress of binance:BTCUSDT trade: not in the store"},
      {kSound[0], kSound[1], kSound[2], "quarantine: item 1 of raw/0 offset 3 is not in the store",
       "quarantine: item 2 of raw/0 offset 3 is not in the log"},
  };
  for (std::size_t at = 0; at < std::size(kInvented); ++at) {
    SCOPED_TRACE(kInvented[at]);
    plant(kInvented[at]);
    EXPECT_EQ(verdicts(), found[at]);
    plant(kInventedMended[at]);
  }
}

// The store has loaded an older generation of results; the log holds the newer one alone, behind `first`. Other rules
// made it: trades from 170 on, and another quarantined item.
class AuditOfALogMadeAnew : public AuditTest {
 protected:
  // Ten days after the trades.
  static constexpr std::int64_t kAnew =
      std::chrono::floor<std::chrono::seconds>(kNoon + std::chrono::days{10}).time_since_epoch().count();

  AuditOfALogMadeAnew() : AuditTest{{.partitions = 2, .epoch = kAnew + 1000, .dice = {}}} {}

  void make_anew() {
    fill();
    load();
    std::map<std::string_view, std::vector<std::int64_t>> ends;
    for (const std::string_view topic :
         {topic::trades, topic::candles, topic::gaps, topic::progress, topic::quarantine})
      for (std::int32_t p = 0; p < log_.partitions(); ++p) ends[topic].push_back(log_.span(topic, p)->end);
    options_.anew = [ends](std::string_view topic, std::int32_t partition) -> Result<AuditOptions::Anew> {
      const auto found = ends.find(topic);
      if (found == ends.end()) return AuditOptions::Anew{};
      const std::int64_t end = found->second.at(static_cast<std::size_t>(partition));
      return AuditOptions::Anew{.from = end, .first = end};
    };
    for (const auto& [topic, of] : ends)
      for (std::int32_t p = 0; p < log_.partitions(); ++p) log_.trim(topic, p, of[static_cast<std::size_t>(p)]);
  }
  // What the newer rules make of it.
  void results() {
    commit_trades(kBtc, 170, 200);
    commit_trades(kKcs, 0, 50);
    commit_trades(kBtc, 86'400, 86'410);
    std::vector<Row> rows;
    for (Candle c : {candle(0, CandleStatus::corrected, 1), candle(1, CandleStatus::open, 1)}) {
      c.epoch = kAnew;
      rows.emplace_back(c);
    }
    for (Gap g : {gap(110, 4, GapState::progress, 1), gap(150, 10, GapState::lost, 1)}) {
      g.epoch = kAnew;
      rows.emplace_back(g);
    }
    Progress p = progress(2);
    p.epoch = kAnew;
    rows.emplace_back(p);
    commit(rows);
  }

  AuditOptions options_;
};

TEST_F(AuditOfALogMadeAnew, WhatOlderRulesHadMadeIsNoDifference) {
  make_anew();
  results();
  load();
  const std::vector<std::string> sound{
      "binance:BTCUSDT 08-08: pruned from the log (1 of its candles are only in the store; 70 of its trades are only "
      "in "
      "the store; 1 of its gaps are only in the store)",
      "binance:BTCUSDT 08-09: proved", "kucoin:KCS-USDT 08-08: no ids"};
  EXPECT_EQ(verdicts(options_), sound);
  const AuditReport report = audited(options_);
  EXPECT_FALSE(report.differs());
  EXPECT_EQ(report.notes,
            std::vector<std::string>{"results were made anew (truetape rebuild): rows of the store that were not made "
                                     "again cannot be compared"});
  // Also where only other days are looked at, as the older candle is on another one.
  AuditOptions later = options_;
  later.from = kNoon + 12h;
  EXPECT_EQ(verdicts(later), std::vector<std::string>{sound[1]});

  // What was made anew must be there, and nothing else of its generation.
  const std::string day = "binance:BTCUSDT 08-08: differs at ";
  const std::pair<const char*, std::string> cases[] = {
      {"DELETE FROM trades WHERE trade_order = 180", day + "trade 180 2024-08-08T12:03:00Z: not in the store"},
      {"UPDATE trades SET price = price + 1 WHERE trade_order = 175",
       day + "trade 175 2024-08-08T12:02:55Z price: log 60000.75, store 60000.76"},
      {"UPDATE trades SET receive_time = 1800000000000000000 WHERE trade_order = 120",
       day + "trade 120 2024-08-08T12:02:00Z: not in the log, whose results were made anew before it was received"},
  };
  for (const auto& [damage, found] : cases) {
    SCOPED_TRACE(damage);
    plant(damage);
    EXPECT_EQ(verdicts(options_)[0], found);
  }
}

TEST_F(AuditOfALogMadeAnew, ARowOfTheNewGenerationThatTheLogHasNotIsADifference) {
  make_anew();
  results();
  load();
  // The older row of 12:02 as if it had been made anew; then a gap.
  const std::string day = "binance:BTCUSDT 08-08: differs at ", epoch = std::to_string(kAnew);
  plant("UPDATE candles SET epoch = " + epoch + " WHERE epoch < " + epoch);
  EXPECT_EQ(verdicts(options_)[0], day + "candle 1m 2024-08-08T12:02:00Z: not in the log");
  plant("UPDATE candles SET epoch = " + std::to_string(kEpoch) +
        " WHERE start = " + std::to_string(to_ns(Timestamp{kNoon + 2min})));
  plant("UPDATE gaps SET epoch = " + epoch + " WHERE first_id = 130");
  EXPECT_EQ(verdicts(options_)[0], day + "gap 130 2024-08-08T12:02:10Z: not in the log");
}

// The load of the new results was cut short: candles are loaded, trades are not.
TEST_F(AuditOfALogMadeAnew, AStoreThatHasLoadedOnlySomeTopicsAnewDoesNotDiffer) {
  make_anew();
  results();
  load();
  const std::int32_t btc = partition_of(kBtc, log_.partitions());
  // Nothing of the trades, and a part of them within the ids that are compared at once.
  for (const std::int64_t next : {std::int64_t{5}, log_.span(topic::trades, btc)->oldest + 10}) {
    plant("UPDATE positions SET next = " + std::to_string(next) +
          " WHERE topic = 'trades' AND partition = " + std::to_string(btc));
    const AuditReport report = audited(options_);
    EXPECT_FALSE(report.differs()) << next << ": " << report.summary();
  }
}

}  // namespace
}  // namespace truetape
