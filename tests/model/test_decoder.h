// A venue for tests: one line of text per item, so that no real decoder takes part in judging the heart.
//   T SYMBOL trade|agg ID TIME_NS PRICE QUANTITY b|s|? KIND|- FIRST LAST   a trade
//   E SYMBOL trade|agg ID TIME_NS                                          a marker that is no trade
//   H …as T…            not usable (reason price) unless replayed: as if a newer program could read it
//   J SYMBOL trade|agg ID                                                  not usable, without a time
//   G …                                                                    not usable, without an id
//   N …                                                                    not a trade
#pragma once

#include <string>
#include <string_view>

#include "core/event.h"

namespace truetape::model {

class TestDecoder final : public Decoder {
 public:
  void decode(const RawRecord& record, Events& out) const override;
  // "test": contiguous, "loose": rising, anything else: none.
  TradeIds trade_ids(std::string_view venue) const override;
};

}  // namespace truetape::model
