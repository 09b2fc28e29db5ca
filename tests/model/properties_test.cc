// The two properties of docs/semantics.md section 9 and the model's verdict, over seeded histories.
//   TRUETAPE_SEEDS=N       how many (default 200)
//   TRUETAPE_SEED_FROM=N   the first (default 1)
//   TRUETAPE_SEED=N        this one alone
//   TRUETAPE_LARGE=1       at least 10,000 trades each
//   TRUETAPE_SHRINK=0      tell of a failing seed without cutting it down
//   TRUETAPE_RECORDS=N     how many records of the shortened history are printed (default 60)
// A failing seed prints itself and a history that was cut down while it still fails.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <set>

#include "harness.h"

namespace truetape::model {
namespace {

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? otherwise : std::strtoull(text, nullptr, 10);
}

std::vector<std::uint64_t> seeds() {
  if (const std::uint64_t one = setting("TRUETAPE_SEED", 0)) return {one};
  std::vector<std::uint64_t> out(setting("TRUETAPE_SEEDS", 200));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = setting("TRUETAPE_SEED_FROM", 1) + i;
  return out;
}

bool large() { return setting("TRUETAPE_LARGE", 0) != 0; }
const Size& size() { return large() ? kLarge : kSmall; }

// Of small histories every window is looked at after each item. For large ones that takes too long.
Pace pace() { return large() ? Pace::quick : Pace::plain; }

using Complaints = std::vector<std::string>;

// "status (rule 3, sealed) …" and "status (rule 2) …" are of one kind.
std::string kind_of(const std::string& complaint) { return complaint.substr(0, complaint.find_first_of("(:\n")); }

// Leaves out stretches of records, the longest first, as long as the history still fails in the same way.
History shrunk(History history, const std::function<Complaints(const History&)>& complaints) {
  const std::string kind = kind_of(complaints(history).front());
  int tries = 400;
  for (std::size_t chunk = history.messages.size() / 2; chunk > 0 && tries > 0; chunk /= 2) {
    for (std::size_t at = 0; at < history.messages.size() && tries > 0;) {
      History fewer = history;
      const auto begin = fewer.messages.begin() + static_cast<std::ptrdiff_t>(at);
      fewer.messages.erase(begin, begin + static_cast<std::ptrdiff_t>(std::min(chunk, fewer.messages.size() - at)));
      --tries;
      const Complaints found = complaints(fewer);
      if (std::any_of(found.begin(), found.end(), [&](const std::string& c) { return kind_of(c) == kind; })) {
        history = std::move(fewer);
      } else {
        at += chunk;
      }
    }
  }
  return history;
}

void report(std::uint64_t seed, const History& history, const Complaints& found,
            const std::function<Complaints(const History&)>& complaints, bool shrink) {
  std::string story;
  if (shrink) {
    const History small = shrunk(history, complaints);
    story = "\n cut down to " + std::to_string(small.messages.size()) + " of " +
            std::to_string(history.messages.size()) + " records, which fail with" + joined(complaints(small), 4) +
            "\n records:";
    for (std::size_t i = 0; i < small.messages.size() && i < setting("TRUETAPE_RECORDS", 60); ++i)
      story += "\n   " + std::to_string(i) + " " + small.messages[i].text();
  }
  ADD_FAILURE() << "seed " << seed << " (again: TRUETAPE_SEED=" << seed << "):" << joined(found) << story;
}

// Runs `complaints` on the history of every seed; tells of the first few that fail, of the first one in detail.
void for_seeds(const std::function<History(std::uint64_t)>& make,
               const std::function<Complaints(const History&)>& complaints, std::uint64_t each = 1) {
  int failed = 0;
  for (const std::uint64_t seed : seeds()) {
    if (seed % each != 0 && seed != seeds().front()) continue;
    const History history = make(seed);
    const Complaints found = complaints(history);
    if (found.empty()) continue;
    ++failed;
    report(seed, history, found, complaints, failed == 1 && setting("TRUETAPE_SHRINK", 1) != 0);
    if (failed == 5) {
      std::cout << "stopped after 5 failing seeds\n";
      return;
    }
  }
}

History mixed_history(std::uint64_t seed) {
  Dice dice{seed};
  if (large()) return make_large_history(dice);
  const Market market = make_market(dice, size(), true);
  return make_history(dice, market);
}

// One set of facts that can be delivered in several ways.
class Delivered {
 public:
  explicit Delivered(std::uint64_t seed) : dice_{seed * 31 + 5}, market_{make_market(dice_, size(), false)} {
    for (const Listing& l : market_.listings) {
      lost_.emplace_back(l.trades.size(), false);
      for (auto n = dice_.in(0, 3); n > 0; --n) {
        const auto at = static_cast<std::size_t>(dice_.in(2, static_cast<std::int64_t>(l.trades.size()) - 3));
        for (std::size_t i = at; i < std::min(l.trades.size() - 2, at + static_cast<std::size_t>(dice_.in(1, 9))); ++i)
          lost_.back()[i] = true;
      }
    }
  }
  History by(Way way) { return deliver(dice_, market_, lost_, way); }

 private:
  Dice dice_;
  Market market_;
  std::vector<std::vector<bool>> lost_;
};

History delivered_history(std::uint64_t seed) { return Delivered{seed}.by(kWays[seed % std::size(kWays)]); }

// Settings that a user may choose, at the edges of what is allowed.
std::map<std::string, Rules> other_rules() {
  using std::chrono::hours, std::chrono::minutes, std::chrono::seconds;
  std::map<std::string, Rules> out;
  out["from a minute on"].intervals = {minutes{1}, minutes{5}, hours{1}};
  out["a second alone"].intervals = {seconds{1}};
  out["five seconds and a day"].intervals = {seconds{5}, hours{24}};
  out["no settle"].settle = Nanoseconds{0};
  out["the least hold"].hold = seconds{1};
  out["no bound"].bound = Nanoseconds{0};
  Rules& hasty = out["nothing waits"];
  hasty.settle = hasty.bound = Nanoseconds{0};
  hasty.hold = seconds{1};
  hasty.horizon = seconds{2};
  Rules& patient = out["all waits long"];
  patient.settle = minutes{5};
  patient.bound = minutes{2};
  out["a horizon of a minute"].horizon = minutes{1};
  return out;
}

// Every window, gap, trade and count is what the reference model says (sections 2 to 5, 7, 10).
TEST(Properties, TheModelAgrees) {
  Rules rules;
  std::uint64_t windows = 0, unclear = 0, gaps = 0, trades = 0;
  std::map<std::string, std::uint64_t> seen;
  const auto complaints = [&](const History& history) {
    const Outcome outcome = run(history, rules, {.commit = Cut::random, .seed = history.messages.size()});
    const auto models = judge(history, rules, pace());
    Comparison c = compare(models, outcome, rules);
    windows += c.windows;
    unclear += c.unclear;
    gaps += c.gaps;
    trades += c.trades;
    for (const auto& [key, candle] : outcome.candles) {
      ++seen["completeness " + std::string{name(candle.completeness)}];
      ++seen["proof " + std::string{name(candle.proof)}];
      ++seen["status " + std::string{name(candle.status)}];
      if (candle.repaired) ++seen["repaired"];
    }
    for (const auto& [key, gap] : outcome.gaps) ++seen["gap " + std::string{name(gap.state)}];
    return c.complaints;
  };
  for_seeds(mixed_history, complaints);
  for (const auto& [name, other] : other_rules()) {
    SCOPED_TRACE("rules: " + name);
    rules = other;
    for_seeds(mixed_history, complaints, 10);
  }
  std::cout << "judged " << windows << " windows (" << unclear << " of them left open by the text), " << gaps
            << " gaps, " << trades << " trades\n";
  for (const auto& [what, n] : seen) std::cout << "  " << what << ": " << n << "\n";
  if (seeds().size() < 50) return;
  // The text leaves little open, and the histories show every kind of result.
  EXPECT_LT(unclear * 10, windows);
  for (const char* what : {"completeness complete", "completeness quiet", "completeness gap", "completeness partial",
                           "completeness unverifiable", "proof ids", "proof declared", "proof session", "status open",
                           "status closed", "status corrected", "repaired", "gap repaired", "gap absent", "gap lost"})
    EXPECT_GT(seen[what], 0U) << what;
}

History loose_history(std::uint64_t seed) {
  Dice dice{seed * 7 + 3};
  return make_loose_history(dice, seed % 2 == 0);
}

// The same of venues whose ids are not contiguous.
TEST(Properties, TheModelAgreesWhereIdsOnlyRise) {
  Rules rules;
  std::uint64_t windows = 0, unclear = 0;
  std::map<std::string, std::uint64_t> seen;
  const auto complaints = [&](const History& history) {
    const Outcome outcome = run(history, rules, {.commit = Cut::random, .seed = history.messages.size()});
    const Comparison c = compare(judge(history, rules), outcome, rules);
    windows += c.windows;
    unclear += c.unclear;
    for (const auto& [key, candle] : outcome.candles)
      ++seen[std::string{name(candle.completeness)} + " " + std::string{name(candle.proof)}];
    return c.complaints;
  };
  for_seeds(loose_history, complaints);
  for (const auto& [name, other] : other_rules()) {
    SCOPED_TRACE("rules: " + name);
    rules = other;
    for_seeds(loose_history, complaints, 10);
  }
  std::cout << "judged " << windows << " windows, " << unclear << " of them left open by the text\n";
  for (const auto& [what, n] : seen) std::cout << "  " << what << ": " << n << "\n";
  if (seeds().size() < 50) return;
  EXPECT_LT(unclear * 10, windows);
  for (const char* what : {"complete overlap", "quiet overlap", "gap session", "unverifiable "})
    EXPECT_GT(seen[what], 0U) << what;
}

// What pages prove is what happened, as long as they leave nothing out.
TEST(Properties, WhatPagesProveIsTrue) {
  std::uint64_t complete = 0, quiet = 0;
  for (const std::uint64_t seed : seeds()) {
    Dice dice{seed * 13 + 1};
    Market market;
    const History history = make_loose_history(dice, true, &market);
    const Outcome outcome = run(history, Rules{}, {.commit = Cut::random, .crash_percent = 20, .seed = seed});
    for (const auto& [key, candle] : outcome.candles) {
      if (candle.proof != Proof::overlap) continue;
      const auto listing =
          std::find_if(market.listings.begin(), market.listings.end(),
                       [&, &c = candle](const Listing& l) { return l.instrument() == c.instrument.str(); });
      std::vector<Trade> trades;
      std::optional<Decimal> before;
      for (const Happened& h : listing->trades) {
        if (h.kind == "INSURANCE_FUND" || h.kind == "ADL") continue;
        const Timestamp time = content_time(timestamp_ns(h.time));
        if (time >= candle.end()) break;
        Trade t;
        t.order = t.first_id = t.last_id = h.id;
        t.event_time = time;
        t.price = parse_decimal(h.price).value;
        t.quantity = parse_decimal(h.quantity).value;
        if (time >= candle.start)
          trades.push_back(t);
        else
          before = t.price;
      }
      ++(trades.empty() ? quiet : complete);
      Candle truth;
      std::vector<const Trade*> views;
      for (const Trade& t : trades) views.push_back(&t);
      fold_values(views, truth);
      if (trades.empty()) truth.open = truth.high = truth.low = truth.close = before;
      EXPECT_EQ(candle.completeness, trades.empty() ? Completeness::quiet : Completeness::complete) << text(candle);
      EXPECT_EQ(std::tie(candle.open, candle.high, candle.low, candle.close),
                std::tie(truth.open, truth.high, truth.low, truth.close))
          << "seed " << seed << ": " << text(candle);
      if (trades.empty()) continue;
      EXPECT_EQ(std::tie(candle.volume, candle.quote_volume, candle.trades, candle.first_id, candle.last_id),
                std::tie(truth.volume, truth.quote_volume, truth.trades, truth.first_id, truth.last_id))
          << "seed " << seed << ": " << text(candle);
    }
    if (HasFailure()) break;
  }
  std::cout << complete << " complete and " << quiet << " quiet windows proved by pages\n";
  EXPECT_GT(complete, 0U);
  EXPECT_GT(quiet, 0U);
}

// The quick judge sees what the plain one sees: of small histories, of a large one now and then.
TEST(Properties, TheQuickJudgeIsThePlainOne) {
  const Rules rules;
  std::uint64_t compared = 0;
  const auto complaints = [&](const History& history) {
    ++compared;
    return differences(judge(history, rules, Pace::plain), judge(history, rules, Pace::quick));
  };
  const std::uint64_t each = large() ? 50 : seeds().size() > 200 ? 10 : 1;
  for_seeds(mixed_history, complaints, each);
  for_seeds(delivered_history, complaints, each);
  EXPECT_GT(compared, 0U);
}

// A large history has at least 3 instruments, 10,000 accepted trades, two sessions, a repaired and a lost hole.
TEST(Properties, ALargeHistoryHoldsWhatItShould) {
  const Rules rules;
  std::vector<std::uint64_t> some = seeds();
  if (!large()) some.resize(std::min<std::size_t>(some.size(), 3));
  for (const std::uint64_t seed : some) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Dice dice{seed};
    const History history = make_large_history(dice);
    std::set<std::string> sessions;
    for (const Message& m : history.messages)
      for (const auto& [name, value] : m.headers)
        if (m.kind == RawKind::frame && name == header::session) sessions.insert(value);
    EXPECT_GE(sessions.size(), 2U);
    const Outcome outcome = run(history, rules, {.commit = Cut::never});
    EXPECT_GE(outcome.counts.accepted, kLargeTrades)
        << history.given << " given; in " << outcome.counts.in << ", duplicate " << outcome.counts.duplicate
        << ", held " << outcome.counts.held << ", quarantined " << outcome.counts.quarantined;
    std::set<Instrument> instruments;
    for (const auto& [key, trade] : outcome.trades) instruments.insert(trade.instrument);
    EXPECT_GE(instruments.size(), 3U);
    const auto ended = [&](GapState state) {
      return std::count_if(outcome.gaps.begin(), outcome.gaps.end(),
                           [&](const auto& gap) { return gap.second.state == state; });
    };
    EXPECT_GE(ended(GapState::repaired), 1);
    EXPECT_GE(ended(GapState::lost), 1);
  }
}

template <class Map, class Show>
void differences(const char* what, const Map& a, const Map& b, Complaints& out, Show show) {
  for (const auto& [key, value] : a) {
    const auto it = b.find(key);
    if (it == b.end()) {
      out.push_back(std::string{what} + " is missing: " + show(value));
    } else if (!(it->second == value)) {
      out.push_back(std::string{what} + " differs: " + show(value) + "\n   and " + show(it->second));
    }
  }
  for (const auto& [key, value] : b)
    if (!a.contains(key)) out.push_back(std::string{what} + " is too much: " + show(value));
}

Complaints outcomes_differ(const Outcome& a, const Outcome& b) {
  Complaints out = a.complaints;
  out.insert(out.end(), b.complaints.begin(), b.complaints.end());
  differences("candle", a.candles, b.candles, out, [](const Candle& c) { return text(c); });
  differences("gap", a.gaps, b.gaps, out, [](const Gap& g) { return text(g); });
  differences("trade", a.trades, b.trades, out, [](const Trade& t) {
    return t.instrument.str() + " " + std::to_string(t.order) + " marks " + marks_text(t.marks);
  });
  differences("progress", a.progress, b.progress, out, [](const Progress& p) {
    const auto at = [](const std::optional<Timestamp>& t) { return t ? to_rfc3339(*t) : std::string{"-"}; };
    return p.instrument.str() + " " + at(p.frontier) + " closed " + at(p.closed_until) + " proven " +
           at(p.proven_until) + " sealed " + at(p.sealed_until) + " rev " + std::to_string(p.revision);
  });
  differences("late", a.late, b.late, out, [](const LateWindow& l) {
    return l.instrument.str() + " " + to_rfc3339(l.start) + " " + std::to_string(l.trades);
  });
  differences("quarantined", a.quarantined, b.quarantined, out, [](const Quarantined& q) {
    return std::to_string(q.offset) + " " + std::string{name(q.reason)} + " " + q.detail;
  });
  const Counts &x = a.counts, &y = b.counts;
  const auto all = [](const Counts& c) {
    return std::tie(c.in, c.accepted, c.duplicate, c.contradiction, c.held, c.quarantined, c.empty, c.other_tape,
                    c.not_a_trade, c.undecodable, c.set_aside, c.duplicate_unchecked, c.late, c.marked, c.released,
                    c.records);
  };
  if (all(x) != all(y)) out.push_back("counts differ");
  return out;
}

bool is_proven(const Candle& c) {
  return c.status != CandleStatus::open && (c.proof == Proof::ids || c.proof == Proof::declared) &&
         (c.completeness == Completeness::complete || c.completeness == Completeness::quiet);
}

// Little room for state: P5b must not hang on when the oldest windows leave.
Rules cramped() {
  Rules rules;
  rules.max_windows = 60;
  return rules;
}

// P5b: the same records in the same order give, for every key, the same last record, whatever the batching.
TEST(Properties, BytesDoNotDependOnBatching) {
  for (const Rules& rules : {Rules{}, cramped()}) {
    for_seeds(
        mixed_history,
        [&](const History& history) {
          const Outcome once = run(history, rules, {.commit = Cut::never});
          Complaints out = outcomes_differ(once, run(history, rules, {.commit = Cut::always}));
          if (out.empty()) out = outcomes_differ(once, run(history, rules, {.commit = Cut::random, .seed = 7}));
          return out;
        },
        rules.max_windows < 1'000 ? 4 : 1);
  }
}

TEST(Properties, BytesDoNotDependOnBatchingOrCrashesWhereIdsOnlyRise) {
  for (const Rules& rules : {Rules{}, cramped()})
    for_seeds(
        loose_history,
        [&](const History& history) {
          const Outcome once = run(history, rules, {.commit = Cut::never});
          Complaints out = outcomes_differ(once, run(history, rules, {.commit = Cut::always}));
          const Manner crashes{.commit = Cut::random, .crash_percent = 30, .seed = history.messages.size()};
          if (out.empty()) out = outcomes_differ(once, run(history, rules, crashes));
          return out;
        },
        rules.max_windows < 1'000 ? 4 : 1);
}

// What the stream says of a window that is not in `late` does not hang on the room for state.
TEST(Properties, ContentDoesNotDependOnTheRoomForState) {
  std::uint64_t compared = 0, late = 0;
  for_seeds(
      mixed_history,
      [&](const History& history) {
        const Outcome roomy = run(history, Rules{}, {.commit = Cut::never});
        const Outcome narrow = run(history, cramped(), {.commit = Cut::never});
        Complaints out = narrow.complaints;
        for (const auto& [key, candle] : narrow.candles) {
          if (narrow.late.contains(key)) {
            ++late;
            continue;
          }
          const auto other = roomy.candles.find(key);
          if (other == roomy.candles.end() || !is_proven(candle) || !is_proven(other->second)) continue;
          ++compared;
          if (!same_content(candle, other->second))
            out.push_back("roomy: " + text(other->second) + "\n   but narrow: " + text(candle));
        }
        return out;
      },
      3);
  EXPECT_GT(compared, 0U);
  EXPECT_GT(late, 0U);
}

// P5b: … and whatever crashes between two commits.
TEST(Properties, BytesDoNotDependOnCrashes) {
  for (const Rules& rules : {Rules{}, cramped()}) {
    for_seeds(
        mixed_history,
        [&](const History& history) {
          const Outcome once = run(history, rules, {.commit = Cut::never});
          return outcomes_differ(
              once, run(history, rules, {.commit = Cut::random, .crash_percent = 30, .seed = history.messages.size()}));
        },
        rules.max_windows < 1'000 ? 4 : 1);
  }
}

// P5a: the same facts in any order give the same content of every window that is proven in both, and the same trades.
TEST(Properties, ContentDoesNotDependOnTheWayThatFactsCame) {
  const Rules rules;
  std::uint64_t compared = 0;
  int failed = 0;
  for (const std::uint64_t seed : seeds()) {
    Delivered delivered{seed};
    std::map<CandleKey, std::pair<Candle, Way>> proven;
    std::map<TradeKey, Trade> trades;
    for (const Way way : kWays) {
      // What the model says of this way, and what the windows that are proven in it and in one before hold.
      const auto complaints = [&](const Outcome& outcome, const History& history) {
        Complaints out = compare(judge(history, rules, pace()), outcome, rules).complaints;
        for (const auto& [key, candle] : outcome.candles) {
          if (!is_proven(candle)) continue;
          const auto other = proven.find(key);
          if (other != proven.end() && !same_content(candle, other->second.first))
            out.push_back(std::string{name(other->second.second)} + ": " + text(other->second.first) + "\n   but " +
                          text(candle));
        }
        return out;
      };
      const auto run_it = [&](const History& h) { return run(h, rules, {.commit = Cut::random, .seed = seed}); };
      const History history = delivered.by(way);
      const Outcome outcome = run_it(history);
      if (const Complaints found = complaints(outcome, history); !found.empty()) {
        std::cout << name(way) << ":\n";
        const auto again = [&](const History& h) { return complaints(run_it(h), h); };
        report(seed, history, found, again, ++failed == 1 && setting("TRUETAPE_SHRINK", 1) != 0);
      }
      for (const auto& [key, candle] : outcome.candles)
        if (is_proven(candle)) compared += !proven.try_emplace(key, candle, way).second;
      std::map<TradeKey, Trade> plain = outcome.trades;
      for (auto& [key, t] : plain) {
        t.receive_time.reset();
        t.source = {};
        t.seq = t.ordinal = 0;
        t.marks = 0;
      }
      if (trades.empty()) trades = plain;
      Complaints out;
      differences("trade", trades, plain, out,
                  [](const Trade& t) { return t.instrument.str() + " " + std::to_string(t.order); });
      if (out.empty()) continue;
      ++failed;
      ADD_FAILURE() << "seed " << seed << " (again: TRUETAPE_SEED=" << seed << ") " << name(way) << ":" << joined(out);
    }
    if (failed >= 5) break;
  }
  std::cout << "compared " << compared << " pairs of proven windows\n";
  EXPECT_GT(compared, 0U);
}

}  // namespace
}  // namespace truetape::model
