// What tests of the audit share: a log in memory whose results are written by hand, and a SQLite store loaded from it.
#pragma once

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>

#include "batch/audit.h"
#include "codec/keys.h"
#include "codec/quarantine.h"
#include "codec/wire.h"
#include "log/memory/memory_log.h"
#include "roles/load.h"
#include "stores/sqlite/sqlite_store.h"

namespace truetape::audit_testing {

using namespace std::chrono_literals;

inline constexpr std::int64_t kEpoch = 1'700'000'000;
inline constexpr auto kNoon = std::chrono::sys_days{std::chrono::year{2024} / 8 / 8} + 12h;
inline const Instrument kBtc = Instrument::parse("binance:BTCUSDT").value();
inline const Instrument kKcs = Instrument::parse("kucoin:KCS-USDT").value();  // no ids

// Trade n is n seconds after noon.
inline Trade trade(const Instrument& instrument, std::uint64_t n) {
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

inline Candle candle(std::int64_t minute, CandleStatus status, std::uint64_t revision) {
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

inline Gap gap(std::uint64_t first, std::uint64_t missing, GapState state, std::uint64_t revision) {
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

inline Progress progress(std::uint64_t revision) {
  return {.instrument = kBtc,
          .tape = Tape::trade,
          .frontier = kNoon + std::chrono::minutes{revision},
          .closed_until = {},
          .proven_until = {},
          .sealed_until = {},
          .epoch = kEpoch,
          .revision = revision};
}

// A log whose trades retention goes on to delete while it is read: each reader of trades but the first ones finds that
// much less.
class ShrinkingLog : public Log {
 public:
  ShrinkingLog(MemoryLog& log, std::int32_t partition, std::int64_t each, int first)
      : log_{log}, partition_{partition}, each_{each}, first_{first} {}
  std::string_view id() const override { return log_.id(); }
  std::int64_t epoch() const override { return log_.epoch(); }
  std::int32_t partitions() const override { return log_.partitions(); }
  Result<TopicSpan> span(std::string_view topic, std::int32_t partition) const override {
    return log_.span(topic, partition);
  }
  Result<std::int64_t> committed(std::int32_t partition) const override { return log_.committed(partition); }
  Result<std::unique_ptr<Appender>> appender(std::string_view topic) override { return log_.appender(topic); }
  Result<std::unique_ptr<Task>> task() override { return log_.task(); }
  Result<std::unique_ptr<Reader>> reader(std::string_view topic, std::string_view name, Share share) override {
    if (topic == topic::trades && --first_ < 0) log_.trim(topic, partition_, gone_ += each_);
    return log_.reader(topic, name, share);
  }

 private:
  MemoryLog& log_;
  const std::int32_t partition_;
  const std::int64_t each_;
  int first_;
  std::int64_t gone_ = 0;
};

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

  Result<AuditReport> try_audit(AuditOptions options = {}) { return try_audit(log_, std::move(options)); }
  Result<AuditReport> try_audit(Log& log, AuditOptions options = {}) {
    options.numbers = [](std::string_view venue) { return venue == "binance"; };
    const auto snapshot = open_sqlite_history(file())->snapshot();
    if (!snapshot) return tl::unexpected{snapshot.error()};
    return audit(log, **snapshot, options);
  }
  AuditReport audited(AuditOptions options = {}) {
    auto report = try_audit(std::move(options));
    EXPECT_TRUE(report) << report.error().detail;
    return report ? *report : AuditReport{};
  }
  // "INSTRUMENT DAY: VERDICT", then what belongs to no day.
  std::vector<std::string> verdicts(AuditOptions options = {}) { return verdicts(audited(std::move(options))); }
  static std::vector<std::string> verdicts(const AuditReport& report) {
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

inline const std::vector<std::string> kSound{"binance:BTCUSDT 08-08: proved", "binance:BTCUSDT 08-09: proved",
                                             "kucoin:KCS-USDT 08-08: no ids"};

}  // namespace truetape::audit_testing
