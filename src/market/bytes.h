// State values as bytes: variable-length integers and raw fields, written and read in the same order. Damage is found
// by running off the end or by bytes left over: Reader throws std::runtime_error, which ends the restore.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "core/decimal.h"
#include "core/text.h"
#include "core/time.h"

namespace truetape::market {

class Writer {
 public:
  explicit Writer(std::string& out) : out_{out} {}
  void number(std::uint64_t v) {
    for (; v >= 0x80; v >>= 7) out_ += static_cast<char>(v | 0x80);
    out_ += static_cast<char>(v);
  }
  void integer(std::int64_t v) { number(static_cast<std::uint64_t>(v) << 1 ^ static_cast<std::uint64_t>(v >> 63)); }
  void flag(bool v) { out_ += v ? '\1' : '\0'; }
  void text(std::string_view v) {
    number(v.size());
    out_ += v;
  }
  void time(Timestamp t) { integer(to_ns(t)); }
  void decimal(Decimal d) {
    integer(d.mantissa);
    number(static_cast<std::uint64_t>(d.scale));
  }
  void wide(Int128 v) {
    integer(static_cast<std::int64_t>(v >> 64));
    number(static_cast<std::uint64_t>(v));
  }
  template <class T, class Put>
  void optional(const std::optional<T>& v, Put put) {
    flag(v.has_value());
    if (v) put(*v);
  }

 private:
  std::string& out_;
};

class Reader {
 public:
  explicit Reader(std::string_view in) : in_{in} {}
  std::uint64_t number() {
    std::uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take());
      v |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return v;
    }
    throw std::runtime_error("state: a number is too long");
  }
  std::int64_t integer() {
    const std::uint64_t v = number();
    return static_cast<std::int64_t>(v >> 1 ^ (~(v & 1) + 1));
  }
  bool flag() { return take() != 0; }
  std::string_view text() {
    const std::uint64_t size = number();
    if (size > in_.size()) throw std::runtime_error("state: a text runs off the end");
    const std::string_view out = in_.substr(0, size);
    in_.remove_prefix(size);
    return out;
  }
  Timestamp time() { return timestamp_ns(integer()); }
  Decimal decimal() {
    const std::int64_t mantissa = integer();
    return {mantissa, static_cast<std::int8_t>(number())};
  }
  Int128 wide() {
    const auto high = static_cast<Int128>(integer());
    return high << 64 | static_cast<Int128>(number());
  }
  template <class Get>
  auto optional(Get get) -> std::optional<decltype(get())> {
    if (!flag()) return std::nullopt;
    return get();
  }
  template <std::size_t N>
  Text<N> fixed() {
    return Text<N>::cut(text());
  }
  bool at_end() const { return in_.empty(); }
  void end() const {
    if (!in_.empty()) throw std::runtime_error("state: bytes are left over");
  }

 private:
  char take() {
    if (in_.empty()) throw std::runtime_error("state: a value runs off the end");
    const char c = in_.front();
    in_.remove_prefix(1);
    return c;
  }
  std::string_view in_;
};

}  // namespace truetape::market
