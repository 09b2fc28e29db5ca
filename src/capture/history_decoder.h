// The pure decoder of `history` records: rows of files, as they stood, to items. One item for each row; the record's
// headers say how to read it (core/raw.h: format, columns, cells, time_unit, tape, archive, row, rows, previous_row).
#pragma once

#include "core/event.h"
#include "core/raw.h"

namespace truetape {

// What the decoder must know of the venue but may not look up.
struct HistoryVenue {
  TradeIds trade_ids = TradeIds::none;
  // Reads one line of format frames or jsonl as the venue's frame; nullptr: such lines cannot be read.
  void (*decode)(const RawRecord& frame, Events& out) = nullptr;
};

// Contract as Decoder::decode.
//
// format=csv: cells are parted by commas; quoted cells may hold commas and doubled quotes, not line breaks. Columns:
//   time            whole or fractional number in `time_unit` (absent: ms or us, told by the digits), or RFC 3339
//   price, quantity decimals
//   id              the venue's trade id, of tape agg the aggregate's; absent: the trade has none, which
//                   a venue whose ids rise by one does not have: its rows are bad
//   first_id, last_id  the trades that an aggregate stands for; absent: itself
//   side            buy, sell, b, s in any case: the taker's; empty: unknown
//   buyer_is_maker  true, false, 1, 0 in any case; in place of side
//   kind            the venue's kind of record; empty or NA with price and quantity 0 is a marker without a trade
//   receive_time    as time; empty: none
//   instrument      symbol or venue:SYMBOL; a row of another instrument than the record's is bad
// format=jsonl | frames: each line is one frame of the venue (`frames`: behind its receive time and a blank).
void decode_history(const RawRecord& record, const HistoryVenue& venue, Events& out);

}  // namespace truetape
