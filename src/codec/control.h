// Records of the topic `control`: what is wanted of the roles, and what they say of themselves (docs/records.md). Small
// JSON texts, all in partition 0 so that they have one order; of a key the last record counts. Written by serve, by the
// command line and by ingest; followed by ingest (switch, wanted) and serve (all).
//
//   key                    value
//   ingest                 {"state":"started"} or {"state":"stopped"}; none: started
//   want:binance:BTCUSDT   {"wanted":true} or {"wanted":false}
//   set:rule.off_tick@binance  {"value":"quarantine"}: said while it ran; process has it as a config record of raw
//   feed:binance           a FeedReport; a new one when the state of a connection changes, and each minute
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/instrument.h"
#include "core/result.h"
#include "core/time.h"

namespace truetape {

inline constexpr std::int32_t kControlPartition = 0;

struct IngestSwitch {
  bool started = true;
  friend bool operator==(const IngestSwitch&, const IngestSwitch&) = default;
};

struct WantedInstrument {
  Instrument instrument;
  bool wanted = true;
  friend bool operator==(const WantedInstrument&, const WantedInstrument&) = default;
};

struct RuleSetting {
  std::string name, value;  // as Rules' set() takes them
  friend bool operator==(const RuleSetting&, const RuleSetting&) = default;
};

// How one venue's feed stands, told by the ingest role that runs it.
struct FeedReport {
  struct Connection {
    std::string name;                     // "binance-1"
    std::string state;                    // idle, waiting, connecting, subscribing, live
    std::uint64_t streams = 0;            // wanted
    std::uint64_t confirmed = 0;          // of them, by the venue
    std::uint64_t frames = 0, bytes = 0;  // received since the feed was made
    std::uint64_t connects = 0, failures = 0;
    std::optional<Timestamp> last_frame;  // receive time
    std::optional<Timestamp> witness;     // venue time up to which all has been received
    std::string trouble{};                // why it last failed, until it is live
    std::optional<Timestamp> next_attempt{};
    friend bool operator==(const Connection&, const Connection&) = default;
  };
  std::string venue;
  Timestamp at{};  // when it was told, our clock
  bool running = false;
  std::optional<Nanoseconds> clock_offset{};  // the venue's clock minus ours
  std::vector<Connection> connections{};
  std::vector<Instrument> unknown{};  // wanted, but not in the venue's symbol list
  friend bool operator==(const FeedReport&, const FeedReport&) = default;
};

using ControlRecord = std::variant<IngestSwitch, WantedInstrument, RuleSetting, FeedReport>;

struct ControlText {
  std::string key, value;
};
ControlText control_text(const ControlRecord& record);
// nullopt: a key that this version does not know, to be passed over. Fault::malformed names the JSON path.
Result<std::optional<ControlRecord>> parse_control(std::string_view key, std::string_view value);

// What the records read so far say.
struct ControlState {
  bool started = true;
  std::uint64_t stops = 0;  // how often it was stopped: a stop and a start that are read together are seen by it
  std::set<Instrument> wanted;
  std::map<std::string, std::string> rules;              // settings that were said while it ran, by name
  std::map<std::string, FeedReport, std::less<>> feeds;  // by venue

  void fold(const ControlRecord& record);
  // Is it wanted by itself, or may a wildcard (core/wildcard.h) mean it? `quote`: in which it is priced, if known.
  bool wants(const Instrument& instrument, std::string_view quote) const;
};

}  // namespace truetape
