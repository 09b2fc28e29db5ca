// What is told of a candle: results as process commits them into a log in memory, loaded into SQLite.
#include "batch/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <filesystem>
#include <map>

#include "codec/keys.h"
#include "codec/wire.h"
#include "core/clock.h"
#include "log/memory/memory_log.h"
#include "roles/load.h"
#include "stores/sqlite/sqlite_store.h"

namespace truetape {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Standing = Explanation::Standing;

Timestamp at(std::string_view text) { return *parse_rfc3339(text); }
Decimal decimal(std::string_view text) { return parse_decimal(text).value; }
Instrument btc() { return *Instrument::parse("binance:BTCUSDT"); }
const Timestamp kNoon = at("2024-08-08T12:00:00Z");
const std::string kFile = "0123456789abcdef0123456789abcdef01234567";  // as trades name it: 40 of the hash's digits

// What results a step of process gives.
struct Results {
  std::vector<Trade> trades = {};
  std::vector<Candle> candles = {};
  std::vector<Gap> gaps = {};
  std::vector<Progress> progress = {};
};

Trade trade(std::uint64_t id, Timestamp time, std::optional<Timestamp> received = std::nullopt,
            std::string_view source = "session1") {
  Trade t;
  t.instrument = btc();
  t.order = t.first_id = t.last_id = id;
  t.id = Text<40>::cut(std::to_string(id));
  t.event_time = time;
  t.receive_time = received;
  t.price = decimal("100");
  t.quantity = decimal("1");
  t.taker_side = Side::buy;
  t.source = Text<40>::cut(source);
  t.seq = id;
  return t;
}

// Of `trades` trades at 100, one unit each, the first with the id `first`.
Candle candle(Interval interval, Timestamp start, std::uint64_t first, std::uint64_t trades, std::uint64_t revision,
              CandleStatus status = CandleStatus::closed) {
  Candle c;
  c.instrument = btc();
  c.interval = interval;
  c.start = start;
  c.status = status;
  c.completeness = status == CandleStatus::open ? Completeness::none
                   : trades == 0                ? Completeness::quiet
                                                : Completeness::complete;
  c.proof = status == CandleStatus::open ? Proof::none : Proof::ids;
  if (status != CandleStatus::open) c.missing = 0;
  c.revision = revision;
  c.epoch = 1'700'000'000;
  c.open = c.high = c.low = c.close = decimal("100");
  c.volume = to_amount(Decimal::of(static_cast<std::int64_t>(trades), 0).value());
  c.trades = trades;
  if (trades > 0) {
    c.first_id = first;
    c.last_id = first + trades - 1;
  }
  return c;
}

Gap hole(std::uint64_t first, std::uint64_t last, Timestamp from, Timestamp to, GapState state, std::uint64_t missing,
         std::uint64_t revision) {
  Gap g;
  g.instrument = btc();
  g.first_id = first;
  g.last_id = last;
  g.missing = missing;
  g.from = from;
  g.to = to;
  g.state = state;
  g.epoch = 1'700'000'000;
  g.revision = revision;
  return g;
}

Progress progress(Timestamp frontier, std::optional<Timestamp> sealed, std::uint64_t revision) {
  Progress p;
  p.instrument = btc();
  p.frontier = frontier;
  p.closed_until = p.proven_until = frontier;
  p.sealed_until = sealed;
  p.epoch = 1'700'000'000;
  p.revision = revision;
  return p;
}

// Searches a log by its readers; the test tells when what was appended.
class MemorySearch final : public LogSearch {
 public:
  explicit MemorySearch(Log& log) : log_{log} {}

  void appended(std::string_view topic, std::int64_t first, std::int64_t end, Timestamp time) {
    for (; first < end; ++first) times_[{std::string{topic}, first}] = time;
  }
  std::optional<Timestamp> time(std::string_view topic, std::int64_t offset) const {
    const auto found = times_.find({std::string{topic}, offset});
    return found == times_.end() ? std::nullopt : std::optional{found->second};
  }

  // A record counts as one byte.
  Result<std::int64_t> find(std::string_view topic, std::int32_t partition, std::int64_t from, std::int64_t to,
                            const Wanted& wanted, const Found& found, SearchAllowance& allowance) const override {
    if (topic == topic::candles) searched.emplace_back(from, to);
    if (from >= to) return to;
    auto reader = log_.reader(topic, "", Share::all);
    if (!reader) return tl::unexpected{reader.error()};
    if (const auto assigned = (*reader)->poll(0ms); !assigned) return tl::unexpected{assigned.error()};
    if (Status at = (*reader)->seek(partition, from); !at) return tl::unexpected{at.error()};
    for (;;) {
      const auto step = (*reader)->poll(0ms);
      if (!step) return tl::unexpected{step.error()};
      if (step->records.empty()) return to;
      for (const Stored& stored : step->records) {
        if (stored.offset >= to) return to;
        if (allowance.spent()) return stored.offset;
        --allowance.bytes;
        const bool is = stored.record.key.find(wanted.has) != std::string_view::npos && wanted.is(stored.record.key);
        if (is && !found(stored, time(topic, stored.offset))) return stored.offset + 1;
      }
    }
  }
  Result<std::optional<std::int64_t>> appended_from(std::string_view topic, std::int32_t partition,
                                                    Timestamp when) const override {
    const auto span = log_.span(topic, partition);
    if (!span) return tl::unexpected{span.error()};
    std::int64_t offset = span->oldest;
    while (offset < span->end && time(topic, offset) && *time(topic, offset) < when) ++offset;
    return std::optional{offset};
  }

  mutable std::vector<std::pair<std::int64_t, std::int64_t>> searched;  // of topic candles

 private:
  Log& log_;
  std::map<std::pair<std::string, std::int64_t>, Timestamp> times_;
};

class ExplainTest : public testing::Test {
 protected:
  ExplainTest() {
    std::string name = (std::filesystem::temp_directory_path() / "truetape-explain-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
    history_ = open_sqlite_history(directory_ / "store.db");
  }
  ~ExplainTest() override { std::filesystem::remove_all(directory_); }

  // As process does, at that time of our clock.
  void commit(Timestamp now, const Results& results) {
    if (!task_) {
      task_ = std::move(*log_.task());
      raw_ = std::move(*log_.appender(topic::raw));
    }
    ASSERT_TRUE(raw_->append(0, {"key", "frame", {}}));
    ASSERT_TRUE(*raw_->flush(5s));
    for (int tries = 0; tries < 100; ++tries)
      if (!task_->poll(10ms)->records.empty()) break;
    std::deque<std::pair<std::string, std::string>> texts;
    std::vector<Output> outputs;
    const std::int32_t partition = partition_of(btc(), log_.partitions());
    std::map<std::string_view, std::int64_t> before;
    const auto put = [&](std::string_view topic, const auto& rows) {
      before[topic] = log_.span(topic, partition)->end;
      for (const auto& row : rows) {
        auto& [key, value] = texts.emplace_back();
        put_key(row, key);
        wire::encode(row, value);
        outputs.push_back({topic, partition, {key, value, {}}});
      }
    };
    put(topic::trades, results.trades);
    put(topic::candles, results.candles);
    put(topic::gaps, results.gaps);
    put(topic::progress, results.progress);
    const Status done = task_->commit(outputs, {});
    ASSERT_TRUE(done) << done.error().detail;
    for (const auto& [topic, first] : before) search_.appended(topic, first, log_.span(topic, partition)->end, now);
  }
  // Everything in the log is in the store.
  void load() {
    SqliteOptions options;
    options.log_id = log_.id();
    if (!load_) load_ = std::move(*LoadRole::open(log_, make_sqlite_sink(directory_ / "store.db", options), clock_));
    for (;;) {
      ASSERT_TRUE(load_->step(0ms));
      ASSERT_TRUE(load_->flush());
      const auto lag = load_->lag();
      if (*lag && **lag == 0) return;
    }
  }

  ExplainParts parts() const {
    ExplainParts out{.log = log_, .search = search_, .history = *history_, .store = "SQLite"};
    out.rules.intervals = {1s, 60s, 300s};
    out.limits = limits_;
    return out;
  }
  Explanation told(Timestamp start, Interval interval = 60s) const {
    auto out = explain(parts(), {.instrument = btc(), .interval = interval, .start = start});
    EXPECT_TRUE(out) << out.error().detail;
    return out ? std::move(*out) : Explanation{};
  }
  Error refused(const ExplainQuestion& question) const {
    const auto out = explain(parts(), question);
    EXPECT_FALSE(out);
    return out ? Error{} : out.error();
  }
  static std::vector<std::string> causes(const Explanation& of) {
    std::vector<std::string> out;
    for (const auto& one : of.revisions) out.push_back(std::to_string(one.row.revision) + " " + one.cause);
    return out;
  }

  std::filesystem::path directory_;
  MemoryLog log_;
  MemorySearch search_{log_};
  std::unique_ptr<Task> task_;
  std::unique_ptr<Appender> raw_;
  std::unique_ptr<History> history_;
  ManualClock clock_{kNoon};
  std::unique_ptr<LoadRole> load_;
  ExplainLimits limits_;
};

// Three trades, one before the minute and one past its end, live.
TEST_F(ExplainTest, ACompleteCandleByIds) {
  commit(kNoon, {.trades = {trade(100, kNoon - 5s, kNoon - 5s)}});
  commit(kNoon + 10s, {.trades = {trade(101, kNoon + 10s, kNoon + 10s)}});
  commit(kNoon + 20s, {.trades = {trade(102, kNoon + 20s, kNoon + 20s), trade(103, kNoon + 21s, kNoon + 21s)}});
  commit(kNoon + 61s, {.trades = {trade(104, kNoon + 60s, kNoon + 61s)},
                       .candles = {candle(60s, kNoon, 101, 3, 4)},
                       .progress = {progress(kNoon + 60s, std::nullopt, 1)}});
  load();
  const Explanation of = told(kNoon);
  EXPECT_EQ(to_text(of), R"(binance:BTCUSDT 1m, 2024-08-08T12:00:00Z to 2024-08-08T12:01:00Z, tape trade
Complete: every trade of the window is in the row.

row        open 100, high 100, low 100, close 100, volume 3
           closed, complete, proof ids, revision 4
because    rule 2: one run of ids without a hole begins before the window and reaches to its end or beyond (of all its windows of 1s together)
trades     3: first id 101 at 2024-08-08T12:00:10Z, last id 103 at 2024-08-08T12:00:21Z
           3 by the stream (session session1), received 2024-08-08T12:00:10Z to 2024-08-08T12:00:21Z
edges      before: id 100 at 2024-08-08T11:59:55Z
           after:  id 104 at 2024-08-08T12:01:00Z
           all 3 ids between them are trades here
holes      none touches it
revisions  4: a trade past its end came (the first there is id 104 at 2024-08-08T12:01:00Z), and the ids from before its start to there follow each other
              closed, complete, proof ids, revision 4; offset 0, appended 2024-08-08T12:01:01Z
store      SQLite: revision 4, the log's last one
above      5m: open, revision 4, rolled up now
progress   evidence until 2024-08-08T12:01:00Z; closed until 2024-08-08T12:01:00Z, proven until 2024-08-08T12:01:00Z, sealed until nothing yet
looked     topic candles, partition 1: offsets 0 to 0 were looked through
)");
}

TEST_F(ExplainTest, OpenRowsThenTheTradePastTheEnd) {
  commit(kNoon, {.trades = {trade(100, kNoon - 5s, kNoon - 5s)}});
  for (std::uint64_t i = 1; i <= 6; ++i)
    commit(kNoon + i * 100ms, {.trades = {trade(100 + i, kNoon + i * 100ms, kNoon + i * 100ms)},
                               .candles = {candle(1s, kNoon, 101, i, i, CandleStatus::open)}});
  commit(kNoon + 1s, {.trades = {trade(107, kNoon + 1s, kNoon + 1s)}, .candles = {candle(1s, kNoon, 101, 6, 7)}});
  load();
  const Explanation of = told(kNoon, 1s);
  EXPECT_THAT(causes(of),
              ElementsAre("1 first_trade", "2 trades", "3 trades", "4 trades", "5 trades", "6 trades", "7 past_end"));
  EXPECT_EQ(of.revisions[0].why, "the first trade came, id 101");
  EXPECT_EQ(of.revisions[1].why, "1 more trade");
  EXPECT_THAT(of.revisions[1].changes, ElementsAre("volume 1 → 2", "trades 1 → 2", "last_id 101 → 102"));
  EXPECT_EQ(of.revisions[6].why,
            "closed: a trade past its end came (the first there is id 107 at 2024-08-08T12:00:01Z), and the ids from "
            "before its start to there follow each other");
  EXPECT_THAT(of.revisions[6].changes,
              ElementsAre("status open → closed", "completeness – → complete", "proof – → ids", "missing – → 0"));
  // As text a run of such rows is one line.
  EXPECT_THAT(to_text(of), HasSubstr("  … 4 open rows with more trades, offsets 1 to 4\n           6: 1 more trade\n"));
}

// A hole of five ids opens, a file fills it an hour later.
TEST_F(ExplainTest, AGapThatAFileRepairs) {
  const Timestamp later = kNoon + 1h;
  Candle gap = candle(60s, kNoon, 101, 2, 3);
  gap.completeness = Completeness::gap;
  gap.missing = 5;
  Candle whole = candle(60s, kNoon, 101, 7, 9, CandleStatus::corrected);
  whole.repaired = true;
  commit(kNoon, {.trades = {trade(100, kNoon - 5s, kNoon - 5s), trade(101, kNoon + 10s, kNoon + 10s)}});
  commit(kNoon + 61s, {.trades = {trade(107, kNoon + 50s, kNoon + 50s), trade(108, kNoon + 60s, kNoon + 61s)},
                       .candles = {gap},
                       .gaps = {hole(102, 106, kNoon + 10s, kNoon + 50s, GapState::open, 5, 1)},
                       .progress = {progress(kNoon + 60s, std::nullopt, 1)}});
  load();
  {
    const Explanation of = told(kNoon);
    EXPECT_EQ(of.says, "Gap: at most 5 trades are missing.");
    EXPECT_EQ(
        of.rule,
        "rule 3: between two trades that are known ids are missing, and they may belong to the window (of all its "
        "windows of 1s together)");
    EXPECT_THAT(causes(of), ElementsAre("3 hole_opened"));
    EXPECT_EQ(of.revisions[0].why, "evidence passed its end while the hole of ids 102 to 106 touched it");
    EXPECT_FALSE(of.edges.contiguous());
    EXPECT_THAT(to_text(of), HasSubstr("5 of the 7 ids between them are no trades here"));
    EXPECT_THAT(to_text(of),
                HasSubstr("holes      ids 102 to 106, open, reason missing_ids, 5 missing, from "
                          "2024-08-08T12:00:10Z to 2024-08-08T12:00:50Z\n             open, 5 missing: gaps "
                          "offset 0, appended 2024-08-08T12:01:01Z\n"));
  }
  Results filled{.candles = {whole}, .gaps = {hole(102, 106, kNoon + 10s, kNoon + 50s, GapState::repaired, 0, 2)}};
  for (std::uint64_t id = 102; id <= 106; ++id)
    filled.trades.push_back(trade(id, kNoon + 10s + (id - 101) * 1s, std::nullopt, kFile));
  commit(later, filled);
  const Explanation behind = told(kNoon);  // process has it, load not yet
  EXPECT_EQ(behind.stores[0].verdict, "behind");
  EXPECT_EQ(behind.stores[0].says, "revision 3; the log's revision 9, offset 1, is not loaded yet");
  EXPECT_EQ(behind.row->revision, 9U);
  EXPECT_TRUE(behind.trades.behind);
  EXPECT_EQ(
      behind.says,
      "Complete: every trade of the window is in the row. A gap that touched it has ended since. The row counts 7 "
      "trades, the store has 2 so far: not all trades of the log are loaded yet.");
  load();
  const Explanation of = told(kNoon);
  EXPECT_EQ(of.says, "Complete: every trade of the window is in the row. A gap that touched it has ended since.");
  EXPECT_THAT(causes(of), ElementsAre("3 hole_opened", "9 repaired"));
  EXPECT_EQ(of.revisions[0].why, "evidence passed its end while the hole of ids 102 to 106 touched it");
  EXPECT_EQ(of.revisions[1].why, "the hole of ids 102 to 106 ended, repaired by the file with SHA-256 " + kFile +
                                     "…: 5 more trades of this window");
  EXPECT_THAT(of.revisions[1].changes,
              ElementsAre("volume 2 → 7", "trades 2 → 7", "last_id 102 → 107", "status closed → corrected",
                          "completeness gap → complete", "repaired false → true", "missing 5 → 0"));
  ASSERT_EQ(of.holes.size(), 1U);
  EXPECT_EQ(of.holes[0].row.state, GapState::repaired);
  EXPECT_EQ(of.holes[0].came, 5U);
  EXPECT_EQ(of.holes[0].history.size(), 2U);
  ASSERT_EQ(of.trades.sources.size(), 2U);
  EXPECT_EQ(of.trades.sources[0].way, Explanation::Source::Way::stream);
  EXPECT_EQ(of.trades.sources[0].trades, 2U);
  EXPECT_EQ(of.trades.sources[1].way, Explanation::Source::Way::file);
  EXPECT_EQ(of.trades.sources[1].trades, 5U);
  EXPECT_EQ(of.stores[0].verdict, "same");
}

TEST_F(ExplainTest, QuietWindowsWithARowAndWithout) {
  commit(kNoon, {.trades = {trade(100, kNoon - 5s, kNoon - 5s)}});
  commit(kNoon + 121s, {.trades = {trade(101, kNoon + 120s, kNoon + 121s)},
                        .candles = {candle(60s, kNoon, 0, 0, 1), candle(60s, kNoon + 60s, 0, 0, 1)},
                        .progress = {progress(kNoon + 120s, std::nullopt, 1)}});
  load();
  const Explanation minute = told(kNoon + 60s);
  EXPECT_EQ(minute.says, "Quiet: no trade happened in the window.");
  EXPECT_THAT(causes(minute), ElementsAre("1 past_end"));
  EXPECT_EQ(minute.revisions[0].why,
            "made without a trade: a trade past its end came (the first there is id 101 at 2024-08-08T12:02:00Z), and "
            "the ids from before its start to there follow each other");
  EXPECT_THAT(to_text(minute), HasSubstr("they follow each other\n"));
  const Explanation second = told(kNoon + 60s, 1s);
  EXPECT_EQ(second.standing, Standing::quiet);
  EXPECT_EQ(second.says,
            "No row: no trade happened in the window. The trades around it, id 100 at 2024-08-08T11:59:55Z, and id 101 "
            "at 2024-08-08T12:02:00Z, follow each other by their ids. Windows without a trade have rows from 1m on, at "
            "most 1440 in a row.");
  EXPECT_THAT(second.revisions, IsEmpty());
  EXPECT_EQ(second.stores[0].verdict, "none");
}

TEST_F(ExplainTest, AWindowProvedBySessions) {
  Candle c = candle(60s, kNoon, 101, 1, 2);
  c.proof = Proof::session;
  commit(kNoon, {.trades = {trade(100, kNoon - 5s, kNoon - 5s), trade(101, kNoon + 10s, kNoon + 10s)}});
  commit(kNoon + 62s, {.candles = {c}, .progress = {progress(kNoon + 62s, std::nullopt, 1)}});
  load();
  const Explanation open_end = told(kNoon);
  EXPECT_EQ(open_end.rule,
            "rule 5: behind the last id known then, sessions cover the rest of the window without a break; a later id "
            "may still show that its end was lost (of all its windows of 1s together)");
  EXPECT_THAT(causes(open_end), ElementsAre("2 witness"));
  EXPECT_EQ(open_end.revisions[0].why, "a session's evidence passed its end, and sessions cover it without a break");
  commit(kNoon + 90s, {.trades = {trade(102, kNoon + 90s, kNoon + 90s)}});
  load();
  EXPECT_THAT(told(kNoon).rule, HasSubstr("by now the ids around it show it as well (rule 2)"));
}

TEST_F(ExplainTest, ATailThatWasLostAfterSessionsHadProvedTheWindow) {
  Candle proved = candle(60s, kNoon, 101, 1, 2), gap = candle(60s, kNoon, 101, 1, 3, CandleStatus::corrected);
  proved.proof = Proof::session;
  gap.completeness = Completeness::gap;
  gap.missing = 3;
  commit(kNoon, {.trades = {trade(100, kNoon - 5s, kNoon - 5s), trade(101, kNoon + 10s, kNoon + 10s)}});
  commit(kNoon + 62s, {.candles = {proved}});
  commit(kNoon + 90s, {.trades = {trade(105, kNoon + 90s, kNoon + 90s)},
                       .candles = {gap},
                       .gaps = {hole(102, 104, kNoon + 10s, kNoon + 90s, GapState::open, 3, 1)}});
  load();
  const Explanation of = told(kNoon);
  EXPECT_THAT(causes(of), ElementsAre("2 witness", "3 hole_opened"));
  EXPECT_EQ(of.revisions[1].why, "a later id showed that trades are missing: the hole of ids 102 to 104 opened");
}

TEST_F(ExplainTest, PartialUntilEarlierTradesCome) {
  Candle partial = candle(60s, kNoon, 101, 1, 2), whole = candle(60s, kNoon, 100, 2, 3, CandleStatus::corrected);
  partial.completeness = Completeness::partial;
  partial.proof = Proof::none;
  partial.missing.reset();
  commit(kNoon + 61s, {.trades = {trade(101, kNoon + 10s, kNoon + 10s), trade(102, kNoon + 60s, kNoon + 60s)},
                       .candles = {partial}});
  load();
  EXPECT_EQ(told(kNoon).says, "Partial: what is known begins inside the window.");
  EXPECT_EQ(
      told(kNoon).rule,
      "rule 4: the ids known first lie inside the window, and no declaration says that there were none before (of "
      "all its windows of 1s together)");
  EXPECT_EQ(told(kNoon).revisions[0].why,
            "evidence passed its end; what is known begins inside it, with id 101 at 2024-08-08T12:00:10Z");
  EXPECT_EQ(told(kNoon - 60s).standing, Standing::before);
  EXPECT_EQ(told(kNoon - 60s).says,
            "No row: the window ends before all that is known, which begins with id 101 at 2024-08-08T12:00:10Z.");
  commit(kNoon + 1h,
         {.trades = {trade(99, kNoon - 1s, std::nullopt, kFile), trade(100, kNoon + 1s, std::nullopt, kFile)},
          .candles = {whole}});
  load();
  EXPECT_THAT(causes(told(kNoon)), ElementsAre("2 knowledge_begins", "3 known_earlier"));
  EXPECT_EQ(told(kNoon).revisions[1].why, "1 more trade came: what is known no longer begins inside it");
}

TEST_F(ExplainTest, LateTradesAreNamedAndNotCounted) {
  Trade late = trade(103, kNoon + 30s, std::nullopt, kFile);
  late.marks = 1U << static_cast<unsigned>(Mark::late);
  commit(kNoon, {.trades = {trade(100, kNoon - 5s, kNoon - 5s), trade(101, kNoon + 10s, kNoon + 10s),
                            trade(104, kNoon + 60s, kNoon + 60s)},
                 .candles = {candle(60s, kNoon, 101, 1, 2)}});
  load();
  commit(kNoon + 2h, {.trades = {late}});
  load();
  const Explanation of = told(kNoon);
  EXPECT_EQ(of.trades.late, 1U);
  EXPECT_EQ(
      of.says,
      "The row says complete, and is not: sealed rows are not made anew. 1 trade came after the window was sealed: the "
      "row leaves it out.");
  EXPECT_THAT(to_text(of), HasSubstr("           1 by the file with SHA-256 " + kFile + "…, 1 of them late\n"));
}

// The tail of a quiet minute, which a session had proved, came after it was sealed: the ids now show the opposite.
TEST_F(ExplainTest, AQuietRowWhoseTradesCameLate) {
  Trade late = trade(101, kNoon + 30s, std::nullopt, kFile);
  late.marks = 1U << static_cast<unsigned>(Mark::late);
  Candle quiet = candle(60s, kNoon, 0, 0, 1);
  quiet.proof = Proof::session;
  commit(kNoon, {.trades = {trade(100, kNoon - 5s, kNoon - 5s)}});
  commit(kNoon + 70s, {.trades = {trade(102, kNoon + 61s, kNoon + 70s)}, .candles = {quiet}});
  commit(kNoon + 2h, {.trades = {late}});
  load();
  const Explanation of = told(kNoon);
  EXPECT_TRUE(of.edges.contiguous());
  EXPECT_EQ(
      of.says,
      "The row says quiet, and is not: sealed rows are not made anew. 1 trade came after the window was sealed: the "
      "row leaves it out.");
  EXPECT_THAT(of.rule, HasSubstr("; a later id may still show that its end was lost"));
  // A second without a row: nothing is lost that audit would find.
  const Explanation second = told(kNoon + 30s, 1s);
  EXPECT_EQ(second.standing, Standing::late);
  EXPECT_EQ(second.says,
            "No row: the window was sealed without a trade, and 1 trade came too late to make one. It is in the store, "
            "marked late; truetape rebuild makes rows anew, as long as the log has what came.");
  EXPECT_THAT(to_json(second), HasSubstr("\"standing\":\"late\""));
}

TEST_F(ExplainTest, TradesThatCandlesDoNotCountMakeNoRow) {
  Trade forced = trade(101, kNoon + 30s, kNoon + 30s);
  forced.kind = Text<20>::cut("ADL");
  commit(kNoon, {.trades = {trade(100, kNoon - 5s, kNoon - 5s), forced, trade(102, kNoon + 61s, kNoon + 61s)}});
  load();
  const Explanation of = told(kNoon + 30s, 1s);
  EXPECT_EQ(of.standing, Standing::quiet);
  EXPECT_THAT(of.says, HasSubstr("No row: no trade that candles count happened in the window."));
}

// Of two connections one lags by a minute, and it was the one that gave the trade before the window.
TEST_F(ExplainTest, TheTradeBeforeTheWindowCameAfterIt) {
  commit(kNoon + 10s, {.trades = {trade(101, kNoon + 10s, kNoon + 10s)},
                       .candles = {candle(60s, kNoon, 101, 1, 1, CandleStatus::open)}});
  commit(kNoon + 50s, {.trades = {trade(100, kNoon - 5s, kNoon + 50s)}});
  commit(kNoon + 61s, {.trades = {trade(102, kNoon + 60s, kNoon + 61s)}, .candles = {candle(60s, kNoon, 101, 1, 2)}});
  load();
  EXPECT_THAT(causes(told(kNoon)), ElementsAre("1 first_trade", "2 past_end"));
}

TEST_F(ExplainTest, InsideAHoleAndAfterAll) {
  commit(kNoon, {.trades = {trade(100, kNoon - 5s, kNoon - 5s)}});
  commit(kNoon + 10min, {.trades = {trade(200, kNoon + 10min, kNoon + 10min)},
                         .gaps = {hole(101, 199, kNoon - 5s, kNoon + 10min, GapState::open, 99, 1)},
                         .progress = {progress(kNoon + 10min, std::nullopt, 1)}});
  load();
  EXPECT_EQ(told(kNoon + 5min).standing, Standing::hole);
  EXPECT_EQ(
      told(kNoon + 5min).says,
      "No row: the window lies inside a hole, ids 101 to 199, which is open. It gets its row when trades come that "
      "fill it; import a file that has them.");
  EXPECT_EQ(told(kNoon + 1h).standing, Standing::after);
  EXPECT_EQ(
      told(kNoon + 1h).says,
      "No row: nothing has come of the window yet. The newest trade is id 200 at 2024-08-08T12:10:00Z, evidence has "
      "come up to 2024-08-08T12:10:00Z.");
}

// Of a long log nothing is looked through that was appended before the window began, and no more than is allowed.
TEST_F(ExplainTest, TheSearchIsBounded) {
  const auto fill = [&](bool streamed) {
    for (int minute = 0; minute < 500; ++minute) {
      const Timestamp start = kNoon + (streamed ? 0min : 1000min) + minute * 1min, now = start + 61s;
      const auto id = static_cast<std::uint64_t>(minute) + (streamed ? 1 : 501);
      commit(now, {.trades = {trade(id, start, streamed ? std::optional{now} : std::nullopt)},
                   .candles = {candle(60s, start, id, 1, 2)},
                   .progress = {progress(start, start - 10min, id)}});
    }
    load();
  };
  fill(true);
  // The trade before it was received at 16:10:01, by which our clock is known.
  const Timestamp start = kNoon + 250min;
  Explanation of = told(start);
  EXPECT_THAT(causes(of), ElementsAre("2 past_end"));
  EXPECT_EQ(of.looked.says,
            "topic candles, partition 1: offsets 249 to 499 were looked through; what lies before was appended before "
            "the window began");
  EXPECT_FALSE(of.looked.cut);
  // Once the store's row was found, a little more is.
  limits_.behind = 10;
  of = told(start);
  EXPECT_THAT(causes(of), ElementsAre("2 past_end"));
  EXPECT_EQ(of.looked.says,
            "topic candles, partition 1: offsets 249 to 260 were looked through; what lies before was appended before "
            "the window began; the rest was not (truetape explain --whole does): the store has loaded it, and has no "
            "later row");
  EXPECT_THAT(to_json(of), HasSubstr("\"ranges\":[{\"from\":249,\"to\":261}],\"cut\":true"));
  EXPECT_EQ(of.stores[0].verdict, "same");
  // What is not loaded yet is looked through first.
  commit(kNoon + 900min, {.candles = {candle(60s, start, 251, 1, 3, CandleStatus::corrected)}});
  of = told(start);
  EXPECT_EQ(of.revisions.size(), 2U);
  EXPECT_EQ(of.stores[0].verdict, "behind");
  EXPECT_THAT(of.looked.says, HasSubstr("offsets 249 to 260 and 500 to 500 were looked through"));
  load();
  EXPECT_EQ(told(start).revisions.size(), 2U);  // the store's row is not the one found first
  EXPECT_EQ(told(start).stores[0].verdict, "same");
  // Less than is needed: it is said.
  limits_.bytes = 100;
  of = told(start);
  EXPECT_THAT(causes(of), ElementsAre("2 past_end"));
  EXPECT_EQ(of.stores[0].verdict, "not found");
  EXPECT_EQ(of.stores[0].says, "revision 3, which is not in what was looked through of the log");
  EXPECT_TRUE(of.looked.cut);
  EXPECT_EQ(of.row->revision, 3U);
  // Our clock was more wrong than is allowed for, and the store's row is not where it should be: then all is.
  limits_ = {};
  search_.appended(topic::candles, 249, 300, kNoon);
  of = told(kNoon + 260min);
  EXPECT_THAT(causes(of), ElementsAre("2 past_end"));
  EXPECT_EQ(of.stores[0].verdict, "same");
  EXPECT_EQ(of.looked.from, 0);
  EXPECT_EQ(of.looked.says, "topic candles, partition 1: offsets 0 to 500 were looked through");
}

// Imported history has no times that bound the search: it begins where the neighbours' rows stand, and is the same
// after a restore, which makes the log's epoch another than its rows'.
TEST_F(ExplainTest, InALongImportTheSearchBeginsNearTheWindow) {
  Results results;
  for (std::uint64_t i = 0; i < 4000; ++i) {
    const Timestamp start = kNoon + i * 60s;
    results.trades.push_back(trade(i + 1, start, std::nullopt, kFile));
    results.candles.push_back(candle(60s, start, i + 1, 1, 2));
    if (results.candles.size() == 500) {
      commit(kNoon + 24h * 365, results);
      results = {};
    }
  }
  load();
  limits_ = {.bytes = 400, .behind = 50, .near = 160};
  for (const int minute : {0, 1, 700, 2000, 3333, 3999}) {
    const Explanation of = told(kNoon + minute * 1min);
    EXPECT_EQ(causes(of).size(), 1U) << minute;
    EXPECT_EQ(of.stores[0].verdict, "same") << minute;
    EXPECT_TRUE(of.looked.has_stored);
    EXPECT_TRUE(of.looked.cut);
    std::int64_t looked = 0;
    for (const auto& range : of.looked.ranges) looked += range.to - range.from;
    EXPECT_LT(looked, 250) << minute;
  }
  limits_ = ExplainLimits::none();
  const Explanation all = told(kNoon + 700min);
  EXPECT_THAT(all.looked.ranges, ElementsAre(Explanation::Looked::Range{0, 4000}));
  EXPECT_FALSE(all.looked.cut);
}

TEST_F(ExplainTest, ALogWhoseBeginningIsDeleted) {
  commit(kNoon, {.trades = {trade(100, kNoon - 5s, kNoon - 5s), trade(101, kNoon + 10s, kNoon + 10s),
                            trade(102, kNoon + 60s, kNoon + 60s)},
                 .candles = {candle(60s, kNoon, 101, 1, 2), candle(60s, kNoon + 60s, 102, 1, 1)}});
  commit(kNoon + 1h, {.candles = {candle(60s, kNoon + 60s, 102, 1, 4, CandleStatus::corrected)}});
  load();
  const std::int32_t partition = partition_of(btc(), log_.partitions());
  log_.trim(topic::candles, partition, 2);
  Explanation of = told(kNoon);
  EXPECT_EQ(of.says, "Complete: every trade of the window is in the row.");
  EXPECT_THAT(of.revisions, IsEmpty());
  EXPECT_EQ(of.stores[0].verdict, "only here");
  EXPECT_EQ(of.stores[0].says, "revision 2; the log, whose records before offset 2 are deleted, has none any more");
  EXPECT_EQ(of.looked.says,
            "topic candles, partition 1: offsets 2 to 2 were looked through; records before offset 2 were deleted (by "
            "retention, or a rebuild), with older revisions if there were any");
  of = told(kNoon + 60s);
  EXPECT_EQ(of.stores[0].verdict, "same");
  EXPECT_THAT(causes(of), ElementsAre("4 other"));
  EXPECT_EQ(of.revisions[0].why, "a correction; what was said before is deleted from the log");
}

TEST_F(ExplainTest, AStoreThatIsNotAsTheLog) {
  commit(kNoon, {.trades = {trade(100, kNoon - 5s, kNoon - 5s), trade(101, kNoon + 10s, kNoon + 10s),
                            trade(102, kNoon + 60s, kNoon + 60s)},
                 .candles = {candle(60s, kNoon, 101, 1, 2)}});
  commit(kNoon + 1h, {.candles = {candle(60s, kNoon, 101, 1, 5, CandleStatus::corrected)}});
  load();
  EXPECT_EQ(told(kNoon).stores[0].says, "revision 5, the log's last one");
  const auto damage = [&](const std::string& sql) {
    load_.reset();
    history_.reset();
    const std::string command =
        "python3 -c \"import sqlite3,sys; db=sqlite3.connect(sys.argv[1]); db.execute(sys.argv[2]); "
        "db.commit()\" " +
        (directory_ / "store.db").string() + " \"" + sql + "\"";
    ASSERT_EQ(std::system(command.c_str()), 0);
    history_ = open_sqlite_history(directory_ / "store.db");
  };
  damage("UPDATE candles SET close = close + 1");
  EXPECT_EQ(told(kNoon).stores[0].verdict, "differs");
  EXPECT_EQ(told(kNoon).stores[0].says,
            "revision 5 as the log's last one, with other content: truetape audit tells what else is wrong");
  damage("UPDATE candles SET revision = 2");
  EXPECT_EQ(told(kNoon).stores[0].verdict, "older");
  EXPECT_EQ(told(kNoon).stores[0].says,
            "revision 2, though revision 5, offset 1 of the log, was loaded: truetape audit tells what else is wrong");
  damage("UPDATE candles SET revision = 9");
  EXPECT_EQ(told(kNoon).stores[0].verdict, "newer");
  damage("DELETE FROM candles");
  EXPECT_EQ(told(kNoon).stores[0].verdict, "lost");
  EXPECT_EQ(told(kNoon).stores[0].says,
            "no row, though the log's last one, offset 1, was loaded: truetape audit tells what else is missing");
  damage("DELETE FROM trades WHERE trade_order = 101");
  EXPECT_THAT(told(kNoon).says, HasSubstr("The row counts 1 trade, the store has 0: truetape audit tells"));
}

TEST_F(ExplainTest, WhatCannotBeAnswered) {
  commit(kNoon, {.trades = {trade(100, kNoon, kNoon)}, .candles = {candle(60s, kNoon, 100, 1, 2)}});
  load();
  const Error interval = refused({.instrument = btc(), .interval = 120s, .start = kNoon});
  EXPECT_EQ(interval.fault, Fault::malformed);
  EXPECT_EQ(interval.detail, "interval: no candles of 2m are built here; there are 1s, 1m, 5m");
  const Error start = refused({.instrument = btc(), .interval = 60s, .start = kNoon + 12s});
  EXPECT_EQ(start.fault, Fault::malformed);
  EXPECT_EQ(
      start.detail,
      "start: no window of 1m begins at 2024-08-08T12:00:12Z; the nearest ones begin at 2024-08-08T12:00:00Z, which "
      "holds that time, and at 2024-08-08T12:01:00Z");
  const Error instrument =
      refused({.instrument = *Instrument::parse("binance:NOSUCH"), .interval = 60s, .start = kNoon});
  EXPECT_EQ(instrument.fault, Fault::not_found);
  EXPECT_EQ(instrument.detail, "instrument: nothing is known of binance:NOSUCH; there is binance:BTCUSDT");
}

}  // namespace
}  // namespace truetape
