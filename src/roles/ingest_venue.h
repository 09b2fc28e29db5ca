// Inside of the role ingest: one venue's feed, the sink that it puts into, and what is told of it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "roles/ingest.h"

namespace truetape {

// What is counted for one venue.
struct IngestMeters {
  IngestMeters(Metrics& metrics, std::string_view venue);

  // What a feed says of itself now. Connections that are no more are not shown any more.
  void show(const FeedStatus& status);

  Counter &records, &cut, &waits, &frames, &bytes, &connects, &failures;
  Gauge &live, &streams, &confirmed, &unknown, &instruments, &last_frame;
  SecondsGauge& clock_offset;

 private:
  struct OfConnection {
    SecondsGauge &last_frame, &witness;
  };
  Metrics& metrics_;
  const std::string venue_;
  std::map<std::string, OfConnection> connections_;  // all that there ever were
};

// A feed's way into raw. Another one for each feed, so that only those connections leave off waiting that are to end.
class VenueSink final : public RawSink {
 public:
  VenueSink(LastingAppender& raw, std::int32_t partitions, net::Loop& loop, IngestMeters* meters, Tell tell);

  std::int32_t partitions() const override { return partitions_; }
  [[nodiscard]] bool put(std::int32_t partition, std::string_view key, std::string_view bytes,
                         std::span<const Header> headers) override;
  net::awaitable<void> room() override;
  std::uint64_t generation() const override { return raw_.generation(); }
  // From now on room() returns at once.
  void release() { released_.set(); }

 private:
  bool put_cut(std::int32_t partition, const Record& whole);

  LastingAppender& raw_;
  const std::int32_t partitions_;
  IngestMeters* const meters_;
  const Tell tell_;
  net::Event released_;
  bool short_of_room_ = false;  // since a record was taken last
};

class IngestRole::Venue {
 public:
  Venue(std::string name, Metrics* metrics);

  const std::string name;
  std::unique_ptr<IngestMeters> meters;  // nullptr: nothing is counted

  std::unique_ptr<VenueSink> sink;
  std::unique_ptr<Feed> feed;  // nullptr: none runs
  bool stopping = false;       // it was told to
  bool ended = false;          // its run() has returned
  std::set<Instrument> wanted;
  std::string refused;  // why there is no feed; empty: there could be one

  void count();  // what the feed did since the last time
  // What there is to say, if it is time to say it.
  std::optional<FeedReport> report(Timestamp now, net::SteadyTime steady, Nanoseconds every, bool running);
  void said(FeedReport report, net::SteadyTime steady);

 private:
  std::optional<FeedReport> said_;
  net::SteadyTime said_at_{};
  std::uint64_t frames_ = 0, bytes_ = 0, connects_ = 0, failures_ = 0;  // of this feed, that were counted

  friend class IngestRole;
};

}  // namespace truetape
