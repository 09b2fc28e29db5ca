#include <sqlite3.h>

#include "stores/conformance/sink_conformance.h"
#include "stores/sqlite/sqlite_store.h"

namespace truetape {
namespace {

std::shared_ptr<sqlite3> open(const std::filesystem::path& directory) {
  sqlite3* db = nullptr;
  EXPECT_EQ(sqlite3_open((directory / "store.db").c_str(), &db), SQLITE_OK);
  return {db, sqlite3_close};
}

StoreUnderTest sqlite_store() {
  return {.name = "sqlite",
          .sink =
              [](const std::filesystem::path& directory, const SinkSettings& s) {
                return make_sqlite_sink(
                    directory / "store.db",
                    {.log_id = s.log_id, .adopt = s.adopt, .busy_ms = s.busy_ms, .max_bytes = s.max_bytes});
              },
          .history = [](const std::filesystem::path& directory) { return open_sqlite_history(directory / "store.db"); },
          .lock = [](const std::filesystem::path& directory) -> std::shared_ptr<void> {
            auto db = open(directory);
            EXPECT_EQ(sqlite3_exec(db.get(), "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
            return db;
          },
          .make_newer =
              [](const std::filesystem::path& directory) {
                EXPECT_EQ(sqlite3_exec(open(directory).get(), "PRAGMA user_version = 1000", nullptr, nullptr, nullptr),
                          SQLITE_OK);
              }};
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Sqlite, SinkConformance, ::testing::Values(sqlite_store()),
                         [](const auto& store) { return store.param.name; });

}  // namespace truetape
