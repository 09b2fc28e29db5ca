// A record of the topic `raw`: the venue's bytes unchanged, and headers that say what they are. Everything that the
// heart ever learns comes as one of these. All header values are UTF-8 text; times are nanoseconds since 1970 in
// decimal digits.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/instrument.h"
#include "core/time.h"

namespace truetape {

struct Header {
  std::string_view name, value;
  friend bool operator==(const Header&, const Header&) = default;
};

// The value, or nullopt.
std::optional<std::string_view> find_header(std::span<const Header> headers, std::string_view name);

enum class RawKind : std::uint8_t {
  frame,      // one received WebSocket frame
  session,    // what a connection has subscribed and received (no bytes)
  history,    // rows of a file, at most 64 KB, as they stand
  begin,      // a range of this instrument is about to come (no bytes)
  end,        // and has come
  backfill,   // one page of a venue's REST answer
  answer,     // what the venue said of a range in the end (no bytes)
  coverage,   // a declaration: these are all trades of [from, to) (no bytes)
  reference,  // one entry of a venue's symbol list, as it came
  config,     // rules and tape from here on (no bytes)
  replay,     // bytes from quarantine, to be judged again
  drop,       // a held item is given up: its id becomes void if it is known (no bytes)
  recompute,  // a candle that the batch path made anew (Avro bytes)
};
std::string_view name(RawKind kind);
std::optional<RawKind> parse_raw_kind(std::string_view text);

// Header names. Of every record: kind, instruments (comma-separated, empty for a frame that names none).
namespace header {
inline constexpr std::string_view kind = "kind";
inline constexpr std::string_view instruments = "instruments";
inline constexpr std::string_view receive_time = "receive_time";  // ns; of history: when it was imported
// frame, session: the connection's name, the session's id, and the number of this record in session and partition
// (contiguous from 1, frames included; an overlong gap ends the session's evidence).
inline constexpr std::string_view connection = "connection";
inline constexpr std::string_view session = "session";
inline constexpr std::string_view seq = "seq";
inline constexpr std::string_view clock_offset = "clock_offset";  // ns, venue's clock minus ours
inline constexpr std::string_view clock_error = "clock_error";    // ns, +-
// session
inline constexpr std::string_view event = "event";            // open | beat | close
inline constexpr std::string_view last_seq = "last_seq";      // of this session and partition, before this record
inline constexpr std::string_view subscribed = "subscribed";  // ns, venue time since which the subscription holds
inline constexpr std::string_view witness = "witness";        // ns, venue time; absent: nothing received yet
// history, backfill
inline constexpr std::string_view venue = "venue";
inline constexpr std::string_view file = "file";            // SHA-256 of the whole file, hex
inline constexpr std::string_view row = "row";              // number of the first row, from 1, header line included
inline constexpr std::string_view format = "format";        // frames | jsonl | csv
inline constexpr std::string_view columns = "columns";      // csv: "time=0,price=1,…": name=index from 0
inline constexpr std::string_view cells = "cells";          // csv: how many the line of names has; absent: not known
inline constexpr std::string_view time_unit = "time_unit";  // s | ms | us | ns
inline constexpr std::string_view tape = "tape";            // trade | agg
inline constexpr std::string_view archive = "archive";      // "1": the venue's own file, so neighbours are neighbours
inline constexpr std::string_view rows = "rows";  // numbers of the rows where they do not follow each other: "17,19-24"
inline constexpr std::string_view cut = "cut";  // (also of frame) bytes that the line had: it was too long for a record
inline constexpr std::string_view previous_row = "previous_row";  // the row before the first, for that, as it stands
// begin, end, answer, coverage
inline constexpr std::string_view range = "range";  // name of the range, the same at begin and end
inline constexpr std::string_view from = "from";    // ns, inclusive; absent: since ever
inline constexpr std::string_view to = "to";        // ns, exclusive; absent: for ever
inline constexpr std::string_view era = "era";
inline constexpr std::string_view first_id = "first_id";  // answer: of the range that was asked for
inline constexpr std::string_view last_id = "last_id";
inline constexpr std::string_view skipped = "skipped";              // answer: "17-19,23-23": adjacent in one page
inline constexpr std::string_view as_of = "as_of";                  // answer: ns
inline constexpr std::string_view verdict = "verdict";              // answer: more | exhausted | refused
inline constexpr std::string_view nothing_after = "nothing_after";  // answer: the id after which the venue has none yet
// replay, drop: the place of the item that they are of, which stands in quarantine. A replay has the other headers of
// the record that the item came in.
inline constexpr std::string_view original_partition = "original_partition";
inline constexpr std::string_view original_offset = "original_offset";
inline constexpr std::string_view original_ordinal = "original_ordinal";
inline constexpr std::string_view original_kind = "original_kind";
inline constexpr std::string_view original_reason = "original_reason";  // why it is in quarantine; so the two below
inline constexpr std::string_view original_rule = "original_rule";
inline constexpr std::string_view original_attempts = "original_attempts";  // how often it was judged; absent: once
// (also of quarantined items) The bytes hold several items, of which this is the ordinal of the first; and how many.
inline constexpr std::string_view shared_from = "shared_from";
inline constexpr std::string_view shared_count = "shared_count";
inline constexpr std::string_view id = "id";  // drop, replay: the item's id; absent: it could not be read
// config: "tape", and "rule.NAME.SETTING" (docs/config.md)
}  // namespace header

// Whether a record with these headers is a frame of no tape: best prices, tickers, news. It has no session, so it
// proves nothing, and no candle waits for it.
bool is_frame_of_no_tape(std::span<const Header> headers);

// What is kept of a record in keys and values of the state has these bounds, since anybody can write to `raw` on Kafka.
inline constexpr std::size_t kMaxSessionBytes = 256;  // a longer id is none: its record is no evidence
inline constexpr std::size_t kMaxRangeBytes = 256;    // a `begin` with a longer name is quarantined

// More than one record has items (log.h bounds its bytes). Ordinals that belong to one item's parts begin at multiples.
inline constexpr std::uint32_t kMostItems = 1 << 20;

// One record of raw with its commonest headers read. Views into the log's memory: valid during one call of fold.
struct RawRecord {
  RawKind kind = RawKind::frame;
  std::string_view instruments;  // as in the header
  std::optional<Timestamp> receive_time;
  std::string_view connection, session;
  std::uint64_t seq = 0;
  std::optional<Nanoseconds> clock_offset;  // the venue's clock minus ours
  std::string_view bytes;
  std::span<const Header> headers;  // all of them
  std::int32_t partition = 0;
  std::int64_t offset = 0;

  // The instruments named in the header, in its order; a name that is none is left out.
  std::vector<Instrument> instrument_list() const;
  bool names(const Instrument& instrument) const;  // is it in the header?
  std::optional<std::string_view> header(std::string_view header_name) const {
    return find_header(headers, header_name);
  }
  std::optional<std::int64_t> integer(std::string_view header_name) const;  // nullopt: absent or not an integer
};

// Reads the headers. Never fails: a record without a readable kind is a frame, so its bytes end in quarantine.
RawRecord read_raw(std::string_view value, std::span<const Header> headers, std::int32_t partition,
                   std::int64_t offset);

}  // namespace truetape
