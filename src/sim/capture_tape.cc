#include <simdjson.h>

#include <algorithm>
#include <limits>
#include <map>

#include "capture/csv.h"
#include "capture/csv_layout.h"
#include "capture/file_reader.h"
#include "core/digits.h"
#include "core/utf8.h"
#include "sim/finnhub_tape.h"
#include "sim/kucoin_tape.h"
#include "sim/tape.h"

namespace truetape::sim {
namespace {

constexpr std::size_t kLongestLine = 8 << 20;

// One line that can be played, before all files are merged.
struct Item {
  TapeEvent event;
  std::int64_t received_ns = 0;  // 0: not known
  bool timed = true;             // false: the frame has no time of its own
};

Time time_of(std::int64_t number) {
  // Milliseconds until 2286 have 13 digits, microseconds since 2001 have 16.
  return number < 100'000'000'000'000 ? from_ms(number) : Time{Duration{number}};
}

tl::unexpected<Error> no_recording(const std::filesystem::path& file, std::string_view first_line,
                                   const std::string& advice) {
  std::string begins;
  append_utf8(first_line.substr(0, 60), begins);
  return failure(Fault::malformed, Retry::never,
                 file.string() +
                     " is no recording that is known: its lines are neither frames of a venue's streams nor rows of a "
                     "venue's CSV file; the first begins \"" +
                     begins + '"' + advice);
}

class Reader {
 public:
  Reader(const CaptureOptions& options, CaptureCounts& counts) : options_{options}, counts_{counts} {}

  Status read(const CaptureSource& source) {
    auto file = FileReader::open(source.file);
    if (!file) return tl::unexpected{file.error()};
    LineReader lines{*file, kLongestLine, 1024};
    Line line;
    auto more = lines.next(line);
    if (!more) return tl::unexpected{more.error()};
    const bool frames = *more && line.text.find('{') != std::string_view::npos;
    std::optional<CsvLayout> layout;
    if (*more && !frames) {
      auto known = csv_layout(line.text, source.columns);
      if (!known && source.columns.empty()) return no_recording(source.file, line.text, options_.unknown_csv);
      if (!known)
        return failure(known.error().fault, known.error().retry, source.file.string() + ": " + known.error().detail);
      layout = *known;
    }
    const std::size_t before = items_.size();
    while (more && *more) {
      ++counts_.lines;
      if (line.size != line.text.size())
        ++counts_.unreadable;
      else if (frames)
        frame(line.text);
      else if (!(layout->header && line.number == 1))
        row(line.text, *layout, source);
      more = lines.next(line);
    }
    if (!more) return tl::unexpected{more.error()};
    set_times(before);
    return {};
  }

  std::vector<Item> items_;
  std::vector<Listing> listings_;

  // Digits as the venue writes them, the tick, and which trades end an aggregate.
  void finish() {
    std::ranges::stable_sort(items_, {}, [](const Item& item) { return item.event.at; });
    struct Last {
      std::uint64_t trade = 0, aggregate = 0;
      Print* print = nullptr;  // the last that counts
      Time group;
    };
    std::vector<Last> last(listings_.size());
    std::vector<bool> raw(listings_.size());
    for (const Item& item : items_)
      if (std::holds_alternative<Print>(item.event.what)) raw[item.event.instrument] = true;
    std::erase_if(items_, [&](const Item& item) {
      Last& l = last[item.event.instrument];
      if (const auto* print = std::get_if<Print>(&item.event.what)) return !rises(print->id, l.trade);
      if (const auto* aggregate = std::get_if<Aggregate>(&item.event.what)) {
        if (raw[item.event.instrument]) return true;  // they are made anew from the trades
        return !rises(aggregate->id, l.aggregate);
      }
      return false;
    });
    for (Item& item : items_) {
      auto* print = std::get_if<Print>(&item.event.what);
      if (print == nullptr || !counts(print->kind)) continue;
      Last& l = last[item.event.instrument];
      const bool grows = l.print != nullptr && l.print->price == print->price &&
                         l.print->buyer_is_maker == print->buyer_is_maker &&
                         (options_.product == Product::spot ? l.print->traded == print->traded
                                                            : print->traded - l.group < std::chrono::milliseconds{100});
      if (grows) {
        l.print->ends = false;
      } else {
        l.group = print->traded;
        if (l.print == nullptr) listings_[item.event.instrument].first_aggregate = print->id / 2;
      }
      print->ends = true;
      l.print = print;
    }
    for (std::uint32_t i = 0; i < listings_.size(); ++i) {
      Listing& listing = listings_[i];
      listing.only_aggregates = !raw[i];
      if (options_.product == Product::spot) listing.price_decimals = listing.quantity_decimals = kDecimals;
    }
  }

 private:
  bool rises(std::uint64_t id, std::uint64_t& before) {
    if (id <= before) {
      ++counts_.repeated;
      return false;
    }
    before = id;
    return true;
  }

  std::uint32_t instrument(std::string_view symbol) {
    const auto [at, fresh] = by_symbol_.try_emplace(std::string{symbol}, static_cast<std::uint32_t>(listings_.size()));
    if (fresh) {
      Listing listing;
      listing.symbol = symbol;
      split_symbol(listing);
      listing.price_decimals = listing.quantity_decimals = 0;
      listing.tick = listing.step = kOne;
      listings_.push_back(std::move(listing));
    }
    return at->second;
  }

  // Learns how many digits the instrument's prices and quantities have.
  void learn(Listing& listing, std::string_view price, Units price_units, std::string_view quantity,
             Units quantity_units, bool as_written) {
    const auto grow = [&](int& decimals, Units& grid, std::string_view text, Units value) {
      if (value == 0) return;  // a marker's "0" has no decimals
      const int needed = needed_decimals(value);
      decimals = std::max(decimals, as_written ? std::min(written_decimals(text), kDecimals) : needed);
      Units step = kOne;
      for (int i = 0; i < needed; ++i) step /= 10;
      grid = std::min(grid, step);
    };
    grow(listing.price_decimals, listing.tick, price, price_units);
    grow(listing.quantity_decimals, listing.step, quantity, quantity_units);
  }

  void frame(std::string_view line) {
    std::int64_t received = 0;
    if (!line.empty() && line.front() != '{') {
      const std::size_t blank = line.find(' ');
      const auto number = digits::natural(line.substr(0, blank));
      if (blank == std::string_view::npos || !number) {
        ++counts_.unreadable;
        return;
      }
      received = *number;
      line.remove_prefix(blank + 1);
    }
    simdjson::dom::element root, data;
    if (parser_.parse(line.data(), line.size()).get(root) != simdjson::SUCCESS) {
      ++counts_.unreadable;
      return;
    }
    if (root["data"].get(data) != simdjson::SUCCESS) data = root;
    std::string_view type, symbol;
    const bool typed = data["e"].get(type) == simdjson::SUCCESS;
    if (data["s"].get(symbol) != simdjson::SUCCESS) {
      ++counts_.others;
      return;
    }
    bool good = false;
    Item item;
    item.received_ns = received;
    if (typed && type == "trade") {
      good = trade(data, symbol, item);
      counts_.trades += good ? 1 : 0;
    } else if (typed && type == "aggTrade") {
      good = aggregate(data, symbol, item);
      counts_.aggregates += good ? 1 : 0;
    } else if (type == "bookTicker" || (!typed && data["u"].error() == simdjson::SUCCESS)) {
      if (!options_.with_quotes) return;
      good = quote(data, symbol, item);
      counts_.quotes += good ? 1 : 0;
    } else {
      ++counts_.others;
      return;
    }
    if (good)
      items_.push_back(item);
    else
      ++counts_.unreadable;
  }

  // ---- fields; each false leaves the frame out

  static bool number(simdjson::dom::element from, const char* key, std::int64_t& to) {
    return from[key].get(to) == simdjson::SUCCESS && to >= 0;
  }
  static bool id(simdjson::dom::element from, const char* key, std::uint64_t& to) {
    return from[key].get(to) == simdjson::SUCCESS;
  }
  static bool moment(simdjson::dom::element from, const char* key, Time& to) {
    std::int64_t value = 0;
    if (!number(from, key, value)) return false;
    to = time_of(value);
    return true;
  }
  static bool units(simdjson::dom::element from, const char* key, Units& to, std::string_view& text) {
    if (from[key].get(text) != simdjson::SUCCESS) return false;
    const auto value = parse_units(text);
    to = value.value_or(0);
    return value.has_value();
  }
  static bool flag(simdjson::dom::element from, const char* key, bool& to) {
    return from[key].get(to) == simdjson::SUCCESS;
  }

  bool trade(simdjson::dom::element data, std::string_view symbol, Item& item) {
    Print print;
    std::string_view price, quantity, kind;
    if (!moment(data, "E", print.told) || !moment(data, "T", print.traded) || !id(data, "t", print.id) ||
        !units(data, "p", print.price, price) || !units(data, "q", print.quantity, quantity) ||
        !flag(data, "m", print.buyer_is_maker))
      return false;
    if (data["X"].get(kind) == simdjson::SUCCESS) print.kind = *parse_kind(kind);
    item.event.instrument = instrument(symbol);
    learn(listings_[item.event.instrument], price, print.price, quantity, print.quantity, true);
    item.event.at = print.told;
    item.event.what = print;
    return true;
  }

  bool aggregate(simdjson::dom::element data, std::string_view symbol, Item& item) {
    Aggregate made;
    std::string_view price, quantity, normal;
    if (!moment(data, "E", made.told) || !moment(data, "T", made.traded) || !id(data, "a", made.id) ||
        !id(data, "f", made.first) || !id(data, "l", made.last) || !units(data, "p", made.price, price) ||
        !units(data, "q", made.quantity, quantity) || !flag(data, "m", made.buyer_is_maker) || made.last < made.first)
      return false;
    if (!units(data, "nq", made.normal, normal)) made.normal = made.quantity;
    item.event.instrument = instrument(symbol);
    learn(listings_[item.event.instrument], price, made.price, quantity, made.quantity, true);
    item.event.at = made.told;
    item.event.what = made;
    return true;
  }

  bool quote(simdjson::dom::element data, std::string_view symbol, Item& item) {
    Quote made;
    std::string_view bid, bid_quantity, ask, ask_quantity;
    if (!id(data, "u", made.update) || !units(data, "b", made.bid, bid) ||
        !units(data, "B", made.bid_quantity, bid_quantity) || !units(data, "a", made.ask, ask) ||
        !units(data, "A", made.ask_quantity, ask_quantity))
      return false;
    item.timed = moment(data, "E", made.told);
    if (!moment(data, "T", made.traded)) made.traded = made.told;
    item.event.instrument = instrument(symbol);
    learn(listings_[item.event.instrument], bid, made.bid, bid_quantity, made.bid_quantity, true);
    item.event.at = made.told;
    item.event.what = made;
    return true;
  }

  // ---- CSV

  static std::optional<Time> cell_time(std::string_view cell) {
    if (const auto number = digits::natural(cell); number && cell_time_unit(cell)) {
      switch (*cell_time_unit(cell)) {
        case TimeUnit::s:
          return Time{std::chrono::seconds{*number}};
        case TimeUnit::ms:
          return from_ms(*number);
        case TimeUnit::us:
          return Time{Duration{*number}};
        case TimeUnit::ns:
          return Time{Duration{*number / 1000}};
      }
    }
    const auto text = parse_rfc3339(cell);
    if (!text) return std::nullopt;
    return std::chrono::floor<Duration>(*text);
  }

  void row(std::string_view line, const CsvLayout& layout, const CaptureSource& source) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) return;
    if (!cells_.split(line) || !trade_row(layout, source)) ++counts_.unreadable;
  }

  bool trade_row(const CsvLayout& layout, const CaptureSource& source) {
    const auto cell = [&](Column column) -> std::string_view {
      const std::int16_t at = layout.columns[column];
      return at >= 0 && static_cast<std::size_t>(at) < cells_.size() ? cells_[static_cast<std::size_t>(at)]
                                                                     : std::string_view{};
    };
    std::string symbol = source.symbol.empty() ? std::string{cell(Column::instrument)} : source.symbol;
    if (const std::size_t colon = symbol.rfind(':'); colon != std::string::npos) symbol.erase(0, colon + 1);
    const auto traded = cell_time(cell(Column::time));
    const auto price = parse_units(cell(Column::price)), quantity = parse_units(cell(Column::quantity));
    const auto id = digits::natural(cell(Column::id));
    if (symbol.empty() || !traded || !price || !quantity || !id) return false;
    bool buyer_is_maker = false;
    if (layout.columns.has(Column::buyer_is_maker)) {
      const std::string_view text = cell(Column::buyer_is_maker);
      buyer_is_maker = text == "1" || text == "true" || text == "True" || text == "TRUE";
    } else {
      const std::string_view side = cell(Column::side);  // the taker's
      buyer_is_maker = side.starts_with('s') || side.starts_with('S');
    }
    Item item;
    item.event.instrument = instrument(symbol);
    item.event.at = *traded;
    const auto number = static_cast<std::uint64_t>(*id);
    const bool aggregates =
        source.aggregates.value_or(layout.tape ? *layout.tape == Recorded::agg : layout.columns.has(Column::first_id));
    if (aggregates) {
      const auto first = digits::natural(cell(Column::first_id)), last = digits::natural(cell(Column::last_id));
      Aggregate made{.id = number,
                     .first = first ? static_cast<std::uint64_t>(*first) : number,
                     .last = last ? static_cast<std::uint64_t>(*last) : number,
                     .traded = *traded,
                     .told = *traded,
                     .price = *price,
                     .quantity = *quantity,
                     .normal = *quantity,
                     .buyer_is_maker = buyer_is_maker};
      if (made.last < made.first) return false;
      item.event.what = made;
      ++counts_.aggregates;
    } else {
      Print print{.id = number,
                  .traded = *traded,
                  .told = *traded,
                  .price = *price,
                  .quantity = *quantity,
                  .buyer_is_maker = buyer_is_maker};
      if (layout.columns.has(Column::kind)) print.kind = *parse_kind(cell(Column::kind));
      item.event.what = print;
      ++counts_.trades;
    }
    learn(listings_[item.event.instrument], cell(Column::price), *price, cell(Column::quantity), *quantity, false);
    items_.push_back(item);
    return true;
  }

  // The time at which each item is told: never before the one that went before it in the file; a frame without a time
  // as long after the last one with a time as it was received after it, but before the next one with a time.
  void set_times(std::size_t from) {
    std::optional<Time> next;
    for (std::size_t i = items_.size(); i-- > from;) {
      if (items_[i].timed)
        next = items_[i].event.at;
      else
        items_[i].event.at = next.value_or(Time::max());
    }
    std::optional<Time> latest;
    std::int64_t latest_received = 0;
    Time before = Time::min();
    for (std::size_t i = from; i < items_.size(); ++i) {
      Item& item = items_[i];
      if (!item.timed && latest) {
        const auto since = std::chrono::floor<Duration>(Nanoseconds{item.received_ns - latest_received});
        item.event.at = std::min(item.event.at, *latest + std::max(Duration{}, since));
      } else if (!item.timed && item.event.at == Time::max()) {
        item.event.at = std::chrono::floor<Duration>(timestamp_ns(item.received_ns));  // there is no time at all
      }
      if (item.timed) {
        latest = item.event.at;
        latest_received = item.received_ns;
      }
      item.event.at = std::max(item.event.at, before);
      before = item.event.at;
      if (auto* quote = std::get_if<Quote>(&item.event.what); quote != nullptr && !item.timed)
        quote->told = quote->traded = item.event.at;
    }
  }

  using Recorded = truetape::Tape;
  const CaptureOptions& options_;
  CaptureCounts& counts_;
  simdjson::dom::parser parser_;
  Cells cells_;
  std::map<std::string, std::uint32_t, std::less<>> by_symbol_;
};

}  // namespace

Result<std::unique_ptr<Tape>> open_capture(const CaptureOptions& options, CaptureCounts* counts) {
  CaptureCounts own;
  CaptureCounts& counted = counts == nullptr ? own : *counts;
  if (options.product == Product::kucoin) return open_kucoin_capture(options, counted);
  if (options.product == Product::finnhub) return open_finnhub_capture(options, counted);
  Reader reader{options, counted};
  std::string description = "capture:";
  for (const CaptureSource& source : options.sources) {
    if (const Status done = reader.read(source); !done) return tl::unexpected{done.error()};
    description += ' ' + source.file.filename().string();
  }
  if (options.from || options.to)
    std::erase_if(reader.items_, [&](const Item& item) {
      return (options.from && item.event.at < *options.from) || (options.to && item.event.at >= *options.to);
    });
  reader.finish();
  if (reader.items_.empty())
    return failure(Fault::malformed, Retry::never,
                   description +
                       ": there is no trade and no quote of Binance that could be played; give .frames of its "
                       "streams, or a CSV file of trades with its symbol and columns");
  std::vector<TapeEvent> events;
  events.reserve(reader.items_.size());
  for (const Item& item : reader.items_) events.push_back(item.event);
  return make_list_tape(options.product, std::move(reader.listings_), std::move(events), std::move(description));
}

}  // namespace truetape::sim
