#include "codec/keys.h"

#include <charconv>

namespace truetape {
namespace {

void put_number(std::uint64_t value, std::string& out) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, static_cast<std::size_t>(end - digits));
}

void put_two(unsigned value, std::string& out) {
  out += static_cast<char>('0' + value / 10 % 10);
  out += static_cast<char>('0' + value % 10);
}

// ":1m:20240808T235900Z"
void put_place(Interval interval, Timestamp start, std::string& out) {
  using namespace std::chrono;
  out += ':';
  out += to_text(interval);
  out += ':';
  const auto seconds_since = floor<seconds>(start);
  const auto day = floor<days>(seconds_since);
  const year_month_day date{day};
  const auto in_day = static_cast<unsigned>((seconds_since - day).count());
  const auto year = static_cast<unsigned>(static_cast<int>(date.year()));
  put_two(year / 100, out);
  put_two(year % 100, out);
  put_two(static_cast<unsigned>(date.month()), out);
  put_two(static_cast<unsigned>(date.day()), out);
  out += 'T';
  put_two(in_day / 3600, out);
  put_two(in_day / 60 % 60, out);
  put_two(in_day % 60, out);
  out += 'Z';
}

void put_window(const Instrument& instrument, Tape tape, Interval interval, Timestamp start, std::string& out) {
  out += instrument.text();
  out += ':';
  out += name(tape);
  put_place(interval, start, out);
}

// Cuts the part behind the last colon off; nullopt if there is no colon.
std::optional<std::string_view> cut_last(std::string_view& key) {
  const std::size_t colon = key.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view part = key.substr(colon + 1);
  key = key.substr(0, colon);
  return part;
}

template <class Number>
std::optional<Number> to_number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "20240808T235900Z"
std::optional<Timestamp> parse_basic(std::string_view text) {
  if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') return std::nullopt;
  std::string extended;
  extended.append(text, 0, 4).append("-").append(text, 4, 2).append("-").append(text, 6, 2).append("T");
  extended.append(text, 9, 2).append(":").append(text, 11, 2).append(":").append(text, 13, 2).append("Z");
  return parse_rfc3339(extended);
}

}  // namespace

void put_key(const Trade& value, std::string& out) { out += value.instrument.text(); }
void put_key(const Quote& value, std::string& out) { out += value.instrument.text(); }
void put_key(const Progress& value, std::string& out) { out += value.instrument.text(); }
void put_key(const Reference& value, std::string& out) { out += value.instrument.text(); }
void put_key(const Quarantined& value, std::string& out) { out += value.instrument.text(); }
void put_key(const Candle& value, std::string& out) {
  put_window(value.instrument, value.tape, value.interval, value.start, out);
}
void put_key(const LateWindow& value, std::string& out) {
  put_window(value.instrument, value.tape, value.interval, value.start, out);
}
void put_key(const News& value, std::string& out) {
  if (value.related.empty())
    out += value.venue;
  else
    out += value.related.front().text();
}
void put_key(const NewsCount& value, std::string& out) {
  if (value.instrument.empty())
    out.append(value.venue).append(":");
  else
    out += value.instrument.text();
  out += ':';
  for (const char c : value.source) {
    if (c == '%')
      out += "%25";
    else if (c == ':')
      out += "%3A";
    else
      out += c;
  }
  put_place(value.interval, value.start, out);
}
void put_key(const Gap& value, std::string& out) {
  out += value.instrument.text();
  out += ':';
  out += name(value.tape);
  out += ':';
  put_number(value.era, out);
  out += ':';
  put_number(value.first_id, out);
}

std::optional<WindowKey> parse_window_key(std::string_view key) {
  const auto start_text = cut_last(key);
  const auto interval_text = start_text ? cut_last(key) : std::nullopt;
  const auto tape_text = interval_text ? cut_last(key) : std::nullopt;
  if (!tape_text) return std::nullopt;
  const auto start = parse_basic(*start_text);
  const auto interval = parse_interval(*interval_text);
  const auto tape = parse_tape(*tape_text);
  const auto instrument = Instrument::parse(key);
  if (!start || !interval || !tape || !instrument) return std::nullopt;
  return WindowKey{*instrument, *tape, *interval, *start};
}

std::optional<GapKey> parse_gap_key(std::string_view key) {
  const auto id_text = cut_last(key);
  const auto era_text = id_text ? cut_last(key) : std::nullopt;
  const auto tape_text = era_text ? cut_last(key) : std::nullopt;
  if (!tape_text) return std::nullopt;
  const auto id = to_number<std::uint64_t>(*id_text);
  const auto era = to_number<std::uint32_t>(*era_text);
  const auto tape = parse_tape(*tape_text);
  const auto instrument = Instrument::parse(key);
  if (!id || !era || !tape || !instrument) return std::nullopt;
  return GapKey{*instrument, *tape, *era, *id};
}

}  // namespace truetape
