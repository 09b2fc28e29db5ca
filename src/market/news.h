// Headlines, each once (docs/semantics.md section 14). Part of a partition's heart; state and memory are bounded.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "market/processor.h"

namespace truetape::market {

class NewsDesk {
 public:
  static constexpr std::size_t kIds = 20'000;  // of a partition, remembered: those with the newest times

  // One headline as it was decoded. New: it goes into `out`. Known: nothing, unless it names instruments that it did
  // not name before; then it goes into `out` again, with all of them and the time that it had.
  void fold(const News& news, Results& out);
  // Every changed state key once.
  void finish_batch(Results& out);
  // Keys that is_key() knows, in any order. Throws std::runtime_error on damage.
  void restore(std::string_view key, std::string_view value);
  static bool is_key(std::string_view key) { return key.starts_with("n/"); }

 private:
  struct Known {
    Timestamp time{};
    std::vector<Instrument> related;
  };
  using Id = std::pair<std::string, std::string>;  // venue, id

  std::map<Id, Known> ids_;
  std::set<std::pair<Timestamp, Id>> by_time_;
  std::set<Id> touched_;
};

}  // namespace truetape::market
