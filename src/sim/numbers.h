// Prices and quantities as the simulated venue keeps them: whole numbers of 10^-8, which is the finest that Binance
// lists. Own code on purpose: the venues' decoders must not be checked with what they are made of.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace truetape::sim {

using Units = std::int64_t;  // 10^-8
using Wide = __int128;       // sums of Units, or of products of two (10^-16)
inline constexpr int kDecimals = 8;
inline constexpr Units kOne = 100'000'000;

// "61837.63000000", "0". nullopt: no decimal number, negative, finer than 10^-8, or beyond int64.
std::optional<Units> parse_units(std::string_view text);
// The same in 10^-scale, also "1e-07"; what is finer is cut off.
std::optional<Units> parse_scaled(std::string_view text, int scale);
// Digits behind the point as written, trailing zeros included.
int written_decimals(std::string_view text);
// Digits behind the point that are needed.
int needed_decimals(Units value);

// With exactly that many digits behind the point (none: no point); what is finer is cut off.
void append_units(std::string& out, Units value, int decimals);
void append_wide(std::string& out, Wide value, int scale, int decimals);  // value / 10^scale
// With no more digits behind the point than are needed.
void append_trimmed(std::string& out, Wide value, int scale);
void append_number(std::string& out, std::int64_t value);
void append_number(std::string& out, std::uint64_t value);

// A JSON string with its quotes.
void append_json(std::string& out, std::string_view text);

// splitmix64: what all that happens by seed is drawn from. The same on every machine.
inline std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}
inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) { return mix(mix(a) ^ b); }
// Evenly in [0, 1).
inline double fraction(std::uint64_t random) { return static_cast<double>(random >> 11) * 0x1p-53; }

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_{mix(seed)} {}
  std::uint64_t next() { return mix(state_++); }
  std::uint64_t below(std::uint64_t end) { return static_cast<std::uint64_t>(static_cast<double>(end) * unit()); }
  double unit() { return fraction(next()); }

 private:
  std::uint64_t state_;
};

}  // namespace truetape::sim
