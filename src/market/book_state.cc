// What a batch leaves behind: rows, and the state that a restart needs. Keys (without the instrument): h head,
// w/INTERVAL/START window, g/ERA/LEFT hole, d/ERA/ID held, b/ERA/FROM/TO neighbours that wait for a held id,
// a/ERA/FIRST absent, r/SLOT content hashes, l/INTERVAL/START late, q/IDENTITY recent.
#include <charconv>

#include "market/book.h"

namespace truetape::market {
namespace {

std::uint64_t number_of(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size())
    throw std::runtime_error("state: a key has no number in it: " + std::string{text});
  return value;
}

std::string key_of(char type, std::uint64_t a, std::uint64_t b) {
  return std::string{type} + '/' + std::to_string(a) + '/' + std::to_string(b);
}

void write(Writer& w, const Point& p) {
  w.time(p.time);
  w.number(p.id);
  w.decimal(p.price);
}
Point read_point(Reader& r) {
  Point p;
  p.time = r.time();
  p.id = r.number();
  p.price = r.decimal();
  return p;
}

void write(Writer& w, const Hole& h) {
  w.number(h.left);
  w.number(h.right);
  w.time(h.left_time);
  w.time(h.right_time);
  w.number(static_cast<std::uint64_t>(h.state));
  w.number(h.gap.first);
  w.number(h.gap.last);
  w.time(h.gap.from);
  w.time(h.gap.to);
  w.number(static_cast<std::uint64_t>(h.gap.reason));
  w.number(h.gap.revision);
  w.flag(h.gap.found);
  w.flag(h.gap.found_below);
  w.optional(h.lost_at, [&](Timestamp t) { w.time(t); });
  w.flag(h.released);
  w.optional(h.before, [&](const Point& p) { write(w, p); });
  w.time(h.sealed);
  w.time(h.sealed_above);
  w.time(h.known_from);
  w.time(h.old);
}
Hole read_hole(Reader& r) {
  Hole h;
  h.left = r.number();
  h.right = r.number();
  h.left_time = r.time();
  h.right_time = r.time();
  h.state = static_cast<GapState>(r.number());
  h.gap.first = r.number();
  h.gap.last = r.number();
  h.gap.from = r.time();
  h.gap.to = r.time();
  h.gap.reason = static_cast<GapReason>(r.number());
  h.gap.revision = r.number();
  h.gap.found = r.flag();
  h.gap.found_below = r.flag();
  h.lost_at = r.optional([&] { return r.time(); });
  h.released = r.flag();
  h.before = r.optional([&] { return read_point(r); });
  h.sealed = r.time();
  h.sealed_above = r.time();
  h.known_from = r.time();
  h.old = r.time();
  return h;
}

void write(Writer& w, const Trade& t) {
  w.number(static_cast<std::uint64_t>(t.tape));
  w.number(t.era);
  w.text(t.id.view());
  w.number(t.order);
  w.number(t.first_id);
  w.number(t.last_id);
  w.time(t.event_time);
  w.optional(t.receive_time, [&](Timestamp v) { w.time(v); });
  w.decimal(t.price);
  w.decimal(t.quantity);
  w.number(static_cast<std::uint64_t>(t.taker_side));
  w.text(t.kind.view());
  w.number(t.marks);
  w.text(t.source.view());
  w.number(t.seq);
  w.number(t.ordinal);
}
Trade read_trade(Reader& r, const Instrument& instrument) {
  Trade t;
  t.instrument = instrument;
  t.tape = static_cast<Tape>(r.number());
  t.era = static_cast<std::uint32_t>(r.number());
  t.id = r.fixed<40>();
  t.order = r.number();
  t.first_id = r.number();
  t.last_id = r.number();
  t.event_time = r.time();
  t.receive_time = r.optional([&] { return r.time(); });
  t.price = r.decimal();
  t.quantity = r.decimal();
  t.taker_side = static_cast<Side>(r.number());
  t.kind = r.fixed<20>();
  t.marks = static_cast<Marks>(r.number());
  t.source = r.fixed<40>();
  t.seq = r.number();
  t.ordinal = static_cast<std::uint32_t>(r.number());
  return t;
}

void write(Writer& w, const Gap& g) {
  w.number(g.era);
  w.number(g.first_id);
  w.time(g.from);
  w.optional(g.to, [&](Timestamp t) { w.time(t); });
  w.number(static_cast<std::uint64_t>(g.state));
  w.number(g.revision);
}

}  // namespace

Book::Book(const Instrument& instrument, TradeIds ids, const Setting& setting)
    : instrument_{instrument}, ids_{ids}, setting_{setting} {
  for (const Interval interval : setting.rules.intervals) {
    Layer layer;
    layer.interval = interval;
    layers_.push_back(std::move(layer));
  }
  progress_.instrument = instrument;
}

void Book::fix_tape(Tape tape) {
  if (tape_) return;
  tape_ = tape;
  touch_head();
}

bool Book::recomputed(const Candle& candle) {
  const auto sealed = sealed_until();
  if (!sealed || candle.end() > *sealed) return false;
  finished_.push_back(candle);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    if (layers_[i].interval != candle.interval || late_.erase({i, candle.start}) == 0) continue;
    touched_late_.insert({i, candle.start});
  }
  return true;
}

std::string Book::window_key(std::size_t layer, Timestamp start) const {
  return key_of('w', static_cast<std::uint64_t>(layers_[layer].interval.count()),
                static_cast<std::uint64_t>(to_ns(start)));
}

void Book::put(Results& out, std::string_view key, std::optional<std::string> value) const {
  std::string full;
  full.reserve(instrument_.text().size() + 1 + key.size());
  full += instrument_.text();
  full += '\n';
  full += key;
  out.state.emplace_back(std::move(full), std::move(value));
}

void Book::finish_batch(Results& out, bool emit_open) {
  for (Candle& c : finished_) out.candles.push_back(std::move(c));
  finished_.clear();
  // First: a window that was dropped may have been made again.
  for (const std::string& key : erased_) put(out, key, std::nullopt);
  erased_.clear();
  if (emit_open) {
    touched_.insert(touched_.end(), kept_back_.begin(), kept_back_.end());
    kept_back_.clear();
  }
  for (const auto& [index, start] : touched_) {
    Layer& layer = layers_[index];
    const auto found = layer.windows.find(start);
    if (found == layer.windows.end()) continue;
    Window& window = found->second;
    window.listed = false;
    const bool open = window.status == CandleStatus::open;
    if (window.to_emit && open && index == 0 && !emit_open) {
      kept_back_.insert({index, start});
    } else if (window.to_emit) {
      if (!open || index == 0) out.candles.push_back(candle(layer, start, window));
      window.to_emit = false;
    }
    if (!window.to_save) continue;
    window.to_save = false;
    window.saved = true;
    std::string value;
    Writer w{value};
    w.number(static_cast<std::uint64_t>(window.status));
    w.number(static_cast<std::uint64_t>(window.completeness));
    w.number(static_cast<std::uint64_t>(window.proof));
    w.optional(window.missing, [&](std::uint64_t n) { w.number(n); });
    w.number(window.held);
    w.flag(window.repaired);
    w.flag(window.rolled);
    w.number(window.revision);
    w.flag(window.due);
    w.optional(window.asked_at, [&](Timestamp t) { w.time(t); });
    w.optional(window.flat, [&](const Point& p) { write(w, p); });
    window.trades.write(w);
    put(out, window_key(index, start), std::move(value));
  }
  touched_.clear();
  for (const auto& key : touched_holes_) {
    const auto& holes = eras_[key.first].holes();
    const auto found = holes.find(key.second);
    if (found == holes.end()) {
      if (saved_holes_.erase(key) > 0) put(out, key_of('g', key.first, key.second), std::nullopt);
      continue;
    }
    std::string value;
    Writer w{value};
    write(w, found->second);
    put(out, key_of('g', key.first, key.second), std::move(value));
    saved_holes_.insert(key);
  }
  touched_holes_.clear();
  for (auto& [key, row] : gap_rows_) out.gaps.push_back(row);
  gap_rows_.clear();
  for (const auto& key : touched_held_) {
    const auto found = held_.find(key);
    if (found == held_.end()) {
      put(out, key_of('d', key.first, key.second), std::nullopt);
      continue;
    }
    std::string value;
    Writer w{value};
    w.time(found->second.time);
    w.flag(found->second.known);
    w.time(found->second.below);
    w.time(found->second.above);
    w.text(name(found->second.reason));
    w.optional(found->second.place, [&](const QuarantinePlace& place) {
      w.integer(place.partition);
      w.integer(place.offset);
      w.number(place.ordinal);
    });
    put(out, key_of('d', key.first, key.second), std::move(value));
  }
  touched_held_.clear();
  for (const Bridge& bridge : touched_bridges_) {
    const auto& [era, from, to] = bridge;
    const bool waits = bridges_.contains({{era, from}, bridge}) || bridges_.contains({{era, to}, bridge});
    put(out, key_of('b', era, from) + '/' + std::to_string(to), waits ? std::optional{std::string{}} : std::nullopt);
  }
  touched_bridges_.clear();
  for (const auto& key : touched_absent_) {
    const auto found = absent_.find(key);
    put(out, key_of('a', key.first, key.second),
        found == absent_.end() ? std::nullopt : std::optional{std::to_string(found->second)});
  }
  touched_absent_.clear();
  for (const std::uint64_t identity : touched_recent_) {
    const auto found = recent_.find(identity);
    put(out, "q/" + std::to_string(identity),
        found == recent_.end() ? std::nullopt : std::optional{std::to_string(to_ns(found->second))});
  }
  touched_recent_.clear();
  for (const std::uint64_t id : touched_waiting_)
    put(out, "i/" + std::to_string(id), waiting_.contains(id) ? std::optional{std::string{}} : std::nullopt);
  touched_waiting_.clear();
  for (const std::uint64_t id : touched_brought_)
    put(out, "j/" + std::to_string(id), brought_.contains(id) ? std::optional{std::string{}} : std::nullopt);
  touched_brought_.clear();
  for (const std::string& file : touched_files_) {
    const auto found = files_.find(file);
    std::optional<std::string> value;
    if (found != files_.end()) {
      Writer w{value.emplace()};
      w.number(found->second.row);
      w.number(found->second.ordinal);
      w.number(found->second.born);
    }
    put(out, "f/" + file, std::move(value));
  }
  touched_files_.clear();
  for (const auto& key : touched_late_) {
    const auto& [index, start] = key;
    const auto found = late_.find(key);
    const auto state_key = key_of('l', static_cast<std::uint64_t>(layers_[index].interval.count()),
                                  static_cast<std::uint64_t>(to_ns(start)));
    if (found == late_.end()) {
      put(out, state_key, std::nullopt);
      continue;
    }
    out.late.push_back({instrument_, tape_.value_or(Tape::trade), layers_[index].interval, start, found->second});
    put(out, state_key, std::to_string(found->second));
  }
  touched_late_.clear();
  for (std::size_t i = 0; i < ring_.size(); ++i) {
    if (!ring_[i] || !ring_[i]->to_save) continue;
    ring_[i]->to_save = false;
    std::string value;
    Writer w{value};
    w.number(ring_[i]->block);
    value.append(reinterpret_cast<const char*>(ring_[i]->hashes.data()), sizeof ring_[i]->hashes);
    put(out, "r/" + std::to_string(i), std::move(value));
  }
  if (progress_dirty_) out.progress.push_back(progress_);
  progress_dirty_ = false;
  if (head_dirty_) put(out, "h", head());
  head_dirty_ = false;
}

std::string Book::head() const {
  std::string value;
  Writer w{value};
  const auto time = [&](Timestamp t) { w.time(t); };
  const auto texts = [&](const std::string& t) { w.text(t); };
  w.optional(tape_, [&](Tape t) { w.number(static_cast<std::uint64_t>(t)); });
  w.number(eras_.size());
  for (const Ledger& ledger : eras_) {
    w.flag(!ledger.empty());
    if (ledger.empty()) continue;
    w.number(ledger.first().id);
    w.time(ledger.first().time);
    w.number(ledger.top().id);
    w.time(ledger.top().time);
  }
  w.optional(last_, [&](const Point& p) { write(w, p); });
  w.optional(frontier_, time);
  w.optional(considered_, time);
  w.number(declared_.all().size());
  for (const auto& [from, to] : declared_.all()) {
    w.time(from);
    w.time(to);
  }
  w.number(ranges_.size());
  for (const auto& [name, span] : ranges_) {
    w.text(name);
    w.optional(span.from, time);
    w.optional(span.to, time);
  }
  w.flag(series_restart_);
  w.number(series_.size());
  for (const Aside& a : series_) {
    w.number(static_cast<std::uint64_t>(a.type));
    write(w, a.trade);
    w.flag(a.live);
    w.text(a.raw);
    w.number(a.headers.size());
    for (const auto& [name, text] : a.headers) {
      texts(name);
      texts(text);
    }
    w.integer(a.offset);
    w.number(a.ordinal);
    w.optional(a.receive_time, time);
  }
  w.number(covers_.size());
  for (const Cover& c : covers_) {
    w.text(c.session.view());
    w.optional(c.from, time);
    w.optional(c.end, time);
    w.flag(c.alive);
    w.flag(c.silenced);
  }
  w.number(covered_.all().size());
  for (const auto& [from, to] : covered_.all()) {
    w.time(from);
    w.time(to);
  }
  w.number(tails_.size());
  for (const auto& [era, tail] : tails_) {
    write(w, tail.gap);
    w.time(tail.sealed);
    w.optional(tail.lost_at, time);
  }
  w.optional(last_tail_, [&](const auto& t) {
    w.number(t.first);
    w.number(t.second);
  });
  w.number(ring_era_);
  w.number(work_.size());
  for (const Check& c : work_) {
    w.time(c.from);
    w.time(c.to);
    w.optional(c.fresh, time);
    w.time(c.fresh_to);
    w.optional(c.ended, [&](const Hole& h) { write(w, h); });
    w.number(*c.layer);
    w.flag(c.partial);
    w.flag(c.advance);
  }
  w.number(layers_.size());
  for (const Layer& layer : layers_) {
    w.number(static_cast<std::uint64_t>(layer.interval.count()));
    w.time(layer.evicted);
  }
  w.optional(progress_.frontier, time);
  w.optional(progress_.closed_until, time);
  w.optional(progress_.proven_until, time);
  w.optional(progress_.sealed_until, time);
  w.integer(progress_.epoch);
  w.number(progress_.revision);
  w.optional(progress_at_, time);
  w.optional(reference_, [&](const Reference& r) {
    texts(r.base);
    texts(r.quote);
    texts(r.name);
    texts(r.status);
    w.optional(r.tick, [&](Decimal d) { w.decimal(d); });
    w.optional(r.lot, [&](Decimal d) { w.decimal(d); });
  });
  if (ids_ != TradeIds::contiguous) write_loose(w);
  w.time(sampled_);
  w.number(samples_.size());
  for (const Decimal price : samples_) w.decimal(price);
  return value;
}

void Book::restore_head(std::string_view value) {
  Reader r{value};
  const auto time = [&] { return r.time(); };
  tape_ = r.optional([&] { return static_cast<Tape>(r.number()); });
  eras_.resize(r.number());
  for (Ledger& ledger : eras_) {
    if (!r.flag()) continue;
    Ledger::End first, top;
    first.id = r.number();
    first.time = r.time();
    top.id = r.number();
    top.time = r.time();
    ledger.restore(first, top);
  }
  last_ = r.optional([&] { return read_point(r); });
  frontier_ = r.optional(time);
  if (const auto t = r.optional(time)) consider(*t);
  for (auto n = r.number(); n > 0; --n) {
    const Timestamp from = r.time();
    declared_.add(from, r.time());
  }
  for (auto n = r.number(); n > 0; --n) {
    std::string name{r.text()};
    Span span;
    span.from = r.optional(time);
    span.to = r.optional(time);
    ranges_.emplace(std::move(name), span);
  }
  series_restart_ = r.flag();
  for (auto n = r.number(); n > 0; --n) {
    Aside a;
    a.type = static_cast<Item::Type>(r.number());
    a.trade = read_trade(r, instrument_);
    a.live = r.flag();
    a.raw = r.text();
    for (auto h = r.number(); h > 0; --h) {
      std::string name{r.text()};
      a.headers.emplace_back(std::move(name), r.text());
    }
    a.offset = r.integer();
    a.ordinal = static_cast<std::uint32_t>(r.number());
    a.receive_time = r.optional(time);
    series_.push_back(std::move(a));
  }
  for (auto n = r.number(); n > 0; --n) {
    Cover c;
    c.session = r.fixed<40>();
    c.from = r.optional(time);
    c.end = r.optional(time);
    c.alive = r.flag();
    c.silenced = r.flag();
    covers_.push_back(c);
  }
  for (auto n = r.number(); n > 0; --n) {
    const Timestamp from = r.time();
    covered_.add(from, r.time());
  }
  for (auto n = r.number(); n > 0; --n) {
    TailGap tail;
    Gap& g = tail.gap;
    g.instrument = instrument_;
    g.tape = tape_.value_or(Tape::trade);
    g.era = static_cast<std::uint32_t>(r.number());
    g.first_id = r.number();
    g.from = r.time();
    g.to = r.optional(time);
    g.state = static_cast<GapState>(r.number());
    g.revision = r.number();
    g.reason = GapReason::tail;
    g.epoch = setting_.epoch;
    tail.sealed = r.time();
    tail.lost_at = r.optional(time);
    tails_.emplace(g.era, tail);
  }
  last_tail_ = r.optional([&] {
    const auto id = r.number();
    return std::pair{id, r.number()};
  });
  ring_era_ = static_cast<std::uint32_t>(r.number());
  for (auto n = r.number(); n > 0; --n) {
    Check c{};
    c.from = r.time();
    c.to = r.time();
    c.fresh = r.optional(time);
    c.fresh_to = r.time();
    c.ended = r.optional([&] { return read_hole(r); });
    c.layer = r.number();
    c.partial = r.flag();
    c.advance = r.flag();
    work_.push_back(c);
  }
  const auto layers = r.number();
  for (std::uint64_t i = 0; i < layers; ++i) {
    const Interval interval{static_cast<std::int64_t>(r.number())};
    const Timestamp evicted = r.time();
    if (layers != layers_.size() || interval != layers_[i].interval)
      throw std::runtime_error("state: the intervals are not those that this log was processed with");
    layers_[i].evicted = evicted;
  }
  progress_.tape = tape_.value_or(Tape::trade);
  progress_.frontier = r.optional(time);
  progress_.closed_until = r.optional(time);
  progress_.proven_until = r.optional(time);
  progress_.sealed_until = r.optional(time);
  progress_.epoch = r.integer();
  progress_.revision = r.number();
  progress_at_ = r.optional(time);
  reference_ = r.optional([&] {
    Reference ref;
    ref.instrument = instrument_;
    ref.base = r.text();
    ref.quote = r.text();
    ref.name = r.text();
    ref.status = r.text();
    ref.tick = r.optional([&] { return r.decimal(); });
    ref.lot = r.optional([&] { return r.decimal(); });
    return ref;
  });
  // A program of state version 2 wrote no more than that.
  if (ids_ != TradeIds::contiguous && !r.at_end()) read_loose(r);
  if (!r.at_end()) {
    sampled_ = r.time();
    for (auto n = r.number(); n > 0; --n) samples_.push_back(r.decimal());
    bound_prices();
  }
  r.end();
  head_dirty_ = false;
}

void Book::restore(std::string_view key, std::string_view value) {
  if (key == "h") return restore_head(value);
  const char type = key.empty() ? '\0' : key.front();
  const std::string_view rest = key.size() > 2 ? key.substr(2) : std::string_view{};
  const std::size_t slash = rest.find('/');
  const std::string_view first = rest.substr(0, slash);
  const std::string_view second = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
  const auto layer_of = [&]() -> std::size_t {
    const Interval interval{static_cast<std::int64_t>(number_of(first))};
    for (std::size_t i = 0; i < layers_.size(); ++i)
      if (layers_[i].interval == interval) return i;
    throw std::runtime_error("state: the intervals are not those that this log was processed with");
  };
  Reader r{value};
  switch (type) {
    case 'w': {
      const std::size_t index = layer_of();
      const Timestamp start = timestamp_ns(static_cast<std::int64_t>(number_of(second)));
      Window window;
      window.status = static_cast<CandleStatus>(r.number());
      window.completeness = static_cast<Completeness>(r.number());
      window.proof = static_cast<Proof>(r.number());
      window.missing = r.optional([&] { return r.number(); });
      window.held = r.number();
      window.repaired = r.flag();
      window.rolled = r.flag();
      window.revision = r.number();
      window.due = r.flag();
      window.asked_at = r.optional([&] { return r.time(); });
      window.flat = r.optional([&] { return read_point(r); });
      window.trades.read(r);
      r.end();
      window.saved = true;
      layers_[index].windows.emplace(start, std::move(window));
      return;
    }
    case 'g': {
      const auto era = static_cast<std::uint32_t>(number_of(first));
      const Hole hole = read_hole(r);
      r.end();
      restored_holes_.emplace_back(era, hole);
      return;
    }
    case 'd': {
      Held held;
      held.time = r.time();
      held.known = r.flag();
      held.below = r.time();
      held.above = r.time();
      const auto reason = parse_reason(r.text());
      if (!r.at_end())  // version 2 had no place
        held.place = r.optional([&] {
          QuarantinePlace place;
          place.partition = static_cast<std::int32_t>(r.integer());
          place.offset = r.integer();
          place.ordinal = static_cast<std::uint32_t>(r.number());
          return place;
        });
      r.end();
      if (!reason) throw std::runtime_error("state: a held id has no reason");
      held.reason = *reason;
      restored_held_.emplace_back(IdKey{static_cast<std::uint32_t>(number_of(first)), number_of(second)}, held);
      return;
    }
    case 'b': {
      const std::size_t middle = second.find('/');
      if (middle == std::string_view::npos) throw std::runtime_error("state: neighbours with one end");
      restored_bridges_.emplace_back(static_cast<std::uint32_t>(number_of(first)), number_of(second.substr(0, middle)),
                                     number_of(second.substr(middle + 1)));
      return;
    }
    case 'a':
      absent_.emplace(std::pair{static_cast<std::uint32_t>(number_of(first)), number_of(second)}, number_of(value));
      return;
    case 'l':
      late_.emplace(std::tuple{layer_of(), timestamp_ns(static_cast<std::int64_t>(number_of(second)))},
                    number_of(value));
      return;
    case 'q': {
      const Timestamp time = timestamp_ns(static_cast<std::int64_t>(number_of(value)));
      recent_.emplace(number_of(first), time);
      recent_by_time_.emplace(time, number_of(first));
      return;
    }
    case 'i':
      waiting_.insert(number_of(first));
      return;
    case 'j':
      brought_.insert(number_of(first));
      return;
    case 'f': {
      FilePlace& at = files_[std::string{first}];
      at.row = r.number();
      at.ordinal = static_cast<std::uint32_t>(r.number());
      at.born = r.number();
      r.end();
      files_seen_ = std::max(files_seen_, at.born);
      return;
    }
    case 'r': {
      const std::uint64_t index = number_of(first);
      auto slot = std::make_unique<Slot>();
      slot->block = r.number();
      const std::string_view hashes =
          value.substr(value.size() < sizeof slot->hashes ? 0 : value.size() - sizeof slot->hashes);
      if (index >= ring_.size() || hashes.size() != sizeof slot->hashes)
        throw std::runtime_error("state: content hashes are damaged");
      std::memcpy(slot->hashes.data(), hashes.data(), hashes.size());
      ring_[index] = std::move(slot);
      return;
    }
    default:
      throw std::runtime_error("state: unknown key " + std::string{key});
  }
}

void Book::restored() {
  for (auto& [era, hole] : restored_holes_) {
    if (era >= eras_.size()) throw std::runtime_error("state: a hole of an era that there is not");
    if (!hole.opened()) ++pending_;
    saved_holes_.insert({era, hole.left});
    eras_[era].restore(hole);
  }
  restored_holes_.clear();
  for (const auto& [key, held] : restored_held_) {
    if (key.first >= eras_.size()) throw std::runtime_error("state: a held id of an era that there is not");
    add_held(key, held);
  }
  restored_held_.clear();
  for (const auto& [era, from, to] : restored_bridges_) {
    if (era >= eras_.size()) throw std::runtime_error("state: neighbours of an era that there is not");
    wait(era, from, to);
  }
  restored_bridges_.clear();
  touched_bridges_.clear();
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    for (auto& [start, window] : layers_[i].windows) {
      if (window.status == CandleStatus::open) {
        layers_[i].open.insert(start);
        // Its last row may have been kept back before the restart.
        if (i == 0) {
          window.to_emit = true;
          kept_back_.insert({i, start});
        }
      }
      if (window.due) due_.emplace(start + layers_[i].interval + setting_.rules.hold, i, start);
      if (window.asked_at) due_by_frontier_.emplace(*window.asked_at, i, start);
    }
  }
  last_before_item_ = last_;
}

}  // namespace truetape::market
