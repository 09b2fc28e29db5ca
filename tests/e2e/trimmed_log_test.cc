// A store that is lost when the log no longer has everything: what is still there is loaded, and what is not is told.
#include <gmock/gmock.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include "log/lmdb/lmdb_log.h"

namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class TrimmedLog : public ::testing::Test {
 protected:
  TrimmedLog() {
    std::string pattern = (fs::temp_directory_path() / "truetape-trimmed-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error{"no temporary directory"};
    root_ = pattern;
  }
  ~TrimmedLog() override { fs::remove_all(root_); }

  struct Printed {
    std::string out, err;
  };
  Printed run(const std::string& arguments, int expected = 0) const {
    const std::string command = TRUETAPE_PROGRAM " " + arguments + " >" + (root_ / "out").string() + " 2>" +
                                (root_ / "err").string() + " </dev/null";
    const int status = std::system(command.c_str());
    const auto text = [](const fs::path& file) {
      std::ostringstream out;
      out << std::ifstream{file}.rdbuf();
      return out.str();
    };
    EXPECT_EQ(WEXITSTATUS(status), expected) << arguments << text(root_ / "err");
    return {text(root_ / "out"), text(root_ / "err")};
  }
  Printed import() const {
    return run("import --data " + data() +
               " --instrument binance:LTCUSDT --tape agg --columns "
               "time=timestamp,price=price,quantity=quantity,side=side,id=tradeId " TRUETAPE_SOURCE_DIR
               "/examples/captures/binance-spot-ltcusdt-aggtrades-20250621.csv.zst");
  }
  Printed query() const { return run("query trades --format csv --data " + data()); }
  std::string data() const { return (root_ / "data").string(); }

  // As if far more had been imported than the log may keep. Answers how many records of `trades` went.
  std::int64_t trim(std::uint64_t limit = 1'000'000) const {
    truetape::LmdbOptions options;
    options.size_limit = limit;
    const auto log = truetape::open_lmdb_log(root_ / "data/log", options);
    EXPECT_TRUE(log) << log.error().detail;
    EXPECT_TRUE((*log)->set_note("tick", "1"));  // two commits: the first measures
    EXPECT_TRUE((*log)->set_note("tick", "2"));
    std::int64_t gone = 0;
    for (std::int32_t partition = 0; partition < (*log)->partitions(); ++partition)
      gone += (*log)->span(truetape::topic::trades, partition)->oldest;
    return gone;
  }

  // Records of a topic that can be read. (Blocks that can not be may lie there a while.)
  std::int64_t left(std::string_view topic) const {
    truetape::LmdbOptions options;
    options.read_only = true;
    const auto log = truetape::open_lmdb_log(root_ / "data/log", options);
    EXPECT_TRUE(log) << log.error().detail;
    std::int64_t out = 0;
    for (std::int32_t partition = 0; partition < (*log)->partitions(); ++partition) {
      const auto span = (*log)->span(topic, partition);
      out += span->end - span->oldest;
    }
    return out;
  }

  void sql(const std::string& text) const {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open((root_ / "data/store.db").c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, text.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    EXPECT_GT(sqlite3_changes(db), 0);
    sqlite3_close(db);
  }

  fs::path root_;
};

TEST_F(TrimmedLog, IsRebuiltFromWhatIsLeftOnlyIfThatIsMeant) {
  import();
  ASSERT_GT(trim(), 0);
  const Printed before = query();
  EXPECT_THAT(run("rebuild --data " + data(), 1).err,
              ::testing::MatchesRegex("truetape: raw in .* goes back to 20[0-9TZ:.-]+ only.*--data .* --pruned\n"));
  EXPECT_EQ(query().out, before.out);
  run("rebuild --pruned --data " + data());
  EXPECT_EQ(query().out, before.out) << "the store keeps what the log cannot make again";
  EXPECT_THAT(run("digest --compare --data " + data()).err, HasSubstr("the log goes back less far than the store"));
  run("audit --data " + data());
  EXPECT_THAT(run("log verify --data " + data()).out, HasSubstr("the log is sound"));
  // Who comes later is told that something lacks.
  fs::remove(root_ / "data/store.db");
  EXPECT_THAT(run("import --finish --data " + data()).out, HasSubstr("MISSING"));
  import();
  EXPECT_THAT(run("digest --compare --data " + data()).err, HasSubstr("the same content"));
}

TEST_F(TrimmedLog, OfWhichNothingCanBeMadeAgainSaysSoToANewStore) {
  import();
  run("rules set --data " + data() + " rule.off_tick=accept");  // of raw this alone is left
  ASSERT_GT(trim(1), 0);
  run("rebuild --pruned --data " + data());
  EXPECT_EQ(left(truetape::topic::trades), 0);
  fs::remove(root_ / "data/store.db");
  EXPECT_THAT(run("import --finish --data " + data()).out, HasSubstr("MISSING"));
  EXPECT_EQ(query().out.find('\n'), query().out.size() - 1) << "but the header";
}

TEST_F(TrimmedLog, IsComparedWithTheStoreAsFarAsItGoesBack) {
  import();
  EXPECT_THAT(run("digest --compare --data " + data()).err, Not(HasSubstr("not compared")));
  ASSERT_GT(trim(), 0) << "retention deleted nothing";
  const Printed compared = run("digest --compare --data " + data());
  EXPECT_THAT(compared.err, HasSubstr("rows of the store are not compared"));
  EXPECT_THAT(compared.err, HasSubstr("log and store have the same content"));
  // The oldest trades are the store's alone, whatever they are; what the log still has must be there, and the same.
  sql("DELETE FROM trades WHERE trade_order = (SELECT min(trade_order) FROM trades)");
  run("digest --compare --data " + data());
  sql("DELETE FROM trades WHERE trade_order = (SELECT max(trade_order) FROM trades)");
  EXPECT_THAT(run("digest --compare --data " + data(), 3).err, HasSubstr("only in the log"));
}

TEST_F(TrimmedLog, ALostStoreIsLoadedFromWhatIsLeftAndSaysWhatIsNot) {
  const auto lines = [](const std::string& text) { return std::count(text.begin(), text.end(), '\n'); };
  EXPECT_THAT(import().out, Not(HasSubstr("MISSING")));
  const auto all = lines(query().out) - 1;
  const std::int64_t gone = trim();
  ASSERT_GT(gone, 0) << "retention deleted nothing";
  // The store had them before: nothing is missing.
  EXPECT_THAT(import().out, Not(HasSubstr("MISSING")));
  EXPECT_EQ(query().err, "");

  for (const char* file : {"store.db", "store.db-wal", "store.db-shm"}) fs::remove(root_ / "data" / file);
  const Printed loaded = import();
  EXPECT_THAT(loaded.out, HasSubstr("MISSING     the store lacks what retention had deleted from the log"));
  EXPECT_THAT(loaded.err, HasSubstr("warning load: the store lacks"));
  const Printed asked = query();
  EXPECT_LE(lines(asked.out) - 1, all - gone);
  EXPECT_THAT(asked.err, HasSubstr("import the files anew into a fresh data directory"));
  // Until somebody does that.
  EXPECT_THAT(import().out, HasSubstr("MISSING"));
}

}  // namespace
