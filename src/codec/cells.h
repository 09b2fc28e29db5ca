// Single values as text, appended: what rows.cc and canonical.cc are made of.
#pragma once

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>

#include "core/decimal.h"
#include "core/time.h"

namespace truetape {

template <std::integral Number>
void append_number(Number value, std::string& out) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, static_cast<std::size_t>(end - digits));
}

// RFC 4180: quoted only where needed (comma, quote, line break), quotes doubled. Bytes that are not UTF-8: U+FFFD.
void append_csv(std::string_view text, std::string& out);
// With its quotes; control characters escaped. Bytes that are not UTF-8: U+FFFD.
void append_json(std::string_view text, std::string& out);
// For a terminal: control characters as a middle dot, so that no text moves the cursor; cut to `longest` characters,
// the last then an ellipsis. Answers how many characters were appended.
std::size_t append_plain(std::string_view text, std::size_t longest, std::string& out);

}  // namespace truetape
