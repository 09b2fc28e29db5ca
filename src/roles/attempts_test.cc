#include "roles/attempts.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <fstream>
#include <functional>
#include <utility>
#include <vector>

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
  open()->committed(3, 17);  // all before it
  EXPECT_TRUE(open()->is_deadly(3, 17));
  open()->committed(3, 18);
  EXPECT_FALSE(open()->is_deadly(3, 17));
}

// Lives that end one after the other: what each commits first (up to `next` of a partition), then where it dies.
struct Life {
  std::vector<std::pair<std::int32_t, std::int64_t>> commits;
  std::pair<std::int32_t, std::int64_t> dies_at;
};
struct Case {
  const char* what;
  std::vector<Life> lives;
  bool deadly;  // is 17 of partition 3?
};

TEST_F(AttemptsTest, OnlyACommitThatHasTheRecordSettlesTheSuspicion) {
  const std::vector<Case> cases{
      {"another partition commits first, each time",
       {{{{0, 5}}, {3, 17}}, {{{0, 90}}, {3, 17}}, {{{0, 99}, {1, 1}}, {3, 17}}},
       true},
      {"its own partition commits what comes before it",
       {{{}, {3, 17}}, {{{3, 12}}, {3, 17}}, {{{3, 17}}, {3, 17}}},
       true},
      {"it was committed after two ends", {{{}, {3, 17}}, {{}, {3, 17}}, {{{3, 18}}, {3, 17}}}, false},
      {"another record of its partition ends a life",
       {{{}, {3, 17}}, {{}, {3, 17}}, {{}, {3, 18}}, {{}, {3, 17}}},
       false},
      {"the same offset of two partitions", {{{}, {3, 17}}, {{}, {0, 17}}, {{}, {3, 17}}}, false},
  };
  for (const Case& c : cases) {
    std::filesystem::remove(directory_ / "process.attempt");
    for (const Life& life : c.lives)
      live_and_die([&](Attempts& a) {
        for (const auto& [partition, next] : life.commits) a.committed(partition, next);
        a.begin(life.dies_at.first, life.dies_at.second);
      });
    EXPECT_EQ(open()->is_deadly(3, 17), c.deadly) << c.what;
  }
}

TEST_F(AttemptsTest, TheDeadlyRecordsOfOneStepAreAllLeftOut) {
  const std::vector<std::pair<std::int32_t, std::int64_t>> deadly{{0, 5}, {3, 17}, {3, 18}};
  int lives = 0;
  const auto one_life = [&](Attempts& a) {  // works on them in turn
    for (const auto& [partition, offset] : deadly)
      if (!a.is_deadly(partition, offset)) return a.begin(partition, offset);
  };
  for (; lives < 9; ++lives) live_and_die(one_life);
  const auto attempts = open();
  for (const auto& [partition, offset] : deadly) EXPECT_TRUE(attempts->is_deadly(partition, offset));
  attempts->committed(3, 18);
  EXPECT_TRUE(attempts->is_deadly(0, 5));
  EXPECT_FALSE(attempts->is_deadly(3, 17));
  EXPECT_TRUE(attempts->is_deadly(3, 18));
  attempts->committed(0, 6);
  attempts->committed(3, 19);
  for (const auto& [partition, offset] : deadly) EXPECT_FALSE(attempts->is_deadly(partition, offset));
}

TEST_F(AttemptsTest, OfMoreDeadlyRecordsThanItRemembersItForgetsTheOldest) {
  for (int i = 0; i < 102; ++i)
    for (int ends = 0; ends < 3; ++ends) live_and_die([i](Attempts& a) { die_at(a, i); });
  const auto attempts = open();
  EXPECT_FALSE(attempts->is_deadly(3, 0));
  for (int i = 1; i < 102; ++i) EXPECT_TRUE(attempts->is_deadly(3, i)) << i;
}

TEST_F(AttemptsTest, AnEndWhileABatchIsFinishedMakesTheNextOneCarefulOfThatPartition) {
  EXPECT_FALSE(open()->careful(3));
  live_and_die([](Attempts& a) { a.begin_finish(3); });
  for (int opened = 0; opened < 2; ++opened) {
    EXPECT_TRUE(open()->careful(3));
    EXPECT_FALSE(open()->careful(2));
  }
  open()->committed(2, 100);
  EXPECT_TRUE(open()->careful(3));
  open()->committed(3, 1);
  EXPECT_FALSE(open()->careful(3));
  live_and_die([](Attempts& a) { a.begin_finish(0); });
  EXPECT_TRUE(open()->careful(0));
  EXPECT_FALSE(open()->careful(1));
  // Two partitions would take turns in it for ever.
  live_and_die([](Attempts& a) { a.begin_finish(1); });
  for (const std::int32_t partition : {0, 1, 2}) EXPECT_TRUE(open()->careful(partition));
}

// The file as it was before it told which partition: 44 bytes, then zeros.
struct OldPage {
  std::array<char, 8> magic{'p', 'a', 't', 't', 'm', 'p', 't', '1'};
  std::uint32_t phase = 0;
  std::int32_t partition = 3;
  std::int64_t offset = 17, suspect_offset = 17;
  std::int32_t suspect_partition = 3;
  std::uint32_t suspect_ends = 0, careful = 0, zero = 0;
};

TEST_F(AttemptsTest, FilesOfOlderVersionsAreRead) {
  const auto put = [this](const OldPage& page) {
    std::ofstream file{directory_ / "process.attempt", std::ios::binary};
    file.write(reinterpret_cast<const char*>(&page), sizeof page);
    file << std::string(4096 - sizeof page, '\0');
  };
  put({.phase = 1, .suspect_ends = 1});
  live_and_die([](Attempts& a) { die_at(a, 17); });
  EXPECT_TRUE(open()->is_deadly(3, 17));
  put({.suspect_ends = 3});
  EXPECT_TRUE(open()->is_deadly(3, 17));
  for (const OldPage& page : {OldPage{.phase = 2}, OldPage{.careful = 1}}) {
    put(page);
    EXPECT_TRUE(open()->careful(0));
    EXPECT_TRUE(open()->careful(3));
    open()->committed(0, 1);  // which partition it was is not known
    EXPECT_FALSE(open()->careful(3));
  }
}

TEST_F(AttemptsTest, AFileThatIsNoneOfOursIsBegunAnew) {
  std::ofstream{directory_ / "process.attempt"} << std::string(200, 'x');
  EXPECT_FALSE(open()->careful(0));
  EXPECT_FALSE(open()->is_deadly(3, 17));
  const auto refused = Attempts::open(directory_ / "nowhere" / "process.attempt");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().detail.find("nowhere"), std::string::npos);
}

}  // namespace
}  // namespace truetape
