#include "app/values.h"

#include <array>
#include <charconv>

namespace truetape::app {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

template <class T>
struct Unit {
  std::string_view name;
  T factor;
};
// Largest first: the texts take the first that divides the value.
constexpr std::array<Unit<std::int64_t>, 7> kDurations{{{"d", 86'400 * kSecond},
                                                        {"h", 3'600 * kSecond},
                                                        {"m", 60 * kSecond},
                                                        {"s", kSecond},
                                                        {"ms", 1'000'000},
                                                        {"us", 1'000},
                                                        {"ns", 1}}};
constexpr std::array<Unit<std::uint64_t>, 9> kSizes{{{"TB", 1'000'000'000'000},
                                                     {"TiB", 1ULL << 40},
                                                     {"GB", 1'000'000'000},
                                                     {"GiB", 1ULL << 30},
                                                     {"MB", 1'000'000},
                                                     {"MiB", 1ULL << 20},
                                                     {"KB", 1'000},
                                                     {"KiB", 1ULL << 10},
                                                     {"", 1}}};

template <class T, std::size_t N>
std::optional<T> parse(std::string_view text, const std::array<Unit<T>, N>& units) {
  T count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || text.front() == '-') return std::nullopt;
  const std::string_view name = text.substr(static_cast<std::size_t>(end - text.data()));
  for (const Unit<T>& unit : units) {
    T value = 0;
    if (name == unit.name && !__builtin_mul_overflow(count, unit.factor, &value)) return value;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Nanoseconds> parse_duration(std::string_view text) {
  const auto ns = parse(text, kDurations);
  return ns ? std::optional{Nanoseconds{*ns}} : std::nullopt;
}

std::string duration_text(Nanoseconds duration) {
  if (duration == Nanoseconds{0}) return "0s";
  for (const auto& unit : kDurations) {
    const std::int64_t count = duration.count() / unit.factor;
    if (duration.count() % unit.factor == 0 && (unit.factor <= kSecond || count >= 2))
      return std::to_string(count) + std::string{unit.name};
  }
  return std::to_string(duration.count()) + "ns";
}

std::optional<std::uint64_t> parse_size(std::string_view text) { return parse(text, kSizes); }

std::string size_text(std::uint64_t bytes) {
  for (const auto& unit : kSizes)
    if (bytes != 0 && bytes % unit.factor == 0) return std::to_string(bytes / unit.factor) + std::string{unit.name};
  return "0";
}

}  // namespace truetape::app
