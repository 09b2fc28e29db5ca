#include "roles/attempts.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <functional>

namespace truetape {
namespace {

class AttemptsTest : public ::testing::Test {
 protected:
  AttemptsTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "truetape-attempts-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error{"no temporary directory"};
    directory_ = pattern;
  }
  ~AttemptsTest() override { std::filesystem::remove_all(directory_); }
  std::unique_ptr<Attempts> open() {
    auto opened = Attempts::open(directory_ / "process.attempt");
    EXPECT_TRUE(opened) << opened.error().detail;
    return std::move(*opened);
  }
  // A process of its own that is killed (kill -9) where `life` ends.
  void live_and_die(const std::function<void(Attempts&)>& life) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto attempts = Attempts::open(directory_ / "process.attempt");
      if (!attempts) ::_exit(1);
      life(**attempts);
      ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
  }
  static void die_at(Attempts& attempts, std::int64_t offset) { attempts.begin(3, offset); }
  std::filesystem::path directory_;
};

TEST_F(AttemptsTest, ThreeEndsInARowAtOneRecordMakeItDeadly) {
  live_and_die([](Attempts& a) {
    a.begin(3, 16);
    a.end();
    die_at(a, 17);
  });
  live_and_die([](Attempts& a) { die_at(a, 17); });
  // A copy, since opening the file itself and closing it again is an end with nothing in work.
  std::filesystem::copy_file(directory_ / "process.attempt", directory_ / "copy");
  EXPECT_FALSE(Attempts::open(directory_ / "copy").value()->is_deadly(3, 17));
  live_and_die([](Attempts& a) { die_at(a, 17); });
  const auto attempts = open();
  EXPECT_TRUE(attempts->is_deadly(3, 17));
  EXPECT_FALSE(attempts->is_deadly(3, 16));
  EXPECT_FALSE(attempts->is_deadly(2, 17));
}

TEST_F(AttemptsTest, AnEndElsewhereInBetweenBeginsAnew) {
  for (int round = 0; round < 3; ++round) {
    live_and_die([](Attempts& a) { die_at(a, 17); });
    live_and_die([](Attempts& a) { die_at(a, 17); });
    live_and_die([](Attempts& a) { die_at(a, 18); });
  }
  EXPECT_FALSE(open()->is_deadly(3, 17));
  EXPECT_FALSE(open()->is_deadly(3, 18));
}

TEST_F(AttemptsTest, ADeadlyRecordStaysSoUntilItsStepIsCommitted) {
  for (int ends = 0; ends < 3; ++ends) live_and_die([](Attempts& a) { die_at(a, 17); });
  live_and_die([](Attempts& a) { EXPECT_TRUE(a.is_deadly(3, 17)); });
  EXPECT_TRUE(open()->is_deadly(3, 17));
  open()->committed();
  EXPECT_FALSE(open()->is_deadly(3, 17));
}

TEST_F(AttemptsTest, AnEndWhileABatchIsFinishedMakesTheNextOneCareful) {
  EXPECT_FALSE(open()->careful());
  live_and_die([](Attempts& a) { a.begin_finish(); });
  EXPECT_TRUE(open()->careful());
  EXPECT_TRUE(open()->careful());
  open()->committed();
  EXPECT_FALSE(open()->careful());
}

TEST_F(AttemptsTest, AFileThatIsNoneOfOursIsBegunAnew) {
  std::ofstream{directory_ / "process.attempt"} << std::string(200, 'x');
  EXPECT_FALSE(open()->careful());
  EXPECT_FALSE(open()->is_deadly(3, 17));
  const auto refused = Attempts::open(directory_ / "nowhere" / "process.attempt");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().detail.find("nowhere"), std::string::npos);
}

}  // namespace
}  // namespace truetape
