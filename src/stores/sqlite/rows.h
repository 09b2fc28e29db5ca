// How each record stands in its table: the order of the columns, and both directions. Shared by sink and history, so
// that what is written is what is read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/records.h"
#include "core/row_order.h"
#include "stores/sqlite/database.h"

namespace truetape::sqlite {

// A trade whose venue gives ids is known by (instrument, tape, era, order), any other by (source, seq, ordinal).
inline bool has_id(const Trade& trade) { return !trade.id.empty(); }

inline constexpr std::string_view kTradeColumns =
    "instrument_id, tape, era, trade_order, event_time, price, price_scale, quantity, quantity_scale, taker_side, "
    "marks, "
    "source_id, seq, ordinal, receive_time, first_id, last_id, id, kind";
inline constexpr int kTradeColumnCount = 19;
inline constexpr std::string_view kCandleColumns =
    "instrument_id, tape, interval, start, settled, epoch, revision, status, completeness, proof, repaired, missing, "
    "held, "
    "open, open_scale, high, high_scale, low, low_scale, close, close_scale, volume, volume_scale, quote_volume, "
    "quote_volume_scale, trades, taker_buy_volume, taker_buy_volume_scale, taker_buy_quote_volume, "
    "taker_buy_quote_volume_scale, vwap, vwap_scale, first_id, last_id, first_time, last_time, first_receive_time, "
    "last_receive_time";
inline constexpr int kCandleColumnCount = 38;
inline constexpr std::string_view kGapColumns =
    "instrument_id, tape, era, first_id, settled, epoch, revision, last_id, missing, from_time, to_time, state, reason";
inline constexpr int kGapColumnCount = 13;
inline constexpr std::string_view kProgressColumns =
    "instrument_id, tape, settled, epoch, revision, frontier, closed_until, proven_until, sealed_until";
inline constexpr int kProgressColumnCount = 9;
inline constexpr std::string_view kQuarantineColumns =
    "log, partition, raw_offset, ordinal, instrument_id, receive_time, id, reason, detail, rule, rule_version, raw, "
    "headers, attempts, resolution";
inline constexpr int kQuarantineColumnCount = 15;
inline constexpr std::string_view kReferenceColumns =
    "instrument, base, quote, name, tick, tick_scale, lot, lot_scale, status";

// Bind all columns from parameter 1 on. Texts of `row` and `headers` are borrowed until the statement is reset.
void bind_trade(Statement& to, const Trade& row, std::int64_t instrument, std::int64_t source);
void bind_candle(Statement& to, const Candle& row, std::int64_t instrument);
void bind_gap(Statement& to, const Gap& row, std::int64_t instrument);
void bind_progress(Statement& to, const Progress& row, std::int64_t instrument);
void bind_quarantined(Statement& to, const Quarantined& row, std::optional<std::int64_t> instrument, std::int64_t log,
                      std::string_view headers);
void bind_reference(Statement& to, const Reference& row);

// Read a row selected with the column lists above. `source` is left to the caller (column kTradeSourceColumn).
inline constexpr int kTradeInstrumentColumn = 0, kTradeSourceColumn = 11;
Trade read_trade(const Statement& from, const Instrument& instrument);
// All but instrument and source.
void read_trade(const Statement& from, Trade& row);
void read_trade(const Values& from, Trade& row);
Candle read_candle(const Statement& from, const Instrument& instrument);
Gap read_gap(const Statement& from, const Instrument& instrument);
Progress read_progress(const Statement& from, const Instrument& instrument);
inline constexpr int kQuarantineInstrumentColumn = 4;
Quarantined read_quarantined(const Statement& from, const Instrument& instrument);
Reference read_reference(const Statement& from);

inline constexpr std::string_view kNewsColumns = "venue, id, event_time, headline, source, url, summary, related";
inline constexpr int kNewsColumnCount = 8;
// `related` is borrowed until the statement is reset.
void bind_news(Statement& to, const News& row, std::string_view related);
std::string related_text(const std::vector<Instrument>& related);
std::vector<Instrument> parse_related_text(std::string_view text);
News read_news(const Statement& from);

inline constexpr std::string_view kNewsCountColumns =
    "interval, start, instrument, source, venue, headlines, first_time, last_time, epoch, revision";
inline constexpr int kNewsCountColumnCount = 10;
void bind_news_count(Statement& to, const NewsCount& row);
NewsCount read_news_count(const Statement& from);

// A row of `quotes` has the newest quote of each kind; a kind that never came is NULL, its loaded_to too. The columns
// of one kind, beside instrument_id.
inline constexpr std::string_view kBestColumns =
    "best_order, best_event_time, best_receive_time, best_loaded_to, bid, bid_scale, bid_quantity, bid_quantity_scale, "
    "ask, ask_scale, ask_quantity, ask_quantity_scale";
inline constexpr int kBestColumnCount = 12;
inline constexpr std::string_view kTickerColumns =
    "ticker_order, ticker_event_time, ticker_receive_time, ticker_loaded_to, ticker_bid, ticker_bid_scale, "
    "ticker_bid_quantity, ticker_bid_quantity_scale, ticker_ask, ticker_ask_scale, ticker_ask_quantity, "
    "ticker_ask_quantity_scale, last, last_scale, last_quantity, last_quantity_scale, open, open_scale, high, "
    "high_scale, low, low_scale, volume, volume_scale, quote_volume, quote_volume_scale";
inline constexpr int kTickerColumnCount = 26;
inline std::string_view quote_columns(QuoteKind kind) {
  return kind == QuoteKind::best ? kBestColumns : kTickerColumns;
}
inline int quote_column_count(QuoteKind kind) {
  return kind == QuoteKind::best ? kBestColumnCount : kTickerColumnCount;
}
// instrument_id and the columns of the row's kind. `loaded_to`: end of the batch that wrote it.
void bind_quote(Statement& to, const Quote& row, std::int64_t instrument, std::int64_t loaded_to);
// From a row of the columns of one kind, the first of which is column `first`; nullopt: none of that kind came.
std::optional<Quote> read_quote(const Statement& from, int first, QuoteKind kind, const Instrument& instrument);

using Headers = std::vector<std::pair<std::string, std::string>>;
std::string headers_text(const Headers& headers);
Headers parse_headers_text(std::string_view text);

// The content of two trades of one identity, as the duplicates of semantics section 2 are compared.
bool same_content(const Trade& a, const Trade& b);

}  // namespace truetape::sqlite
