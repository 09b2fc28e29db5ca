// A file of schema ids, for work without a registry: JSON, by subject, one id or several of which the first is written
// and all are read.
//
//   {
//     "market.candles-value": 19,
//     "market.trades-value": [17, 12],
//     "foreign": [23]
//   }
//
// "foreign" lists ids that are known not to be truetape's; it may be missing.
//
// Errors name file and key: Fault::not_found, malformed, io; Retry::never.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace truetape {

inline constexpr std::string_view kForeignIds = "foreign";
using IdsBySubject = std::map<std::string, std::vector<std::uint32_t>, std::less<>>;

Result<IdsBySubject> read_ids_file(const std::filesystem::path& file);
// In place of what was there, whole or not at all.
Status write_ids_file(const std::filesystem::path& file, const IdsBySubject& ids);

}  // namespace truetape
