// UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. Whether bytes are it, and making it of
// bytes that may be anything.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace truetape {

bool is_utf8(std::string_view text);

// One character at the beginning of `text` (not empty): its code point and its length in bytes, 1 to 4. A byte that
// begins no well-formed sequence (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF) is U+FFFD of length 1,
// so that every byte is looked at and none is swallowed.
struct Utf8 {
  char32_t code_point;
  std::uint8_t size;
  bool valid;
};
Utf8 first_character(std::string_view text);

// Appends `text` with every byte that is not part of well-formed UTF-8 replaced by U+FFFD.
void append_utf8(std::string_view text, std::string& out);

inline constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

}  // namespace truetape
