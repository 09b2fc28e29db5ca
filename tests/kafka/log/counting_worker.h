// A worker of the counting world (log/conformance/counting.h): polls, folds, commits, and tells every fault of the log.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "log/conformance/counting.h"
#include "log/log.h"

namespace truetape::kafka::testing {

class CountingWorker {
 public:
  static Result<std::unique_ptr<CountingWorker>> open(Log& log);
  // One step; without `commits` it stops before its commit. The error of the log, if there is one: then it is dead.
  std::optional<Error> step(std::chrono::milliseconds linger, bool commits = true);
  std::set<std::int32_t> mine() const;
  int commits() const { return commits_; }
  const std::vector<Task::Lost>& lost() const { return lost_; }
  const std::vector<std::string>& faults() const { return faults_; }  // of the log, in words

 private:
  std::unique_ptr<Task> task_;
  std::map<std::int32_t, conformance::CountingHeart> hearts_;
  std::vector<Task::Lost> lost_;
  std::vector<std::string> faults_;
  int commits_ = 0;
};

}  // namespace truetape::kafka::testing
