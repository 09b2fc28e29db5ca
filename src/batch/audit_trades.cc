#include <algorithm>
#include <future>

#include "batch/audit_parts.h"
#include "codec/canonical.h"

namespace truetape::audit_parts {
namespace {

constexpr int kBlockShift = 12;               // trades of 4,096 ids, or of a minute where there are none
constexpr std::uint64_t kBatchRows = 60'000;  // that are held for comparison at a time

// Where a trade stands among those of its day: what a difference is looked for by.
using BlockKey = std::tuple<bool, std::uint32_t, std::uint64_t>;
BlockKey block_of(const Trade& t) {
  if (t.id.empty())
    return {
        false, 0,
        static_cast<std::uint64_t>(std::chrono::floor<std::chrono::minutes>(t.event_time).time_since_epoch().count())};
  return {true, t.era, t.order >> kBlockShift};
}

// Before `b` in the order of a comparison: by identity.
bool before(const Trade& a, const Trade& b) {
  if (a.id.empty() != b.id.empty()) return a.id.empty();
  if (!a.id.empty()) return std::tie(a.era, a.order) < std::tie(b.era, b.order);
  return std::tie(a.event_time, a.source, a.seq, a.ordinal) < std::tie(b.event_time, b.source, b.seq, b.ordinal);
}

bool same_canonical(const Trade& a, const Trade& b) {
  std::string left, right;
  append_canonical(a, left);
  append_canonical(b, right);
  return left == right;
}

// Of what is compared by same_canonical().
UInt128 hash_of_canonical(const Trade& trade) {
  std::string line;
  append_canonical(trade, line);
  RowHash hash;
  hash("", std::string_view{line});
  return hash.finish();
}

std::string trade_name(const Trade& t) {
  std::string out = "trade ";
  if (t.id.empty())
    out += t.source.str() + '/' + std::to_string(t.seq) + '/' + std::to_string(t.ordinal);
  else
    out += (t.era == 0 ? "" : std::to_string(t.era) + ':') + t.id.str();
  return out + ' ' + to_rfc3339(t.event_time);
}

std::string id_text(const std::pair<std::uint32_t, std::uint64_t>& id) {
  return (id.first == 0 ? "" : std::to_string(id.first) + ':') + std::to_string(id.second);
}

}  // namespace

struct TradesAudit::Unit {
  struct Block {
    struct Side {
      std::uint64_t rows = 0;
      Sum sum{};
      Sum canonical{};  // in place of `sum` where the store may have had a trade, by its id, before the log brings it
      void add(const Trade& trade, bool known_before) {
        ++rows;
        (known_before ? canonical : sum)
            .add(known_before && !trade.id.empty() ? hash_of_canonical(trade) : hash_of(trade));
      }
    };
    Side log{}, store{};
    // Whole stores may differ in nothing but the way by which their trades came: then no row need be looked at.
    bool differs(bool known_before) const {
      return log.rows != store.rows || !(known_before ? log.canonical == store.canonical : log.sum == store.sum);
    }
  };
  AuditDay* day = nullptr;
  std::map<BlockKey, Block> blocks{};
  std::optional<Trade> impossible{};  // a row of the store that the log's lost beginning cannot have held, and why
  const char* why = "";
  std::uint64_t only_store = 0;  // rows that it may have held
  bool differs = false;
};

void TradesAudit::DaySum::add(const Trade& trade, UInt128 hash) {
  ++rows;
  sum.add(hash);
  too_large |= __builtin_add_overflow(volume, to_amount(trade.quantity).units, &volume);
  if (trade.id.empty()) return;
  const std::pair id{trade.era, trade.order};
  if (!first || id < *first) first = id;
  if (!last || id > *last) last = id;
}

void TradesAudit::Sums::add(const Trade& trade) {
  if (groups_ == nullptr || !(trade.instrument == instrument_)) {
    instrument_ = trade.instrument;
    groups_ = &groups[instrument_];
    recent_ = {};
    for (Group& group : *groups_) group.selected = context_.selected(instrument_);
  }
  const auto tape = static_cast<std::size_t>(trade.tape);
  Group& group = (*groups_)[tape];
  if (!group.selected) return;
  Recent& recent = recent_[tape];
  if (!context_.selected(trade.instrument, trade.event_time)) return;
  if (recent.sum == nullptr || trade.event_time < recent.begin || trade.event_time >= recent.end) {
    const Day day = day_of(trade.event_time);
    recent.begin = day;
    recent.end = day + std::chrono::days{1};
    recent.sum = &group.days[day];
  }
  recent.sum->add(trade, hash_of(trade));
}

Status TradesAudit::sum_log(const std::atomic<bool>& stop) {
  for (const std::int32_t partition : context_.partitions) {
    const auto done = read_rows<Trade>(context_, topic::trades, partition, [&](const Trade& trade) {
      log_.add(trade);
      return !stop.load(std::memory_order_relaxed);
    });
    if (!done) return done;
  }
  return {};
}

Status TradesAudit::sum_store(const std::atomic<bool>& stop) {
  return context_.store.scan_trades(context_.selection(), [&](const Trade& trade) {
    store_.add(trade);
    return !stop.load(std::memory_order_relaxed);
  });
}

Status TradesAudit::sum() {
  std::atomic<bool> stop{false};
  auto log_side = std::async(std::launch::async, [&] {
    const Status done = sum_log(stop);
    if (!done) stop = true;
    return done;
  });
  const Status store_side = sum_store(stop);
  if (!store_side) stop = true;
  if (const Status done = log_side.get(); !done) return done;
  if (!store_side) return store_side;
  const auto note = [&](const Sums& sums, AuditDay::Side AuditDay::*side, bool of_log) {
    for (const auto& [instrument, tapes] : sums.groups)
      for (const Tape tape : {Tape::trade, Tape::agg})
        for (const auto& [day, sum] : tapes[static_cast<std::size_t>(tape)].days) {
          AuditDay& row = findings_.at(instrument, tape, day);
          (row.*side).trades = sum.rows;
          if (!sum.too_large) (row.*side).volume = Amount{sum.volume};
          (row.*side).trades_digest = hex(sum.sum);
          if (of_log && sum.first) row.first_id = id_text(*sum.first), row.last_id = id_text(*sum.last);
        }
  };
  note(log_, &AuditDay::log, true);
  note(store_, &AuditDay::store, false);
  return {};
}

// Why the log cannot have lost that trade of the store; nullptr: it may have.
const char* TradesAudit::must_be_there(const Trade& trade) const {
  if (context_.other_logs || !trade.receive_time) return nullptr;
  const std::int32_t partition = context_.partition(trade.instrument);
  if (remade(partition)) {  // an epoch is the time, in seconds, of what began it
    if (*trade.receive_time < Timestamp{std::chrono::seconds{context_.generation_of(partition) + 1}}) return nullptr;
    if (!context_.range(topic::trades, partition).pruned())
      return ": not in the log, whose results were made anew before it was received";
  }
  // Of a session's trades the log holds those of its later records, so it has lost only those of earlier ones: the
  // records of a session come in their order.
  const auto least = sessions_.find({trade.instrument, trade.tape, trade.source});
  return least != sessions_.end() && trade.seq > least->second
             ? ": not in the log, which has earlier records of its session"
             : nullptr;
}

Status TradesAudit::locate() {
  std::map<std::int32_t, std::map<DayKey, Unit>> units;
  for (auto& [key, day] : findings_.days) {
    if (day.log.trades == day.store.trades && day.log.trades_digest == day.store.trades_digest) continue;
    const std::int32_t partition = context_.partition(day.instrument);
    if (day.log.trades == 0 && leeway(partition))
      Findings::excuse(day, context_, "none of its trades is in the log");
    else
      units[partition][key].day = &day;
  }
  for (auto& [partition, of] : units)
    if (const Status done = locate_in(partition, of); !done) return done;
  return {};
}

Status TradesAudit::read_log(std::int32_t partition, const std::function<void(const Trade&)>& each) {
  sessions_.clear();
  const Range& range = context_.range(topic::trades, partition);
  std::int64_t oldest = -1;
  Text<40> source;
  Instrument instrument;
  Tape tape = Tape::trade;
  std::uint64_t* least = nullptr;
  return read_rows<Trade>(context_, topic::trades, partition, [&](const Trade& t) {
    if (std::exchange(oldest, range.oldest) != range.oldest) {  // what was read before is no longer there
      sessions_.clear();
      least = nullptr;
    }
    if (t.receive_time && context_.selected(t.instrument)) {
      if (least == nullptr || !(source == t.source) || !(instrument == t.instrument) || tape != t.tape) {
        source = t.source;
        instrument = t.instrument;
        tape = t.tape;
        least = &sessions_.try_emplace({t.instrument, t.tape, t.source}, t.seq).first->second;
      }
      *least = std::min(*least, t.seq);
    }
    each(t);
    return true;
  });
}

Status TradesAudit::locate_in(std::int32_t partition, std::map<DayKey, Unit>& units) {
  // Once more if the log lost its beginning meanwhile: then other rows are looked at.
  for (bool again = true; again;) {
    for (auto& [key, unit] : units) unit = Unit{.day = unit.day};
    again = !leeway(partition);
    if (const Status done = sum_blocks(partition, units); !done) return done;
    if (const Status done = compare_rows(partition, units); !done) return done;
    again &= leeway(partition);
  }
  for (auto& [key, unit] : units) {
    if (unit.differs) continue;
    if (unit.impossible) {
      Findings::differ(*unit.day, trade_name(*unit.impossible) + unit.why);
    } else if (leeway(partition)) {
      Findings::excuse(*unit.day, context_,
                       unit.only_store == 0 ? "the same trades, which came by another way"
                                            : std::to_string(unit.only_store) + " of its trades are only in the store");
    } else {
      Findings::differ(*unit.day, "trades: the sums differ, and no trade does; report this");
    }
  }
  return {};
}

// The store's trades of the units' days.
Status TradesAudit::scan_store(const std::map<DayKey, Unit>& units,
                               const std::function<void(const Trade&)>& each) const {
  for (auto unit = units.begin(); unit != units.end();) {
    const auto& [instrument, tape, first] = unit->first;
    Day last = first;
    for (; unit != units.end() && std::get<0>(unit->first) == instrument && std::get<1>(unit->first) == tape; ++unit)
      last = std::get<2>(unit->first);
    Selection what = context_.selection();
    what.instrument = instrument;
    what.tape = tape;
    what.from = std::max<Timestamp>(what.from.value_or(Timestamp{first}), Timestamp{first});
    what.to = std::min<Timestamp>(what.to.value_or(Timestamp{last + std::chrono::days{1}}),
                                  Timestamp{last + std::chrono::days{1}});
    if (const Status done = context_.store.scan_trades(what, [&](const Trade& t) { return each(t), true; }); !done)
      return done;
  }
  return {};
}

namespace {

// The unit of a trade, or nullptr. Trades of one day come in runs.
template <class Units>
auto unit_of(Units& units, const Context& context, const Trade& t) -> decltype(&units.begin()->second) {
  if (!context.selected(t.instrument, t.event_time)) return nullptr;
  const auto found = units.find({t.instrument, t.tape, day_of(t.event_time)});
  return found == units.end() ? nullptr : &found->second;
}

}  // namespace

Status TradesAudit::sum_blocks(std::int32_t partition, std::map<DayKey, Unit>& units) {
  const bool known = known_before(partition);
  const auto of_log = read_log(partition, [&](const Trade& t) {
    if (Unit* const unit = unit_of(units, context_, t)) {
      unit->blocks[block_of(t)].log.add(t, known);
    }
  });
  if (!of_log) return of_log;
  return scan_store(units, [&](const Trade& t) {
    Unit* const unit = unit_of(units, context_, t);
    if (unit == nullptr) return;
    Unit::Block& block = unit->blocks[block_of(t)];
    block.store.add(t, known);
    if (block.log.rows != 0) return;  // these are compared row by row
    ++unit->only_store;
    const char* const why = must_be_there(t);
    if (why == nullptr || (unit->impossible && !before(t, *unit->impossible))) return;
    unit->impossible = t;
    unit->why = why;
  });
}

// Compares blocks that differ: where the log must hold all, the first one only, which has the first difference; else
// all that the log has a row of.
Status TradesAudit::compare_rows(std::int32_t partition, std::map<DayKey, Unit>& units) {
  const bool some = leeway(partition);
  const bool known_before = this->known_before(partition);
  std::vector<std::pair<Unit*, BlockKey>> wanted;
  for (auto& [key, unit] : units)
    for (const auto& [block, sums] : unit.blocks) {
      if (!sums.differs(known_before) || (some && sums.log.rows == 0)) continue;
      wanted.emplace_back(&unit, block);
      if (!some) break;
    }
  struct Rows {
    std::vector<Trade> log, store, beyond;  // beyond: the log's after the store's position
  };
  for (std::size_t at = 0; at < wanted.size();) {
    std::map<std::pair<Unit*, BlockKey>, Rows> batch;
    for (std::uint64_t rows = 0; at < wanted.size() && (batch.empty() || rows < kBatchRows); ++at) {
      if (wanted[at].first->differs) continue;
      const Unit::Block& block = wanted[at].first->blocks.at(wanted[at].second);
      rows += block.log.rows + block.store.rows;
      batch.try_emplace(wanted[at]);
    }
    const auto keep = [&](std::vector<Trade> Rows::*side) {
      return [this, &units, &batch, side](const Trade& t) {
        if (Unit* const unit = unit_of(units, context_, t))
          if (const auto found = batch.find({unit, block_of(t)}); found != batch.end())
            (found->second.*side).push_back(t);
        return true;
      };
    };
    if (const Status done = read_log(partition, keep(&Rows::log)); !done) return done;
    const bool lenient = leeway(partition);
    if (const Status done = read_rows<Trade>(context_, topic::trades, partition, keep(&Rows::beyond), true); !done)
      return done;
    if (const Status done = scan_store(units, keep(&Rows::store)); !done) return done;

    for (auto& [key, rows] : batch) {
      Unit& unit = *key.first;
      if (unit.differs) continue;
      const auto differ = [&](const Trade& t, const std::string& how) {
        Findings::differ(*unit.day, trade_name(t) + how);
        unit.differs = true;
      };
      for (auto* side : {&rows.log, &rows.store, &rows.beyond}) std::sort(side->begin(), side->end(), before);
      auto log = rows.log.begin();
      for (auto store = rows.store.begin(); !unit.differs && (log != rows.log.end() || store != rows.store.end());) {
        if (log != rows.log.begin() && log != rows.log.end() && !before(*(log - 1), *log)) {
          differ(*log, ": more than once in the log");
        } else if (store == rows.store.end() || (log != rows.log.end() && before(*log, *store))) {
          differ(*log, ": not in the store");
        } else if (log == rows.log.end() || before(*store, *log)) {
          const auto later = std::lower_bound(rows.beyond.begin(), rows.beyond.end(), *store, before);
          if (!known_before && later != rows.beyond.end() && !before(*store, *later))
            differ(*store, ": in the store, " +
                               beyond(topic::trades, partition, context_.range(topic::trades, partition).next));
          else if (!lenient)
            differ(*store, ": not in the log");
          else if (const char* const why = must_be_there(*store))
            differ(*store, why);
          else
            ++unit.only_store;
          ++store;
        } else {
          // Rows that came by another way, of another log or before results were made anew, tell the same trade.
          const std::string what = difference(*log, *store);
          if (!what.empty() && !(known_before && same_canonical(*log, *store))) differ(*store, ' ' + what);
          ++log;
          ++store;
        }
      }
    }
  }
  return {};
}

}  // namespace truetape::audit_parts
