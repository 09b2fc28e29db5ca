#include "core/decimal.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "core/digits.h"

namespace truetape {
namespace {

constexpr auto kPower = [] {
  std::array<std::int64_t, 19> powers{};
  std::int64_t p = 1;
  for (auto& entry : powers) {
    entry = p;
    if (p < 1'000'000'000'000'000'000) p *= 10;
  }
  return powers;
}();
constexpr std::int64_t kUnit = 1'000'000'000'000'000'000;  // 10^18

std::string digits_of(UInt128 value) {
  char out[40];
  char* p = out + sizeof out;
  do {
    *--p = static_cast<char>('0' + static_cast<int>(value % 10));
    value /= 10;
  } while (value != 0);
  return {p, static_cast<std::size_t>(out + sizeof out - p)};
}

std::string scaled_text(UInt128 magnitude, int scale, bool negative) {
  std::string digits = digits_of(magnitude);
  if (scale > 0) {
    if (digits.size() <= static_cast<std::size_t>(scale))
      digits.insert(0, static_cast<std::size_t>(scale) + 1 - digits.size(), '0');
    digits.insert(digits.size() - static_cast<std::size_t>(scale), 1, '.');
    while (digits.back() == '0') digits.pop_back();
    if (digits.back() == '.') digits.pop_back();
  }
  return negative ? '-' + digits : digits;
}

// quotient and remainder of (high * 2^128 + low) / divisor with high < divisor, bit by bit: emission only.
struct Division {
  UInt128 quotient, remainder;
};
Division divide_wide(UInt128 high, UInt128 low, UInt128 divisor) {
  UInt128 quotient = 0;
  for (int bit = 0; bit < 128; ++bit) {
    const bool carry = (high >> 127) != 0;
    high = high << 1 | low >> 127;
    low <<= 1;
    quotient <<= 1;
    if (carry || high >= divisor) {
      high -= divisor;
      quotient |= 1;
    }
  }
  return {quotient, high};
}

// a * b as 256 bits, b < 2^64.
void multiply_wide(UInt128 a, std::uint64_t b, UInt128& high, UInt128& low) {
  const UInt128 bottom = static_cast<UInt128>(static_cast<std::uint64_t>(a)) * b;
  const UInt128 top = (a >> 64) * b + (bottom >> 64);
  low = top << 64 | static_cast<std::uint64_t>(bottom);
  high = top >> 64;
}

// Reads on while there are digits.
[[gnu::always_inline]] inline const char* digits_into(std::int64_t& value, const char* p, const char* end) {
  for (; p != end; ++p) {
    const auto digit = static_cast<unsigned char>(*p - '0');
    if (digit > 9) break;
    value = value * 10 + digit;
  }
  return p;
}

// Eight decimals at once, as Binance's spot market always sends them. `zeros` of them at the end are cut off. False:
// some byte is no digit.
bool eight_decimals(const char* at, std::int64_t& value, int& zeros) {
  const std::uint64_t word = digits::load(at);
  if (digits::others(word) != 0) return false;
  zeros = std::countl_zero(word) / 8;  // the last digit is the highest byte
  value = word == 0 ? 0 : static_cast<std::int64_t>(digits::number(word << 8 * zeros));
  return true;
}

// Digits, perhaps a point and more digits, at most 18 in all: what venues send. nullopt: the general way must see it.
std::optional<Decimal> parse_plain(const char* p, const char* end) {
  if (end - p > 19 || p == end) return std::nullopt;
  std::int64_t mantissa = 0;
  if (end - p >= 10 && end[-9] == '.') {
    if (digits_into(mantissa, p, end - 9) != end - 9) return std::nullopt;
    std::int64_t decimals;
    int zeros;
    if (!eight_decimals(end - 8, decimals, zeros)) return std::nullopt;
    const int scale = 8 - zeros;
    return Decimal{mantissa * kPower[static_cast<std::size_t>(scale)] + decimals, static_cast<std::int8_t>(scale)};
  }
  const char* const point = digits_into(mantissa, p, end - p > 18 ? p + 18 : end);  // 18 digits fit
  if (point == p) return std::nullopt;
  if (point == end) return Decimal{mantissa, 0};
  if (*point != '.' || point + 1 == end) return std::nullopt;
  while (end[-1] == '0') --end;  // zeros at the end of the decimals say nothing
  if (digits_into(mantissa, point + 1, end) != end) return std::nullopt;
  return Decimal{mantissa, static_cast<std::int8_t>(end - point - 1)};
}

}  // namespace

std::optional<Decimal> Decimal::of(std::int64_t mantissa, int scale) {
  if (mantissa == 0) return Decimal{};
  while (scale > 0 && mantissa % 10 == 0) {
    mantissa /= 10;
    --scale;
  }
  for (; scale < 0; ++scale)
    if (__builtin_mul_overflow(mantissa, 10, &mantissa)) return std::nullopt;
  if (scale > kMaxScale) return std::nullopt;
  return Decimal{mantissa, static_cast<std::int8_t>(scale)};
}

std::strong_ordering operator<=>(const Decimal& a, const Decimal& b) {
  if (a.scale == b.scale) return a.mantissa <=> b.mantissa;
  return static_cast<Int128>(a.mantissa) * kPower[static_cast<std::size_t>(b.scale)] <=>
         static_cast<Int128>(b.mantissa) * kPower[static_cast<std::size_t>(a.scale)];
}

ParsedDecimal parse_decimal(std::string_view text) {
  constexpr ParsedDecimal kSyntax{{}, DecimalFault::syntax}, kRange{{}, DecimalFault::range};
  const char* p = text.data();
  const char* const end = p + text.size();
  if (text.size() > 128) return kSyntax;
  const bool negative = p != end && *p == '-';
  if (negative) ++p;
  if (const auto plain = parse_plain(p, end))
    return {{negative ? -plain->mantissa : plain->mantissa, plain->scale}, DecimalFault::none};
  // Digits go into the mantissa with zeros kept back until a digit other than zero follows them, so trailing zeros
  // never count and need no stripping afterwards.
  std::uint64_t mantissa = 0;
  int zeros = 0;  // seen since the last digit other than zero
  int scale = 0;  // decimals of the mantissa without `zeros`
  bool too_large = false, any = false, point = false;
  const auto append = [&](int digit) {
    for (; zeros > 0; --zeros) too_large |= __builtin_mul_overflow(mantissa, std::uint64_t{10}, &mantissa);
    too_large |= __builtin_mul_overflow(mantissa, std::uint64_t{10}, &mantissa);
    too_large |= __builtin_add_overflow(mantissa, static_cast<std::uint64_t>(digit), &mantissa);
  };
  int fraction_zeros = 0;  // of `zeros`, those after the point
  int fraction = 0;        // digits after the point up to the last one other than zero
  for (; p != end; ++p) {
    if (*p >= '0' && *p <= '9') {
      any = true;
      const int digit = *p - '0';
      if (digit == 0) {
        if (mantissa != 0 || too_large) ++zeros;
        if (point) ++fraction_zeros;
      } else {
        append(digit);
        if (point) {
          fraction += fraction_zeros + 1;
          fraction_zeros = 0;
        }
      }
    } else if (*p == '.' && !point && any) {
      point = true;
      any = false;  // a digit must follow
    } else {
      break;
    }
  }
  if (!any) return kSyntax;
  scale = fraction;
  int whole_zeros = zeros - std::min(zeros, fraction_zeros);  // trailing zeros before the point: "1200" = 12 * 10^2
  scale -= whole_zeros;
  if (p != end) {
    if (*p != 'e' && *p != 'E') return kSyntax;
    ++p;
    const bool down = p != end && *p == '-';
    if (p != end && (*p == '-' || *p == '+')) ++p;
    if (p == end) return kSyntax;
    int exponent = 0;
    for (; p != end; ++p) {
      if (*p < '0' || *p > '9') return kSyntax;
      exponent = std::min(exponent * 10 + (*p - '0'), 100'000);
    }
    scale += down ? exponent : -exponent;
  }
  if (too_large) return kRange;
  if (mantissa == 0) return {{}, DecimalFault::none};
  if (mantissa > static_cast<std::uint64_t>(INT64_MAX) || scale > Decimal::kMaxScale || scale < -18) return kRange;
  std::int64_t value = static_cast<std::int64_t>(mantissa);
  if (scale < 0) {
    if (__builtin_mul_overflow(value, kPower[static_cast<std::size_t>(-scale)], &value)) return kRange;
    scale = 0;
  }
  return {{negative ? -value : value, static_cast<std::int8_t>(scale)}, DecimalFault::none};
}

std::string to_text(Decimal value) {
  const bool negative = value.mantissa < 0;
  const auto magnitude = negative ? UInt128{0} - static_cast<UInt128>(static_cast<Int128>(value.mantissa))
                                  : static_cast<UInt128>(value.mantissa);
  return scaled_text(magnitude, value.scale, negative);
}

Amount to_amount(Decimal value) {
  return {static_cast<Int128>(value.mantissa) * kPower[static_cast<std::size_t>(Decimal::kMaxScale - value.scale)]};
}

std::optional<Decimal> to_decimal(Amount value) {
  Int128 units = value.units;
  if (units == 0) return Decimal{};
  int scale = Decimal::kMaxScale;
  // Venues give at most 8 decimals, so the first cut nearly always brings the rest into 64 bits, where a division by a
  // constant is a multiplication.
  constexpr std::int64_t kCut = 10'000'000'000;
  if (const Int128 cut = units / kCut; cut * kCut == units) {
    units = cut;
    scale -= 10;
  }
  while (scale > 0 && (units > INT64_MAX || units < INT64_MIN)) {
    if (units % 10 != 0) return std::nullopt;
    units /= 10;
    --scale;
  }
  if (units > INT64_MAX || units < INT64_MIN) return std::nullopt;
  auto mantissa = static_cast<std::int64_t>(units);
  if (scale >= 4 && mantissa % 10'000 == 0) {
    mantissa /= 10'000;
    scale -= 4;
  }
  while (scale > 0 && mantissa % 10 == 0) {
    mantissa /= 10;
    --scale;
  }
  return Decimal{mantissa, static_cast<std::int8_t>(scale)};
}

std::string to_text(Amount value) {
  const bool negative = value.units < 0;
  const auto magnitude = negative ? UInt128{0} - static_cast<UInt128>(value.units) : static_cast<UInt128>(value.units);
  return scaled_text(magnitude, Decimal::kMaxScale, negative);
}

std::optional<Amount> parse_amount(std::string_view text) {
  const bool negative = !text.empty() && text.front() == '-';
  if (negative) text.remove_prefix(1);
  Int128 units = 0;
  int decimals = -1;
  bool any = false;
  for (const char c : text) {
    if (c == '.' && decimals < 0 && any) {
      decimals = 0;
      continue;
    }
    if (c < '0' || c > '9') return std::nullopt;
    any = true;
    if (decimals >= 0 && ++decimals > Decimal::kMaxScale) {
      if (c != '0') return std::nullopt;
      --decimals;
      continue;
    }
    units = units * 10 + (c - '0');
    if (units >= kAmountLimit) return std::nullopt;
  }
  if (!any || decimals == 0) return std::nullopt;  // a digit must follow the point
  for (int i = std::max(decimals, 0); i < Decimal::kMaxScale; ++i) {
    units *= 10;
    if (units >= kAmountLimit) return std::nullopt;
  }
  return Amount{negative ? -units : units};
}

bool Turnover::add(Decimal price, Decimal quantity) {
  const Int128 product = static_cast<Int128>(price.mantissa) * quantity.mantissa;
  const int scale = price.scale + quantity.scale;
  Turnover term;
  if (scale <= 18) {
    const std::int64_t up = kPower[static_cast<std::size_t>(18 - scale)];
    if (__builtin_mul_overflow(product, static_cast<Int128>(up), &term.high_)) return false;
  } else {
    const std::int64_t down = kPower[static_cast<std::size_t>(scale - 18)];
    term.high_ = product / down;
    term.low_ = static_cast<std::uint64_t>(product % down) *
                static_cast<std::uint64_t>(kPower[static_cast<std::size_t>(36 - scale)]);
  }
  return add(term);
}

bool Turnover::add(const Turnover& other) {
  std::uint64_t low = low_ + other.low_;  // < 2 * 10^18 < 2^64
  Int128 high = high_;
  if (__builtin_add_overflow(high, other.high_, &high)) return false;
  if (low >= static_cast<std::uint64_t>(kUnit)) {
    low -= static_cast<std::uint64_t>(kUnit);
    high += 1;
  }
  if (high >= kAmountLimit - 1) return false;  // - 1: rounding up must still fit
  high_ = high;
  low_ = low;
  return true;
}

Amount Turnover::rounded() const {
  constexpr std::uint64_t kHalf = static_cast<std::uint64_t>(kUnit) / 2;
  const bool up = low_ > kHalf || (low_ == kHalf && high_ % 2 != 0);
  return {high_ + (up ? 1 : 0)};
}

std::optional<Amount> Turnover::per(Amount volume) const {
  if (volume.units <= 0) return std::nullopt;
  // vwap * 10^18 = (high * 10^18 + low) / volume, all integers.
  const auto divisor = static_cast<UInt128>(volume.units);
  UInt128 top, bottom;
  multiply_wide(static_cast<UInt128>(high_), static_cast<std::uint64_t>(kUnit), top, bottom);
  bottom += low_;
  if (bottom < low_) ++top;
  Division result{};
  if (top == 0) {
    result = {bottom / divisor, bottom % divisor};
  } else {
    if (top >= divisor) return std::nullopt;
    result = divide_wide(top, bottom, divisor);
  }
  const UInt128 rest = divisor - result.remainder;
  if (result.remainder > rest || (result.remainder == rest && result.quotient % 2 != 0)) ++result.quotient;
  if (result.quotient >= static_cast<UInt128>(kAmountLimit)) return std::nullopt;
  return Amount{static_cast<Int128>(result.quotient)};
}

Turnover Turnover::from_parts(Int128 high, std::uint64_t low) {
  Turnover out;
  out.high_ = high;
  out.low_ = low;
  return out;
}

}  // namespace truetape
