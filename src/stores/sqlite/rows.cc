#include "stores/sqlite/rows.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace truetape::sqlite {
namespace {

// Binds one column after the other.
class Columns {
 public:
  explicit Columns(Statement& to) : to_{to} {}
  void operator()(std::int64_t value) { to_.bind(++index_, value); }
  void id(std::uint64_t value) { to_.bind_unsigned(++index_, value); }
  void null() { to_.bind_null(++index_); }
  void text(std::string_view value) { to_.bind_text(++index_, value); }
  void blob(std::string_view value) { to_.bind_blob(++index_, value); }
  void time(const std::optional<Timestamp>& value) { value ? (*this)(to_ns(*value)) : null(); }
  void id(const std::optional<std::uint64_t>& value) { value ? id(*value) : null(); }
  void decimal(Decimal value) {
    (*this)(value.mantissa);
    (*this)(value.scale);
  }
  void decimal(const std::optional<Decimal>& value) {
    if (value) return decimal(*value);
    null();
    null();
  }
  // Mantissa without trailing zeros and scale; the mantissa as text of digits where 64 bits do not hold it.
  void amount(const std::optional<Amount>& value) {
    if (!value) {
      null();
      null();
      return;
    }
    Int128 mantissa = value->units;
    int scale = mantissa == 0 ? 0 : Decimal::kMaxScale;
    while (scale > 0 && mantissa % 10 == 0) {
      mantissa /= 10;
      --scale;
    }
    if (mantissa >= std::numeric_limits<std::int64_t>::min() && mantissa <= std::numeric_limits<std::int64_t>::max()) {
      (*this)(static_cast<std::int64_t>(mantissa));
    } else {
      char digits[48];
      char* at = digits + sizeof digits;
      for (UInt128 rest = mantissa < 0 ? UInt128{0} - static_cast<UInt128>(mantissa) : static_cast<UInt128>(mantissa);
           rest != 0; rest /= 10)
        *--at = static_cast<char>('0' + static_cast<int>(rest % 10));
      if (mantissa < 0) *--at = '-';
      to_.bind_text_copy(++index_, {at, static_cast<std::size_t>(digits + sizeof digits - at)});
    }
    (*this)(scale);
  }
  void order(const RowOrder& o) {
    (*this)(o.settled ? 1 : 0);
    (*this)(o.epoch);
    id(o.revision);
  }
  template <class Enum>
  void word(Enum value) {
    (*this)(static_cast<std::int64_t>(value));
  }

 private:
  Statement& to_;
  int index_ = 0;
};

// Reads one column after the other.
template <class From>
class Reading {
 public:
  explicit Reading(const From& from, int first) : from_{from}, index_{first - 1} {}
  std::int64_t integer() { return from_.integer(++index_); }
  std::uint64_t id() { return from_.unsigned_integer(++index_); }
  std::uint32_t number() { return static_cast<std::uint32_t>(integer()); }
  Timestamp time() { return timestamp_ns(integer()); }
  std::string_view text() { return from_.text(++index_); }
  bool null_next() const { return from_.is_null(index_ + 1); }
  void skip() { ++index_; }
  std::optional<std::uint64_t> maybe_id() {
    if (null_next()) return skip(), std::nullopt;
    return id();
  }
  std::optional<Timestamp> maybe_time() {
    if (null_next()) return skip(), std::nullopt;
    return time();
  }
  Decimal decimal() {
    const std::int64_t mantissa = integer();
    return {mantissa, static_cast<std::int8_t>(integer())};
  }
  std::optional<Decimal> maybe_decimal() {
    if (null_next()) return skip(), skip(), std::nullopt;
    return decimal();
  }
  std::optional<Amount> maybe_amount() {
    if (null_next()) return skip(), skip(), std::nullopt;
    Int128 mantissa = 0;
    if (from_.is_integer(index_ + 1)) {
      mantissa = integer();
    } else {
      std::string_view digits = text();
      const bool negative = !digits.empty() && digits.front() == '-';
      if (negative) digits.remove_prefix(1);
      for (const char c : digits) mantissa = mantissa * 10 + (c - '0');
      if (negative) mantissa = -mantissa;
    }
    for (std::int64_t scale = integer(); scale < Decimal::kMaxScale; ++scale) mantissa *= 10;
    return Amount{mantissa};
  }
  template <class Enum>
  Enum word() {
    return static_cast<Enum>(integer());
  }

 private:
  const From& from_;
  int index_;
};

bool is_decimal_of(std::string_view text, std::uint64_t number) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  return text == std::string_view{digits, static_cast<std::size_t>(end - digits)};
}

constexpr std::string_view kEscaped{"%=\n\r\0", 5};

void append_escaped(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  for (const char c : text) {
    if (kEscaped.find(c) == std::string_view::npos) {
      out += c;
    } else {
      out += '%';
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 15];
    }
  }
}

std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16).ec == std::errc{}) {
      out += static_cast<char>(value);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

template <class From>
void read_trade_from(const From& from, Trade& row) {
  Reading columns{from, 1};
  row.tape = columns.template word<Tape>();
  row.era = columns.number();
  row.order = columns.id();
  row.event_time = columns.time();
  row.price = columns.decimal();
  row.quantity = columns.decimal();
  row.taker_side = columns.template word<Side>();
  row.marks = columns.number();
  columns.skip();  // source
  row.seq = columns.id();
  row.ordinal = columns.number();
  row.receive_time = columns.maybe_time();
  row.first_id = columns.maybe_id().value_or(row.order);
  row.last_id = columns.maybe_id().value_or(row.order);
  if (columns.null_next()) {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, row.order).ptr;
    row.id.assign({digits, static_cast<std::size_t>(end - digits)});
    columns.skip();
  } else {
    row.id.assign(columns.text());
  }
  row.kind.assign(columns.text());
}

}  // namespace

void bind_trade(Statement& to, const Trade& row, std::int64_t instrument, std::int64_t source) {
  Columns columns{to};
  columns(instrument);
  columns.word(row.tape);
  columns(row.era);
  columns.id(row.order);
  columns(to_ns(row.event_time));
  columns.decimal(row.price);
  columns.decimal(row.quantity);
  columns.word(row.taker_side);
  columns(row.marks);
  columns(source);
  columns.id(row.seq);
  columns(row.ordinal);
  columns.time(row.receive_time);
  row.first_id == row.order ? columns.null() : columns.id(row.first_id);
  row.last_id == row.order ? columns.null() : columns.id(row.last_id);
  is_decimal_of(row.id.view(), row.order) ? columns.null() : columns.text(row.id.view());
  row.kind.empty() ? columns.null() : columns.text(row.kind.view());
}

void bind_candle(Statement& to, const Candle& row, std::int64_t instrument) {
  Columns columns{to};
  columns(instrument);
  columns.word(row.tape);
  columns(row.interval.count());
  columns(to_ns(row.start));
  columns.order(row_order(row));
  columns.word(row.status);
  columns.word(row.completeness);
  columns.word(row.proof);
  columns(row.repaired ? 1 : 0);
  columns.id(row.missing);
  columns.id(row.held);
  for (const auto* price : {&row.open, &row.high, &row.low, &row.close}) columns.decimal(*price);
  columns.amount(row.volume);
  columns.amount(row.quote_volume);
  columns.id(row.trades);
  columns.amount(row.taker_buy_volume);
  columns.amount(row.taker_buy_quote_volume);
  columns.amount(row.vwap);
  columns.id(row.first_id);
  columns.id(row.last_id);
  columns.time(row.first_time);
  columns.time(row.last_time);
  columns.time(row.first_receive_time);
  columns.time(row.last_receive_time);
}

void bind_gap(Statement& to, const Gap& row, std::int64_t instrument) {
  Columns columns{to};
  columns(instrument);
  columns.word(row.tape);
  columns(row.era);
  columns.id(row.first_id);
  columns.order(row_order(row));
  columns.id(row.last_id);
  columns.id(row.missing);
  columns(to_ns(row.from));
  columns.time(row.to);
  columns.word(row.state);
  columns.word(row.reason);
}

void bind_progress(Statement& to, const Progress& row, std::int64_t instrument) {
  Columns columns{to};
  columns(instrument);
  columns.word(row.tape);
  columns.order(row_order(row));
  columns.time(row.frontier);
  columns.time(row.closed_until);
  columns.time(row.proven_until);
  columns.time(row.sealed_until);
}

void bind_quarantined(Statement& to, const Quarantined& row, std::optional<std::int64_t> instrument, std::int64_t log,
                      std::string_view headers) {
  Columns columns{to};
  columns(log);
  columns(row.partition);
  columns(row.offset);
  columns(row.ordinal);
  instrument ? columns(*instrument) : columns.null();
  columns.time(row.receive_time);
  columns.text(row.id.view());
  columns.word(row.reason);
  columns.text(row.detail);
  columns.text(row.rule.view());
  columns(row.rule_version);
  columns.blob(row.raw);
  columns.text(headers);
  columns(row.attempts);
  columns.word(row.resolution);
}

void bind_reference(Statement& to, const Reference& row) {
  Columns columns{to};
  columns.text(row.instrument.text());
  columns.text(row.base);
  columns.text(row.quote);
  columns.text(row.name);
  columns.decimal(row.tick);
  columns.decimal(row.lot);
  columns.text(row.status);
}

Trade read_trade(const Statement& from, const Instrument& instrument) {
  Trade row;
  row.instrument = instrument;
  read_trade(from, row);
  return row;
}

void read_trade(const Statement& from, Trade& row) { read_trade_from(from, row); }
void read_trade(const Values& from, Trade& row) { read_trade_from(from, row); }

Candle read_candle(const Statement& from, const Instrument& instrument) {
  Reading columns{from, 1};
  Candle row;
  row.instrument = instrument;
  row.tape = columns.word<Tape>();
  row.interval = Interval{columns.integer()};
  row.start = columns.time();
  columns.skip();  // settled: follows from status and completeness
  row.epoch = columns.integer();
  row.revision = columns.id();
  row.status = columns.word<CandleStatus>();
  row.completeness = columns.word<Completeness>();
  row.proof = columns.word<Proof>();
  row.repaired = columns.integer() != 0;
  row.missing = columns.maybe_id();
  row.held = columns.id();
  for (auto* price : {&row.open, &row.high, &row.low, &row.close}) *price = columns.maybe_decimal();
  row.volume = columns.maybe_amount();
  row.quote_volume = columns.maybe_amount();
  row.trades = columns.maybe_id();
  row.taker_buy_volume = columns.maybe_amount();
  row.taker_buy_quote_volume = columns.maybe_amount();
  row.vwap = columns.maybe_amount();
  row.first_id = columns.maybe_id();
  row.last_id = columns.maybe_id();
  row.first_time = columns.maybe_time();
  row.last_time = columns.maybe_time();
  row.first_receive_time = columns.maybe_time();
  row.last_receive_time = columns.maybe_time();
  return row;
}

Gap read_gap(const Statement& from, const Instrument& instrument) {
  Reading columns{from, 1};
  Gap row;
  row.instrument = instrument;
  row.tape = columns.word<Tape>();
  row.era = columns.number();
  row.first_id = columns.id();
  columns.skip();
  row.epoch = columns.integer();
  row.revision = columns.id();
  row.last_id = columns.maybe_id();
  row.missing = columns.id();
  row.from = columns.time();
  row.to = columns.maybe_time();
  row.state = columns.word<GapState>();
  row.reason = columns.word<GapReason>();
  return row;
}

Progress read_progress(const Statement& from, const Instrument& instrument) {
  Reading columns{from, 1};
  Progress row;
  row.instrument = instrument;
  row.tape = columns.word<Tape>();
  columns.skip();
  row.epoch = columns.integer();
  row.revision = columns.id();
  row.frontier = columns.maybe_time();
  row.closed_until = columns.maybe_time();
  row.proven_until = columns.maybe_time();
  row.sealed_until = columns.maybe_time();
  return row;
}

Quarantined read_quarantined(const Statement& from, const Instrument& instrument) {
  Reading columns{from, 1};
  Quarantined row;
  row.instrument = instrument;
  row.partition = static_cast<std::int32_t>(columns.integer());
  row.offset = columns.integer();
  row.ordinal = columns.number();
  columns.skip();  // instrument
  row.receive_time = columns.maybe_time();
  row.id = Text<40>::cut(columns.text());
  row.reason = columns.word<Reason>();
  row.detail = columns.text();
  row.rule = Text<24>::cut(columns.text());
  row.rule_version = columns.number();
  row.raw = columns.text();
  row.headers = parse_headers_text(columns.text());
  row.attempts = columns.number();
  row.resolution = columns.word<Resolution>();
  return row;
}

Reference read_reference(const Statement& from) {
  Reading columns{from, 0};
  Reference row;
  row.instrument = Instrument::parse(columns.text()).value_or(Instrument{});
  row.base = columns.text();
  row.quote = columns.text();
  row.name = columns.text();
  row.tick = columns.maybe_decimal();
  row.lot = columns.maybe_decimal();
  row.status = columns.text();
  return row;
}

void bind_news(Statement& to, const News& row, std::string_view related) {
  to.bind_text(1, row.venue);
  to.bind_text(2, row.id);
  to.bind(3, to_ns(row.event_time));
  to.bind_text(4, row.headline);
  to.bind_text(5, row.source);
  to.bind_text(6, row.url);
  to.bind_text(7, row.summary);
  to.bind_text(8, related);
}

std::string related_text(const std::vector<Instrument>& related) {
  std::string out;
  for (const Instrument& instrument : related) out.append(out.empty() ? "" : ",").append(instrument.text());
  return out;
}

std::vector<Instrument> parse_related_text(std::string_view text) {
  std::vector<Instrument> out;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    if (const auto instrument = Instrument::parse(text.substr(0, comma))) out.push_back(*instrument);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return out;
}

News read_news(const Statement& from) {
  Reading columns{from, 0};
  News row;
  row.venue = columns.text();
  row.id = columns.text();
  row.event_time = timestamp_ns(columns.integer());
  row.headline = columns.text();
  row.source = columns.text();
  row.url = columns.text();
  row.summary = columns.text();
  row.related = parse_related_text(columns.text());
  return row;
}

void bind_news_count(Statement& to, const NewsCount& row) {
  to.bind(1, row.interval.count());
  to.bind(2, to_ns(row.start));
  to.bind_text(3, row.instrument.text());
  to.bind_text(4, row.source);
  to.bind_text(5, row.venue);
  to.bind_unsigned(6, row.headlines);
  to.bind(7, to_ns(row.first_time));
  to.bind(8, to_ns(row.last_time));
  to.bind(9, row.epoch);
  to.bind_unsigned(10, row.revision);
}

NewsCount read_news_count(const Statement& from) {
  Reading columns{from, 0};
  NewsCount row;
  row.interval = Interval{columns.integer()};
  row.start = timestamp_ns(columns.integer());
  row.instrument = Instrument::parse(columns.text()).value_or(Instrument{});
  row.source = columns.text();
  row.venue = columns.text();
  row.headlines = columns.id();
  row.first_time = timestamp_ns(columns.integer());
  row.last_time = timestamp_ns(columns.integer());
  row.epoch = columns.integer();
  row.revision = columns.id();
  return row;
}

void bind_quote(Statement& to, const Quote& row, std::int64_t instrument, std::int64_t loaded_to) {
  Columns columns{to};
  columns(instrument);
  columns.id(row.order);
  columns.time(row.event_time);
  columns.time(row.receive_time);
  columns(loaded_to);
  for (const auto* value : {&row.bid, &row.bid_quantity, &row.ask, &row.ask_quantity}) columns.decimal(*value);
  if (row.kind == QuoteKind::best) return;
  for (const auto* value :
       {&row.last, &row.last_quantity, &row.open, &row.high, &row.low, &row.volume, &row.quote_volume})
    columns.decimal(*value);
}

std::optional<Quote> read_quote(const Statement& from, int first, QuoteKind kind, const Instrument& instrument) {
  if (from.is_null(first)) return std::nullopt;
  Reading columns{from, first};
  Quote row;
  row.instrument = instrument;
  row.kind = kind;
  row.order = columns.id();
  row.event_time = columns.maybe_time();
  row.receive_time = columns.maybe_time();
  columns.skip();
  for (auto* value : {&row.bid, &row.bid_quantity, &row.ask, &row.ask_quantity}) *value = columns.maybe_decimal();
  if (kind == QuoteKind::best) return row;
  for (auto* value : {&row.last, &row.last_quantity, &row.open, &row.high, &row.low, &row.volume, &row.quote_volume})
    *value = columns.maybe_decimal();
  return row;
}

std::string headers_text(const Headers& headers) {
  std::string out;
  for (const auto& [name, value] : headers) {
    append_escaped(out, name);
    out += '=';
    append_escaped(out, value);
    out += '\n';
  }
  return out;
}

Headers parse_headers_text(std::string_view text) {
  Headers headers;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    const std::size_t equals = line.find('=');
    if (equals != std::string_view::npos)
      headers.emplace_back(unescaped(line.substr(0, equals)), unescaped(line.substr(equals + 1)));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return headers;
}

bool same_content(const Trade& a, const Trade& b) {
  return a.price == b.price && a.quantity == b.quantity && a.taker_side == b.taker_side && a.kind == b.kind &&
         a.first_id == b.first_id && a.last_id == b.last_id && content_time(a.event_time) == content_time(b.event_time);
}

}  // namespace truetape::sqlite
