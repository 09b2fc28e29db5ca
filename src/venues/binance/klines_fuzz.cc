// Any bytes as klines of two lengths: no crash; what is read are windows of that length, in order, without negative
// numbers; what is not has a sentence. The same as an answer about the time.
#include <cstdlib>
#include <string_view>

#include "venues/binance/klines.h"

namespace {

void demand(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace truetape;
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  for (const Interval interval : {Interval{60}, Interval{86400}}) {
    const auto read = binance::read_klines(bytes, interval);
    demand(read || !read.error().detail.empty());
    for (std::size_t i = 0; read && i < read->size(); ++i) {
      const OfficialCandle& candle = (*read)[i];
      demand(candle.start == window_start(candle.start, interval));
      demand(i == 0 || candle.start > (*read)[i - 1].start);
      demand(candle.open.mantissa >= 0 && candle.low.mantissa >= 0 && candle.volume.units >= 0);
      demand(!candle.quote_volume || candle.quote_volume->units >= 0);
    }
  }
  const auto time = binance::kSpotKlines.time(bytes);
  demand(time || !time.error().detail.empty());
  return 0;
}
