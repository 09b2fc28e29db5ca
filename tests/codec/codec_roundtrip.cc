// One half of fastavro_check.py: makes encoded records with a plain rendering of their fields, and reads encoded
// records.
//   codec_roundtrip make TOPIC SEED COUNT    lines of "hex of the framed value<TAB>JSON"
//   codec_roundtrip read TOPIC               lines of hex from standard input, lines of JSON or "refused: …" out
// The JSON has the schema's field names; numbers are those that Avro sees (64 bits signed), decimals are text.
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <string>

#include "codec/cells.h"
#include "codec/random_records.h"
#include "codec/wire.h"

namespace truetape {
namespace {

class Json {
 public:
  explicit Json(std::string& out) : out_{out} {}
  ~Json() { out_ += '}'; }
  Json(const Json&) = delete;
  Json& operator=(const Json&) = delete;
  void put(const char* field, std::string_view text) {
    key(field);
    append_json(text, out_);
  }
  void put(const char* field, const char* text) { put(field, std::string_view{text}); }
  void put(const char* field, const Instrument& instrument) { put(field, instrument.text()); }
  void put(const char* field, std::int64_t number) {
    key(field);
    append_number(number, out_);
  }
  void put(const char* field, std::uint64_t number) { put(field, static_cast<std::int64_t>(number)); }
  void put(const char* field, std::uint32_t number) { put(field, std::int64_t{number}); }
  void put(const char* field, Timestamp t) { put(field, to_ns(t)); }
  void put(const char* field, Decimal value) { put(field, std::string_view{to_text(value)}); }
  void put(const char* field, Amount value) { put(field, std::string_view{to_text(value)}); }
  void put(const char* field, bool value) {
    key(field);
    out_ += value ? "true" : "false";
  }
  template <class T>
  void put(const char* field, const std::optional<T>& value) {
    if (value) return put(field, *value);
    key(field);
    out_ += "null";
  }
  template <class Texts>
  void list(const char* field, const Texts& texts) {
    key(field);
    out_ += '[';
    bool first = true;
    for (const auto& text : texts) {
      if (!first) out_ += ',';
      first = false;
      append_json(text, out_);
    }
    out_ += ']';
  }
  // The symbol of an enum whose first has no word of its own.
  void symbol(const char* field, std::string_view word, const char* first) { put(field, word.empty() ? first : word); }

 private:
  void key(const char* field) {
    out_ += out_.empty() || out_.back() == '\t' ? '{' : ',';
    append_json(field, out_);
    out_ += ':';
  }
  std::string& out_;
};

void render(const Trade& v, std::string& out) {
  Json j{out};
  j.put("instrument", v.instrument);
  j.put("tape", name(v.tape));
  j.put("era", v.era);
  j.put("id", v.id.view());
  j.put("order", v.order);
  j.put("first_id", v.first_id);
  j.put("last_id", v.last_id);
  j.put("event_time", v.event_time);
  j.put("receive_time", v.receive_time);
  j.put("price", v.price);
  j.put("quantity", v.quantity);
  j.symbol("taker_side", name(v.taker_side), "unknown");
  j.put("kind", v.kind.view());
  std::vector<std::string> marks;
  const std::string words = marks_text(v.marks);
  for (std::size_t at = 0; at < words.size();) {
    const std::size_t bar = std::min(words.find('|', at), words.size());
    marks.push_back(words.substr(at, bar - at));
    at = bar + 1;
  }
  j.list("marks", marks);
  j.put("source", v.source.view());
  j.put("seq", v.seq);
  j.put("ordinal", v.ordinal);
}
void render(const Quote& v, std::string& out) {
  Json j{out};
  j.put("instrument", v.instrument);
  j.put("kind", name(v.kind));
  j.put("order", v.order);
  j.put("event_time", v.event_time);
  j.put("receive_time", v.receive_time);
  j.put("bid", v.bid);
  j.put("bid_quantity", v.bid_quantity);
  j.put("ask", v.ask);
  j.put("ask_quantity", v.ask_quantity);
  j.put("last", v.last);
  j.put("last_quantity", v.last_quantity);
  j.put("open", v.open);
  j.put("high", v.high);
  j.put("low", v.low);
  j.put("volume", v.volume);
  j.put("quote_volume", v.quote_volume);
}
void render(const Candle& v, std::string& out) {
  Json j{out};
  j.put("instrument", v.instrument);
  j.put("tape", name(v.tape));
  j.put("interval_seconds", std::int64_t{v.interval.count()});
  j.put("start", v.start);
  j.put("open", v.open);
  j.put("high", v.high);
  j.put("low", v.low);
  j.put("close", v.close);
  j.put("volume", v.volume);
  j.put("quote_volume", v.quote_volume);
  j.put("trades", v.trades);
  j.put("taker_buy_volume", v.taker_buy_volume);
  j.put("taker_buy_quote_volume", v.taker_buy_quote_volume);
  j.put("vwap", v.vwap);
  j.put("first_id", v.first_id);
  j.put("last_id", v.last_id);
  j.put("first_time", v.first_time);
  j.put("last_time", v.last_time);
  j.symbol("completeness", name(v.completeness), "none");
  j.put("status", name(v.status));
  j.symbol("proof", name(v.proof), "none");
  j.put("repaired", v.repaired);
  j.put("missing", v.missing);
  j.put("held", v.held);
  j.put("epoch", v.epoch);
  j.put("revision", v.revision);
  j.put("first_receive_time", v.first_receive_time);
  j.put("last_receive_time", v.last_receive_time);
}
void render(const News& v, std::string& out) {
  Json j{out};
  j.put("venue", std::string_view{v.venue});
  j.put("id", std::string_view{v.id});
  j.put("event_time", v.event_time);
  j.put("headline", std::string_view{v.headline});
  j.put("source", std::string_view{v.source});
  j.put("url", std::string_view{v.url});
  j.put("summary", std::string_view{v.summary});
  std::vector<std::string_view> related;
  for (const Instrument& instrument : v.related) related.push_back(instrument.text());
  j.list("related", related);
}
void render(const NewsCount& v, std::string& out) {
  Json j{out};
  j.put("venue", std::string_view{v.venue});
  j.put("instrument", v.instrument);
  j.put("source", std::string_view{v.source});
  j.put("interval_seconds", std::int64_t{v.interval.count()});
  j.put("start", v.start);
  j.put("headlines", v.headlines);
  j.put("first_time", v.first_time);
  j.put("last_time", v.last_time);
  j.put("epoch", v.epoch);
  j.put("revision", v.revision);
}
void render(const Gap& v, std::string& out) {
  Json j{out};
  j.put("instrument", v.instrument);
  j.put("tape", name(v.tape));
  j.put("era", v.era);
  j.put("first_id", v.first_id);
  j.put("last_id", v.last_id);
  j.put("missing", v.missing);
  j.put("from", v.from);
  j.put("to", v.to);
  j.put("state", name(v.state));
  j.put("reason", name(v.reason));
  j.put("epoch", v.epoch);
  j.put("revision", v.revision);
}
void render(const LateWindow& v, std::string& out) {
  Json j{out};
  j.put("instrument", v.instrument);
  j.put("tape", name(v.tape));
  j.put("interval_seconds", std::int64_t{v.interval.count()});
  j.put("start", v.start);
  j.put("trades", v.trades);
}
void render(const Progress& v, std::string& out) {
  Json j{out};
  j.put("instrument", v.instrument);
  j.put("tape", name(v.tape));
  j.put("frontier", v.frontier);
  j.put("closed_until", v.closed_until);
  j.put("proven_until", v.proven_until);
  j.put("sealed_until", v.sealed_until);
  j.put("epoch", v.epoch);
  j.put("revision", v.revision);
}
void render(const Reference& v, std::string& out) {
  Json j{out};
  j.put("instrument", v.instrument);
  j.put("base", std::string_view{v.base});
  j.put("quote", std::string_view{v.quote});
  j.put("name", std::string_view{v.name});
  j.put("tick", v.tick);
  j.put("lot", v.lot);
  j.put("status", std::string_view{v.status});
}

std::string to_hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char byte : bytes) {
    out += kDigits[static_cast<unsigned char>(byte) >> 4];
    out += kDigits[static_cast<unsigned char>(byte) & 15];
  }
  return out;
}
std::string from_hex(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    out += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  return out;
}

struct Half {
  std::function<std::string(RandomRecords&)> make;
  std::function<std::string(std::string_view)> read;
};
template <class T>
Half half(T (RandomRecords::*random)()) {
  return {[random](RandomRecords& records) {
            const T value = (records.*random)();
            std::string bytes;
            wire::encode(value, bytes);
            std::string line = to_hex(bytes) + '\t';
            render(value, line);
            return line;
          },
          [](std::string_view bytes) {
            const auto value = wire::decode<T>(bytes);
            if (!value) return "refused: " + value.error().detail;
            std::string line;
            render(*value, line);
            return line;
          }};
}

int run(const std::vector<std::string>& words) {
  const std::map<std::string, Half> halves{{"trade", half(&RandomRecords::trade)},
                                           {"quote", half(&RandomRecords::quote)},
                                           {"candle", half(&RandomRecords::candle)},
                                           {"news", half(&RandomRecords::news)},
                                           {"gap", half(&RandomRecords::gap)},
                                           {"late", half(&RandomRecords::late_window)},
                                           {"progress", half(&RandomRecords::progress)},
                                           {"instrument", half(&RandomRecords::reference)},
                                           {"news_count", half(&RandomRecords::news_count)}};
  const auto at = words.size() >= 2 ? halves.find(words[1]) : halves.end();
  if (at != halves.end() && words[0] == "make" && words.size() == 4) {
    RandomRecords records{std::stoull(words[2])};
    for (auto count = std::stoull(words[3]); count > 0; --count) std::cout << at->second.make(records) << '\n';
    return 0;
  }
  if (at != halves.end() && words[0] == "read" && words.size() == 2) {
    for (std::string line; std::getline(std::cin, line);) std::cout << at->second.read(from_hex(line)) << '\n';
    return 0;
  }
  std::cerr << "usage: codec_roundtrip make TOPIC SEED COUNT | read TOPIC\n";
  return 2;
}

}  // namespace
}  // namespace truetape

int main(int argc, char** argv) { return truetape::run({argv + 1, argv + argc}); }
