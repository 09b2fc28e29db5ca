#include "serve/quarantine_work.h"

#include <algorithm>
#include <chrono>

namespace truetape {
namespace {

constexpr std::chrono::seconds kLongest{30};  // that the log may take nothing

Status full() {
  return failure(Fault::unavailable, Retry::after_backoff,
                 "the log takes no records now; what was sent until now will be judged, ask again for the rest");
}

Status flush(Appender& appender) {
  const auto durable = appender.flush(kLongest);
  if (!durable) return tl::unexpected{durable.error()};
  return *durable ? Status{} : full();
}

Status append(Appender& appender, std::int32_t partition, const RawText& text) {
  std::vector<Header> headers;
  for (const auto& [name, value] : text.headers) headers.push_back({name, value});
  const Record record{{}, text.value, headers};
  if (record_bytes(record) > kMaxRecordBytes)
    return failure(Fault::refused, Retry::never, "it is too large for a record");
  if (appender.append(partition, record)) return {};
  if (const Status done = flush(appender); !done) return done;
  return appender.append(partition, record) ? Status{} : full();
}

}  // namespace

Result<QuarantineWorked> work_quarantine(const History& history, Appender& appender, const QuarantineWork& work) {
  QuarantineWorked out;
  Status failed;
  Selection what = work.what;
  what.this_log = true;
  const Status read = history.quarantine(what, [&](const Quarantined& item) {
    if (!work.places.empty() && std::ranges::find(work.places, place_of(item)) == work.places.end()) return true;
    if (out.sent == work.most) return !(out.more = true);
    const auto record = work.drop ? drop_record(item) : replay_record(item);
    Status done = record ? append(appender, item.partition, *record) : tl::unexpected{record.error()};
    if (done) return ++out.sent, true;
    if (done.error().fault != Fault::refused || done.error().retry != Retry::never) return failed = done, false;
    if (out.unusable++ == 0) out.why = to_text(place_of(item)) + ": " + done.error().detail;
    return true;
  });
  if (!read) return tl::unexpected{read.error()};
  if (!failed) return tl::unexpected{failed.error()};
  if (out.sent > 0)
    if (const Status done = flush(appender); !done) return tl::unexpected{done.error()};
  return out;
}

}  // namespace truetape
