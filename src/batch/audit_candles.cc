#include <algorithm>

#include "batch/audit_parts.h"
#include "core/row_order.h"

namespace truetape::audit_parts {
namespace {

struct WindowId {
  std::uint32_t group = 0;  // number of an instrument's tape
  std::uint32_t interval = 0;
  std::int64_t start = 0;
  friend bool operator==(const WindowId&, const WindowId&) = default;
};

// What stays of a window's rows.
struct Window {
  WindowId id{};
  std::int64_t epoch = 0;
  std::uint64_t revision = 0;
  std::uint64_t low = 0, high = 0;  // of the hash
  bool used = false, settled = false, seen = false;

  UInt128 hash() const { return UInt128{high} << 64 | low; }
  RowOrder order() const { return {settled, epoch, revision}; }
};
static_assert(sizeof(Window) == 56);

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  const UInt128 product = UInt128{a ^ 0x9e3779b97f4a7c15} * (b ^ 0xd1b54a32d192ed03);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

constexpr std::int64_t kDayNs = 86'400'000'000'000;
Day day_of(const WindowId& id) { return audit_parts::day_of(timestamp_ns(id.start)); }

// A part of all windows: whole days of an instrument's tape, by the bits of their hash.
struct Slice {
  std::uint64_t mask = 0, value = 0;
  bool holds(const WindowId& id) const {
    const std::int64_t day = id.start >= 0 ? id.start / kDayNs : -1 - (-1 - id.start) / kDayNs;
    return (mix(id.group + 1, static_cast<std::uint64_t>(day) + 1) & mask) == value;
  }
};

// Open addressing; at most half full.
class Windows {
 public:
  std::size_t size() const { return used_; }
  void clear() {
    std::fill(table_.begin(), table_.end(), Window{});
    used_ = 0;
  }
  Window* find(const WindowId& id) {
    for (std::size_t at = place(id);; at = (at + 1) & (table_.size() - 1)) {
      if (!table_[at].used) return nullptr;
      if (table_[at].id == id) return &table_[at];
    }
  }
  // `fresh` or what was there.
  std::pair<Window*, bool> insert(const Window& fresh) {
    if (2 * (used_ + 1) > table_.size()) rebuild(table_.size() * 2, [](const Window&) { return true; });
    std::size_t at = place(fresh.id);
    for (; table_[at].used; at = (at + 1) & (table_.size() - 1))
      if (table_[at].id == fresh.id) return {&table_[at], false};
    table_[at] = fresh;
    ++used_;
    return {&table_[at], true};
  }
  template <class Keep>
  void keep_only(Keep keep) {
    rebuild(table_.size(), keep);
  }
  template <class Each>
  void each(Each each) const {
    for (const Window& window : table_)
      if (window.used) each(window);
  }

 private:
  std::size_t place(const WindowId& id) const {
    return mix(std::uint64_t{id.group} << 32 | id.interval, static_cast<std::uint64_t>(id.start)) & (table_.size() - 1);
  }
  template <class Keep>
  void rebuild(std::size_t size, Keep keep) {
    std::vector<Window> old(size);
    old.swap(table_);
    used_ = 0;
    for (const Window& window : old)
      if (window.used && keep(window)) insert(window);
  }
  std::vector<Window> table_ = std::vector<Window>(1024);
  std::size_t used_ = 0;
};

class CandlesAudit {
 public:
  CandlesAudit(Context& context, Findings& findings) : context_{context}, findings_{findings} {}
  Status run() {
    for (std::vector<Slice> slices{Slice{}}; !slices.empty();) {
      Slice slice = slices.back();
      slices.pop_back();
      if (const Status done = read_log(slice, slices); !done) return done;
      if (const Status done = compare(slice); !done) return done;
    }
    report_sums();
    return locate();
  }

 private:
  struct DaySum {
    std::uint64_t log_rows = 0, store_rows = 0;
    Sum log{}, store{};
    std::optional<WindowId> suspect{};  // the first window that differs: by interval, start
    std::uint64_t only_store = 0;       // rows that the log need not have
  };
  struct Group {
    Instrument instrument;
    Tape tape = Tape::trade;
    std::map<Day, DaySum> days{};
  };

  std::uint32_t group_of(const Candle& c) {
    const auto [found, fresh] =
        numbers_.try_emplace({c.instrument, c.tape}, static_cast<std::uint32_t>(groups_.size()));
    if (fresh) groups_.push_back({c.instrument, c.tape});
    return found->second;
  }
  WindowId id_of(const Candle& c) {
    return {group_of(c), static_cast<std::uint32_t>(c.interval.count()), to_ns(c.start)};
  }
  DaySum& sum_of(const WindowId& id) { return groups_[id.group].days[day_of(id)]; }
  static void suspect(DaySum& sum, const WindowId& id) {
    if (!sum.suspect || std::tie(id.interval, id.start) < std::tie(sum.suspect->interval, sum.suspect->start))
      sum.suspect = id;
  }

  Status read_log(Slice& slice, std::vector<Slice>& rest);
  Status compare(const Slice& slice);
  void report_sums();
  Status locate();

  Context& context_;
  Findings& findings_;
  Windows windows_;
  std::map<std::pair<Instrument, Tape>, std::uint32_t> numbers_;
  std::vector<Group> groups_;
};

// The last row of each window of the slice. A slice that is too much is halved: the other half waits in `rest`.
Status CandlesAudit::read_log(Slice& slice, std::vector<Slice>& rest) {
  windows_.clear();
  for (const std::int32_t partition : context_.partitions) {
    const auto done = read_rows<Candle>(context_, topic::candles, partition, [&](const Candle& c) {
      std::int64_t& least = context_.generation.try_emplace(partition, c.epoch).first->second;
      least = std::min(least, c.epoch);
      if (!context_.selected(c.instrument, c.start)) return true;
      Window fresh;
      fresh.id = id_of(c);
      if (!slice.holds(fresh.id)) return true;
      const RowOrder order = row_order(c);
      const UInt128 hash = hash_of(c);
      fresh.epoch = order.epoch;
      fresh.revision = order.revision;
      fresh.settled = order.settled;
      fresh.low = static_cast<std::uint64_t>(hash);
      fresh.high = static_cast<std::uint64_t>(hash >> 64);
      fresh.used = true;
      const auto [stored, is_new] = windows_.insert(fresh);
      if (!is_new && replaces(order, stored->order())) *stored = fresh;
      if (is_new && windows_.size() > context_.options.windows && slice.mask != ~std::uint64_t{0}) {
        const std::uint64_t bit = slice.mask + 1;
        rest.push_back({slice.mask | bit, slice.value | bit});
        slice.mask |= bit;
        windows_.keep_only([&](const Window& w) { return slice.holds(w.id); });
      }
      return true;
    });
    if (!done) return done;
  }
  return {};
}

Status CandlesAudit::compare(const Slice& slice) {
  windows_.each([&](const Window& w) {
    DaySum& sum = sum_of(w.id);
    ++sum.log_rows;
    sum.log.add(w.hash());
  });
  const auto read = context_.store.candles(context_.selection(), [&](const Candle& c) {
    const WindowId id = id_of(c);
    if (!slice.holds(id)) return true;
    const UInt128 hash = hash_of(c);
    DaySum& sum = sum_of(id);
    ++sum.store_rows;
    sum.store.add(hash);
    const std::int32_t partition = context_.partition(c.instrument);
    const bool older = context_.older(topic::candles, partition, c.epoch);
    Window* const window = windows_.find(id);
    if (window == nullptr) {
      // A row of a generation of results that is gone from the log.
      if (older || context_.leeway(topic::candles, partition))
        ++sum.only_store;
      else
        suspect(sum, id);
      return true;
    }
    if (window->hash() != hash) {
      // A row of another log, or of a generation that is gone, stays where what the log says now is not settled.
      if ((older || (context_.other_logs && c.epoch != context_.log.epoch())) && row_order(c) > window->order())
        ++sum.only_store;
      else
        suspect(sum, id);
    }
    window->seen = true;
    return true;
  });
  if (!read) return read;
  windows_.each([&](const Window& w) {
    if (!w.seen) suspect(sum_of(w.id), w.id);
  });
  return {};
}

void CandlesAudit::report_sums() {
  for (const Group& group : groups_)
    for (const auto& [day, sum] : group.days) {
      AuditDay& row = findings_.at(group.instrument, group.tape, day);
      row.log.candles = sum.log_rows;
      row.store.candles = sum.store_rows;
      if (sum.log_rows > 0) row.log.candles_digest = hex(sum.log);
      if (sum.store_rows > 0) row.store.candles_digest = hex(sum.store);
      if (!sum.suspect && sum.only_store > 0)
        Findings::excuse(row, context_, std::to_string(sum.only_store) + " of its candles are only in the store");
    }
}

// Reads the suspects again, on both sides.
Status CandlesAudit::locate() {
  struct Found {
    std::optional<Candle> log, store;
    bool beyond = false;  // what the store has comes in the log after the store's position
  };
  const auto key_of = [](const Candle& c) { return std::tuple{c.instrument, c.tape, c.interval, c.start}; };
  std::map<decltype(key_of(Candle{})), Found> suspects;
  std::set<std::int32_t> partitions;
  for (const Group& group : groups_)
    for (const auto& [day, sum] : group.days)
      if (sum.suspect) {
        const Interval interval{sum.suspect->interval};
        const Timestamp start = timestamp_ns(sum.suspect->start);
        Found& found = suspects[{group.instrument, group.tape, interval, start}];
        partitions.insert(context_.partition(group.instrument));
        Selection what;
        what.instrument = group.instrument;
        what.tape = group.tape;
        what.interval = interval;
        what.from = start;
        what.to = start + interval;
        if (const Status done = context_.store.candles(what, [&](const Candle& c) { return found.store = c, true; });
            !done)
          return done;
      }
  for (const std::int32_t partition : partitions) {
    const auto last = [&](const Candle& c) {
      if (const auto found = suspects.find(key_of(c)); found != suspects.end())
        if (auto& log = found->second.log; !log || replaces(row_order(c), row_order(*log))) log = c;
      return true;
    };
    if (const Status done = read_rows<Candle>(context_, topic::candles, partition, last); !done) return done;
    const auto later = [&](const Candle& c) {
      if (const auto found = suspects.find(key_of(c)); found != suspects.end() && found->second.store == c)
        found->second.beyond = true;
      return true;
    };
    if (const Status done = read_rows<Candle>(context_, topic::candles, partition, later, true); !done) return done;
  }
  for (const auto& [key, found] : suspects) {
    const auto& [instrument, tape, interval, start] = key;
    const std::int32_t partition = context_.partition(instrument);
    AuditDay& day = findings_.at(instrument, tape, audit_parts::day_of(start));
    const std::string name = "candle " + to_text(interval) + ' ' + to_rfc3339(start);
    if (found.beyond && !(found.log && found.store && found.log == found.store))
      Findings::differ(day, name + ": in the store, " +
                                beyond(topic::candles, partition, context_.range(topic::candles, partition).next));
    else if (!found.store)
      Findings::differ(day, name + ": not in the store");
    else if (found.log)
      Findings::differ(day, name + ' ' + difference(*found.log, *found.store));
    else if (context_.leeway(topic::candles, partition))  // retention was quicker than the second reading
      Findings::excuse(day, context_, name + " is only in the store");
    else
      Findings::differ(day, name + ": not in the log");
  }
  return {};
}

}  // namespace

Status audit_candles(Context& context, Findings& findings) { return CandlesAudit{context, findings}.run(); }

}  // namespace truetape::audit_parts
