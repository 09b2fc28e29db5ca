// Exact decimals. Prices and quantities are Decimal, sums are Amount; no double anywhere.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace truetape {

using Int128 = __int128;
using UInt128 = unsigned __int128;

// mantissa / 10^scale in its one canonical form: no trailing zeros, 0 <= scale <= 18, zero is {0, 0}. So equality of
// the members is equality of the values.
struct Decimal {
  std::int64_t mantissa = 0;
  std::int8_t scale = 0;

  static constexpr int kMaxScale = 18;

  // Canonical form; nullopt when after stripping zeros more than 18 decimals remain. `scale` may be negative.
  static std::optional<Decimal> of(std::int64_t mantissa, int scale);

  friend constexpr bool operator==(const Decimal&, const Decimal&) = default;
  friend std::strong_ordering operator<=>(const Decimal& a, const Decimal& b);
  constexpr bool positive() const { return mantissa > 0; }
};

enum class DecimalFault : std::uint8_t {
  none,
  syntax,  // not -?digits[.digits][(e|E)[+-]digits]
  range,   // does not fit: mantissa beyond int64 or more than 18 decimals, after trailing zeros are stripped
};
struct ParsedDecimal {
  Decimal value;
  DecimalFault fault;
};
// "61837.64000000", "-1", "1e-7". No blanks, no "+", no "NaN", at most 128 characters.
ParsedDecimal parse_decimal(std::string_view text);
std::string to_text(Decimal value);

// A sum in units of 10^-18: what decimal(38,18) holds on topics and in stores. |units| < 10^38.
struct Amount {
  Int128 units = 0;
  friend constexpr bool operator==(const Amount&, const Amount&) = default;
  friend constexpr auto operator<=>(const Amount&, const Amount&) = default;
};
Amount to_amount(Decimal value);                  // always fits: |int64| * 10^18 < 10^38
std::optional<Decimal> to_decimal(Amount value);  // nullopt when the mantissa, without trailing zeros, is beyond int64
std::string to_text(Amount value);                // shortest: "1482", "0.00141342"
std::optional<Amount> parse_amount(std::string_view text);
inline constexpr Int128 kAmountLimit =
    static_cast<Int128>(10'000'000'000'000'000'000ULL) * static_cast<Int128>(10'000'000'000'000'000'000ULL);  // 10^38

// The exact sum of price * quantity. Products have up to 36 decimals; the sum is high units of 10^-18 and low of
// 10^-36.
class Turnover {
 public:
  // False, and nothing changed, when the sum would leave decimal(38,18). Both not negative.
  bool add(Decimal price, Decimal quantity);
  bool add(const Turnover& other);
  Amount rounded() const;  // half-even, once
  // rounded(sum / volume) to 18 decimals, half-even; nullopt if volume <= 0 or the quotient does not fit.
  std::optional<Amount> per(Amount volume) const;

  Int128 high() const { return high_; }
  std::uint64_t low() const { return low_; }
  static Turnover from_parts(Int128 high, std::uint64_t low);
  friend bool operator==(const Turnover&, const Turnover&) = default;

 private:
  Int128 high_ = 0;        // units of 10^-18, >= 0
  std::uint64_t low_ = 0;  // units of 10^-36, < 10^18
};

}  // namespace truetape
