// KuCoin's candles: rows of [start in s, open, close, high, low, volume, turnover], all texts, the newest first.
// Minutes without a trade have no row.
#include <algorithm>
#include <array>

#include "core/digits.h"
#include "core/utf8.h"
#include "venues/kucoin/item.h"
#include "venues/kucoin/kucoin.h"

namespace truetape::kucoin {
namespace {

using json::Object;
using json::Type;
using json::Value;

constexpr std::size_t kMost = 1500;
constexpr std::size_t kColumns = 7;
constexpr std::array<std::string_view, kColumns> kNames{"time", "open", "close", "high", "low", "volume", "turnover"};
constexpr std::pair<Interval, std::string_view> kTypes[] = {
    {std::chrono::minutes{1}, "1min"},   {std::chrono::minutes{3}, "3min"},   {std::chrono::minutes{5}, "5min"},
    {std::chrono::minutes{15}, "15min"}, {std::chrono::minutes{30}, "30min"}, {std::chrono::hours{1}, "1hour"},
    {std::chrono::hours{2}, "2hour"},    {std::chrono::hours{4}, "4hour"},    {std::chrono::hours{6}, "6hour"},
    {std::chrono::hours{8}, "8hour"},    {std::chrono::hours{12}, "12hour"},  {std::chrono::hours{24}, "1day"}};

auto malformed(std::string sentence) { return failure(Fault::malformed, Retry::never, std::move(sentence)); }

std::string shown(std::string_view text) {
  std::string out;
  append_utf8(text.substr(0, 60), out);
  for (char& c : out)
    if (c >= 0 && c < ' ') c = ' ';
  return out;
}

Result<OfficialCandle> candle_of(const Value& row, const std::string& place, Interval interval) {
  if (row.type != Type::array) return malformed(place + " is " + std::string{json::name(row.type)} + ", no array");
  std::array<Value, kColumns> cells;
  std::size_t count = 0;
  json::Reader in{row.text};  // which has been checked as a whole
  in.take('[');
  for (in.blanks(); in.peek() != ']'; in.blanks()) {
    Value cell;
    in.value(cell);
    if (count < kColumns) cells[count] = cell;
    ++count;
    in.blanks();
    in.take(',');
  }
  if (count < kColumns)
    return malformed(place + " has " + std::to_string(count) + " elements, " + std::to_string(kColumns) +
                     " are needed");
  const auto bad = [&](std::size_t column, std::string_view what) {
    return malformed(place + ": " + std::string{kNames[column]} + " is " + shown(cells[column].text) + ", which is " +
                     std::string{what});
  };
  for (std::size_t column = 0; column < kColumns; ++column)
    if (cells[column].type != Type::string) return bad(column, "no text");
  OfficialCandle out;
  const auto seconds = digits::natural(cells[0].text);
  const auto start =
      seconds && guess_time_unit(*seconds) == TimeUnit::s ? from_epoch(*seconds, TimeUnit::s) : std::nullopt;
  if (!start) return bad(0, "no time in s since 1970");
  out.start = *start;
  if (out.start != window_start(out.start, interval))
    return malformed(place + ": " + to_rfc3339(out.start) + " begins no window of " + to_text(interval) +
                     "; are these candles of another interval?");
  std::size_t column = 1;
  for (Decimal* price : {&out.open, &out.close, &out.high, &out.low}) {
    const ParsedDecimal parsed = parse_decimal(cells[column].text);
    if (parsed.fault != DecimalFault::none || parsed.value.mantissa < 0) return bad(column, "no price");
    *price = parsed.value;
    ++column;
  }
  const auto volume = parse_amount(cells[5].text), turnover = parse_amount(cells[6].text);
  if (!volume || volume->units < 0) return bad(5, "no amount");
  if (!turnover || turnover->units < 0) return bad(6, "no amount");
  out.volume = *volume;
  out.quote_volume = *turnover;
  return out;
}

Result<std::vector<OfficialCandle>> read_klines(std::string_view text, Interval interval) {
  Object object;
  const auto data = answer_data(text, object);
  if (!data) return tl::unexpected{data.error()};
  if (data->type != Type::array) return malformed("$.data is no array");
  std::vector<OfficialCandle> out;
  json::Reader in{data->text};
  in.take('[');
  for (in.blanks(); in.peek() != ']'; in.blanks()) {
    Value row;
    in.value(row);
    const auto candle = candle_of(row, "$.data[" + std::to_string(out.size()) + "]", interval);
    if (!candle) return tl::unexpected{candle.error()};
    if (!out.empty() && candle->start >= out.back().start)
      return malformed("$.data[" + std::to_string(out.size()) + "]: " + to_rfc3339(candle->start) + " comes after " +
                       to_rfc3339(out.back().start) + "; the newest must come first, each once");
    out.push_back(*candle);
    in.blanks();
    in.take(',');
  }
  std::ranges::reverse(out);
  return out;
}

bool has(Interval interval) {
  return std::ranges::any_of(kTypes, [&](const auto& type) { return type.first == interval; });
}

// Whether the venue counts the end in is not documented: a second less is right in either case.
std::string target(const Instrument& instrument, Interval interval, Timestamp from, Timestamp to) {
  const auto s = [](Timestamp t) {
    return std::to_string(std::chrono::ceil<std::chrono::seconds>(t.time_since_epoch()).count());
  };
  const auto type = std::ranges::find(kTypes, interval, &std::pair<Interval, std::string_view>::first);
  return "/api/v1/market/candles?symbol=" + percent_encoded(instrument.symbol()) +
         "&type=" + std::string{type->second} + "&startAt=" + s(from) + "&endAt=" + s(to - std::chrono::seconds{1});
}

}  // namespace

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-')
      out += c;
    else
      out.append({'%', kHex[byte >> 4], kHex[byte & 15]});
  }
  return out;
}

Result<Value> answer_data(std::string_view answer, Object& object) {
  const std::size_t first = answer.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return malformed("it is empty");
  if (!is_utf8(answer)) return malformed("it is not UTF-8");
  if (answer[first] == '<') return malformed("it is a page in HTML (" + shown(answer.substr(first)) + "), no answer");
  json::Problem problem;
  if (!object.read(answer, problem))
    return malformed("at byte " + std::to_string(problem.at) + " the JSON " + problem.what);
  const Value code = object.get("code");
  if (code.type != Type::string) return malformed("it has no code: " + shown(answer.substr(first)));
  if (code.text != "200000") {
    std::string room;
    const Value words = object.get("msg");
    return failure(Fault::refused, Retry::never,
                   "the venue refuses it: " + shown(words.type == Type::string ? payload::text_of(words, room) : "") +
                       " (code " + shown(code.text) + ")");
  }
  return object.get("data");
}

Result<Timestamp> server_time(std::string_view answer) {
  Object object;
  const auto data = answer_data(answer, object);
  if (!data) return tl::unexpected{data.error()};
  const auto ms = data->type == Type::integer ? digits::natural(data->text) : std::nullopt;
  const auto at = ms && guess_time_unit(*ms) == TimeUnit::ms ? from_epoch(*ms, TimeUnit::ms) : std::nullopt;
  if (!at) return malformed("the venue does not tell its time: " + shown(answer));
  return *at;
}

// 2,000 of weight within 30 s; a call costs 3.
constexpr Klines kKlines{kRestUrl, "/api/v1/timestamp", kMost, 3, 4000, "", &has, &target, &server_time, &read_klines};

}  // namespace truetape::kucoin
