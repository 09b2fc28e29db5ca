#include "log/read.h"

#include <string>

namespace truetape {

Status read_stretch(Log& log, const Stretch& stretch, const std::function<bool(const Stored&)>& each,
                    std::chrono::seconds patience, const std::function<void(std::int64_t oldest)>& deleted) {
  if (stretch.from >= stretch.to) return {};
  auto reader = log.reader(stretch.topic, "", Share::all);
  if (!reader) return tl::unexpected{reader.error()};
  if (const auto assigned = (*reader)->poll(std::chrono::milliseconds{0}); !assigned)
    return tl::unexpected{assigned.error()};
  std::int64_t next = stretch.from;  // behind the last record
  const auto seek = [&]() -> Status { return (*reader)->seek(stretch.partition, next); };
  // An error that says that records are gone: seeks to those that are not, as long as there are more.
  const auto pass_over = [&](Status sought) -> Status {
    while (!sought && deleted && sought.error().fault == Fault::out_of_range) {
      const auto span = log.span(stretch.topic, stretch.partition);
      if (!span) return tl::unexpected{span.error()};
      if (span->oldest <= next) return sought;
      deleted(next = span->oldest);
      sought = seek();
    }
    return sought;
  };
  if (Status sought = pass_over(seek()); !sought) return sought;
  std::int64_t last = next;
  for (auto since = std::chrono::steady_clock::now();;) {
    const auto step = (*reader)->poll(std::chrono::milliseconds{100});
    if (!step) {
      if (Status sought = pass_over(tl::unexpected{step.error()}); !sought) return sought;
      continue;
    }
    for (const Stored& stored : step->records) {
      if (stored.offset >= stretch.to || !each(stored)) return {};
      next = stored.offset + 1;
    }
    const std::int64_t position = (*reader)->position(stretch.partition).value_or(last);
    if (position >= stretch.to) return {};
    const auto now = std::chrono::steady_clock::now();
    if (position != last) {
      last = position;
      since = now;
    } else if (now - since > patience) {
      return failure(Fault::unavailable, Retry::after_backoff,
                     std::string{stretch.topic} + '/' + std::to_string(stretch.partition) +
                         " gave nothing beyond offset " + std::to_string(position) + " for " +
                         std::to_string(patience.count()) + " s, though it ends at " + std::to_string(stretch.to) +
                         "; a transaction may be open there: try again later.");
    }
  }
}

}  // namespace truetape
