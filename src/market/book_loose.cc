// Venues whose ids only rise, or that have none (semantics sections 2, 4 and 13): identity by a window of what came
// lately, and completeness by pages of the venue's REST API that hold all trades between their ends.
#include <algorithm>

#include "market/book.h"

namespace truetape::market {
namespace {

constexpr std::size_t kRecent = 1'000;     // trades remembered, and all within the horizon
constexpr std::size_t kBrought = 100'000;  // ids that replays brought, the least forgotten
constexpr std::size_t kFiles = 1'000;      // of which it is remembered how far they were read, the oldest forgotten
constexpr std::size_t kStretches = 256;    // remembered, the oldest forgotten

std::uint64_t mix(std::uint64_t h, std::uint64_t v) {
  h ^= v + 0x9e3779b97f4a7c15 + (h << 6) + (h >> 2);
  h *= 0xff51afd7ed558ccd;
  return h ^ h >> 32;
}

std::uint64_t hash_text(std::string_view text) {
  std::uint64_t h = 0xcbf29ce484222325;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return h;
}

}  // namespace

// Where ids rise the venue's own number, which its stream and its pages share; else the id, or the place.
std::uint64_t Book::identity_of(const Trade& trade) const {
  if (ids_ == TradeIds::rising) return trade.order;
  if (!trade.id.empty()) return hash_text(trade.id.view());
  return mix(mix(hash_text(trade.source.view()), trade.seq), trade.ordinal);
}

bool Book::is_forgotten(std::uint64_t identity, Timestamp time) const {
  return ids_ == TradeIds::rising && floor_ && identity <= *floor_ && time <= *forgotten_to_;
}

// A replay repeats nothing if its trade waits. Of an item whose id nobody could read, it is not known: the first one
// counts.
bool Book::repeats(std::uint64_t identity, const Origin& origin) {
  if (!origin.replay) return origin.record->kind == RawKind::backfill || in_stretch(identity);
  const bool readable = origin.record->header(header::id).has_value();
  if (!waiting_.contains(identity) && (readable || brought_.contains(identity))) return true;
  brought_.insert(identity);
  touched_brought_.insert(identity);
  if (brought_.size() > kBrought) {
    touched_brought_.insert(*brought_.begin());
    brought_.erase(brought_.begin());
  }
  return false;
}

// A trade in quarantine, if it is known not to have been accepted: a replay of it, however late, is no repeat.
void Book::note_waiting(const Item& item) {
  if (item.type == Item::Type::bad && !item.has_id) return;
  const std::uint64_t id = item.trade.order;
  if (recent_.contains(id) || is_forgotten(id, content_time(item.trade.event_time))) return;
  if (waiting_.insert(id).second) touched_waiting_.insert(id);
}

// Was this row of its file read before? Its rows come in their order, however often it is imported.
bool Book::passed_file(const Trade& trade) {
  const auto [found, fresh] = files_.try_emplace(trade.source.str(), FilePlace{0, 0, files_seen_ + 1});
  FilePlace& at = found->second;
  if (!fresh && std::tie(trade.seq, trade.ordinal) <= std::tie(at.row, at.ordinal)) return true;
  at.row = trade.seq;
  at.ordinal = trade.ordinal;
  touched_files_.insert(found->first);
  if (!fresh) return false;
  ++files_seen_;
  if (files_.size() > kFiles) {
    const auto oldest = std::ranges::min_element(files_, {}, [](const auto& f) { return f.second.born; });
    touched_files_.insert(oldest->first);
    files_.erase(oldest);
  }
  return false;
}

void Book::judge_loose(const Item& item, Trade trade, const Origin& origin, Results& out, Counts& counts) {
  const std::uint64_t identity = identity_of(trade);
  const Timestamp time = content_time(trade.event_time);
  const bool rising = ids_ == TradeIds::rising;
  const bool forgotten = is_forgotten(identity, time);
  const bool of_file = origin.record->kind == RawKind::history && origin.record->header(header::file);
  if (recent_.contains(identity) || (of_file && passed_file(trade) && !waiting_.contains(identity))) {
    ++counts.duplicate;
    return;
  }
  if (forgotten && repeats(identity, origin)) {
    ++counts.duplicate;
    ++counts.duplicate_unchecked;
    return;
  }
  if (origin.live && (forgotten || (frontier_ && time + setting_.rules.horizon < *frontier_))) {
    quarantine(item, origin, Reason::rule,
               "event time " + to_rfc3339(trade.event_time) + " is older than " +
                   (forgotten ? "what is remembered" : "the horizon"),
               rule::horizon, out);
    ++counts.quarantined;
    return;
  }
  if (rising) split_stretch(identity);
  if (waiting_.erase(identity) > 0) touched_waiting_.insert(identity);
  recent_.emplace(identity, time);
  recent_by_time_.emplace(time, identity);
  touched_recent_.insert(identity);
  while (recent_by_time_.size() > kRecent) {
    const auto oldest = recent_by_time_.begin();
    const Timestamp newest = recent_by_time_.rbegin()->first;
    const Timestamp now = std::max(frontier_.value_or(newest), newest);  // history may be newer than what was live
    if (oldest->first + setting_.rules.horizon >= now) break;
    if (rising) {
      floor_ = std::max(floor_.value_or(oldest->second), oldest->second);
      forgotten_to_ = std::max(forgotten_to_.value_or(oldest->first), oldest->first);
    }
    touched_recent_.insert(oldest->second);
    recent_.erase(oldest->second);
    recent_by_time_.erase(oldest);
  }
  accept(std::move(trade), item.type, origin.live, out, counts);
}

// A candle trade of such a venue: knowledge may begin earlier now, and what has no state of its own gives quiet windows
// their price.
void Book::note_loose(const Point& point) {
  if (!layers_[0].windows.contains(window_start(point.time, layers_[0].interval))) note_dropped(point);
  if (first_time_ && point.time >= *first_time_) return;
  if (first_time_) checks_.push_back({.from = point.time, .to = *first_time_, .fresh = unsealed_from(point.time)});
  first_time_ = point.time;
}

void Book::note_dropped(const Point& point) {
  if (ids_ == TradeIds::contiguous || (dropped_last_ && !(*dropped_last_ < point))) return;
  dropped_last_ = point;
  touch_head();
}

// Windows that end at `t` or before it, or that age has sealed, may not be made any more.
Timestamp Book::unsealed_from(Timestamp t) const {
  return frontier_ ? std::max(t, *frontier_ - setting_.rules.horizon) : t;
}

// The stretch that holds the id, its ends included.
Book::Stretches::iterator Book::stretch_at(std::uint64_t id) {
  auto next = stretches_.upper_bound(id);
  if (next == stretches_.begin() || std::prev(next)->second.last < id) return stretches_.end();
  return std::prev(next);
}

bool Book::in_stretch(std::uint64_t id) { return stretch_at(id) != stretches_.end(); }

bool Book::is_known_loose(std::uint64_t id) { return recent_.contains(id) || in_stretch(id); }

// A trade of which a page knew nothing, between two that it gave as neighbours: what it said of these does not hold.
void Book::split_stretch(std::uint64_t id) {
  const auto found = stretch_at(id);
  if (found == stretches_.end() || id == found->first || id == found->second.last) return;
  const std::uint64_t first = found->first;
  const Overlap whole = found->second;
  look_again(whole.from, whole.to);
  stretches_.erase(found);
  const auto after = recent_.upper_bound(id);
  if (after != recent_.begin())
    if (const auto before = std::prev(after); before->first > first)
      stretches_.emplace(first, Overlap{before->first, whole.from, before->second});
  if (after != recent_.end() && after->first < whole.last)
    stretches_.emplace(after->first, Overlap{whole.last, after->second, whole.to});
  touch_head();
}

// One page gave the two as neighbours, and both are known. The stretch that this made or made longer.
Book::Stretches::iterator Book::link(std::uint64_t id, std::uint64_t next) {
  const auto none = stretches_.end();
  const auto low = stretch_at(id), high = stretch_at(next);
  if (id >= next || (low != none && low == high)) return none;
  // Is a known trade between them?
  if (low != none && low->second.last != id) return none;
  if (high != none && high->first != next) return none;
  if (const auto between = recent_.upper_bound(id); between != recent_.end() && between->first < next) return none;
  if (const auto between = stretches_.upper_bound(id); between != none && between->first < next) return none;
  if ((low == none && !recent_.contains(id)) || (high == none && !recent_.contains(next))) return none;
  const std::uint64_t first = low != none ? low->first : id;
  const Overlap joined{high != none ? high->second.last : next, low != none ? low->second.from : recent_.at(id),
                       high != none ? high->second.to : recent_.at(next)};
  if (low != none) stretches_.erase(low);
  if (high != none) stretches_.erase(high);
  touch_head();
  return stretches_.insert_or_assign(first, joined).first;
}

// All items of a record are judged: what its pages say of their neighbours holds now.
void Book::end_page() {
  if (links_.empty()) return;
  std::set<std::uint64_t> grown;
  for (const auto& [id, next] : links_)
    if (const auto stretch = link(id, next); stretch != stretches_.end()) grown.insert(stretch->first);
  links_.clear();
  for (const std::uint64_t first : grown) {
    const auto found = stretches_.find(first);
    if (found == stretches_.end()) continue;  // it became part of another one
    const Overlap& o = found->second;
    checks_.push_back({.from = o.from, .to = o.to, .fresh = unsealed_from(std::min(o.from, o.to))});
  }
  while (stretches_.size() > kStretches) {
    look_again(stretches_.begin()->second.from, stretches_.begin()->second.to);
    stretches_.erase(stretches_.begin());
  }
  settle();
}

// Nothing is proved without ids but by pages; a break in what the sessions cover is a gap.
Book::Verdict Book::judge_loose(Timestamp start, Timestamp end, bool has_trades) const {
  Verdict v;
  for (const auto& [first, stretch] : stretches_) {
    if (stretch.from >= start || stretch.to < end) continue;
    v.completeness = has_trades ? Completeness::complete : Completeness::quiet;
    v.proof = Proof::overlap;
    v.missing = 0;
    return v;
  }
  std::optional<Timestamp> from;  // of the first session
  for (const auto& [begin, until] : covered_.all()) from = std::min(from.value_or(begin), begin);
  for (const Cover& cover : covers_)
    if (cover.alive && cover.from && cover.end) from = std::min(from.value_or(*cover.from), *cover.from);
  v.completeness = Completeness::unverifiable;
  if (!from || tail(std::max(start, *from), end) != Tail::broken) return v;
  v.completeness = Completeness::gap;
  v.proof = Proof::session;
  return v;
}

void Book::write_loose(Writer& w) const {
  w.optional(floor_, [&](std::uint64_t n) {
    w.number(n);
    w.time(*forgotten_to_);
  });
  w.optional(first_time_, [&](Timestamp t) { w.time(t); });
  w.optional(dropped_last_, [&](const Point& p) {
    w.time(p.time);
    w.number(p.id);
    w.decimal(p.price);
  });
  w.number(stretches_.size());
  for (const auto& [first, stretch] : stretches_) {
    w.number(first);
    w.number(stretch.last);
    w.time(stretch.from);
    w.time(stretch.to);
  }
}

void Book::read_loose(Reader& r) {
  floor_ = r.optional([&] {
    const std::uint64_t floor = r.number();
    forgotten_to_ = r.time();
    return floor;
  });
  first_time_ = r.optional([&] { return r.time(); });
  dropped_last_ = r.optional([&] {
    Point p;
    p.time = r.time();
    p.id = r.number();
    p.price = r.decimal();
    return p;
  });
  for (auto n = r.number(); n > 0; --n) {
    const std::uint64_t first = r.number();
    Overlap stretch;
    stretch.last = r.number();
    stretch.from = r.time();
    stretch.to = r.time();
    stretches_.emplace(first, stretch);
  }
}

}  // namespace truetape::market
