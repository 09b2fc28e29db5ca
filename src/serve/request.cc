#include "serve/request.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/utf8.h"

namespace truetape {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes the part before the next separator off the text.
std::string_view next_part(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view part = trimmed(text.substr(0, end));
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

// "q=0.8" in thousandths; 1000 where there is none, 0 for what is no number.
int quality(std::string_view parameters) {
  while (!parameters.empty()) {
    const std::string_view one = next_part(parameters, ';');
    if (!one.starts_with("q=") && !one.starts_with("Q=")) continue;
    int value = 0, digits = 0;
    for (const char c : one.substr(2)) {
      if (c == '.') continue;
      if (c < '0' || c > '9' || digits == 4) break;
      value = value * 10 + (c - '0');
      ++digits;
    }
    for (; digits < 4; ++digits) value *= 10;
    return value;
  }
  return 1000;
}

// What a client sent may be any bytes; a problem's text is UTF-8.
std::string shown(std::string_view text) {
  std::string out;
  append_utf8(text.substr(0, 80), out);
  return out;
}
std::string quoted(std::string_view text) { return "\"" + shown(text) + "\""; }

auto refuse(std::string sentence) { return failure(Fault::malformed, Retry::never, std::move(sentence)); }

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

}  // namespace

std::optional<Format> accepted_format(const net::Headers& headers) {
  const auto accept = headers.find("Accept");
  if (!accept) return Format::json;
  struct Offer {
    Format format;
    std::string_view type, group;
  };
  static constexpr std::array<Offer, 3> kOffers{{{Format::json, "application/json", "application/*"},
                                                 {Format::csv, "text/csv", "text/*"},
                                                 {Format::ndjson, "application/x-ndjson", "application/*"}}};
  std::optional<Format> best;
  int best_quality = 0;
  for (const Offer& offer : kOffers) {
    // The most specific word about it counts.
    int at = 0, specific = -1;
    std::string_view rest = *accept;
    while (!rest.empty()) {
      std::string_view entry = next_part(rest, ',');
      const std::string type = net::ascii_lower(next_part(entry, ';'));
      const int how = type == offer.type ? 2 : type == offer.group ? 1 : type == "*/*" ? 0 : -1;
      if (how <= specific) continue;
      specific = how;
      at = quality(entry);
    }
    if (at > best_quality) {
      best = offer.format;
      best_quality = at;
    }
  }
  return best;
}

std::string_view content_type(Format format) {
  switch (format) {
    case Format::json:
      return "application/json";
    case Format::csv:
      return "text/csv; charset=utf-8; header=present";
    case Format::ndjson:
      break;
  }
  return "application/x-ndjson";
}

std::optional<std::uint64_t> parse_count(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Timestamp> parse_time(std::string_view text) {
  std::int64_t ms = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ms);
  if (error == std::errc{} && end == text.data() + text.size()) return from_epoch(ms, TimeUnit::ms);
  return parse_rfc3339(text);
}

std::string interval_names(std::span<const Interval> intervals) {
  std::string out;
  for (const Interval interval : intervals) out.append(out.empty() ? "" : ", ").append(to_text(interval));
  return out;
}

Result<RowQuery> parse_query(const net::Target& where, Takes takes, std::span<const Interval> intervals) {
  RowQuery out;
  std::vector<std::string_view> seen;
  for (const auto& [name, value] : where.query) {
    if (std::ranges::find(seen, name) != seen.end()) return refuse(shown(name) + ": given twice");
    seen.push_back(name);
    if ((name == "instrument" && takes.instrument) || (name == "symbol" && takes.news)) {
      out.instrument = Instrument::parse(value);
      if (!out.instrument)
        return refuse(name + ": " + quoted(value) + " is none; write VENUE:SYMBOL, such as binance:BTCUSDT");
    } else if (name == "tape" && takes.tape) {
      out.tape = parse_tape(value);
      if (!out.tape) return refuse("tape: " + quoted(value) + " is refused; allowed: trade, agg");
    } else if (name == "interval" && takes.interval) {
      out.interval = parse_interval(value);
      if (!out.interval || std::ranges::find(intervals, *out.interval) == intervals.end())
        return refuse("interval: no candles of " + quoted(value) + " are built here; there are " +
                      interval_names(intervals));
    } else if (((name == "from" || name == "to") && takes.times) || (name == "start" && takes.start)) {
      auto& time = name == "from" ? out.from : name == "to" ? out.to : out.start;
      time = parse_time(value);
      if (!time)
        return refuse(name + ": " + quoted(value) +
                      " is no time; write RFC 3339, such as 2024-08-08T23:59:00Z, or milliseconds since 1970");
    } else if (name == "reason" && takes.reasons) {
      out.reason = parse_reason(value);
      if (!out.reason) return refuse("reason: " + quoted(value) + " is none; docs/records.md lists them");
    } else if (name == "rule" && takes.reasons) {
      if (!is_rule(value)) return refuse("rule: " + quoted(value) + " is none; docs/rules.md lists them");
      out.rule = value;
    } else if (name == "source" && takes.news) {
      out.source = value;
    } else if (name == "limit" && takes.paging) {
      const auto limit = parse_count(value);
      if (!limit || *limit == 0 || *limit > kMostRows)
        return refuse("limit: " + shown(value) + " is refused; allowed: a whole number from 1 to " +
                      std::to_string(kMostRows));
      out.limit = *limit;
    } else if (name == "cursor" && takes.paging) {
      out.cursor = decode_cursor(value);
      if (!out.cursor) return refuse("cursor: this is none; send the `next` of the answer before, or leave it out");
    } else if (name != "token") {
      return refuse(shown(name) + ": there is no such parameter here; docs/api.md lists them");
    }
  }
  if (takes.needs_instrument && !out.instrument)
    return refuse("instrument: is missing; write VENUE:SYMBOL, such as binance:BTCUSDT");
  if (takes.interval && !out.interval) return refuse("interval: is missing; there are " + interval_names(intervals));
  if (takes.start && !out.start)
    return refuse("start: is missing; write when the window begins, RFC 3339 or milliseconds since 1970");
  if (out.from && out.to && *out.from >= *out.to) return refuse("to: must be after from; from and to are half open");
  return out;
}

std::string encode_cursor(std::string_view text) {
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    count += 8;
    while (count >= 6) {
      count -= 6;
      out += kAlphabet[bits >> count & 63];
    }
  }
  if (count > 0) out += kAlphabet[bits << (6 - count) & 63];
  return out;
}

std::optional<std::string> decode_cursor(std::string_view text) {
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const std::size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count & 255);
    }
  }
  return out;
}

}  // namespace truetape
