#include "roles/ingest_venue.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

namespace truetape {
namespace {

using Level = FeedEvent::Level;

constexpr Nanoseconds kRoomLook = std::chrono::milliseconds{5};
constexpr Nanoseconds kReportSpacing = std::chrono::seconds{1};
constexpr std::size_t kKept = 64 * 1024;  // of a record that is too long, as an import keeps it

// Apart from what only counts up.
bool same_state(const FeedReport& a, const FeedReport& b) {
  const auto same = [](const FeedReport::Connection& x, const FeedReport::Connection& y) {
    return x.name == y.name && x.state == y.state && x.streams == y.streams && x.confirmed == y.confirmed &&
           x.trouble == y.trouble && x.next_attempt == y.next_attempt;
  };
  return a.running == b.running && a.unknown == b.unknown && std::ranges::equal(a.connections, b.connections, same);
}

void raise(Counter& counter, std::uint64_t& counted, std::uint64_t now) {
  if (now > counted) counter.add(now - counted);
  counted = now;
}

}  // namespace

IngestMeters::IngestMeters(Metrics& metrics, std::string_view venue)
    : records{metrics.counter("truetape_ingest_records_total", "Records that ingest appended to raw.",
                              {{"venue", std::string{venue}}})},
      cut{metrics.counter("truetape_ingest_cut_total",
                          "Records too long for the log, of which only the beginning was kept.",
                          {{"venue", std::string{venue}}})},
      waits{metrics.counter("truetape_ingest_waits_for_room_total",
                            "Times that reading stopped since the log had no room.", {{"venue", std::string{venue}}})},
      frames{metrics.counter("truetape_ingest_frames_total", "Frames received.", {{"venue", std::string{venue}}})},
      bytes{
          metrics.counter("truetape_ingest_bytes_total", "Bytes of frames received.", {{"venue", std::string{venue}}})},
      connects{metrics.counter("truetape_ingest_connects_total", "Connections that were made.",
                               {{"venue", std::string{venue}}})},
      failures{metrics.counter("truetape_ingest_failures_total", "Connections that could not be made, or ended early.",
                               {{"venue", std::string{venue}}})},
      live{metrics.gauge("truetape_ingest_connections_live", "Connections all of whose streams are confirmed.",
                         {{"venue", std::string{venue}}})},
      streams{metrics.gauge("truetape_ingest_streams", "Streams that are wanted.", {{"venue", std::string{venue}}})},
      confirmed{metrics.gauge("truetape_ingest_streams_confirmed", "Of these, confirmed by the venue.",
                              {{"venue", std::string{venue}}})},
      unknown{
          metrics.gauge("truetape_ingest_unknown_instruments",
                        "Wanted instruments that the venue's symbol list does not have, or that it has no feed for.",
                        {{"venue", std::string{venue}}})},
      instruments{metrics.gauge("truetape_ingest_instruments",
                                "Instruments that are wanted, with those that wildcards such as binance:* mean now.",
                                {{"venue", std::string{venue}}})},
      last_frame{metrics.gauge("truetape_ingest_last_frame_seconds",
                               "When the last frame was received, in seconds since 1970.",
                               {{"venue", std::string{venue}}})},
      clock_offset{metrics.seconds("truetape_ingest_clock_offset_seconds", "The venue's clock minus this machine's.",
                                   {{"venue", std::string{venue}}})},
      metrics_{metrics},
      venue_{venue} {}

void IngestMeters::show(const FeedStatus& status) {
  const auto set = [](SecondsGauge& gauge, const std::optional<Timestamp>& time) {
    if (time)
      gauge.set(to_ns(*time));
    else
      gauge.clear();
  };
  std::set<std::string_view> there;
  for (const ConnectionStatus& c : status.connections) {
    if (c.state == ConnectionStatus::State::idle) continue;
    auto known = connections_.find(c.name);
    if (known == connections_.end()) {
      const Labels labels{{"venue", venue_}, {"connection", c.name}};
      known = connections_
                  .emplace(c.name, OfConnection{metrics_.seconds(
                                                    "truetape_ingest_connection_last_frame_seconds",
                                                    "When the connection received its last frame, since 1970.", labels),
                                                metrics_.seconds("truetape_ingest_connection_witness_seconds",
                                                                 "Venue time up to which the connection has received "
                                                                 "everything, since 1970.",
                                                                 labels)})
                  .first;
    }
    there.insert(known->first);
    set(known->second.last_frame, c.last_frame);
    set(known->second.witness, c.witness);
  }
  for (auto& [name, gauges] : connections_)
    if (!there.contains(name)) {
      gauges.last_frame.clear();
      gauges.witness.clear();
    }
  if (status.clock_offset)
    clock_offset.set(status.clock_offset->count());
  else
    clock_offset.clear();
}

VenueSink::VenueSink(LastingAppender& raw, std::int32_t partitions, net::Loop& loop, IngestMeters* meters, Tell tell)
    : raw_{raw}, partitions_{partitions}, meters_{meters}, tell_{std::move(tell)}, released_{loop} {}

bool VenueSink::put(std::int32_t partition, std::string_view key, std::string_view bytes,
                    std::span<const Header> headers) {
  const Record record{key, bytes, headers};
  if (record_bytes(record) > kMaxRecordBytes) return put_cut(partition, record);
  if (!raw_.append(partition, record)) return false;
  short_of_room_ = false;
  if (meters_ != nullptr) meters_->records.add();
  return true;
}

// The log would never take it, and a feed that tries again would hang for ever.
bool VenueSink::put_cut(std::int32_t partition, const Record& whole) {
  const std::string had = std::to_string(whole.value.size());
  std::vector<Header> headers{whole.headers.begin(), whole.headers.end()};
  headers.push_back({header::cut, had});
  const Record record{whole.key, whole.value.substr(0, kKept), headers};
  if (record_bytes(record) > kMaxRecordBytes) {
    raw_.lost();
    tell_(Level::error, "a record of " + std::to_string(record_bytes(whole)) +
                            " bytes is too large for the log even without its content, and is lost; the evidence of "
                            "its session ends: this is a fault of truetape, please report it");
    return true;
  }
  if (!raw_.append(partition, record)) return false;
  tell_(Level::warning, "a frame of " + had + " bytes is too long for a record; its first " + std::to_string(kKept) +
                            " bytes are kept, and go to quarantine");
  if (meters_ != nullptr) meters_->records.add(), meters_->cut.add();
  return true;
}

net::awaitable<void> VenueSink::room() {
  if (!std::exchange(short_of_room_, true) && meters_ != nullptr) meters_->waits.add();
  do {
    const bool released = co_await released_.wait_for(kRoomLook);
    if (released) co_return;
    raw_.look();
  } while (!raw_.has_room());
}

IngestRole::Venue::Venue(std::string venue_name, Metrics* metrics)
    : name{std::move(venue_name)},
      meters{metrics != nullptr ? std::make_unique<IngestMeters>(*metrics, name) : nullptr} {}

void IngestRole::Venue::count() {
  if (!meters) return;
  std::uint64_t frames = 0, bytes = 0, connects = 0, failures = 0;
  std::size_t live = 0, streams = 0, confirmed = 0;
  std::optional<Timestamp> last;
  FeedStatus status;
  if (feed) {
    status = feed->status();
    for (const ConnectionStatus& c : status.connections) {
      frames += c.frames;
      bytes += c.bytes;
      connects += c.connects;
      failures += c.failures;
      streams += c.streams;
      confirmed += c.confirmed;
      if (c.state == ConnectionStatus::State::live) ++live;
      if (c.last_frame && (!last || *c.last_frame > *last)) last = c.last_frame;
    }
  }
  raise(meters->frames, frames_, frames);
  raise(meters->bytes, bytes_, bytes);
  raise(meters->connects, connects_, connects);
  raise(meters->failures, failures_, failures);
  meters->live.set(static_cast<std::int64_t>(live));
  meters->streams.set(static_cast<std::int64_t>(streams));
  meters->confirmed.set(static_cast<std::int64_t>(confirmed));
  meters->instruments.set(static_cast<std::int64_t>(status.instruments));
  meters->unknown.set(static_cast<std::int64_t>(refused.empty() ? status.unknown.size() : wanted.size()));
  meters->show(status);
  if (last) meters->last_frame.set(to_ns(*last) / 1'000'000'000);
}

std::optional<FeedReport> IngestRole::Venue::report(Timestamp now, net::SteadyTime steady, Nanoseconds every,
                                                    bool running) {
  FeedReport out{.venue = name, .at = now, .running = running};
  if (feed) {
    FeedStatus status = feed->status();
    out.clock_offset = status.clock_offset;
    for (ConnectionStatus& c : status.connections)
      out.connections.push_back({std::move(c.name), std::string{truetape::name(c.state)}, c.streams, c.confirmed,
                                 c.frames, c.bytes, c.connects, c.failures, c.last_frame, c.witness,
                                 std::move(c.trouble), c.next_attempt});
    out.unknown.assign(status.unknown.begin(), status.unknown.end());
  } else if (!refused.empty()) {
    out.unknown.assign(wanted.begin(), wanted.end());
  }
  if (said_) {
    const Nanoseconds ago = steady - said_at_;
    if (same_state(out, *said_) ? !running || ago < every : ago < kReportSpacing && running) return std::nullopt;
  }
  return out;
}

void IngestRole::Venue::said(FeedReport report, net::SteadyTime steady) {
  said_ = std::move(report);
  said_at_ = steady;
}

}  // namespace truetape
