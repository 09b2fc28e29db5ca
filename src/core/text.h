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
    out.size_ = static_cast<std::uint8_t>(text.size() < N ? text.size() : N);
    if (std::is_constant_evaluated()) {
      for (std::size_t i = 0; i < out.size_; ++i) out.bytes_[i] = text[i];
    } else if (out.size_ != 0) {  // an empty view may have no address
      std::memcpy(out.bytes_.data(), text.data(), out.size_);
    }
    return out;
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
