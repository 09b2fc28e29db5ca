#include "sim/numbers.h"

#include <array>
#include <charconv>
#include <limits>

namespace truetape::sim {
namespace {

constexpr Units power_of_ten(int n) {
  Units result = 1;
  while (n-- > 0) result *= 10;
  return result;
}

}  // namespace

std::optional<Units> parse_units(std::string_view text) {
  Wide value = 0;
  int decimals = -1;  // no point yet
  bool digits = false;
  for (const char c : text) {
    if (c == '.') {
      if (decimals >= 0 || !digits) return std::nullopt;
      decimals = 0;
      continue;
    }
    if (c < '0' || c > '9') return std::nullopt;
    digits = true;
    if (decimals == kDecimals) {
      if (c != '0') return std::nullopt;
      continue;
    }
    if (decimals >= 0) ++decimals;
    value = value * 10 + (c - '0');
    if (value > std::numeric_limits<Units>::max()) return std::nullopt;
  }
  if (!digits || text.back() == '.') return std::nullopt;
  value *= power_of_ten(kDecimals - (decimals < 0 ? 0 : decimals));
  if (value > std::numeric_limits<Units>::max()) return std::nullopt;
  return static_cast<Units>(value);
}

std::optional<Units> parse_scaled(std::string_view text, int scale) {
  int exponent = 0;
  if (const std::size_t e = text.find_first_of("eE"); e != std::string_view::npos) {
    std::string_view digits_of_it = text.substr(e + 1);
    if (digits_of_it.starts_with('+')) digits_of_it.remove_prefix(1);
    const auto [end, error] = std::from_chars(digits_of_it.data(), digits_of_it.data() + digits_of_it.size(), exponent);
    if (error != std::errc{} || end != digits_of_it.data() + digits_of_it.size() || exponent < -40 || exponent > 40)
      return std::nullopt;
    text = text.substr(0, e);
  }
  Wide value = 0;
  bool digits = false, point = false;
  const int power = scale + exponent;
  int left = power;  // tens that are still to be multiplied with
  for (const char c : text) {
    if (c == '.') {
      if (point || !digits) return std::nullopt;
      point = true;
      continue;
    }
    if (c < '0' || c > '9') return std::nullopt;
    digits = true;
    if (point && left-- <= 0) continue;
    value = value * 10 + (c - '0');
    if (value > std::numeric_limits<Units>::max()) return std::nullopt;
  }
  if (!digits || text.back() == '.') return std::nullopt;
  for (; left > 0 && value != 0; --left) {
    value *= 10;
    if (value > std::numeric_limits<Units>::max()) return std::nullopt;
  }
  for (int i = power; i < 0; ++i) value /= 10;
  return static_cast<Units>(value);
}

int written_decimals(std::string_view text) {
  const std::size_t point = text.find('.');
  return point == std::string_view::npos ? 0 : static_cast<int>(text.size() - point - 1);
}

int needed_decimals(Units value) {
  int decimals = kDecimals;
  while (decimals > 0 && value % 10 == 0) {
    value /= 10;
    --decimals;
  }
  return decimals;
}

void append_units(std::string& out, Units value, int decimals) { append_wide(out, value, kDecimals, decimals); }

void append_wide(std::string& out, Wide value, int scale, int decimals) {
  std::array<char, 64> text;
  auto* const end = text.data() + text.size();
  char* p = end;
  const bool negative = value < 0;
  auto left = static_cast<unsigned __int128>(negative ? -value : value);
  for (; scale > decimals; --scale) left /= 10;
  for (int zeros = decimals; zeros > scale; --zeros) *--p = '0';
  int behind = decimals == 0 ? -1 : decimals < scale ? decimals : scale;  // digits until the point
  // Digits of 64 bits are much cheaper than those of 128.
  while (left > std::numeric_limits<std::uint64_t>::max()) {
    if (behind-- == 0) *--p = '.';
    *--p = static_cast<char>('0' + static_cast<int>(left % 10));
    left /= 10;
  }
  auto rest = static_cast<std::uint64_t>(left);
  do {
    if (behind-- == 0) *--p = '.';
    *--p = static_cast<char>('0' + static_cast<int>(rest % 10));
    rest /= 10;
  } while (rest != 0 || behind >= 0);
  if (negative) *--p = '-';
  out.append(p, end);
}

void append_trimmed(std::string& out, Wide value, int scale) {
  while (scale > 0 && value % 10 == 0) {
    value /= 10;
    --scale;
  }
  append_wide(out, value, scale, scale);
}

void append_number(std::string& out, std::int64_t value) {
  std::array<char, 24> text;
  out.append(text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr);
}
void append_number(std::string& out, std::uint64_t value) {
  std::array<char, 24> text;
  out.append(text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr);
}

void append_json(std::string& out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

}  // namespace truetape::sim
