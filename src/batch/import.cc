#include "batch/import.h"

#include <algorithm>
#include <array>

#include "batch/import_parts.h"

namespace truetape {
namespace import {
namespace {

auto refuse(const std::filesystem::path& path, std::string sentence) {
  return failure(Fault::malformed, Retry::never, path.string() + ": " + std::move(sentence));
}

// What the command line says is at fault, not the file.
auto refuse_options(const std::filesystem::path& path, std::string sentence) {
  return failure(Fault::out_of_range, Retry::never, path.string() + ": " + std::move(sentence));
}

std::string known_venues() {
  std::string out;
  for (const Venue& venue : venues()) {
    if (!out.empty()) out += ", ";
    out += venue.name;
  }
  return out;
}

std::string upper(std::string_view text) {
  std::string out{text};
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return out;
}

// The first lines of a file that are not blank.
struct Head {
  std::string inner_name;
  std::vector<std::string> lines;
  std::vector<std::uint64_t> numbers;
};
Result<Head> head_of(const std::filesystem::path& path) {
  auto file = FileReader::open(path);
  if (!file) return tl::unexpected{file.error()};
  Head head;
  head.inner_name = file->inner_name();
  LineReader lines{*file, kMaxRows, kMaxRows};
  Line line;
  while (head.lines.size() < 20) {
    const auto more = lines.next(line);
    if (!more) return tl::unexpected{more.error()};
    if (!*more) break;
    if (blank(line.text)) continue;
    head.lines.emplace_back(line.text);
    head.numbers.push_back(line.number);
  }
  return head;
}

Format format_of(const Head& head) {
  Timestamp time;
  std::string_view frame;
  const std::string_view first = head.lines.front();
  const bool timed = split_timed(first, time, frame) && (frame.starts_with('{') || frame.starts_with('['));
  if (timed || head.inner_name.ends_with(".frames")) return Format::frames;
  if (head.inner_name.ends_with(".jsonl") || head.inner_name.ends_with(".ndjson")) return Format::jsonl;
  if (head.inner_name.ends_with(".csv")) return Format::csv;
  if (head.inner_name.ends_with(".json") && first.starts_with('[')) return Format::page;
  return first.starts_with('{') || first.starts_with('[') ? Format::jsonl : Format::csv;
}

// Venue and instrument, as far as the options say them.
Status name_instrument(Plan& plan, const ImportOptions& options) {
  std::string_view venue = options.venue;
  if (options.instrument.find(':') != std::string::npos) {
    plan.instrument = Instrument::parse(options.instrument);
    if (plan.instrument) {
      if (!venue.empty() && venue != plan.instrument->venue())
        return refuse_options(plan.path, "--venue says " + options.venue + ", --instrument says " +
                                             std::string{plan.instrument->venue()});
      venue = plan.instrument->venue();
      plan.instrument = Instrument::of(venue, upper(plan.instrument->symbol()));
    }
  } else if (!options.instrument.empty()) {
    if (venue.empty())
      return refuse_options(plan.path, "--instrument " + options.instrument +
                                           " needs its venue, as in --instrument binance:" + upper(options.instrument) +
                                           "; known venues: " + known_venues());
    plan.instrument = Instrument::of(venue, upper(options.instrument));
  }
  if (!options.instrument.empty() && !plan.instrument)
    return refuse_options(plan.path, "\"" + options.instrument + "\" is no instrument; one looks like binance:BTCUSDT");
  if (plan.instrument &&
      plan.instrument->symbol().find_first_of("!\"#$%&'()*+,/;<=>?@[\\]^`{|}~") != std::string_view::npos)
    return refuse_options(plan.path, "\"" + options.instrument +
                                         "\" is no instrument: write the symbol as the venue does, such as BTCUSDT");
  if (venue.empty()) return {};
  plan.venue = find_venue(venue);
  if (plan.venue == nullptr)
    return refuse_options(plan.path,
                          "\"" + std::string{venue} + "\" is no known venue; known venues: " + known_venues());
  return {};
}

Status plan_recording(Plan& plan, const Head& head, const ImportOptions& options) {
  Timestamp time;
  std::string_view frame;
  const std::string_view first = head.lines.front();
  if (plan.format == Format::frames && !split_timed(first, time, frame))
    return refuse(plan.path, "line " + std::to_string(head.numbers.front()) +
                                 " is no captured frame; a line is the receive time in ns, a blank and the frame");
  if (plan.format == Format::jsonl && !first.starts_with('{') && !first.starts_with('['))
    return refuse(plan.path, "line " + std::to_string(head.numbers.front()) +
                                 " is no JSON object; of .jsonl each line is one frame");
  const std::string_view what = plan.format == Format::page ? "headlines" : "frames";
  if (!options.columns.empty())
    return refuse_options(plan.path, "--columns is for CSV; this file has " + std::string{what});
  if (!options.instrument.empty())
    return refuse_options(plan.path,
                          "--instrument is for CSV; " + std::string{what} +
                              " name their instruments themselves, of them only the venue must be said: --venue " +
                              (plan.venue == nullptr ? "V" : std::string{plan.venue->name}));
  if (plan.venue == nullptr)
    return refuse_options(plan.path,
                          std::string{what} + " do not say their venue; add --venue with one of " + known_venues());
  return plan.format == Format::page ? check_page(plan) : Status{};
}

Status plan_csv(Plan& plan, const Head& head, const ImportOptions& options) {
  const std::string_view first = head.lines.front();
  if (std::any_of(first.begin(), first.end(),
                  [](char c) { return static_cast<unsigned char>(c) < ' ' && c != '\t' && c != '\r'; }))
    return refuse(plan.path, "line " + std::to_string(head.numbers.front()) +
                                 " is no text in UTF-8; a CSV file may be plain or packed as .gz, .zst or .zip");
  auto layout = csv_layout(first, options.columns);
  if (!layout) return refuse_options(plan.path, layout.error().detail);
  plan.layout = *layout;
  if (options.tape && plan.layout.tape && *options.tape != *plan.layout.tape)
    return refuse_options(plan.path, "--tape says " + std::string{name(*options.tape)} + ", but the file is a " +
                                         std::string{plan.layout.name} + ", which is of tape " +
                                         std::string{name(*plan.layout.tape)});
  if (options.tape) plan.layout.tape = options.tape;
  if (!plan.layout.tape) plan.layout.tape = Tape::trade;
  const ColumnMap& columns = plan.layout.columns;
  if (!plan.instrument && !columns.has(Column::instrument))
    return refuse_options(plan.path,
                          "the file does not say its instrument; add --instrument, as in --instrument binance:BTCUSDT");

  // One row whose time and instrument can be read shows that the columns are right, and the unit.
  std::string time_seen, instrument_seen;
  bool readable = false;
  Cells cells;
  for (std::size_t i = plan.layout.header ? 1 : 0; i < head.lines.size() && !readable; ++i) {
    if (!cells.split(head.lines[i]) || static_cast<std::size_t>(columns[Column::time]) >= cells.size()) continue;
    const std::string_view time = cells[static_cast<std::size_t>(columns[Column::time])];
    const auto unit = cell_time_unit(time);
    time_seen = time;
    readable = unit || parse_rfc3339(time);
    if (unit && !options.time_unit && (*unit == TimeUnit::s || *unit == TimeUnit::ns) && !plan.layout.archive)
      plan.time_unit = unit;
    if (columns.has(Column::instrument) && static_cast<std::size_t>(columns[Column::instrument]) < cells.size())
      instrument_seen = cells[static_cast<std::size_t>(columns[Column::instrument])];
  }
  if (options.time_unit) plan.time_unit = options.time_unit;
  if (!readable && !time_seen.empty())
    return refuse_options(
        plan.path, "column " + std::to_string(columns[Column::time] + 1) + " (time) has \"" + time_seen.substr(0, 40) +
                       "\", which is no time since 1970 in s, ms, us or ns, nor RFC 3339; say with --columns "
                       "where the time stands");
  const Venue* venue = plan.venue;
  if (!plan.instrument && venue == nullptr) {
    const auto instrument = Instrument::parse(instrument_seen);
    venue = instrument ? find_venue(instrument->venue()) : nullptr;
    if (venue == nullptr)
      return refuse_options(plan.path, "the file's instrument \"" + instrument_seen.substr(0, 40) +
                                           "\" does not say its venue; add --venue with one of " + known_venues());
  }
  if (venue != nullptr && venue->trade_ids == TradeIds::contiguous && !columns.has(Column::id))
    return refuse_options(plan.path,
                          "--columns names no id, but " + std::string{venue->name} +
                              " numbers its trades, and without the numbers neither doubles nor holes can be told; "
                              "name the column, as in id=tradeId; the file's first line has " +
                              shown_cells(first));
  return {};
}

}  // namespace

bool blank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }

Status each_line(const Plan& plan, Place place, bool looking, const Writer& writer,
                 const std::function<Status(const Line&)>& line) {
  constexpr std::uint64_t kTell = 4096;  // lines between calls of progress
  auto file = FileReader::open(plan.path);
  if (!file) return tl::unexpected{file.error()};
  LineReader lines{*file, kMaxFrame, kCutFrame};
  ImportProgress progress{&plan.path, place.number, place.files, looking, 0, plan.bytes, 0};
  Line current;
  for (;;) {
    const auto more = lines.next(current);
    if (!more) return tl::unexpected{more.error()};
    if (!*more || writer.stopped()) return {};
    if (current.number % kTell == 0) {
      progress.bytes_done = file->position();
      progress.rows = writer.summary.rows;
      writer.tell(progress);
    }
    if (Status ok = line(current); !ok) return ok;
  }
}

bool split_timed(std::string_view line, Timestamp& receive_time, std::string_view& frame) {
  if (line.size() < 21 || line[19] != ' ') return false;
  std::int64_t ns = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + 19, ns);
  if (error != std::errc{} || end != line.data() + 19 || guess_time_unit(ns) != TimeUnit::ns) return false;
  receive_time = timestamp_ns(ns);
  frame = line.substr(20);
  return true;
}

Result<Plan> plan(const std::filesystem::path& path, const ImportOptions& options) {
  auto head = head_of(path);
  if (!head) return tl::unexpected{head.error()};
  if (head->lines.empty()) return refuse(path, "the file is empty");
  Plan out;
  out.path = path;
  std::error_code ignored;
  out.bytes = std::filesystem::file_size(path, ignored);
  out.format = format_of(*head);
  if (Status ok = name_instrument(out, options); !ok) return tl::unexpected{ok.error()};
  Status ok = out.format == Format::csv ? plan_csv(out, *head, options) : plan_recording(out, *head, options);
  if (!ok) return tl::unexpected{ok.error()};
  return out;
}

namespace {
Counter& waits_for_room(Metrics& metrics) {
  return metrics.counter("truetape_import_waits_for_room_total",
                         "Looks at a log that had no room; about ten a second.");
}
}  // namespace

Status Writer::wait_for_room(const Error& error) {
  if (options_.metrics != nullptr) waits_for_room(*options_.metrics).add();
  if (!options_.moved) return tl::unexpected{error};
  const std::uint64_t moved = options_.moved();
  const auto now = clock_.steady();
  // A pause since the last look: there was room in between, or what was waited for was something else.
  if (!waiting_ || waiting_->moved != moved || now - waiting_->at > kPatience) waiting_ = Waiting{moved, now, now};
  waiting_->at = now;
  if (now - waiting_->since < kPatience) return {};
  return failure(error.fault, Retry::never,
                 error.detail + " Nothing made room for " + std::to_string(kPatience.count()) + " s");
}

Result<bool> Writer::flush_once(std::chrono::milliseconds wait) {
  const auto flushed = raw_.flush(wait);
  if (flushed) {
    if (*flushed) away_.reset();
    return flushed;
  }
  if (flushed.error().retry != Retry::after_backoff) return flushed;
  if (flushed.error().fault == Fault::unavailable) {
    const auto now = clock_.steady();
    if (!away_) away_ = now;
    if (now - *away_ >= options_.patience) return flushed;
    return false;
  }
  if (flushed.error().fault != Fault::no_space) return flushed;
  if (Status waits = wait_for_room(flushed.error()); !waits) return tl::unexpected{waits.error()};
  return false;
}

Status Writer::put(std::int32_t partition, std::string_view key, std::string_view bytes,
                   std::span<const Header> headers) {
  const Record record{key, bytes, headers};
  durable_ = false;
  while (!raw_.append(partition, record)) {
    const auto flushed = flush_once(std::chrono::milliseconds{100});
    if (!flushed) return tl::unexpected{flushed.error()};
    if (stopped()) return dropped_ = true, Status{};
  }
  ++summary.records;
  return {};
}

Status Writer::flush() {
  for (;;) {
    const auto flushed = flush_once(std::chrono::milliseconds{1000});
    if (!flushed) return tl::unexpected{flushed.error()};
    durable_ = *flushed;
    if (durable_ || stopped()) return {};
  }
}

Status Writer::config(const Instrument& instrument, Tape tape, Timestamp now) {
  summary.tapes.emplace_back(instrument, tape);
  const Digits time{now};
  const std::array headers{Header{header::kind, name(RawKind::config)}, Header{header::instruments, instrument.text()},
                           Header{header::receive_time, time}, Header{header::tape, name(tape)}};
  return put(partition(instrument), instrument.text(), {}, headers);
}

Status Writer::range(RawKind kind, const Instrument& instrument, std::string_view range_name, Timestamp now) {
  const Digits time{now};
  const std::array headers{Header{header::kind, name(kind)}, Header{header::instruments, instrument.text()},
                           Header{header::receive_time, time}, Header{header::range, range_name}};
  return put(partition(instrument), instrument.text(), {}, headers);
}

Status Writer::coverage(const Instrument& instrument, Timestamp from, Timestamp to, Timestamp now) {
  const Digits time{now}, first{from}, last{to};
  const std::array headers{Header{header::kind, name(RawKind::coverage)},
                           Header{header::instruments, instrument.text()}, Header{header::receive_time, time},
                           Header{header::from, first}, Header{header::to, last}};
  return put(partition(instrument), instrument.text(), {}, headers);
}

Status Writer::begin_file(const OpenRanges::File& file) {
  if (ranges_ == nullptr) return {};
  if (Status ok = flush(); !ok) return ok;
  return ranges_->begin(file, [this](const Error& error) { return wait_for_room(error); });
}

Status Writer::end_file(const std::string& hash) {
  if (ranges_ == nullptr) return {};
  if (Status ok = flush(); !ok) return ok;
  if (!durable()) return {};
  return ranges_->end(hash, [this](const Error& error) { return wait_for_room(error); });
}

Status Writer::end_left(Timestamp now) {
  if (ranges_ == nullptr) return {};
  for (const OpenRanges::File& file : ranges_->left()) {
    for (const Instrument& instrument : file.instruments)
      if (Status ok = range(RawKind::end, instrument, range_name(file.hash, instrument), now); !ok) return ok;
    if (Status ok = end_file(file.hash); !ok) return ok;
    summary.left_open.push_back(file.name);
  }
  return {};
}

void Writer::found(const Instrument& instrument) {
  auto& all = summary.instruments;
  if (std::find(all.begin(), all.end(), instrument) == all.end()) all.push_back(instrument);
}

void TapeFinder::look(std::string_view frame, const Instrument& instrument) {
  const auto [found, added] = index_.try_emplace(instrument, seen_.size());
  if (added) seen_.push_back({instrument});
  Seen& seen = seen_[found->second];
  if (seen.trade) return;
  RawRecord record;
  record.bytes = frame;
  record.instruments = instrument.text();
  events_.clear();
  venue_.decode(record, events_);
  for (const Item& item : events_.items) {
    if (item.type == Item::Type::bad) continue;
    (item.trade.tape == Tape::trade ? seen.trade : seen.agg) = true;
  }
}

std::optional<Tape> TapeFinder::tape(const Instrument& instrument) const {
  const auto found = index_.find(instrument);
  if (found == index_.end()) return std::nullopt;
  const Seen& seen = seen_[found->second];
  if (seen.trade) return Tape::trade;
  return seen.agg ? std::optional{Tape::agg} : std::nullopt;
}

}  // namespace import

namespace {

// Names are public and stable (docs/metrics.md).
void meter(Metrics& metrics, const ImportSummary& done) {
  metrics.counter("truetape_import_files_total", "Files imported whole.").add(done.files);
  metrics.counter("truetape_import_rows_total", "Rows and frames appended to raw.").add(done.rows);
  metrics.counter("truetape_import_records_total", "Records of all kinds appended to raw.").add(done.records);
  metrics.counter("truetape_import_unrouted_total", "Rows and frames that name no instrument.").add(done.unrouted);
  metrics
      .counter("truetape_import_cut_total", "Rows and frames too long for a record, of which the beginning was kept.")
      .add(done.cut);
  import::waits_for_room(metrics).add(0);  // shown, however seldom it is counted
}

}  // namespace

Importer::Importer(Appender& raw, std::int32_t partitions, const Clock& clock, ImportOptions options,
                   OpenRanges* ranges)
    : raw_{raw}, partitions_{partitions}, clock_{clock}, options_{std::move(options)}, ranges_{ranges} {}

Status check_import(std::span<const std::filesystem::path> files, const ImportOptions& options) {
  for (const auto& file : files)
    if (auto plan = import::plan(file, options); !plan) return tl::unexpected{plan.error()};
  return {};
}

Result<ImportSummary> Importer::run(std::span<const std::filesystem::path> files) {
  std::vector<import::Plan> plans;
  for (const auto& file : files) {
    auto plan = import::plan(file, options_);
    if (!plan) return tl::unexpected{plan.error()};
    plans.push_back(std::move(*plan));
  }
  import::Writer writer{raw_, partitions_, clock_, options_, ranges_};
  Status ok;
  for (std::size_t i = 0; i < plans.size() && ok && !writer.stopped(); ++i) {
    const import::Place place{i + 1, plans.size()};
    switch (plans[i].format) {
      case import::Format::frames:
        ok = import::import_session(plans[i], place, writer, clock_.now());
        break;
      case import::Format::page:
        ok = import::import_page(plans[i], place, writer, clock_.now());
        break;
      case import::Format::jsonl:
      case import::Format::csv:
        ok = import::import_history(plans[i], place, writer, clock_.now());
        break;
    }
    if (ok) ok = writer.flush();
    if (ok && !writer.stopped()) ++writer.summary.files;
  }
  // Behind all files, and only if all were read to their ends: of the first of two days alone the declaration is wrong,
  // for it says that the second had no trades.
  if (ok && !writer.stopped() && options_.covers) {
    const Timestamp now = clock_.now();
    for (const Instrument& instrument : writer.summary.instruments)
      if (ok) ok = writer.coverage(instrument, options_.covers->first, options_.covers->second, now);
    if (ok) ok = writer.flush();
  }
  // Behind the files: one that was left over may be among them, or fill the holes of another.
  if (Status ended = writer.end_left(clock_.now()); ok && !ended) ok = ended;
  writer.summary.stopped = writer.stopped();
  so_far_ = std::move(writer.summary);
  if (options_.metrics != nullptr) meter(*options_.metrics, so_far_);
  if (!ok) return tl::unexpected{ok.error()};
  return so_far_;
}

}  // namespace truetape
