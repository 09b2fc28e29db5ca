// The store in memory does what the SQLite store does: the same calls, the same answers, the same rows.
#include <gtest/gtest.h>

#include <filesystem>

#include "store.h"
#include "stores/sqlite/sqlite_store.h"

namespace truetape::simulation {
namespace {

class Directory {
 public:
  Directory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "truetape-simulation-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error{"no temporary directory"};
    path = pattern;
  }
  ~Directory() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

// Few keys, so that rows meet: same key with greater, smaller and equal order, with other content too.
struct FewRows {
  explicit FewRows(std::uint64_t seed) : random{seed} {}

  std::vector<Row> rows(std::string_view topic) {
    std::vector<Row> out;
    for (std::uint64_t n = random.below(6); n > 0; --n) out.push_back(row(topic));
    return out;
  }
  Row row(std::string_view topic) {
    const Instrument instrument = *Instrument::parse(random.one_in(2) ? "binance:BTCUSDT" : "binance:ETHUSDT");
    const auto ordered = [&](auto r) {
      r.instrument = instrument;
      r.tape = Tape::trade;
      r.epoch = 1'700'000'000 + random.between(0, 2);
      r.revision = random.below(4);
      return r;
    };
    if (topic == "trades") {
      Trade t;
      t.instrument = instrument;
      t.order = t.first_id = t.last_id = random.below(30);
      t.id = Text<40>::cut(std::to_string(t.order));
      t.event_time = timestamp_ns(1'700'000'000'000'000'000 + static_cast<std::int64_t>(t.order));
      t.price = *Decimal::of(100 + random.between(0, random.one_in(8) ? 1 : 0), 2);
      t.quantity = *Decimal::of(1, 0);
      t.seq = random.below(100);
      return t;
    }
    if (topic == "candles") {
      Candle c = ordered(Candle{});
      c.interval = Interval{60};
      c.start = timestamp_ns(1'700'000'040'000'000'000 + random.between(0, 5) * 60'000'000'000);
      c.status = static_cast<CandleStatus>(random.below(3));
      c.completeness = random.one_in(3) ? Completeness::partial : Completeness::complete;
      c.close = *Decimal::of(random.between(1, 3), 0);
      return c;
    }
    if (topic == "gaps") {
      Gap g = ordered(Gap{});
      g.first_id = random.below(8);
      g.missing = random.below(3);
      g.state = GapState::open;
      return g;
    }
    if (topic == "progress") {
      Progress p = ordered(Progress{});
      p.frontier = timestamp_ns(1'700'000'000'000'000'000 + random.between(0, 3));
      return p;
    }
    if (topic == "instruments") {
      Reference r;
      r.instrument = instrument;
      r.status = random.one_in(2) ? "TRADING" : "HALT";
      return r;
    }
    Quarantined q;
    q.offset = random.between(0, 10);
    q.instrument = *Instrument::parse(q.offset % 2 == 0 ? "binance:BTCUSDT" : "binance:ETHUSDT");
    q.detail = random.one_in(6) ? "b" : "a";
    q.rule_version = static_cast<std::uint32_t>(random.below(2));
    return q;
  }

  Random random;
};

TEST(MemoryStore, DoesWhatTheSqliteStoreDoes) {
  const std::vector<std::string> topics{"trades", "candles", "gaps", "progress", "instruments", "quarantine"};
  std::uint64_t refused = 0, contradictions = 0;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    const Directory directory;
    const auto file = directory.path / "store.db";
    Tables tables;
    FewRows few{seed};
    Random& random = few.random;
    std::string log = "log-1";
    std::unique_ptr<Sink> real, model, old_real, old_model;
    const auto open = [&](bool adopt) {
      old_real = std::move(real);
      old_model = std::move(model);
      real = make_sqlite_sink(file, {.log_id = log, .adopt = adopt});
      model = make_memory_sink(tables, log, adopt);
      ASSERT_TRUE(real->open());
      ASSERT_TRUE(model->open());
    };
    open(false);
    const auto same = [&](const auto& a, const auto& b, std::string_view what) {
      ASSERT_EQ(a.has_value(), b.has_value()) << seed << " " << what << (a ? b.error().detail : a.error().detail);
      if (a) return;
      ++refused;
      ASSERT_EQ(a.error().fault, b.error().fault) << seed << " " << what;
      ASSERT_EQ(a.error().retry, b.error().retry) << seed << " " << what;
    };
    std::map<std::string, std::int64_t> next;
    for (int i = 0; i < 150; ++i) {
      const std::string& topic = topics[random.below(topics.size())];
      const std::uint64_t what = random.below(20);
      if (what == 0) {
        const bool another = random.one_in(3);
        if (another) log += "x";
        open(another && !random.one_in(3));
      } else if (what < 5) {
        const auto a = real->claim(topic, 0), b = model->claim(topic, 0);
        same(a, b, "claim");
        if (a) {
          ASSERT_EQ(*a, *b) << seed;
          next[topic] = a->value_or(0);
        }
      } else {
        // Mostly what comes next, sometimes again what was, or too far; sometimes by one that was fenced off.
        const bool stale = old_real && random.one_in(12);
        const std::int64_t first =
            std::max<std::int64_t>(0, next[topic] + (random.one_in(4) ? random.between(-6, 2) : 0));
        const auto rows = few.rows(topic);
        const Batch batch{topic, 0, first, first + static_cast<std::int64_t>(rows.size()), rows};
        const auto a = (stale ? old_real : real)->write(batch), b = (stale ? old_model : model)->write(batch);
        same(a, b, "write");
        if (a && b) {
          ASSERT_EQ(*a, *b) << seed;
          next[topic] = std::max(next[topic], *a);
        }
      }
    }
    ASSERT_EQ(real->counts().written, model->counts().written) << seed;
    ASSERT_EQ(real->counts().unchanged, model->counts().unchanged) << seed;
    ASSERT_EQ(real->counts().contradictions, model->counts().contradictions) << seed;
    contradictions += model->counts().contradictions;
    const auto rows = read_rows(*open_sqlite_history(file), log);
    ASSERT_TRUE(rows) << rows.error().detail;
    EXPECT_TRUE(rows->trades == tables.rows.trades) << seed;
    EXPECT_TRUE(rows->candles == tables.rows.candles) << seed;
    EXPECT_TRUE(rows->gaps == tables.rows.gaps) << seed;
    EXPECT_TRUE(rows->progress == tables.rows.progress) << seed;
    EXPECT_TRUE(rows->references == tables.rows.references) << seed;
  }
  EXPECT_GT(refused, 20U);
  EXPECT_GT(contradictions, 10U);
}

}  // namespace
}  // namespace truetape::simulation
