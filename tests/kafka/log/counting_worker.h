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

// Each call answers the error of the log, if there is one: then the worker is dead.
class CountingWorker {
 public:
  static Result<std::unique_ptr<CountingWorker>> open(Log& log);
  // Takes what comes in hand. Again only after a commit, if it gave records.
  std::optional<Error> poll(std::chrono::milliseconds linger);
  bool in_hand() const { return in_hand_; }
  // What is in hand; does nothing if nothing is.
  std::optional<Error> commit();
  std::optional<Error> step(std::chrono::milliseconds linger);  // both
  // Of what is in hand. Views, until the next call.
  std::vector<Output> outputs();
  std::vector<StateChange> changes();

  std::set<std::int32_t> mine() const;
  int commits() const { return commits_; }
  const std::vector<std::string>& faults() const { return faults_; }  // of the log, in words

 private:
  std::unique_ptr<Task> task_;
  std::map<std::int32_t, conformance::CountingHeart> hearts_;
  std::vector<std::string> faults_;
  bool in_hand_ = false;
  int commits_ = 0;
};

}  // namespace truetape::kafka::testing
