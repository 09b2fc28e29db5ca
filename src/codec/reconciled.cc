#include "codec/reconciled.h"

#include <algorithm>

#include "codec/json_object.h"

namespace truetape {
namespace {

using json_object::element;
using json_object::ObjectReader;
using json_object::ObjectText;
using simdjson::dom::array;

constexpr std::int64_t kVersion = 1;
constexpr std::array<std::string_view, kCauses> kCauseNames{"missing here", "missing there", "rule",     "gap",
                                                            "late",         "unproven",      "rounding", "unknown"};
constexpr std::array<std::string_view, kCandleFields> kFieldNames{
    "open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_buy_volume", "taker_buy_quote_volume"};

constexpr std::array<RowColumn, 11> kWindowColumns{{{"instrument"},
                                                    {"tape"},
                                                    {"interval"},
                                                    {"start"},
                                                    {"result"},
                                                    {"reason"},
                                                    {"difference"},
                                                    {"detail"},
                                                    {"epoch", true},
                                                    {"revision", true},
                                                    {"at"}}};
constexpr std::array<RowColumn, 10> kDifferenceColumns{{{"instrument"},
                                                        {"tape"},
                                                        {"interval"},
                                                        {"start"},
                                                        {"reason"},
                                                        {"provable"},
                                                        {"field"},
                                                        {"ours", true},
                                                        {"theirs", true},
                                                        {"detail"}}};

template <class Name, std::size_t n>
std::optional<Name> parse_name(const std::array<std::string_view, n>& names, std::string_view text) {
  const auto found = std::ranges::find(names, text);
  if (found == names.end()) return std::nullopt;
  return static_cast<Name>(found - names.begin());
}

void put_tally(std::string_view name, const WindowTally& tally, ObjectText& into, std::string& out) {
  into.member(name);
  ObjectText object{out};
  object.number("compared", tally.compared);
  object.number("equal", tally.equal);
  object.number("rounded", tally.rounded);
  object.end();
}

// Those of an array; none where there is no array, which is noted.
std::vector<element> elements(ObjectReader& from, const char* name) {
  const auto found = from.get<array>(name);
  if (!found) from.note(name, "is no array");
  return found ? std::vector<element>(found->begin(), found->end()) : std::vector<element>{};
}

WindowTally read_tally(ObjectReader& from, const char* name, const std::string& path, std::string& wrong) {
  const auto found = from.get<element>(name);
  if (!found) {
    from.note(name, "is missing");
    return {};
  }
  ObjectReader object{*found, path + "." + name, wrong};
  WindowTally out;
  out.compared = object.need<std::uint64_t>("compared");
  out.equal = object.need<std::uint64_t>("equal");
  out.rounded = object.need<std::uint64_t>("rounded");
  if (out.equal > out.compared || out.rounded > out.equal) object.note("equal", "is more than was compared");
  return out;
}

// Appends elements of an array with commas between them.
template <class Rows, class Append>
void put_array(std::string_view name, const Rows& rows, ObjectText& into, std::string& out, Append append) {
  into.member(name);
  out += '[';
  bool any = false;
  for (const auto& row : rows) {
    if (any) out += ',';
    any = true;
    append(row);
  }
  out += ']';
}

std::vector<std::uint64_t> read_revisions(ObjectReader& run) {
  std::vector<std::uint64_t> out;
  for (const element entry : elements(run, "revisions")) {
    std::uint64_t revision = 0;
    if (entry.get(revision) != simdjson::SUCCESS) run.note("revisions", "holds something that is no revision");
    out.push_back(revision);
  }
  return out;
}

EqualRun read_run(ObjectReader& run) {
  EqualRun out;
  out.from = run.time("from").value_or(Timestamp{});
  out.epoch = run.need<std::int64_t>("epoch");
  out.rounded = run.get<bool>("rounded").value_or(false);
  out.revisions = read_revisions(run);
  return out;
}

Cause read_cause(ObjectReader& from) {
  const auto cause = parse_cause(from.need<std::string_view>("reason"));
  if (!cause) from.note("reason", "is none of the known ones");
  return cause.value_or(Cause::unknown);
}

UnlistedRun read_unlisted(ObjectReader& run) {
  UnlistedRun out;
  out.from = run.time("from").value_or(Timestamp{});
  out.cause = read_cause(run);
  out.epoch = run.need<std::int64_t>("epoch");
  out.revisions = read_revisions(run);
  return out;
}

Difference read_difference(ObjectReader& row, const std::string& path, std::string& wrong) {
  Difference out;
  out.start = row.time("start").value_or(Timestamp{});
  out.cause = read_cause(row);
  out.provable = row.need<bool>("provable");
  out.detail = row.get<std::string_view>("detail").value_or("");
  out.epoch = row.need<std::int64_t>("epoch");
  out.revision = row.need<std::uint64_t>("revision");
  for (const element entry : elements(row, "fields")) {
    ObjectReader field{entry, path + ".fields[" + std::to_string(out.fields.size()) + "]", wrong};
    FieldDifference difference;
    const auto which = parse_candle_field(field.need<std::string_view>("field"));
    if (!which) field.note("field", "is none of the known ones");
    difference.field = which.value_or(CandleField::open);
    difference.ours = field.get<std::string_view>("ours").value_or("");
    difference.theirs = field.get<std::string_view>("theirs").value_or("");
    out.fields.push_back(std::move(difference));
  }
  return out;
}

std::string told(const std::vector<FieldDifference>& fields) {
  std::string out;
  for (const FieldDifference& field : fields) {
    if (!out.empty()) out += "; ";
    out += std::string{name(field.field)} + ' ' + (field.ours.empty() ? "none" : field.ours) + " here, " +
           (field.theirs.empty() ? "none" : field.theirs) + " there";
  }
  return out;
}

}  // namespace

std::string_view name(Cause cause) { return kCauseNames[static_cast<std::size_t>(cause)]; }
std::optional<Cause> parse_cause(std::string_view text) { return parse_name<Cause>(kCauseNames, text); }
std::string_view name(CandleField field) { return kFieldNames[static_cast<std::size_t>(field)]; }
std::optional<CandleField> parse_candle_field(std::string_view text) {
  return parse_name<CandleField>(kFieldNames, text);
}

std::string reconciliation_text(const Reconciliation& result) {
  std::string out;
  ObjectText object{out};
  object.number("version", kVersion);
  object.text("instrument", result.instrument.text());
  object.text("tape", name(result.tape));
  object.text("interval", to_text(result.interval));
  object.text("from", to_rfc3339(result.from));
  object.text("to", to_rfc3339(result.to));
  object.text("at", to_rfc3339(result.at));
  object.text("official", result.official);
  put_tally("provable", result.provable, object, out);
  put_tally("others", result.others, object, out);
  object.member("fields");
  ObjectText fields{out};
  for (std::size_t i = 0; i < kCandleFields; ++i) put_tally(kFieldNames[i], result.fields[i], fields, out);
  fields.end();
  object.member("reasons");
  ObjectText causes{out};
  for (std::size_t i = 0; i < kCauses; ++i) causes.number(kCauseNames[i], result.causes[i]);
  causes.end();
  object.number("quiet", result.quiet);
  object.number("not_closed", result.not_closed);
  object.number("beyond_ours", result.beyond_ours);
  object.number("beyond_theirs", result.beyond_theirs);
  object.number("quiet_there", result.quiet_there);
  put_array("differences", result.differences, object, out, [&](const Difference& difference) {
    ObjectText row{out};
    row.text("start", to_rfc3339(difference.start));
    row.text("reason", name(difference.cause));
    row.flag("provable", difference.provable);
    if (!difference.detail.empty()) row.text("detail", difference.detail);
    row.number("epoch", difference.epoch);
    row.number("revision", difference.revision);
    put_array("fields", difference.fields, row, out, [&](const FieldDifference& field) {
      ObjectText member{out};
      member.text("field", name(field.field));
      if (!field.ours.empty()) member.text("ours", field.ours);
      if (!field.theirs.empty()) member.text("theirs", field.theirs);
      member.end();
    });
    row.end();
  });
  put_array("unlisted", result.unlisted, object, out, [&](const UnlistedRun& run) {
    ObjectText row{out};
    row.text("from", to_rfc3339(run.from));
    row.text("reason", name(run.cause));
    row.number("epoch", run.epoch);
    put_array("revisions", run.revisions, row, out, [&](std::uint64_t revision) { append_number(revision, out); });
    row.end();
  });
  put_array("equal", result.equal, object, out, [&](const EqualRun& run) {
    ObjectText row{out};
    row.text("from", to_rfc3339(run.from));
    row.number("epoch", run.epoch);
    if (run.rounded) row.flag("rounded", true);
    put_array("revisions", run.revisions, row, out, [&](std::uint64_t revision) { append_number(revision, out); });
    row.end();
  });
  object.end();
  return out + '\n';
}

Result<Reconciliation> parse_reconciliation(std::string_view text) {
  simdjson::dom::parser parser;
  element root;
  const auto refuse = [](std::string what) { return failure(Fault::malformed, Retry::never, std::move(what)); };
  if (parser.parse(text.data(), text.size()).get(root) != simdjson::SUCCESS || !root.is_object())
    return refuse("it is no JSON object");
  std::string wrong;
  ObjectReader object{root, "$", wrong};
  const auto version = object.need<std::int64_t>("version");
  if (wrong.empty() && version != kVersion)
    return failure(Fault::mismatch, Retry::never,
                   "it is of version " + std::to_string(version) + ", this truetape reads version " +
                       std::to_string(kVersion) + "; run the comparison again, or use the truetape that made it");
  Reconciliation out;
  const auto instrument = Instrument::parse(object.need<std::string_view>("instrument"));
  const auto tape = parse_tape(object.need<std::string_view>("tape"));
  const auto interval = parse_interval(object.need<std::string_view>("interval"));
  if (!instrument) object.note("instrument", "is no instrument");
  if (!tape) object.note("tape", "is no tape");
  if (!interval) object.note("interval", "is no interval");
  if (!wrong.empty()) return refuse(wrong);
  out.instrument = *instrument;
  out.tape = *tape;
  out.interval = *interval;
  for (const auto& [name, value] : {std::pair{"from", &out.from}, {"to", &out.to}, {"at", &out.at}}) {
    const auto time = object.time(name);
    if (!time) object.note(name, "is missing");
    *value = time.value_or(Timestamp{});
  }
  out.official = object.need<std::string_view>("official");
  out.provable = read_tally(object, "provable", "$", wrong);
  out.others = read_tally(object, "others", "$", wrong);
  const auto fields = object.get<element>("fields"), causes = object.get<element>("reasons");
  if (!fields || !causes) {
    object.note(fields ? "reasons" : "fields", "is missing");
    return refuse(wrong);
  }
  ObjectReader of_fields{*fields, "$.fields", wrong}, of_causes{*causes, "$.reasons", wrong};
  for (std::size_t i = 0; i < kCandleFields; ++i)
    out.fields[i] = read_tally(of_fields, kFieldNames[i].data(), "$.fields", wrong);
  for (std::size_t i = 0; i < kCauses; ++i) out.causes[i] = of_causes.need<std::uint64_t>(kCauseNames[i].data());
  out.quiet = object.need<std::uint64_t>("quiet");
  out.not_closed = object.need<std::uint64_t>("not_closed");
  out.beyond_ours = object.need<std::uint64_t>("beyond_ours");
  out.beyond_theirs = object.need<std::uint64_t>("beyond_theirs");
  out.quiet_there = object.need<std::uint64_t>("quiet_there");
  if (!wrong.empty()) return refuse(wrong);
  for (const element entry : elements(object, "differences")) {
    const std::string path = "$.differences[" + std::to_string(out.differences.size()) + "]";
    ObjectReader row{entry, path, wrong};
    out.differences.push_back(read_difference(row, path, wrong));
    if (!wrong.empty()) return refuse(wrong);
  }
  if (object.get<element>("unlisted"))  // absent in files of before it was kept
    for (const element entry : elements(object, "unlisted")) {
      ObjectReader run{entry, "$.unlisted[" + std::to_string(out.unlisted.size()) + "]", wrong};
      out.unlisted.push_back(read_unlisted(run));
      if (!wrong.empty()) return refuse(wrong);
    }
  for (const element entry : elements(object, "equal")) {
    ObjectReader run{entry, "$.equal[" + std::to_string(out.equal.size()) + "]", wrong};
    out.equal.push_back(read_run(run));
    if (!wrong.empty()) return refuse(wrong);
  }
  if (!wrong.empty()) return refuse(wrong);
  return out;
}

void add_windows(const Reconciliation& result, Timestamp from, Timestamp to,
                 std::map<Timestamp, ReconciledWindow>& windows) {
  ReconciledWindow window;
  window.instrument = result.instrument;
  window.tape = result.tape;
  window.interval = result.interval;
  window.at = result.at;
  // Those of a run that begin in [from, to), without a look at the others.
  const auto add_run = [&](Timestamp begin, const std::vector<std::uint64_t>& revisions) {
    const auto places = [&](Timestamp until) -> std::size_t {  // how many begin before that time
      if (until <= begin) return 0;
      const Timestamp end = begin + result.interval * static_cast<std::int64_t>(revisions.size());
      if (until >= end) return revisions.size();
      return static_cast<std::size_t>((until - begin + result.interval - Nanoseconds{1}) / result.interval);
    };
    for (std::size_t i = places(from), last = places(to); i < last; ++i) {
      window.start = begin + result.interval * static_cast<std::int64_t>(i);
      window.revision = revisions[i];
      windows.insert_or_assign(window.start, window);
    }
  };
  window.equal = true;
  for (const EqualRun& run : result.equal) {
    window.epoch = run.epoch;
    window.cause = run.rounded ? std::optional{Cause::rounding} : std::nullopt;
    add_run(run.from, run.revisions);
  }
  window.equal = false;
  window.detail = "what differs is not listed: reconcile --limit lists more";
  for (const UnlistedRun& run : result.unlisted) {
    window.epoch = run.epoch;
    window.cause = run.cause;
    add_run(run.from, run.revisions);
  }
  for (const Difference& difference : result.differences) {
    if (difference.start < from || difference.start >= to) continue;
    window.start = difference.start;
    window.cause = difference.cause;
    window.difference = told(difference.fields);
    window.detail = difference.detail;
    window.epoch = difference.epoch;
    window.revision = difference.revision;
    windows.insert_or_assign(window.start, window);
  }
}

template <>
std::span<const RowColumn> columns<ReconciledWindow>() {
  return kWindowColumns;
}
template <>
std::span<const RowColumn> columns<DifferenceRow>() {
  return kDifferenceColumns;
}

void put_cells(const ReconciledWindow& row, RowCells& out) {
  out.text(row.instrument.text());
  out.text(name(row.tape));
  out.text(to_text(row.interval));
  out.time(row.start);
  out.text(row.equal ? "equal" : "differs");
  out.text(row.cause ? name(*row.cause) : std::string_view{});
  out.text(row.difference);
  out.text(row.detail);
  out.number(row.epoch);
  out.number(row.revision);
  out.time(row.at);
}

void put_cells(const DifferenceRow& row, RowCells& out) {
  out.text(row.of.instrument.text());
  out.text(name(row.of.tape));
  out.text(to_text(row.of.interval));
  out.time(row.difference.start);
  out.text(name(row.difference.cause));
  out.boolean(row.difference.provable);
  out.text(row.field == nullptr ? std::string_view{} : name(row.field->field));
  out.text(row.field == nullptr ? std::string_view{} : row.field->ours);
  out.text(row.field == nullptr ? std::string_view{} : row.field->theirs);
  out.text(row.difference.detail);
}

}  // namespace truetape
