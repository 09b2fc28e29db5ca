#include "core/utf8.h"

#include <cstring>

namespace truetape {
namespace {

bool continues(unsigned char byte) { return (byte & 0xc0) == 0x80; }

// Length of the longest beginning that is ASCII, looked at in words of 8.
std::size_t ascii_prefix(std::string_view text) {
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + i, 8);
    if ((word & 0x8080808080808080ULL) != 0) break;
  }
  while (i < text.size() && static_cast<unsigned char>(text[i]) < 0x80) ++i;
  return i;
}

}  // namespace

Utf8 first_character(std::string_view text) {
  constexpr Utf8 kBad{U'\ufffd', 1, false};
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1, true};
  if (first < 0xc2) return kBad;  // a continuation, or an overlong form of ASCII
  if (first < 0xe0) {
    if (text.size() < 2 || !continues(byte(1))) return kBad;
    return {static_cast<char32_t>((first & 0x1f) << 6 | (byte(1) & 0x3f)), 2, true};
  }
  if (first < 0xf0) {
    if (text.size() < 3 || !continues(byte(1)) || !continues(byte(2))) return kBad;
    const auto code = static_cast<char32_t>((first & 0x0f) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f));
    if (code < 0x800 || (code >= 0xd800 && code < 0xe000)) return kBad;
    return {code, 3, true};
  }
  if (first < 0xf5) {
    if (text.size() < 4 || !continues(byte(1)) || !continues(byte(2)) || !continues(byte(3))) return kBad;
    const auto code =
        static_cast<char32_t>((first & 0x07) << 18 | (byte(1) & 0x3f) << 12 | (byte(2) & 0x3f) << 6 | (byte(3) & 0x3f));
    if (code < 0x10000 || code > 0x10ffff) return kBad;
    return {code, 4, true};
  }
  return kBad;
}

bool is_utf8(std::string_view text) {
  for (;;) {
    text.remove_prefix(ascii_prefix(text));
    if (text.empty()) return true;
    const Utf8 next = first_character(text);
    if (!next.valid) return false;
    text.remove_prefix(next.size);
  }
}

void append_utf8(std::string_view text, std::string& out) {
  while (!text.empty()) {
    const std::size_t plain = ascii_prefix(text);
    out.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) return;
    const Utf8 next = first_character(text);
    out.append(next.valid ? text.substr(0, next.size) : kReplacement);
    text.remove_prefix(next.size);
  }
}

}  // namespace truetape
