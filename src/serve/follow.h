// Follows the log's result topics on a thread of its own, decodes, and hands over what each look brought. While the
// receiver has not taken what it was given, nothing more is read: the log waits, memory stays bounded.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "codec/control.h"
#include "core/records.h"
#include "core/result.h"
#include "log/log.h"
#include "stores/history.h"

namespace truetape {

// What one look at the log brought: of each topic the rows in the order of their partitions' offsets. Progress never
// comes before the candles that it speaks of, but for the first batch's, which is the store's.
struct Followed {
  struct Position {
    std::string_view topic;
    std::int32_t partition;
    std::int64_t next;  // all below was given
  };
  std::vector<Trade> trades;
  std::vector<Candle> candles;
  std::vector<Quote> quotes;
  std::vector<Gap> gaps;
  std::vector<Progress> progress;
  std::vector<Reference> references;
  std::vector<News> news;
  std::vector<NewsCount> news_counts;
  std::vector<ControlRecord> control;
  std::vector<Quote> stored_quotes;  // the store's last prices, which may be older than the log's; the first batch only
  std::vector<Instrument> known;     // the store has rows of them; the first batch only
  std::vector<Position> positions;   // those that have moved
  std::vector<Position> begun;       // where following begins; a first batch only
  // What lies below `next` was not all given, nor need it be in the store yet; a first batch only.
  std::vector<Position> skipped;
  std::chrono::steady_clock::time_point read{};  // when the log gave it
  // All that was in the log when following began has been given, this batch included.
  bool caught_up = false;
};

class Follower {
 public:
  // Called on the follower's thread. `give` must call `taken` once, from any thread, when the batch has been worked in.
  using Give = std::function<void(std::unique_ptr<Followed>, std::function<void()> taken)>;
  // One sentence about an error that is survived by beginning anew.
  using Trouble = std::function<void(const std::string&)>;

  // Borrowed: outlive it. Starts the thread.
  Follower(Log& log, const History& history, Give give, Trouble trouble);
  ~Follower();  // joins; batches that were not taken are forgotten
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace truetape
