// What a client asks for, checked: every refusal is one sentence that names the parameter and what is allowed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/records.h"
#include "core/result.h"
#include "net/headers.h"
#include "net/server.h"
#include "net/url.h"
#include "serve/render.h"

namespace truetape {

inline constexpr std::uint64_t kMostRows = 10'000, kUsualRows = 500;

// The best of what `Accept` allows; nullopt: none of the three.
std::optional<Format> accepted_format(const net::Headers& headers);
std::string_view content_type(Format format);

// A query of rows. What a call does not take is refused by name.
struct RowQuery {
  std::optional<Instrument> instrument;
  std::optional<Tape> tape;
  std::optional<Interval> interval;
  std::optional<Timestamp> from, to;
  std::optional<Timestamp> start;
  std::optional<Reason> reason;
  std::string rule;
  std::string source;  // of news
  std::uint64_t limit = kUsualRows;
  std::optional<std::string> cursor;  // decoded, of whoever made it
};
struct Takes {
  bool instrument = true, tape = false, interval = false, times = false, paging = false, start = false, reasons = false;
  bool news = false;  // `symbol` for `instrument`, and `source`
  bool needs_instrument = false;
};
Result<RowQuery> parse_query(const net::Target& where, Takes takes, std::span<const Interval> intervals);

// RFC 3339, or milliseconds since 1970.
std::optional<Timestamp> parse_time(std::string_view text);
std::optional<std::uint64_t> parse_count(std::string_view text);
// "1s, 1m, 5m"
std::string interval_names(std::span<const Interval> intervals);

// Cursors are opaque to clients: base64url of some text.
std::string encode_cursor(std::string_view text);
std::optional<std::string> decode_cursor(std::string_view text);

}  // namespace truetape
