// Copies of a data directory, and what they become again (docs/backup.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "app/config.h"
#include "app/manifest.h"
#include "core/result.h"

namespace truetape::app {

struct BackedUp {
  Manifest manifest;
  std::uint64_t bytes = 0;
  std::filesystem::path replaced;  // of an unfinished one, which a process that was killed had left; empty: none
};

// Beside whatever writes the data directory. First the store as it is at one moment, then the log as it is at a later
// one, so the store is never ahead of its log. Nothing is left of it after an error. `rate`: bytes a second, 0 without
// a limit.
Result<BackedUp> make_backup(const Config& config, const std::filesystem::path& target, std::uint64_t rate);

// The data directory must not be there, or hold nothing. Every file is compared with its checksum before any of it
// counts. The log gets a new epoch, so that what it says from now on wins over what another continuation of it says;
// and its loader's position becomes the store's.
Result<BackedUp> restore_backup(const std::filesystem::path& source, const Config& config);

}  // namespace truetape::app
