// The thinnest useful layer over SQLite's C interface: a connection, a statement, errors as sentences. Used inside this
// folder only. One thread at a time owns a Database and its statements.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"

namespace truetape::sqlite {

// What an extended result code and the system's error number beside it mean, and what to do.
struct Meaning {
  Fault fault;
  Retry retry;
  std::string_view advice;
};
Meaning meaning_of(int extended_code, int system_errno);

// Turns a result code of SQLite into an Error whose sentence begins with `doing` ("writing rows") and names the file.
Error error_of(sqlite3* db, int code, std::string_view doing);

class Database;

// A prepared statement. Bind, step, read columns, reset; bindings stay until bound again.
class Statement {
 public:
  Statement() = default;

  void bind_null(int index) { sqlite3_bind_null(statement_.get(), index); }
  void bind(int index, std::int64_t value) { sqlite3_bind_int64(statement_.get(), index, value); }
  // SQLite's integers are signed: ids of 2^63 and more are kept as the same 64 bits.
  void bind_unsigned(int index, std::uint64_t value) { bind(index, static_cast<std::int64_t>(value)); }
  // Not copied: `value` must live until the statement is reset.
  void bind_text(int index, std::string_view value) {
    sqlite3_bind_text64(statement_.get(), index, value.data() == nullptr ? "" : value.data(), value.size(),
                        SQLITE_STATIC, SQLITE_UTF8);
  }
  // As text; for texts made on the spot.
  void bind_text_copy(int index, std::string_view value) {
    sqlite3_bind_text64(statement_.get(), index, value.data() == nullptr ? "" : value.data(), value.size(),
                        SQLITE_TRANSIENT, SQLITE_UTF8);
  }
  void bind_blob(int index, std::string_view value) {
    sqlite3_bind_blob64(statement_.get(), index, value.data() == nullptr ? "" : value.data(), value.size(),
                        SQLITE_STATIC);
  }

  // SQLITE_ROW, SQLITE_DONE or an error's code.
  int step() { return sqlite3_step(statement_.get()); }
  void reset() { sqlite3_reset(statement_.get()); }

  bool is_null(int column) const { return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL; }
  bool is_integer(int column) const { return sqlite3_column_type(statement_.get(), column) == SQLITE_INTEGER; }
  std::int64_t integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }
  std::uint64_t unsigned_integer(int column) const { return static_cast<std::uint64_t>(integer(column)); }
  std::string_view text(int column) const;  // valid until the next step or reset; also for blobs

  sqlite3_stmt* handle() const { return statement_.get(); }

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

// The arguments of a function that SQLite calls for each row. Reading these costs a third of what reading a statement's
// columns does.
class Values {
 public:
  explicit Values(sqlite3_value** values) : values_{values} {}
  bool is_null(int column) const { return sqlite3_value_type(values_[column]) == SQLITE_NULL; }
  bool is_integer(int column) const { return sqlite3_value_type(values_[column]) == SQLITE_INTEGER; }
  std::int64_t integer(int column) const { return sqlite3_value_int64(values_[column]); }
  std::uint64_t unsigned_integer(int column) const { return static_cast<std::uint64_t>(integer(column)); }
  std::string_view text(int column) const;  // during the call

 private:
  sqlite3_value** values_;
};

enum class Access { read_only, read_write };

class Database {
 public:
  Database() = default;
  // Waits at most `busy_ms` for other connections in every later call. read_write creates the file.
  static Result<Database> open(const std::string& path, Access access, int busy_ms);

  Status execute(const char* sql, std::string_view doing);
  Result<Statement> prepare(std::string_view sql);
  // The first column of the first row; nullopt if there is no row.
  Result<std::optional<std::int64_t>> query_integer(std::string_view sql);
  Result<std::optional<std::string>> query_text(std::string_view sql);
  // Gives each row of "SELECT columns FROM `rest`" to `row`, until that answers false; nothing else is read meanwhile.
  Status each_row(std::string_view columns, int count, std::string_view rest,
                  const std::function<bool(const Values&)>& row);
  Error error(int code, std::string_view doing) const { return error_of(db_.get(), code, doing); }
  // Rows changed by the last INSERT or UPDATE.
  std::int64_t changes() const { return sqlite3_changes64(db_.get()); }
  bool in_transaction() const { return sqlite3_get_autocommit(db_.get()) == 0; }
  sqlite3* handle() const { return db_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
  };
  std::unique_ptr<sqlite3, Close> db_;
};

}  // namespace truetape::sqlite
