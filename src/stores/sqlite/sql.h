// Texts of statements, for those of this folder that write tables.
#pragma once

#include <string>
#include <string_view>

namespace truetape::sqlite {

std::string parameters(int count);  // "?,?,?"
// INSERT … ON CONFLICT(key) DO UPDATE of every other column, if `guard` holds. `columns` and `key`: names with ", "
// between them.
std::string upsert(std::string_view table, std::string_view columns, int count, std::string_view key,
                   std::string_view guard);
std::string select(std::string_view columns, std::string_view table, std::string_view where);

}  // namespace truetape::sqlite
