// HTTP's dates and the two forms of Retry-After (RFC 9110, 5.6.7 and 10.2.3).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/time.h"
#include "net/headers.h"

namespace truetape::net {

// "Sun, 06 Nov 1994 08:49:37 GMT"; of whole seconds.
std::string to_http_date(Timestamp t);
// That form, and the two obsolete ones that must be understood ("Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6
// 08:49:37 1994"). A two-digit year is the one nearest to `now`.
std::optional<Timestamp> parse_http_date(std::string_view text, Timestamp now);

// How long to wait by an answer's Retry-After: seconds, or a date. A date is measured against the answer's own Date
// where it has one, so that our clock need not be right; `now` is when the answer came. nullopt: no such field, or one
// that cannot be read. Never negative; at most kLongestWait.
std::optional<Nanoseconds> retry_after(const Headers& headers, Timestamp now);
inline constexpr Nanoseconds kLongestWait = std::chrono::hours{24 * 30};

}  // namespace truetape::net
