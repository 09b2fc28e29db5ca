#include "stores/sqlite/database.h"

#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>

#include "core/utf8.h"

namespace truetape::sqlite {

Meaning meaning_of(int extended_code, int system_errno) {
  switch (extended_code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {Fault::unavailable, Retry::after_backoff, "another process holds the store; it will be tried again"};
    case SQLITE_FULL:
      return {Fault::no_space, Retry::after_backoff,
              "its disk is full, or the size limit of the store is reached; make room and it goes on by itself"};
    case SQLITE_IOERR:
      if (system_errno == ENOSPC)
        return {Fault::no_space, Retry::after_backoff, "its disk is full; make room and it goes on by itself"};
      if (system_errno == EDQUOT || system_errno == EFBIG)
        return {Fault::no_space, Retry::after_backoff,
                "your quota or the largest size of a file is reached; make room or raise it, and it goes on by itself"};
      // A full disk may show only when what was written is synced or the file grows, and then as EIO.
      if (extended_code == SQLITE_IOERR_WRITE || extended_code == SQLITE_IOERR_FSYNC ||
          extended_code == SQLITE_IOERR_DIR_FSYNC || extended_code == SQLITE_IOERR_TRUNCATE ||
          extended_code == SQLITE_IOERR_SHMSIZE)
        return {Fault::io, Retry::rebuild,
                "its disk is full or failing; free space on it, and if there is space look at the system's log"};
      return {Fault::io, Retry::rebuild, "its disk fails; look at the system's log"};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {Fault::corrupt, Retry::never,
              "the file is damaged or no truetape store; move it away, then truetape import --data DIR --finish loads "
              "all anew from the log"};
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return {Fault::refused, Retry::never, "check that the directory exists and that you may read and write it"};
    default:
      return {Fault::io, Retry::rebuild, "this should not happen; please report it"};
  }
}

Error error_of(sqlite3* db, int code, std::string_view doing) {
  const char* file = db != nullptr ? sqlite3_db_filename(db, "main") : nullptr;
  const int extended = db != nullptr ? sqlite3_extended_errcode(db) : code;
  const Meaning meaning = meaning_of(extended, db != nullptr ? sqlite3_system_errno(db) : 0);
  std::string detail{"store "};
  detail += file != nullptr && *file != '\0' ? file : "(file not open)";
  detail += ": ";
  detail += doing;
  detail += " failed (";
  append_utf8(db != nullptr ? sqlite3_errmsg(db) : sqlite3_errstr(code), detail);  // may quote a damaged file
  detail += ", code " + std::to_string(extended) + "): ";
  std::string advice{meaning.advice};
  if (const auto at = advice.find(" DIR "); at != std::string::npos && file != nullptr)
    advice.replace(at + 1, 3, std::filesystem::path{file}.parent_path().string());
  detail += advice;
  return {meaning.fault, meaning.retry, std::move(detail)};
}

std::string_view Statement::text(int column) const {
  const void* data = sqlite3_column_blob(statement_.get(), column);
  const int size = sqlite3_column_bytes(statement_.get(), column);
  if (data == nullptr) return {};
  return {static_cast<const char*>(data), static_cast<std::size_t>(size)};
}

Result<Database> Database::open(const std::string& path, Access access, int busy_ms) {
  const int flags = (access == Access::read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) |
                    SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
  Database db;
  db.db_.reset(raw);
  if (code != SQLITE_OK) {
    Error error = error_of(raw, code, "opening " + path);
    return tl::unexpected{std::move(error)};
  }
  sqlite3_extended_result_codes(raw, 0);
  sqlite3_busy_timeout(raw, busy_ms);
  return db;
}

Status Database::execute(const char* sql, std::string_view doing) {
  const int code = sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return tl::unexpected{error(code, doing)};
  return {};
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* raw = nullptr;
  const int code =
      sqlite3_prepare_v3(db_.get(), sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  if (code != SQLITE_OK) return tl::unexpected{error(code, "preparing \"" + std::string{sql.substr(0, 60)} + "…\"")};
  Statement statement;
  statement.statement_.reset(raw);
  return statement;
}

Result<std::optional<std::int64_t>> Database::query_integer(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return tl::unexpected{statement.error()};
  const int code = statement->step();
  if (code == SQLITE_ROW && !statement->is_null(0)) return std::optional{statement->integer(0)};
  if (code == SQLITE_DONE || code == SQLITE_ROW) return std::optional<std::int64_t>{};
  return tl::unexpected{error(code, "reading")};
}

Result<std::optional<std::string>> Database::query_text(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return tl::unexpected{statement.error()};
  const int code = statement->step();
  if (code == SQLITE_ROW && !statement->is_null(0)) return std::optional{std::string{statement->text(0)}};
  if (code == SQLITE_DONE || code == SQLITE_ROW) return std::optional<std::string>{};
  return tl::unexpected{error(code, "reading")};
}

namespace {

struct Visit {
  const std::function<bool(const Values&)>& row;
  bool enough = false;
  std::exception_ptr thrown{};  // must not pass through SQLite
};

void visit_row(sqlite3_context* context, int, sqlite3_value** values) {
  auto& visit = *static_cast<Visit*>(sqlite3_user_data(context));
  try {
    if (!visit.enough && visit.row(Values{values})) return;
  } catch (...) {
    visit.thrown = std::current_exception();
  }
  visit.enough = true;
  sqlite3_result_error(context, "enough", -1);  // ends the statement
}
void visit_end(sqlite3_context*) {}

}  // namespace

std::string_view Values::text(int column) const {
  const void* data = sqlite3_value_blob(values_[column]);
  const int size = sqlite3_value_bytes(values_[column]);
  if (data == nullptr) return {};
  return {static_cast<const char*>(data), static_cast<std::size_t>(size)};
}

Status Database::each_row(std::string_view columns, int count, std::string_view rest,
                          const std::function<bool(const Values&)>& row) {
  Visit visit{row};
  if (const int code = sqlite3_create_function_v2(db_.get(), "truetape_visit", count, SQLITE_UTF8 | SQLITE_DIRECTONLY,
                                                  &visit, nullptr, visit_row, visit_end, nullptr);
      code != SQLITE_OK)
    return tl::unexpected{error(code, "preparing to read rows")};
  int code = SQLITE_OK;
  {
    auto statement = prepare("SELECT truetape_visit(" + std::string{columns} + ") FROM " + std::string{rest});
    if (!statement) return tl::unexpected{statement.error()};
    code = statement->step();
  }
  const Error failed = error(code, "reading rows");
  sqlite3_create_function_v2(db_.get(), "truetape_visit", count, SQLITE_UTF8, nullptr, nullptr, nullptr, nullptr,
                             nullptr);  // `visit` goes
  if (visit.thrown) std::rethrow_exception(visit.thrown);
  if (code != SQLITE_ROW && !visit.enough) return tl::unexpected{failed};
  return {};
}

}  // namespace truetape::sqlite
