// The whole embedded pipeline under kill -9 and power cuts: `truetape import` as a real child process that is ended at
// random instants from its first to its last, started again until it has done its work, and then compared with an
// import that nobody disturbed: each trade once in log and store, and equal digests (the content property of semantics
// section 9).
//
//   TRUETAPE_KILLS, TRUETAPE_POWER_CUTS   how many of each, 6 by default; the soak takes 50
//   TRUETAPE_SEED                         of the instants
//   TRUETAPE_KEEP                         set: data directories stay for a look
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "codec/wire.h"
#include "log/lmdb/lmdb_log.h"

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Variables = std::vector<std::pair<std::string, std::string>>;

int number_of(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::atoi(text);
}

struct Child {
  pid_t pid = -1;
  // Wait status, or nullopt after `most`.
  std::optional<int> wait(std::chrono::microseconds most) const {
    const auto until = Clock::now() + most;
    for (;;) {
      int status = 0;
      if (::waitpid(pid, &status, WNOHANG) == pid) return status;
      if (Clock::now() >= until) return std::nullopt;
      std::this_thread::sleep_for(std::chrono::microseconds{200});
    }
  }
  int kill() const {
    ::kill(pid, SIGKILL);
    int status = 0;
    ::waitpid(pid, &status, 0);
    return status;
  }
};

std::string contents(const fs::path& file) {
  std::ostringstream out;
  out << std::ifstream{file, std::ios::binary}.rdbuf();
  return out.str();
}

class ImportCrash : public ::testing::Test {
 protected:
  ImportCrash() : random_{static_cast<std::uint64_t>(number_of("TRUETAPE_SEED", 20'240'808))} {
    std::string pattern = (fs::temp_directory_path() / "truetape-e2e-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error{"no temporary directory"};
    root_ = pattern;
  }
  ~ImportCrash() override {
    if (std::getenv("TRUETAPE_KEEP") == nullptr) fs::remove_all(root_);
  }

  // Output goes to files beside the data, so that a child that is killed leaves it whole.
  Child start(std::vector<std::string> arguments, const Variables& environment = {}) {
    arguments.insert(arguments.begin(), TRUETAPE_PROGRAM);
    const std::string out = (root_ / "out").string(), err = (root_ / "err").string();
    const pid_t pid = ::fork();
    if (pid < 0) throw std::runtime_error{"fork"};
    if (pid == 0) {
      ::dup2(::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
      ::dup2(::open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
      for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
      std::vector<char*> argv;
      for (std::string& argument : arguments) argv.push_back(argument.data());
      argv.push_back(nullptr);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    return {pid};
  }

  // Runs to its end, which must be a good one; answers what it printed.
  std::string run(const std::vector<std::string>& arguments) {
    const auto status = start(arguments).wait(std::chrono::minutes{5});
    EXPECT_TRUE(status && WIFEXITED(*status) && WEXITSTATUS(*status) == 0)
        << arguments.front() << ": " << contents(root_ / "err");
    return contents(root_ / "out");
  }

  // The whole run: a recorded session, then a file of history with holes.
  static std::vector<std::vector<std::string>> jobs(const fs::path& data) {
    const std::string captures = TRUETAPE_SOURCE_DIR "/examples/captures/";
    return {{"import", "--data", data.string(), "--venue", "binance",
             captures + "binance-spot-btcusdt-ws-20240808t2354-20240809t0005.frames.zst"},
            {"import", "--data", data.string(), "--instrument", "binance:LTCUSDT", "--tape", "agg", "--columns",
             "time=timestamp,price=price,quantity=quantity,side=side,id=tradeId",
             captures + "binance-spot-ltcusdt-aggtrades-20250621.csv.zst"}};
  }
  Variables powercut(const fs::path& data, const fs::path& shadow, int writeback) {
    return {{"LD_PRELOAD", TRUETAPE_POWERCUT_SHIM},
            {"ASAN_OPTIONS", "verify_asan_link_order=0"},  // the shim comes first, in a sanitized build too
            {"TRUETAPE_POWERCUT_DIR", data.string()},
            {"TRUETAPE_POWERCUT_SHADOW", shadow.string()},
            {"TRUETAPE_POWERCUT_WRITEBACK", std::to_string(writeback)},
            {"TRUETAPE_POWERCUT_SEED", std::to_string(random_() % 1'000'000)}};
  }
  std::string digest(const fs::path& data, const std::string& from) {
    return run({"digest", "--data", data.string(), "--from", from});
  }

  // Answers one number from the store.
  static std::int64_t ask(const fs::path& data, const std::string& sql) {
    sqlite3* db = nullptr;
    EXPECT_EQ(sqlite3_open_v2((data / "store.db").c_str(), &db, SQLITE_OPEN_READWRITE, nullptr), SQLITE_OK);
    sqlite3_stmt* statement = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(db, sql.c_str(), -1, &statement, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    EXPECT_EQ(sqlite3_step(statement), SQLITE_ROW) << sqlite3_errmsg(db);
    const std::int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return value;
  }

  // Of the topic `trades` in the log: records and distinct identities.
  std::pair<std::size_t, std::size_t> trades_in_log(const fs::path& data);

  void expect_same_as_undisturbed(const fs::path& data, const std::string& after) {
    EXPECT_EQ(digest(data, "log"), undisturbed_log_) << after;
    EXPECT_EQ(digest(data, "store"), undisturbed_store_) << after;
    EXPECT_EQ(ask(data, "SELECT count(*) FROM trades"), trades_) << after;
    EXPECT_EQ(ask(data,
                  "SELECT count(*) FROM (SELECT instrument, tape, era, id FROM trades_view GROUP BY 1, 2, 3, 4 HAVING "
                  "count(*) > 1)"),
              0)
        << after;
    EXPECT_EQ(ask(data,
                  "SELECT count(*) FROM (SELECT instrument, tape, interval, start FROM candles_view GROUP BY 1, 2, 3, "
                  "4 HAVING count(*) > 1)"),
              0)
        << after;
    const auto [records, identities] = trades_in_log(data);
    EXPECT_EQ(static_cast<std::int64_t>(records), trades_) << after;
    EXPECT_EQ(records, identities) << after;
    EXPECT_EQ(ask(data, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0) << after;
    run({"log", "verify", "--data", data.string()});
    run({"audit", "--data", data.string()});  // ends well only if it finds no difference
  }

  void import_undisturbed() {
    const fs::path data = root_ / "undisturbed";
    for (const auto& job : jobs(data)) {
      const auto began = Clock::now();
      run(job);
      took_.push_back(std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began));
    }
    undisturbed_log_ = digest(data, "log");
    undisturbed_store_ = digest(data, "store");
    EXPECT_EQ(undisturbed_log_, undisturbed_store_);
    trades_ = ask(data, "SELECT count(*) FROM trades");
    ASSERT_GT(trades_, 1'000);
  }

  std::chrono::microseconds instant(std::chrono::microseconds within) {
    return std::chrono::microseconds{
        static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(within.count() + 1))};
  }

  fs::path root_;
  std::mt19937_64 random_;
  std::vector<std::chrono::microseconds> took_;  // by each job
  std::string undisturbed_log_, undisturbed_store_;
  std::int64_t trades_ = 0;
};

std::pair<std::size_t, std::size_t> ImportCrash::trades_in_log(const fs::path& data) {
  std::vector<std::tuple<truetape::Instrument, truetape::Tape, std::uint32_t, std::uint64_t>> identities;
  truetape::LmdbOptions options;
  options.read_only = true;
  const auto log = truetape::open_lmdb_log(data / "log", options);
  if (!log) {
    ADD_FAILURE() << log.error().detail;
    return {};
  }
  for (std::int32_t partition = 0; partition < (*log)->partitions(); ++partition) {
    const auto span = (*log)->span(truetape::topic::trades, partition);
    const auto scanned =
        (*log)->scan(truetape::topic::trades, partition, 0, span->end, [&](const truetape::Stored& stored) {
          const auto trade = truetape::wire::decode<truetape::Trade>(stored.record.value);
          EXPECT_TRUE(trade) << trade.error().detail;
          if (trade) identities.emplace_back(trade->instrument, trade->tape, trade->era, trade->order);
          return true;
        });
    EXPECT_TRUE(scanned) << scanned.error().detail;
  }
  const std::size_t records = identities.size();
  std::sort(identities.begin(), identities.end());
  identities.erase(std::unique(identities.begin(), identities.end()), identities.end());
  return {records, identities.size()};
}

// Instants are spread over the whole run and a little beyond, so that the beginning (creating log and store), both
// files, the draining and the end are all hit.
TEST_F(ImportCrash, KilledAtAnyInstantItEndsAsIfUndisturbed) {
  import_undisturbed();
  const int kills = number_of("TRUETAPE_KILLS", 6);
  for (int done = 0, round = 0; done < kills; ++round) {
    const fs::path data = root_ / ("killed-" + std::to_string(round));
    std::string history;
    // One to three kills in a row on the same directory.
    for (int more = 1 + static_cast<int>(random_() % 3); more > 0 && done < kills; --more) {
      const std::size_t job = random_() % jobs(data).size();
      const auto when = instant(took_[job] + took_[job] / 20);
      const Child child = start(jobs(data)[job]);
      if (const auto ended = child.wait(when)) {  // it was quicker this time: no kill
        EXPECT_TRUE(WIFEXITED(*ended) && WEXITSTATUS(*ended) == 0) << contents(root_ / "err");
        continue;
      }
      child.kill();
      history += " job " + std::to_string(job) + " at " + std::to_string(when.count()) + " us;";
      ++done;
    }
    for (const auto& job : jobs(data)) run(job);
    expect_same_as_undisturbed(data, "killed:" + history);
    if (HasFailure()) return;
    fs::remove_all(data);
  }
}

// After a power cut the directory holds what was synced, and with some luck more of what was written, torn anywhere.
TEST_F(ImportCrash, AfterAPowerCutItEndsAsIfUndisturbed) {
  if (!fs::exists(TRUETAPE_POWERCUT_SHIM))
    GTEST_SKIP() << "SKIPPED: no power-cut shim was built, so nothing is proved about power cuts";
  import_undisturbed();
  const int cuts = number_of("TRUETAPE_POWER_CUTS", 6);
  // The shim is slower than the disk; how long a run takes under it decides where instants may lie.
  std::vector<std::chrono::microseconds> took;
  const fs::path measured = root_ / "measured", measured_shadow = root_ / "measured-shadow";
  fs::create_directory(measured);
  for (const auto& job : jobs(measured)) {
    const auto began = Clock::now();
    const auto status = start(job, powercut(measured, measured_shadow, 0)).wait(std::chrono::minutes{5});
    ASSERT_TRUE(status && WIFEXITED(*status) && WEXITSTATUS(*status) == 0) << contents(root_ / "err");
    took.push_back(std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began));
  }
  fs::remove_all(measured);
  fs::remove_all(measured_shadow);
  for (int done = 0, round = 0; done < cuts; ++round) {
    const fs::path data = root_ / ("cut-" + std::to_string(round)),
                   shadow = root_ / ("shadow-" + std::to_string(round));
    fs::create_directory(data);
    std::string history;
    for (int more = 1 + static_cast<int>(random_() % 3); more > 0 && done < cuts; --more) {
      const std::size_t job = random_() % jobs(data).size();
      const auto when = instant(took[job] + took[job] / 20);
      const int writeback = random_() % 2 == 0 ? 0 : static_cast<int>(random_() % 100);
      // Made here, since a child may be killed before, or while, it makes the copy itself.
      fs::copy(data, shadow, fs::copy_options::recursive);
      const Child child = start(jobs(data)[job], powercut(data, shadow, writeback));
      const auto ended = child.wait(when);
      if (!ended) child.kill();
      // What the disk holds is the data directory from now on, also after a run that ended by itself.
      fs::remove_all(data);
      fs::rename(shadow, data);
      if (ended) {
        EXPECT_TRUE(WIFEXITED(*ended) && WEXITSTATUS(*ended) == 0) << contents(root_ / "err");
        continue;
      }
      history += " job " + std::to_string(job) + " at " + std::to_string(when.count()) + " us, " +
                 std::to_string(writeback) + " % written back;";
      ++done;
    }
    for (const auto& job : jobs(data)) run(job);
    expect_same_as_undisturbed(data, "power cut:" + history);
    if (HasFailure()) return;
    fs::remove_all(data);
  }
}

}  // namespace
