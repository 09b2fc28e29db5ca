#include "serve/recent.h"

#include <algorithm>
#include <tuple>

#include "codec/roll_up.h"
#include "core/row_order.h"
#include "core/wildcard.h"

namespace truetape {
namespace {

constexpr std::size_t kMostUnrolled = 16;
constexpr std::size_t kMostEndedGaps = 64;  // of an instrument
constexpr std::size_t kLastRows = 2;        // of an instrument that is not roomy: of each series, and trades

auto trade_place(const Trade& t) { return std::tie(t.event_time, t.era, t.order, t.source, t.seq, t.ordinal); }
bool same_trade(const Trade& a, const Trade& b) {
  if (a.id.empty() || b.id.empty())
    return a.id.empty() == b.id.empty() && std::tie(a.source, a.seq, a.ordinal) == std::tie(b.source, b.seq, b.ordinal);
  return std::tie(a.era, a.order) == std::tie(b.era, b.order);
}
bool ended(const Gap& g) { return g.state == GapState::repaired || g.state == GapState::absent; }
Timestamp end_of(const Gap& g) { return g.to.value_or(g.from); }
std::int64_t Gone::*member_of(std::string_view topic) {
  if (topic == topic::candles) return &Gone::candles;
  if (topic == topic::trades) return &Gone::trades;
  return topic == topic::gaps ? &Gone::gaps : nullptr;
}
RecentGap key_of(const Gap& g) { return {g.tape, g.era, g.first_id}; }

// The first row that does not begin before `start`. What is looked for is nearly always at the end.
auto find_start(std::vector<CandlePtr>& rows, Timestamp start) {
  auto at = rows.end();
  for (int near = 0; near < 4; ++near) {
    if (at == rows.begin() || (*std::prev(at))->row.start < start) return at;
    --at;
  }
  return std::lower_bound(rows.begin(), at, start, [](const CandlePtr& c, Timestamp s) { return c->row.start < s; });
}

}  // namespace

std::optional<Timestamp> InstrumentMemory::as_of() const {
  std::optional<Timestamp> out;
  for (const auto& memory : tapes)
    if (memory && memory->progress) out = std::max(out, memory->progress->frontier);
  return out;
}

std::size_t InstrumentMemory::open_gaps() const {
  return static_cast<std::size_t>(std::ranges::count_if(gaps, [](const auto& gap) { return !ended(gap.second); }));
}

Recent::Recent(Options options) : options_{std::move(options)} {
  const auto& intervals = options_.intervals;
  at_.resize(static_cast<std::size_t>(options_.partitions));
  skipped_.resize(at_.size());
  kept_.assign(intervals.size(), options_.candles);
  lower_.resize(intervals.size());
  for (std::size_t i = 0; i < intervals.size(); ++i) {
    if (!minute_ && intervals[i] >= std::chrono::minutes{1}) minute_ = i;
    for (std::size_t j = i; j-- > 0 && !lower_[i];)
      // Only what is itself rolled up, or has open rows of its own, can be rolled up from.
      if (intervals[i].count() % intervals[j].count() == 0 && (j == 0 || lower_[j])) lower_[i] = j;
    if (lower_[i]) {
      // A whole window, and one before it that has not closed yet.
      const auto ratio = static_cast<std::size_t>(intervals[i] / intervals[*lower_[i]]);
      kept_[*lower_[i]] = std::max(kept_[*lower_[i]], 2 * ratio + 2);
    }
  }
}

std::optional<std::size_t> Recent::place(Interval interval) const {
  const auto found = std::ranges::lower_bound(options_.intervals, interval);
  if (found == options_.intervals.end() || *found != interval) return std::nullopt;
  return static_cast<std::size_t>(found - options_.intervals.begin());
}

InstrumentMemory* Recent::find(const Instrument& instrument) {
  const auto found = instruments_.find(instrument);
  return found == instruments_.end() ? nullptr : found->second.get();
}

InstrumentMemory& Recent::at(const Instrument& instrument) {
  auto& slot = instruments_[instrument];
  if (!slot) {
    slot = std::make_unique<InstrumentMemory>();
    slot->instrument = instrument;
    slot->partition = partition_of(instrument, options_.partitions);
    slot->gone = skipped_[static_cast<std::size_t>(slot->partition)];
    slot->watched.resize(options_.intervals.size());
    slot->roomy = roomy_ < options_.instruments;
    if (slot->roomy) ++roomy_;
  }
  return *slot;
}

TapeMemory& Recent::tape_of(InstrumentMemory& of, Tape tape) {
  auto& slot = of.tapes[static_cast<std::size_t>(tape)];
  if (!slot) {
    slot = std::make_unique<TapeMemory>();
    slot->series.resize(options_.intervals.size());
  }
  return *slot;
}

std::int64_t Recent::applied(std::string_view topic, std::int32_t partition) const {
  const auto found = applied_.find({topic, partition});
  return found == applied_.end() ? 0 : found->second;
}

std::size_t Recent::most_rows(const InstrumentMemory& of, std::size_t place) const {
  return of.roomy ? kept_[place] : kLastRows;
}
std::size_t Recent::most_trades(const InstrumentMemory& of) const {
  return of.roomy ? options_.trades : std::min(options_.trades, kLastRows);
}

void Recent::ask(InstrumentMemory& of, std::chrono::steady_clock::time_point now) {
  of.asked = now;
  if (of.roomy) return;
  of.roomy = true;
  if (++roomy_ <= options_.instruments) return;
  InstrumentMemory* oldest = nullptr;
  for (const auto& [instrument, other] : instruments_)
    if (other->roomy && !other->filling && other->followers == 0 && other.get() != &of &&
        (oldest == nullptr || other->asked < oldest->asked))
      oldest = other.get();
  if (oldest == nullptr) return;
  oldest->roomy = oldest->filled = false;
  --roomy_;
  trim(*oldest);
}

void Recent::trim(InstrumentMemory& of) {
  for (const auto& memory : of.tapes) {
    if (!memory) continue;
    for (std::size_t i = 0; i < memory->series.size(); ++i) trim(of, memory->series[i], i);
    while (memory->trades.size() > most_trades(of)) drop_oldest_trade(of, *memory);
  }
}

void Recent::drop_oldest_trade(InstrumentMemory& of, TapeMemory& memory) {
  of.gone.trades = std::max(of.gone.trades, memory.trades.front().below);
  memory.trades.pop_front();
  memory.trades_from_beginning = false;
}

// Not all below was given: what the store has must be read again, once it has all of it.
void Recent::skip(const Followed::Position& position) {
  const auto member = member_of(position.topic);
  if (member == nullptr) return;
  const auto raise = [&](Gone& gone) { gone.*member = std::max(gone.*member, position.next); };
  raise(skipped_[static_cast<std::size_t>(position.partition)]);
  for (const auto& [instrument, of] : instruments_) {
    if (of->partition != position.partition) continue;
    raise(of->gone);
    of->filled = false;
    ++of->unfilled;
  }
}

void Recent::trim(InstrumentMemory& of, CandleSeries& series, std::size_t place) {
  const std::size_t most = most_rows(of, place);
  if (series.rows.size() <= most || of.filling) return;
  const auto stay = series.rows.end() - static_cast<std::ptrdiff_t>(most);
  for (auto row = series.rows.begin(); row != stay; ++row) of.gone.candles = std::max(of.gone.candles, (*row)->below);
  series.gone_to = std::max(series.gone_to, std::optional{(*std::prev(stay))->row.start});
  series.rows.erase(series.rows.begin(), stay);
  series.from_beginning = false;
}

// The windows above that hold this one are to be rolled up anew.
void Recent::touch(TapeMemory& memory, std::size_t place, Timestamp start) {
  for (std::size_t i = place + 1; i < options_.intervals.size(); ++i) {
    if (!lower_[i] || options_.intervals[i].count() % options_.intervals[place].count() != 0) continue;
    auto& unrolled = memory.series[i].unrolled;
    const Timestamp window = window_start(start, options_.intervals[i]);
    if (std::ranges::find(unrolled, window) != unrolled.end()) continue;
    if (unrolled.size() == kMostUnrolled) unrolled.erase(std::ranges::min_element(unrolled));
    unrolled.push_back(window);
  }
}

CandlePtr Recent::put(InstrumentMemory& of, const Candle& candle) {
  const auto at = place(candle.interval);
  if (!at) return nullptr;  // of an interval that was built once
  TapeMemory& memory = tape_of(of, candle.tape);
  of.tape = candle.tape;
  if (minute_ && *at == *minute_ && candle.status != CandleStatus::open) {
    const Timestamp from = candle.completeness == Completeness::partial ? candle.start + Nanoseconds{1} : candle.start;
    if (!memory.known_from || from < *memory.known_from) memory.known_from = from;
  }
  CandleSeries& series = memory.series[*at];
  const std::int64_t below = at_[static_cast<std::size_t>(of.partition)].candles;
  const auto found = find_start(series.rows, candle.start);
  if (found != series.rows.end() && (*found)->row.start == candle.start) {
    const CandleRow& there = **found;
    if (!there.rolled && !replaces(row_order(candle), row_order(there.row))) return nullptr;
    auto fresh = std::make_shared<const CandleRow>(CandleRow{candle, false, below});
    *found = fresh;
    touch(memory, *at, candle.start);
    return fresh;
  }
  auto fresh = std::make_shared<const CandleRow>(CandleRow{candle, false, below});
  // Older than all that is kept: a late correction, which only those who follow are told of. The store has it.
  if (found == series.rows.begin() && series.rows.size() >= most_rows(of, *at) && !of.filling) {
    of.gone.candles = std::max(of.gone.candles, below);
    series.gone_to = std::max(series.gone_to, std::optional{candle.start});
    return fresh;
  }
  series.rows.insert(found, fresh);
  trim(of, series, *at);
  touch(memory, *at, candle.start);
  return fresh;
}

void Recent::roll(InstrumentMemory& of, Tape tape, std::size_t place, std::vector<CandlePtr>* changed) {
  TapeMemory* const memory = of.memory(tape);
  if (memory == nullptr || !lower_[place]) return;
  CandleSeries& series = memory->series[place];
  if (series.unrolled.empty()) return;
  roll(of, tape, *lower_[place]);
  const Interval interval = options_.intervals[place];
  const CandleSeries& below = memory->series[*lower_[place]];
  auto& lower = memory->series[*lower_[place]].rows;
  std::vector<Gap> open;
  for (const auto& [key, gap] : of.gaps)
    if (key.tape == tape && !ended(gap)) open.push_back(gap);
  std::vector<Timestamp> windows = std::exchange(series.unrolled, {});
  std::ranges::sort(windows);
  for (const Timestamp start : windows) {
    const auto found = find_start(series.rows, start);
    const bool there = found != series.rows.end() && (*found)->row.start == start;
    if (there && !(*found)->rolled) continue;  // the stream's own row says it exactly
    if (!there && found == series.rows.begin() && !series.rows.empty() && series.rows.size() >= kept_[place]) continue;
    if (below.gone_to && *below.gone_to >= start) {  // of a part of its rows it would say less than there was
      if (!there) series.gone_to = std::max(series.gone_to, std::optional{start});
      continue;
    }
    bases_.clear();
    for (auto base = find_start(lower, start); base != lower.end() && (*base)->row.start < start + interval; ++base)
      bases_.push_back((*base)->row);
    auto candle = roll_up(bases_, interval, open, memory->known_from);
    if (!candle) continue;
    auto fresh = std::make_shared<const CandleRow>(CandleRow{std::move(*candle), true});
    if (there)
      *found = fresh;
    else
      series.rows.insert(found, fresh);
    if (changed != nullptr) changed->push_back(std::move(fresh));
  }
  trim(of, series, place);
}

bool Recent::put_trade(InstrumentMemory& of, const Trade& trade) {
  TapeMemory& memory = tape_of(of, trade.tape);
  of.tape = trade.tape;
  auto& trades = memory.trades;
  auto at = trades.end();
  while (at != trades.begin() && trade_place(*std::prev(at)) > trade_place(trade)) --at;
  if (at != trades.begin() && same_trade(*std::prev(at), trade)) return false;
  const std::int64_t below = at_[static_cast<std::size_t>(of.partition)].trades;
  if (at == trades.begin() && trades.size() >= most_trades(of) && !of.filling) {
    of.gone.trades = std::max(of.gone.trades, below);
    memory.trades_from_beginning = false;
    return true;
  }
  trades.insert(at, KeptTrade{trade, below});
  if (trades.size() > most_trades(of) && !of.filling) drop_oldest_trade(of, memory);
  return true;
}

bool Recent::put_gap(InstrumentMemory& of, const Gap& gap) {
  auto [at, fresh] = of.gaps.try_emplace(key_of(gap), gap);
  if (!fresh) {
    if (!replaces(row_order(gap), row_order(at->second))) return false;
    at->second = gap;
  }
  if (ended(gap) && of.gaps.size() > kMostEndedGaps) {
    std::size_t count = 0;
    auto oldest = of.gaps.end();
    for (auto entry = of.gaps.begin(); entry != of.gaps.end(); ++entry) {
      if (!ended(entry->second)) continue;
      ++count;
      if (oldest == of.gaps.end() || end_of(entry->second) < end_of(oldest->second)) oldest = entry;
    }
    if (count > kMostEndedGaps) {
      of.gaps.erase(oldest);
      of.gone.gaps = std::max(of.gone.gaps, at_[static_cast<std::size_t>(of.partition)].gaps);
    }
  }
  // Open windows that it touches are told anew.
  if (TapeMemory* const memory = of.memory(gap.tape))
    for (std::size_t i = 1; i < memory->series.size(); ++i)
      for (const CandlePtr& row : memory->series[i].rows)
        if (row->rolled && lower_[i]) touch(*memory, 0, row->row.start);
  return true;
}

bool Recent::put_progress(InstrumentMemory& of, const Progress& progress, std::chrono::steady_clock::time_point now,
                          bool live) {
  TapeMemory& memory = tape_of(of, progress.tape);
  of.tape = progress.tape;
  if (memory.progress && !replaces(row_order(progress), row_order(*memory.progress))) return false;
  // Only the time itself says that the venue is heard: history that is imported moves it not at all.
  if (live && progress.frontier && (!memory.progress || progress.frontier > memory.progress->frontier)) of.heard = now;
  memory.progress = progress;
  return true;
}

void Recent::put_quote(InstrumentMemory& of, const Quote& quote, Changes& changes) {
  auto& slot = quote.kind == QuoteKind::best ? of.best : of.ticker;
  // Of two connections the one behind.
  if (slot && quote.order != 0 && quote.order < slot->order && quote.receive_time <= slot->receive_time) return;
  const bool first = !slot;
  slot = quote;
  if (first || std::ranges::find(changes.quotes, &*slot) == changes.quotes.end()) changes.quotes.push_back(&*slot);
}

Changes Recent::apply(const Followed& batch, std::chrono::steady_clock::time_point now) {
  Changes changes;
  const auto instrument = [&](const Instrument& of) -> InstrumentMemory& {
    const auto found = instruments_.find(of);
    if (found != instruments_.end()) return *found->second;
    changes.instruments.insert(of);
    return at(of);
  };
  for (const auto* positions : {&batch.begun, &batch.positions})
    for (const auto& position : *positions) {
      applied_[{position.topic, position.partition}] = position.next;
      if (const auto member = member_of(position.topic))
        at_[static_cast<std::size_t>(position.partition)].*member = position.next;
    }
  for (const auto& position : batch.skipped) skip(position);
  const bool live = caught_up_;
  caught_up_ |= batch.caught_up;
  for (const Instrument& of : batch.known) instrument(of);
  for (const Reference& reference : batch.references) {
    instrument(reference.instrument).reference = reference;
    changes.instruments.insert(reference.instrument);
  }
  for (const ControlRecord& record : batch.control) {
    control_.fold(record);
    if (const auto* wanted = std::get_if<WantedInstrument>(&record)) {
      if (is_wildcard(wanted->instrument)) {
        for (const auto& [of, memory] : instruments_)
          if (of.venue() == wanted->instrument.venue()) changes.instruments.insert(of);
        continue;
      }
      instrument(wanted->instrument);
      changes.instruments.insert(wanted->instrument);
    } else if (const auto* feed = std::get_if<FeedReport>(&record)) {
      changes.feeds.insert(feed->venue);
    } else {
      changes.ingest = true;
    }
  }
  for (const News& headline : batch.news) news_.put(headline);
  changes.news = batch.news;
  for (const NewsCount& count : batch.news_counts)
    if (news_.put(count)) changes.news_counts.push_back(count);
  for (const Gap& gap : batch.gaps) {
    InstrumentMemory& of = instrument(gap.instrument);
    const std::size_t before = of.open_gaps();
    if (!put_gap(of, gap)) continue;
    changes.gaps.push_back(gap);
    if (of.open_gaps() != before) changes.instruments.insert(gap.instrument);
  }
  std::map<std::tuple<Instrument, Tape, Interval, Timestamp>, std::size_t> at_key;
  for (const Candle& candle : batch.candles) {
    auto row = put(instrument(candle.instrument), candle);
    if (!row) continue;
    const auto [at, fresh] =
        at_key.try_emplace({candle.instrument, candle.tape, candle.interval, candle.start}, changes.candles.size());
    if (fresh)
      changes.candles.push_back(std::move(row));
    else
      changes.candles[at->second] = std::move(row);
  }
  for (const Trade& trade : batch.trades)
    if (put_trade(instrument(trade.instrument), trade)) changes.trades.push_back(&trade);
  for (const Quote& quote : batch.stored_quotes) {
    InstrumentMemory& of = instrument(quote.instrument);
    if (!(quote.kind == QuoteKind::best ? of.best : of.ticker)) put_quote(of, quote, changes);
  }
  for (const Quote& quote : batch.quotes) put_quote(instrument(quote.instrument), quote, changes);
  for (const Progress& progress : batch.progress)
    if (put_progress(instrument(progress.instrument), progress, now, live)) changes.progress.push_back(progress);
  // Watched larger windows, once for each that something in it has changed.
  std::set<InstrumentMemory*> moved;
  for (const CandlePtr& row : changes.candles) moved.insert(find(row->row.instrument));
  for (const Gap& gap : changes.gaps) moved.insert(find(gap.instrument));
  for (InstrumentMemory* of : moved)
    for (std::size_t i = 0; i < of->watched.size(); ++i)
      if (of->watched[i] > 0)
        for (const Tape tape : {Tape::trade, Tape::agg}) roll(*of, tape, i, &changes.candles);
  return changes;
}

void Recent::fill(InstrumentMemory& of, const Filled& filled) {
  of.filling = false;
  if (of.filled) return;
  of.filled = true;
  const Tape own = of.tape;
  bool any = false;
  for (const Tape tape : {Tape::trade, Tape::agg}) any |= of.memory(tape) != nullptr;
  for (const Tape tape : {Tape::trade, Tape::agg}) {
    const Filled::OfTape& from = filled.tapes[static_cast<std::size_t>(tape)];
    if (!from.any && of.memory(tape) == nullptr) continue;
    TapeMemory& memory = tape_of(of, tape);
    if (from.known_from && (!memory.known_from || *from.known_from < *memory.known_from))
      memory.known_from = from.known_from;
    for (std::size_t i = 0; i < from.candles.size(); ++i) {
      // Room for both, then the newest stay; so each series is without a hole.
      auto& series = memory.series[i];
      for (const Candle& candle : from.candles[i]) {
        const auto found = find_start(series.rows, candle.start);
        const bool there = found != series.rows.end() && (*found)->row.start == candle.start;
        if (there && !(*found)->rolled && !replaces(row_order(candle), row_order((*found)->row))) continue;
        auto fresh = std::make_shared<const CandleRow>(CandleRow{candle});
        if (there)
          *found = std::move(fresh);
        else
          series.rows.insert(found, std::move(fresh));
        touch(memory, i, candle.start);
      }
      series.from_beginning = from.candles[i].size() < kept_[i];
      series.gone_to.reset();
      if (!series.from_beginning && !series.rows.empty())
        series.gone_to = series.rows.front()->row.start - Nanoseconds{1};
      trim(of, series, i);
    }
    auto trades = std::exchange(memory.trades, {});
    for (const Trade& trade : from.trades) trades.push_back(KeptTrade{trade});
    std::ranges::sort(trades, [](const Trade& a, const Trade& b) { return trade_place(a) < trade_place(b); });
    trades.erase(std::unique(trades.begin(), trades.end(), same_trade), trades.end());
    memory.trades_from_beginning = from.trades.size() < options_.trades && trades.size() <= options_.trades;
    memory.trades = std::move(trades);
    while (memory.trades.size() > options_.trades) drop_oldest_trade(of, memory);
  }
  if (!any)  // nothing has come from the log yet: the tape of what the store has newest
    of.tape = filled.tapes[1].any && !filled.tapes[0].any ? Tape::agg : Tape::trade;
  else
    of.tape = own;
}

void Recent::give_up_filling(InstrumentMemory& of) {
  of.filling = false;
  trim(of);
}

bool Recent::judge(InstrumentMemory& of, std::chrono::steady_clock::time_point now) const {
  of.stale = !of.heard || now - *of.heard > options_.stale_after || !received(of.instrument);
  return of.stale;
}

// What ingest last said of the venue's feed outweighs that time has moved: that may be a backlog, or the evidence of a
// connection on which nothing of this instrument can come.
bool Recent::received(const Instrument& instrument) const {
  const auto known = instruments_.find(instrument);
  const bool priced = known != instruments_.end() && known->second->reference;
  if (!control_.wants(instrument, priced ? std::string_view{known->second->reference->quote} : std::string_view{}))
    return true;  // an import, perhaps under way
  const auto feed = control_.feeds.find(instrument.venue());
  if (feed == control_.feeds.end()) return true;
  const FeedReport& report = feed->second;
  return report.running && std::ranges::any_of(report.connections, [](const auto& c) { return c.state == "live"; }) &&
         std::ranges::find(report.unknown, instrument) == report.unknown.end();
}

}  // namespace truetape
