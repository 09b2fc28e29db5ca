#include "codec/rows.h"

#include <algorithm>
#include <array>

#include "codec/cells.h"

namespace truetape {
namespace {

constexpr std::array<RowColumn, 26> kCandle{{{"instrument"},
                                             {"tape"},
                                             {"interval"},
                                             {"start"},
                                             {"open", true},
                                             {"high", true},
                                             {"low", true},
                                             {"close", true},
                                             {"volume", true},
                                             {"quote_volume", true},
                                             {"trades", true},
                                             {"taker_buy_volume", true},
                                             {"taker_buy_quote_volume", true},
                                             {"vwap", true},
                                             {"first_id", true},
                                             {"last_id", true},
                                             {"first_time"},
                                             {"last_time"},
                                             {"status"},
                                             {"completeness"},
                                             {"proof"},
                                             {"repaired"},
                                             {"missing", true},
                                             {"held", true},
                                             {"epoch", true},
                                             {"revision", true}}};
constexpr std::array<RowColumn, 13> kTrade{{{"instrument"},
                                            {"tape"},
                                            {"era", true},
                                            {"id", true},
                                            {"first_id", true},
                                            {"last_id", true},
                                            {"event_time"},
                                            {"receive_time"},
                                            {"price", true},
                                            {"quantity", true},
                                            {"taker_side"},
                                            {"kind"},
                                            {"marks"}}};
constexpr std::array<RowColumn, 10> kGap{{{"instrument"},
                                          {"tape"},
                                          {"era", true},
                                          {"first_id", true},
                                          {"last_id", true},
                                          {"from"},
                                          {"to"},
                                          {"state"},
                                          {"reason"},
                                          {"missing", true}}};
constexpr std::array<RowColumn, 12> kQuarantined{{{"instrument"},
                                                  {"partition", true},
                                                  {"offset", true},
                                                  {"receive_time"},
                                                  {"id", true},
                                                  {"reason"},
                                                  {"detail"},
                                                  {"rule"},
                                                  {"rule_version", true},
                                                  {"raw"},
                                                  {"ordinal", true},
                                                  {"attempts", true}}};
constexpr std::array<RowColumn, 6> kProgress{
    {{"instrument"}, {"tape"}, {"frontier"}, {"closed_until"}, {"proven_until"}, {"sealed_until"}}};
constexpr std::array<RowColumn, 8> kNews{
    {{"venue"}, {"id"}, {"event_time"}, {"headline"}, {"source"}, {"url"}, {"summary"}, {"related"}}};
constexpr std::array<RowColumn, 10> kNewsCount{{{"instrument"},
                                                {"source"},
                                                {"interval"},
                                                {"start"},
                                                {"headlines", true},
                                                {"first_time"},
                                                {"last_time"},
                                                {"venue"},
                                                {"epoch", true},
                                                {"revision", true}}};
constexpr std::array<RowColumn, 7> kReference{
    {{"instrument"}, {"base"}, {"quote"}, {"name"}, {"tick", true}, {"lot", true}, {"status"}}};
constexpr std::array<RowColumn, 16> kQuote{{{"instrument"},
                                            {"kind"},
                                            {"event_time"},
                                            {"receive_time"},
                                            {"bid", true},
                                            {"bid_quantity", true},
                                            {"ask", true},
                                            {"ask_quantity", true},
                                            {"last", true},
                                            {"last_quantity", true},
                                            {"open", true},
                                            {"high", true},
                                            {"low", true},
                                            {"volume", true},
                                            {"quote_volume", true},
                                            {"order", true}}};
constexpr std::array<RowColumn, 7> kDigest{
    {{"instrument"}, {"tape"}, {"kind"}, {"interval"}, {"day"}, {"rows", true}, {"sha256"}}};

void optional(const std::optional<std::uint64_t>& value, RowCells& out) { value ? out.number(*value) : out.null(); }
void optional(const std::optional<Timestamp>& value, RowCells& out) { value ? out.time(*value) : out.null(); }
template <class Exact>
void optional(const std::optional<Exact>& value, RowCells& out) {
  value ? out.decimal(*value) : out.null();
}

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

std::string_view name(RowFormat format) {
  static constexpr std::array<std::string_view, 3> names{"table", "csv", "json"};
  return names[static_cast<std::size_t>(format)];
}
std::optional<RowFormat> parse_row_format(std::string_view text) {
  for (const RowFormat format : {RowFormat::table, RowFormat::csv, RowFormat::json})
    if (text == name(format)) return format;
  return std::nullopt;
}

template <>
std::span<const RowColumn> columns<Candle>() {
  return kCandle;
}
template <>
std::span<const RowColumn> columns<Trade>() {
  return kTrade;
}
template <>
std::span<const RowColumn> columns<Gap>() {
  return kGap;
}
template <>
std::span<const RowColumn> columns<Quarantined>() {
  return kQuarantined;
}
template <>
std::span<const RowColumn> columns<Progress>() {
  return kProgress;
}
template <>
std::span<const RowColumn> columns<News>() {
  return kNews;
}
template <>
std::span<const RowColumn> columns<NewsCount>() {
  return kNewsCount;
}
template <>
std::span<const RowColumn> columns<Reference>() {
  return kReference;
}
template <>
std::span<const RowColumn> columns<Quote>() {
  return kQuote;
}
template <>
std::span<const RowColumn> columns<DigestRow>() {
  return kDigest;
}

std::string csv_header(std::span<const RowColumn> of) {
  std::string out;
  for (const RowColumn& column : of) {
    if (!out.empty()) out += ',';
    out += column.name;
  }
  return out;
}

void RowCells::null() { add(Kind::null, bytes_.size()); }
void RowCells::text(std::string_view value) {
  const std::size_t begin = bytes_.size();
  bytes_ += value;
  add(value.empty() ? Kind::null : Kind::text, begin);
}
void RowCells::number(std::uint64_t value) {
  const std::size_t begin = bytes_.size();
  append_number(value, bytes_);
  add(Kind::number, begin);
}
void RowCells::number(std::int64_t value) {
  const std::size_t begin = bytes_.size();
  append_number(value, bytes_);
  add(Kind::number, begin);
}
void RowCells::boolean(bool value) {
  const std::size_t begin = bytes_.size();
  bytes_ += value ? "true" : "false";
  add(Kind::boolean, begin);
}
void RowCells::time(Timestamp t) { text(to_rfc3339(t)); }
void RowCells::decimal(Decimal value) { text(to_text(value)); }
void RowCells::decimal(Amount value) { text(to_text(value)); }

void put_cells(const Candle& c, RowCells& out) {
  out.text(c.instrument.text());
  out.text(name(c.tape));
  out.text(to_text(c.interval));
  out.time(c.start);
  optional(c.open, out);
  optional(c.high, out);
  optional(c.low, out);
  optional(c.close, out);
  optional(c.volume, out);
  optional(c.quote_volume, out);
  optional(c.trades, out);
  optional(c.taker_buy_volume, out);
  optional(c.taker_buy_quote_volume, out);
  optional(c.vwap, out);
  optional(c.first_id, out);
  optional(c.last_id, out);
  optional(c.first_time, out);
  optional(c.last_time, out);
  out.text(name(c.status));
  out.text(name(c.completeness));
  out.text(name(c.proof));
  out.boolean(c.repaired);
  optional(c.missing, out);
  out.number(c.held);
  out.number(c.epoch);
  out.number(c.revision);
}

void put_cells(const Trade& t, RowCells& out) {
  out.text(t.instrument.text());
  out.text(name(t.tape));
  out.number(std::uint64_t{t.era});
  out.text(t.id.view());
  out.number(t.first_id);
  out.number(t.last_id);
  out.time(t.event_time);
  optional(t.receive_time, out);
  out.decimal(t.price);
  out.decimal(t.quantity);
  out.text(name(t.taker_side));
  out.text(t.kind.view());
  out.text(marks_text(t.marks));
}

void put_cells(const Gap& g, RowCells& out) {
  out.text(g.instrument.text());
  out.text(name(g.tape));
  out.number(std::uint64_t{g.era});
  out.number(g.first_id);
  optional(g.last_id, out);
  out.time(g.from);
  optional(g.to, out);
  out.text(name(g.state));
  out.text(name(g.reason));
  out.number(g.missing);
}

void put_cells(const Quarantined& q, RowCells& out) {
  out.text(q.instrument.text());
  out.number(std::int64_t{q.partition});
  out.number(q.offset);
  optional(q.receive_time, out);
  out.text(q.id.view());
  out.text(name(q.reason));
  out.text(q.detail);
  out.text(q.rule.view());
  out.number(std::uint64_t{q.rule_version});
  out.text(q.raw);
  out.number(std::uint64_t{q.ordinal});
  out.number(std::uint64_t{q.attempts});
}

void put_cells(const NewsCount& n, RowCells& out) {
  out.text(n.instrument.text());
  out.text(n.source);
  out.text(to_text(n.interval));
  out.time(n.start);
  out.number(n.headlines);
  out.time(n.first_time);
  out.time(n.last_time);
  out.text(n.venue);
  out.number(n.epoch);
  out.number(n.revision);
}

void put_cells(const News& n, RowCells& out) {
  out.text(n.venue);
  out.text(n.id);
  out.time(n.event_time);
  out.text(n.headline);
  out.text(n.source);
  out.text(n.url);
  out.text(n.summary);
  std::string related;
  for (const Instrument& instrument : n.related) related.append(related.empty() ? "" : ",").append(instrument.text());
  out.text(related);
}

void put_cells(const Progress& p, RowCells& out) {
  out.text(p.instrument.text());
  out.text(name(p.tape));
  optional(p.frontier, out);
  optional(p.closed_until, out);
  optional(p.proven_until, out);
  optional(p.sealed_until, out);
}

void put_cells(const Reference& r, RowCells& out) {
  out.text(r.instrument.text());
  out.text(r.base);
  out.text(r.quote);
  out.text(r.name);
  optional(r.tick, out);
  optional(r.lot, out);
  out.text(r.status);
}

void put_cells(const Quote& q, RowCells& out) {
  out.text(q.instrument.text());
  out.text(name(q.kind));
  optional(q.event_time, out);
  optional(q.receive_time, out);
  for (const auto* value : {&q.bid, &q.bid_quantity, &q.ask, &q.ask_quantity, &q.last, &q.last_quantity, &q.open,
                            &q.high, &q.low, &q.volume, &q.quote_volume})
    optional(*value, out);
  out.number(q.order);
}

void put_cells(const DigestRow& d, RowCells& out) {
  out.text(d.instrument.text());
  out.text(name(d.tape));
  out.text(d.candles ? "candles" : "trades");
  out.text(d.interval ? to_text(*d.interval) : std::string{});
  out.text(to_rfc3339(d.day).substr(0, 10));
  out.number(d.rows);
  out.text(d.sha256);
}

void append_csv_row(const RowCells& row, std::string& out) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (i > 0) out += ',';
    append_csv(row.view(i), out);
  }
  out += '\n';
}

void append_json_row(std::span<const RowColumn> of, const RowCells& row, std::string& out) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    out += i == 0 ? "{\"" : ",\"";
    out += of[i].name;
    out += "\":";
    switch (row[i].kind) {
      case RowCells::Kind::null:
        out += "null";
        break;
      case RowCells::Kind::text:
        append_json(row.view(i), out);
        break;
      case RowCells::Kind::number:
      case RowCells::Kind::boolean:
        out += row.view(i);
        break;
    }
  }
  out += "}\n";
}

RowWriter::RowWriter(RowFormat format, std::span<const RowColumn> of, std::function<bool(std::string_view)> out)
    : format_{format}, columns_{of}, out_{std::move(out)} {}

bool RowWriter::header() { return format_ != RowFormat::csv || out_(csv_header(columns_) + '\n'); }

bool RowWriter::write_cells() {
  if (rows_++ == 0 && !header()) return false;
  line_.clear();
  switch (format_) {
    case RowFormat::csv:
      append_csv_row(cells_, line_);
      return out_(line_);
    case RowFormat::json:
      append_json_row(columns_, cells_, line_);
      return out_(line_);
    case RowFormat::table:
      break;
  }
  std::vector<std::string> row(columns_.size());
  for (std::size_t i = 0; i < row.size(); ++i) append_plain(cells_.view(i), kWidest, row[i]);
  if (!widths_.empty()) {
    append_table_row(row, line_);
    return out_(line_);
  }
  held_.push_back(std::move(row));
  return held_.size() < kLookAhead || flush_table();
}

bool RowWriter::finish() {
  if (format_ == RowFormat::table) return !widths_.empty() || flush_table();
  return rows_ > 0 || header();
}

void RowWriter::append_table_row(std::span<const std::string> row, std::string& out) const {
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (i > 0) out += "  ";
    const std::size_t size = characters(row[i]);
    const std::string blanks(size < widths_[i] ? widths_[i] - size : 0, ' ');
    if (columns_[i].right) out += blanks;
    out += row[i];
    if (!columns_[i].right) out += blanks;
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  out += '\n';
}

bool RowWriter::flush_table() {
  std::vector<std::string> names;
  for (const RowColumn& column : columns_) {
    names.emplace_back(column.name);
    widths_.push_back(column.name.size());
  }
  for (const auto& row : held_)
    for (std::size_t i = 0; i < row.size(); ++i) widths_[i] = std::max(widths_[i], characters(row[i]));
  std::string out;
  append_table_row(names, out);
  for (auto& rule : names) rule.clear();
  for (std::size_t i = 0; i < names.size(); ++i)
    for (std::size_t n = 0; n < widths_[i]; ++n) names[i] += "─";
  append_table_row(names, out);
  if (!out_(out)) return false;
  for (const auto& row : held_) {
    line_.clear();
    append_table_row(row, line_);
    if (!out_(line_)) return false;
  }
  held_.clear();
  return true;
}

}  // namespace truetape
