#include "app/import_report.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <map>
#include <system_error>

#include "app/values.h"
#include "stores/upper_open.h"

namespace truetape::app {
namespace {

using std::chrono::duration;

std::string rate(std::uint64_t rows, double seconds) {
  return grouped(static_cast<std::uint64_t>(static_cast<double>(rows) / std::max(seconds, 1e-3))) + " rows/s";
}

double seconds_of(std::chrono::steady_clock::duration d) { return duration<double>(d).count(); }

std::string megabytes(const std::filesystem::path& path) {
  std::uint64_t bytes = 0;
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    for (const auto& entry : std::filesystem::directory_iterator{path, ignored})
      if (entry.is_regular_file(ignored)) bytes += entry.file_size(ignored);
  } else {
    for (const char* part : {"", "-wal"})  // SQLite's file, and what it has not yet moved into it
      if (const auto size = std::filesystem::file_size(path.string() + part, ignored); !ignored) bytes += size;
  }
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / 1e6);
  return text;
}

// "12 closed, 1 open": in the order of the names, what is zero left out.
std::string list(const std::map<std::string, std::uint64_t>& counts, const char* nothing) {
  std::string out;
  for (const auto& [name, count] : counts)
    if (count > 0) out += (out.empty() ? "" : ", ") + grouped(count) + ' ' + name;
  return out.empty() ? nothing : out;
}

// The interval that people look at: a minute if it is built, else the smallest above, else the largest.
Interval shown_interval(const Rules& rules) {
  for (const Interval interval : rules.intervals)
    if (interval >= std::chrono::minutes{1}) return interval;
  return rules.intervals.back();
}

std::string items_text(const Counts& c) {
  return list({{"accepted", c.accepted},
               {"duplicate", c.duplicate},
               {"of another tape", c.other_tape},
               {"void", c.empty},
               {"contradictory", c.contradiction},
               {"held in quarantine", c.held},
               {"quarantined", c.quarantined},
               {"undecodable", c.undecodable},
               {"not a trade", c.not_a_trade},
               {"set aside", c.set_aside > 0 ? static_cast<std::uint64_t>(c.set_aside) : 0}},
              "none");
}

// What the counts of items do not tell by themselves, a line each.
std::string details_text(const Config& config, const Counts& c) {
  std::string out;
  const auto line = [&](std::uint64_t count, const std::string& sentence) {
    if (count > 0) out += "            " + grouped(count) + ' ' + sentence + '\n';
  };
  line(c.late,
       "of the accepted came late: their windows were sealed, so the trades are there and the candles stay without "
       "them; truetape log cat late --data " +
           shell_word(config.data) +
           " names the windows, and all files imported into a fresh data directory, the oldest first, have them whole");
  line(c.marked, "of the accepted are marked by a rule: column marks of truetape query trades");
  line(c.duplicate_unchecked, "of the duplicates are too old for their content to be compared");
  line(c.contradiction,
       "contradict a trade of the same id that came before, which stays: both are named in truetape query quarantine");
  line(c.released, "ids that were held in quarantine are accepted or dropped now");
  return out;
}

// Which items wait, and for what: they are in no table.
std::string set_aside_text(const std::vector<SetAside>& items) {
  constexpr std::size_t kShown = 6;
  std::string out;
  for (const SetAside& item : items) {
    if (&item - items.data() == kShown) {
      out += "            … and " + grouped(items.size() - kShown) + " more\n";
      break;
    }
    out += "set aside   " + item.trade.instrument.str() + " id " + item.trade.id.str() + " of " +
           to_rfc3339(item.trade.event_time) +
           (item.restart ? ": an old id at a new time; it" : ": far beyond the newest id; it") +
           " becomes a trade once the ids after it come, and goes to quarantine if others do\n";
  }
  return out;
}

Counts sum(const ProcessCounts& processed) {
  Counts out;
  for (const auto& [venue, counts] : processed.venues) add(out, counts);
  return out;
}

// What became of the items, as far as this process knows it.
std::string items_report(const Config& config, const Finished& finished) {
  if (finished.beside() != nullptr)
    return "beside      the process that runs here processed and loaded it, and counts its items among all that it "
           "gets; "
           "of these files " +
           (finished.beside()->quarantined == 0 ? "none are" : grouped(finished.beside()->quarantined) + " are") +
           " in quarantine\n";
  std::string out;
  for (const auto& [venue, c] : finished.roles()->processed.venues) {
    out += "items       " + venue + ": " + items_text(c) + '\n';
    out += details_text(config, c);
  }
  out += set_aside_text(finished.roles()->set_aside);
  if (finished.roles()->processed.crashed > 0)
    out += "            " + grouped(finished.roles()->processed.crashed) +
           " records left out: processing them ended the program before\n";
  return out;
}

// Trades of another tape than the instrument's may have been among them.
bool of_another_tape(const Finished& finished, const Instrument& instrument) {
  if (finished.roles() != nullptr) return sum(finished.roles()->processed).other_tape > 0;
  const auto& other = finished.beside()->other_tape;
  return std::find(other.begin(), other.end(), instrument) != other.end();
}

// What an instrument's trades of another tape are to be told: which tape it follows.
Result<std::string> tapes_text(const History& history, const Instrument& instrument) {
  Selection what;
  what.instrument = instrument;
  std::string out;
  const Status done = history.progress(
      what, [&](const Progress& p) { return out += (out.empty() ? "" : ", ") + std::string{name(p.tape)}, true; });
  if (!done) return tl::unexpected{done.error()};
  return out;
}

}  // namespace

std::string ended_sentence(const std::string& name) {
  return name + (name.starts_with("REST ")
                     ? ": its filling had been killed; the holes in it are named now, ask again to fill them"
                     : ": its import had been killed; the holes in it are named now, import it again to fill them");
}

std::string ended_text(const std::vector<std::string>& files) {
  std::string out;
  for (const std::string& file : files) out += "ended       " + ended_sentence(file) + '\n';
  return out;
}

namespace {

std::string quarantine_command(const Config& config) {
  return "truetape query quarantine --data " + shell_word(config.data) +
         (config.on_kafka() ? " --store sqlite:FILE" : "");
}

}  // namespace

std::string useless_sentence(const Config& config, const Finished& finished) {
  const auto of_another_tape = [](const std::string& trades) {
    return "nothing of it was used: " + trades +
           " of another tape than the one that the first import fixed for the instrument; import them into another "
           "data directory, or into this one with the tape that it has";
  };
  const std::string quarantined =
      "nothing of it could be used; " + quarantine_command(config) +
      " shows each row or frame with its reason; are --venue, --columns and --time-unit right?";
  const ImportSummary& summary = finished.summary;
  if (const KafkaDid* const kafka = finished.kafka())
    return summary.rows > 0 && kafka->quarantined >= summary.rows ? quarantined : std::string{};
  if (finished.beside() != nullptr) {
    if (!summary.instruments.empty() && finished.beside()->other_tape.size() == summary.instruments.size())
      return of_another_tape("its trades are");
    return summary.rows > 0 && finished.beside()->quarantined >= summary.rows ? quarantined : std::string{};
  }
  const Counts c = sum(finished.roles()->processed);
  const std::uint64_t refused = c.held + c.contradiction + c.quarantined + c.undecodable;
  if (c.accepted + c.duplicate + c.empty > 0 || (refused > 0 && c.not_a_trade > 0 && c.other_tape == 0)) return {};
  if (c.other_tape > 0) return of_another_tape(grouped(c.other_tape) + " trades are");
  return refused == 0 ? std::string{} : quarantined;
}

std::string grouped(std::uint64_t number) {
  std::string out = std::to_string(number);
  for (std::size_t at = out.size(); at > 3; at -= 3) out.insert(at - 3, ",");
  return out;
}

ProgressLine::ProgressLine() : terminal_{isatty(STDERR_FILENO) == 1}, start_{std::chrono::steady_clock::now()} {}

bool ProgressLine::due() {
  if (!terminal_) return false;
  const auto now = std::chrono::steady_clock::now();
  if (now < last_ + std::chrono::milliseconds{100}) return false;
  last_ = now;
  return true;
}

void ProgressLine::show(std::string text) {
  const std::size_t size = text.size();
  if (size < width_) text.append(width_ - size, ' ');
  std::fprintf(stderr, "\r%s", text.c_str());
  std::fflush(stderr);
  width_ = size;
}

void ProgressLine::importing(const ImportProgress& p) {
  if (!due()) return;
  constexpr std::size_t kBar = 24;
  const double part =
      p.bytes_total == 0 ? 1 : std::min(1.0, static_cast<double>(p.bytes_done) / static_cast<double>(p.bytes_total));
  const auto full = static_cast<std::size_t>(part * kBar);
  char head[96];
  std::snprintf(head, sizeof head, " %3d%%  file %zu of %zu  %s", static_cast<int>(part * 100), p.number, p.files,
                p.looking ? "looking" : "reading");
  show('[' + std::string(full, '#') + std::string(kBar - full, '.') + ']' + head + "  " + grouped(p.rows) + " rows  " +
       rate(p.rows, seconds_of(std::chrono::steady_clock::now() - start_)));
}

void ProgressLine::settling(std::int64_t process, std::int64_t) {
  if (process > 0 && due())
    show("finishing an earlier import; to process: " + grouped(static_cast<std::uint64_t>(process)) + " records");
}

void ProgressLine::draining(std::int64_t process, std::int64_t load) {
  if (!due()) return;
  show("all read; to process: " + grouped(static_cast<std::uint64_t>(std::max<std::int64_t>(process, 0))) +
       " records, to load: " + grouped(static_cast<std::uint64_t>(std::max<std::int64_t>(load, 0))));
}

void ProgressLine::clear() {
  if (terminal_ && width_ > 0) {
    std::fprintf(stderr, "\r%s\r", std::string(width_, ' ').c_str());
    std::fflush(stderr);
  }
  width_ = 0;
}

Result<std::string> missing_sentence(const History& history) {
  const auto missing = history.missing();
  if (!missing) return tl::unexpected{missing.error()};
  std::map<std::string, std::uint64_t> records;
  for (const Missing& m : *missing) records[m.topic] += static_cast<std::uint64_t>(m.next - m.first);
  if (records.empty()) return std::string{};
  return "the store lacks what retention had deleted from the log before it was loaded (records: " + list(records, "") +
         "); put back a copy of store.db from before it was lost, or import the files anew into a fresh data directory";
}

namespace {

std::string read_text(const Finished& finished) {
  const double seconds = seconds_of(finished.took);
  const ImportSummary& summary = finished.summary;
  char took[32];
  std::snprintf(took, sizeof took, "%.1f s", seconds);
  std::string out;
  if (summary.files > 0 || summary.rows > 0)
    out += "imported    " + grouped(summary.rows) + (summary.rows == 1 ? " row of " : " rows of ") +
           grouped(summary.files) + (summary.files == 1 ? " file in " : " files in ") + took + " (" +
           rate(summary.rows, seconds) + ")\n";
  if (summary.cut > 0)
    out += "            " + grouped(summary.cut) + " of them too long and cut: they are in quarantine\n";
  return out;
}

// What is known of an import into a log on Kafka.
std::string kafka_text(const Config& config, const Finished& finished, const KafkaDid& did) {
  const ImportSummary& summary = finished.summary;
  std::string out = read_text(finished) + ended_text(summary.left_open);
  std::string partitions, instruments;
  for (const std::int32_t partition : did.partitions)
    partitions += (partitions.empty() ? "" : ",") + std::to_string(partition);
  out += "appended    " + grouped(summary.records) + " records to " + config.kafka_place->topic(topic::raw) +
         ", partitions " + (partitions.empty() ? "none" : partitions) + '\n';
  for (const Instrument& instrument : summary.instruments) {
    if (&instrument - summary.instruments.data() == 10) {
      instruments += " and " + grouped(summary.instruments.size() - 10) + " more";
      break;
    }
    instruments += (instruments.empty() ? "" : ", ") + instrument.str();
  }
  if (!instruments.empty()) out += "instruments " + instruments + '\n';
  if (!did.processed)
    out += "process     was not waited for; workers do it: truetape process --data " + shell_word(config.data) + '\n';
  else
    out += "processed   by workers; " +
           (did.quarantined == 0 ? "none of it is in quarantine"
                                 : grouped(did.quarantined) + " items of these files are in quarantine") +
           '\n';
  out += "next        truetape load --data " + shell_word(config.data) + " --store sqlite:FILE\n";
  return out;
}

}  // namespace

Result<std::string> summary_text(const Config& config, const History* there, const Finished& finished) {
  if (const KafkaDid* const did = finished.kafka()) return kafka_text(config, finished, *did);
  const History& history = *there;
  const ImportSummary& summary = finished.summary;
  std::string out = read_text(finished);
  if (finished.roles() != nullptr)
    if (const ProcessCounts& left = finished.roles()->left_over; left.records > 0)
      out += "finished    what an earlier import had left to do: " + grouped(left.records) + " records, " +
             items_text(sum(left)) + '\n';
  out += ended_text(summary.left_open);
  out += items_report(config, finished);

  std::map<std::string, std::uint64_t> reasons;
  if (const Status done =
          history.quarantine({}, [&](const Quarantined& q) { return ++reasons[std::string{name(q.reason)}], true; });
      !done)
    return tl::unexpected{done.error()};
  if (!reasons.empty()) out += "quarantine  " + list(reasons, "") + " (all that is in the store)\n";

  const Interval shown = shown_interval(config.rules);
  for (const Instrument& instrument : summary.instruments) {
    if (&instrument - summary.instruments.data() == 10) {
      out += "            … and " + grouped(summary.instruments.size() - 10) + " more instruments\n";
      break;
    }
    Selection what;
    what.instrument = instrument;
    std::map<std::string, std::uint64_t> gaps, candles;
    std::uint64_t ids = 0;
    if (const Status done = history.gaps(what,
                                         [&](const Gap& gap) {
                                           if (gap.state != GapState::repaired && gap.state != GapState::absent)
                                             ids += gap.missing;
                                           return ++gaps[std::string{name(gap.state)}], true;
                                         });
        !done)
      return tl::unexpected{done.error()};
    what.interval = shown;
    if (const Status done = candles_with_open(
            history, config.rules.intervals, what,
            [&](const Candle& candle) {
              return ++candles[std::string{candle.status == CandleStatus::open ? "open" : name(candle.completeness)}],
                     true;
            });
        !done)
      return tl::unexpected{done.error()};
    if (of_another_tape(finished, instrument)) {
      const auto tapes = tapes_text(history, instrument);
      if (!tapes) return tl::unexpected{tapes.error()};
      if (!tapes->empty())
        out += "            " + instrument.str() + " follows the tape " + *tapes +
               ", which its first import fixed; trades of the other one change nothing here\n";
    }
    if (finished.covers) {
      bool any = false;
      Selection covered;
      covered.instrument = instrument;
      covered.from = finished.covers->first;
      covered.to = finished.covers->second;
      covered.limit = 1;
      if (const Status done = history.trades(covered, [&](const Trade&) { return any = true; }); !done)
        return tl::unexpected{done.error()};
      if (!any)
        out += "WARNING     --covers " + to_rfc3339(*covered.from) + ".." + to_rfc3339(*covered.to) +
               " holds no trade of " + instrument.str() + ", so it proves nothing: is the time right?\n";
    }
    out += instrument.str() + "\n  " + to_text(shown) + " candles  " + list(candles, "none closed yet") +
           "\n  gaps        " + list(gaps, "none") + (ids > 0 ? " (" + grouped(ids) + " ids missing)" : "") + '\n';
  }
  const auto missing = missing_sentence(history);
  if (!missing) return tl::unexpected{missing.error()};
  if (!missing->empty()) out += "MISSING     " + *missing + '\n';
  if (finished.roles() != nullptr && finished.roles()->loaded.contradictions > 0)
    out += "ALARM       " + grouped(finished.roles()->loaded.contradictions) +
           " rows contradict the store: " + finished.roles()->loaded.last_contradiction + '\n';

  out += "data        " + config.data + ": log " + megabytes(config.log_directory()) + ", store.db " +
         megabytes(config.store_file()) + '\n';
  if (useless_sentence(config, finished).empty())
    out +=
        "next        truetape query candles --data " + shell_word(config.data) + " --interval " + to_text(shown) + '\n';
  return out;
}

}  // namespace truetape::app
