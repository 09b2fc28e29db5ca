#include "app/values.h"

#include <array>
#include <charconv>

namespace truetape::app {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

struct Size {
  std::string_view name;
  std::uint64_t bytes;
};
// Largest first: the text takes the first that divides the value.
constexpr std::array<Size, 9> kSizes{{{"TB", 1'000'000'000'000},
                                      {"TiB", 1ULL << 40},
                                      {"GB", 1'000'000'000},
                                      {"GiB", 1ULL << 30},
                                      {"MB", 1'000'000},
                                      {"MiB", 1ULL << 20},
                                      {"KB", 1'000},
                                      {"KiB", 1ULL << 10},
                                      {"", 1}}};

}  // namespace

std::string duration_text(Nanoseconds duration) {
  if (duration == Nanoseconds{0}) return "0s";
  for (const DurationUnit& unit : kDurationUnits) {
    const std::int64_t count = duration.count() / unit.ns;
    if (duration.count() % unit.ns == 0 && (unit.ns <= kSecond || count >= 2))
      return std::to_string(count) + std::string{unit.name};
  }
  return std::to_string(duration.count()) + "ns";
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{}) return std::nullopt;
  const std::string_view name = text.substr(static_cast<std::size_t>(end - text.data()));
  for (const Size& size : kSizes) {
    std::uint64_t bytes = 0;
    if (name == size.name && !__builtin_mul_overflow(count, size.bytes, &bytes)) return bytes;
  }
  return std::nullopt;
}

std::string size_text(std::uint64_t bytes) {
  for (const Size& size : kSizes)
    if (bytes != 0 && bytes % size.bytes == 0) return std::to_string(bytes / size.bytes) + std::string{size.name};
  return "0";
}

std::string shell_word(std::string_view text) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=+,@%";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string_view::npos) return std::string{text};
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string{"'\\''"} : std::string{c};
  return out + "'";
}

}  // namespace truetape::app
