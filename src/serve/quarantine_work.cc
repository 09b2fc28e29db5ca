#include "serve/quarantine_work.h"

#include <algorithm>
#include <chrono>
#include <map>

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

// Where a record that names instruments is judged: where they are, which need not be the item's own place.
std::int32_t partition_for(const QuarantineWay& way, const Quarantined& item, const RawText& record) {
  for (const auto& [name, value] : record.headers) {
    if (name != header::instruments) continue;
    const auto first = Instrument::parse(std::string_view{value}.substr(0, value.find(',')));
    return first ? partition_of(*first, way.partitions) : item.partition;
  }
  return item.partition;
}

// The replay of an item: one record, or of a frame that named no instrument when it came one for each partition that it
// names instruments of now. The one with the item's own place goes last: it alone takes it out of quarantine.
Status replay(const QuarantineWay& way, const Quarantined& item) {
  auto record = replay_record(item);
  if (!record) return tl::unexpected{record.error()};
  std::string_view venue;
  std::string *names = nullptr, *ordinal = nullptr;
  bool frame = true;
  for (auto& [name, value] : record->headers) {
    if (name == header::instruments) names = &value;
    if (name == header::original_ordinal) ordinal = &value;
    if (name == header::venue) venue = value;
    if (name == header::original_kind) frame = value == truetape::name(RawKind::frame);
  }
  if (!frame || !names || !names->empty() || !way.route)
    return append(way.appender, partition_for(way, item, *record), *record);
  std::map<std::int32_t, std::string> by_partition;
  for (const Instrument& instrument : way.route(venue, item.raw)) {
    std::string& in = by_partition[partition_of(instrument, way.partitions)];
    in += (in.empty() ? "" : ",") + instrument.str();
  }
  if (by_partition.empty()) return append(way.appender, item.partition, *record);
  // The item's own partition, if it is one of them, knows that place alone to wait.
  const auto own = by_partition.contains(item.partition) ? item.partition : by_partition.begin()->first;
  std::uint32_t part = 0;
  for (const auto& [partition, of_it] : by_partition) {
    if (partition == own) continue;
    *names = of_it;
    *ordinal = std::to_string(item.ordinal + ++part * kMostItems);
    if (const Status done = append(way.appender, partition, *record); !done) return done;
  }
  if (part > 0)
    if (const Status done = flush(way.appender); !done) return done;
  *names = by_partition.at(own);
  *ordinal = std::to_string(item.ordinal);
  return append(way.appender, own, *record);
}

Status drop(const QuarantineWay& way, const Quarantined& item) {
  const auto record = drop_record(item);
  return record ? append(way.appender, partition_for(way, item, *record), *record) : tl::unexpected{record.error()};
}

}  // namespace

Result<QuarantineWorked> work_quarantine(const History& history, const QuarantineWay& way, const QuarantineWork& work) {
  QuarantineWorked out;
  Status failed;
  Selection what = work.what;
  what.this_log = true;
  const Status read = history.quarantine(what, [&](const Quarantined& item) {
    if (!work.places.empty() && std::ranges::find(work.places, place_of(item)) == work.places.end()) return true;
    if (out.sent == work.most) return !(out.more = true);
    Status done = work.drop ? drop(way, item) : replay(way, item);
    if (done) return ++out.sent, true;
    if (done.error().fault != Fault::refused || done.error().retry != Retry::never) return failed = done, false;
    if (out.unusable++ == 0) out.why = to_text(place_of(item)) + ": " + done.error().detail;
    return true;
  });
  if (!read) return tl::unexpected{read.error()};
  if (!failed) return tl::unexpected{failed.error()};
  if (out.sent > 0)
    if (const Status done = flush(way.appender); !done) return tl::unexpected{done.error()};
  return out;
}

}  // namespace truetape
