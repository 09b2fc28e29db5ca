// The venue's own candles for `truetape reconcile`: read from files, or asked of the venue's REST interface.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/result.h"
#include "net/proxy.h"
#include "venues/klines.h"

namespace truetape::app {

// Of all files in order, which may come in any order; plain or packed (capture/file_reader.h). An error names the file
// and the place in it; so is a window that is in two of them.
Result<std::vector<OfficialCandle>> official_of_files(const Klines& venue, Interval interval,
                                                      std::span<const std::filesystem::path> files);

struct VenueQuestion {
  std::string rest_url{};  // empty: the venue's own
  std::string ca_file{};
  net::ProxySettings proxy{};
  Instrument instrument;
  Interval interval{};
  Timestamp from{}, to{};  // windows that begin in [from, to)
  // One sentence for a person who waits: a pause the venue asks for, an attempt that failed.
  std::function<void(const std::string&)> tell{};
};
// Page by page, within a quarter of what the venue allows an address, waiting where it says so (429). Only windows that
// had ended 5 s before by the venue's own clock. Blocks; errors say what the venue or the network answered and what to
// do.
Result<std::vector<OfficialCandle>> official_of_venue(const Klines& venue, const VenueQuestion& question,
                                                      const Clock& clock);

}  // namespace truetape::app
