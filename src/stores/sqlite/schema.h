// The tables and views of a store file, and how an older file becomes a newer one (docs/schema-sqlite.md).
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "stores/sqlite/database.h"

namespace truetape::sqlite {

// Trades of one block share instrument, tape, era and trade_order >> kBlockShift. trade_blocks knows the times of each.
inline constexpr int kBlockShift = 12;

// What marks a file as ours: PRAGMA application_id ("trtp").
inline constexpr std::int64_t kApplicationId = 0x74727470;

// The step from version - 1 to version, run inside one transaction. Never changed once released: a change is a new one.
struct Migration {
  int version;
  std::string sql;
};
std::span<const Migration> migrations();  // ascending from 1 without a hole

// Brings the file to the last version of `steps` in one transaction: an empty file is created, an older one migrated, a
// newer one or another program's file refused (Fault::mismatch). Changes nothing if it is of that version already.
Status apply_schema(Database& db, std::span<const Migration> steps);
// Views hold no rows: where an older program made one with fewer words than we know, it is made anew, without another
// version of the schema. After apply_schema().
Status renew_views(Database& db);
// Before anything is written: Fault::mismatch for another program's file and for a newer version than `version`.
Status check_ours(Database& db, int version);
// For readers. Fault::not_found: no schema yet; Fault::mismatch: newer or older than
// `version`.
Status check_schema(Database& db, int version);

// SQL expressions of the views, tested against core.
std::string decimal_sql(std::string_view mantissa, std::string_view scale);
std::string time_sql(std::string_view ns);
std::string unsigned_sql(std::string_view column);

}  // namespace truetape::sqlite
