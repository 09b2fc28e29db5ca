// What quick readers of frames need of the bytes: literals, plain texts and plain numbers, in order and without blanks.
// Whatever is written otherwise is left to a strict reader (json.h).
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "core/digits.h"
#include "core/same.h"
#include "venues/json.h"

namespace truetape::json {

class Cursor {
 public:
  explicit Cursor(std::string_view text) : p_{text.data()}, end_{text.data() + text.size()} {}

  template <std::size_t N>
  [[gnu::always_inline]] bool eat(const char (&literal)[N]) {
    if (!begins_with({p_, static_cast<std::size_t>(end_ - p_)}, literal)) return false;
    p_ += N - 1;
    return true;
  }
  // ASCII without escapes, up to and with the closing quote.
  [[gnu::always_inline]] bool text(Value& out) {
    const char* const start = p_;
    std::uint64_t ends = 0;
    while (end_ - p_ >= 8 && (ends = special_bytes(p_)) == 0) p_ += 8;
    if (ends != 0)
      p_ += __builtin_ctzll(ends) / 8;
    else
      while (p_ != end_ && *p_ >= 0x20 && *p_ != '"' && *p_ != '\\')
        ++p_;  // char is signed: bytes above 0x7f are below 0x20
    if (p_ == end_ || *p_ != '"') return false;
    out = {Type::string, false, {start, static_cast<std::size_t>(p_ - start)}};
    ++p_;
    return true;
  }
  [[gnu::always_inline]] bool integer(Value& out) {
    const char* const start = p_;
    p_ = digits::skip(p_, end_);
    if (p_ == start || (*start == '0' && p_ - start > 1)) return false;
    out = {Type::integer, false, {start, static_cast<std::size_t>(p_ - start)}};
    return true;
  }
  // Digits, perhaps a point and more digits. A sign or an exponent is left to others.
  [[gnu::always_inline]] bool number(Value& out) {
    if (!integer(out)) return false;
    if (p_ != end_ && *p_ == '.') {
      const char* const decimals = ++p_;
      p_ = digits::skip(p_, end_);
      if (p_ == decimals) return false;
      out = {Type::number, false, {out.text.data(), static_cast<std::size_t>(p_ - out.text.data())}};
    }
    return p_ == end_ || (*p_ != 'e' && *p_ != 'E');
  }
  [[gnu::always_inline]] bool boolean(Value& out) {
    const char* const start = p_;
    if (!eat("true") && !eat("false")) return false;
    out = {Type::boolean, false, {start, static_cast<std::size_t>(p_ - start)}};
    return true;
  }
  bool at_end() const { return p_ == end_; }
  bool next_is(char c) const { return p_ != end_ && *p_ == c; }
  const char* position() const { return p_; }

 private:
  // The lowest bit that is set stands in the first of eight bytes that is a quote, a backslash, below 0x20 or above
  // 0x7f; 0: there is none. Bits above the lowest may be wrong, since the subtractions borrow upwards.
  static std::uint64_t special_bytes(const char* at) {
    using digits::kOnes, digits::kHigh;
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    const std::uint64_t quote = word ^ kOnes * '"', backslash = word ^ kOnes * '\\';
    return ((quote - kOnes) | (backslash - kOnes) | (word - kOnes * 0x20) | word) & kHigh;
  }

  const char* p_;
  const char* end_;
};
static_assert(static_cast<char>(0x80) < 0x20, "Cursor::text relies on a signed char");

}  // namespace truetape::json
