// The same pair on two venues: which instruments are compared, and where their prices were apart (codec/cross.h).
// Follows what the memory of the recent past is given; on the loop's thread. Says nothing of what was before the start.
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
#include "serve/recent.h"

namespace truetape {

struct CrossOptions {
  CrossRule rule = {};
  // Compared though their common names differ.
  std::vector<std::pair<Instrument, Instrument>> pairs = {};
  bool same_names = true;  // those too to which venues' lists give the same common name
};

class CrossWatch {
 public:
  // `tell`: one sentence about a deviation that has lasted. Borrowed; outlive it.
  CrossWatch(CrossOptions options, Metrics& metrics, std::function<void(const std::string&)> tell);

  // After Recent::apply() of the same batch.
  void take(const Followed& batch, const Changes& changes, const Recent& recent);
  // Newest first, those that go on before those that ended; at most 200 of these are kept.
  std::vector<Deviation> rows() const;

 private:
  struct Pair {
    Instrument a, b;
    CrossCheck check;
  };
  void pair(const Instrument& a, const Instrument& b);
  void named(const Instrument& instrument, const std::string& name);

  CrossOptions options_;
  Metrics& metrics_;
  std::function<void(const std::string&)> tell_;
  std::map<std::pair<Instrument, Instrument>, std::unique_ptr<Pair>> pairs_;
  std::multimap<Instrument, std::pair<Pair*, std::size_t>> sides_;
  std::map<std::string, std::vector<Instrument>> names_;  // instruments by their common name
  std::deque<Deviation> ended_;
};

}  // namespace truetape
