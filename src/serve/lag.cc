#include "serve/lag.h"

#include <array>

namespace truetape {
namespace {

// What load copies into a store.
constexpr std::array kLoaded{topic::trades,   topic::candles,     topic::gaps, topic::quarantine, topic::late,
                             topic::progress, topic::instruments, topic::news, topic::news_counts};
constexpr Nanoseconds kFresh = std::chrono::milliseconds{200};

using Positions = std::map<std::pair<std::string_view, std::int32_t>, std::int64_t>;

Result<Lag> look(const Log& log, const History& history, const Positions& positions) {
  Lag out;
  for (std::int32_t p = 0; p < log.partitions(); ++p) {
    const auto raw = log.span(topic::raw, p);
    if (!raw) return tl::unexpected{raw.error()};
    const auto committed = log.committed(p);
    if (!committed) return tl::unexpected{committed.error()};
    // Position and end are read one after the other: neither difference may hide another partition's.
    out.process += std::max<std::int64_t>(0, raw->end - std::max(*committed, raw->oldest));
    for (const std::string_view topic : kLoaded) {
      const auto span = log.span(topic, p);
      if (!span) return tl::unexpected{span.error()};
      if (span->end == span->oldest) continue;
      const auto loaded = history.loaded(topic, p);
      if (!loaded && loaded.error().fault != Fault::not_found) return tl::unexpected{loaded.error()};
      out.load += std::max<std::int64_t>(0, span->end - std::max(loaded ? loaded->value_or(0) : 0, span->oldest));
    }
  }
  for (const auto& [place, next] : positions) {
    const auto span = log.span(place.first, place.second);
    if (!span) return tl::unexpected{span.error()};
    out.serve += span->end - std::clamp(next, span->oldest, span->end);
  }
  return out;
}

}  // namespace

net::awaitable<Result<Lag>> LagWatch::read() {
  if (last_ && context_.loop.now() - at_ < kFresh) co_return *last_;
  const Log& log = context_.parts.log;
  const History& history = context_.parts.history;
  const auto call = [&log, &history, positions = context_.recent.positions()] { return look(log, history, positions); };
  auto lag = co_await worker_.run(call);
  if (lag) {
    last_ = *lag;
    at_ = context_.loop.now();
  }
  co_return lag;
}

}  // namespace truetape
