// An import that is killed cannot end the range that it announced. The next import, of whatever file, ends it: the
// holes of what was read are named then, and the same file again still ends as if nobody had disturbed it.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "batch/import.h"
#include "core/clock.h"
#include "log/lmdb/lmdb_log.h"

namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kCaptures = TRUETAPE_SOURCE_DIR "/examples/captures/";
const std::string kLtc = kCaptures + "binance-spot-ltcusdt-aggtrades-20250621.csv.zst";
constexpr const char* kColumns = "time=timestamp,price=price,quantity=quantity,side=side,id=tradeId";

class LeftOpen : public ::testing::Test {
 protected:
  LeftOpen() {
    std::string pattern = (fs::temp_directory_path() / "truetape-left-open-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error{"no temporary directory"};
    root_ = pattern;
  }
  ~LeftOpen() override { fs::remove_all(root_); }

  std::string run(const std::string& arguments, int expected = 0) const {
    const std::string file = (root_ / "out").string();
    const std::string command = TRUETAPE_PROGRAM " " + arguments + " >" + file + " </dev/null";
    EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), expected) << arguments;
    std::ostringstream out;
    out << std::ifstream{file}.rdbuf();
    return out.str();
  }
  std::string at(const std::string& data) const { return " --data " + (root_ / data).string() + ' '; }
  std::string import_ltc(const std::string& data) const {
    return run("import" + at(data) + "--instrument binance:LTCUSDT --tape agg --columns " + kColumns + ' ' + kLtc);
  }
  std::string import_btc(const std::string& data) const {
    return run("import" + at(data) + "--venue binance " + kCaptures +
               "binance-spot-btcusdt-ws-20240808t2354-20240809t0005.frames.zst");
  }
  std::string gaps(const std::string& data) const {
    return run("query gaps" + at(data) + "--format csv --instrument binance:LTCUSDT");
  }

  // A process that imports and is killed when it has read about `rows` rows, all of which are durable.
  void import_killed_after(const std::string& data, std::uint64_t rows) const {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      using namespace truetape;
      fs::create_directories(root_ / data / "log");
      LmdbOptions open;
      open.create = true;
      open.partitions = 8;
      const auto log = open_lmdb_log(root_ / data / "log", open);
      const auto raw = log.value()->appender(topic::raw).value();
      auto ranges = OpenRanges::read(**log).value();
      const SystemClock clock;
      ImportOptions options;
      options.instrument = "binance:LTCUSDT";
      options.tape = Tape::agg;
      options.columns = kColumns;
      options.progress = [&](const ImportProgress& progress) {
        if (progress.rows < rows) return;
        while (!raw->flush(std::chrono::seconds{1}).value()) continue;
        ::kill(::getpid(), SIGKILL);
      };
      const std::vector<fs::path> files{kLtc};
      (void)Importer{*raw, (*log)->partitions(), clock, options, &ranges}.run(files);
      ::_exit(1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the import ended before it was killed";
  }

  fs::path root_;
};

TEST_F(LeftOpen, TheNextImportOfAnyFileEndsTheRangeOfOneThatWasKilled) {
  import_ltc("undisturbed");
  import_btc("undisturbed");
  const auto lines = [](const std::string& text) { return std::count(text.begin(), text.end(), '\n'); };
  const auto all_holes = lines(gaps("undisturbed")) - 1;
  ASSERT_GT(all_holes, 1);

  import_killed_after("killed", 40'000);
  // Of another file: what the killed one had read is told now.
  EXPECT_THAT(import_btc("killed"), HasSubstr(kLtc + ": its import had been killed"));
  const std::string named = gaps("killed");
  EXPECT_GT(lines(named) - 1, 1) << named;
  EXPECT_LT(lines(named) - 1, all_holes) << "the killed import had read everything";
  EXPECT_THAT(named, HasSubstr(",open,"));
  EXPECT_THAT(import_btc("killed"), Not(HasSubstr("had been killed"))) << "once is enough";
  // The same file again completes it.
  EXPECT_THAT(import_ltc("killed"), Not(HasSubstr("had been killed")));
  EXPECT_EQ(run("digest" + at("killed")), run("digest" + at("undisturbed")));
  EXPECT_EQ(gaps("killed"), gaps("undisturbed"));
}

TEST_F(LeftOpen, AnImportThatFailsNamesTheRangeThatItEnded) {
  import_killed_after("killed", 40'000);
  const fs::path cut = root_ / "cut.csv.zst";
  fs::copy_file(kLtc, cut);
  fs::resize_file(cut, fs::file_size(cut) / 2);
  const std::string said = run(
      "import" + at("killed") + "--instrument binance:XYZ --tape agg --columns " + kColumns + ' ' + cut.string(), 1);
  EXPECT_THAT(said, HasSubstr(kLtc + ": its import had been killed"));
  EXPECT_THAT(gaps("killed"), HasSubstr(",open,"));
}

TEST_F(LeftOpen, WithoutAFileWhatIsLeftIsFinished) {
  import_killed_after("killed", 40'000);
  EXPECT_THAT(run("import" + at("killed") + "--finish"), HasSubstr(kLtc + ": its import had been killed"));
  EXPECT_THAT(gaps("killed"), HasSubstr(",open,"));
  EXPECT_THAT(run("import" + at("killed") + "--finish"), Not(HasSubstr("had been killed")));
}

TEST_F(LeftOpen, TheSameFileAgainGoesOnWithoutNamingWhatItWillFill) {
  import_ltc("undisturbed");
  import_killed_after("killed", 20'000);
  EXPECT_THAT(import_ltc("killed"), Not(HasSubstr("had been killed")));
  EXPECT_EQ(run("digest" + at("killed")), run("digest" + at("undisturbed")));
  EXPECT_EQ(gaps("killed"), gaps("undisturbed"));
}

}  // namespace
