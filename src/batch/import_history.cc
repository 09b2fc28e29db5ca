// A file of rows: records of one instrument's rows as they stand, between `begin` and `end` of a range that is named
// after the file, so that a repeated import continues the range of one that was killed.
#include <algorithm>
#include <array>

#include "batch/import_parts.h"

namespace truetape::import {
namespace {

constexpr std::size_t kMaxWaiting = 16 << 20;  // bytes of rows that wait for more of their instrument

// Whose row is this?
class Router {
 public:
  explicit Router(const Plan& plan) : plan_{plan} {}

  // A frame can speak of several. Empty: of nobody who could be read.
  std::span<const Instrument> instruments(std::string_view row) {
    to_.clear();
    if (plan_.format == Format::jsonl)
      plan_.venue->route(row, to_);
    else if (const Instrument one = instrument(row); !one.empty())
      to_.push_back(one);
    return to_;
  }

 private:
  Instrument instrument(std::string_view row) {
    if (plan_.instrument) return *plan_.instrument;
    const auto index = static_cast<std::size_t>(plan_.layout.columns[Column::instrument]);
    if (!cells_.split(row) || index >= cells_.size()) return {};
    const std::string_view cell = cells_[index];
    if (cell == last_cell_) return last_;
    std::string symbol{cell};
    for (char& c : symbol)
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    // "binance:BTCUSDT" or a bare symbol of the venue that was given.
    std::optional<Instrument> found;
    if (const auto own = Instrument::parse(cell); own && find_venue(own->venue()) != nullptr)
      found = Instrument::of(own->venue(), std::string_view{symbol}.substr(symbol.find(':') + 1));
    else if (plan_.venue != nullptr)
      found = Instrument::of(plan_.venue->name, symbol);
    last_cell_ = cell;
    last_ = found.value_or(Instrument{});
    return last_;
  }

  const Plan& plan_;
  Cells cells_;
  std::vector<Instrument> to_;
  std::string last_cell_;
  Instrument last_;
};

struct Survey {
  std::string hash;
  std::vector<Instrument> instruments;
  std::vector<Tape> tapes;
};

Result<Survey> survey(const Plan& plan, Place place, const Writer& writer) {
  Survey out;
  auto hash = sha256_of(plan.path);
  if (!hash) return tl::unexpected{hash.error()};
  out.hash = std::move(*hash);
  const Tape tape = plan.layout.tape.value_or(writer.options().tape.value_or(Tape::trade));
  if (plan.format == Format::csv && plan.instrument) {
    out.instruments = {*plan.instrument};
    out.tapes = {tape};
    return out;
  }
  Router router{plan};
  std::optional<TapeFinder> tapes;
  if (plan.format == Format::jsonl) tapes.emplace(*plan.venue);
  std::unordered_map<Instrument, bool> seen;
  bool header = plan.layout.header;
  Instrument last;
  const auto look = [&](const Line& line) -> Status {
    if (blank(line.text) || std::exchange(header, false)) return {};
    for (const Instrument& instrument : router.instruments(line.text)) {
      if (instrument != last && seen.try_emplace(instrument, true).second) out.instruments.push_back(instrument);
      last = instrument;
      if (tapes) tapes->look(line.text, instrument);
    }
    return {};
  };
  if (Status looked = each_line(plan, place, true, writer, look); !looked) return tl::unexpected{looked.error()};
  for (const Instrument& instrument : out.instruments)
    out.tapes.push_back(writer.options().tape ? *writer.options().tape
                        : tapes               ? tapes->tape(instrument).value_or(Tape::trade)
                                              : tape);
  return out;
}

// Collects the rows of each instrument and writes them as records.
class Rows {
 public:
  Rows(const Plan& plan, const Survey& survey, Writer& writer, Timestamp now)
      : plan_{plan},
        survey_{survey},
        writer_{writer},
        now_{now},
        columns_{plan.layout.columns.text()},
        unit_{plan.time_unit ? name(*plan.time_unit) : std::string_view{}},
        format_{plan.format == Format::jsonl ? "jsonl" : "csv"} {
    groups_.reserve(survey.instruments.size() + 1);
    for (std::size_t i = 0; i < survey.instruments.size(); ++i) {
      index_.emplace(survey.instruments[i], groups_.size());
      Group& group = groups_.emplace_back();
      group.instrument = survey.instruments[i];
      group.tape = survey.tapes[i];
      group.partition = writer.partition(group.instrument);
    }
    groups_.emplace_back();  // of rows that name no instrument: partition 0
  }

  // Once for each instrument that it speaks of: decode yields only those of the record's.
  Status row(std::span<const Instrument> instruments, const Line& line) {
    ++writer_.summary.rows;
    if (line.size > line.text.size()) ++writer_.summary.cut;
    if (instruments.empty()) {
      ++writer_.summary.unrouted;
      return add(groups_.back(), line);
    }
    for (const Instrument& instrument : instruments) {
      const auto found = groups_.size() == 2 && instrument == groups_[0].instrument ? 0 : find(instrument);
      if (Status ok = add(groups_[found], line); !ok) return ok;
    }
    return {};
  }

  Status write_all() {
    for (Group& group : groups_)
      if (!group.rows.empty())
        if (Status ok = write(group); !ok) return ok;
    return {};
  }

 private:
  struct Group {
    Instrument instrument;
    Tape tape = Tape::trade;
    std::int32_t partition = 0;
    std::string rows;                                             // each with its line feed
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;  // their numbers
    std::uint64_t cut = 0;
    std::string previous;  // the last row of the record before
  };

  Status add(Group& group, const Line& line) {
    const bool cut = line.size > line.text.size();
    if (!group.rows.empty() && (cut || group.rows.size() + line.text.size() + 1 > kMaxRows))
      if (Status ok = write(group); !ok) return ok;
    if (group.rows.empty() || line.number != group.ranges.back().second + 1)
      group.ranges.emplace_back(line.number, line.number);
    else
      group.ranges.back().second = line.number;
    group.rows += line.text;
    group.rows += '\n';
    waiting_ += line.text.size() + 1;
    if (cut) {  // alone in its record, which says so
      group.cut = line.size;
      return write(group);
    }
    if (group.rows.size() >= kMaxRows) return write(group);  // a row that is longer has a record of its own
    return waiting_ > kMaxWaiting ? write_all() : Status{};
  }

  std::size_t find(const Instrument& instrument) const {
    const auto found = index_.find(instrument);
    return found == index_.end() ? groups_.size() - 1 : found->second;
  }

  Status write(Group& group) {
    const Digits time{now_}, first{static_cast<std::int64_t>(group.ranges.front().first)},
        whole{static_cast<std::int64_t>(group.cut)}, cells{static_cast<std::int64_t>(plan_.layout.cells)};
    std::array<Header, 15> headers{Header{header::kind, name(RawKind::history)},
                                   Header{header::instruments, group.instrument.text()},
                                   Header{header::receive_time, time},
                                   Header{header::file, survey_.hash},
                                   Header{header::row, first},
                                   Header{header::format, format_},
                                   Header{header::tape, name(group.tape)}};
    std::size_t count = 7;
    const auto add = [&](std::string_view header_name, std::string_view value) {
      headers[count++] = {header_name, value};
    };
    if (plan_.venue != nullptr) add(header::venue, plan_.venue->name);
    if (plan_.format == Format::csv) add(header::columns, columns_);
    if (plan_.layout.cells != 0) add(header::cells, cells);
    if (!unit_.empty()) add(header::time_unit, unit_);
    std::string list;
    if (group.ranges.size() > 1) {
      for (const auto& [from, to] : group.ranges) {
        if (!list.empty()) list += ',';
        list += std::to_string(from);
        if (to != from) list += '-' + std::to_string(to);
      }
      add(header::rows, list);
    }
    if (plan_.layout.archive) {
      add(header::archive, "1");
      if (!group.previous.empty() && group.previous.size() <= kMaxRows) add(header::previous_row, group.previous);
    }
    if (group.cut != 0) add(header::cut, whole);
    if (Status ok = writer_.put(group.partition, group.instrument.text(), group.rows, std::span{headers}.first(count));
        !ok)
      return ok;
    if (plan_.layout.archive) {
      const std::string_view rows = std::string_view{group.rows}.substr(0, group.rows.size() - 1);
      group.previous = rows.substr(rows.rfind('\n') + 1);  // npos + 1 = 0
    }
    waiting_ -= group.rows.size();
    group.rows.clear();
    group.ranges.clear();
    group.cut = 0;
    return {};
  }

  const Plan& plan_;
  const Survey& survey_;
  Writer& writer_;
  Timestamp now_;
  std::string columns_;
  std::string_view unit_, format_;
  std::vector<Group> groups_;
  std::unordered_map<Instrument, std::size_t> index_;
  std::size_t waiting_ = 0;
};

// Reads all rows and writes them; ends early when the writer was stopped.
Status rows_of(const Plan& plan, const Place& place, const Survey& seen, Writer& writer, Timestamp now) {
  Router router{plan};
  Rows rows{plan, seen, writer, now};
  bool header = plan.layout.header;
  Status put;
  const Status read = each_line(plan, place, false, writer, [&](const Line& line) {
    if (!blank(line.text) && !std::exchange(header, false)) put = rows.row(router.instruments(line.text), line);
    return put;
  });
  if (!put) return put;
  // Where a file breaks off, what was read of it stays.
  if (Status ok = rows.write_all(); !ok) return ok;
  return read;
}

}  // namespace

Status import_history(const Plan& plan, Place place, Writer& writer, Timestamp now) {
  const auto seen = survey(plan, place, writer);
  if (!seen) return tl::unexpected{seen.error()};
  if (writer.stopped()) return {};
  for (std::size_t i = 0; i < seen->instruments.size(); ++i) {
    writer.found(seen->instruments[i]);
    if (Status ok = writer.config(seen->instruments[i], seen->tapes[i], now); !ok) return ok;
  }
  if (Status ok = writer.begin_file({seen->hash, plan.path.string(), seen->instruments}); !ok) return ok;
  for (const Instrument& instrument : seen->instruments)
    if (Status ok = writer.range(RawKind::begin, instrument, range_name(seen->hash, instrument), now); !ok) return ok;

  // Whatever ends the reading, the range ends too: one that stays open keeps holes from being named.
  const Status read = rows_of(plan, place, *seen, writer, now);
  for (const Instrument& instrument : seen->instruments)
    if (Status ok = writer.range(RawKind::end, instrument, range_name(seen->hash, instrument), now); !ok)
      return read ? ok : read;
  if (Status ok = writer.end_file(seen->hash); !ok) return read ? ok : read;
  return read;
}

}  // namespace truetape::import
