#include "capture/history_decoder.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "capture/csv.h"
#include "core/utf8.h"

namespace truetape {
namespace {

constexpr std::size_t kMaxRow = 1 << 16;

bool is_blank(std::string_view row) { return row.find_first_not_of(" \t\r") == std::string_view::npos; }

std::string shown(std::string_view text) {
  std::size_t size = text.size() < 40 ? text.size() : 40;
  while (size > 0 && size < text.size() && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  return '"' + std::string{text.substr(0, size)} + (size < text.size() ? "…\"" : "\"");
}

bool same_ignoring_case(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i)
    if ((text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] - 'A' + 'a') : text[i]) != lower[i]) return false;
  return true;
}

// The number of each row in its file: first, first + 1, … or by the list of the header `rows`.
class RowNumbers {
 public:
  explicit RowNumbers(const RawRecord& record) : list_{record.header(header::rows).value_or("")} {
    next_ = record.integer(header::row).value_or(1);
    if (record.kind == RawKind::replay) {  // one row of a record, which had at most one a byte
      const std::int64_t skip =
          std::clamp<std::int64_t>(record.integer(header::original_ordinal).value_or(0) % kMostItems, 0, kMaxRow);
      // further items of one line are numbered from there
      for (std::int64_t i = 0; i < skip; ++i) next();
    }
  }
  std::int64_t next() {
    if (list_.empty() && last_ == 0) return next_++;
    if (next_ > last_ || last_ == 0) {
      std::int64_t from = 0;
      const char* const end = list_.data() + list_.size();
      auto [stop, error] = std::from_chars(list_.data(), end, from);
      std::int64_t to = from;
      if (stop != end && *stop == '-') stop = std::from_chars(stop + 1, end, to).ptr;
      list_.remove_prefix(static_cast<std::size_t>(stop - list_.data()));
      const std::size_t comma = list_.find(',');
      list_.remove_prefix(comma == std::string_view::npos ? list_.size() : comma + 1);
      next_ = from;
      last_ = to < 1 ? 1 : to;
    }
    return next_++;
  }

 private:
  std::string_view list_;
  std::int64_t next_ = 1, last_ = 0;
};

class CsvDecoder {
 public:
  CsvDecoder(const RawRecord& record, const HistoryVenue& venue) : record_{record}, venue_{venue}, numbers_{record} {
    if (const auto map = parse_column_map(record.header(header::columns).value_or(""))) map_ = *map;
    if (!map_.has(Column::time))
      problem_ = "time";
    else if (!map_.has(Column::price))
      problem_ = "price";
    else if (!map_.has(Column::quantity))
      problem_ = "quantity";
    else if (!map_.has(Column::id) && venue.trade_ids == TradeIds::contiguous)
      problem_ = "id, and the venue's trades are known by their ids";
    for (const std::int16_t index : map_.index)
      if (index >= static_cast<std::int16_t>(needed_)) needed_ = static_cast<std::size_t>(index) + 1;
    named_ =
        static_cast<std::size_t>(std::clamp<std::int64_t>(record.integer(header::cells).value_or(0), 0, Cells::kMax));
    instrument_ = Instrument::parse(record.instruments.substr(0, record.instruments.find(',')));
    tape_ = parse_tape(record.header(header::tape).value_or("trade")).value_or(Tape::trade);
    unit_ = parse_time_unit(record.header(header::time_unit).value_or(""));
    archive_ = record.header(header::archive) == "1";
    // USD-M's own files of trades hold fills of the order book only, without the column that says so on the stream.
    if (archive_ && tape_ == Tape::trade && !map_.has(Column::kind) && instrument_ &&
        instrument_->venue() == "binance-usdm")
      default_kind_ = Text<20>::cut("MARKET");
  }

  void rows(Events& out) {
    if (archive_) {
      if (const auto previous = record_.header(header::previous_row)) {
        Item item;
        row(*previous, 0, item);
        neighbour_ = readable_id(item);
      }
    }
    std::string_view rest = record_.bytes;
    while (!rest.empty()) {
      const void* const found = std::memchr(rest.data(), '\n', rest.size());
      const std::size_t size =
          found == nullptr ? rest.size() : static_cast<std::size_t>(static_cast<const char*>(found) - rest.data());
      const std::string_view text = rest.substr(0, size);
      rest.remove_prefix(found == nullptr ? size : size + 1);
      const std::int64_t number = numbers_.next();
      if (is_blank(text)) continue;
      const auto ordinal = static_cast<std::uint32_t>(out.items.size());
      Item& item = out.items.emplace_back();
      item.ordinal = item.trade.ordinal = ordinal;
      row(text, number, item);
      const bool readable = readable_id(item);
      item.follows = archive_ && neighbour_ && readable;
      neighbour_ = readable;
    }
  }

 private:
  static bool readable_id(const Item& item) {
    return item.type == Item::Type::bad ? item.has_id : !item.trade.id.empty();
  }

  void spoil(Item& item, Reason reason, std::int64_t number, std::string_view what) {
    if (item.type == Item::Type::bad) return;
    item.type = Item::Type::bad;
    item.reason = reason;
    item.detail = "row " + std::to_string(number) + ": ";
    item.detail += what;
  }
  void spoil(Item& item, Reason reason, std::int64_t number, Column column, std::string_view what) {
    if (item.type == Item::Type::bad) return;
    item.type = Item::Type::bad;
    item.reason = reason;
    item.detail = "row " + std::to_string(number) + ", column " + std::to_string(map_[column] + 1) + " (";
    item.detail += name(column);
    item.detail += "): ";
    item.detail += shown(cell(column));
    item.detail += what;
  }

  std::string_view cell(Column column) const { return cells_[static_cast<std::size_t>(map_[column])]; }

  void row(std::string_view text, std::int64_t number, Item& item) {
    item.raw = text;
    if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
    Trade& trade = item.trade;
    trade.tape = tape_;
    if (instrument_) trade.instrument = *instrument_;
    if (text.size() > kMaxRow || record_.header(header::cut))
      return spoil(item, Reason::too_large, number, "the row has more than 64 KB");
    if (!is_utf8(text)) return spoil(item, Reason::encoding, number, "the row is not UTF-8");
    if (!problem_.empty())
      return spoil(item, Reason::columns, number,
                   "the column map of the record has no column for " + std::string{problem_});
    if (!instrument_) return spoil(item, Reason::unroutable, number, "the row has no instrument that can be read");
    if (!cells_.split(text))
      return spoil(item, Reason::syntax, number,
                   "the row cannot be split into cells: its quotes do not match or it has more than 256");
    if (cells_.size() < needed_)
      return spoil(
          item, Reason::missing_field, number,
          "the row has " + std::to_string(cells_.size()) + " cells, " + std::to_string(needed_) + " are needed");

    for (std::size_t i = named_; named_ != 0 && i < cells_.size();
         ++i)  // an empty one is a comma at the end of the row
      if (!cells_[i].empty())
        return spoil(item, Reason::syntax, number,
                     "the row has " + std::to_string(cells_.size()) + " cells, the line of names has " +
                         std::to_string(named_) + "; a cell with a comma in it needs quotes");

    bool known = true;
    if (map_.has(Column::instrument)) known = own_instrument(number, item);
    const bool has_id = read_ids(number, item);
    const bool price = decimal(Column::price, number, item, trade.price);
    const bool quantity = decimal(Column::quantity, number, item, trade.quantity);
    bool marker = false;
    if (map_.has(Column::kind)) {
      const std::string_view kind = cell(Column::kind);
      marker = (kind.empty() || kind == "NA") && price && quantity && trade.price.mantissa == 0 &&
               trade.quantity.mantissa == 0;
      trade.kind = Text<20>::cut(kind);
    } else {
      trade.kind = default_kind_;
    }
    const bool has_time = time(Column::time, number, item, trade.event_time);
    if (map_.has(Column::receive_time) && !cell(Column::receive_time).empty()) {
      Timestamp received;
      if (time(Column::receive_time, number, item, received)) trade.receive_time = received;
    }
    read_side(number, item);
    if (!marker) {
      if (price && !trade.price.positive()) spoil(item, Reason::price, number, Column::price, " is no price above 0");
      if (quantity && !trade.quantity.positive())
        spoil(item, Reason::quantity, number, Column::quantity, " is no quantity above 0");
    }
    if (item.type == Item::Type::bad) {
      item.has_id = has_id && known;
      item.has_time = has_time;
    } else if (marker) {
      item.type = Item::Type::empty;
    }
  }

  bool own_instrument(std::int64_t number, Item& item) {
    const std::string_view text = cell(Column::instrument);
    if (same_ignoring_case_as_upper(text, instrument_->symbol()) || text == instrument_->text()) return true;
    spoil(item, Reason::unroutable, number, Column::instrument, " is another instrument than " + instrument_->str());
    return false;
  }
  static bool same_ignoring_case_as_upper(std::string_view text, std::string_view upper) {
    if (text.size() != upper.size()) return false;
    for (std::size_t i = 0; i < text.size(); ++i)
      if ((text[i] >= 'a' && text[i] <= 'z' ? static_cast<char>(text[i] - 'a' + 'A') : text[i]) != upper[i])
        return false;
    return true;
  }

  bool number_id(Column column, std::int64_t number, Item& item, std::uint64_t& out) {
    const std::string_view text = cell(column);
    const char* const end = text.data() + text.size();
    std::int64_t id = 0;
    const auto [stop, error] = std::from_chars(text.data(), end, id);
    if (error == std::errc{} && stop == end && id >= 0) {
      out = static_cast<std::uint64_t>(id);
      return true;
    }
    const bool range = stop == end && !text.empty();
    spoil(item,
          text.empty() ? Reason::missing_field
          : range      ? Reason::id_range
                       : Reason::wrong_type,
          number, column, range ? " is no id from 0 to 2^63 - 1" : " is no integer");
    return false;
  }

  // False: the trade has no id, or none that can be read.
  bool read_ids(std::int64_t number, Item& item) {
    if (!map_.has(Column::id)) return false;
    Trade& trade = item.trade;
    const std::string_view text = cell(Column::id);
    if (venue_.trade_ids == TradeIds::none) {  // any text; its order is the file's where it is no number
      if (text.size() > decltype(trade.id)::kCapacity) {
        spoil(item, Reason::id_range, number, Column::id, " has more than 40 bytes");
        return false;
      }
      trade.id = Text<40>::cut(text);
      const char* const end = text.data() + text.size();
      std::uint64_t order = 0;
      const auto [stop, error] = std::from_chars(text.data(), end, order);
      if (error == std::errc{} && stop == end && order <= INT64_MAX) trade.order = order;
      trade.first_id = trade.last_id = trade.order;
      return !text.empty();
    }
    if (!number_id(Column::id, number, item, trade.order)) return false;
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, trade.order).ptr;
    trade.id = Text<40>::cut({digits, static_cast<std::size_t>(end - digits)});
    trade.first_id = trade.last_id = trade.order;
    if (!map_.has(Column::first_id) || !map_.has(Column::last_id)) return true;
    std::uint64_t first = 0, last = 0;
    const bool has_first = number_id(Column::first_id, number, item, first),
               has_last = number_id(Column::last_id, number, item, last);
    if (!has_first || !has_last) return false;
    if (first > last) {
      spoil(item, Reason::id_range, number, Column::first_id, " is above the last id of the range");
      return false;
    }
    trade.first_id = first;
    trade.last_id = last;
    return true;
  }

  bool decimal(Column column, std::int64_t number, Item& item, Decimal& out) {
    const ParsedDecimal parsed = parse_decimal(cell(column));
    out = parsed.value;
    if (parsed.fault == DecimalFault::none) return true;
    if (parsed.fault == DecimalFault::range)
      spoil(item, Reason::decimal_range, number, column, " has more than 18 decimals or does not fit 63 bits");
    else
      spoil(item, cell(column).empty() ? Reason::missing_field : Reason::decimal_syntax, number, column,
            " is no decimal number");
    return false;
  }

  bool time(Column column, std::int64_t number, Item& item, Timestamp& out) {
    const std::string_view text = cell(column);
    const char* const end = text.data() + text.size();
    std::int64_t whole = 0;
    const auto [stop, error] = std::from_chars(text.data(), end, whole);
    if (error != std::errc{} || (stop != end && *stop != '.')) {
      if (const auto parsed = parse_rfc3339(text)) {
        out = *parsed;
        return true;
      }
      spoil(item,
            text.empty()                              ? Reason::missing_field
            : error == std::errc::result_out_of_range ? Reason::time_range
                                                      : Reason::wrong_type,
            number, column, " is no time");
      return false;
    }
    const auto seen = guess_time_unit(whole);
    if (!seen) {
      spoil(item, Reason::time_range, number, column, " is no time since 1970 in s, ms, us or ns");
      return false;
    }
    const bool right = unit_ ? *seen == *unit_ : *seen == TimeUnit::ms || *seen == TimeUnit::us;
    const auto base = right ? from_epoch(whole, *seen) : std::nullopt;
    if (!base) {
      std::string what = " has the digits of a time in ";
      what += truetape::name(*seen);
      what += unit_ ? ", the file's are in " : ", needed is ms or us";
      if (unit_) what += truetape::name(*unit_);
      spoil(item, right ? Reason::time_range : Reason::time_unit, number, column, what);
      return false;
    }
    out = *base;
    if (stop != end) {  // a fraction of the unit: as far as nanoseconds go
      std::int64_t scale = (*from_epoch(1, *seen)).time_since_epoch().count(), fraction = 0;
      for (const char* p = stop + 1; p != end; ++p) {
        if (*p < '0' || *p > '9') {
          spoil(item, Reason::wrong_type, number, column, " is no time");
          return false;
        }
        scale /= 10;
        fraction += scale * (*p - '0');
      }
      out += Nanoseconds{fraction};
    }
    return true;
  }

  void read_side(std::int64_t number, Item& item) {
    if (map_.has(Column::buyer_is_maker)) {
      const std::string_view text = cell(Column::buyer_is_maker);
      if (text == "1" || same_ignoring_case(text, "true"))
        item.trade.taker_side = Side::sell;  // the taker met a resting buyer: it sold
      else if (text == "0" || same_ignoring_case(text, "false"))
        item.trade.taker_side = Side::buy;
      else
        spoil(item, Reason::side, number, Column::buyer_is_maker, " is none of true, false, 1, 0");
    } else if (map_.has(Column::side)) {
      const std::string_view text = cell(Column::side);
      if (same_ignoring_case(text, "buy") || same_ignoring_case(text, "b"))
        item.trade.taker_side = Side::buy;
      else if (same_ignoring_case(text, "sell") || same_ignoring_case(text, "s"))
        item.trade.taker_side = Side::sell;
      else if (!text.empty())
        spoil(item, Reason::side, number, Column::side, " is none of buy, sell, b, s");
    }
  }

  const RawRecord& record_;
  const HistoryVenue& venue_;
  RowNumbers numbers_;
  ColumnMap map_;
  std::string_view problem_;  // a column that the map lacks
  std::size_t needed_ = 0;
  std::size_t named_ = 0;  // cells of the line that names the columns; 0: not known
  std::optional<Instrument> instrument_;
  Tape tape_ = Tape::trade;
  std::optional<TimeUnit> unit_;
  bool archive_ = false;
  bool neighbour_ = false;  // the row before has a readable id
  Text<20> default_kind_;
  Cells cells_;
};

// Every line is a frame of the venue; its items are numbered through the record.
void decode_lines(const RawRecord& record, const HistoryVenue& venue, bool timed, Events& out) {
  RowNumbers numbers{record};
  std::string_view rest = record.bytes;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const std::int64_t number = numbers.next();
    if (is_blank(line)) continue;
    const std::size_t before = out.items.size();
    const std::string_view whole = line;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    RawRecord frame = record;
    frame.kind = RawKind::frame;
    frame.receive_time.reset();  // the record's is when it was imported
    if (timed) {
      const std::size_t blank = std::min(line.find(' '), line.size());
      std::int64_t ns = 0;
      const auto [stop, error] = std::from_chars(line.data(), line.data() + blank, ns);
      if (error == std::errc{} && stop == line.data() + blank) frame.receive_time = timestamp_ns(ns);
      line.remove_prefix(std::min(blank + 1, line.size()));
    }
    frame.bytes = line;
    if (venue.decode == nullptr) {
      Item& item = out.items.emplace_back();
      item.type = Item::Type::bad;
      item.reason = Reason::unroutable;
      item.detail = "no decoder knows the venue";
    } else {
      venue.decode(frame, out);
    }
    for (std::size_t i = before; i < out.items.size(); ++i) {
      Item& item = out.items[i];
      item.ordinal = item.trade.ordinal = static_cast<std::uint32_t>(i);
      if (item.raw.empty() || item.raw.data() == line.data()) item.raw = whole;
      // (of a replay the number is not known: lines before it may have had no item)
      if (item.type == Item::Type::bad && record.kind != RawKind::replay)
        item.detail.insert(0, "row " + std::to_string(number) + ", ");
    }
  }
}

}  // namespace

void decode_history(const RawRecord& record, const HistoryVenue& venue, Events& out) {
  const std::string_view format = record.header(header::format).value_or("csv");
  if (format == "jsonl" || format == "frames")
    decode_lines(record, venue, format == "frames", out);
  else
    CsvDecoder{record, venue}.rows(out);
}

}  // namespace truetape
