// The live row of each instrument: what a sink keeps of quotes.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <random>

#include "codec/random_records.h"
#include "stores/conformance/sample_rows.h"
#include "stores/conformance/sink_conformance.h"

namespace truetape {

using namespace conformance;

namespace {

constexpr std::string_view kQuotes = "quotes";
constexpr std::optional<std::int64_t> kNone;
constexpr std::int64_t kSecond = 1'000'000'000;

// `price` tells one from another.
Quote quote(QuoteKind kind, std::optional<std::int64_t> event, std::optional<std::int64_t> receive, std::int64_t price,
            std::string_view of = "binance:BTCUSDT") {
  Quote q;
  q.instrument = instrument(of);
  q.kind = kind;
  if (event) q.event_time = timestamp_ns(*event);
  if (receive) q.receive_time = timestamp_ns(*receive);
  q.order = static_cast<std::uint64_t>(price) | (std::uint64_t{1} << 63);
  q.bid = Decimal::of(price, 2);
  q.ask_quantity = Decimal::of(1, 18);
  if (kind == QuoteKind::ticker) q.last = q.volume = Decimal::of(price * 3, 1);
  return q;
}
Quote best(std::optional<std::int64_t> event, std::optional<std::int64_t> receive, std::int64_t price) {
  return quote(QuoteKind::best, event, receive, price);
}
Quote ticker(std::optional<std::int64_t> event, std::optional<std::int64_t> receive, std::int64_t price) {
  return quote(QuoteKind::ticker, event, receive, price);
}

std::vector<Quote> all_quotes(const History& history, const Selection& what = {}) {
  std::vector<Quote> out;
  const Status done = history.quotes(what, [&](const Quote& q) { return out.push_back(q), true; });
  EXPECT_TRUE(done) << done.error().detail;
  return out;
}

// Quotes of a few instruments and few times, so that many are equal. Sorted as History gives them, the newest of each.
std::vector<Row> many(std::uint64_t seed, std::size_t count) {
  std::mt19937_64 random{seed};
  std::vector<Row> rows;
  for (std::size_t n = 0; n < count; ++n) {
    const auto time = static_cast<std::int64_t>(random() % 6);
    const auto kind = static_cast<QuoteKind>(random() % 2);
    const char* const of = random() % 2 == 0 ? "binance:BTCUSDT" : "binance:ETHUSDT";
    rows.emplace_back(quote(kind, random() % 3 == 0 ? kNone : time, 6 - time, static_cast<std::int64_t>(n), of));
  }
  return rows;
}
std::vector<Quote> newest(std::span<const Row> rows) {
  std::map<std::pair<Instrument, QuoteKind>, Quote> found;
  const auto time = [](const Quote& q) {
    const bool far_ahead = q.event_time && q.receive_time && *q.event_time - std::chrono::minutes{10} > *q.receive_time;
    return q.event_time && !far_ahead ? *q.event_time : q.receive_time.value();
  };
  for (const Row& row : rows) {
    const Quote& q = std::get<Quote>(row);
    const auto [at, fresh] = found.try_emplace({q.instrument, q.kind}, q);
    if (time(q) >= time(at->second)) at->second = q;
  }
  std::vector<Quote> out;
  for (const auto& [key, q] : found) out.push_back(q);
  return out;
}

}  // namespace

TEST_P(SinkConformance, OfQuotesTheNewestOfEachKindStays) {
  struct Case {
    std::vector<Quote> rows;
    std::vector<std::size_t> stay;  // of these, best first
  };
  const Case cases[] = {
      {{best(1, 1, 10), best(2, 2, 11)}, {1}},
      {{best(2, 2, 10), best(1, 3, 11)}, {0}},          // the venue's time counts
      {{best(2, 2, 10), best(2, 1, 11)}, {1}},          // equal: the later one in the log
      {{best(kNone, 2, 10), best(kNone, 1, 11)}, {0}},  // ours where there is no other
      {{best(kNone, 2, 10), best(2, 1, 11)}, {1}},
      {{best(3, 1, 10), best(kNone, 2, 11)}, {0}},
      {{best(kNone, kNone, 10), best(kNone, kNone, 11)}, {1}},
      // The venue's clock may be ten minutes ahead; a time farther off counts as ours.
      {{best(1'500 * kSecond, 1'000 * kSecond, 10), best(1'200 * kSecond, 1'200 * kSecond, 11)}, {0}},
      {{best(1'700 * kSecond, 1'100 * kSecond, 10), best(1'600 * kSecond, 1'600 * kSecond, 11)}, {0}},
      {{best(1'700 * kSecond + 1, 1'100 * kSecond, 10), best(1'101 * kSecond, 1'102 * kSecond, 11)}, {1}},
      {{best(9'000 * kSecond, 1'000 * kSecond, 10), best(kNone, 1'001 * kSecond, 11)}, {1}},
      {{best(9'000 * kSecond, 1'000 * kSecond, 10), best(9'001 * kSecond, 999 * kSecond, 11)}, {0}},
      {{best(-5, 1, 10), best(kNone, kNone, 11)}, {0}},
      {{best(5, 5, 10), ticker(1, 1, 11), best(4, 4, 12), ticker(2, 2, 13)}, {0, 3}},
      {{ticker(1, 1, 10)}, {0}},
  };
  for (const Case& c : cases)
    for (const bool in_one : {true, false}) {
      std::filesystem::remove_all(directory_);
      std::filesystem::create_directory(directory_);
      const auto sink = open_sink();
      ASSERT_TRUE(sink->claim(kQuotes, 0));
      const std::vector<Row> rows{c.rows.begin(), c.rows.end()};
      const std::span all{rows};
      const std::size_t size = in_one ? rows.size() : 1;
      for (std::size_t n = 0; n < rows.size(); n += size)
        ASSERT_TRUE(sink->write(batch(kQuotes, static_cast<std::int64_t>(n), all.subspan(n, size))));
      std::vector<Quote> expected;
      for (const std::size_t n : c.stay) expected.push_back(c.rows[n]);
      EXPECT_EQ(all_quotes(*history()), expected) << &c - cases << (in_one ? " in one batch" : " one by one");
      const SinkCounts counts = sink->counts();
      EXPECT_EQ(counts.rows, rows.size());
      EXPECT_EQ(counts.written + counts.unchanged, rows.size());
      if (in_one) {
        EXPECT_EQ(counts.written, c.stay.size()) << "one row of each kind, whatever came";
      }
      EXPECT_EQ(counts.contradictions, 0U);
    }
}

TEST_P(SinkConformance, AllOfAQuoteIsKept) {
  RandomRecords random{3};
  std::vector<Row> rows;
  for (int n = 0; n < 200; ++n) {
    Quote q = random.quote();
    if (q.kind == QuoteKind::best)
      q.last = q.last_quantity = q.open = q.high = q.low = q.volume = q.quote_volume = std::nullopt;
    if (!q.event_time && !q.receive_time) q.receive_time = random.time();
    rows.emplace_back(q);
  }
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim(kQuotes, 0));
  ASSERT_TRUE(sink->write(batch(kQuotes, 0, rows)));
  const std::vector<Quote> expected = newest(rows);
  const auto store = history();
  EXPECT_EQ(all_quotes(*store), expected);
  EXPECT_EQ(all_quotes(*store, {.limit = 1}), std::vector{expected.front()});
  std::vector<Quote> one;
  std::ranges::copy_if(expected, std::back_inserter(one),
                       [&](const Quote& q) { return q.instrument == expected.back().instrument; });
  EXPECT_EQ(all_quotes(*store, {.instrument = expected.back().instrument}), one);
  EXPECT_EQ(store->known_instruments().value().back(), expected.back().instrument);
}

TEST_P(SinkConformance, QuotesAreTheSameInBatchesOfAnySizeAndAgain) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directory(directory_);
    std::mt19937_64 random{seed};
    const std::vector<Row> rows = many(seed, 120);
    const std::span all{rows};
    auto sink = open_sink();
    ASSERT_TRUE(sink->claim(kQuotes, 0));
    for (std::size_t end = 0; end < rows.size();) {
      const std::size_t first = random() % 3 == 0 ? random() % (end + 1) : end;  // or again from there
      const std::size_t next = std::min(rows.size(), first + random() % 30);
      ASSERT_TRUE(sink->write(batch(kQuotes, static_cast<std::int64_t>(first), all.subspan(first, next - first))));
      end = std::max(end, next);
      ASSERT_EQ(all_quotes(*history()), newest(all.first(end))) << seed << ": " << first << " to " << next;
      if (random() % 5 == 0) {
        sink = open_sink();
        ASSERT_EQ(sink->claim(kQuotes, 0).value(), end == 0 ? kNone : static_cast<std::int64_t>(end));
      }
    }
  }
}

TEST_P(SinkConformance, ACrashBetweenQuotesOrALockedStoreChangesNothing) {
  const std::vector<Row> rows = many(77, 400);
  const std::span all{rows};
  std::size_t done = 0;
  for (std::size_t writes = 0; writes < 6; ++writes) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto sink = GetParam().sink(directory_, {});
      if (!sink->open()) ::_exit(1);
      const auto at = sink->claim(kQuotes, 0);
      if (!at) ::_exit(2);
      auto next = static_cast<std::size_t>(at->value_or(0));
      for (std::size_t n = 0; n < writes; ++n, next += 20)
        if (!sink->write(batch(kQuotes, static_cast<std::int64_t>(next), all.subspan(next, 20)))) ::_exit(3);
      ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
    done += writes * 20;
    ASSERT_EQ(all_quotes(*history()), newest(all.first(done)));
  }
  const auto sink = open_sink();
  ASSERT_EQ(sink->claim(kQuotes, 0).value(), 300);
  {
    const auto held = GetParam().lock(directory_);
    EXPECT_FALSE(sink->write(batch(kQuotes, 300, all.subspan(300))));
    EXPECT_EQ(sink->counts().written, 0U);
  }
  // What the refused batch had is forgotten: another one, smaller, is all that is written.
  ASSERT_TRUE(sink->write(batch(kQuotes, 300, all.subspan(300, 10))));
  EXPECT_EQ(all_quotes(*history()), newest(all.first(310)));
  EXPECT_EQ(sink->counts().rows, 10U);
}

// The table keeps the newest only, so what was deleted before it was loaded is not lacking.
TEST_P(SinkConformance, QuotesThatTheLogNoLongerHadAreNotMissing) {
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim(kQuotes, 0));
  const std::vector<Row> rows{best(1, 1, 10)};
  ASSERT_TRUE(sink->write(batch(kQuotes, 70, rows)));
  EXPECT_TRUE(history()->missing().value().empty());
  EXPECT_EQ(history()->loaded(kQuotes, 0).value(), 71);
}

TEST_P(SinkConformance, AnotherLogsQuotesReplaceThoseThatAreNotNewer) {
  const std::vector<Row> before{best(5, 5, 10), ticker(5, 5, 11), ticker(6, 6, 12)};
  {
    const auto sink = open_sink();
    ASSERT_TRUE(sink->claim(kQuotes, 0));
    ASSERT_TRUE(sink->write(batch(kQuotes, 1'000, before)));
  }
  // Another log, then another continuation of that one: their offsets begin anew.
  for (const std::int64_t price : {20, 30}) {
    const auto sink = open_sink({.log_id = "22222222-2222-4222-8222-222222222222", .adopt = true});
    ASSERT_EQ(sink->claim(kQuotes, 0).value(), kNone);
    const std::vector<Row> after{best(5, 5, price), ticker(5, 5, price + 1)};
    ASSERT_TRUE(sink->write(batch(kQuotes, 0, after)));
    EXPECT_EQ(all_quotes(*history()), (std::vector{best(5, 5, price), ticker(6, 6, 12)}));
  }
}

}  // namespace truetape
