#include "app/control_records.h"

#include <chrono>

namespace truetape::app {
namespace {

constexpr auto kMostWait = std::chrono::seconds{30};  // for a log that has no room

}  // namespace

Result<ControlState> read_control(const LmdbLog& log) {
  const auto span = log.span(topic::control, kControlPartition);
  if (!span) return tl::unexpected{span.error()};
  ControlState state;
  const Status read = log.scan(topic::control, kControlPartition, span->oldest, span->end, [&](const Stored& stored) {
    const auto record = parse_control(stored.record.key, stored.record.value);
    if (record && *record) state.fold(**record);
    return true;
  });
  if (!read) return tl::unexpected{read.error()};
  return state;
}

Status append_control(Log& log, std::span<const ControlRecord> records) {
  if (records.empty()) return {};
  auto appender = log.appender(topic::control);
  if (!appender) return tl::unexpected{appender.error()};
  const auto until = std::chrono::steady_clock::now() + kMostWait;
  // False: not yet.
  const auto flush = [&]() -> Result<bool> {
    auto flushed = (*appender)->flush(std::chrono::seconds{1});
    const bool late = std::chrono::steady_clock::now() > until;
    if (flushed && (*flushed || !late)) return flushed;
    if (flushed)
      return failure(Fault::unavailable, Retry::never,
                     "the log has not taken it for " + std::to_string(kMostWait.count()) +
                         " s; it may still be there later: truetape control ls");
    if (flushed.error().fault == Fault::no_space && flushed.error().retry == Retry::after_backoff && !late)
      return false;
    return flushed;
  };
  for (const ControlRecord& record : records) {
    const ControlText text = control_text(record);
    while (!(*appender)->append(kControlPartition, {text.key, text.value, {}}))
      if (const auto flushed = flush(); !flushed) return tl::unexpected{flushed.error()};
  }
  for (;;) {
    const auto flushed = flush();
    if (!flushed) return tl::unexpected{flushed.error()};
    if (*flushed) return {};
  }
}

}  // namespace truetape::app
