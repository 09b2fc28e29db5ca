#include "serve/context.h"

#include <algorithm>
#include <exception>

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
    : loop{l},
      config{c},
      parts{std::move(p)},
      recent{options_of(config, parts)},
      cross{config.cross, parts.intervals.front(), parts.metrics, parts.trouble},
      workers{l, kWorkers},
      explainer{l, 1} {}

net::awaitable<Status> Context::filled(InstrumentMemory& of) {
  recent.ask(of, loop.now());
  // Who waited for another's filling is woken a turn later: it may have gone again.
  while (!of.filled) {
    recent.ask(of, loop.now());
    auto& slot = filling_[of.instrument];
    if (slot) {
      const auto filling = slot;
      co_await filling->done.wait();
      if (!filling->status) co_return filling->status;
      continue;
    }
    const auto filling = slot = std::make_shared<Filling>(loop);
    recent.begin_filling(of);
    try {
      filling->status = co_await fill(of);
    } catch (const std::exception& thrown) {  // else who asks later waits for ever
      filling->status = failure(Fault::unavailable, Retry::after_backoff,
                                std::string{"the store cannot be read: "} + thrown.what() + "; ask again in a moment");
    }
    if (!filling->status) recent.give_up_filling(of);
    filling_.erase(of.instrument);
    filling->done.set();
    co_return filling->status;
  }
  co_return Status{};
}

net::awaitable<Status> Context::loaded(std::string_view topic, const InstrumentMemory& of, std::int64_t needed) {
  std::int64_t& known = loaded_[{topic, of.partition}];
  const net::SteadyTime until = loop.now() + kLongestLag;
  const History& history = parts.history;
  const std::int32_t partition = of.partition;
  while (known < needed) {
    // Named: GCC 12 destroys a closure that is made inside a co_await expression twice.
    const auto look = [&history, topic, partition] { return history.loaded(topic, partition); };
    const auto seen = co_await workers.run(look);
    if (seen) known = std::max(known, seen->value_or(0));
    if (known >= needed) break;
    if (loop.now() >= until)
      co_return failure(Fault::unavailable, Retry::after_backoff,
                        "the store does not yet have the recent past of " + of.instrument.str() +
                            ": loading is behind; ask again in a moment");
    co_await loop.sleep(kBetweenLooks);
  }
  co_return Status{};
}

net::awaitable<Status> Context::fill(InstrumentMemory& of) {
  const History& history = parts.history;
  const Recent::Options& options = recent.options();
  for (;;) {
    // What memory has let go, or never had, must be in the store; then store and memory together are without a hole.
    const Gone needed = of.gone;
    const std::uint64_t unfilled = of.unfilled;
    if (Status there = co_await loaded(topic::candles, of, needed.candles); !there) co_return there;
    if (Status there = co_await loaded(topic::trades, of, needed.trades); !there) co_return there;
    const auto read = [&history, &options, kept = recent.kept(), instrument = of.instrument] {
      return read_filled(history, instrument, options.intervals, kept, options.trades);
    };
    auto filled = co_await workers.run(read);
    if (!filled) co_return tl::unexpected{filled.error()};
    if (of.unfilled != unfilled) continue;  // rows were skipped while the store was read
    recent.fill(of, *filled);
    co_return Status{};
  }
}

}  // namespace truetape
