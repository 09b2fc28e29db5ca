#include "roles/load.h"

#include <algorithm>
#include <utility>

#include "codec/quarantine.h"
#include "codec/wire.h"
#include "roles/meters.h"

namespace truetape {
namespace {

// Room for more rows than that is given back once they are written: while the store catches up, another partition fills
// it.
constexpr std::size_t kKeptRows = 512;

template <class T>
Status decode_into(const Record& record, std::vector<Row>& rows) {
  auto value = wire::decode<T>(record.value);
  if (!value) return tl::unexpected{value.error()};
  rows.emplace_back(std::move(*value));
  return {};
}

Status decode(std::string_view topic, const Record& record, std::vector<Row>& rows) {
  if (topic == topic::trades) return decode_into<Trade>(record, rows);
  if (topic == topic::candles) return decode_into<Candle>(record, rows);
  if (topic == topic::gaps) return decode_into<Gap>(record, rows);
  if (topic == topic::late) return decode_into<LateWindow>(record, rows);
  if (topic == topic::progress) return decode_into<Progress>(record, rows);
  if (topic == topic::instruments) return decode_into<Reference>(record, rows);
  if (topic == topic::quotes) return decode_into<Quote>(record, rows);
  if (topic == topic::news) return decode_into<News>(record, rows);
  if (topic == topic::news_counts) return decode_into<NewsCount>(record, rows);
  if (topic == topic::quarantine) {
    auto value = read_quarantined(record.value, record.headers);
    if (!value) return tl::unexpected{value.error()};
    rows.emplace_back(std::move(*value));
    return {};
  }
  return failure(Fault::refused, Retry::never, "the topic " + std::string{topic} + " cannot be loaded into a store");
}

// In a store's quarantine items of raw have ordinals from 0; those of other topics stand behind all of these.
constexpr std::uint32_t kForeignOrdinal = 0x8000'0000;

// A record that truetape did not write, for the store's quarantine.
Row foreign_row(std::string_view topic, const Stored& stored, const std::string& why) {
  Quarantined out;
  out.partition = stored.partition;
  out.offset = stored.offset;
  out.ordinal = kForeignOrdinal + static_cast<std::uint32_t>(*topic::index(topic));
  out.reason = Reason::foreign;
  out.detail = std::string{topic} + '/' + std::to_string(stored.partition) + " offset " +
               std::to_string(stored.offset) + ": " + why;
  out.raw = stored.record.value;
  if (stored.kept_id != 0) {  // the bytes as its writer sent them
    std::string frame;
    wire::put_frame(stored.kept_id, frame);
    out.raw.replace(0, frame.size(), frame);
  }
  for (const Header& h : stored.record.headers) out.headers.emplace_back(h.name, h.value);
  out.headers.emplace_back(std::string{quarantine_header::original} + "key", stored.record.key);
  return out;
}

// A log may end with offsets that no record has (on Kafka the marks of transactions). A store that is behind these once
// retention has emptied the partition would seem to lack records; so it is told within that time.
constexpr std::chrono::seconds kSettleAfter{1};

// Rows are large, so a vector that doubles would hold and move far more than is asked for. Yet many small steps must
// not copy all rows each time.
void reserve(std::vector<Row>& rows, std::size_t more) {
  if (rows.size() + more > rows.capacity()) rows.reserve(std::max(rows.size() + more, rows.size() * 3 / 2));
}

}  // namespace

Result<std::unique_ptr<LoadRole>> LoadRole::open(Log& log, std::unique_ptr<Sink> sink, const Clock& clock,
                                                 LoadOptions options) {
  std::unique_ptr<LoadRole> role{new LoadRole{log, std::move(sink), clock, std::move(options)}};
  // Before the store, which may be down: from now on retention waits for it.
  const LoadOptions& of = role->options_;
  const std::string name = "load:" + of.name + (of.store.empty() ? "" : ":" + of.store);
  for (const std::string_view topic : role->options_.topics) {
    auto reader = log.reader(topic, name, Share::group);
    if (!reader) return tl::unexpected{reader.error()};
    role->sources_.push_back({topic, std::move(*reader), {}, {}, false});
    if (role->options_.metrics != nullptr) meter_foreign(*role->options_.metrics, role->options_.name, topic, 0);
  }
  if (auto opened = role->sink_->open(); !opened) return tl::unexpected{opened.error()};
  role->settled_ = clock.steady();
  return role;
}

Status LoadRole::assign(Source& source, std::int32_t partition) {
  auto position = sink_->claim(source.topic, partition);
  if (!position) return tl::unexpected{position.error()};
  std::optional<std::int64_t> from = *position;
  // A store that keeps positions and has none is empty: it gets everything, whatever was stored before it was emptied.
  const bool empty = !from && sink_->keeps_positions();
  if (empty) from = 0;
  // A store that was emptied, put back or adopted is behind what it told the log before. Retention must wait for it
  // before anything is asked of the log: what was there a moment ago may be gone.
  auto span = log_.span(source.topic, partition);
  if (!span) return tl::unexpected{span.error()};
  if (from && *from <= span->end) {
    if (auto told = source.reader->stored(partition, *from); !told) return told;
    span = log_.span(source.topic, partition);
    if (!span) return tl::unexpected{span.error()};
  }
  bool lacks = false;
  auto sought = source.reader->seek(partition, from);
  // What the log has lost for good the store will say that it lacks; what was made anew farther on is none of that.
  if (!sought && empty && sought.error().fault == Fault::out_of_range) {
    from = span->oldest;
    if (auto told = source.reader->stored(partition, *from); !told) return told;
    sought = source.reader->seek(partition, from);
    lacks = sought.has_value();
  }
  if (!sought) {
    if (!from || (sought.error().fault != Fault::mismatch && sought.error().fault != Fault::out_of_range))
      return tl::unexpected{sought.error()};
    const std::string has = "the store has " + std::string{source.topic} + "/" + std::to_string(partition) +
                            " up to offset " + std::to_string(*from) + ", but the log ";
    if (*from > span->end)
      return failure(Fault::mismatch, Retry::never,
                     has + "ends at " + std::to_string(span->end) +
                         ": the log was put back to an older copy than the store; restore both from one backup "
                         "(truetape restore), or let the store keep its rows and load all of the log into it: " +
                         options_.adopt_command);
    return failure(Fault::out_of_range, Retry::never,
                   has + "begins at " + std::to_string(span->oldest) +
                       ": what lies between was deleted before it was loaded; go on without it, which the store then "
                       "says: " +
                       options_.adopt_command);
  }
  const std::int64_t next = from.value_or(-1);
  source.parts.push_back({partition, next, next, {}, lacks});
  return {};
}

LoadRole::Part* LoadRole::part_of(Source& source, std::int32_t partition) {
  const auto found =
      std::find_if(source.parts.begin(), source.parts.end(), [&](const Part& p) { return p.partition == partition; });
  return found == source.parts.end() ? nullptr : &*found;
}

Error LoadRole::not_assigned(const Source& source, const Stored& stored) {
  return {Fault::mismatch, Retry::rebuild,
          "the log gave a record of " + std::string{source.topic} + "/" + std::to_string(stored.partition) +
              ", which was not assigned"};
}

void LoadRole::took(Part& part, const Stored& stored) {
  if (part.first < 0) part.first = stored.offset;  // the log said where to go on
  part.next = std::max(part.next, stored.offset + 1);
  if (waiting_++ == 0) since_ = clock_.steady();
  ++counts_.records;
}

void LoadRole::add_foreign(Source& source, Part& part, const Stored& stored, const std::string& why) {
  part.rows.push_back(foreign_row(source.topic, stored, why));
  took(part, stored);
  ++counts_.foreign;
  if (options_.metrics != nullptr) meter_foreign(*options_.metrics, options_.name, source.topic, 1);
}

Status LoadRole::take(Source& source, std::chrono::milliseconds wait) {
  auto polled = source.reader->poll(wait);
  // A partition waits for something: it is told, and the others go on.
  Status told;
  if (!polled && polled.error().retry == Retry::after_backoff) {
    told = tl::unexpected{polled.error()};
    polled = source.reader->poll(std::chrono::milliseconds{0});
    if (!polled && polled.error().retry == Retry::after_backoff) return told;
  }
  if (!polled) return tl::unexpected{polled.error()};
  source.polled = true;
  for (const std::int32_t partition : polled->revoked) {
    std::erase(source.to_claim, partition);
    std::erase_if(source.parts, [&](const Part& part) {
      if (part.partition == partition) waiting_ -= part.rows.size();
      return part.partition == partition;
    });
  }
  if (waiting_ == 0) oldest_.reset();
  for (const Stored& stored : polled->foreign) {
    Part* const part = part_of(source, stored.partition);
    if (part == nullptr) return tl::unexpected{not_assigned(source, stored)};
    add_foreign(source, *part, stored, "the value does not begin with a schema id of this topic");
  }
  Part* part = nullptr;
  for (const Stored& stored : polled->records) {
    if (part == nullptr || part->partition != stored.partition) {
      part = part_of(source, stored.partition);
      if (part == nullptr) return tl::unexpected{not_assigned(source, stored)};
      const auto rest = polled->records.subspan(static_cast<std::size_t>(&stored - polled->records.data()));
      const auto other =
          std::find_if(rest.begin(), rest.end(), [&](const Stored& s) { return s.partition != stored.partition; });
      reserve(part->rows, static_cast<std::size_t>(other - rest.begin()));
    }
    if (auto done = decode(source.topic, stored.record, part->rows); done) {
      took(*part, stored);
    } else if (done.error().fault == Fault::malformed) {
      add_foreign(source, *part, stored, done.error().detail);
    } else {
      Error error = done.error();
      error.detail = std::string{source.topic} + "/" + std::to_string(stored.partition) + " offset " +
                     std::to_string(stored.offset) + ": " + error.detail;
      return tl::unexpected{std::move(error)};
    }
  }
  if (polled->appended && (!oldest_ || *polled->appended < *oldest_)) oldest_ = polled->appended;
  // Assigned partitions are silent until they are sought, so none of the records above are theirs.
  source.to_claim.insert(source.to_claim.end(), polled->assigned.begin(), polled->assigned.end());
  for (; !source.to_claim.empty(); source.to_claim.erase(source.to_claim.begin()))
    if (auto done = assign(source, source.to_claim.front()); !done) return done;
  return told;
}

Status LoadRole::step(std::chrono::milliseconds idle) {
  const auto due = [this] {
    return waiting_ > 0 && (waiting_ >= options_.max_rows || clock_.steady() - since_ >= options_.max_wait);
  };
  // What could not be written the last time goes first.
  if (due())
    if (auto done = flush(); !done) return done;
  const std::size_t before = waiting_;
  Status told;  // what one of the sources waits for, while the others go on
  for (Source& source : sources_)
    if (waiting_ < options_.max_rows)
      if (auto done = take(source, std::chrono::milliseconds{0}); !done) {
        if (done.error().retry != Retry::after_backoff) return done;
        told = done;
      }
  if (told && waiting_ == before && idle.count() > 0)
    if (auto done = take(sources_.front(), idle); !done) return done;
  if (due() || (waiting_ == 0 && clock_.steady() - settled_ >= kSettleAfter && moved()))
    if (auto done = flush(); !done) return done;
  return told;
}

std::int64_t LoadRole::reached(const Source& source, const Part& part) {
  if (part.first < 0 && part.rows.empty()) return part.next;  // the log has not said yet where to go on
  return std::max(part.next, source.reader->position(part.partition).value_or(-1));
}

bool LoadRole::moved() const {
  for (const Source& source : sources_)
    for (const Part& part : source.parts)
      if (part.lacks || reached(source, part) > part.first) return true;
  return false;
}

Status LoadRole::flush() {
  std::vector<Batch> batches;
  for (Source& source : sources_)
    for (Part& part : source.parts) {
      part.next = reached(source, part);
      if (part.next > part.first || part.lacks)
        batches.push_back({source.topic, part.partition, part.first, part.next, part.rows});
    }
  if (batches.empty()) return {};
  settled_ = clock_.steady();
  if (auto written = sink_->write_all(batches); !written) {
    if (options_.metrics != nullptr) meter_failed_load(*options_.metrics, options_.name);
    return written;
  }
  if (waiting_ > 0) ++counts_.batches;
  counts_.rows += waiting_;
  if (options_.metrics != nullptr) {
    const SinkCounts now = sink_->counts();
    meter(*options_.metrics, options_.name, metered_, now);
    metered_ = now;
    if (oldest_) load_hop(*options_.metrics, options_.name).observe((clock_.now() - *oldest_).count());
  }
  waiting_ = 0;
  oldest_.reset();
  for (Source& source : sources_)
    for (Part& part : source.parts) {
      part.lacks = false;
      if (part.next <= part.first) continue;
      if (part.rows.capacity() > kKeptRows)
        part.rows = {};
      else
        part.rows.clear();
      part.first = part.next;
      if (auto told = source.reader->stored(part.partition, part.next); !told) return told;
    }
  return {};
}

Result<std::optional<std::int64_t>> LoadRole::lag() const {
  std::int64_t lag = 0;
  for (const Source& source : sources_) {
    if (!source.polled || !source.reader->joined() || !source.to_claim.empty()) return std::nullopt;
    for (const Part& part : source.parts) {
      const auto span = log_.span(source.topic, part.partition);
      if (!span) return tl::unexpected{span.error()};
      // A log may end with offsets that no record has: the reader is behind them, though nothing was written.
      const std::int64_t have =
          part.rows.empty() ? std::max(part.first, source.reader->position(part.partition).value_or(-1)) : part.first;
      lag += std::max<std::int64_t>(span->end - std::max(have, span->oldest), 0);
    }
  }
  return lag;
}

}  // namespace truetape
