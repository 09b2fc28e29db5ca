#include "venues/feed_session.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace truetape {
namespace {

constexpr Nanoseconds kListEvery = std::chrono::minutes{1};  // semantics section 3

// A number as text, without a heap.
class Digits {
 public:
  explicit Digits(std::int64_t value) {
    size_ = static_cast<std::size_t>(std::to_chars(text_, text_ + sizeof text_, value).ptr - text_);
  }
  explicit Digits(Timestamp time) : Digits{to_ns(time)} {}
  explicit Digits(Nanoseconds span) : Digits{span.count()} {}
  operator std::string_view() const { return {text_, size_}; }

 private:
  char text_[20];
  std::size_t size_;
};

void append_name(std::string& names, const Instrument& instrument) {
  if (!names.empty()) names += ',';
  names += instrument.text();
}

}  // namespace

SessionWriter::SessionWriter(RawSink& sink, std::string venue, std::string connection,
                             std::function<std::string()> new_id)
    : sink_{sink},
      venue_{std::move(venue)},
      connection_{std::move(connection)},
      new_id_{std::move(new_id)},
      partitions_{sink.partitions()} {}

void SessionWriter::set_clock(Nanoseconds offset, Nanoseconds error) {
  offset_ = offset;
  error_ = error;
  clock_known_ = true;
}

SessionWriter::Part& SessionWriter::part(std::int32_t partition, Timestamp now) {
  Part& part = parts_[partition];
  const std::uint64_t generation = sink_.generation();
  // What was put before may be lost, so what is carried counts from now on only. The error is on the safe side: what
  // the venue sends later than that has not come yet.
  if (!part.id.empty() && part.generation != generation) renew(part, now + offset_ + error_);
  if (part.id.empty()) part.id = new_id_();
  part.generation = generation;
  return part;
}

void SessionWriter::renew(Part& part, Timestamp since) {
  part.id.clear();
  part.seq = 0;
  part.said_open = false;
  part.said.reset();
  part.listed.reset();
  part.unsaid.clear();
  for (auto& [instrument, from] : part.carried) {
    from = std::max(from, since);
    part.unsaid.push_back(instrument);
  }
}

bool SessionWriter::put_frame(std::int32_t partition, std::string_view key, std::string_view names,
                              std::string_view bytes, Timestamp received, bool tape) {
  const Digits time{received}, offset{offset_};
  std::array<Header, 8> headers{Header{header::kind, name(RawKind::frame)}, Header{header::instruments, names},
                                Header{header::receive_time, time}, Header{header::connection, connection_}};
  std::size_t count = 4;
  if (clock_known_) headers[count++] = {header::clock_offset, offset};
  if (names.empty()) headers[count++] = {header::venue, venue_};
  if (!tape) return sink_.put(partition, key, bytes, std::span{headers}.first(count));
  Part& own = part(partition, received);
  const Digits seq{static_cast<std::int64_t>(own.seq + 1)};
  headers[count++] = {header::session, own.id};
  headers[count++] = {header::seq, seq};
  if (!sink_.put(partition, key, bytes, std::span{headers}.first(count))) return false;
  ++own.seq;
  return true;
}

bool SessionWriter::frame(std::string_view bytes, std::span<const Instrument> to, Timestamp received, bool tape) {
  if (to.empty()) return put_frame(0, {}, {}, bytes, received, false);
  if (to.size() == 1)
    return put_frame(partition_of(to[0], partitions_), to[0].text(), to[0].text(), bytes, received, tape);
  std::map<std::int32_t, std::string> by_partition;
  for (const Instrument& instrument : to) append_name(by_partition[partition_of(instrument, partitions_)], instrument);
  std::size_t at = 0;
  for (const auto& [partition, names] : by_partition) {
    if (at++ < resume_) continue;
    const std::string_view key = std::string_view{names}.substr(0, names.find(','));
    if (!put_frame(partition, key, names, bytes, received, tape)) return false;
    ++resume_;
  }
  resume_ = 0;
  return true;
}

void SessionWriter::carry(std::span<const Instrument> instruments, Timestamp since) {
  for (const Instrument& instrument : instruments) {
    Part& part = parts_[partition_of(instrument, partitions_)];
    if (!part.carried.try_emplace(instrument, since).second) continue;
    part.unsaid.push_back(instrument);
  }
}

void SessionWriter::drop(std::span<const Instrument> instruments, Timestamp now) {
  std::map<std::int32_t, std::vector<Instrument>> by_partition;
  for (const Instrument& instrument : instruments) {
    const std::int32_t partition = partition_of(instrument, partitions_);
    const auto found = parts_.find(partition);
    if (found != parts_.end() && found->second.carried.contains(instrument))
      by_partition[partition].push_back(instrument);
  }
  for (const auto& [partition, gone] : by_partition) {
    Part& own = part(partition, now);
    if (own.said_open && !closed_) say(partition, own, "close", now, {}, std::nullopt);
    for (const Instrument& instrument : gone) own.carried.erase(instrument);
    // What the old session has proved, the new one goes on from.
    renew(own, own.said.value_or(Timestamp::min()));
  }
}

void SessionWriter::witness(Timestamp witness) {
  if (!witness_ || witness > *witness_) witness_ = witness;
}

bool SessionWriter::say(std::int32_t partition, Part& own, std::string_view event, Timestamp now,
                        std::string_view names, std::optional<Timestamp> since) {
  const Digits time{now}, seq{static_cast<std::int64_t>(own.seq + 1)}, last{static_cast<std::int64_t>(own.seq)},
      offset{offset_}, error{error_}, from{since.value_or(Timestamp{})}, reached{witness_.value_or(Timestamp{})};
  std::array<Header, 13> headers{Header{header::kind, name(RawKind::session)},
                                 Header{header::instruments, names},
                                 Header{header::receive_time, time},
                                 Header{header::connection, connection_},
                                 Header{header::session, own.id},
                                 Header{header::seq, seq},
                                 Header{header::event, event},
                                 Header{header::last_seq, last},
                                 Header{header::clock_offset, offset},
                                 Header{header::clock_error, error}};
  std::size_t count = 10;
  if (since) headers[count++] = {header::subscribed, from};
  if (witness_ && !held_) headers[count++] = {header::witness, reached};
  if (names.empty()) headers[count++] = {header::venue, venue_};
  std::string_view key = names.substr(0, names.find(','));
  if (key.empty() && !own.carried.empty()) key = own.carried.begin()->first.text();
  if (key.empty()) key = venue_;
  if (!sink_.put(partition, key, {}, std::span{headers}.first(count))) return false;
  ++own.seq;
  if (!held_) own.said = witness_;
  return true;
}

bool SessionWriter::say_all(std::int32_t partition, Part& own, Timestamp now) {
  // Those that are new, together with what has the same beginning.
  while (!own.unsaid.empty()) {
    const Timestamp since = own.carried.at(own.unsaid.front());
    std::string names;
    std::vector<Instrument> others;
    for (const Instrument& instrument : own.unsaid) {
      if (own.carried.at(instrument) == since)
        append_name(names, instrument);
      else
        others.push_back(instrument);
    }
    if (!say(partition, own, own.said_open ? "beat" : "open", now, names, since)) return false;
    own.said_open = true;
    if (!own.listed) own.listed = now;
    own.unsaid = std::move(others);
  }
  if (own.carried.empty()) return true;
  if (!own.listed || now - *own.listed >= kListEvery || now < *own.listed) {
    // The latest beginning is true of all; who reads this session from its first record on knows better already.
    std::string names;
    Timestamp since = Timestamp::min();
    for (const auto& [instrument, from] : own.carried) {
      append_name(names, instrument);
      since = std::max(since, from);
    }
    if (!say(partition, own, "beat", now, names, since)) return false;
    own.listed = now;
    return true;
  }
  if (!witness_ || held_ || own.said == witness_) return true;
  return say(partition, own, "beat", now, {}, std::nullopt);
}

void SessionWriter::beat(Timestamp now) {
  if (!clock_known_ || closed_) return;
  for (auto& [partition, found] : parts_) {
    if (found.carried.empty()) continue;
    Part& own = part(partition, now);
    say_all(partition, own, now);
  }
}

void SessionWriter::close(Timestamp now) {
  if (closed_) return;
  for (auto& [partition, own] : parts_)
    if (own.said_open && own.generation == sink_.generation()) say(partition, own, "close", now, {}, std::nullopt);
  closed_ = true;
}

bool put_single(RawSink& sink, RawKind kind, const Instrument& instrument, std::string_view bytes, Timestamp now,
                std::span<const Header> more) {
  const Digits time{now};
  std::vector<Header> headers{{header::kind, name(kind)},
                              {header::instruments, instrument.text()},
                              {header::receive_time, time},
                              {header::venue, instrument.venue()}};
  headers.insert(headers.end(), more.begin(), more.end());
  return sink.put(partition_of(instrument, sink.partitions()), instrument.text(), bytes, headers);
}

bool put_each(RawSink& sink, RawKind kind, std::string_view venue, std::span<const Instrument> to,
              std::string_view bytes, Timestamp now, std::span<const Header> more, std::size_t& done) {
  std::map<std::int32_t, std::string> by_partition;
  for (const Instrument& instrument : to)
    append_name(by_partition[partition_of(instrument, sink.partitions())], instrument);
  if (to.empty()) by_partition.emplace(0, std::string{});
  const Digits time{now};
  std::size_t at = 0;
  for (const auto& [partition, names] : by_partition) {
    if (at++ < done) continue;
    std::vector<Header> headers{
        {header::kind, name(kind)}, {header::instruments, names}, {header::receive_time, time}, {header::venue, venue}};
    headers.insert(headers.end(), more.begin(), more.end());
    if (!sink.put(partition, std::string_view{names}.substr(0, names.find(',')), bytes, headers)) return false;
    ++done;
  }
  return true;
}

}  // namespace truetape
