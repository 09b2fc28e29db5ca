#include "serve/context.h"

#include "serve/fill.h"

namespace truetape {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kWorkers = 3;
constexpr Nanoseconds kLongestLag = 3s;  // that is waited for
constexpr Nanoseconds kBetweenLooks = 20ms;

Recent::Options options_of(const ServeConfig& config, const ServeParts& parts) {
  return {.intervals = parts.intervals,
          .candles = config.recent_candles,
          .trades = config.recent_trades,
          .stale_after = config.stale_after,
          .partitions = parts.log.partitions()};
}

}  // namespace

Context::Context(net::Loop& l, const ServeConfig& c, ServeParts p)
    : loop{l}, config{c}, parts{std::move(p)}, recent{options_of(config, parts)}, workers{l, kWorkers} {}

net::awaitable<Status> Context::filled(InstrumentMemory& of) {
  recent.ask(of, loop.now());
  if (of.filled) co_return Status{};
  auto& slot = filling_[of.instrument];
  if (slot) {
    const auto filling = slot;
    co_await filling->done.wait();
    co_return filling->status;
  }
  const auto filling = slot = std::make_shared<Filling>(loop);
  recent.begin_filling(of);
  filling->status = co_await fill(of);
  if (!filling->status) recent.give_up_filling(of);
  filling_.erase(of.instrument);
  filling->done.set();
  co_return filling->status;
}

net::awaitable<Status> Context::fill(InstrumentMemory& of) {
  // What memory has let go before must be in the store; then store and memory together are without a hole.
  struct Needed {
    std::int64_t candles = 0, trades = 0;
  } needed;
  const std::int64_t skipped = recent.begun(topic::trades, of.partition);
  if (of.dropped) {
    needed.candles = recent.applied(topic::candles, of.partition);
    needed.trades = recent.applied(topic::trades, of.partition);
  }
  needed.trades = std::max(needed.trades, skipped);
  const net::SteadyTime until = loop.now() + kLongestLag;
  const History& history = parts.history;
  const std::int32_t partition = of.partition;
  while (of.dropped) {
    const auto look = [&history, needed, partition] {
      const auto candles = history.loaded(topic::candles, partition);
      const auto trades = history.loaded(topic::trades, partition);
      return candles && trades && candles->value_or(0) >= needed.candles && trades->value_or(0) >= needed.trades;
    };
    const bool there = co_await workers.run(look);
    if (there) break;
    if (loop.now() >= until)
      co_return failure(Fault::unavailable, Retry::after_backoff,
                        "the store does not yet have the recent past of " + of.instrument.str() +
                            ": loading is behind; ask again in a moment");
    co_await loop.sleep(kBetweenLooks);
  }
  const Recent::Options& options = recent.options();
  // Named: GCC 12 destroys a closure that is made inside a co_await expression twice.
  const auto read = [&history, &options, kept = recent.kept(), instrument = of.instrument] {
    return read_filled(history, instrument, options.intervals, kept, options.trades);
  };
  auto filled = co_await workers.run(read);
  if (!filled) co_return tl::unexpected{filled.error()};
  recent.fill(of, *filled);
  co_return Status{};
}

}  // namespace truetape
