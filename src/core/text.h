// A short text kept inside the object: no heap, trivially copyable, ordered by bytes.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace truetape {

// memcpy for what is mostly 8 to 64 bytes long, as ids, instruments and sessions are: two or four blocks that overlap
// instead of a call. `from` may be null if `size` is 0.
inline void copy_short(char* to, const char* from, std::size_t size) {
  const auto ends = [&]<std::size_t Block>(std::integral_constant<std::size_t, Block>) {
    char first[Block], last[Block];
    std::memcpy(first, from, Block);
    std::memcpy(last, from + size - Block, Block);
    std::memcpy(to, first, Block);
    std::memcpy(to + size - Block, last, Block);
  };
  if (size >= 8 && size <= 16)
    ends(std::integral_constant<std::size_t, 8>{});
  else if (size > 16 && size <= 32)
    ends(std::integral_constant<std::size_t, 16>{});
  else if (size > 32 && size <= 64)
    ends(std::integral_constant<std::size_t, 32>{});
  else if (size != 0)
    std::memcpy(to, from, size);
}

// At most N bytes (N <= 255). UTF-8 is not checked here: who decodes the bytes checks them.
template <std::size_t N>
class Text {
  static_assert(N <= 255);

 public:
  static constexpr std::size_t kCapacity = N;

  constexpr Text() = default;

  // nullopt if `text` is longer than N bytes.
  static constexpr std::optional<Text> from(std::string_view text) {
    if (text.size() > N) return std::nullopt;
    return cut(text);
  }

  // The first N bytes of `text`.
  static constexpr Text cut(std::string_view text) {
    Text out;
    out.assign(text);
    return out;
  }
  // The same in place: a temporary that has just been written in pieces is slow to copy as a whole.
  constexpr void assign(std::string_view text) {
    const std::size_t size = text.size() < N ? text.size() : N;
    size_ = static_cast<std::uint8_t>(size);
    if (std::is_constant_evaluated()) {
      for (std::size_t i = 0; i < size; ++i) bytes_[i] = text[i];
    } else {
      copy_short(bytes_.data(), text.data(), size);
    }
  }

  constexpr std::string_view view() const { return {bytes_.data(), size_}; }
  constexpr bool empty() const { return size_ == 0; }
  std::string str() const { return std::string{view()}; }

  friend constexpr bool operator==(const Text& a, const Text& b) { return a.view() == b.view(); }
  friend constexpr auto operator<=>(const Text& a, const Text& b) { return a.view() <=> b.view(); }

 private:
  std::array<char, N> bytes_{};
  std::uint8_t size_ = 0;
};

}  // namespace truetape

template <std::size_t N>
struct std::hash<truetape::Text<N>> {
  std::size_t operator()(const truetape::Text<N>& t) const { return std::hash<std::string_view>{}(t.view()); }
};
