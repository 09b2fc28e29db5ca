// What becomes of one item: accepted, held, quarantined, set aside, a duplicate (semantics sections 2 and 10).
#include <algorithm>

#include "market/book.h"

namespace truetape::market {
namespace {

constexpr std::uint64_t kRing = 4096;                       // newest ids whose content is remembered
constexpr Nanoseconds kRestart = std::chrono::seconds{60};  // an old id this much after the newest: the ids restart
constexpr std::uint64_t kJump = 1'000'000, kJumpPerSecond = 50'000;
constexpr std::size_t kSamples = 15, kLeastSamples = 5;  // of the recent median price, one a base window
constexpr std::size_t kBelieved = 3;                     // items in a row that make a series believed
constexpr std::size_t kAbsentKept = 100'000;             // spans of absent ids remembered, the oldest forgotten
constexpr std::size_t kMostAside = 256 << 10;            // bytes of an item that is set aside, headers included

std::uint64_t mix(std::uint64_t h, std::uint64_t v) {
  h ^= v + 0x9e3779b97f4a7c15 + (h << 6) + (h >> 2);
  h *= 0xff51afd7ed558ccd;
  return h ^ h >> 32;
}

// Of what makes two records of one id the same; never 0.
std::uint32_t content_hash(const Trade& t, Item::Type type, bool folded) {
  std::uint64_t h = static_cast<std::uint64_t>(type);
  h = mix(h, static_cast<std::uint64_t>(t.price.mantissa));
  h = mix(h, static_cast<std::uint64_t>(t.price.scale));
  h = mix(h, static_cast<std::uint64_t>(t.quantity.mantissa));
  h = mix(h, static_cast<std::uint64_t>(t.quantity.scale));
  // The side of a marker means nothing and differs between sources (protocol sheet of USD-M: seen true and false).
  if (type == Item::Type::trade) h = mix(h, static_cast<std::uint64_t>(t.taker_side));
  // Of the kind only whether it makes candles: archives call every fill in the book MARKET, the live stream some RPI.
  if (type == Item::Type::trade) h = mix(h, folded ? 1 : 2);
  h = mix(h, t.first_id);
  h = mix(h, t.last_id);
  h = mix(h, static_cast<std::uint64_t>(to_ns(content_time(t.event_time))));
  const auto out = static_cast<std::uint32_t>(h >> 32 ^ h);
  return out == 0 ? 1 : out;
}

bool multiple_of(Decimal value, Decimal step) {
  return step.mantissa <= 0 || to_amount(value).units % to_amount(step).units == 0;
}

}  // namespace

void Book::fold(const Item& item, const Origin& origin, Results& out, Counts& counts) {
  ++counts.in;
  if (!item.follows) neighbour_.reset();
  const auto before = neighbour_;
  neighbour_.reset();
  item_follows_ = before;
  if (item.type == Item::Type::bad) {
    judge_bad(item, origin, out, counts);
  } else {
    Trade trade = item.trade;
    trade.source = origin.source;
    trade.seq = origin.seq;
    trade.ordinal = item.ordinal;
    if (!tape_) fix_tape(trade.tape);
    if (trade.tape != *tape_) {
      ++counts.other_tape;
      return;
    }
    bool refused = false;
    trade.marks = judge_steps(trade, refused);
    const KindRule& kind = kind_of(trade);
    if (is_future(item, origin)) {
      quarantine(item, origin, Reason::future,
                 "event time " + to_rfc3339(trade.event_time) + " is beyond the receive time " +
                     to_rfc3339(*origin.record->receive_time) + " and the tolerance",
                 "future", out);
      ++counts.quarantined;
    } else if (origin.replay && ids_ == TradeIds::contiguous && judge_known(trade, item, origin, out, counts)) {
      // It came by another way since.
    } else if (item.type == Item::Type::trade && !kind.stored && !kind.folded) {
      hold(item, origin, Reason::unknown_kind, "kind \"" + trade.kind.str() + "\" is neither folded nor stored",
           rule::kind, out, counts);
    } else if (item.type == Item::Type::trade && !trade.price.positive()) {
      hold(item, origin, Reason::price, "price " + to_text(trade.price) + " is not positive", "price", out, counts);
    } else if (item.type == Item::Type::trade && !trade.quantity.positive()) {
      hold(item, origin, Reason::quantity, "quantity " + to_text(trade.quantity) + " is not positive", "quantity", out,
           counts);
    } else if (item.type == Item::Type::trade && !Turnover{}.add(trade.price, trade.quantity)) {
      hold(item, origin, Reason::decimal_range, "price times quantity does not fit decimal(38,18)", rule::decimal, out,
           counts);
    } else if (refused) {
      hold(item, origin, Reason::rule, "price or quantity is not a multiple of the instrument's step", rule::step, out,
           counts);
    } else if (ids_ != TradeIds::contiguous) {
      judge_loose(item, trade, origin, out, counts);
    } else if (!series(trade, item, origin, out, counts)) {
      trade.era = era_of(trade);
      if (!judge_known(trade, item, origin, out, counts)) accept(std::move(trade), item.type, origin.live, out, counts);
    }
  }
  const bool has_id = item.type != Item::Type::bad || item.has_id;
  if (has_id && ids_ == TradeIds::contiguous && tape_ == item.trade.tape && !is_future(item, origin)) {
    const std::uint64_t id = item.trade.order;
    const std::uint32_t era = era_of(item.trade);
    const auto usable = [&](std::uint64_t end) { return eras_[era].knows(end) || held_.contains({era, end}); };
    if (before && before->first == era && before->second < id && usable(before->second) && usable(id))
      bridge(era, before->second, id);
    neighbour_ = {era, id};
  } else if (item.type != Item::Type::bad && ids_ == TradeIds::rising && is_known_loose(item.trade.order)) {
    if (before) links_.emplace_back(before->second, item.trade.order);
    neighbour_ = {0, item.trade.order};
  }
  item_follows_.reset();
  settle();
}

// True: its id is known, so it is a duplicate or a contradiction.
bool Book::judge_known(const Trade& trade, const Item& item, const Origin& origin, Results& out, Counts& counts) {
  const Known is = known(trade, item.type, era_of(trade));
  if (is == Known::no) return false;
  if (is == Known::contradiction || (is == Known::unchecked && origin.contradicted)) {
    quarantine(item, origin, Reason::contradiction,
               "id " + trade.id.str() + " came before with other content: the first one stays", "contradiction", out);
    ++counts.contradiction;
    return true;
  }
  ++counts.duplicate;
  if (is == Known::unchecked) ++counts.duplicate_unchecked;
  return true;
}

bool Book::is_future(const Item& item, const Origin& origin) const {
  return origin.record->receive_time &&
         content_time(item.trade.event_time) > *origin.record->receive_time + origin.offset + rules().future_tolerance;
}

void Book::judge_bad(const Item& item, const Origin& origin, Results& out, Counts& counts) {
  if (item.has_id && tape_ && item.trade.tape != *tape_) {
    ++counts.other_tape;
  } else if (!item.has_id || !item.has_time || ids_ != TradeIds::contiguous) {
    quarantine(item, origin, item.reason, item.detail, {}, out);
    ++counts.quarantined;
  } else if (is_future(item, origin)) {
    quarantine(
        item, origin, Reason::future,
        "event time " + to_rfc3339(item.trade.event_time) + " is beyond the receive time; besides, " + item.detail,
        "future", out);
    ++counts.quarantined;
  } else {
    hold(item, origin, item.reason, item.detail, {}, out, counts);
  }
}

const Book::KindRule& Book::kind_of(const Trade& trade) const {
  if (kind_.generation != setting_.generation || kind_.text != trade.kind) {
    const Rules& rules = setting_.rules;
    kind_ = {setting_.generation, trade.kind, rules.folded_kinds.contains(trade.kind.view()),
             rules.stored_kinds.contains(trade.kind.view())};
  }
  return kind_;
}

const RulesOf& Book::rules() const {
  if (rules_generation_ != setting_.generation) {
    rules_ = rules_of(setting_.rules, instrument_);
    rules_generation_ = setting_.generation;
  }
  return rules_;
}

// Of the newest trades alone: what comes later for an older time had another price around it.
bool Book::far_from_median(const Trade& trade) {
  if (samples_.size() < kLeastSamples || rules().far_from_median == Action::accept) return false;
  if (content_time(trade.event_time) < sampled_ - layers_[0].interval) return false;
  if (bound_generation_ != setting_.generation) bound_prices();
  const Int128 price = to_amount(trade.price).units;
  return price < least_price_ || price > greatest_price_;
}

void Book::sample(const Point& point) {
  sampled_ = window_start(point.time, layers_[0].interval) + layers_[0].interval;
  if (samples_.size() == kSamples) samples_.erase(samples_.begin());
  samples_.push_back(point.price);
  bound_prices();
}

void Book::bound_prices() {
  if (samples_.empty()) return;
  std::vector<Int128> sorted;
  for (const Decimal price : samples_) sorted.push_back(to_amount(price).units);
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  const Int128 part = *middle / 10'000 * rules().median_band;
  least_price_ = *middle - part;
  greatest_price_ = *middle + part;
  bound_generation_ = setting_.generation;
}

Marks Book::judge_steps(const Trade& trade, bool& refused) const {
  Marks marks = 0;
  const auto judge_step = [&](Decimal value, const std::optional<Decimal>& step, Action action, Mark mark) {
    if (action == Action::accept || !step || multiple_of(value, *step)) return;
    if (action == Action::mark) marks |= 1U << static_cast<unsigned>(mark);
    refused |= action == Action::quarantine;
  };
  // Trades that are stored but not folded are off the grid by nature (insurance fund).
  if (reference_ && kind_of(trade).folded) {
    judge_step(trade.price, reference_->tick, rules().off_tick, Mark::off_tick);
    judge_step(trade.quantity, reference_->lot, rules().off_lot, Mark::off_lot);
  }
  return marks;
}

std::uint32_t Book::era_of(const Trade& trade) const {
  auto era = static_cast<std::uint32_t>(eras_.size() - 1);
  const Timestamp time = content_time(trade.event_time);
  for (; era > 0 && time < eras_[era].first().time; --era) {
    const Ledger::End &last = eras_[era - 1].top(), &first = eras_[era].first();
    const std::uint64_t id = trade.order;
    if (time > last.time && (id < first.id || (id < last.id && id - first.id < last.id - id))) break;
  }
  return era;
}

Book::Known Book::known(const Trade& trade, Item::Type type, std::uint32_t era) const {
  const Ledger& ledger = eras_[era];
  if (!ledger.knows(trade.order) || held_.contains({era, trade.order})) return Known::no;
  auto absent = absent_.upper_bound({era, trade.order});
  if (absent != absent_.begin() && (--absent)->first.first == era && trade.order <= absent->second) return Known::no;
  const auto& slot = ring_[trade.order / 64 % ring_.size()];
  if (era != ring_era_ || !slot || slot->block != trade.order / 64 || ledger.top().id - trade.order >= kRing)
    return Known::unchecked;
  const std::uint32_t hash = slot->hashes[trade.order % 64];
  if (hash == 0) return Known::unchecked;
  return hash == content_hash(trade, type, kind_of(trade).folded) ? Known::duplicate : Known::contradiction;
}

void Book::remember(const Trade& trade, Item::Type type, std::uint32_t era) {
  if (era != eras_.size() - 1 || eras_[era].top().id - trade.order >= kRing) return;
  if (ring_era_ != era) {
    for (auto& slot : ring_) slot.reset();
    ring_era_ = era;
  }
  auto& slot = ring_[trade.order / 64 % ring_.size()];
  if (!slot) slot = std::make_unique<Slot>();
  if (slot->block != trade.order / 64) {
    slot->block = trade.order / 64;
    slot->hashes.fill(0);
  }
  slot->hashes[trade.order % 64] = content_hash(trade, type, kind_of(trade).folded);
  slot->to_save = true;
}

void Book::forget_contents() {
  for (auto& slot : ring_) {
    if (!slot) continue;
    slot->hashes.fill(0);
    slot->to_save = true;
  }
}

bool Book::series(const Trade& trade, const Item& item, const Origin& origin, Results& out, Counts& counts) {
  const Ledger& ledger = eras_.back();
  if (ledger.empty()) return false;
  const Timestamp time = content_time(trade.event_time);
  const auto same_id = [&](const Aside& a) { return a.trade.order == trade.order; };
  if (!series_.empty() && trade.order == series_.back().trade.order + 1 &&
      time >= content_time(series_.back().trade.event_time)) {
    set_aside(trade, item, origin, out, counts);
    if (series_.size() < kBelieved) return true;
    const std::vector<Aside> believed = std::move(series_);
    series_.clear();
    counts.set_aside -= static_cast<std::int64_t>(believed.size());
    if (series_restart_) eras_.emplace_back();
    for (const Aside& a : believed) {
      Trade t = a.trade;
      t.era = static_cast<std::uint32_t>(eras_.size() - 1);
      accept(std::move(t), a.type, a.live, out, counts);
      resolve(a, out, counts);
    }
    return true;
  }
  if (const auto same = std::find_if(series_.begin(), series_.end(), same_id);
      same != series_.end() && content_time(same->trade.event_time) == time) {
    ++counts.duplicate;
    return true;
  }
  const auto& top = ledger.top();
  const bool restart = trade.order <= top.id && time > top.time + kRestart;
  const std::uint64_t elapsed =
      time > top.time ? static_cast<std::uint64_t>((time - top.time) / std::chrono::seconds{1}) : 0;
  const bool jump = trade.order > top.id && trade.order - top.id > std::max(kJump, kJumpPerSecond * elapsed) &&
                    era_of(trade) == eras_.size() - 1;
  if (!restart && !jump) {
    const auto era = era_of(trade);
    const bool fills = eras_[era].knows(trade.order) || eras_[era].hole_of(trade.order) != eras_[era].holes().end();
    if (!fills) quarantine_series(out, counts);
    return false;
  }
  quarantine_series(out, counts);
  series_restart_ = restart;
  set_aside(trade, item, origin, out, counts);
  return true;
}

// An item that came from quarantine waits no longer, in no series either.
void Book::resolve(const Aside& aside, Results& out, Counts& counts) const {
  std::vector<Header> headers;
  for (const auto& [name, value] : aside.headers) headers.push_back({name, value});
  const RawRecord raw = read_raw(aside.raw, headers, setting_.partition, aside.offset);
  if (raw.kind != RawKind::replay) return;
  if (auto row = resolved_row(raw, Resolution::replayed, setting_.rules.version)) {
    out.quarantined.push_back(std::move(*row));
    ++counts.replayed;
  }
}

void Book::set_aside(const Trade& trade, const Item& item, const Origin& origin, Results& out, Counts& counts) {
  std::size_t bytes = item.raw.size();
  for (const Header& h : origin.record->headers) bytes += h.name.size() + h.value.size();
  if (bytes > kMostAside) {
    quarantine(item, origin, Reason::too_large,
               "with its headers it has " + std::to_string(bytes) + " bytes: too many to wait for the ids behind it",
               {}, out);
    ++counts.quarantined;
    return;
  }
  Aside aside;
  aside.type = item.type;
  aside.trade = trade;
  aside.live = origin.live;
  aside.raw = item.raw;
  aside.headers = headers_of(item, origin);
  aside.offset = origin.record->offset;
  aside.ordinal = item.ordinal;
  aside.receive_time = origin.record->receive_time;
  series_.push_back(std::move(aside));
  ++counts.set_aside;
  touch_head();
}

void Book::list_set_aside(std::vector<SetAside>& out) const {
  for (const Aside& a : series_) out.push_back({a.trade, series_restart_});
}

void Book::quarantine_series(Results& out, Counts& counts) {
  if (series_.empty()) return;
  for (Aside& a : series_) {
    Quarantined q = row_at(a.headers, setting_.partition, a.offset, a.ordinal);
    q.instrument = instrument_;
    q.receive_time = a.receive_time;
    q.id = a.trade.id;
    q.reason = series_restart_ ? Reason::era : Reason::id_jump;
    q.detail = series_restart_
                   ? "id " + a.trade.id.str() + " is old but its time is new, and no series of ids followed it"
                   : "id " + a.trade.id.str() + " is too far beyond the newest, and no series of ids followed it";
    q.rule = Text<24>::cut(series_restart_ ? "era" : "id_jump");
    q.rule_version = setting_.rules.version;
    q.raw = std::move(a.raw);
    out.quarantined.push_back(std::move(q));
  }
  counts.quarantined += series_.size();
  counts.set_aside -= static_cast<std::int64_t>(series_.size());
  series_.clear();
  touch_head();
}

void Book::accept(Trade&& trade, Item::Type type, bool live, Results& out, Counts& counts) {
  const bool is_trade = type == Item::Type::trade;
  const bool folds = is_trade && kind_of(trade).folded;
  const auto point = folds ? std::optional{point_of(trade)} : std::nullopt;
  const Timestamp time = content_time(trade.event_time);
  if (point) {
    item_points_.push_back(*point);
    if (far_from_median(trade)) trade.marks |= 1U << static_cast<unsigned>(Mark::far_from_median);
    if (point->time >= sampled_) sample(*point);
  }
  touch_head();
  if (const auto held = held_.find({trade.era, trade.order}); held != held_.end()) {
    item_held_ = held->second.counts;
    release(trade.era, trade.order);
    ++counts.released;
  }
  using Kind = Ledger::Change::Kind;
  Kind change = Kind::top;
  if (folds) note_sealed(time);
  if (ids_ == TradeIds::contiguous) {
    absorb(trade.era, trade.order);
    change = learn(trade.era, trade.order, time, point);
    if (change == Kind::known) forget_absent(trade.era, trade.order);
    remember(trade, type, trade.era);
  }
  if (folds && (!last_ || *last_ < *point)) last_ = point;
  if (folds) reprice(time);
  if (live) {
    move_frontier(time);
    for (Cover& cover : covers_)
      if (cover.session == trade.source && cover.alive && !cover.silenced) cover_until(cover, time);
  }
  if (folds) fold_trade(trade, change == Kind::below || change == Kind::below_hole);
  if (folds && ids_ != TradeIds::contiguous) note_loose(*point);
  item_held_ = false;
  item_sealed_.clear();
  if (!is_trade) {
    ++counts.empty;
    return;
  }
  ++counts.accepted;
  if (item_late_) {
    ++counts.late;
    trade.marks |= 1U << static_cast<unsigned>(Mark::late);
    item_late_ = false;
  }
  if (trade.marks != 0) ++counts.marked;
  out.trades.push_back(trade);
}

// An id that the venue was thought not to have came after all.
void Book::forget_absent(std::uint32_t era, std::uint64_t id) {
  auto found = absent_.upper_bound({era, id});
  if (found == absent_.begin() || (--found)->first.first != era || id > found->second) return;
  const auto [first, last] = std::pair{found->first.second, found->second};
  touched_absent_.insert(found->first);
  absent_.erase(found);
  const auto keep = [&](std::uint64_t from, std::uint64_t to) {
    if (from > to) return;
    absent_.emplace(std::pair{era, from}, to);
    touched_absent_.insert({era, from});
  };
  keep(first, id - 1);
  keep(id + 1, last);
}

void Book::hold(const Item& item, const Origin& origin, Reason reason, std::string detail, std::string_view rule,
                Results& out, Counts& counts) {
  if (!tape_) fix_tape(item.trade.tape);
  const std::uint32_t era = era_of(item.trade);
  const std::pair key{era, item.trade.order};
  const Ledger& ledger = eras_[era];
  if (held_.contains(key)) {
    ++counts.duplicate;
    if (origin.replay) quarantine(item, origin, reason, std::move(detail), rule, out);
    return;
  }
  quarantine(item, origin, reason, std::move(detail), rule, out);
  if (ids_ != TradeIds::contiguous || ledger.knows(item.trade.order)) {
    ++counts.quarantined;  // its id is known already: nothing waits for it
    return;
  }
  ++counts.held;
  Held held;
  held.time = content_time(item.trade.event_time);
  held.reason = reason;
  held.place = place_of(out.quarantined.back());
  add_held(key, held);
  touched_held_.insert(key);
  if (fits(key, held)) absorb(era, key.second);
  settle_held(era, {key.second});
  retry_bridges();
  look_again(held.time, held.time);
  touch_head();
}

void Book::quarantine(const Item& item, const Origin& origin, Reason reason, std::string detail, std::string_view rule,
                      Results& out) {
  Quarantined q = row_at(headers_of(item, origin), setting_.partition, origin.record->offset, item.ordinal);
  q.instrument = instrument_;
  q.receive_time = origin.record->receive_time;
  if (item.type != Item::Type::bad || item.has_id) q.id = item.trade.id;
  q.reason = reason;
  q.detail = std::move(detail);
  q.rule = Text<24>::cut(rule.empty() ? name(reason) : rule);
  q.rule_version = setting_.rules.version;
  q.raw = item.raw;
  out.quarantined.push_back(std::move(q));
  if (ids_ == TradeIds::rising) note_waiting(item);
}

// Those of its record, and what else a replay needs to judge it as it was judged: the clock offset of its session, and
// which of several items in the same bytes it is.
OwnedHeaders Book::headers_of(const Item& item, const Origin& origin) {
  const RawRecord& record = *origin.record;
  OwnedHeaders out = owned(record.headers);
  if (origin.offset != Nanoseconds{0} && !record.clock_offset)
    out.emplace_back(header::clock_offset, std::to_string(origin.offset.count()));
  if (record.header(header::shared_from)) return out;  // of a replay
  const auto same_bytes = [&](const Item& other) {
    return !item.raw.empty() && other.raw.data() == item.raw.data() && other.raw.size() == item.raw.size();
  };
  const auto first = std::ranges::find_if(origin.items, same_bytes);
  if (const auto count = std::ranges::count_if(origin.items, same_bytes); count > 1) {
    out.emplace_back(header::shared_from, std::to_string(first->ordinal));
    out.emplace_back(header::shared_count, std::to_string(count));
  }
  return out;
}

// Also by another record of the same place: who replays an item twice has not made it two.
bool Book::sets_aside(const QuarantinePlace& item) const {
  return std::ranges::any_of(series_, [&](const Aside& a) {
    return place_of(row_at(a.headers, setting_.partition, a.offset, a.ordinal)) == item;
  });
}

// The newest era in which that item holds the id. Only a known id becomes void: of another neither the id nor the time
// is vouched for, so it is as if the item had never come.
void Book::drop_held(std::uint64_t id, const QuarantinePlace& of, Counts& counts) {
  if (waiting_.erase(id) > 0) touched_waiting_.insert(id);
  auto era = static_cast<std::uint32_t>(eras_.size());
  auto found = held_.end();
  while (era > 0 && found == held_.end()) {
    found = held_.find({--era, id});
    if (found != held_.end() && found->second.place.value_or(of) != of) found = held_.end();
  }
  if (found != held_.end()) {
    const Timestamp time = found->second.time;
    const bool known = found->second.known;
    release(era, id);
    if (known) {
      learn(era, id, time, std::nullopt);
      Trade marker;  // what the id stands for from now on; a trade that comes for it contradicts
      marker.order = marker.first_id = marker.last_id = id;
      marker.event_time = time;
      remember(marker, Item::Type::empty, era);
    } else {
      forget_waits(era, id);
    }
    ++counts.released;
    touch_head();
  }
  settle();
}

// The item under way follows another directly: the ids between the two are absent. Done before the item itself is
// learnt, so that both are one change of the gap.
void Book::absorb(std::uint32_t era, std::uint64_t id) {
  if (!item_follows_ || item_follows_->first != era || item_follows_->second + 1 >= id) return;
  Ledger& ledger = eras_[era];
  const std::uint64_t from = item_follows_->second;
  if (!ledger.knows(from)) return;
  const auto first = ledger.first(), top = ledger.top();
  const auto absent = ledger.absorb(from, id);
  ends_moved(era, false, first, top);
  bridge_between(era, absent);
}

// Nothing lies between the two ids: the venue gave them as neighbours.
void Book::bridge(std::uint32_t era, std::uint64_t from, std::uint64_t to) {
  if (from + 1 >= to) return;
  Ledger& ledger = eras_[era];
  if (!ledger.knows(from) || !ledger.knows(to)) return wait(era, from, to);
  bridge_between(era, ledger.bridge(from, to));
  retry_bridges();
}

// Holes, or lower parts of holes, whose ids the venue does not have.
void Book::bridge_between(std::uint32_t era, const std::vector<Ledger::Absent>& absent) {
  for (const auto& each : absent) {
    const auto& [hole, last, ended] = each;
    absorbed(era, each);
    absent_.emplace(std::pair{era, hole.left + 1}, last);
    touched_absent_.insert({era, hole.left + 1});
    if (absent_.size() > kAbsentKept) {
      touched_absent_.insert(absent_.begin()->first);
      absent_.erase(absent_.begin());
    }
    touched_holes_.insert({era, hole.left});
    if (hole.right == 0) continue;  // above the newest id there was no hole yet
    if (ended) {
      end_hole(era, hole);
      ask_again(hole.left_time - setting_.rules.hold, until_trade(hole.right_time + setting_.rules.hold));
      checks_.push_back(check_of(hole, hole.left_time, hole.right_time, true));
      continue;
    }
    Hole& rest = *eras_[era].hole_after(last);
    touched_holes_.insert({era, last});
    if (!rest.opened()) continue;
    if (rest.state != GapState::lost) rest.state = GapState::progress;
    eras_[era].changed(rest);
    gap_row(era, rest, rest.state);
  }
  touch_head();
}

}  // namespace truetape::market
