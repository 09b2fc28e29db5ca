// A page of trades as it was answered, looked at just as far as is needed to go on: which ids stand in it, and in which
// order. What the trades are is for the decoder.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/records.h"

namespace truetape::binance {

struct Page {
  std::vector<std::uint64_t> ids;                               // readable ones, in the order of the page
  std::vector<std::string_view> elements;                       // all, as they stand
  std::vector<std::pair<std::uint64_t, std::uint64_t>> absent;  // (first, last) between neighbours
  bool rising = true;                                           // each id is greater than the one before
  std::string problem;                                          // not empty: this is no page, and says why
};

// `text` outlives the answer.
Page read_page(std::string_view text, Tape tape);

}  // namespace truetape::binance
