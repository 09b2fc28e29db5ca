// The records that the pipeline's topics carry (docs/records.md lists every field). Plain values; who fills them in:
// decoders make trades and quotes, the heart completes them and makes the rest, codecs and stores only copy.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/decimal.h"
#include "core/instrument.h"
#include "core/text.h"
#include "core/time.h"

namespace truetape {

// Which of a venue's two ways of telling trades an instrument follows (semantics section 2).
enum class Tape : std::uint8_t { trade, agg };
enum class Side : std::uint8_t { unknown, buy, sell };

using Marks = std::uint32_t;  // bits of Mark; a mark never changes what is accepted
enum class Mark : std::uint8_t { off_tick, off_lot, far_from_median, late };

struct Trade {
  Instrument instrument;
  Tape tape = Tape::trade;
  std::uint32_t era = 0;       // counts the venue's restarts of its ids; set by the heart
  Text<40> id;                 // the venue's own text; empty where it has none
  std::uint64_t order = 0;     // rises within instrument, tape and era; the id itself where ids are numbers
  std::uint64_t first_id = 0;  // raw trade ids that this record stands for: a range on tape agg, else both = order
  std::uint64_t last_id = 0;
  Timestamp event_time{};                 // the venue's trade time, as precise as the venue gave it
  std::optional<Timestamp> receive_time;  // ours, of the frame; empty for history
  Decimal price;
  Decimal quantity;  // of the base asset
  Side taker_side = Side::unknown;
  Text<20> kind;  // the venue's kind of record ("MARKET" of USD-M); empty where it has none
  Marks marks = 0;
  // Identity where the venue has no ids, and where the trade came from: session or file hash, number of the record in
  // it, number of the trade in the record.
  Text<40> source;
  std::uint64_t seq = 0;
  std::uint32_t ordinal = 0;

  // Raw trades it stands for: what a venue's kline counts.
  std::uint64_t count() const { return last_id - first_id + 1; }
  friend bool operator==(const Trade&, const Trade&) = default;
};

enum class QuoteKind : std::uint8_t { best, ticker };  // best bid and ask | 24 h ticker
struct Quote {
  Instrument instrument;
  QuoteKind kind = QuoteKind::best;
  std::uint64_t order = 0;              // the venue's update id; 0 where it has none
  std::optional<Timestamp> event_time;  // empty where the venue sends none (Binance spot bookTicker)
  std::optional<Timestamp> receive_time;
  std::optional<Decimal> bid, bid_quantity, ask, ask_quantity;
  std::optional<Decimal> last, last_quantity, open, high, low, volume, quote_volume;  // ticker only
  friend bool operator==(const Quote&, const Quote&) = default;
};

enum class CandleStatus : std::uint8_t { open, closed, corrected };
enum class Completeness : std::uint8_t { none, complete, quiet, gap, partial, unverifiable };
enum class Proof : std::uint8_t { none, ids, declared, session, overlap };

// One window of one instrument. Values are empty where nothing is known (docs/records.md): a `gap` without a known
// trade has none; a `quiet` window is flat at the last price before it, volume 0, no ids, times or vwap.
struct Candle {
  // key
  Instrument instrument;
  Tape tape = Tape::trade;
  Interval interval{};
  Timestamp start{};
  // content
  std::optional<Decimal> open, high, low, close;
  std::optional<Amount> volume, quote_volume;
  std::optional<std::uint64_t> trades;
  std::optional<Amount> taker_buy_volume, taker_buy_quote_volume;  // empty if a trade's taker side is unknown
  std::optional<Amount> vwap;
  std::optional<std::uint64_t> first_id, last_id;  // of the opening and the closing trade
  std::optional<Timestamp> first_time, last_time;  // whole milliseconds
  Completeness completeness = Completeness::none;  // none: open, and nothing is known to be wrong
  // circumstance
  CandleStatus status = CandleStatus::open;
  Proof proof = Proof::none;
  bool repaired = false;
  std::optional<std::uint64_t> missing;  // at most that many ids; empty with completeness gap: unknown number
  std::uint64_t held = 0;                // trades of this window that wait in quarantine
  std::int64_t epoch = 0;                // Unix seconds, of the log that made it
  std::uint64_t revision = 0;
  std::optional<Timestamp> first_receive_time, last_receive_time;

  Timestamp end() const { return start + interval; }
  friend bool operator==(const Candle&, const Candle&) = default;
};

enum class GapState : std::uint8_t { pending, open, progress, repaired, absent, lost };
enum class GapReason : std::uint8_t { missing_ids, tail, manual };
struct Gap {
  // key: (instrument, tape, era, first_id)
  Instrument instrument;
  Tape tape = Tape::trade;
  std::uint32_t era = 0;
  std::uint64_t first_id = 0;            // first missing id when the gap was opened
  std::optional<std::uint64_t> last_id;  // last missing id; empty: unknown (reason tail)
  std::uint64_t missing = 0;             // ids of it that are still missing; 0 with reason tail
  Timestamp from{};                      // time of the neighbour before
  std::optional<Timestamp> to;           // time of the neighbour after
  GapState state = GapState::pending;
  GapReason reason = GapReason::missing_ids;
  std::int64_t epoch = 0;
  std::uint64_t revision = 0;
  friend bool operator==(const Gap&, const Gap&) = default;
};

// Why an item waits in quarantine. Public: the `reason` column; names by name(Reason).
enum class Reason : std::uint8_t {
  syntax,
  encoding,
  too_large,
  missing_field,
  wrong_type,
  duplicate_key,
  time_unit,
  time_range,
  id_range,
  decimal_syntax,
  decimal_range,
  price,
  quantity,
  future,
  unknown_kind,
  contradiction,
  id_jump,
  era,
  unknown_event,
  unroutable,
  crashed,
  rule,
  side,
  columns,
  foreign,  // stands in a topic of results, and truetape did not write it; told by load, not by process
};
// How an item came out of quarantine. Such a row takes the place of the one that it ends, and no longer waits.
enum class Resolution : std::uint8_t { none, replayed, dropped };
// Where an item stands: partition and offset of the raw record that it came in, and its number in that.
struct QuarantinePlace {
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  std::uint32_t ordinal = 0;
  friend auto operator<=>(const QuarantinePlace&, const QuarantinePlace&) = default;
};
// Rules that put items into quarantine under a name of their own; all others have that of their reason (docs/rules.md).
namespace rule {
inline constexpr std::string_view kind = "kind", decimal = "decimal", step = "step", horizon = "horizon",
                                  crossed = "crossed";
}
bool is_rule(std::string_view name);  // whether any item can have come into quarantine by it
struct Quarantined {
  Instrument instrument;       // empty: not readable
  std::int32_t partition = 0;  // of raw
  std::int64_t offset = 0;     // of raw
  std::uint32_t ordinal = 0;   // item within the record
  std::optional<Timestamp> receive_time;
  Text<40> id;  // empty: not readable
  Reason reason = Reason::syntax;
  std::string detail;  // one sentence that names the place ("$.data.p: …", "row 17, column 3: …")
  Text<24> rule;
  std::uint32_t rule_version = 0;
  std::uint32_t attempts = 1;                // how often it was judged: 1, and one for each replay or drop
  Resolution resolution = Resolution::none;  // any other: raw and headers are empty
  std::string raw;                           // the item's own bytes: the frame, or the row
  std::vector<std::pair<std::string, std::string>> headers;  // of the raw record, for replay
  friend bool operator==(const Quarantined&, const Quarantined&) = default;
};
inline QuarantinePlace place_of(const Quarantined& item) { return {item.partition, item.offset, item.ordinal}; }

// How far an instrument has come; at most one per second of receive time (semantics section 4).
struct Progress {
  Instrument instrument;
  Tape tape = Tape::trade;
  std::optional<Timestamp> frontier, closed_until, proven_until, sealed_until;
  std::int64_t epoch = 0;
  std::uint64_t revision = 0;
  friend bool operator==(const Progress&, const Progress&) = default;
};

// A window that the stream can no longer correct: for the batch path.
struct LateWindow {
  Instrument instrument;
  Tape tape = Tape::trade;
  Interval interval{};
  Timestamp start{};
  std::uint64_t trades = 0;  // late trades counted so far
  friend bool operator==(const LateWindow&, const LateWindow&) = default;
};

// An entry of a venue's symbol list.
struct Reference {
  Instrument instrument;
  std::string base, quote, name;  // name: the common one, "BTC-USDT"
  std::optional<Decimal> tick, lot;
  std::string status;  // the venue's word: "TRADING"
  friend bool operator==(const Reference&, const Reference&) = default;
};

struct News {
  std::string venue, id;
  Timestamp event_time{};
  std::string headline, source, url, summary;
  std::vector<Instrument> related;
  friend bool operator==(const News&, const News&) = default;
};

// How many headlines of one source came about one instrument in a window of their event times, each headline once.
struct NewsCount {
  static constexpr std::array<Interval, 2> kIntervals{std::chrono::minutes{1}, std::chrono::hours{1}};  // rising
  // key
  std::string venue;
  Instrument instrument;  // empty: headlines that name none
  std::string source;     // who wrote them; at most 200 bytes of it
  Interval interval{};
  Timestamp start{};
  std::uint64_t headlines = 0;
  Timestamp first_time{}, last_time{};  // of the earliest and the latest that was ever counted in it
  std::int64_t epoch = 0;
  std::uint64_t revision = 0;
  friend bool operator==(const NewsCount&, const NewsCount&) = default;
};

// The words of the public columns, and back; nullopt for a word that is none of them.
std::string_view name(Tape);
std::string_view name(Side);
std::string_view name(CandleStatus);
std::string_view name(Completeness);  // none is ""
std::string_view name(Proof);         // none is ""
std::string_view name(GapState);
std::string_view name(GapReason);
std::string_view name(Reason);
std::string_view name(QuoteKind);
std::string_view name(Resolution);    // none is ""
std::string marks_text(Marks marks);  // "off_tick|late"
std::optional<Tape> parse_tape(std::string_view);
std::optional<Side> parse_side(std::string_view);
std::optional<CandleStatus> parse_candle_status(std::string_view);
std::optional<Completeness> parse_completeness(std::string_view);
std::optional<Proof> parse_proof(std::string_view);
std::optional<GapState> parse_gap_state(std::string_view);
std::optional<GapReason> parse_gap_reason(std::string_view);
std::optional<Reason> parse_reason(std::string_view);
std::optional<QuoteKind> parse_quote_kind(std::string_view);
std::optional<Resolution> parse_resolution(std::string_view);
Marks parse_marks(std::string_view);  // unknown words are ignored

}  // namespace truetape
