// Under which epoch a Task's partitions are built: that of the log as of their taking over, however old the process.
#include <map>
#include <utility>

#include "fixture.h"

namespace truetape::kafka {
namespace {

using testing::until;
using namespace std::chrono_literals;

// A worker that notes under which epoch each of its partitions was built.
class Epochs {
 public:
  explicit Epochs(std::unique_ptr<KafkaLog> log) : log_{std::move(log)}, task_{log_->task().value()} {}
  bool polls() {
    const auto step = task_->poll(10ms);
    EXPECT_TRUE(step) << step.error().detail;
    if (!step) return false;
    for (const std::int32_t partition : step->revoked) of.erase(partition);
    for (const Task::Assigned& assigned : step->assigned) of[assigned.partition] = log_->epoch();
    return true;
  }
  KafkaLog& log() { return *log_; }
  std::map<std::int32_t, std::int64_t> of;

 private:
  std::unique_ptr<KafkaLog> log_;
  std::unique_ptr<Task> task_;
};

class KafkaEpoch : public testing::KafkaOnly {
 protected:
  std::int64_t renew() const {
    const auto log = open("");
    EXPECT_TRUE(log->renew_epoch());
    return log->epoch();
  }
  static std::map<std::int32_t, std::int64_t> all_of(std::int64_t epoch) {
    return {{0, epoch}, {1, epoch}, {2, epoch}, {3, epoch}};
  }
};

TEST_F(KafkaEpoch, PartitionsThatAreTakenOverAreBuiltUnderTheLogsPresentOne) {
  Epochs old{open("a")};
  const std::int64_t first = old.log().epoch();
  ASSERT_TRUE(until([&] { return old.polls() && old.of.size() == 4; }));
  EXPECT_EQ(old.of, all_of(first));
  const std::int64_t second = renew();
  ASSERT_GT(second, first);
  std::int64_t third = 0;
  {
    Epochs young{open("b")};
    ASSERT_TRUE(until([&] { return old.polls() && young.polls() && old.of.size() == 2 && young.of.size() == 2; }));
    for (const auto& [partition, epoch] : old.of) EXPECT_EQ(epoch, second) << partition;
    for (const auto& [partition, epoch] : young.of) EXPECT_EQ(epoch, second) << partition;
    third = renew();
    ASSERT_GT(third, second);
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(old.polls() && young.polls());
    EXPECT_EQ(old.log().epoch(), second) << "it goes on as it began, until it takes over";
  }
  ASSERT_TRUE(until([&] { return old.polls() && old.of.size() == 4; }));
  EXPECT_EQ(old.of, all_of(third));
}

}  // namespace
}  // namespace truetape::kafka
