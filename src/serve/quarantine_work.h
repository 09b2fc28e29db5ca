// Items in quarantine are judged again, or given up: records of raw, from what a store has. Called by the REST calls on
// a thread of their own, and by the command; process does the rest when it reads the records.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "codec/quarantine.h"
#include "log/log.h"
#include "stores/history.h"

namespace truetape {

struct QuarantineWork {
  Selection what{};                       // of these, all
  std::vector<QuarantinePlace> places{};  // or only those that stand here
  bool drop = false;
  std::uint64_t most = UINT64_MAX;
};

struct QuarantineWorked {
  std::uint64_t sent = 0;      // items, durable in raw
  std::uint64_t unusable = 0;  // items that cannot be judged again or dropped
  std::string why;             // of the first of them: "0/4711/3: …"
  bool more = false;           // there are more than `most`
};

// Where its records go.
struct QuarantineWay {
  Appender& appender;  // of topic raw
  std::int32_t partitions = 1;
  // The instruments that a venue's frame speaks of (route_frame of venues/venue.h). Empty: of none.
  std::function<std::vector<Instrument>(std::string_view venue, std::string_view frame)> route{};
};

// Rows of another log that the store also holds are left alone. An error: some of the records may be in raw; an item
// that is judged twice changes nothing. A frame that named no instrument when it came, and does now, goes where these
// are, a record for each partition.
Result<QuarantineWorked> work_quarantine(const History& history, const QuarantineWay& way, const QuarantineWork& work);

}  // namespace truetape
