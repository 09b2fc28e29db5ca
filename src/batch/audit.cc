#include "batch/audit.h"

#include <algorithm>

#include "batch/audit_parts.h"
#include "codec/quarantine.h"
#include "codec/wire.h"
#include "log/read.h"
#include "stores/known.h"

namespace truetape {
namespace audit_parts {
namespace {

constexpr std::chrono::seconds kPatience{60};  // with a log whose end is not decided
constexpr std::string_view kTopics[] = {topic::trades,     topic::candles, topic::gaps,       topic::progress,
                                        topic::quarantine, topic::late,    topic::instruments};

template <class Row>
Result<Row> decoded(const Record& record) {
  if constexpr (std::is_same_v<Row, Quarantined>)
    return read_quarantined(record.value, record.headers);
  else
    return wire::decode<Row>(record.value);
}

// As far as the store says that it has loaded each topic-partition, and what the log has of it.
Status find_ranges(Context& context, const std::string& load) {
  for (const std::string_view topic : kTopics)
    for (std::int32_t partition = 0; partition < context.log.partitions(); ++partition) {
      const auto next = context.store.loaded(topic, partition);
      if (!next) return tl::unexpected{next.error()};
      // After the store's snapshot: the log has at least what the store has.
      const auto span = context.log.span(topic, partition);
      if (!span) return tl::unexpected{span.error()};
      const std::string place = std::string{topic} + '/' + std::to_string(partition);
      if (next->value_or(0) > span->end)
        return failure(
            Fault::mismatch, Retry::never,
            "the store is ahead of its log: it has " + place + " up to offset " + std::to_string(**next) +
                ", but the log ends at " + std::to_string(span->end) +
                ". The log was put back to an older copy, or is another's; to keep the store's rows and load "
                "all that this log has, run: " +
                load + " --adopt");
      const auto anew = context.options.anew ? context.options.anew(topic, partition)
                                             : Result<AuditOptions::Anew>{AuditOptions::Anew{}};
      if (!anew) return tl::unexpected{anew.error()};
      if (*next && **next < span->oldest && anew->first < span->oldest && !topic::keeps_last(topic))
        return failure(Fault::mismatch, Retry::never,
                       "the store stands before its log: it has " + place + " up to offset " + std::to_string(**next) +
                           ", but the log begins at " + std::to_string(span->oldest) +
                           ": what lies between is in neither. To go on without it, run: " + load + " --adopt");
      Range range{anew->from, anew->first, std::max(span->oldest, anew->first), next->value_or(0), span->end};
      range.oldest = std::min(range.oldest, *next ? **next : range.oldest);
      context.ranges[{topic, partition}] = range;
    }
  return {};
}

std::string counted(std::uint64_t n, const char* one, const char* many) {
  return count_text(n) + ' ' + (n == 1 ? one : many);
}

// What the log has lost of the topics that are compared.
void note_pruned(const Context& context, Findings& findings) {
  std::int64_t trades = 0, candles = 0;
  bool remade = false;
  for (const std::int32_t partition : context.partitions) {
    for (const auto& [topic, lost] : {std::pair{topic::trades, &trades}, {topic::candles, &candles}}) {
      const Range& range = context.range(topic, partition);
      if (range.pruned()) *lost += range.oldest - range.first;
      remade |= range.remade();
    }
  }
  if (trades + candles > 0)
    findings.notes.push_back("the log no longer holds its first " +
                             counted(static_cast<std::uint64_t>(trades), "record", "records") + " of trades and " +
                             count_text(static_cast<std::uint64_t>(candles)) +
                             " of candles: what they said cannot be compared");
  if (remade)
    findings.notes.push_back(
        "results were made anew (truetape rebuild): rows of the store that were not made again cannot be compared");
  for (const Missing& missing : context.store.missing().value_or(std::vector<Missing>{}))
    findings.notes.push_back("the store never got the records " + std::to_string(missing.first) + " to " +
                             std::to_string(missing.next - 1) + " of " + missing.topic + '/' +
                             std::to_string(missing.partition) +
                             ": retention had deleted them before they were loaded");
  if (context.other_logs)
    findings.notes.push_back(
        "the store was loaded from another log before this one, or from another continuation of it: rows that only "
        "that one had cannot be compared");
}

// A log whose results are being made (anew) has less to compare than it will have.
void note_unprocessed(const Context& context, Findings& findings) {
  std::int64_t waiting = 0;
  for (const std::int32_t partition : context.partitions) {
    const auto done = context.log.committed(partition);
    const auto raw = context.log.span(topic::raw, partition);
    if (done && raw) waiting += std::max<std::int64_t>(raw->end - std::max(*done, raw->oldest), 0);
  }
  if (waiting > 0)
    findings.notes.push_back("results are not made of all that the log has received yet: " +
                             counted(static_cast<std::uint64_t>(waiting), "record waits", "records wait") +
                             "; where nothing runs: " + context.options.load);
}

}  // namespace

std::string count_text(std::uint64_t n) {
  std::string out = std::to_string(n);
  for (std::ptrdiff_t at = static_cast<std::ptrdiff_t>(out.size()) - 3; at > 0; at -= 3)
    out.insert(static_cast<std::size_t>(at), ",");
  return out;
}

Status read_records(Context& context, std::string_view topic, std::int32_t partition,
                    const std::function<bool(const Stored&)>& each, bool past) {
  Range& range = context.ranges.at({topic, partition});
  if (past && topic::keeps_last(topic)) {  // newer records than at the beginning may have taken others' place
    const auto now = context.log.span(topic, partition);
    if (!now) return tl::unexpected{now.error()};
    range.end = std::max(range.end, now->end);
  }
  const std::int64_t end = past ? range.end : range.next;
  // Retention may take the beginning away before the first read, and overtake a slow one.
  return read_stretch(context.log, {topic, partition, past ? range.next : range.oldest, end}, each, kPatience,
                      [&](std::int64_t oldest) {
                        if (!past) range.oldest = std::min(oldest, range.next);
                      });
}

template <class Row>
Status read_rows(Context& context, std::string_view topic, std::int32_t partition,
                 const std::function<bool(const Row&)>& each, bool past) {
  Status sound;
  const Status read = read_records(
      context, topic, partition,
      [&](const Stored& stored) {
        const auto row = decoded<Row>(stored.record);
        if (row) return each(*row);
        if (row.error().fault == Fault::malformed) return true;  // not truetape's: load put it into quarantine
        sound = failure(row.error().fault, row.error().retry,
                        std::string{topic} + '/' + std::to_string(partition) + " of the log, offset " +
                            std::to_string(stored.offset) + ": " + row.error().detail);
        return false;
      },
      past);
  return sound ? read : sound;
}
template Status read_rows<Trade>(Context&, std::string_view, std::int32_t, const std::function<bool(const Trade&)>&,
                                 bool);
template Status read_rows<Candle>(Context&, std::string_view, std::int32_t, const std::function<bool(const Candle&)>&,
                                  bool);
template Status read_rows<Gap>(Context&, std::string_view, std::int32_t, const std::function<bool(const Gap&)>&, bool);
template Status read_rows<Progress>(Context&, std::string_view, std::int32_t,
                                    const std::function<bool(const Progress&)>&, bool);
template Status read_rows<Quarantined>(Context&, std::string_view, std::int32_t,
                                       const std::function<bool(const Quarantined&)>&, bool);

AuditDay& Findings::at(const Instrument& instrument, Tape tape, Day day) {
  const auto [found, fresh] = days.try_emplace({instrument, tape, day});
  AuditDay& row = found->second;
  if (fresh) {
    row.instrument = instrument;
    row.tape = tape;
    row.day = day;
  }
  return row;
}

void Findings::differ(AuditDay& day, std::string where) {
  if (day.verdict == Verdict::differs) return;
  day.verdict = Verdict::differs;
  day.where = std::move(where);
}

void Findings::excuse(AuditDay& day, const Context& context, std::string known) {
  if (day.verdict == Verdict::differs) return;
  day.verdict = context.other_logs ? Verdict::other_log : Verdict::pruned;
  day.where += (day.where.empty() ? "" : "; ") + known;
}

std::string beyond(std::string_view topic, std::int32_t partition, std::int64_t next) {
  return "beyond its position " + std::string{topic} + '/' + std::to_string(partition) + " = " + std::to_string(next);
}

}  // namespace audit_parts

using namespace audit_parts;

std::string text(const AuditDay& day) {
  switch (day.verdict) {
    case Verdict::proved:
      return "proved";
    case Verdict::no_ids:
      return "no ids";
    case Verdict::pruned:
      return "pruned from the log";
    case Verdict::other_log:
      return "holds another log's rows";
    case Verdict::behind:
      return "not loaded yet";
    case Verdict::differs:
      return "differs at " + day.where;
  }
  return {};
}

bool AuditReport::differs() const {
  return !differences.empty() ||
         std::ranges::any_of(days, [](const AuditDay& day) { return day.verdict == Verdict::differs; });
}

std::string AuditReport::summary() const {
  std::uint64_t trades = 0, candles = 0, only_store = 0, wrong = 0, unproved = 0, behind = 0, unloaded = 0;
  std::set<Instrument> instruments;
  for (const AuditDay& day : days) {
    trades += day.log.trades;
    candles += day.log.candles;
    if (day.verdict == Verdict::pruned || day.verdict == Verdict::other_log) {
      ++unproved;
      only_store += day.store.trades - std::min(day.store.trades, day.log.trades);
    }
    wrong += day.verdict == Verdict::differs;
    behind += day.unloaded > 0;
    unloaded += day.unloaded;
    instruments.insert(day.instrument);
  }
  std::string out;
  if (differs()) {
    out = "log and store differ: " + counted(wrong, "day", "days") + " of " + count_text(days.size());
    if (!differences.empty()) out += ", and " + counted(differences.size(), "other place", "other places");
  } else if (days.empty()) {
    out = "there is nothing to compare";
  } else {
    out = "log and store hold the same " + counted(trades, "trade", "trades") + " and " +
          counted(candles, "candle", "candles") + " of " + counted(instruments.size(), "instrument", "instruments") +
          " on " + counted(days.size(), "day", "days");
    if (unproved > 0)
      out += "; on " + counted(unproved, "day", "days") + " the store holds more than the log, " +
             counted(only_store, "trade", "trades");
    if (behind > 0)
      out += "; of " + counted(behind, "day", "days") + " " + counted(unloaded, "record", "records") + " of the log " +
             (unloaded == 1 ? "is" : "are") + " not loaded yet";
    out += "; " + (open == 0 ? "no hole is open" : counted(open, "hole is", "holes are") + " open");
    if (lost > 0) out += ", " + count_text(lost) + " lost";
    if (missing > 0) out += " (" + counted(missing, "id lacks", "ids lack") + ")";
  }
  return out;
}

Result<AuditReport> audit(Log& log, const History& store, const AuditOptions& options) {
  Context context{log, store, options};
  const auto of = store.log_id();
  if (!of) return tl::unexpected{of.error()};
  if (!of->empty() && *of != log.id())
    return failure(Fault::mismatch, Retry::never,
                   "the store holds the rows of log " + *of + ", but this log is " + std::string{log.id()} +
                       ". To keep its rows and load all that this log has, run: " + options.load +
                       " --adopt; else audit it with its own log");
  const auto logs = store.logs();
  if (!logs) return tl::unexpected{logs.error()};
  context.other_logs = *logs > 1;
  if (const Status found = find_ranges(context, options.load); !found) return tl::unexpected{found.error()};
  if (options.instrument)
    context.partitions = {context.partition(*options.instrument)};
  else
    for (std::int32_t p = 0; p < log.partitions(); ++p) context.partitions.push_back(p);

  Findings findings;
  TradesAudit trades{context, findings};
  if (const Status done = trades.sum(); !done) return tl::unexpected{done.error()};
  if (const Status done = audit_candles(context, findings); !done) return tl::unexpected{done.error()};
  if (const Status done = trades.locate(); !done) return tl::unexpected{done.error()};
  for (const auto part : {audit_gaps, audit_progress, audit_quarantine, audit_positions, audit_unloaded})
    if (const Status done = part(context, findings); !done) return tl::unexpected{done.error()};
  note_pruned(context, findings);

  note_unprocessed(context, findings);
  if (findings.days.empty() && options.instrument)
    if (const Status known = expect_known(store, *options.instrument); !known) return tl::unexpected{known.error()};

  AuditReport report{.days = {},
                     .open = findings.open,
                     .lost = findings.lost,
                     .missing = findings.missing,
                     .differences = std::move(findings.differences),
                     .notes = std::move(findings.notes)};
  for (auto& [key, day] : findings.days) {
    if (day.verdict == Verdict::proved && !(options.numbers && options.numbers(day.instrument.venue())))
      day.verdict = Verdict::no_ids;
    report.days.push_back(std::move(day));
  }
  return report;
}

}  // namespace truetape
