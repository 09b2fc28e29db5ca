// What the parts of explain share. Internal to batch.
#pragma once

#include <string>
#include <string_view>

#include "batch/explain.h"

namespace truetape::explaining {

// Fills in what changed, the causes and the reasons of all revisions.
void find_causes(Explanation& of);
// Fills in the sentences `says`, `rule` and `looked.says`.
void conclude(Explanation& of);

std::string counted(std::uint64_t count, std::string_view one, std::string_view many);  // "1 trade", "12 trades"
std::string ids_text(const Gap& gap);                        // "ids 101 to 105", "all ids from 101 on"
std::string trade_text(const Trade& trade);                  // "id 101 at 2024-08-08T23:59:00.1Z"
std::string source_text(const Explanation::Source& source);  // "the stream (session …)", "the file …"

}  // namespace truetape::explaining
