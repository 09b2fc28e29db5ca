#include "core/wildcard.h"

#include <algorithm>
#include <charconv>

namespace truetape {

std::optional<Wildcard> wildcard_of(const Instrument& instrument) {
  constexpr std::uint32_t kMost = 10'000;
  std::string_view rest = instrument.symbol();
  if (!rest.starts_with('*')) return std::nullopt;
  rest.remove_prefix(1);
  Wildcard out;
  if (rest.starts_with('/')) {
    const std::size_t end = std::min(rest.find('#'), rest.size());
    out.quote = rest.substr(1, end - 1);
    for (const char c : out.quote)
      if (c == '*' || c == '/' || (c >= 'a' && c <= 'z')) return std::nullopt;
    if (out.quote.empty()) return std::nullopt;
    rest.remove_prefix(end);
  }
  if (rest.empty()) return out;
  if (!rest.starts_with('#') || out.quote.empty()) return std::nullopt;
  rest.remove_prefix(1);
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), out.top);
  if (error != std::errc{} || end != rest.data() + rest.size() || out.top == 0 || out.top > kMost) return std::nullopt;
  return out;
}

}  // namespace truetape
