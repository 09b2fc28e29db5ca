// The same pair on two venues: which instruments are compared, and where their prices were apart (codec/cross.h).
// Follows what the log brings, as the memory of the recent past does; on the loop's thread. Says nothing of what was
// before the start, and does not take back what it said when a candle is corrected later.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "codec/cross.h"
#include "metrics/metrics.h"
#include "serve/follow.h"

namespace truetape {

struct CrossOptions {
  CrossRule rule = {};
  // Compared though their common names differ.
  std::vector<std::pair<Instrument, Instrument>> pairs = {};
  bool same_names = true;  // those too to which venues' lists give the same common name
};

class CrossWatch {
 public:
  // `base`: the interval of the candles whose closes are compared. `tell`: one sentence about a deviation that has
  // lasted. Borrowed; outlive it.
  CrossWatch(CrossOptions options, Interval base, Metrics& metrics, std::function<void(const std::string&)> tell);

  void take(const Followed& batch);
  // Newest first, those that go on before those that ended; at most 200 of these are kept.
  std::vector<Deviation> rows() const;

 private:
  struct Pair {
    Instrument a, b;
    CrossCheck check;
  };
  void pair(const Instrument& a, const Instrument& b);
  void drop(const Instrument& a, const Instrument& b);
  void named(const Instrument& instrument, const std::string& name);
  void collect(Pair& of);
  void count();

  CrossOptions options_;
  Interval base_;
  Metrics& metrics_;
  std::function<void(const std::string&)> tell_;
  std::map<std::pair<Instrument, Instrument>, std::unique_ptr<Pair>> pairs_;
  std::multimap<Instrument, std::pair<Pair*, std::size_t>> sides_;
  std::map<std::string, std::vector<Instrument>> names_;  // instruments by their common name
  std::map<Instrument, std::string> name_of_;             // and back
  std::deque<Deviation> ended_;
};

}  // namespace truetape
