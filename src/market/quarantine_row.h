// The row of an item in quarantine. Items are known there by their place in raw; one that is judged again (kind replay)
// keeps the place of the record that it first came in.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/raw.h"
#include "core/records.h"

namespace truetape::market {

using OwnedHeaders = std::vector<std::pair<std::string, std::string>>;

OwnedHeaders owned(std::span<const Header> headers);

// A row with its place, attempts and headers. Of a replay's headers they are those of the original; `ordinal` is that
// of the place.
Quarantined row_at(const OwnedHeaders& headers, std::int32_t partition, std::int64_t offset, std::uint32_t ordinal);

// The place of which a replay or drop is; nullopt: its headers name none.
std::optional<QuarantinePlace> place_of(const RawRecord& raw);

// The row that ends the one a replay or drop is of; nullopt: its headers name no place.
std::optional<Quarantined> resolved_row(const RawRecord& raw, Resolution resolution, std::uint32_t rule_version);

}  // namespace truetape::market
