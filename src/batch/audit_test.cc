#include "batch/audit.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "batch/audit_fields.h"
#include "codec/keys.h"
#include "codec/quarantine.h"
#include "codec/random_records.h"
#include "codec/wire.h"
#include "log/memory/memory_log.h"
#include "roles/load.h"
#include "stores/sqlite/sqlite_store.h"

namespace truetape {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kEpoch = 1'700'000'000;
constexpr auto kNoon = std::chrono::sys_days{std::chrono::year{2024} / 8 / 8} + 12h;
const Instrument kBtc = Instrument::parse("binance:BTCUSDT").value();
const Instrument kKcs = Instrument::parse("kucoin:KCS-USDT").value();  // no ids

// Trade n is n seconds after noon.
Trade trade(const Instrument& instrument, std::uint64_t n) {
  Trade t;
  t.instrument = instrument;
  t.event_time = kNoon + std::chrono::seconds{n};
  t.price = Decimal::of(6'000'000 + static_cast<std::int64_t>(n % 100), 2).value();
  t.quantity = Decimal::of(1 + static_cast<std::int64_t>(n % 7), 3).value();
  t.taker_side = n % 2 == 0 ? Side::buy : Side::sell;
  if (instrument == kBtc) {
    t.order = t.first_id = t.last_id = n;
    t.id = Text<40>::cut(std::to_string(n));
    t.receive_time = t.event_time + 5ms;
  }
  t.source = Text<40>::cut(instrument == kBtc ? "session-1" : "file-1");
  t.seq = n;
  return t;
}

Candle candle(std::int64_t minute, CandleStatus status, std::uint64_t revision) {
  Candle c;
  c.instrument = kBtc;
  c.interval = 60s;
  c.start = kNoon + std::chrono::minutes{minute};
  c.status = status;
  c.completeness = status == CandleStatus::open ? Completeness::none : Completeness::complete;
  c.proof = status == CandleStatus::open ? Proof::none : Proof::ids;
  c.epoch = kEpoch;
  c.revision = revision;
  c.open = c.high = c.low = c.close = Decimal::of(100 + static_cast<std::int64_t>(revision), 0);
  c.volume = Amount{static_cast<Int128>(revision) * 1'000'000'000'000'000'000};
  return c;
}

Gap gap(std::uint64_t first, std::uint64_t missing, GapState state, std::uint64_t revision) {
  Gap g;
  g.instrument = kBtc;
  g.first_id = first;
  g.last_id = first + 9;
  g.missing = missing;
  g.from = kNoon + std::chrono::seconds{first};
  g.to = g.from + 1s;
  g.state = state;
  g.epoch = kEpoch;
  g.revision = revision;
  return g;
}

Progress progress(std::uint64_t revision) {
  return {.instrument = kBtc,
          .tape = Tape::trade,
          .frontier = kNoon + std::chrono::minutes{revision},
          .closed_until = {},
          .proven_until = {},
          .sealed_until = {},
          .epoch = kEpoch,
          .revision = revision};
}

class AuditTest : public testing::Test {
 protected:
  explicit AuditTest(const MemoryOptions& options = {.partitions = 2, .dice = {}}) : log_{options} {
    std::string pattern = testing::TempDir() + "truetape-audit-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error{"no temporary directory"};
    folder_ = pattern;
  }
  ~AuditTest() override { std::filesystem::remove_all(folder_); }

  // The rows of one step of process, in this order.
  void commit(const std::vector<Row>& rows) {
    auto appender = log_.appender(topic::raw).value();
    const Header kind{header::kind, "frame"};
    ASSERT_TRUE(appender->append(0, {"", "{}", {&kind, 1}}));
    ASSERT_TRUE(appender->flush(0ms).value());
    if (!task_) task_ = log_.task().value();
    while (task_->poll(0ms).value().records.empty()) {
    }
    struct Encoded {
      std::string_view topic;
      Instrument instrument;
      std::string key, value;
      OwnedHeaders owned{};
      std::vector<Header> headers{};
    };
    std::vector<Encoded> encoded;
    for (const Row& row : rows)
      std::visit(
          [&]<class T>(const T& r) {
            if constexpr (std::is_same_v<T, Trade> || std::is_same_v<T, Candle> || std::is_same_v<T, Gap> ||
                          std::is_same_v<T, Progress> || std::is_same_v<T, Quarantined>) {
              Encoded& e = encoded.emplace_back();
              e.instrument = r.instrument;
              put_key(r, e.key);
              if constexpr (std::is_same_v<T, Quarantined>) {
                e.topic = topic::quarantine;
                e.value = r.raw;
                e.owned = quarantine_headers(r);
              } else {
                e.topic = std::is_same_v<T, Trade>    ? topic::trades
                          : std::is_same_v<T, Candle> ? topic::candles
                          : std::is_same_v<T, Gap>    ? topic::gaps
                                                      : topic::progress;
                wire::encode(r, e.value);
              }
            } else {
              FAIL() << "a row that these tests do not have";
            }
          },
          row);
    std::vector<Output> outputs;
    for (Encoded& e : encoded) {
      for (const auto& [name, value] : e.owned) e.headers.push_back({name, value});
      outputs.push_back({e.topic, partition_of(e.instrument, log_.partitions()), {e.key, e.value, e.headers}});
    }
    ASSERT_TRUE(task_->commit(outputs, {}));
  }

  void load() {
    auto role =
        LoadRole::open(log_, make_sqlite_sink(file(), {.log_id = std::string{log_.id()}, .adopt = adopt_}), clock_);
    ASSERT_TRUE(role) << role.error().detail;
    for (int i = 0; i < 4; ++i) ASSERT_TRUE((*role)->step(0ms));
    ASSERT_TRUE((*role)->flush());
  }

  std::filesystem::path file() const { return folder_ / "store.db"; }
  void plant(const std::string& sql) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(file().c_str(), &db), SQLITE_OK);
    char* error = nullptr;
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &error), SQLITE_OK) << error << ": " << sql;
    EXPECT_GT(sqlite3_changes(db), 0) << sql;
    sqlite3_close(db);
  }

  Result<AuditReport> try_audit(AuditOptions options = {}) {
    options.numbers = [](std::string_view venue) { return venue == "binance"; };
    const auto snapshot = open_sqlite_history(file())->snapshot();
    if (!snapshot) return tl::unexpected{snapshot.error()};
    return audit(log_, **snapshot, options);
  }
  AuditReport audited(AuditOptions options = {}) {
    auto report = try_audit(std::move(options));
    EXPECT_TRUE(report) << report.error().detail;
    return report ? *report : AuditReport{};
  }
  // "INSTRUMENT DAY: VERDICT", then what belongs to no day.
  std::vector<std::string> verdicts(AuditOptions options = {}) {
    const AuditReport report = audited(std::move(options));
    std::vector<std::string> out;
    for (const AuditDay& day : report.days)
      out.push_back(day.instrument.str() + ' ' + to_rfc3339(Timestamp{day.day}).substr(5, 5) + ": " + text(day) +
                    (day.verdict == Verdict::differs || day.where.empty() ? "" : " (" + day.where + ")"));
    out.insert(out.end(), report.differences.begin(), report.differences.end());
    return out;
  }

  void commit_trades(const Instrument& instrument, std::uint64_t first, std::uint64_t end) {
    std::vector<Row> rows;
    for (std::uint64_t n = first; n < end; ++n) rows.emplace_back(trade(instrument, n));
    commit(rows);
  }
  // Some of everything, and all that may be superseded is.
  void fill() {
    commit_trades(kBtc, 100, 200);
    commit_trades(kKcs, 0, 50);
    commit({candle(0, CandleStatus::open, 1), candle(1, CandleStatus::open, 1), gap(110, 10, GapState::open, 1),
            gap(130, 10, GapState::open, 1), gap(150, 10, GapState::lost, 1), progress(1)});
    Quarantined item;
    item.instrument = kBtc;
    item.offset = 3;
    item.ordinal = 1;
    item.receive_time = kNoon;
    item.detail = "no price";
    item.raw = "{\"p\":0}";
    item.headers = {{"kind", "frame"}};
    commit({candle(0, CandleStatus::closed, 2), candle(1, CandleStatus::open, 3), gap(110, 4, GapState::progress, 2),
            gap(130, 0, GapState::repaired, 2), progress(2), item});
    commit({candle(0, CandleStatus::corrected, 5), candle(2, CandleStatus::open, 1)});
    commit_trades(kBtc, 86'400, 86'410);  // the next day
  }

  std::filesystem::path folder_;
  MemoryLog log_;
  std::unique_ptr<Task> task_;
  bool adopt_ = false;
  ManualClock clock_{timestamp_ns(1'800'000'000'000'000'000)};
};

const std::vector<std::string> kSound{"binance:BTCUSDT 08-08: proved", "binance:BTCUSDT 08-09: proved",
                                      "kucoin:KCS-USDT 08-08: no ids"};

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
  EXPECT_EQ(verdicts(), kSound);
  EXPECT_EQ(audited().days[0].log.trades, 100U);
  load();
  EXPECT_EQ(verdicts(), kSound);
  EXPECT_EQ(audited().days[0].log.trades, 200U);
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
  EXPECT_EQ(verdicts(), std::vector<std::string>{"binance:BTCUSDT 08-08: proved"});
  load();
  EXPECT_EQ(verdicts(), std::vector<std::string>{"binance:BTCUSDT 08-08: proved"});
  plant("UPDATE gaps SET missing = 5");
  EXPECT_EQ(verdicts(),
            std::vector<std::string>{"binance:BTCUSDT 08-08: differs at gap 110 2024-08-08T12:01:50Z missing: "
                                     "log 4, store 5"});
}

// What lay below was made again behind it: nothing is lost, so nothing is excused.
TEST_F(AuditTest, ALogThatWasMadeAnewHasLostNothing) {
  fill();
  load();
  const std::int32_t btc = partition_of(kBtc, log_.partitions());
  log_.trim(topic::trades, btc, 40);
  AuditOptions options;
  options.first = [&](std::string_view topic, std::int32_t partition) -> Result<std::int64_t> {
    return log_.span(topic, partition)->oldest;
  };
  EXPECT_EQ(verdicts(options)[0], "binance:BTCUSDT 08-08: differs at trade 100 2024-08-08T12:01:40Z: not in the log");
  EXPECT_EQ(audited(options).notes, std::vector<std::string>{});
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
