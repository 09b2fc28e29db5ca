#include "log/lmdb/crc32c.h"

#include <array>
#include <cstddef>
#include <cstring>

namespace truetape {
namespace {

constexpr auto kTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c & 1) != 0 ? 0x82f63b78U ^ (c >> 1) : c >> 1;
    table[i] = c;
  }
  return table;
}();

std::uint32_t by_table(const char* at, std::size_t size, std::uint32_t c) {
  for (std::size_t i = 0; i < size; ++i) c = kTable[(c ^ static_cast<unsigned char>(at[i])) & 0xff] ^ (c >> 8);
  return c;
}

#if defined(__x86_64__)
// The processor's own instruction; the release build has no -march, so it is chosen when running.
__attribute__((target("sse4.2"))) std::uint32_t by_instruction(const char* at, std::size_t size, std::uint32_t c) {
  std::uint64_t wide = c;
  for (; size >= 8; at += 8, size -= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    wide = __builtin_ia32_crc32di(wide, word);
  }
  c = static_cast<std::uint32_t>(wide);
  for (; size > 0; ++at, --size) c = __builtin_ia32_crc32qi(c, static_cast<unsigned char>(*at));
  return c;
}
#endif

}  // namespace

std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc) {
  crc = ~crc;
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
  if (has_instruction) return ~by_instruction(bytes.data(), bytes.size(), crc);
#endif
  return ~by_table(bytes.data(), bytes.size(), crc);
}

}  // namespace truetape
