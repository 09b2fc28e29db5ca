// Avro's binary encoding, as far as schemas/*.avsc use it (https://avro.apache.org/docs/1.12.0/specification/). Only
// the codec's own sources include this.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "core/decimal.h"
#include "core/result.h"
#include "core/text.h"
#include "core/time.h"

namespace truetape::avro {

inline constexpr std::size_t kMaxVarint = 10;   // bytes of a long
inline constexpr std::size_t kMaxDecimal = 17;  // a length byte and at most 16 bytes
// A decimal is stored as 16 bytes at once, of which only the leading ones count.
inline constexpr std::size_t kSlack = 16;

// Writes to memory that is large enough: who makes it gives a bound first.
class Writer {
 public:
  explicit Writer(char* at) : at_{at} {}
  char* at() const { return at_; }

  void put_long(std::int64_t value) {
    auto bits = (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
    while (bits >= 0x80) {
      *at_++ = static_cast<char>(bits | 0x80);
      bits >>= 7;
    }
    *at_++ = static_cast<char>(bits);
  }
  void put_unsigned(std::uint64_t value) { put_long(static_cast<std::int64_t>(value)); }  // modulo 2^64
  void put_bool(bool value) { *at_++ = value ? 1 : 0; }
  template <class Enum>
  void put_enum(Enum value) {
    put_long(static_cast<std::int64_t>(value));
  }
  void put_text(std::string_view text) {
    put_long(static_cast<std::int64_t>(text.size()));
    copy_short(at_, text.data(), text.size());
    at_ += text.size();
  }
  void put_time(Timestamp t) { put_long(to_ns(t)); }
  void put_decimal(Int128 units) {  // two's complement, big-endian, as few bytes as hold it
    const auto bits = static_cast<UInt128>(units);
    const UInt128 magnitude = units < 0 ? ~bits : bits;
    const auto high = static_cast<std::uint64_t>(magnitude >> 64);
    const auto low = static_cast<std::uint64_t>(magnitude);
    const int leading = high != 0 ? __builtin_clzll(high) : low != 0 ? 64 + __builtin_clzll(low) : 128;
    const int size = (128 - leading) / 8 + 1;  // one bit more than the magnitude, for the sign
    *at_++ = static_cast<char>(size * 2);
    const UInt128 top = bits << (8 * (16 - size));
    const std::uint64_t first = __builtin_bswap64(static_cast<std::uint64_t>(top >> 64));
    const std::uint64_t second = __builtin_bswap64(static_cast<std::uint64_t>(top));
    std::memcpy(at_, &first, 8);
    std::memcpy(at_ + 8, &second, 8);
    at_ += size;
  }
  void put_decimal(Decimal value) { put_decimal(to_amount(value).units); }
  void put_decimal(Amount value) { put_decimal(value.units); }

  void put_optional(const std::optional<Timestamp>& value) {
    if (put_branch(value.has_value())) put_time(*value);
  }
  void put_optional(const std::optional<std::uint64_t>& value) {
    if (put_branch(value.has_value())) put_unsigned(*value);
  }
  template <class T>
  void put_optional(const std::optional<T>& value) {  // Decimal, Amount
    if (put_branch(value.has_value())) put_decimal(*value);
  }

 private:
  bool put_branch(bool there) {  // of ["null", T]
    *at_++ = there ? 2 : 0;
    return there;
  }
  char* at_;
};

// Reads bytes that may be anything. The first fault stays and ends the reading: later calls answer zeros. Names the
// field that was being read: call field() before each.
class Reader {
 public:
  explicit Reader(std::string_view bytes)
      : begin_{bytes.data()}, at_{bytes.data()}, end_{bytes.data() + bytes.size()} {}

  void field(const char* name) {
    if (fault_ == nullptr) field_ = name;
  }
  bool ok() const { return fault_ == nullptr; }
  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
  void fail(const char* fault) {
    if (fault_ != nullptr) return;
    fault_ = fault;
    fault_at_ = static_cast<std::size_t>(at_ - begin_);
    at_ = end_;
  }

  std::int64_t get_long() {
    std::uint64_t bits = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      if (at_ == end_) {
        fail("the bytes end inside it");
        return 0;
      }
      const auto byte = static_cast<std::uint8_t>(*at_++);
      if (shift == 63 && byte > 1) break;
      bits |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return static_cast<std::int64_t>(bits >> 1) ^ -static_cast<std::int64_t>(bits & 1);
    }
    fail("a number of more than 64 bits");
    return 0;
  }
  std::uint64_t get_unsigned() { return static_cast<std::uint64_t>(get_long()); }
  std::uint32_t get_u32() {
    const std::int64_t value = get_long();
    if (value < 0 || value > std::numeric_limits<std::uint32_t>::max()) {
      fail("not within 0 and 2^32 - 1");
      return 0;
    }
    return static_cast<std::uint32_t>(value);
  }
  bool get_bool() {
    if (at_ == end_) {
      fail("the bytes end before it");
      return false;
    }
    const char byte = *at_++;
    if (byte != 0 && byte != 1) fail("a boolean that is neither 0 nor 1");
    return byte == 1;
  }
  template <class Enum>
  Enum get_enum(Enum last) {
    const std::int64_t value = get_long();
    if (value < 0 || value > static_cast<std::int64_t>(last)) {
      fail("a symbol that the schema does not have");
      return Enum{};
    }
    return static_cast<Enum>(value);
  }
  std::string_view get_text() {
    const std::int64_t size = get_long();
    if (size < 0 || static_cast<std::uint64_t>(size) > left()) {
      fail("a length beyond the end of the bytes");
      return {};
    }
    const std::string_view text{at_, static_cast<std::size_t>(size)};
    at_ += size;
    return text;
  }
  template <std::size_t N>
  Text<N> get_short_text() {
    const auto text = Text<N>::from(get_text());
    if (!text) {
      fail("a text longer than the schema's documentation allows");
      return {};
    }
    return *text;
  }
  Timestamp get_time() { return timestamp_ns(get_long()); }
  Int128 get_units() {
    const std::string_view bytes = get_text();
    if (bytes.empty() || bytes.size() > 16) {
      fail("a decimal of no or more than 16 bytes");
      return 0;
    }
    UInt128 bits = static_cast<signed char>(bytes[0]) < 0 ? ~UInt128{0} : 0;
    for (const char byte : bytes) bits = bits << 8 | static_cast<unsigned char>(byte);
    const auto units = static_cast<Int128>(bits);
    if (units >= kAmountLimit || units <= -kAmountLimit) {
      fail("a decimal of more than 38 digits");
      return 0;
    }
    return units;
  }
  Amount get_amount() { return {get_units()}; }
  Decimal get_decimal() {
    const auto value = to_decimal(Amount{get_units()});
    if (!value) {
      fail("a decimal of more digits than a price or quantity may have (63 bits)");
      return {};
    }
    return *value;
  }
  bool get_branch() {  // of ["null", T]: is there a T?
    const std::int64_t branch = get_long();
    if (branch != 0 && branch != 1) fail("neither of the two branches of its union");
    return branch == 1;
  }
  void get(std::optional<Timestamp>& out) {
    if (get_branch()) out = get_time();
  }
  void get(std::optional<std::uint64_t>& out) {
    if (get_branch()) out = get_unsigned();
  }
  void get(std::optional<Decimal>& out) {
    if (get_branch()) out = get_decimal();
  }
  void get(std::optional<Amount>& out) {
    if (get_branch()) out = get_amount();
  }
  // Calls `each` for every item of an array; blocks may be counted with or without their size in bytes.
  template <class Each>
  void get_array(Each each) {
    while (ok()) {
      std::int64_t count = get_long();
      if (count == 0) return;
      if (count < 0) {
        get_long();  // size of the block in bytes: for those that skip it
        if (count == std::numeric_limits<std::int64_t>::min()) return fail("a block of an absurd number of items");
        count = -count;
      }
      // Every item takes at least a byte, so a lying count ends the loop by reaching the end.
      for (; count > 0 && ok(); --count) each();
    }
  }
  // After the last field: nothing may be left.
  Status finish(const char* record) {
    if (fault_ == nullptr && at_ != end_) {
      field_ = "end";
      fail("bytes are left over");
    }
    if (fault_ == nullptr) return {};
    return failure(Fault::malformed, Retry::never,
                   std::string{"Avro "} + record + ", field `" + field_ + "`, byte " + std::to_string(fault_at_) +
                       ": " + fault_ + "; the bytes are damaged or were written by another schema.");
  }

 private:
  const char *begin_, *at_, *end_;
  const char* fault_ = nullptr;
  const char* field_ = "start";
  std::size_t fault_at_ = 0;
};

}  // namespace truetape::avro
