// Spans of time and sizes as people write them in settings.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/time.h"

namespace truetape::app {

// A whole number and ns, us, ms, s, m, h or d: "500ms", "7d".
std::optional<Nanoseconds> parse_duration(std::string_view text);
// In the largest unit that divides it, of the units above a second only from two on ("60s", "10m"); reads back to the
// same.
std::string duration_text(Nanoseconds duration);

// A whole number of bytes, with KB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB (powers of 1024): "20GB".
std::optional<std::uint64_t> parse_size(std::string_view text);
std::string size_text(std::uint64_t bytes);  // reads back to the same

}  // namespace truetape::app
