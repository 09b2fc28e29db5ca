#include <algorithm>

#include "stores/sqlite/database.h"
#include "stores/sqlite/schema.h"
#include "stores/sqlite/sqlite_store.h"

namespace truetape {
namespace {

using namespace sqlite;

constexpr int kPagesAtOnce = 256;
constexpr int kBusyMs = 5'000;

Status read_facts(Database& db, SqliteCopy& out) {
  const auto version = db.query_integer("PRAGMA user_version");
  if (!version) return tl::unexpected{version.error()};
  out.schema = static_cast<int>(version->value_or(0));
  if (out.schema == 0) return {};
  const auto id = db.query_text("SELECT value FROM meta WHERE name = 'log_id'");
  if (!id) return tl::unexpected{id.error()};
  out.log_id = id->value_or("");
  auto positions =
      db.prepare("SELECT topic, partition, next FROM positions WHERE next IS NOT NULL ORDER BY topic, partition");
  if (!positions) return tl::unexpected{positions.error()};
  int code = 0;
  while ((code = positions->step()) == SQLITE_ROW)
    out.positions.push_back(
        {std::string{positions->text(0)}, static_cast<std::int32_t>(positions->integer(1)), positions->integer(2)});
  if (code != SQLITE_DONE) return tl::unexpected{db.error(code, "reading positions")};
  return {};
}

}  // namespace

Result<SqliteCopy> copy_sqlite_store(const std::filesystem::path& from, const std::filesystem::path& to,
                                     const std::function<void(std::uint64_t bytes)>& wrote) {
  auto source = Database::open(from.string(), Access::read_only, kBusyMs);
  if (!source) return tl::unexpected{source.error()};
  auto target = Database::open(to.string(), Access::read_write, kBusyMs);
  if (!target) return tl::unexpected{target.error()};
  // The first read in a transaction fixes what all of it sees. SQLite's backup would else begin anew after each commit
  // of another process, and so never end.
  if (auto begun = source->execute("BEGIN", "beginning to copy"); !begun) return tl::unexpected{begun.error()};
  if (auto ours = check_ours(*source, migrations().back().version); !ours) return tl::unexpected{ours.error()};
  SqliteCopy out;
  if (auto read = read_facts(*source, out); !read) return tl::unexpected{read.error()};
  const auto page = source->query_integer("PRAGMA page_size");
  if (!page) return tl::unexpected{page.error()};
  // A copy that is not finished is thrown away, so it needs no journal.
  if (auto set = target->execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", "preparing the copy"); !set)
    return tl::unexpected{set.error()};

  sqlite3_backup* raw = sqlite3_backup_init(target->handle(), "main", source->handle(), "main");
  if (raw == nullptr)
    return tl::unexpected{target->error(sqlite3_extended_errcode(target->handle()), "beginning to copy")};
  std::unique_ptr<sqlite3_backup, int (*)(sqlite3_backup*)> backup{raw, sqlite3_backup_finish};
  int before = 0;
  for (;;) {
    const int code = sqlite3_backup_step(raw, kPagesAtOnce);
    const int done = sqlite3_backup_pagecount(raw) - sqlite3_backup_remaining(raw);
    wrote(static_cast<std::uint64_t>(std::max(done - before, 0)) * static_cast<std::uint64_t>(page->value_or(4096)));
    before = done;
    if (code == SQLITE_DONE) break;
    if (code != SQLITE_OK) {
      backup.reset();  // hands the code to the target, whose sentence says more
      return tl::unexpected{target->error(code, "copying " + from.string())};
    }
  }
  if (const int code = sqlite3_backup_finish(backup.release()); code != SQLITE_OK)
    return tl::unexpected{target->error(code, "copying " + from.string())};
  return out;
}

}  // namespace truetape
