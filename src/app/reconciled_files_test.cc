#include "app/reconciled_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>

namespace truetape::app {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr Interval kMinute = 60s;
const Timestamp kStart = *parse_rfc3339("2024-08-08T12:00:00Z");
Instrument btc() { return *Instrument::parse("binance:BTCUSDT"); }

class ReconciledFilesTest : public testing::Test {
 protected:
  static std::filesystem::path fresh_directory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "truetape-reconciled-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error{"no temporary directory"};
    return pattern;
  }
  ~ReconciledFilesTest() override { std::filesystem::remove_all(data_); }

  // All windows of these minutes are equal, with that revision.
  void keep(int from, int to, std::uint64_t revision, Instrument of = btc()) {
    Reconciliation result;
    result.instrument = of;
    result.interval = kMinute;
    result.from = kStart + from * kMinute;
    result.to = kStart + to * kMinute;
    result.at = kStart + 1h + std::chrono::seconds{++kept_};
    result.equal = {{result.from, 1, false, std::vector<std::uint64_t>(static_cast<std::size_t>(to - from), revision)}};
    const Status done = keep_reconciliation(data_, result);
    ASSERT_TRUE(done) << done.error().detail;
  }
  std::vector<std::string> files() const {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator{data_ / "reconcile"})
      out.push_back(entry.path().filename().string());
    std::ranges::sort(out);
    return out;
  }
  // "minute=revision" of each.
  std::vector<std::string> windows(int from, int to, std::uint64_t most = 1000, bool newest = false) {
    std::vector<std::string> out;
    for (const ReconciledWindow& window :
         files_.windows(btc(), Tape::trade, kMinute, kStart + from * kMinute, kStart + to * kMinute, most, newest))
      out.push_back(std::to_string((window.start - kStart) / kMinute) + '=' + std::to_string(window.revision));
    return out;
  }

  const std::filesystem::path data_ = fresh_directory();
  int kept_ = 0;
  std::vector<std::string> told_;
  ReconciledFiles files_{data_, [this](const std::string& text) { told_.push_back(text); }};
};

// A comparison of each hour up to now: one file, however many were made.
TEST_F(ReconciledFilesTest, AComparisonTakesThePlaceOfThoseItCovers) {
  EXPECT_THAT(windows(0, 10), IsEmpty());
  for (int end = 1; end <= 6; ++end) keep(0, end, static_cast<std::uint64_t>(end));
  EXPECT_THAT(files(), ElementsAre("binance%3ABTCUSDT.trade.1m.1723118400-1723118760.json"));
  keep(2, 8, 7);
  keep(0, 3, 8, *Instrument::parse("binance:ETHUSDT"));
  EXPECT_EQ(files().size(), 3U);  // what it does not cover wholly, and what is of another series, stays
  EXPECT_THAT(windows(0, 10), ElementsAre("0=6", "1=6", "2=7", "3=7", "4=7", "5=7", "6=7", "7=7"));
}

TEST_F(ReconciledFilesTest, AFileIsParsedOnceUntilItIsReplaced) {
  keep(0, 3, 1);
  keep(2, 5, 2);
  keep(100, 101, 3);
  for (int i = 0; i < 10; ++i) EXPECT_THAT(windows(0, 5), ElementsAre("0=1", "1=1", "2=2", "3=2", "4=2"));
  EXPECT_EQ(files_.parsed(), 2U);
  keep(0, 3, 40);
  EXPECT_THAT(windows(0, 5), ElementsAre("0=40", "1=40", "2=40", "3=2", "4=2"));
  EXPECT_EQ(files_.parsed(), 3U);
  keep(0, 6, 5);
  EXPECT_THAT(windows(0, 3), ElementsAre("0=5", "1=5", "2=5"));
  EXPECT_EQ(files_.parsed(), 4U);
  std::filesystem::remove_all(data_ / "reconcile");
  EXPECT_THAT(windows(0, 5), IsEmpty());
}

TEST_F(ReconciledFilesTest, NoMoreThanIsAskedFor) {
  keep(0, 4, 1);
  keep(50, 53, 2);
  EXPECT_THAT(windows(1, 60, 4), ElementsAre("1=1", "2=1", "3=1", "50=2"));
  EXPECT_THAT(windows(0, 60, 4, true), ElementsAre("3=1", "50=2", "51=2", "52=2"));
  EXPECT_THAT(windows(0, 52, 1, true), ElementsAre("51=2"));
  EXPECT_THAT(windows(4, 50, 5), IsEmpty());
  EXPECT_EQ(files_.windows(btc(), Tape::trade, kMinute, Timestamp::min(), Timestamp::max(), 5, true).size(), 5U);
}

TEST_F(ReconciledFilesTest, AFileThatCannotBeReadIsToldOnce) {
  keep(0, 2, 1);
  std::ofstream{data_ / "reconcile" / "binance%3ABTCUSDT.trade.1m.1723118400-1723118460.json"} << "{}";
  for (int i = 0; i < 3; ++i) EXPECT_THAT(windows(0, 2), ElementsAre("0=1", "1=1"));
  ASSERT_EQ(told_.size(), 1U);
  EXPECT_THAT(told_[0], HasSubstr("460.json: $.version is missing; delete it, or compare again"));
}

}  // namespace
}  // namespace truetape::app
