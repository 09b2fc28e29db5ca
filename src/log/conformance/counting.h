// A small world whose every record can be checked: numbered records go into `raw`, a heart counts them and writes each
// once to `trades`. Used by the conformance suite, the seeded histories and the children that are killed.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "log/log.h"

namespace truetape::conformance {

// The record with this number in its partition. Its length and content follow from both; keeps its own memory.
class NumberedRecord {
 public:
  NumberedRecord(std::int32_t partition, std::int64_t number);
  NumberedRecord(const NumberedRecord&) = delete;
  Record record() const { return {key_, value_, headers_}; }

 private:
  std::string key_, value_, seq_;
  std::array<Header, 4> headers_;
};
// nullopt if the record is not one of these, to the byte.
std::optional<std::int64_t> number_of(const Stored& stored);

// One partition's fold. State: "count", "sum", "next" (raw offset), and a changing set of keys "slot.N".
class CountingHeart {
 public:
  CountingHeart() = default;
  // The first fault found in the state, or nothing.
  std::optional<std::string> restore(const Task::Assigned& assigned);
  // Why this record must not come now, or nothing.
  std::optional<std::string> fold(const Stored& stored);

  // Made since the last clear().
  std::span<const Output> outputs();
  std::span<const StateChange> changes();
  void clear();
  std::int64_t count() const { return count_; }

 private:
  struct Made {
    std::string key, value;
  };
  std::int32_t partition_ = 0;
  std::int64_t count_ = 0, sum_ = 0, next_ = 0, last_number_ = -1;
  std::vector<Made> made_;
  std::vector<Output> outputs_;
  std::map<std::string, std::optional<std::string>> slots_;
  std::vector<StateChange> changes_;
};

// Runs a Task to the end of what is committed in `raw`. A fault of the log in words, or nothing. An error of the log
// ends it (`error` tells) without being a fault.
std::optional<std::string> run_task(Log& log, std::optional<Error>& error);

// What a flush has promised, by partition.
using Promised = std::vector<std::set<std::int64_t>>;
// All numbers below the given one, by partition.
Promised all_below(const std::vector<std::int64_t>& ends);

// Reads everything and compares: `raw` holds rising numbers, all that were promised among them; `trades` holds exactly
// the records of raw before the Task's position, in order, and the state is their fold; `processed`: that is all of
// raw. The first difference in words, or nothing.
std::optional<std::string> check_world(Log& log, const Promised& promised, bool processed);

}  // namespace truetape::conformance
