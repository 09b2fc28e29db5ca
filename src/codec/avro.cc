#include "codec/avro.h"

#include "codec/avro_io.h"

namespace truetape::avro {
namespace {

constexpr std::size_t text_bound(std::size_t size) { return kMaxVarint + size; }
constexpr std::size_t kInstrument = text_bound(Instrument::kMaxBytes);

Instrument get_instrument(Reader& in) {
  const std::string_view text = in.get_text();
  const auto instrument = Instrument::parse(text);
  if (instrument) return *instrument;
  if (!text.empty()) in.fail("not an instrument (venue:SYMBOL)");
  return {};  // an empty text is the empty instrument
}

Interval get_interval(Reader& in) {
  const std::int64_t seconds = in.get_long();
  if (seconds < 1 || seconds > 86'400) {
    in.fail("an interval that is not within 1 and 86400 seconds");
    return Interval{1};
  }
  return Interval{seconds};
}

// A record of at most `Bound` bytes: written beside, then appended.
template <std::size_t Bound, class Put>
void append_bounded(std::string& out, Put put) {
  char buffer[Bound + kSlack];
  Writer writer{buffer};
  put(writer);
  out.append(buffer, static_cast<std::size_t>(writer.at() - buffer));
}

// A record whose texts have no bound.
template <class Put>
void append_unbounded(std::string& out, std::size_t bound, Put put) {
  const std::size_t before = out.size();
  out.resize(before + bound + kSlack);
  Writer writer{out.data() + before};
  put(writer);
  out.resize(static_cast<std::size_t>(writer.at() - out.data()));
}

template <class T>
Result<T> finish(Reader& in, const char* record, T&& value) {
  if (auto done = in.finish(record); !done) return tl::unexpected{done.error()};
  return std::move(value);
}

constexpr unsigned kMarks = 4;  // symbols of enum Mark

}  // namespace

void encode(const Trade& v, std::string& out) {
  append_bounded<kInstrument + text_bound(40) * 2 + text_bound(20) + kMaxVarint * 16 + kMaxDecimal * 2>(
      out, [&](Writer& w) {
        w.put_text(v.instrument.text());
        w.put_enum(v.tape);
        w.put_long(v.era);
        w.put_text(v.id.view());
        w.put_unsigned(v.order);
        w.put_unsigned(v.first_id);
        w.put_unsigned(v.last_id);
        w.put_time(v.event_time);
        w.put_optional(v.receive_time);
        w.put_decimal(v.price);
        w.put_decimal(v.quantity);
        w.put_enum(v.taker_side);
        w.put_text(v.kind.view());
        if (const Marks marks = v.marks & ((1U << kMarks) - 1); marks != 0) {
          w.put_long(__builtin_popcount(marks));
          for (unsigned i = 0; i < kMarks; ++i)
            if ((marks >> i & 1U) != 0) w.put_long(i);
        }
        w.put_long(0);
        w.put_text(v.source.view());
        w.put_unsigned(v.seq);
        w.put_long(v.ordinal);
      });
}

Result<Trade> decode_trade(std::string_view body) {
  Reader in{body};
  Trade v;
  in.field("instrument");
  v.instrument = get_instrument(in);
  in.field("tape");
  v.tape = in.get_enum(Tape::agg);
  in.field("era");
  v.era = in.get_u32();
  in.field("id");
  v.id = in.get_short_text<40>();
  in.field("order");
  v.order = in.get_unsigned();
  in.field("first_id");
  v.first_id = in.get_unsigned();
  in.field("last_id");
  v.last_id = in.get_unsigned();
  in.field("event_time");
  v.event_time = in.get_time();
  in.field("receive_time");
  in.get(v.receive_time);
  in.field("price");
  v.price = in.get_decimal();
  in.field("quantity");
  v.quantity = in.get_decimal();
  in.field("taker_side");
  v.taker_side = in.get_enum(Side::sell);
  in.field("kind");
  v.kind = in.get_short_text<20>();
  in.field("marks");
  in.get_array([&] { v.marks |= 1U << static_cast<unsigned>(in.get_enum(Mark::late)); });
  in.field("source");
  v.source = in.get_short_text<40>();
  in.field("seq");
  v.seq = in.get_unsigned();
  in.field("ordinal");
  v.ordinal = in.get_u32();
  return finish(in, "Trade", std::move(v));
}

void encode(const Quote& v, std::string& out) {
  append_bounded<kInstrument + kMaxVarint * 8 + (kMaxDecimal + 1) * 11>(out, [&](Writer& w) {
    w.put_text(v.instrument.text());
    w.put_enum(v.kind);
    w.put_unsigned(v.order);
    w.put_optional(v.event_time);
    w.put_optional(v.receive_time);
    for (const auto* value : {&v.bid, &v.bid_quantity, &v.ask, &v.ask_quantity, &v.last, &v.last_quantity, &v.open,
                              &v.high, &v.low, &v.volume, &v.quote_volume})
      w.put_optional(*value);
  });
}

Result<Quote> decode_quote(std::string_view body) {
  Reader in{body};
  Quote v;
  in.field("instrument");
  v.instrument = get_instrument(in);
  in.field("kind");
  v.kind = in.get_enum(QuoteKind::ticker);
  in.field("order");
  v.order = in.get_unsigned();
  in.field("event_time");
  in.get(v.event_time);
  in.field("receive_time");
  in.get(v.receive_time);
  const auto decimal = [&](const char* field, std::optional<Decimal>& to) {
    in.field(field);
    in.get(to);
  };
  decimal("bid", v.bid);
  decimal("bid_quantity", v.bid_quantity);
  decimal("ask", v.ask);
  decimal("ask_quantity", v.ask_quantity);
  decimal("last", v.last);
  decimal("last_quantity", v.last_quantity);
  decimal("open", v.open);
  decimal("high", v.high);
  decimal("low", v.low);
  decimal("volume", v.volume);
  decimal("quote_volume", v.quote_volume);
  return finish(in, "Quote", std::move(v));
}

void encode(const Candle& v, std::string& out) {
  append_bounded<kInstrument + (kMaxVarint + 1) * 18 + (kMaxDecimal + 1) * 9>(out, [&](Writer& w) {
    w.put_text(v.instrument.text());
    w.put_enum(v.tape);
    w.put_long(v.interval.count());
    w.put_time(v.start);
    w.put_optional(v.open);
    w.put_optional(v.high);
    w.put_optional(v.low);
    w.put_optional(v.close);
    w.put_optional(v.volume);
    w.put_optional(v.quote_volume);
    w.put_optional(v.trades);
    w.put_optional(v.taker_buy_volume);
    w.put_optional(v.taker_buy_quote_volume);
    w.put_optional(v.vwap);
    w.put_optional(v.first_id);
    w.put_optional(v.last_id);
    w.put_optional(v.first_time);
    w.put_optional(v.last_time);
    w.put_enum(v.completeness);
    w.put_enum(v.status);
    w.put_enum(v.proof);
    w.put_bool(v.repaired);
    w.put_optional(v.missing);
    w.put_unsigned(v.held);
    w.put_long(v.epoch);
    w.put_unsigned(v.revision);
    w.put_optional(v.first_receive_time);
    w.put_optional(v.last_receive_time);
  });
}

Result<Candle> decode_candle(std::string_view body) {
  Reader in{body};
  Candle v;
  const auto optional = [&](const char* field, auto& to) {
    in.field(field);
    in.get(to);
  };
  in.field("instrument");
  v.instrument = get_instrument(in);
  in.field("tape");
  v.tape = in.get_enum(Tape::agg);
  in.field("interval_seconds");
  v.interval = get_interval(in);
  in.field("start");
  v.start = in.get_time();
  optional("open", v.open);
  optional("high", v.high);
  optional("low", v.low);
  optional("close", v.close);
  optional("volume", v.volume);
  optional("quote_volume", v.quote_volume);
  optional("trades", v.trades);
  optional("taker_buy_volume", v.taker_buy_volume);
  optional("taker_buy_quote_volume", v.taker_buy_quote_volume);
  optional("vwap", v.vwap);
  optional("first_id", v.first_id);
  optional("last_id", v.last_id);
  optional("first_time", v.first_time);
  optional("last_time", v.last_time);
  in.field("completeness");
  v.completeness = in.get_enum(Completeness::unverifiable);
  in.field("status");
  v.status = in.get_enum(CandleStatus::corrected);
  in.field("proof");
  v.proof = in.get_enum(Proof::overlap);
  in.field("repaired");
  v.repaired = in.get_bool();
  optional("missing", v.missing);
  in.field("held");
  v.held = in.get_unsigned();
  in.field("epoch");
  v.epoch = in.get_long();
  in.field("revision");
  v.revision = in.get_unsigned();
  optional("first_receive_time", v.first_receive_time);
  optional("last_receive_time", v.last_receive_time);
  return finish(in, "Candle", std::move(v));
}

void encode(const News& v, std::string& out) {
  std::size_t bound = kMaxVarint * 9 + v.venue.size() + v.id.size() + v.headline.size() + v.source.size() +
                      v.url.size() + v.summary.size();
  bound += v.related.size() * kInstrument;
  append_unbounded(out, bound, [&](Writer& w) {
    w.put_text(v.venue);
    w.put_text(v.id);
    w.put_time(v.event_time);
    w.put_text(v.headline);
    w.put_text(v.source);
    w.put_text(v.url);
    w.put_text(v.summary);
    if (!v.related.empty()) {
      w.put_long(static_cast<std::int64_t>(v.related.size()));
      for (const Instrument& instrument : v.related) w.put_text(instrument.text());
    }
    w.put_long(0);
  });
}

Result<News> decode_news(std::string_view body) {
  Reader in{body};
  News v;
  in.field("venue");
  v.venue = in.get_text();
  in.field("id");
  v.id = in.get_text();
  in.field("event_time");
  v.event_time = in.get_time();
  in.field("headline");
  v.headline = in.get_text();
  in.field("source");
  v.source = in.get_text();
  in.field("url");
  v.url = in.get_text();
  in.field("summary");
  v.summary = in.get_text();
  in.field("related");
  in.get_array([&] { v.related.push_back(get_instrument(in)); });
  return finish(in, "News", std::move(v));
}

void encode(const Gap& v, std::string& out) {
  append_bounded<kInstrument + (kMaxVarint + 1) * 11>(out, [&](Writer& w) {
    w.put_text(v.instrument.text());
    w.put_enum(v.tape);
    w.put_long(v.era);
    w.put_unsigned(v.first_id);
    w.put_optional(v.last_id);
    w.put_unsigned(v.missing);
    w.put_time(v.from);
    w.put_optional(v.to);
    w.put_enum(v.state);
    w.put_enum(v.reason);
    w.put_long(v.epoch);
    w.put_unsigned(v.revision);
  });
}

Result<Gap> decode_gap(std::string_view body) {
  Reader in{body};
  Gap v;
  in.field("instrument");
  v.instrument = get_instrument(in);
  in.field("tape");
  v.tape = in.get_enum(Tape::agg);
  in.field("era");
  v.era = in.get_u32();
  in.field("first_id");
  v.first_id = in.get_unsigned();
  in.field("last_id");
  in.get(v.last_id);
  in.field("missing");
  v.missing = in.get_unsigned();
  in.field("from");
  v.from = in.get_time();
  in.field("to");
  in.get(v.to);
  in.field("state");
  v.state = in.get_enum(GapState::lost);
  in.field("reason");
  v.reason = in.get_enum(GapReason::manual);
  in.field("epoch");
  v.epoch = in.get_long();
  in.field("revision");
  v.revision = in.get_unsigned();
  return finish(in, "Gap", std::move(v));
}

void encode(const LateWindow& v, std::string& out) {
  append_bounded<kInstrument + kMaxVarint * 4>(out, [&](Writer& w) {
    w.put_text(v.instrument.text());
    w.put_enum(v.tape);
    w.put_long(v.interval.count());
    w.put_time(v.start);
    w.put_unsigned(v.trades);
  });
}

Result<LateWindow> decode_late_window(std::string_view body) {
  Reader in{body};
  LateWindow v;
  in.field("instrument");
  v.instrument = get_instrument(in);
  in.field("tape");
  v.tape = in.get_enum(Tape::agg);
  in.field("interval_seconds");
  v.interval = get_interval(in);
  in.field("start");
  v.start = in.get_time();
  in.field("trades");
  v.trades = in.get_unsigned();
  return finish(in, "LateWindow", std::move(v));
}

void encode(const Progress& v, std::string& out) {
  append_bounded<kInstrument + (kMaxVarint + 1) * 7>(out, [&](Writer& w) {
    w.put_text(v.instrument.text());
    w.put_enum(v.tape);
    w.put_optional(v.frontier);
    w.put_optional(v.closed_until);
    w.put_optional(v.proven_until);
    w.put_optional(v.sealed_until);
    w.put_long(v.epoch);
    w.put_unsigned(v.revision);
  });
}

Result<Progress> decode_progress(std::string_view body) {
  Reader in{body};
  Progress v;
  in.field("instrument");
  v.instrument = get_instrument(in);
  in.field("tape");
  v.tape = in.get_enum(Tape::agg);
  in.field("frontier");
  in.get(v.frontier);
  in.field("closed_until");
  in.get(v.closed_until);
  in.field("proven_until");
  in.get(v.proven_until);
  in.field("sealed_until");
  in.get(v.sealed_until);
  in.field("epoch");
  v.epoch = in.get_long();
  in.field("revision");
  v.revision = in.get_unsigned();
  return finish(in, "Progress", std::move(v));
}

void encode(const Reference& v, std::string& out) {
  const std::size_t bound = kInstrument + kMaxVarint * 4 + (kMaxDecimal + 1) * 2 + v.base.size() + v.quote.size() +
                            v.name.size() + v.status.size();
  append_unbounded(out, bound, [&](Writer& w) {
    w.put_text(v.instrument.text());
    w.put_text(v.base);
    w.put_text(v.quote);
    w.put_text(v.name);
    w.put_optional(v.tick);
    w.put_optional(v.lot);
    w.put_text(v.status);
  });
}

Result<Reference> decode_reference(std::string_view body) {
  Reader in{body};
  Reference v;
  in.field("instrument");
  v.instrument = get_instrument(in);
  in.field("base");
  v.base = in.get_text();
  in.field("quote");
  v.quote = in.get_text();
  in.field("name");
  v.name = in.get_text();
  in.field("tick");
  in.get(v.tick);
  in.field("lot");
  in.get(v.lot);
  in.field("status");
  v.status = in.get_text();
  return finish(in, "InstrumentReference", std::move(v));
}

void encode(const NewsCount& v, std::string& out) {
  append_unbounded(out, kInstrument + kMaxVarint * 9 + v.venue.size() + v.source.size(), [&](Writer& w) {
    w.put_text(v.venue);
    w.put_text(v.instrument.text());
    w.put_text(v.source);
    w.put_long(v.interval.count());
    w.put_time(v.start);
    w.put_unsigned(v.headlines);
    w.put_time(v.first_time);
    w.put_time(v.last_time);
    w.put_long(v.epoch);
    w.put_unsigned(v.revision);
  });
}

Result<NewsCount> decode_news_count(std::string_view body) {
  Reader in{body};
  NewsCount v;
  in.field("venue");
  v.venue = in.get_text();
  in.field("instrument");
  v.instrument = get_instrument(in);
  in.field("source");
  v.source = in.get_text();
  in.field("interval_seconds");
  v.interval = get_interval(in);
  in.field("start");
  v.start = in.get_time();
  in.field("headlines");
  v.headlines = in.get_unsigned();
  in.field("first_time");
  v.first_time = in.get_time();
  in.field("last_time");
  v.last_time = in.get_time();
  in.field("epoch");
  v.epoch = in.get_long();
  in.field("revision");
  v.revision = in.get_unsigned();
  return finish(in, "NewsCount", std::move(v));
}

}  // namespace truetape::avro
