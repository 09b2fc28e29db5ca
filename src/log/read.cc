#include "log/read.h"

#include <string>

namespace truetape {

Status read_stretch(Log& log, const Stretch& stretch, const std::function<bool(const Stored&)>& each,
                    std::chrono::seconds patience) {
  if (stretch.from >= stretch.to) return {};
  auto reader = log.reader(stretch.topic, "", Share::all);
  if (!reader) return tl::unexpected{reader.error()};
  if (const auto assigned = (*reader)->poll(std::chrono::milliseconds{0}); !assigned)
    return tl::unexpected{assigned.error()};
  if (Status sought = (*reader)->seek(stretch.partition, stretch.from); !sought) return sought;
  std::int64_t last = stretch.from;
  for (auto since = std::chrono::steady_clock::now();;) {
    const auto step = (*reader)->poll(std::chrono::milliseconds{100});
    if (!step) return tl::unexpected{step.error()};
    for (const Stored& stored : step->records)
      if (stored.offset >= stretch.to || !each(stored)) return {};
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
