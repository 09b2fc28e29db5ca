// Spans of time and sizes as people write them in settings, and words as they write them in a shell.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/time.h"

namespace truetape::app {

// What parse_duration() of core reads. In the largest unit that divides it, of the units above a second only from
// two on ("60s", "10m").
std::string duration_text(Nanoseconds duration);

// A whole number of bytes, with KB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB (powers of 1024): "20GB".
std::optional<std::uint64_t> parse_size(std::string_view text);
std::string size_text(std::uint64_t bytes);  // reads back to the same

// A path or text for a command that people copy: in quotes where a shell needs them.
std::string shell_word(std::string_view text);

}  // namespace truetape::app
