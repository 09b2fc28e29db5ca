#include "roles/backfill.h"

#include <algorithm>
#include <array>

#include "core/wildcard.h"
#include "roles/ingest_venue.h"
#include "venues/feed_session.h"

namespace truetape {
namespace {

using Level = FeedEvent::Level;
using What = FillAnswer::What;

constexpr Nanoseconds kFlushLook = std::chrono::milliseconds{2};
constexpr std::size_t kMostSpans = 1000;  // of an answer record; the pages say the same

std::string ids_text(const FillRange& range) { return std::to_string(range.first) + '-' + std::to_string(range.last); }

std::string spans_text(const std::vector<FillRange>& ranges) {
  std::string out;
  for (std::size_t i = 0; i < ranges.size() && i < kMostSpans; ++i) out += (i > 0 ? "," : "") + ids_text(ranges[i]);
  return out;
}

struct Meters {
  Meters(Metrics& metrics, const std::string& venue)
      : requests{metrics.counter("truetape_backfill_requests_total", "Requests that backfill sent to the venue.",
                                 {{"venue", venue}})},
        pages{metrics.counter("truetape_backfill_pages_total", "Pages of trades that backfill put into raw.",
                              {{"venue", venue}})},
        trades{metrics.counter("truetape_backfill_trades_total", "Trades in these pages, known ones among them.",
                               {{"venue", venue}})},
        limited{failure(metrics, venue, "limited")},
        refused{failure(metrics, venue, "refused")},
        failed{failure(metrics, venue, "failed")},
        unusable{failure(metrics, venue, "unusable")},
        disordered{failure(metrics, venue, "disordered")},
        gaps{metrics.gauge("truetape_backfill_gaps", "Open gaps that backfill is to have filled.", {{"venue", venue}})},
        ids{metrics.gauge("truetape_backfill_missing_ids", "Ids that these gaps still lack.", {{"venue", venue}})},
        unable{metrics.gauge("truetape_backfill_unable",
                             "1: the venue does not answer our questions until somebody does something.",
                             {{"venue", venue}})},
        oldest{metrics.seconds("truetape_backfill_oldest_seconds",
                               "Since when the gap has been known that has waited longest, since 1970; not there: none "
                               "waits.",
                               {{"venue", venue}})} {}
  static Counter& failure(Metrics& metrics, const std::string& venue, const char* why) {
    return metrics.counter("truetape_backfill_failures_total", "Answers that backfill could not use.",
                           {{"venue", venue}, {"why", why}});
  }
  void count(const FillCounts& now) {
    const auto raise = [](Counter& counter, std::uint64_t& before, std::uint64_t value) {
      counter.add(value - before);
      before = value;
    };
    raise(requests, counted.requests, now.requests);
    raise(pages, counted.pages, now.pages);
    raise(trades, counted.trades, now.trades);
    raise(limited, counted.limited, now.limited);
    raise(refused, counted.refused, now.refused);
    raise(failed, counted.failed, now.failed);
    raise(unusable, counted.unusable, now.unusable);
    raise(disordered, counted.disordered, now.disordered);
  }

  Counter &requests, &pages, &trades, &limited, &refused, &failed, &unusable, &disordered;
  Gauge &gaps, &ids, &unable;
  SecondsGauge& oldest;
  FillCounts counted;
};

}  // namespace

struct BackfillRole::Question {
  Instrument instrument;
  Tape tape = Tape::trade;
  std::uint32_t era = 0;
  FillRange ids;
  bool endless = false;
  int again = 0;          // equal answers until now
  std::vector<Key> gaps;  // the one that was chosen first, then its neighbours
};

struct BackfillRole::Venue {
  Venue(std::string venue_name, net::BackoffConfig config, std::uint64_t seed)
      : name{std::move(venue_name)}, backoff{config, seed} {}

  const std::string name;
  std::unique_ptr<VenueSink> sink;
  std::unique_ptr<Filler> filler;  // nullptr: the venue cannot be asked
  std::string why_not;             // and that was not told yet
  std::unique_ptr<Meters> meters;
  net::Backoff backoff;
  net::SteadyTime not_before{};  // nothing is asked for before
  std::string told;              // the trouble that lasts; empty: none
  std::string told_old;          // why only young gaps can be filled; empty: that was not so yet
  bool unable = false;
};

BackfillRole::BackfillRole(BackfillOptions options, BackfillParts parts)
    : options_{std::move(options)},
      parts_{std::move(parts)},
      loop_{parts_.connector.loop()},
      wake_{loop_},
      raw_{parts_.log, topic::raw, loop_, options_.seed, [this](Level level, const std::string& t) { tell(level, t); }},
      control_{parts_.log, loop_, options_.seed + 1, [this](Level level, const std::string& t) { tell(level, t); }},
      gaps_{parts_.log, loop_, options_.group, options_.seed + 2,
            [this](Level level, const std::string& t) { tell(level, t); }} {}

BackfillRole::~BackfillRole() = default;

void BackfillRole::tell(Level level, const std::string& text) const {
  if (parts_.tell) parts_.tell({level, {}, text});
}

void BackfillRole::stop() {
  stopping_ = true;
  for (const auto& [name, venue] : venues_) {
    if (venue->filler) venue->filler->stop();
    venue->sink->release();
  }
  wake_.set();
}

bool BackfillRole::is_wanted(const Instrument& instrument) const {
  if (options_.besides.contains(instrument)) return true;
  const ControlState& state = control_.state();
  if (!state.started) return false;
  // Neither in what it is priced is known here nor what a wildcard means now: with one, all of its venue is wanted,
  // also what was imported, what is selected no longer and what is priced in something else.
  return std::ranges::any_of(state.wanted, [&](const Instrument& other) {
    return other == instrument || (other.venue() == instrument.venue() && wildcard_of(other));
  });
}

bool BackfillRole::is_ours(const OpenGap& gap) const {
  if (!is_wanted(gap.row.instrument) || gap.row.reason == GapReason::manual) return false;
  if (!gap.row.last_id) return true;
  return gap.row.missing <= options_.most_ids && (!gap.row.to || *gap.row.to - gap.row.from <= options_.most_time);
}

// A venue is known from when something of it is wanted.
void BackfillRole::know(const std::string& name) {
  if (venues_.contains(name) || stopping_) return;
  Venue& own = *venues_.emplace(name, std::make_unique<Venue>(name, options_.trouble, options_.seed)).first->second;
  own.sink = std::make_unique<VenueSink>(
      raw_, parts_.log.partitions(), loop_, nullptr,
      [this, name](Level level, const std::string& text) { tell(level, name + ": " + text); });
  FillOptions options;
  if (const auto said = options_.venues.find(name); said != options_.venues.end()) options = said->second;
  options.seed = options_.seed + 0x9E3779B97F4A7C15ULL * venues_.size();
  FeedParts parts{&parts_.connector, own.sink.get(), parts_.tell};
  auto made = parts_.make_filler ? parts_.make_filler(name, options, std::move(parts))
                                 : make_filler(name, options, std::move(parts));
  if (!made) {
    own.why_not = made.error().detail;
    return;
  }
  if (parts_.metrics != nullptr) own.meters = std::make_unique<Meters>(*parts_.metrics, name);
  own.filler = std::move(*made);
  ++running_;
  loop_.spawn(attend(own));
}

void BackfillRole::follow() {
  for (const Instrument& instrument : options_.besides) know(std::string{instrument.venue()});
  if (const ControlState& state = control_.state(); knows_wanted_ && state.started)
    for (const Instrument& instrument : state.wanted) know(std::string{instrument.venue()});
  for (auto& [name, venue] : venues_) {
    if (venue->why_not.empty()) continue;
    const bool any = std::ranges::any_of(gaps_.gaps(), [&](const auto& gap) {
      return gap.second.row.instrument.venue() == name && is_ours(gap.second);
    });
    if (any) tell(Level::info, std::exchange(venue->why_not, {}) + "; its gaps stay open unless files fill them");
  }
  for (const auto& [key, gap] : gaps_.gaps()) {
    if (is_ours(gap) || !gap.ready || !gap.row.last_id || !is_wanted(gap.row.instrument)) continue;
    const std::string what = gap.row.instrument.str() + " " + ids_text({gap.row.first_id, *gap.row.last_id});
    if (manual_told_.size() < 1000 && manual_told_.insert(what).second)
      tell(Level::warning, "the gap of " + what + " from " + to_rfc3339(gap.row.from) +
                               " is too long to be asked for by itself: import the venue's archive files, or run "
                               "truetape backfill --instrument " +
                               gap.row.instrument.str() + " --from … --to …");
  }
}

// The newest gap that may be asked for now, with those of its neighbours that the same page holds. Those that no answer
// came for wait behind the others: a question that the venue fails at must not keep it from all else.
std::optional<BackfillRole::Question> BackfillRole::choose(const Venue& venue) {
  const net::SteadyTime now = loop_.now();
  if (!knows_wanted_ || now < venue.not_before) return std::nullopt;
  auto& gaps = gaps_.gaps();
  const auto may = [&](const OpenGap& gap) { return gap.ready && gap.due <= now && is_ours(gap); };
  auto best = gaps.end();
  for (auto at = gaps.begin(); at != gaps.end(); ++at) {
    const OpenGap& gap = at->second;
    if (gap.row.instrument.venue() != venue.name || !may(gap)) continue;
    if (!gap.row.last_id && now < gap.seen + options_.tail_wait) continue;
    if (best == gaps.end() || gap.failures < best->second.failures ||
        (gap.failures == best->second.failures && gap.row.from > best->second.row.from))
      best = at;
  }
  if (best == gaps.end()) return std::nullopt;
  const OpenGap& gap = best->second;
  Question out{gap.row.instrument, gap.row.tape, gap.row.era, {}, !gap.row.last_id, gap.times, {best->first}};
  if (out.endless) {
    out.ids = {gap.row.first_id, gap.row.first_id};
    return out;
  }
  out.ids = gap.wanted(venue.filler->unit(out.tape));
  if (gap.alone) return out;
  const std::uint64_t page = venue.filler->page(out.tape);
  for (auto at = best; at != gaps.begin();) {
    const OpenGap& older = (--at)->second;
    if (older.row.instrument != out.instrument || older.row.tape != out.tape || older.row.era != out.era) break;
    if (out.ids.last - older.row.first_id >= page) break;
    if (!older.row.last_id || older.alone || !may(older)) continue;
    out.ids.first = older.row.first_id;
    out.gaps.push_back(at->first);
  }
  return out;
}

net::awaitable<void> BackfillRole::attend(Venue& venue) {
  while (!stopping_) {
    const std::optional<Question> question = choose(venue);
    if (!question) {
      wake_.reset();
      co_await wake_.wait_for(options_.look);
      continue;
    }
    FillQuestion asked;
    asked.instrument = question->instrument;
    asked.tape = question->tape;
    asked.first_id = question->ids.first;
    if (!question->endless) asked.last_id = question->ids.last;
    asked.again = question->again;
    const FillAnswer answer = co_await venue.filler->fill(asked);
    if (stopping_ || answer.what == What::stopped) break;
    co_await judge(venue, *question, answer);
  }
  --running_;
  wake_.set();
}

bool BackfillRole::is_believed(OpenGap& gap, std::string said, std::optional<Timestamp> as_of) {
  const net::SteadyTime now = loop_.now();
  if (gap.said != said || gap.times == 0) {
    gap.said = std::move(said);
    gap.times = 0;
    gap.said_since = now;
    gap.as_of = as_of;
  }
  ++gap.times;
  // Soon at first: mostly it is but the venue's database that lags.
  Nanoseconds wait = options_.equal_first;
  for (int i = 1; i < gap.times && wait < options_.equal_for / 2; ++i) wait *= 2;
  gap.due = now + std::min(wait, options_.equal_for / 2);
  if (gap.times < options_.equal_answers || now - gap.said_since < options_.equal_for) return false;
  gap.times = 0;  // said; should the gap stay, it all begins anew
  gap.due = now + options_.equal_for;
  return true;
}

net::awaitable<bool> BackfillRole::put_answer(Venue& venue, const Question& question, const FillAnswer& answer,
                                              std::string_view verdict, std::optional<std::uint64_t> nothing_after,
                                              std::optional<Timestamp> as_of) {
  const std::string era = std::to_string(question.era), first = std::to_string(question.ids.first),
                    last = std::to_string(question.ids.last), skipped = spans_text(answer.absent),
                    after = std::to_string(nothing_after.value_or(0)), when = std::to_string(as_of ? to_ns(*as_of) : 0);
  std::vector<Header> headers{{header::era, era}, {header::first_id, first}, {header::verdict, verdict}};
  if (!question.endless || verdict != "more") headers.push_back({header::last_id, last});
  if (!skipped.empty()) headers.push_back({header::skipped, skipped});
  if (nothing_after) headers.push_back({header::nothing_after, after});
  if (as_of) headers.push_back({header::as_of, when});
  while (!put_single(*venue.sink, RawKind::answer, question.instrument, {}, loop_.clock().now(), headers)) {
    if (stopping_) co_return false;
    co_await venue.sink->room();
    if (stopping_) co_return false;
  }
  co_return true;
}

net::awaitable<void> BackfillRole::judge(Venue& venue, const Question& question, const FillAnswer& answer) {
  auto& gaps = gaps_.gaps();
  const net::SteadyTime now = loop_.now();
  const std::uint64_t unit = venue.filler->unit(question.tape);
  if (answer.what == What::too_old) {
    if (answer.text != venue.told_old)
      tell(Level::error, venue.name + ": " + std::string{question.instrument.symbol()} + " " + ids_text(question.ids) +
                             " and what is as old cannot be asked for: " + answer.text +
                             ". The gaps stay open meanwhile");
    venue.told_old = answer.text;
  }
  if (answer.what != What::trouble && answer.what != What::unable) {
    if (!venue.told.empty()) tell(Level::info, venue.name + ": answers again");
    venue.told.clear();
    venue.unable = false;
    venue.backoff.reset();
  } else {
    venue.unable = answer.what == What::unable;
    venue.not_before = now + (venue.unable ? options_.unable_again : venue.backoff.next());
    if (answer.text != venue.told)
      tell(venue.unable ? Level::error : Level::warning,
           venue.name + ": what is missing cannot be asked for: " + answer.text + ". The gaps stay open meanwhile");
    venue.told = answer.text;
  }
  for (const Key& key : question.gaps)
    if (const auto found = gaps.find(key); found != gaps.end()) GapFollower::settle(found->second);

  if (answer.pages > 0 || answer.what == What::given) {
    const bool put = co_await put_answer(venue, question, answer, "more", std::nullopt, std::nullopt);
    if (!put) co_return;
  }
  std::string_view verdict;
  std::optional<std::uint64_t> nothing_after;
  std::optional<Timestamp> as_of = loop_.clock().now();
  for (const Key& key : question.gaps) {
    const auto found = gaps.find(key);  // anew: meanwhile the topic may have been read
    if (found == gaps.end()) continue;
    OpenGap& gap = found->second;
    const bool failed = answer.what == What::trouble || answer.what == What::unable;
    gap.failures = failed ? gap.failures + 1 : 0;
    gap.too_old = answer.what == What::too_old;
    switch (answer.what) {
      case What::given:
      case What::part: {
        const bool lacks = answer.what == What::part;
        if (lacks && question.gaps.size() > 1) {
          gap.alone = true;
          break;
        }
        if (lacks && !gap.whole && !question.endless) {
          gap.whole = gap.alone = true;  // the rest of it may be there
          break;
        }
        if (gap.whole && !gap.go_on(question.ids, answer, unit)) break;
        const std::vector<FillRange> lacking = gap.whole ? std::exchange(gap.lacking, {}) : answer.missing;
        if (!lacking.empty()) {
          if (is_believed(gap, spans_text(lacking), std::nullopt)) verdict = "exhausted";
          break;
        }
        gap.said.clear();
        gap.times = 0;
        gap.whole = false;
        // It ends as soon as `process` has the pages. One that does not is asked for otherwise, and then seldom.
        if (++gap.given % 3 == 0) {
          net::Backoff backoff{options_.again, options_.seed + static_cast<std::uint64_t>(gap.given)};
          Nanoseconds wait{};
          for (int i = 0; i < gap.given / 3; ++i) wait = backoff.next();
          gap.due = now + wait;
        }
        break;
      }
      case What::nothing:
        if (is_believed(gap, "nothing", answer.as_of)) {
          nothing_after = gap.row.first_id - 1;
          as_of = gap.as_of;
          verdict = "more";
        }
        break;
      case What::refused:
        gap.alone = true;
        if (question.gaps.size() > 1) break;
        if (!question.endless && !gap.whole && question.ids != gap.range(unit)) {
          gap.whole = true;  // it may be about these ids alone
        } else if (gap.whole) {
          FillAnswer none;
          none.missing = {question.ids};
          if (!gap.go_on(question.ids, none, unit)) break;
          if (is_believed(gap, spans_text(std::exchange(gap.lacking, {})), std::nullopt)) verdict = "refused";
        } else if (is_believed(gap, answer.text, std::nullopt)) {
          verdict = "refused";
        }
        break;
      case What::too_old:
        gap.due = now + options_.unable_again;
        break;
      case What::unable:
      case What::trouble:
      case What::stopped:
        break;
    }
  }
  if (verdict.empty()) co_return;
  Question judged = question;
  if (const auto found = gaps.find(question.gaps.front()); found != gaps.end() && found->second.whole) {
    // A hole ends by a verdict on a range that holds all of it. If this one does not, another is gone through.
    OpenGap& gap = found->second;
    judged.ids = gap.range(unit);
    ++gap.given;
    gap.next.reset();
    gap.lacking.clear();
    gap.lacked.reset();
  }
  if (!nothing_after)
    tell(Level::error, venue.name + ": " + std::string{judged.instrument.symbol()} + " " + ids_text(judged.ids) +
                           (verdict == "refused" ? ": the venue refuses to give these trades: " + answer.text
                                                 : ": the venue does not have these trades any more") +
                           "; what is missing of them is lost. The venue's archive files can still fill it: truetape "
                           "import");
  const bool put = co_await put_answer(venue, judged, answer, verdict, nothing_after, as_of);
  if (!put) co_return;
}

void BackfillRole::report() {
  struct Sum {
    std::int64_t gaps = 0, ids = 0;
    std::optional<net::SteadyTime> oldest;
    bool too_old = false;  // any of them
  };
  std::map<std::string_view, Sum> sums;
  for (const auto& [key, gap] : gaps_.gaps()) {
    if (!is_ours(gap)) continue;
    Sum& sum = sums[gap.row.instrument.venue()];
    ++sum.gaps;
    sum.too_old = sum.too_old || gap.too_old;
    sum.ids += static_cast<std::int64_t>(gap.row.missing);
    sum.oldest = std::min(sum.oldest.value_or(gap.first_seen), gap.first_seen);
  }
  for (const auto& [name, venue] : venues_) {
    if (!venue->meters) continue;
    Meters& meters = *venue->meters;
    const Sum& sum = sums[name];
    if (venue->filler) meters.count(venue->filler->counts());
    meters.gaps.set(sum.gaps);
    meters.ids.set(sum.ids);
    meters.unable.set(venue->unable || sum.too_old ? 1 : 0);
    if (sum.oldest)
      meters.oldest.set(to_ns(loop_.clock().now()) - Nanoseconds{loop_.now() - *sum.oldest}.count());
    else
      meters.oldest.clear();
  }
}

net::awaitable<bool> BackfillRole::run() {
  while (!stopping_) {
    const bool durable = raw_.look();
    if (control_.look()) knows_wanted_ = true;
    gaps_.look(durable);
    follow();
    report();
    wake_.reset();
    co_await wake_.wait_for(options_.look);
  }
  while (running_ > 0) {
    raw_.look();
    wake_.reset();
    co_await wake_.wait_for(options_.look);
  }
  report();
  const net::SteadyTime until = loop_.now() + options_.flush_limit;
  for (;;) {
    if (raw_.look()) co_return true;
    if (loop_.now() >= until) break;
    co_await loop_.sleep(kFlushLook);
  }
  tell(Level::warning, "what was filled in last could not be written into the log; it is asked for again");
  co_return false;
}

}  // namespace truetape
