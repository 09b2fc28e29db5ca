#include "stores/sqlite/sql.h"

namespace truetape::sqlite {

std::string parameters(int count) {
  std::string out = "?";
  for (int i = 1; i < count; ++i) out += ",?";
  return out;
}

std::string upsert(std::string_view table, std::string_view columns, int count, std::string_view key,
                   std::string_view guard) {
  std::string sql = "INSERT INTO " + std::string{table} + "(" + std::string{columns} + ") VALUES(" + parameters(count) +
                    ") ON CONFLICT(" + std::string{key} + ") DO UPDATE SET ";
  bool first = true;
  const std::string keys = ", " + std::string{key} + ",";
  for (std::string_view rest = columns; !rest.empty();) {
    const std::size_t comma = rest.find(", ");
    const std::string column{rest.substr(0, comma)};
    if (keys.find(", " + column + ",") == std::string::npos) {
      sql += (first ? "" : ", ") + column + " = excluded." + column;
      first = false;
    }
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 2);
  }
  return sql + " WHERE " + std::string{guard};
}

std::string select(std::string_view columns, std::string_view table, std::string_view where) {
  return "SELECT " + std::string{columns} + " FROM " + std::string{table} + " WHERE " + std::string{where};
}

}  // namespace truetape::sqlite
