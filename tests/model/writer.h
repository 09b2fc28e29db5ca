// Puts what happened on connections, pages and files in order of arrival and makes raw records of it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "generator.h"

namespace truetape::model {

inline constexpr std::int64_t kMs = 1'000'000, kSecond = 1'000 * kMs, kMinute = 60 * kSecond, kHour = 60 * kMinute;
// 2024-03-05T11:00:00Z: a whole day, 4 h and 1 h window begin nearby.
inline constexpr std::int64_t kBegin = 1'709'636'400 * kSecond;

class Writer {
 public:
  Writer(Dice& dice, const Market& market) : dice_{dice}, market_{market} {}

  // A line on a connection; lines that follow each other may share a frame. `at`: our clock, in ns.
  void add_line(std::int64_t at, const Listing& l, const std::string& session, std::string text,
                std::int64_t venue_time);
  void add(std::int64_t at, Message m);
  static Message message(RawKind kind, const Listing& l);
  // A session record to every partition. `ping`: the venue answered a ping just now; else the newest time received
  // counts.
  void add_session(std::int64_t at, const std::string& session, const char* event, std::int64_t subscribed, bool ping);
  // Rows of a file, in chunks of at least `least` and at most `most`.
  std::vector<Message> chunks(const Listing& l, const std::vector<const Happened*>& rows, const std::string& file,
                              bool archive, std::int64_t least, std::int64_t most);
  // Puts everything in order of arrival, forms frames, numbers the sessions' records.
  // `clock_offset`: venue's clock minus ours, of each session.
  std::vector<Message> finish(const std::map<std::string, std::int64_t>& clock_offset);

 private:
  struct Delivery {
    std::int64_t at = 0;  // our clock
    std::uint64_t tie = 0;
    int partition = 0;
    // A line on a connection (grouped into frames later), or a whole message.
    std::string session, instrument, text;
    std::int64_t venue_time = 0;
    std::optional<Message> message;
  };

  Dice& dice_;
  const Market& market_;
  std::vector<Delivery> deliveries_;
  std::uint64_t tie_ = 0;
};

void add_tape_configs(const Market& market, std::vector<Message>& out);
Message with_range(Message m, const std::string& range, std::int64_t from, std::int64_t to);

}  // namespace truetape::model
