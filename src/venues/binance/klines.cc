#include "venues/binance/klines.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "core/utf8.h"
#include "venues/binance/item.h"
#include "venues/json.h"

namespace truetape::binance {
namespace {

using json::Object;
using json::Type;
using json::Value;

enum Column : std::uint8_t {
  kOpenTime,
  kOpen,
  kHigh,
  kLow,
  kClose,
  kVolume,
  kCloseTime,
  kQuoteVolume,
  kTrades,
  kTakerVolume,
  kTakerQuoteVolume,
  kColumns
};
constexpr std::size_t kNeeded = kVolume + 1;
// Lower case, blanks as "_". Archives of the venue, and what its clients' libraries call them.
constexpr std::array<std::array<std::string_view, 4>, kColumns> kNames{{
    {"open_time", "opentime", "time", "timestamp"},
    {"open"},
    {"high"},
    {"low"},
    {"close"},
    {"volume"},
    {"close_time", "closetime"},
    {"quote_volume", "quote_asset_volume"},
    {"count", "trades", "number_of_trades", "num_trades"},
    {"taker_buy_volume", "taker_buy_base_asset_volume", "taker_buy_base_volume"},
    {"taker_buy_quote_volume", "taker_buy_quote_asset_volume"},
}};

auto malformed(std::string sentence) { return failure(Fault::malformed, Retry::never, std::move(sentence)); }

std::string shown(std::string_view text) {
  std::string out;
  append_utf8(text.substr(0, 60), out);
  for (char& c : out)
    if (c >= 0 && c < ' ') c = ' ';
  return out;
}

std::string_view trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

template <class Number>
std::optional<Number> whole(std::string_view text) {
  Number out{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional{out} : std::nullopt;
}

// Texts of one row; those that are not there have no data.
using Row = std::array<std::string_view, kColumns>;

// Rows in order to candles. `place` of a sentence: "row 17", "$[16]".
class Rows {
 public:
  explicit Rows(Interval interval) : interval_{interval} {}

  Status add(const Row& row, const std::string& place) {
    OfficialCandle candle;
    const auto start = time(row, kOpenTime, place);
    if (!start) return tl::unexpected{start.error()};
    candle.start = start->at;
    if (candle.start != window_start(candle.start, interval_))
      return malformed(place + ": " + to_rfc3339(candle.start) + " begins no window of " + to_text(interval_) +
                       "; are these candles of another interval?");
    if (!out_.empty() && candle.start == out_.back().start)
      return malformed(place + ": the window of " + to_rfc3339(candle.start) + " comes twice");
    if (!out_.empty() && candle.start < out_.back().start)
      return malformed(place + ": " + to_rfc3339(candle.start) + " comes after " + to_rfc3339(out_.back().start) +
                       "; the rows must be in order of their time");
    if (row[kCloseTime].data() != nullptr) {
      const auto close = time(row, kCloseTime, place);
      if (!close) return tl::unexpected{close.error()};
      closes_told_ = true;
      if (close->at + close->unit != candle.start + interval_)
        return malformed(place + ": the window from " + to_rfc3339(candle.start) + " ends at " + to_rfc3339(close->at) +
                         ", so it is not of " + to_text(interval_));
    }
    for (const auto& [column, value] :
         {std::pair{kOpen, &candle.open}, {kHigh, &candle.high}, {kLow, &candle.low}, {kClose, &candle.close}}) {
      const ParsedDecimal parsed = parse_decimal(row[column]);
      if (parsed.fault != DecimalFault::none || parsed.value.mantissa < 0) return bad(row, column, place, "no price");
      *value = parsed.value;
    }
    const auto volume = parse_amount(row[kVolume]);
    if (!volume || volume->units < 0) return bad(row, kVolume, place, "no amount");
    candle.volume = *volume;
    for (const auto& [column, value] : {std::pair{kQuoteVolume, &candle.quote_volume},
                                        {kTakerVolume, &candle.taker_buy_volume},
                                        {kTakerQuoteVolume, &candle.taker_buy_quote_volume}}) {
      if (row[column].data() == nullptr) continue;
      *value = parse_amount(row[column]);
      if (!*value || (*value)->units < 0) return bad(row, column, place, "no amount");
    }
    if (row[kTrades].data() != nullptr) {
      candle.trades = whole<std::uint64_t>(row[kTrades]);
      if (!candle.trades) return bad(row, kTrades, place, "no whole number");
    }
    if (!out_.empty()) step_ = std::min(step_, candle.start - out_.back().start);
    out_.push_back(candle);
    return {};
  }

  Result<std::vector<OfficialCandle>> finish() {
    // Where no row tells its window's end, the distance of the windows does.
    if (!closes_told_ && out_.size() > 2 && step_ > Nanoseconds{interval_})
      return malformed("no two rows are " + to_text(interval_) + " apart, the nearest are " +
                       to_text(std::chrono::floor<Interval>(step_)) + ": these are candles of another interval");
    return std::move(out_);
  }

 private:
  struct Time {
    Timestamp at;
    Nanoseconds unit;
  };

  static tl::unexpected<Error> bad(const Row& row, Column column, const std::string& place, std::string_view what) {
    return malformed(place + ", " + std::string{kNames[column][0]} + ": \"" + shown(row[column]) + "\" is " +
                     std::string{what});
  }
  static Result<Time> time(const Row& row, Column column, const std::string& place) {
    const auto number = whole<std::int64_t>(row[column]);
    const auto unit = number ? guess_time_unit(*number) : std::nullopt;
    const auto at = unit ? from_epoch(*number, *unit) : std::nullopt;
    if (!at || (*unit != TimeUnit::ms && *unit != TimeUnit::us))
      return bad(row, column, place, "no time in milliseconds or microseconds since 1970");
    return Time{*at, *unit == TimeUnit::ms ? Nanoseconds{std::chrono::milliseconds{1}} : std::chrono::microseconds{1}};
  }

  Interval interval_;
  std::vector<OfficialCandle> out_;
  bool closes_told_ = false;
  Nanoseconds step_ = Nanoseconds::max();
};

// ---- JSON

// {"code":-1121,"msg":"Invalid symbol."}: the venue's own words, or empty.
std::string refusal(std::string_view text) {
  Object object;
  json::Problem problem;
  if (!object.read(text, problem)) return {};
  const Value message = object.get("msg"), code = object.get("code");
  if (message.type != Type::string) return {};
  return (message.escaped ? json::unescape(message.text) : std::string{message.text}) +
         (code.type == Type::integer ? " (" + std::string{code.text} + ")" : "");
}

Status read_element(const Value& element, const std::string& place, Rows& rows) {
  if (element.type != Type::array)
    return malformed(place + " is " + std::string{json::name(element.type)} + ", an array is needed");
  Row row{};
  json::Reader reader{element.text};
  reader.take('[');
  reader.blanks();
  std::size_t n = 0;
  // The reader has checked the element; what stands in it is looked at here.
  for (; reader.peek() != ']'; ++n) {
    Value value;
    reader.value(value);
    reader.blanks();
    reader.take(',');
    reader.blanks();
    if (n >= kColumns) continue;
    const auto column = static_cast<Column>(n);
    const bool integer = column == kOpenTime || column == kCloseTime || column == kTrades;
    const bool fits = integer ? value.type == Type::integer
                              : (value.type == Type::string && !value.escaped) || value.type == Type::integer ||
                                    value.type == Type::number;
    if (!fits)
      return malformed(place + '[' + std::to_string(n) + "], " + std::string{kNames[column][0]} + ": is " +
                       std::string{json::name(value.type)} + ", " + (integer ? "an integer" : "a decimal") +
                       " is needed");
    row[column] = value.text;
  }
  if (n < kNeeded)
    return malformed(place + " has " + std::to_string(n) + " members, at least " + std::to_string(kNeeded) +
                     " are needed");
  return rows.add(row, place);
}

Result<std::vector<OfficialCandle>> read_json(std::string_view text, Interval interval) {
  Rows rows{interval};
  json::Reader reader{text};
  reader.blanks();
  reader.take('[');
  const auto broken = [&] {
    return malformed("byte " + std::to_string(reader.problem().at) + " " + reader.problem().what);
  };
  reader.blanks();
  if (!reader.take(']')) {
    for (std::size_t i = 0;; ++i) {
      Value element;
      if (!reader.value(element)) return broken();
      if (const Status read = read_element(element, "$[" + std::to_string(i) + "]", rows); !read)
        return tl::unexpected{read.error()};
      reader.blanks();
      if (reader.take(']')) break;
      if (!reader.take(',')) {
        reader.fail("has no comma where one is needed");
        return broken();
      }
    }
  }
  reader.blanks();
  if (!reader.at_end()) {
    reader.fail("goes on behind its end");
    return broken();
  }
  return rows.finish();
}

// ---- CSV

std::vector<std::string_view> cells_of(std::string_view line) {
  std::vector<std::string_view> out;
  for (;;) {
    const std::size_t end = line.find(',');
    std::string_view cell = trimmed(line.substr(0, end));
    if (cell.size() >= 2 && cell.front() == '"' && cell.back() == '"') cell = cell.substr(1, cell.size() - 2);
    out.push_back(cell);
    if (end == std::string_view::npos) return out;
    line.remove_prefix(end + 1);
  }
}

// Where each column stands; -1: nowhere.
using Places = std::array<int, kColumns>;

Result<Places> places_of_header(const std::vector<std::string_view>& header) {
  Places out;
  out.fill(-1);
  for (std::size_t i = 0; i < header.size(); ++i) {
    std::string name;
    for (const char c : header[i]) name += c == ' ' ? '_' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    for (std::size_t column = 0; column < kColumns; ++column) {
      if (name.empty() || std::ranges::find(kNames[column], name) == kNames[column].end()) continue;
      if (out[column] >= 0) return malformed("row 1: two columns are named " + shown(kNames[column][0]));
      out[column] = static_cast<int>(i);
    }
  }
  for (std::size_t column = 0; column < kNeeded; ++column)
    if (out[column] < 0)
      return malformed("row 1: no column is named " + std::string{kNames[column][0]} +
                       "; needed are open_time, open, high, low, close, volume");
  return out;
}

Result<std::vector<OfficialCandle>> read_csv(std::string_view text, Interval interval) {
  Rows rows{interval};
  std::optional<Places> places;
  std::size_t needed = 0;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    const auto cells = cells_of(line);
    const std::string place = "row " + std::to_string(number);
    if (!places) {
      if (!whole<std::int64_t>(cells[0])) {
        const auto header = places_of_header(cells);
        if (!header) return tl::unexpected{header.error()};
        places = *header;
      } else {
        places.emplace();
        for (std::size_t column = 0; column < kColumns; ++column)
          (*places)[column] = column < kNeeded || cells.size() >= kColumns ? static_cast<int>(column) : -1;
      }
      needed = static_cast<std::size_t>(std::ranges::max(*places)) + 1;
      if (!whole<std::int64_t>(cells[0])) continue;
    }
    if (cells.size() < needed)
      return malformed(place + " has " + std::to_string(cells.size()) + " columns, " + std::to_string(needed) +
                       " are needed; is the file cut off?");
    Row row{};
    for (std::size_t column = 0; column < kColumns; ++column)
      if ((*places)[column] >= 0) row[column] = cells[static_cast<std::size_t>((*places)[column])];
    if (const Status read = rows.add(row, place); !read) return tl::unexpected{read.error()};
  }
  return rows.finish();
}

// ---- REST

constexpr std::array<Interval, 14> kIntervals{
    std::chrono::seconds{1},  std::chrono::minutes{1},  std::chrono::minutes{3}, std::chrono::minutes{5},
    std::chrono::minutes{15}, std::chrono::minutes{30}, std::chrono::hours{1},   std::chrono::hours{2},
    std::chrono::hours{4},    std::chrono::hours{6},    std::chrono::hours{8},   std::chrono::hours{12},
    std::chrono::hours{24},   std::chrono::hours{72}};
constexpr std::size_t kMost = 1000;

template <Product product>
bool has(Interval interval) {
  if (product == Product::usdm && interval == std::chrono::seconds{1}) return false;
  return std::ranges::find(kIntervals, interval) != kIntervals.end();
}

template <Product product>
std::string target(const Instrument& instrument, Interval interval, Timestamp from, Timestamp to) {
  std::string symbol;
  for (const char c : instrument.symbol()) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    const auto byte = static_cast<unsigned char>(c);
    if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-')
      symbol += c;
    else
      symbol.append({'%', kHex[byte >> 4], kHex[byte & 15]});
  }
  const auto ms = [](Timestamp t) {
    return std::to_string(std::chrono::ceil<std::chrono::milliseconds>(t.time_since_epoch()).count());
  };
  return std::string{rest_path(product)} + "/klines?symbol=" + symbol + "&interval=" + to_text(interval) +
         "&startTime=" + ms(from) + "&endTime=" + ms(to - Nanoseconds{1'000'000}) + "&limit=" + std::to_string(kMost);
}

Result<Timestamp> server_time(std::string_view answer) {
  Object object;
  json::Problem problem;
  const Value value = object.read(answer, problem) ? object.get("serverTime") : Value{};
  const auto ms = value.type == Type::integer ? whole<std::int64_t>(value.text) : std::nullopt;
  const auto at = ms ? from_epoch(*ms, TimeUnit::ms) : std::nullopt;
  if (!at) return malformed("the venue does not tell its time: " + shown(answer));
  return *at;
}

template <Product product>
constexpr Klines make(std::string_view time_target, std::int64_t weight, std::int64_t limit) {
  return {rest_url(product), time_target,      kMost,        weight,      limit, "X-MBX-USED-WEIGHT-1M",
          &has<product>,     &target<product>, &server_time, &read_klines};
}

}  // namespace

constexpr Klines kSpotKlines = make<Product::spot>("/api/v3/time", 2, 6000);
constexpr Klines kUsdmKlines = make<Product::usdm>("/fapi/v1/time", 5, 2400);

Result<std::vector<OfficialCandle>> read_klines(std::string_view text, Interval interval) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return malformed("it is empty");
  if (!is_utf8(text)) return malformed("it is not UTF-8");
  switch (text[first]) {
    case '<':
      return malformed("it is a page in HTML (" + shown(text.substr(first)) + "), no candles");
    case '{': {
      const std::string words = refusal(text);
      return words.empty() ? malformed("it is a JSON object (" + shown(text.substr(first)) + "), an array is needed")
                           : failure(Fault::refused, Retry::never, "the venue refuses it: " + words);
    }
    case '[':
      return read_json(text, interval);
    default:
      return read_csv(text, interval);
  }
}

}  // namespace truetape::binance
