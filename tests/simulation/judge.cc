#include "judge.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "batch/decoders.h"
#include "codec/quarantine.h"
#include "codec/wire.h"
#include "market/processor.h"

namespace truetape::simulation {
namespace {

using Complaints = std::vector<std::string>;
constexpr std::size_t kMost = 40;

void complain(Complaints& to, std::string what) {
  if (to.size() < kMost) to.push_back(std::move(what));
}

std::string text(Timestamp t) { return to_rfc3339(t); }
std::string text(const Candle& c) {
  std::string out = c.instrument.str() + " " + to_text(c.interval) + " " + text(c.start) + " " +
                    std::string{name(c.status)} + " " + std::string{name(c.completeness)} + "/" +
                    std::string{name(c.proof)} + (c.repaired ? " repaired" : "") + " epoch " + std::to_string(c.epoch) +
                    " revision " + std::to_string(c.revision);
  if (c.trades) out += " trades " + std::to_string(*c.trades);
  if (c.first_id) out += " ids " + std::to_string(*c.first_id) + "-" + std::to_string(c.last_id.value_or(0));
  if (c.close) out += " close " + to_text(*c.close);
  if (c.volume) out += " volume " + to_text(*c.volume);
  return out;
}
std::string text(const Gap& g) {
  return g.instrument.str() + " gap " + std::to_string(g.first_id) + "-" +
         (g.last_id ? std::to_string(*g.last_id) : "") + " missing " + std::to_string(g.missing) + " " +
         std::string{name(g.state)} + " " + std::string{name(g.reason)} + " epoch " + std::to_string(g.epoch) +
         " revision " + std::to_string(g.revision);
}
std::string text(const Trade& t) {
  return t.instrument.str() + " trade " + t.id.str() + " at " + text(t.event_time) + " " + to_text(t.price) + " x " +
         to_text(t.quantity) + " of " + t.source.str() + "/" + std::to_string(t.seq);
}
std::string text(const Progress& p) {
  const auto or_none = [](const std::optional<Timestamp>& t) { return t ? text(*t) : std::string{"-"}; };
  return p.instrument.str() + " progress " + or_none(p.frontier) + " closed " + or_none(p.closed_until) + " proven " +
         or_none(p.proven_until) + " sealed " + or_none(p.sealed_until) + " epoch " + std::to_string(p.epoch) +
         " revision " + std::to_string(p.revision);
}
std::string text(const LateWindow& l) {
  return l.instrument.str() + " late " + text(l.start) + " " + std::to_string(l.trades);
}
std::string text(const Quarantined& q) {
  return "quarantined raw/" + std::to_string(q.partition) + " " + std::to_string(q.offset) + " id " + q.id.str() + " " +
         std::string{name(q.reason)} + ": " + q.detail;
}
std::string text(const Reference& r) { return r.instrument.str() + " reference " + r.status; }

// Every row of one log in the order of the log: what each key's last row is, and what a store must keep.
struct Read {
  Rows last;
  Rows kept;  // of rows that a store has loaded: by row order, worked out here and not by core/row_order.h
};

// The order of semantics section 6, once more.
using Order = std::tuple<bool, std::int64_t, std::uint64_t>;
Order order(const Candle& c) {
  const bool settled = c.status != CandleStatus::open && c.completeness != Completeness::partial;
  return {settled, c.epoch, c.revision};
}
Order order(const Gap& g) { return {true, g.epoch, g.revision}; }
Order order(const Progress& p) { return {true, p.epoch, p.revision}; }

template <class Table, class T>
void keep(Table& table, const T& row) {
  const auto [at, fresh] = table.try_emplace(key_of(row), row);
  if (!fresh && order(row) > order(at->second)) at->second = row;
}

template <class T, class Each>
void for_rows(const LogTape& log, std::string_view topic, Complaints& out, Each each) {
  for (const Taken& taken : log.of(topic)) {
    const auto row = wire::decode<T>(taken.value);
    if (!row)
      complain(out, std::string{topic} + " offset " + std::to_string(taken.offset) + ": " + row.error().detail);
    else
      each(taken, *row);
  }
}

bool was_loaded(const LogTape& log, std::string_view topic, const Taken& taken) {
  if (!log.replaced) return true;
  const auto found = log.loaded.find({std::string{topic}, taken.partition});
  return found != log.loaded.end() && taken.offset < found->second;
}

// A row must stand above the one before it of its key.
template <class Table, class T>
void rising(Table& last, const T& row, Complaints& out) {
  const auto [at, fresh] = last.try_emplace(key_of(row), row);
  if (fresh) return;
  // A heart that was made anew says what is open once more.
  if (order(row) <= order(at->second) && !(row == at->second))
    complain(out, "a row does not rise: " + text(at->second) + " then " + text(row));
  at->second = row;
}

void read_log(const LogTape& log, Rows& last, Rows& kept, Complaints& out) {
  for_rows<Trade>(log, topic::trades, out, [&](const Taken& at, const Trade& row) {
    if (!last.trades.try_emplace(key_of(row), row).second) complain(out, "twice in the topic: " + text(row));
    if (was_loaded(log, topic::trades, at)) kept.trades.try_emplace(key_of(row), row);
  });
  for_rows<Candle>(log, topic::candles, out, [&](const Taken& at, const Candle& row) {
    rising(last.candles, row, out);
    if (row.epoch != log.epoch) complain(out, "of another epoch than its log: " + text(row));
    if (was_loaded(log, topic::candles, at)) keep(kept.candles, row);
  });
  for_rows<Gap>(log, topic::gaps, out, [&](const Taken& at, const Gap& row) {
    rising(last.gaps, row, out);
    if (was_loaded(log, topic::gaps, at)) keep(kept.gaps, row);
  });
  for_rows<Progress>(log, topic::progress, out, [&](const Taken& at, const Progress& row) {
    rising(last.progress, row, out);
    if (was_loaded(log, topic::progress, at)) keep(kept.progress, row);
  });
  for_rows<LateWindow>(log, topic::late, out, [&](const Taken& at, const LateWindow& row) {
    last.late.insert_or_assign(key_of(row), row);
    if (!was_loaded(log, topic::late, at)) return;
    const auto [stored, fresh] = kept.late.try_emplace(key_of(row), row);
    if (!fresh && row.trades > stored->second.trades) stored->second = row;
  });
  for_rows<Reference>(log, topic::instruments, out, [&](const Taken& at, const Reference& row) {
    last.references.insert_or_assign(row.instrument, row);
    if (was_loaded(log, topic::instruments, at)) kept.references.insert_or_assign(row.instrument, row);
  });
  for (const Taken& taken : log.of(topic::quarantine)) {
    std::vector<Header> headers;
    for (const auto& [header_name, value] : taken.headers) headers.push_back({header_name, value});
    auto row = read_quarantined(taken.value, headers);
    if (!row) {
      complain(out, "quarantine offset " + std::to_string(taken.offset) + ": " + row.error().detail);
      continue;
    }
    const QuarantineKey key{log.id, row->partition, row->offset, row->ordinal};
    if (was_loaded(log, topic::quarantine, taken)) kept.quarantined.insert_or_assign(key, *row);
    if (!last.quarantined.insert_or_assign(key, std::move(*row)).second)
      complain(out, "twice in quarantine: raw offset " + std::to_string(std::get<2>(key)));
  }
}

// Two tables must say the same.
template <class Table>
void expect_same(const Table& expected, const Table& found, const std::string& where, Complaints& out) {
  auto e = expected.begin();
  auto f = found.begin();
  while (e != expected.end() || f != found.end()) {
    if (f == found.end() || (e != expected.end() && e->first < f->first)) {
      complain(out, where + " lacks " + text(e->second));
      ++e;
    } else if (e == expected.end() || f->first < e->first) {
      complain(out, where + " has, and should not: " + text(f->second));
      ++f;
    } else {
      if (!(e->second == f->second))
        complain(out, where + " has " + text(f->second) + " where " + text(e->second) + " is expected");
      ++e;
      ++f;
    }
  }
}

// P5b: the same raw, folded in one batch by hearts that never died.
void judge_fold(const LogTape& log, const Rules& rules, const Rows& last, const Evidence& evidence, Complaints& out) {
  std::map<std::int32_t, Processor> hearts;
  Results results;
  for (const Taken& taken : log.of(topic::raw)) {
    auto heart = hearts.find(taken.partition);
    if (heart == hearts.end())
      heart = hearts.emplace(taken.partition, Processor{rules, all_decoders(), taken.partition, log.epoch}).first;
    std::vector<Header> headers;
    for (const auto& [header_name, value] : taken.headers) headers.push_back({header_name, value});
    heart->second.fold(read_raw(taken.value, headers, taken.partition, taken.offset), results);
  }
  for (auto& [partition, heart] : hearts) heart.finish_batch(results);

  Rows fresh;
  for (const Trade& row : results.trades) fresh.trades.insert_or_assign(key_of(row), row);
  for (const Candle& row : results.candles) fresh.candles.insert_or_assign(key_of(row), row);
  for (const Gap& row : results.gaps) fresh.gaps.insert_or_assign(key_of(row), row);
  for (const Progress& row : results.progress) fresh.progress.insert_or_assign(key_of(row), row);
  for (const LateWindow& row : results.late) fresh.late.insert_or_assign(key_of(row), row);
  for (const Reference& row : results.instruments) fresh.references.insert_or_assign(row.instrument, row);
  for (const Quarantined& row : results.quarantined)
    fresh.quarantined.insert_or_assign(QuarantineKey{log.id, row.partition, row.offset, row.ordinal}, row);
  const std::string where = "the log (against one fold of its raw)";
  if (log.replaced) return;  // it may not have been processed to its end
  expect_same(fresh.trades, last.trades, where, out);
  expect_same(fresh.candles, last.candles, where, out);
  expect_same(fresh.gaps, last.gaps, where, out);
  expect_same(fresh.progress, last.progress, where, out);
  expect_same(fresh.late, last.late, where, out);
  expect_same(fresh.references, last.references, where, out);
  expect_same(fresh.quarantined, last.quarantined, where, out);

  // Semantics section 10.
  Counts once, counted;
  for (const auto& [venue, counts] : results.counts) add(once, counts);
  for (const auto& [venue, counts] : evidence.counts.venues) add(counted, counts);
  if (!once.balanced()) complain(out, "the counts of one fold do not add up");
  if (!counted.balanced()) complain(out, "the counts of process do not add up");
  const auto compare = [&](std::string_view what, std::uint64_t of_fold, std::uint64_t of_roles) {
    const bool good = evidence.watch.commits_lost == 0 ? of_roles == of_fold : of_roles <= of_fold;
    if (!good)
      complain(out, "process counted " + std::to_string(of_roles) + " items as " + std::string{what} + ", one fold " +
                        std::to_string(of_fold));
  };
  compare("in", once.in, counted.in);
  compare("accepted", once.accepted, counted.accepted);
  compare("duplicate", once.duplicate, counted.duplicate);
  compare("quarantined", once.quarantined, counted.quarantined);
  compare("void", once.empty, counted.empty);
  compare("undecodable", once.undecodable, counted.undecodable);
  compare("records", log.of(topic::raw).size(), evidence.counts.records);
  if (once.accepted != last.trades.size())
    complain(out, std::to_string(once.accepted) + " items were accepted, the topic has " +
                      std::to_string(last.trades.size()) + " trades");
}

std::optional<std::uint64_t> number_behind(std::string_view bytes, std::string_view mark) {
  const std::size_t at = bytes.find(mark);
  if (at == std::string_view::npos) return std::nullopt;
  std::uint64_t out = 0;
  const char* const begin = bytes.data() + at + mark.size();
  const auto [end, ec] = std::from_chars(begin, bytes.data() + bytes.size(), out);
  return ec == std::errc{} && end != begin ? std::optional{out} : std::nullopt;
}

// What reached raw of one instrument, by the venue's list: frames that are exactly what the venue sent.
struct Reached {
  const Listing* listing = nullptr;
  std::map<std::uint64_t, std::vector<std::pair<std::int32_t, std::int64_t>>> clean;  // id -> places in raw
};
std::map<std::string, Reached> reached_raw(const LogTape& log, const Evidence& evidence) {
  std::map<std::string, Reached> out;
  for (const auto& listing : evidence.listings) out[listing->instrument].listing = listing.get();
  for (const Taken& taken : log.of(topic::raw)) {
    const auto id = number_behind(taken.value, "\"t\":");
    const auto sent = number_behind(taken.value, "\"E\":");
    if (!id || !sent) continue;
    for (auto& [instrument, reached] : out) {
      const Print* const print = reached.listing->find(*id);
      if (print == nullptr || frame_of(*reached.listing, *print, static_cast<std::int64_t>(*sent)) != taken.value)
        continue;
      const bool named = std::ranges::any_of(taken.headers, [&, wanted = &instrument](const auto& h) {
        return h.first == header::instruments && h.second == *wanted;
      });
      if (named) reached.clean[*id].emplace_back(taken.partition, taken.offset);
    }
  }
  return out;
}

constexpr Int128 power(int exponent) {
  Int128 out = 1;
  for (int i = 0; i < exponent; ++i) out *= 10;
  return out;
}

// The candle that the venue's whole list gives.
Candle true_candle(const Listing& listing, Timestamp start, Timestamp end) {
  Candle out;
  Int128 volume = 0, quote = 0, taker = 0, taker_quote = 0;
  std::uint64_t trades = 0;
  const auto from = std::ranges::lower_bound(listing.prints, to_ns(start), {},
                                             [](const Print& p) { return p.time_ms * kMillisecond; });
  for (auto print = from; print != listing.prints.end() && print->time_ms * kMillisecond < to_ns(end); ++print) {
    if (print->marker) continue;
    const Decimal price = *Decimal::of(print->price, 2);
    if (trades++ == 0) {
      out.open = out.high = out.low = price;
      out.first_id = print->id;
      out.first_time = timestamp_ns(print->time_ms * kMillisecond);
    }
    out.high = std::max(*out.high, price);
    out.low = std::min(*out.low, price);
    out.close = price;
    out.last_id = print->id;
    out.last_time = timestamp_ns(print->time_ms * kMillisecond);
    volume += print->quantity;
    quote += Int128{print->price} * print->quantity;
    if (!print->buyer_is_maker) {
      taker += print->quantity;
      taker_quote += Int128{print->price} * print->quantity;
    }
  }
  out.trades = trades;
  out.volume = Amount{volume * power(15)};
  out.quote_volume = Amount{quote * power(13)};
  out.taker_buy_volume = Amount{taker * power(15)};
  out.taker_buy_quote_volume = Amount{taker_quote * power(13)};
  return out;
}

bool says(const Candle& c, const Candle& truth) {
  return c.open == truth.open && c.high == truth.high && c.low == truth.low && c.close == truth.close &&
         c.volume == truth.volume && c.quote_volume == truth.quote_volume && c.trades == truth.trades &&
         c.taker_buy_volume == truth.taker_buy_volume && c.taker_buy_quote_volume == truth.taker_buy_quote_volume &&
         c.first_id == truth.first_id && c.last_id == truth.last_id && c.first_time == truth.first_time &&
         c.last_time == truth.last_time;
}

void judge_candles(const Rows& last, const Evidence& evidence, Complaints& out, Trace& trace) {
  std::map<std::string, const Listing*, std::less<>> listings;
  for (const auto& listing : evidence.listings) listings[listing->instrument] = listing.get();
  for (const auto& [key, candle] : last.candles) {
    const auto found = listings.find(candle.instrument.text());
    if (found == listings.end()) {
      complain(out, "of an instrument that nobody trades: " + text(candle));
      continue;
    }
    trace.outcome("candles " + std::string{name(candle.completeness)} +
                  (candle.proof == Proof::none ? "" : "/" + std::string{name(candle.proof)}));
    if (candle.repaired) trace.outcome("candles repaired");
    const bool whole = candle.completeness == Completeness::complete || candle.completeness == Completeness::quiet;
    if (!whole || candle.status == CandleStatus::open) continue;
    const Candle truth = true_candle(*found->second, candle.start, candle.end());
    const bool right = candle.completeness == Completeness::complete ? says(candle, truth) : *truth.trades == 0;
    if (right) continue;
    if (candle.proof == Proof::session)
      trace.outcome("candles wrong by session");  // allowed: a venue may lose what it told nobody
    else
      complain(out, "not what the venue traded: " + text(candle) + "; true: trades " + std::to_string(*truth.trades) +
                        (truth.first_id ? " ids " + std::to_string(*truth.first_id) + "-" +
                                              std::to_string(*truth.last_id) + " close " + to_text(*truth.close)
                                        : ""));
  }
}

// Windows that the ids of accepted trades hold from before their begin to behind their end are whole.
void judge_proofs(const Listing& listing, const std::set<std::uint64_t>& known, const Rows& last, const Rules& rules,
                  const std::set<std::int64_t>& held_ms, Complaints& out) {
  const auto instrument = *Instrument::parse(listing.instrument);
  for (auto run = known.begin(); run != known.end();) {
    auto end = run;
    std::uint64_t last_id = *run;
    while (end != known.end() && *end == last_id + static_cast<std::uint64_t>(end == run ? 0 : 1)) last_id = *end++;
    const Timestamp low = timestamp_ns(listing.find(*run)->time_ms * kMillisecond);
    const Timestamp high = timestamp_ns(listing.find(last_id)->time_ms * kMillisecond);
    for (auto id = run; id != end; ++id) {
      const Print& print = *listing.find(*id);
      if (print.marker) continue;
      for (const Interval interval : rules.intervals) {
        const Timestamp start = window_start(timestamp_ns(print.time_ms * kMillisecond), interval);
        if (low >= start || high < start + interval) continue;
        const auto held = held_ms.lower_bound(to_ns(start) / kMillisecond);
        if (held != held_ms.end() && *held < to_ns(start + interval) / kMillisecond) continue;
        const auto found = last.candles.find({instrument, Tape::trade, interval.count(), start});
        if (found == last.candles.end())
          complain(out, listing.instrument + " has no candle " + to_text(interval) + " " + text(start));
        else if (found->second.completeness != Completeness::complete)
          complain(out, "its ids prove it: " + text(found->second));
      }
    }
    run = end;
  }
}

void judge_trades(const LogTape& log, const Rows& last, const Evidence& evidence, Complaints& out, Trace& trace) {
  std::map<std::pair<std::int32_t, std::int64_t>, const Quarantined*> quarantined;
  for (const auto& [key, row] : last.quarantined) {
    quarantined[{row.partition, row.offset}] = &row;
    trace.outcome("quarantined " + std::string{name(row.reason)});
  }
  std::map<std::string, std::set<std::uint64_t>, std::less<>> accepted;
  for (const auto& [key, trade] : last.trades) {
    accepted[trade.instrument.str()].insert(trade.order);
    const auto listing = std::ranges::find(evidence.listings, trade.instrument.text(),
                                           [](const auto& l) { return std::string_view{l->instrument}; });
    const Print* const print = listing == evidence.listings.end() ? nullptr : (*listing)->find(trade.order);
    if (print == nullptr || print->marker || *Decimal::of(print->price, 2) != trade.price ||
        *Decimal::of(print->quantity, 3) != trade.quantity ||
        timestamp_ns(print->time_ms * kMillisecond) != trade.event_time || trade.era != 0 ||
        (trade.taker_side == Side::sell) != print->buyer_is_maker)
      complain(out, "never traded so: " + text(trade));
  }
  trace.outcome("trades", last.trades.size());

  for (const auto& [instrument, reached] : reached_raw(log, evidence)) {
    const Listing& listing = *reached.listing;
    std::set<std::uint64_t> known = accepted[instrument];
    for (const auto& [id, places] : reached.clean) {
      const auto reason_at = [&](const auto& place) {
        const auto found = quarantined.find(place);
        return found == quarantined.end() ? nullptr : found->second;
      };
      if (known.contains(id)) continue;
      if (listing.find(id)->marker &&
          std::ranges::any_of(places, [&](const auto& place) { return reason_at(place) == nullptr; })) {
        known.insert(id);
        continue;
      }
      // A clock that was wrong may have made it look as if it came from the future; then it says so.
      const bool future = evidence.clocks_were_wrong && std::ranges::all_of(places, [&](const auto& place) {
                            const Quarantined* const q = reason_at(place);
                            return q != nullptr && q->reason == Reason::future;
                          });
      if (!future)
        complain(out, instrument + " " + std::to_string(id) + " is in raw/" + std::to_string(places.front().first) +
                          " at " + std::to_string(places.front().second) + ", and not among the trades");
    }
    for (const std::uint64_t id : accepted[instrument])
      if (!reached.clean.contains(id))
        complain(out, instrument + " " + std::to_string(id) + " is among the trades, and no sound frame in raw has it");
    if (known.empty()) continue;

    // Every missing id in exactly one gap.
    std::set<std::uint64_t> held;
    std::set<std::int64_t> held_ms;
    for (const auto& [key, row] : last.quarantined) {
      std::uint64_t id = 0;
      const std::string digits = row.id.str();
      if (row.instrument.text() != instrument || row.reason == Reason::future || digits.empty()) continue;
      std::from_chars(digits.data(), digits.data() + digits.size(), id);
      if (known.contains(id) || listing.find(id) == nullptr) continue;
      held.insert(id);
      held_ms.insert(listing.find(id)->time_ms);
    }
    std::vector<const Gap*> gaps;
    for (const auto& [key, gap] : last.gaps) {
      if (gap.instrument.text() != instrument) continue;
      trace.outcome("gaps " + std::string{name(gap.state)});
      if (gap.state == GapState::open || gap.state == GapState::progress || gap.state == GapState::lost)
        gaps.push_back(&gap);
    }
    std::map<const Gap*, std::uint64_t> missing_in;
    for (std::uint64_t id = *known.begin(); id <= *known.rbegin(); ++id) {
      const bool missing = !known.contains(id);
      std::size_t in = 0;
      for (const Gap* gap : gaps) {
        if (gap->first_id > id || !gap->last_id || *gap->last_id < id) continue;
        ++in;
        if (missing) ++missing_in[gap];
      }
      if (missing) trace.outcome("ids missing");
      // A hole that nothing has followed for long enough is not told of yet.
      const auto right = known.upper_bound(id);
      const std::int64_t settle_ms = evidence.rules.settle.count() / kMillisecond;
      const bool pending = in == 0 && right != known.end() &&
                           listing.find(*right)->time_ms + settle_ms > listing.find(*known.rbegin())->time_ms;
      if (pending && missing) trace.outcome("ids pending");
      if (missing && in != 1 && !held.contains(id) && !pending)
        complain(out, instrument + " " + std::to_string(id) + " is missing and in " + std::to_string(in) + " gaps");
      if (missing && in > 1) complain(out, instrument + " " + std::to_string(id) + " is in more than one gap");
    }
    for (const Gap* gap : gaps) {
      if (!gap->last_id) {
        if (gap->first_id <= *known.rbegin()) complain(out, "ids have come since: " + text(*gap));
        continue;
      }
      const std::uint64_t most = missing_in[gap];
      std::uint64_t of_held = 0;
      for (const std::uint64_t id : held) of_held += gap->first_id <= id && id <= *gap->last_id ? 1U : 0U;
      if (gap->missing > most || gap->missing + of_held < most)
        complain(out, text(*gap) + ", but " + std::to_string(most) + " ids of it are missing");
    }
    judge_proofs(listing, known, last, evidence.rules, held_ms, out);
  }
}

// What is received is in raw, once for each time that it was received: nothing is thrown away inside. Owed are frames
// on connections that lived on for as long as ingest holds what it has not flushed yet, and at times when the log took
// them: a log that fails may lose what was given to it, and what waits for room is lost with its connection.
void judge_delivered(const Evidence& evidence, Complaints& out, Trace& trace) {
  constexpr Time kHeld = 2 * kSecond;        // several looks of ingest
  constexpr Time kRecovered = 15 * kSecond;  // its longest pause before it opens the log again, and time to catch up
  std::map<std::size_t, std::size_t> in_raw;
  for (const LogTape& log : evidence.logs)
    if (!log.copied)
      for (const Taken& taken : log.of(topic::raw)) ++in_raw[hash_of(taken.value)];

  struct Owed {
    std::size_t times = 0;
    const Delivered* last = nullptr;
  };
  std::map<std::size_t, Owed> owed;
  for (const Delivered& frame : evidence.venue.delivered()) {
    const auto ended = evidence.venue.ended(frame.line);
    const bool died = ended && *ended < frame.at + kHeld;
    const bool trouble = std::ranges::any_of(evidence.log_troubles, [&](const auto& span) {
      return span.first - kHeld <= frame.at && frame.at <= span.second + kRecovered;
    });
    if (died || trouble) continue;
    trace.outcome("frames owed");
    Owed& one = owed[frame.hash];
    ++one.times;
    one.last = &frame;
  }
  for (const auto& [hash, frame] : owed)
    if (const auto found = in_raw.find(hash); found == in_raw.end() || found->second < frame.times)
      complain(out, frame.last->listing->instrument + " " + std::to_string(frame.last->id) + " was received " +
                        std::to_string(frame.times) + " times, on line " + std::to_string(frame.last->line) +
                        " last, and is in raw " + std::to_string(found == in_raw.end() ? 0 : found->second) + " times");
}

}  // namespace

OpenGaps open_gaps(const LogTape& log, const Rules& rules) {
  std::map<GapKey, Gap> last;
  Complaints ignored;
  for_rows<Gap>(log, topic::gaps, ignored,
                [&](const Taken&, const Gap& gap) { last.insert_or_assign(key_of(gap), gap); });
  OpenGaps out;
  std::set<std::tuple<Instrument, Tape, Interval, Timestamp>> windows;
  for (const auto& [key, gap] : last) {
    if (gap.state != GapState::open) continue;
    ++out.count;
    const Timestamp to = gap.to.value_or(gap.from) + rules.hold;
    for (const Interval interval : rules.intervals)
      for (Timestamp start = window_start(gap.from - rules.hold, interval); start <= to; start += interval)
        windows.emplace(gap.instrument, gap.tape, interval, start);
  }
  out.windows = windows.size();
  return out;
}

std::vector<std::string> judge(const Evidence& evidence, Trace& trace) {
  Complaints out;
  if (!evidence.watch.broken.empty()) complain(out, evidence.watch.broken);
  Rows kept;
  for (const LogTape& log : evidence.logs) {
    Rows last;
    read_log(log, last, kept, out);
    judge_fold(log, evidence.rules, last, evidence, out);
    judge_candles(last, evidence, out, trace);
    if (!log.replaced) judge_trades(log, last, evidence, out, trace);
  }
  judge_delivered(evidence, out, trace);
  const std::string where = "the store";
  expect_same(kept.trades, evidence.store.trades, where, out);
  expect_same(kept.candles, evidence.store.candles, where, out);
  expect_same(kept.gaps, evidence.store.gaps, where, out);
  expect_same(kept.progress, evidence.store.progress, where, out);
  expect_same(kept.references, evidence.store.references, where, out);
  if (evidence.store_tells_logs) expect_same(kept.late, evidence.store.late, where, out);
  if (evidence.store_tells_logs || evidence.logs.size() == 1)
    expect_same(kept.quarantined, evidence.store.quarantined, where, out);
  return out;
}

}  // namespace truetape::simulation
