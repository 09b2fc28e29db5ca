#include "core/instrument.h"

#include <array>
#include <cstring>

namespace truetape {
namespace {

constexpr unsigned char kVenue = 1, kSymbol = 2;  // may stand in it
constexpr auto kCharacters = [] {
  std::array<unsigned char, 256> out{};
  for (unsigned c = 0; c < 256; ++c) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-') out[c] |= kVenue;
    if (c > ' ' && c != 0x7f && c != ',') out[c] |= kSymbol;
  }
  return out;
}();

bool all_are(unsigned char what, std::string_view text) {
  for (const char c : text) what &= kCharacters[static_cast<unsigned char>(c)];
  return what != 0;
}

}  // namespace

std::uint32_t murmur2(std::string_view data) {
  constexpr std::uint32_t kSeed = 0x9747b28c, kMix = 0x5bd1e995;
  std::uint32_t hash = kSeed ^ static_cast<std::uint32_t>(data.size());
  std::size_t i = 0;
  for (; i + 4 <= data.size(); i += 4) {
    std::uint32_t word;
    std::memcpy(&word, data.data() + i, 4);  // little-endian, as the Java code reads it
    word *= kMix;
    word ^= word >> 24;
    word *= kMix;
    hash = hash * kMix ^ word;
  }
  const std::size_t rest = data.size() - i;
  if (rest >= 3) hash ^= static_cast<std::uint32_t>(static_cast<unsigned char>(data[i + 2])) << 16;
  if (rest >= 2) hash ^= static_cast<std::uint32_t>(static_cast<unsigned char>(data[i + 1])) << 8;
  if (rest >= 1) {
    hash ^= static_cast<unsigned char>(data[i]);
    hash *= kMix;
  }
  hash ^= hash >> 13;
  hash *= kMix;
  hash ^= hash >> 15;
  return hash;
}

std::optional<Instrument> Instrument::parse(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  return of(text.substr(0, colon), text.substr(colon + 1));
}

std::optional<Instrument> Instrument::of(std::string_view venue, std::string_view symbol) {
  if (venue.empty() || symbol.empty() || venue.size() + 1 + symbol.size() > kMaxBytes) return std::nullopt;
  if (!all_are(kVenue, venue) || !all_are(kSymbol, symbol)) return std::nullopt;
  char joined[kMaxBytes];
  std::memcpy(joined, venue.data(), venue.size());
  joined[venue.size()] = ':';
  std::memcpy(joined + venue.size() + 1, symbol.data(), symbol.size());
  Instrument out;
  out.text_ = Text<kMaxBytes>::cut({joined, venue.size() + 1 + symbol.size()});
  return out;
}

std::int32_t partition_of(const Instrument& instrument, std::int32_t partitions) {
  return static_cast<std::int32_t>(murmur2(instrument.text()) & 0x7fffffff) % partitions;
}

}  // namespace truetape
