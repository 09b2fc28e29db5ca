#include "model.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace truetape::model {
namespace {

// Where an item stands in quarantine: that of a replay or a drop is where it first came.
QuarantinePlace place_of(const RawRecord& raw, const Item& item) {
  const bool again = raw.kind == RawKind::replay || raw.kind == RawKind::drop;
  const auto read = [&](std::string_view name, std::int64_t otherwise) {
    return again ? raw.integer(name).value_or(otherwise) : otherwise;
  };
  return {static_cast<std::int32_t>(read(header::original_partition, raw.partition)),
          read(header::original_offset, raw.offset),
          static_cast<std::uint32_t>(read(header::original_ordinal, item.ordinal))};
}

using std::chrono::seconds;

Timestamp time_of(const Item& item) { return content_time(item.trade.event_time); }

std::vector<std::pair<Id, Id>> parse_skipped(std::string_view text) {
  std::vector<std::pair<Id, Id>> out;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    const std::size_t dash = part.find('-');
    Id lo = 0, hi = 0;
    std::from_chars(part.data(), part.data() + dash, lo);
    std::from_chars(part.data() + dash + 1, part.data() + part.size(), hi);
    out.emplace_back(lo, hi);
    text.remove_prefix(std::min(text.size(), part.size() + 1));
  }
  return out;
}

Span span_of(const RawRecord& raw) {
  Span out{Timestamp::min(), Timestamp::max()};
  if (const auto from = raw.integer(header::from)) out.from = content_time(timestamp_ns(*from));
  if (const auto to = raw.integer(header::to)) out.to = content_time(timestamp_ns(*to));
  return out;
}

}  // namespace

Book& Model::book(const Instrument& instrument) {
  Book& b = books_[instrument];
  b.instrument = instrument;
  b.facts.loose = decoder_.trade_ids(instrument.venue()) != TradeIds::contiguous;
  return b;
}

bool Model::in_order(const RawRecord& raw) {
  if (raw.session.empty() || raw.seq == 0) return false;
  const auto [it, fresh] = sessions_.try_emplace(std::string{raw.session});
  SessionState& s = it->second;
  if (fresh) {
    s.started_late = raw.seq != 1;
    s.next = raw.seq;
  }
  if (raw.seq < s.next) return false;
  if (raw.seq > s.next) s.broken = true;
  s.next = raw.seq + 1;
  return !s.broken;
}

void Model::fold(const RawRecord& raw) {
  ++counts_.records[static_cast<std::size_t>(raw.kind)];
  const bool evidence = (raw.kind == RawKind::frame || raw.kind == RawKind::session) && in_order(raw);
  const auto named = raw.instrument_list();
  switch (raw.kind) {
    case RawKind::frame:
    case RawKind::history:
    case RawKind::backfill:
    case RawKind::replay: {
      bool awakened = false;
      if (evidence)
        for (const Instrument& i : named)
          if (Session& s = book(i).facts.sessions[std::string{raw.session}]; s.carries)
            awakened |= !std::exchange(s.alive, true);
      for (auto& [i, b] : books_) b.previous.reset();
      Events events;
      decoder_.decode(raw, events);
      for (const Item& item : events.items) fold_item(raw, item, evidence);
      counts_.in += events.not_a_trade;
      counts_.not_a_trade += events.not_a_trade;
      for (auto& [i, b] : books_) {
        if (b.neighbours.empty()) continue;
        b.facts.pages.insert(b.facts.pages.end(), b.neighbours.begin(), b.neighbours.end());
        b.neighbours.clear();
        settle(b);
      }
      if (awakened) break;
      return;  // every item has settled its book
    }
    case RawKind::session:
      if (evidence) fold_session(raw);
      break;
    case RawKind::begin:
      for (const Instrument& i : named)
        book(i).ranges.try_emplace(std::string{*raw.header(header::range)}, span_of(raw));
      break;
    case RawKind::end:
      for (const Instrument& i : named) {
        Book& b = book(i);
        const auto it = b.ranges.find(std::string{*raw.header(header::range)});
        if (it == b.ranges.end()) continue;
        const Span ended = it->second;
        b.ranges.erase(it);
        settle(b, &ended);
      }
      break;
    case RawKind::coverage:
      for (const Instrument& i : named) book(i).facts.declared.push_back(span_of(raw));
      break;
    case RawKind::answer:
      for (const Instrument& i : named) fold_answer(raw, book(i));
      break;
    case RawKind::config:
      if (const auto tape = raw.header(header::tape))
        for (const Instrument& i : named) book(i).tape = parse_tape(*tape);
      break;
    case RawKind::drop:
      for (const Instrument& i : named) drop(book(i), raw);
      break;
    default:
      break;
  }
  for (const Instrument& i : named) settle(book(i));
}

// Known it becomes void; else it is as if the item had never come.
void Model::drop(Book& b, const RawRecord& raw) {
  const Id id = static_cast<Id>(raw.integer(header::id).value_or(0));
  b.waiting.erase(id);
  for (auto era = static_cast<std::uint32_t>(b.facts.eras.size()); era-- > 0;) {
    Ids& ids = b.facts.eras[era];
    Fact* fact = ids.find(id);
    if (fact == nullptr || fact->standing != Standing::held || fact->place != place_of(raw, {})) continue;
    if (fact->known) {
      fact->standing = Standing::empty;
    } else {
      ids.erase(id);
      std::erase_if(b.bridges, [&](const Book::Bridge& x) { return x.era == era && (x.from == id || x.to == id); });
    }
    return;
  }
}

void Model::fold_answer(const RawRecord& raw, Book& b) {
  if (const auto skipped = raw.header(header::skipped))
    for (const auto& [lo, hi] : parse_skipped(*skipped))
      b.bridges.push_back({static_cast<std::uint32_t>(b.facts.eras.size() - 1), lo - 1, hi + 1});
  if (raw.header(header::verdict) != "exhausted") return;
  settle(b);
  const Id lo = static_cast<Id>(raw.integer(header::first_id).value_or(0)),
           hi = static_cast<Id>(raw.integer(header::last_id).value_or(0));
  for (GapLife& g : b.gaps)
    if (g.state == GapState::open && g.era + 1 == b.facts.eras.size() &&
        (g.tail ? g.key == lo : lo <= g.lacks_from && g.lacks_to <= hi))
      g.state = GapState::lost;
}

void Model::fold_session(const RawRecord& raw) {
  const std::string id{raw.session};
  const SessionState& state = sessions_.at(id);
  const auto subscribed = raw.integer(header::subscribed), witness = raw.integer(header::witness),
             last_seq = raw.integer(header::last_seq);
  const bool accepted = witness && (!last_seq || *last_seq < static_cast<std::int64_t>(state.next));
  const Timestamp w = accepted ? content_time(timestamp_ns(*witness)) : Timestamp{};
  for (const Instrument& i : raw.instrument_list()) {
    Session& s = book(i).facts.sessions[id];
    s.carries = true;
    if (s.begin) continue;
    if (!state.started_late) {
      if (subscribed) s.begin = content_time(timestamp_ns(*subscribed));
    } else if (accepted) {
      s.begin = w;
    }
  }
  if (!accepted) return;
  for (auto& [instrument, b] : books_) {
    const auto it = b.facts.sessions.find(id);
    if (it == b.facts.sessions.end() || !it->second.carries) continue;
    Session& s = it->second;
    s.end = std::max(s.end.value_or(w), w);
    b.frontier = std::max(b.frontier.value_or(w), w);
    const auto known_to = b.facts.tail();
    if (!b.facts.loose && known_to && s.begin && w >= *s.begin + rules_.settle && *s.begin > *known_to &&
        !b.facts.covered(*known_to, *s.begin)) {
      const Run& last = b.facts.runs().back();
      const bool there = std::any_of(b.gaps.begin(), b.gaps.end(), [&](const GapLife& g) {
        return g.tail && g.era == last.era && g.key == last.hi + 1;
      });
      if (!there) {
        GapLife g;
        g.era = last.era;
        g.key = g.first = last.hi + 1;
        g.from = g.touched_from = last.t_hi;
        g.tail = true;
        g.opened_at = b.frontier;
        b.gaps.push_back(g);
      }
    }
    settle(b);
  }
}

void Model::fold_item(const RawRecord& raw, const Item& item, bool evidence) {
  ++counts_.in;
  if (item.type == Item::Type::bad && !item.has_id) {
    ++counts_.quarantined;
    return;
  }
  Book& b = book(item.trade.instrument);
  if (item.trade.tape != b.tape.value_or(Tape::trade)) {
    ++counts_.other_tape;
    return;
  }
  std::string session;
  if (raw.kind == RawKind::frame) session = evidence ? std::string{raw.session} : "?";
  if (b.facts.loose) return judge_loose(b, raw, item, session);
  const std::uint32_t before = b.facts.era_of(item.trade.order, time_of(item));
  judge_item(b, raw, item, session);
  if (is_future(raw, item)) {
    b.previous.reset();
    settle(b);
    return;
  }
  const std::uint32_t era = std::max(before, b.facts.era_of(item.trade.order, time_of(item)));
  if (item.follows && b.previous && *b.previous + 1 < item.trade.order) {
    const Ids& ids = b.facts.eras[era];
    if (ids.find(*b.previous) && ids.find(item.trade.order)) b.bridges.push_back({era, *b.previous, item.trade.order});
  }
  b.previous = item.trade.order;
  settle(b);
}

// Ids only rise (section 2): what came lately is remembered, and a page may bring what did not.
void Model::judge_loose(Book& b, const RawRecord& raw, const Item& item, const std::string& session) {
  const Timestamp t = time_of(item);
  const Id id = item.trade.order;
  const auto previous = std::exchange(b.previous, std::nullopt);
  const std::string kind = item.trade.kind.str();
  const bool bad =
      item.type == Item::Type::bad || is_future(raw, item) ||
      (item.type == Item::Type::trade && !rules_.folded_kinds.contains(kind) && !rules_.stored_kinds.contains(kind));
  const auto in_stretch = [&] {
    const auto& all = b.facts.stretches();
    return std::any_of(all.begin(), all.end(), [&](const Stretch& s) { return s.first <= id && id <= s.last; });
  };
  const bool old = b.forgotten && id <= *b.forgotten && t <= b.forgotten_to;
  const auto repeats = [&] {
    if (raw.kind != RawKind::replay) return raw.kind == RawKind::backfill || in_stretch();
    if (!b.waiting.contains(id) && (raw.header(header::id) || b.brought.contains(id))) return true;
    b.brought.insert(id);
    return false;
  };
  const auto wait = [&] {
    if (!b.recent.contains(id) && !old) b.waiting.insert(id);
  };
  const auto passed = [&] {
    const auto file = raw.header(header::file);
    if (raw.kind != RawKind::history || !file) return false;
    const std::pair place{static_cast<std::uint64_t>(raw.integer(header::row).value_or(0)), item.ordinal};
    const auto [at, fresh] = b.files.try_emplace(std::string{*file}, place);
    if (fresh || at->second < place) return at->second = place, false;
    return !b.waiting.contains(id);
  };
  if (bad) {
    ++counts_.quarantined;
    wait();
  } else if (b.recent.contains(id) || passed()) {
    ++counts_.duplicate;
  } else if (old && repeats()) {
    ++counts_.duplicate;
    ++counts_.duplicate_unchecked;
  } else if (!session.empty() && (old || (b.frontier && t + rules_.horizon < *b.frontier))) {
    ++counts_.quarantined;
    wait();
  } else {
    b.waiting.erase(id);
    b.recent.emplace(id, t);
    while (b.recent.size() > 1'000) {
      const auto less = [](const auto& x, const auto& y) {
        return std::tie(x.second, x.first) < std::tie(y.second, y.first);
      };
      const auto oldest = std::min_element(b.recent.begin(), b.recent.end(), less);
      const auto newest = std::max_element(b.recent.begin(), b.recent.end(), less);
      if (oldest->second + rules_.horizon >= std::max(b.frontier.value_or(newest->second), newest->second)) break;
      b.forgotten = std::max(b.forgotten.value_or(0), oldest->first);
      b.forgotten_to = std::max(b.forgotten_to, oldest->second);
      b.recent.erase(oldest);
    }
    accept(b, item, session, 0);
  }
  const bool known = item.type != Item::Type::bad && (b.recent.contains(id) || in_stretch());
  if (item.follows && previous && known && *previous < id) b.neighbours.emplace_back(*previous, id);
  if (known) b.previous = id;
  settle(b);
}

bool Model::is_future(const RawRecord& raw, const Item& item) const {
  return (item.type != Item::Type::bad || item.has_time) && raw.receive_time &&
         time_of(item) >
             *raw.receive_time + Nanoseconds{raw.integer(header::clock_offset).value_or(0)} + rules_.future_tolerance;
}

void Model::hold(Book& b, const RawRecord& raw, const Item& item) {
  auto& ids = b.facts.eras[b.facts.era_of(item.trade.order, time_of(item))];
  const Fact* there = ids.find(item.trade.order);
  if (there == nullptr) {
    ++counts_.held;
    ids.add(item.trade.order, {.standing = Standing::held, .time = time_of(item), .place = place_of(raw, item)});
  } else if (there->standing == Standing::held) {
    ++counts_.duplicate;
  } else {
    ++counts_.quarantined;  // its id is known without it
  }
}

void Model::judge_item(Book& b, const RawRecord& raw, const Item& item, const std::string& session) {
  const Timestamp t = time_of(item);
  const Id id = item.trade.order;
  if (item.type == Item::Type::bad && !item.has_time) {
    ++counts_.quarantined;
    return;
  }
  if (is_future(raw, item)) {
    ++counts_.quarantined;
    return;
  }
  if (item.type == Item::Type::bad) return hold(b, raw, item);
  const std::string kind = item.trade.kind.str();
  if (item.type == Item::Type::trade && !rules_.folded_kinds.contains(kind) && !rules_.stored_kinds.contains(kind))
    return hold(b, raw, item);

  if (!b.aside.empty() && id == b.aside.back().trade.order + 1 && t >= time_of(b.aside.back())) {
    if (b.aside.size() < 2) {
      b.aside.push_back(item);
      b.aside_session.push_back(session);
      ++counts_.set_aside;
      return;
    }
    counts_.set_aside -= 2;
    if (b.aside_restart) b.facts.eras.emplace_back();
    const auto items = std::move(b.aside);
    const auto sessions = std::move(b.aside_session);
    b.aside.clear();
    b.aside_session.clear();
    const auto newest = static_cast<std::uint32_t>(b.facts.eras.size() - 1);
    for (std::size_t i = 0; i < items.size(); ++i) {
      accept(b, items[i], sessions[i], newest);
      b.facts.refresh();
    }
    accept(b, item, session, newest);
    return;
  }
  if (std::any_of(b.aside.begin(), b.aside.end(),
                  [&](const Item& a) { return a.trade.order == id && time_of(a) == t; })) {
    ++counts_.duplicate;
    return;
  }
  const std::uint32_t era = b.facts.era_of(id, t);
  const bool newest = era + 1 == b.facts.eras.size();
  const Fact* known = b.facts.find(era, id);
  const auto top = b.facts.top(era);
  const bool decided =
      known != nullptr && (known->standing == Standing::accepted || known->standing == Standing::empty);
  const bool same_time = decided && known->time == t;
  if (newest && top && !same_time && (known == nullptr || decided)) {
    const Timestamp top_time = b.facts.find(era, *top)->time;
    const bool restart = id <= *top && t > top_time + seconds{60};
    bool jump = false;
    if (id > *top) {
      const std::int64_t elapsed = t > top_time ? (t - top_time) / seconds{1} : 0;
      jump = id - *top > std::max<Id>(1'000'000, 50'000 * static_cast<Id>(elapsed));
    }
    if (restart || jump) {
      end_series(b);
      b.aside = {item};
      b.aside_session = {session};
      b.aside_restart = restart;
      ++counts_.set_aside;
      return;
    }
  }
  if (decided) {
    if (!newest || *top - id >= 4096) {
      ++counts_.duplicate;
      ++counts_.duplicate_unchecked;
      return;
    }
    const auto equal = [](const Trade& x, const Trade& y) {
      return x.price == y.price && x.quantity == y.quantity && x.taker_side == y.taker_side && x.kind == y.kind &&
             x.first_id == y.first_id && x.last_id == y.last_id;
    };
    const bool is_void = known->standing == Standing::empty;
    const bool same =
        same_time && is_void == (item.type == Item::Type::empty) && (is_void || equal(*known->trade, item.trade));
    ++(same ? counts_.duplicate : counts_.contradiction);
    return;
  }
  const bool fills = top && id < *top && id > b.facts.eras[era].begin()->first;
  if (!fills) end_series(b);
  accept(b, item, session, era);
}

void Model::end_series(Book& b) {
  counts_.set_aside -= static_cast<std::int64_t>(b.aside.size());
  counts_.quarantined += b.aside.size();
  b.aside.clear();
  b.aside_session.clear();
}

void Model::accept(Book& b, const Item& item, const std::string& session, std::uint32_t era) {
  const Timestamp t = time_of(item);
  const Id id = item.trade.order;
  const bool is_trade = item.type == Item::Type::trade;
  const bool candle = is_trade && rules_.folded_kinds.contains(item.trade.kind.str());
  ++(is_trade ? counts_.accepted : counts_.empty);

  // Is a window that it belongs to sealed already?
  const Interval base = rules_.intervals.front();
  const Timestamp base_start = window_start(t, base);
  const auto life = b.windows.find({base, base_start});
  bool late = false;
  std::string unclear;
  if (is_trade) {
    if (life != b.windows.end()) {
      late = life->second.sealed;
    } else if (const auto first = b.facts.first_time()) {
      const Timestamp e = base_start + base;
      const bool sealable_now = closable(b, base_start, e) && sealable(b, base_start, e, false);
      if (sealable_now && e <= *first) {
        unclear = "older than all that was known, beyond the horizon";
      } else if (sealable_now) {
        late = true;
      } else if (touched_too_late(b, base_start, e)) {
        unclear = "its window had been quiet beyond the horizon before a gap touched it";
      }
    }
  }
  b.late += late;
  counts_.late += late;

  auto trade = std::make_shared<Trade>(item.trade);
  trade->era = era;
  const Fact fact{.standing = is_trade ? Standing::accepted : Standing::empty,
                  .time = t,
                  .candle = candle,
                  .trade = std::move(trade)};
  b.facts.eras[era].set(id, fact);
  if (candle) {
    b.facts.index(fact, era, id);
    b.touched.push_back({t, b.facts.next_after(t).value_or(Timestamp::max())});  // flat prices up to the next trade
  }
  if (is_trade && !late) track(b, t);
  if (late) unclear = "a late trade of its base window";
  for (const Interval interval : rules_.intervals) {
    const auto it = b.windows.find({interval, window_start(t, interval)});
    if (it == b.windows.end() || it->second.sealed) continue;
    it->second.trade_added = it->second.trade_added || candle;
    if (!unclear.empty()) it->second.unclear = unclear;
  }
  if (candle && !unclear.empty()) {
    // Quiet windows that follow are flat at a price whose standing is not clear.
    for (const auto& key : b.unsealed)
      if (key.second > t && b.facts.last_before(key.second)->order == id) b.windows.at(key).unclear = unclear;
  }
  if (!session.empty()) {
    b.frontier = std::max(b.frontier.value_or(t), t);
    if (session != "?") {
      Session& s = b.facts.sessions[session];
      if (s.carries) s.end = std::max(s.end.value_or(t), t);
    }
  }
}

void Model::track(Book& b, Timestamp time) {
  for (const Interval interval : rules_.intervals) list(b, interval, window_start(time, interval));
}

void Model::list(Book& b, Interval interval, Timestamp start) {
  const auto [it, fresh] = b.windows.try_emplace({interval, start});
  if (!fresh) return;
  b.unsealed.insert({interval, start});
  b.touched.push_back({start, start});
  const Timestamp e = start + interval;
  if (b.frontier && *b.frontier >= e + rules_.bound && (!b.known_from || e <= *b.known_from))
    it->second.unclear = "time had passed it before anything was known";
}

}  // namespace truetape::model
