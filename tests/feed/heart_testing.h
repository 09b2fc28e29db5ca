// A venue's feed test (its fixture is `Base`, with a MemorySink sink_) and the heart behind it: what candles, gaps and
// quarantine say of all that the feed has put. Called by tests, on their thread.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "batch/decoders.h"
#include "market/processor.h"
#include "venues/feed_testing.h"

namespace truetape {

template <class Base>
class HeartOver : public Base {
 protected:
  // The heart of all partitions over all that the feed has put so far, from the beginning.
  void fold() {
    results_.clear();
    Rules rules;
    rules.intervals = {Interval{1}, Interval{60}};
    for (std::int32_t partition = 0; partition < this->sink_.partitions(); ++partition) {
      Processor heart{rules, all_decoders(), partition, 1};
      std::int64_t offset = 0;
      for (const PutRecord& record : this->sink_.records) {
        if (record.partition != partition) continue;
        std::vector<Header> headers;
        for (const auto& [name, value] : record.headers) headers.push_back({name, value});
        heart.fold(read_raw(record.bytes, headers, partition, offset++), results_);
      }
      heart.finish_batch(results_);
    }
  }
  // The last row of each window that is not open.
  std::map<Timestamp, Candle> closed(const Instrument& instrument, Interval interval) const {
    std::map<Timestamp, Candle> out;
    for (const Candle& c : results_.candles)
      if (c.instrument == instrument && c.interval == interval && c.status != CandleStatus::open)
        out.insert_or_assign(c.start, c);
    return out;
  }
  // "complete/ids".
  static std::string word(const Candle& c) {
    return std::string{name(c.completeness)} + "/" + std::string{name(c.proof)};
  }
  // Of the last row of that window, open ones included; "-": none.
  std::string word(const Instrument& instrument, Interval interval, Timestamp start) const {
    std::string out = "-";
    for (const Candle& c : results_.candles)
      if (c.instrument == instrument && c.interval == interval && c.start == start) out = word(c);
    return out;
  }
  std::vector<std::string> gaps() const {
    std::vector<std::string> out;
    for (const Gap& g : results_.gaps)
      out.push_back(std::string{name(g.state)} + " " + std::to_string(g.first_id) + "-" +
                    (g.last_id ? std::to_string(*g.last_id) : ""));
    return out;
  }
  Results results_;
};

}  // namespace truetape
