// ASCII digits, eight at a time.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

namespace truetape::digits {

inline constexpr std::uint64_t kOnes = 0x0101010101010101, kHigh = kOnes * 0x80;
static_assert(std::endian::native == std::endian::little, "the first character must be the lowest byte of a word");

// Eight characters less '0': bytes 0..9 where they are digits. The lowest byte that is none is seen as such by
// others(); bytes above it may be wrong, since the subtraction borrows upwards.
inline std::uint64_t load(const char* at) {
  std::uint64_t word;
  std::memcpy(&word, at, 8);
  return word - kOnes * '0';
}
// 0: all are digits; else the lowest bit that is set stands in the first byte that is none.
inline std::uint64_t others(std::uint64_t word) { return (word | (word + kOnes * 0x76)) & kHigh; }
// The number that eight digits make. Pairs, then fours, then all.
inline std::uint64_t number(std::uint64_t word) {
  constexpr std::uint64_t kMask = 0x000000FF000000FF;
  word = word * 10 + (word >> 8);
  return ((word & kMask) * (100 + (1'000'000ULL << 32)) + ((word >> 16) & kMask) * (1 + (10'000ULL << 32))) >> 32;
}

// The first character that is no digit, or `end`.
inline const char* skip(const char* p, const char* end) {
  while (end - p >= 8) {
    const std::uint64_t other = others(load(p));
    if (other != 0) return p + std::countr_zero(other) / 8;
    p += 8;
  }
  while (p != end && *p >= '0' && *p <= '9') ++p;
  return p;
}

inline constexpr std::uint64_t kTens[8] = {1, 10, 100, 1'000, 10'000, 100'000, 1'000'000, 10'000'000};

// nullopt: empty, longer than 19 characters, one of them no digit, or beyond 63 bits.
inline std::optional<std::int64_t> natural(std::string_view text) {
  if (text.empty() || text.size() > 19) return std::nullopt;
  const char* p = text.data();
  const char* const end = p + text.size();
  std::uint64_t value = 0;  // 19 digits fit 64 bits
  for (; end - p >= 8; p += 8) {
    const std::uint64_t word = load(p);
    if (others(word) != 0) return std::nullopt;
    value = value * 100'000'000 + number(word);
  }
  if (p == end) {
  } else if (text.size() > 8) {  // the last eight again, those that were read before taken as zeros
    const auto left = static_cast<std::size_t>(end - p);
    const std::uint64_t word = load(end - 8) >> (64 - 8 * left) << (64 - 8 * left);
    if (others(word) != 0) return std::nullopt;
    value = value * kTens[left] + number(word);
  } else {
    for (; p != end; ++p) {
      const auto digit = static_cast<unsigned char>(*p - '0');
      if (digit > 9) return std::nullopt;
      value = value * 10 + digit;
    }
  }
  if (value > INT64_MAX) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

}  // namespace truetape::digits
