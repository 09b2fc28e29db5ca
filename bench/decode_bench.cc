// From a frame's bytes to a trade with exact decimals: ours, and simdjson (which the strict reader would be built on)
// doing the same work, into the same kind of item.
#include <benchmark/benchmark.h>
#include <simdjson.h>

#include <vector>

#include "batch/decoders.h"
#include "bench/kernels.h"
#include "venues/binance/item.h"

namespace truetape::bench {

const Dense& dense() {
  static const Dense only;
  return only;
}

namespace {

enum class Form { spot, usdm };

struct Frames {
  std::vector<std::string> texts;
  std::vector<simdjson::padded_string> padded;
  std::string_view instrument;
};

const Frames& frames(Form form) {
  const auto make = [](Form f) {
    Frames out;
    for (std::size_t i = 0; i < dense().recorded(); ++i) {
      std::string text;
      const DenseTrade t = dense().at(i);
      f == Form::spot ? dense().spot_frame(t, "BTCUSDT", text) : dense().usdm_frame(t, "BTCUSDT", text);
      out.padded.emplace_back(text);
      out.texts.push_back(std::move(text));
    }
    out.instrument = f == Form::spot ? "binance:BTCUSDT" : "binance-usdm:BTCUSDT";
    return out;
  };
  static const Frames spot = make(Form::spot), usdm = make(Form::usdm);
  return form == Form::spot ? spot : usdm;
}

RawRecord record_of(std::string_view bytes, const Frames& all) {
  RawRecord r;
  r.kind = RawKind::frame;
  r.instruments = all.instrument;
  r.receive_time = timestamp_ns(1'723'161'254'087'896'568);
  r.bytes = bytes;
  return r;
}

// The peers' item: all that ours has, by the library's own means; decimals by ours, since none of them has exact ones.
bool peer_fill(Item& item, std::string_view symbol, std::uint64_t id, std::string_view price, std::string_view quantity,
               std::int64_t time, bool maker, std::string_view venue) {
  const auto instrument = Instrument::of(venue, symbol);
  const ParsedDecimal p = parse_decimal(price), q = parse_decimal(quantity);
  if (!instrument || p.fault != DecimalFault::none || q.fault != DecimalFault::none) return false;
  Trade& t = item.trade;
  t.instrument = *instrument;
  t.order = t.first_id = t.last_id = id;
  t.id = Text<40>::cut(std::to_string(id));
  t.event_time = timestamp_ns(time * 1'000'000);
  t.price = p.value;
  t.quantity = q.value;
  t.taker_side = maker ? Side::sell : Side::buy;
  item.type = Item::Type::trade;
  return true;
}

bool decode_on_demand(simdjson::ondemand::parser& parser, const simdjson::padded_string& text, std::string_view venue,
                      Events& out) {
  simdjson::ondemand::document document;
  if (parser.iterate(text).get(document) != simdjson::SUCCESS) return false;
  simdjson::ondemand::object data;
  if (document["data"].get_object().get(data) != simdjson::SUCCESS) return false;
  std::string_view symbol, price, quantity, event;
  std::uint64_t id = 0;
  std::int64_t time = 0;
  bool maker = false;
  // In the order of the bytes, which is on-demand's fast path.
  if (data["e"].get_string().get(event) != simdjson::SUCCESS || event != "trade") return false;
  if (venue == "binance-usdm" && data["T"].get_int64().get(time) != simdjson::SUCCESS) return false;
  if (data["s"].get_string().get(symbol) != simdjson::SUCCESS || data["t"].get_uint64().get(id) != simdjson::SUCCESS ||
      data["p"].get_string().get(price) != simdjson::SUCCESS ||
      data["q"].get_string().get(quantity) != simdjson::SUCCESS)
    return false;
  if (venue == "binance" && data["T"].get_int64().get(time) != simdjson::SUCCESS) return false;
  if (data["m"].get_bool().get(maker) != simdjson::SUCCESS) return false;
  return peer_fill(out.items.emplace_back(), symbol, id, price, quantity, time, maker, venue);
}

bool decode_dom(simdjson::dom::parser& parser, const simdjson::padded_string& text, std::string_view venue,
                Events& out) {
  simdjson::dom::element document;
  if (parser.parse(text).get(document) != simdjson::SUCCESS) return false;
  const auto data = document["data"];
  std::string_view symbol, price, quantity;
  std::uint64_t id = 0;
  std::int64_t time = 0;
  bool maker = false;
  if (data["s"].get(symbol) != simdjson::SUCCESS || data["t"].get(id) != simdjson::SUCCESS ||
      data["p"].get(price) != simdjson::SUCCESS || data["q"].get(quantity) != simdjson::SUCCESS ||
      data["T"].get(time) != simdjson::SUCCESS || data["m"].get(maker) != simdjson::SUCCESS)
    return false;
  return peer_fill(out.items.emplace_back(), symbol, id, price, quantity, time, maker, venue);
}

bool equal(const Item& item, const DenseTrade& t, Form form) {
  const Trade& trade = item.trade;
  const std::size_t p = form == Form::spot ? 8 : 2, q = form == Form::spot ? 8 : 5;
  const auto value = [](std::int64_t e8, std::size_t decimals) {
    std::int64_t unit = 1;
    for (std::size_t i = decimals; i < 8; ++i) unit *= 10;
    return Decimal::of(e8 / unit, static_cast<int>(decimals)).value();
  };
  return item.type == Item::Type::trade && trade.order == t.id && trade.id.view() == std::to_string(t.id) &&
         trade.first_id == t.id && trade.last_id == t.id && to_ns(trade.event_time) == t.time_ms * 1'000'000 &&
         trade.price == value(t.price_e8, p) && trade.quantity == value(t.quantity_e8, q) &&
         trade.taker_side == (t.buyer_is_maker ? Side::sell : Side::buy) && trade.instrument.symbol() == "BTCUSDT";
}

void ours(benchmark::State& state, Form form) {
  const Frames& all = frames(form);
  const Decoder& decoder = all_decoders();
  Events events;
  std::size_t i = 0;
  for (auto _ : state) {
    events.clear();
    decoder.decode(record_of(all.texts[i], all), events);
    benchmark::DoNotOptimize(events.items.data());
    if (++i == all.texts.size()) i = 0;
  }
  state.SetItemsProcessed(state.iterations());
}
// The reader of any frame at all, which the quick one falls back to.
void strict(benchmark::State& state) {
  const Frames& all = frames(Form::spot);
  Events events;
  std::size_t i = 0;
  for (auto _ : state) {
    events.clear();
    binance::decode_frame_strict(binance::Product::spot, record_of(all.texts[i], all), events);
    benchmark::DoNotOptimize(events.items.data());
    if (++i == all.texts.size()) i = 0;
  }
  state.SetItemsProcessed(state.iterations());
}
template <class Parser, auto decode>
void peer(benchmark::State& state, Form form) {
  const Frames& all = frames(form);
  const std::string_view venue = form == Form::spot ? "binance" : "binance-usdm";
  Parser parser;
  Events events;
  std::size_t i = 0;
  for (auto _ : state) {
    events.clear();
    if (!decode(parser, all.padded[i], venue, events)) state.SkipWithError("decode");
    benchmark::DoNotOptimize(events.items.data());
    if (++i == all.padded.size()) i = 0;
  }
  state.SetItemsProcessed(state.iterations());
}

void on_demand(benchmark::State& state, Form form) { peer<simdjson::ondemand::parser, decode_on_demand>(state, form); }
void dom(benchmark::State& state, Form form) { peer<simdjson::dom::parser, decode_dom>(state, form); }

void one_decimal(benchmark::State& state) {
  std::vector<std::string_view> texts;
  for (std::size_t i = 0; i < 4096; ++i) texts.push_back(i % 2 ? dense().at(i).price : dense().at(i).quantity);
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(parse_decimal(texts[i]));
    i = (i + 1) % texts.size();
  }
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK_CAPTURE(ours, decode_spot, Form::spot)->Name("decode/spot/truetape");
BENCHMARK(strict)->Name("decode/spot/truetape_strict");
BENCHMARK_CAPTURE(on_demand, spot, Form::spot)->Name("decode/spot/simdjson_ondemand");
BENCHMARK_CAPTURE(dom, spot, Form::spot)->Name("decode/spot/simdjson_dom");
BENCHMARK_CAPTURE(ours, decode_usdm, Form::usdm)->Name("decode/usdm/truetape");
BENCHMARK_CAPTURE(on_demand, usdm, Form::usdm)->Name("decode/usdm/simdjson_ondemand");
BENCHMARK(one_decimal)->Name("decode/one_decimal");

}  // namespace

std::string check_decode() {
  simdjson::ondemand::parser on_demand;
  simdjson::dom::parser dom;
  Events events;
  for (const Form form : {Form::spot, Form::usdm}) {
    const Frames& all = frames(form);
    const std::string_view venue = form == Form::spot ? "binance" : "binance-usdm";
    for (std::size_t i = 0; i < all.texts.size(); ++i) {
      events.clear();
      all_decoders().decode(record_of(all.texts[i], all), events);
      const bool fast = events.items.size() == 1 && equal(events.items[0], dense().at(i), form) &&
                        events.items[0].trade.receive_time == record_of({}, all).receive_time;
      events.clear();
      binance::decode_frame_strict(form == Form::spot ? binance::Product::spot : binance::Product::usdm,
                                   record_of(all.texts[i], all), events);
      const bool slow = events.items.size() == 1 && equal(events.items[0], dense().at(i), form);
      events.clear();
      const bool first =
          decode_on_demand(on_demand, all.padded[i], venue, events) && equal(events.items[0], dense().at(i), form);
      events.clear();
      const bool second = decode_dom(dom, all.padded[i], venue, events) && equal(events.items[0], dense().at(i), form);
      if (!fast || !slow || !first || !second)
        return "frame " + std::to_string(i) + " is read wrongly: " + all.texts[i];
    }
  }
  return {};
}

}  // namespace truetape::bench
