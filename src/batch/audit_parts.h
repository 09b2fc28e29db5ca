// The parts of an audit, each reads one kind of rows on both sides. Internal to batch/audit.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "batch/audit.h"
#include "batch/audit_fields.h"

namespace truetape::audit_parts {

using Day = std::chrono::sys_days;
using DayKey = std::tuple<Instrument, Tape, Day>;
inline Day day_of(Timestamp t) { return std::chrono::floor<std::chrono::days>(t); }

// What the log holds of a topic-partition, as of the beginning, and how far the store says that it has loaded it.
struct Range {
  std::int64_t anew = 0, first = 0;               // AuditOptions::Anew
  std::int64_t oldest = 0, next = 0, end = 0;     // audited: [oldest, next)
  bool pruned() const { return oldest > first; }  // the log has lost its beginning
  bool remade() const { return anew > 0; }        // results were made anew: the store may hold older ones
};

// What every part knows.
struct Context {
  Log& log;
  const History& store;
  const AuditOptions& options;
  std::map<std::pair<std::string_view, std::int32_t>, Range> ranges{};  // the log's thread moves `oldest` on
  std::vector<std::int32_t> partitions{};                               // those that are looked at
  bool other_logs = false;  // the store was loaded from another log, or continuation of this one, before
  // The least epoch of the partition's candles in the log: what was made anew has that or a greater one. A restore
  // renews the log's epoch too, but makes nothing anew.
  std::map<std::int32_t, std::int64_t> generation{};

  const Range& range(std::string_view topic, std::int32_t partition) const { return ranges.at({topic, partition}); }
  bool selected(const Instrument& instrument) const { return !options.instrument || *options.instrument == instrument; }
  bool selected(const Instrument& instrument, Timestamp t) const {
    return selected(instrument) && (!options.from || t >= *options.from) && (!options.to || t < *options.to);
  }
  Selection selection() const {
    Selection out;
    out.instrument = options.instrument;
    out.from = options.from;
    out.to = options.to;
    return out;
  }
  std::int32_t partition(const Instrument& instrument) const { return partition_of(instrument, log.partitions()); }
  // May the store hold rows of that topic, which is aged, that the log does not?
  bool leeway(std::string_view topic, std::int32_t partition) const {
    return other_logs || range(topic, partition).pruned();
  }
  std::int64_t generation_of(std::int32_t partition) const {
    const auto found = generation.find(partition);
    return found == generation.end() ? log.epoch() : found->second;
  }
  // Is a row of that epoch from before its topic's results were made anew? Then the log need not have it.
  bool older(std::string_view topic, std::int32_t partition, std::int64_t epoch) const {
    return range(topic, partition).remade() && epoch < generation_of(partition);
  }
};

// The audited records of a topic-partition in order, until `each` answers false; with `beyond` those that the store
// says it has not loaded yet. What retention has deleted meanwhile is left out, and the range begins later from then
// on.
Status read_records(Context& context, std::string_view topic, std::int32_t partition,
                    const std::function<bool(const Stored&)>& each, bool beyond = false);
// Decoded, without those that truetape did not write. An error names the record's place.
template <class Row>
Status read_rows(Context& context, std::string_view topic, std::int32_t partition,
                 const std::function<bool(const Row&)>& each, bool beyond = false);
extern template Status read_rows<Trade>(Context&, std::string_view, std::int32_t,
                                        const std::function<bool(const Trade&)>&, bool);
extern template Status read_rows<Candle>(Context&, std::string_view, std::int32_t,
                                         const std::function<bool(const Candle&)>&, bool);
extern template Status read_rows<Gap>(Context&, std::string_view, std::int32_t, const std::function<bool(const Gap&)>&,
                                      bool);
extern template Status read_rows<Progress>(Context&, std::string_view, std::int32_t,
                                           const std::function<bool(const Progress&)>&, bool);
extern template Status read_rows<Quarantined>(Context&, std::string_view, std::int32_t,
                                              const std::function<bool(const Quarantined&)>&, bool);

// What was found about a day beside its counts. The first difference stays.
struct Findings {
  std::map<DayKey, AuditDay> days;
  std::uint64_t open = 0, lost = 0, missing = 0;  // of gaps
  std::vector<std::string> differences, notes;

  AuditDay& at(const Instrument& instrument, Tape tape, Day day);
  static void differ(AuditDay& day, std::string where);
  // The store has rows there that the log need not have; `known` says what.
  static void excuse(AuditDay& day, const Context& context, std::string known);
};

// In two steps, since the candles tell when results were made anew.
class TradesAudit {
 public:
  TradesAudit(Context& context, Findings& findings) : context_{context}, findings_{findings} {}
  Status sum();     // reads everything once
  Status locate();  // reads again where sums differ

 private:
  struct DaySum {
    std::uint64_t rows = 0;
    Int128 volume = 0;
    bool too_large = false;                                                  // the volume
    std::optional<std::pair<std::uint32_t, std::uint64_t>> first{}, last{};  // (era, order), with an id
    Sum sum{};
    void add(const Trade& trade, UInt128 hash);
  };
  struct Group {
    bool selected = false;
    std::map<Day, DaySum> days{};
  };
  class Sums {
   public:
    explicit Sums(const Context& context) : context_{context} {}
    void add(const Trade& trade);
    std::unordered_map<Instrument, std::array<Group, 2>> groups{};  // by tape

   private:
    const Context& context_;
    Instrument instrument_;
    std::array<Group, 2>* groups_ = nullptr;
    struct Recent {  // the day of a tape's last trade
      Timestamp begin{}, end{};
      DaySum* sum = nullptr;
    };
    std::array<Recent, 2> recent_{};
  };
  struct Unit;  // a day to be looked at again
  // Of each instrument's tapes: the least record of each session that the log has.
  using Sessions = std::map<std::tuple<Instrument, Tape, Text<40>>, std::uint64_t>;

  Status sum_log(const std::atomic<bool>& stop);
  Status sum_store(const std::atomic<bool>& stop);
  Status locate_in(std::int32_t partition, std::map<DayKey, Unit>& units);
  // The log's trades as it holds them now; `sessions_` is then of what was read, since retention goes on meanwhile.
  Status read_log(std::int32_t partition, const std::function<void(const Trade&)>& each);
  Status sum_blocks(std::int32_t partition, std::map<DayKey, Unit>& units);
  Status compare_rows(std::int32_t partition, std::map<DayKey, Unit>& units);
  Status scan_store(const std::map<DayKey, Unit>& units, const std::function<void(const Trade&)>& each) const;
  const char* must_be_there(const Trade& trade) const;
  bool remade(std::int32_t partition) const { return context_.range(topic::trades, partition).remade(); }
  // May the store have had a trade, of another log or of older results, before the log brought it?
  bool known_before(std::int32_t partition) const { return context_.other_logs || remade(partition); }
  bool leeway(std::int32_t partition) const { return remade(partition) || context_.leeway(topic::trades, partition); }

  Context& context_;
  Findings& findings_;
  Sums log_{context_}, store_{context_};
  Sessions sessions_;
};

Status audit_candles(Context& context, Findings& findings);
Status audit_gaps(Context& context, Findings& findings);
Status audit_progress(Context& context, Findings& findings);
Status audit_quarantine(Context& context, Findings& findings);
// What the log holds beyond the store's positions. After all others, since it takes their verdicts away.
Status audit_unloaded(Context& context, Findings& findings);
// A position that the store's own rows, or its loader, contradict.
Status audit_positions(Context& context, Findings& findings);

// "12,345"
std::string count_text(std::uint64_t n);
// "beyond its position trades/3 = 100"
std::string beyond(std::string_view topic, std::int32_t partition, std::int64_t next);

}  // namespace truetape::audit_parts
