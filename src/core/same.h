// Comparing with a text whose length the compiler knows. GCC calls memcmp for most lengths, which costs more than the
// comparison itself.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace truetape {

// Are the first `N` bytes equal? In words; the last one overlaps the one before where N is no multiple of its size.
template <std::size_t N>
[[gnu::always_inline]] inline bool same_bytes(const char* a, const char* b) {
  const auto differ = [&]<class Word>(Word, std::size_t at) {
    Word left, right;
    std::memcpy(&left, a + at, sizeof(Word));
    std::memcpy(&right, b + at, sizeof(Word));
    return std::uint64_t{left} ^ std::uint64_t{right};
  };
  std::uint64_t out = 0;
  if constexpr (N >= 8) {
    for (std::size_t at = 0; at + 8 < N; at += 8) out |= differ(std::uint64_t{}, at);
    out |= differ(std::uint64_t{}, N - 8);
  } else if constexpr (N >= 4) {
    out = differ(std::uint32_t{}, 0) | differ(std::uint32_t{}, N - 4);
  } else {
    for (std::size_t at = 0; at < N; ++at) out |= differ(std::uint8_t{}, at);
  }
  return out == 0;
}

// Does `text` begin with the literal?
template <std::size_t N>
[[gnu::always_inline]] inline bool begins_with(std::string_view text, const char (&literal)[N]) {
  return text.size() >= N - 1 && same_bytes<N - 1>(text.data(), literal);
}
template <std::size_t N>
[[gnu::always_inline]] inline bool is(std::string_view text, const char (&literal)[N]) {
  return text.size() == N - 1 && same_bytes<N - 1>(text.data(), literal);
}

}  // namespace truetape
