#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>

#include "stores/conformance/sample_rows.h"
#include "stores/sqlite/database.h"
#include "stores/sqlite/sqlite_store.h"

namespace truetape::sqlite {
namespace {

using conformance::kTrades;

class SqliteCopyTest : public testing::Test {
 protected:
  SqliteCopyTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "truetape-copy-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error{"no temporary directory"};
    directory_ = pattern;
    sink_ = make_sqlite_sink(file("store.db"), {.log_id = "log"});
    if (!sink_->open() || !sink_->claim(kTrades, 3)) throw std::runtime_error{"no store"};
  }
  ~SqliteCopyTest() override {
    sink_.reset();
    std::filesystem::remove_all(directory_);
  }
  std::filesystem::path file(const char* name) const { return directory_ / name; }
  void load(std::uint64_t first, std::uint64_t end) {
    const auto rows = conformance::trades(first, end);
    ASSERT_TRUE(sink_->write({kTrades, 3, static_cast<std::int64_t>(first), static_cast<std::int64_t>(end), rows}));
  }
  static std::int64_t count(const std::filesystem::path& file) {
    auto db = Database::open(file.string(), Access::read_only, 0);
    EXPECT_EQ(db->query_text("PRAGMA integrity_check").value(), "ok");
    return db->query_integer("SELECT count(*) FROM trades").value().value();
  }
  std::filesystem::path directory_;
  std::unique_ptr<Sink> sink_;
};

TEST_F(SqliteCopyTest, IsOfOneMomentWhateverIsWrittenMeanwhile) {
  load(0, 20'000);
  std::uint64_t next = 20'000, told = 0;
  const auto copied = copy_sqlite_store(file("store.db"), file("copy.db"), [&](std::uint64_t bytes) {
    told += bytes;
    load(next, next + 100);
    next += 100;
  });
  ASSERT_TRUE(copied) << copied.error().detail;
  ASSERT_GT(next, 20'100U) << "several pieces";
  EXPECT_EQ(count(file("copy.db")), 20'000);
  EXPECT_EQ(told, std::filesystem::file_size(file("copy.db")));
  EXPECT_EQ(copied->log_id, "log");
  EXPECT_EQ(copied->schema, 6);
  ASSERT_EQ(copied->positions.size(), 1U);
  EXPECT_EQ(copied->positions[0].topic, kTrades);
  EXPECT_EQ(copied->positions[0].partition, 3);
  EXPECT_EQ(copied->positions[0].next, 20'000);
  EXPECT_EQ(count(file("store.db")), static_cast<std::int64_t>(next));
  // It is a store that goes on.
  const auto restored = make_sqlite_sink(file("copy.db"), {.log_id = "log"});
  ASSERT_TRUE(restored->open());
  EXPECT_EQ(restored->claim(kTrades, 3).value(), 20'000);
}

TEST_F(SqliteCopyTest, AnotherProgramsFileAndAMissingOneAreRefused) {
  {
    auto db = Database::open(file("theirs.db").string(), Access::read_write, 0);
    ASSERT_TRUE(db->execute("CREATE TABLE theirs(x)", "making"));
  }
  const auto nothing = [](std::uint64_t) {};
  EXPECT_EQ(copy_sqlite_store(file("theirs.db"), file("a.db"), nothing).error().fault, Fault::mismatch);
  EXPECT_FALSE(copy_sqlite_store(file("none.db"), file("b.db"), nothing));
}

}  // namespace
}  // namespace truetape::sqlite
