// A scripted venue, the feed and the heart in one process: what the feed has put so far is folded when a test wants to
// know. Real sockets on loopback, manual time.
#pragma once

#include "batch/decoders.h"
#include "market/processor.h"
#include "venues/binance/feed_testing.h"

namespace truetape::binance {

inline const Instrument kBtc = *Instrument::parse("binance:BTCUSDT");

class FeedHeartTest : public FeedTest {
 protected:
  // The heart of one partition over all that the feed has put so far.
  void fold() {
    results_.clear();
    Rules rules;
    rules.intervals = {Interval{1}, Interval{60}};
    Processor heart{rules, all_decoders(), 0, 1};
    std::int64_t offset = 0;
    for (const PutRecord& record : sink_.records) {
      std::vector<Header> headers;
      for (const auto& [name, value] : record.headers) headers.push_back({name, value});
      heart.fold(read_raw(record.bytes, headers, record.partition, offset++), results_);
    }
    heart.finish_batch(results_);
  }
  // "complete/ids", of the last row of the minute that many minutes after the start's.
  std::string minute(int number, const Instrument& instrument = kBtc) const {
    std::string out = "-";
    for (const Candle& c : results_.candles)
      if (c.instrument == instrument && c.interval == Interval{60} && c.start == kStart + std::chrono::minutes{number})
        out = std::string{name(c.completeness)} + "/" + std::string{name(c.proof)};
    return out;
  }
  std::set<std::string> words(Interval interval) const {
    std::map<Timestamp, std::string> last;
    for (const Candle& c : results_.candles)
      if (c.interval == interval && c.status != CandleStatus::open) last[c.start] = name(c.completeness);
    std::set<std::string> out;
    for (const auto& [start, word] : last) out.insert(word);
    return out;
  }
  std::vector<std::string> gaps() const {
    std::vector<std::string> out;
    for (const Gap& g : results_.gaps)
      out.push_back(std::string{name(g.state)} + " " + std::to_string(g.first_id) + "-" +
                    (g.last_id ? std::to_string(*g.last_id) : ""));
    return out;
  }
  void trade(int id, Nanoseconds before = 0ns, const std::string& symbol = "BTCUSDT") {
    const std::string stream = net::ascii_lower(symbol) + "@trade";
    const std::size_t have = sink_.of_kind("frame").size();
    std::size_t sent = 0;
    for (const auto& client : venue_.clients) {
      if (client->gone || !client->streams.contains(stream)) continue;
      client->send(stream, venue_.trade(symbol, id, before));
      ++sent;
    }
    ASSERT_TRUE(frames(have + sent));
  }
  Results results_;
};

}  // namespace truetape::binance
