// Headlines, each once (docs/semantics.md section 14). Part of a partition's heart; state and memory are bounded.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "market/news_counts.h"
#include "market/processor.h"

namespace truetape::market {

class NewsDesk {
 public:
  static constexpr std::size_t kIds = 20'000;     // of a partition, remembered: those with the newest times
  static constexpr std::size_t kRelated = 1'000;  // instruments of a headline

  // `rows`: that may still change, as NewsCounter::kRows; a test takes fewer.
  explicit NewsDesk(std::size_t rows = NewsCounter::kRows) : counts_{rows} {}

  // One headline as it was decoded. New: it goes into `out`. Known: nothing, unless it names instruments that it did
  // not name before; then it goes into `out` again, with all of them and the time and source that it had. Counted by
  // instrument, source and window as it comes (news_counts.h).
  void fold(const News& news, Results& out);
  // Every changed state key and every changed count once. `epoch`: of the log.
  void finish_batch(Results& out, std::int64_t epoch);
  // Keys that is_key() knows, in any order. Throws std::runtime_error on damage.
  void restore(std::string_view key, std::string_view value);
  static bool is_key(std::string_view key) { return key.starts_with("n/") || NewsCounter::is_key(key); }
  // Once, behind the last restore(). `uncounted`: of a program that did not count.
  void restored(bool uncounted);

 private:
  struct Known {
    Timestamp time{};
    std::vector<Instrument> related;
    std::optional<std::string> source;  // as it is counted; nullopt: it is not
  };
  using Id = std::pair<std::string, std::string>;  // venue, id

  std::map<Id, Known> ids_;
  std::set<std::pair<Timestamp, Id>> by_time_;
  std::set<Id> touched_;
  NewsCounter counts_;
};

}  // namespace truetape::market
