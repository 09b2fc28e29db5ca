// A recording as the session that it was. First pass: hash, instruments, tapes, clocks. Second pass: the records.
#include <algorithm>
#include <array>
#include <map>

#include "batch/clock_estimate.h"
#include "batch/import_parts.h"

namespace truetape::import {
namespace {

constexpr Nanoseconds kBeat = std::chrono::seconds{1};
constexpr Nanoseconds kWitnessLag = std::chrono::milliseconds{500};  // venues' servers may send slightly out of order

struct Survey {
  std::string hash;
  std::vector<Instrument> instruments;  // in order of appearance
  std::vector<std::optional<Tape>> tapes;
  Nanoseconds offset{}, error{};
  std::map<Instrument, Timestamp> last_before;  // Venue::last_before
};

Result<Survey> survey(const Plan& plan, Place place, const Writer& writer) {
  Survey out;
  auto hash = sha256_of(plan.path);
  if (!hash) return tl::unexpected{hash.error()};
  out.hash = std::move(*hash);
  TapeFinder tapes{*plan.venue};
  ClockEstimate clock;
  std::unordered_map<Instrument, bool> seen;
  std::vector<Instrument> to;
  const auto look = [&](const Line& line) -> Status {
    Timestamp received;
    std::string_view frame;
    if (!split_timed(line.text, received, frame)) return {};
    to.clear();
    plan.venue->route(frame, to);
    for (const Instrument& instrument : to) {
      if (seen.try_emplace(instrument, true).second) out.instruments.push_back(instrument);
      tapes.look(frame, instrument);
    }
    if (const auto sent = plan.venue->sent_time(frame)) clock.add(*sent, received);
    if (plan.venue->last_before != nullptr && to.size() == 1)
      if (const auto last = plan.venue->last_before(frame)) {
        Timestamp& earliest = out.last_before.try_emplace(to[0], *last).first->second;
        earliest = std::min(earliest, *last);
      }
    return {};
  };
  if (Status looked = each_line(plan, place, true, writer, look); !looked) return tl::unexpected{looked.error()};
  for (const Instrument& instrument : out.instruments) out.tapes.push_back(tapes.tape(instrument));
  out.offset = clock.offset();
  out.error = clock.error();
  return out;
}

class Session {
 public:
  Session(const Plan& plan, const Survey& survey, Writer& writer)
      : venue_{*plan.venue},
        survey_{survey},
        writer_{writer},
        id_{std::string_view{survey.hash}.substr(0, 16)},
        offset_{survey.offset.count()},
        error_{survey.error.count()} {
    for (const Instrument& instrument : survey.instruments) {
      Part& part = parts_[writer.partition(instrument)];
      if (!part.instruments.empty()) part.instruments += ',';
      part.instruments += instrument.text();
    }
  }

  // `received`: nullopt for a line that does not say it; it came when its neighbour did.
  Status frame(std::optional<Timestamp> received, std::string_view frame, std::uint64_t size) {
    if (received) {
      if (!open_) {
        subscribed_ = *received + survey_.offset;
        last_beat_ = now_ = *received;
        open_ = true;
        if (Status ok = open_earlier(); !ok) return ok;
        if (Status ok = session_records("open"); !ok) return ok;
      }
      now_ = *received;
      if (now_ - last_beat_ >= kBeat || now_ < last_beat_) {
        last_beat_ = now_;
        if (Status ok = session_records("beat"); !ok) return ok;
      }
    }
    const bool cut = size > frame.size();
    if (cut) ++writer_.summary.cut;
    ++writer_.summary.rows;
    to_.clear();
    venue_.route(frame, to_);
    if (to_.empty()) {
      ++writer_.summary.unrouted;
      if (Status ok = put_frame(0, {}, {}, frame, cut ? size : 0); !ok) return ok;
    } else if (to_.size() == 1) {
      if (Status ok = put_frame(writer_.partition(to_[0]), to_[0].text(), to_[0].text(), frame, cut ? size : 0); !ok)
        return ok;
    } else {
      std::map<std::int32_t, std::string> by_partition;
      for (const Instrument& instrument : to_) {
        std::string& list = by_partition[writer_.partition(instrument)];
        if (!list.empty()) list += ',';
        list += instrument.text();
      }
      for (const auto& [partition, list] : by_partition) {
        const std::string_view key = std::string_view{list}.substr(0, list.find(','));
        if (Status ok = put_frame(partition, key, list, frame, cut ? size : 0); !ok) return ok;
      }
    }
    // A time beyond what the recorder's clock allows is damage: it proves nothing.
    if (const auto sent = venue_.sent_time(frame);
        sent && (!newest_ || *sent > *newest_) && *sent <= now_ + survey_.offset)
      newest_ = *sent;
    return {};
  }

  Status close() { return open_ ? session_records("close") : Status{}; }

 private:
  struct Part {
    std::string instruments;  // of the session in this partition
    std::uint64_t seq = 0;
  };

  Status put_frame(std::int32_t partition, std::string_view key, std::string_view instruments, std::string_view frame,
                   std::uint64_t size) {
    const Digits received{now_}, seq{static_cast<std::int64_t>(++parts_[partition].seq)},
        whole{static_cast<std::int64_t>(size)};
    std::array<Header, 9> headers{Header{header::kind, name(RawKind::frame)},
                                  Header{header::instruments, instruments},
                                  Header{header::receive_time, received},
                                  Header{header::connection, "import"},
                                  Header{header::session, id_},
                                  Header{header::seq, seq},
                                  Header{header::clock_offset, offset_}};
    std::size_t count = 7;
    if (instruments.empty()) headers[count++] = {header::venue, venue_.name};
    if (size != 0) headers[count++] = {header::cut, whole};
    return writer_.put(partition, key, frame, std::span{headers}.first(count));
  }

  // What the recording covers from before its first frame on: the first record that names an instrument decides.
  Status open_earlier() {
    for (const auto& [instrument, last] : survey_.last_before) {
      if (last >= subscribed_) continue;
      const std::int32_t partition = writer_.partition(instrument);
      if (Status ok = session_record(partition, parts_[partition], "open", instrument.text(), last); !ok) return ok;
    }
    return {};
  }

  Status session_records(std::string_view event) {
    for (auto& [partition, part] : parts_) {
      if (part.instruments.empty()) continue;  // partition 0 with frames that name nobody
      if (Status ok = session_record(partition, part, event, part.instruments, subscribed_); !ok) return ok;
    }
    return {};
  }
  Status session_record(std::int32_t partition, Part& part, std::string_view event, std::string_view instruments,
                        Timestamp since) {
    const Digits received{now_}, subscribed{since};
    const Digits last{static_cast<std::int64_t>(part.seq)}, seq{static_cast<std::int64_t>(part.seq + 1)};
    ++part.seq;
    const Digits witness{newest_ ? *newest_ - kWitnessLag : Timestamp{}};
    std::array<Header, 12> headers{Header{header::kind, name(RawKind::session)},
                                   Header{header::instruments, instruments},
                                   Header{header::receive_time, received},
                                   Header{header::connection, "import"},
                                   Header{header::session, id_},
                                   Header{header::seq, seq},
                                   Header{header::event, event},
                                   Header{header::last_seq, last},
                                   Header{header::subscribed, subscribed},
                                   Header{header::clock_offset, offset_},
                                   Header{header::clock_error, error_}};
    std::size_t count = 11;
    if (newest_) headers[count++] = {header::witness, witness};
    const std::string_view key = std::string_view{instruments}.substr(0, instruments.find(','));
    return writer_.put(partition, key, {}, std::span{headers}.first(count));
  }

  const Venue& venue_;
  const Survey& survey_;
  Writer& writer_;
  std::string_view id_;
  Digits offset_, error_;
  std::map<std::int32_t, Part> parts_;
  std::vector<Instrument> to_;
  bool open_ = false;
  Timestamp subscribed_{}, now_{}, last_beat_{};
  std::optional<Timestamp> newest_;  // sent time
};

}  // namespace

Status import_session(const Plan& plan, Place place, Writer& writer, Timestamp now) {
  const auto seen = survey(plan, place, writer);
  if (!seen) return tl::unexpected{seen.error()};
  if (writer.stopped()) return {};
  for (std::size_t i = 0; i < seen->instruments.size(); ++i) {
    writer.found(seen->instruments[i]);
    const auto tape = writer.options().tape ? writer.options().tape : seen->tapes[i];
    if (!tape) continue;
    if (Status ok = writer.config(seen->instruments[i], *tape, now); !ok) return ok;
  }

  Session session{plan, *seen, writer};
  const Status read = each_line(plan, place, false, writer, [&](const Line& line) {
    if (blank(line.text)) return Status{};
    Timestamp received;
    std::string_view frame;
    const bool timed = split_timed(line.text, received, frame);
    const std::string_view bytes = timed ? frame : line.text;
    const std::uint64_t size = line.size - (line.text.size() - bytes.size());
    return session.frame(timed ? std::optional{received} : std::nullopt, bytes, size);
  });
  if (!read || writer.stopped()) return read;
  return session.close();
}

}  // namespace truetape::import
