#include "sim/kucoin_messages.h"

#include <algorithm>
#include <array>
#include <utility>

namespace truetape::sim::kucoin {
namespace {

using std::string;
using std::string_view;

void text(string& out, string_view name, string_view value) {
  out += out.back() == '{' ? "\"" : ",\"";
  out += name;
  out += "\":";
  append_json(out, value);
}

string envelope(string_view topic, string_view subject, string_view data, bool older) {
  string out = "{";
  if (older) {
    out += "\"data\":";
    out += data;
    text(out, "subject", subject);
    text(out, "topic", topic);
    text(out, "type", "message");
  } else {
    text(out, "topic", topic);
    text(out, "type", "message");
    text(out, "subject", subject);
    out += ",\"data\":";
    out += data;
  }
  return out + '}';
}

constexpr std::array<std::pair<string_view, string_view>, 13> kTypes{{{"1min", "1m"},
                                                                      {"3min", "3m"},
                                                                      {"5min", "5m"},
                                                                      {"15min", "15m"},
                                                                      {"30min", "30m"},
                                                                      {"1hour", "1h"},
                                                                      {"2hour", "2h"},
                                                                      {"4hour", "4h"},
                                                                      {"6hour", "6h"},
                                                                      {"8hour", "8h"},
                                                                      {"12hour", "12h"},
                                                                      {"1day", "1d"},
                                                                      {"1week", "1w"}}};

}  // namespace

string match_message(const Listing& listing, const Deal& deal) {
  const DealText& t = *deal.text;
  string sequence, time, data = "{";
  append_number(sequence, deal.id);
  append_number(time, to_us(deal.traded) * 1000 + deal.traded_ns);
  const string_view side = deal.buyer_is_maker ? "sell" : "buy";
  text(data, "symbol", listing.symbol);
  text(data, "sequence", sequence);
  text(data, "side", side);
  text(data, "size", t.quantity);
  text(data, "price", t.price);
  text(data, "takerOrderId", t.taker);
  if (t.older) {
    text(data, "time", time);
    text(data, "type", "match");
    text(data, "makerOrderId", t.maker);
    text(data, "tradeId", t.trade_id);
  } else {
    text(data, "makerOrderId", t.maker);
    text(data, "tradeId", t.trade_id);
    text(data, "time", time);
    text(data, "type", "match");
  }
  return envelope("/market/match:" + listing.symbol, "trade.l3match", data + '}', t.older);
}

string ticker_message(const Listing& listing, const Level& level, bool all) {
  const LevelText& t = *level.text;
  string data = "{", time = ",\"time\":";
  append_number(time, to_ms(level.traded));
  text(data, "sequence", t.sequence);
  if (t.older) {
    text(data, "bestAsk", t.ask);
    text(data, "size", t.size);
    text(data, "bestBidSize", t.bid_size);
    text(data, "price", t.price);
    data += time;
    text(data, "bestAskSize", t.ask_size);
    text(data, "bestBid", t.bid);
  } else {
    text(data, "price", t.price);
    text(data, "size", t.size);
    text(data, "bestAsk", t.ask);
    text(data, "bestAskSize", t.ask_size);
    text(data, "bestBid", t.bid);
    text(data, "bestBidSize", t.bid_size);
    data += time;
  }
  data += '}';
  if (all) return envelope("/market/ticker:all", listing.symbol, data, t.older);
  return envelope("/market/ticker:" + listing.symbol, "trade.ticker", data, t.older);
}

string level1_message(const Listing& listing, const Level& level) {
  const LevelText& t = *level.text;
  const auto side = [](string_view price, string_view size) {
    string out = "[";
    if (!price.empty()) {
      append_json(out, price);
      out += ',';
      append_json(out, size);
    }
    return out + ']';
  };
  string data = "{\"asks\":" + side(t.ask, t.ask_size) + ",\"bids\":" + side(t.bid, t.bid_size) + ",\"timestamp\":";
  append_number(data, to_ms(level.traded));
  return envelope("/spotMarket/level1:" + listing.symbol, "level1", data + '}', false);
}

void append_candle(string& out, const Bar& bar) {
  out += "[\"";
  append_number(out, to_us(bar.start) / 1'000'000);
  for (const Units price : {bar.open, bar.close, bar.high, bar.low}) {
    out += "\",\"";
    append_trimmed(out, price, kFineDecimals);
  }
  out += "\",\"";
  append_trimmed(out, bar.volume, kDecimals);
  out += "\",\"";
  append_trimmed(out, bar.quote, kFineDecimals + kDecimals);
  out += "\"]";
}

string candle_message(const Listing& listing, string_view type, const Bar& bar, bool fresh, Time told) {
  string data = "{";
  text(data, "symbol", listing.symbol);
  data += ",\"candles\":";
  append_candle(data, bar);
  data += ",\"time\":";
  append_number(data, to_us(told) * 1000);
  string topic = "/market/candles:" + listing.symbol + '_';
  topic += type;
  return envelope(topic, fresh ? "trade.candles.add" : "trade.candles.update", data + '}', false);
}

string ack_message(string_view id) {
  string out = "{";
  text(out, "id", id);
  text(out, "type", "ack");
  return out + '}';
}

string error_message(string_view id, int code, string_view what) {
  string out = "{";
  if (!id.empty()) text(out, "id", id);
  text(out, "type", "error");
  out += ",\"code\":" + std::to_string(code);
  text(out, "data", what);
  return out + '}';
}

const BarInterval* find_candle_type(string_view type) {
  if (type == "1month") return find_interval("1M");
  const auto found = std::ranges::find(kTypes, type, &std::pair<string_view, string_view>::first);
  return found == kTypes.end() ? nullptr : find_interval(found->second);
}

tl::expected<std::vector<Topic>, TopicError> parse_topic(string_view topic, std::size_t most, const Market& market) {
  const auto refuse = [](int code, string sentence) { return tl::unexpected{TopicError{code, std::move(sentence)}}; };
  if (topic.empty()) return refuse(406, "topic is required");
  if (!topic.starts_with('/')) return refuse(400, "topic is invalid");
  const std::size_t colon = topic.find(':');
  if (colon == string_view::npos || colon + 1 == topic.size()) return refuse(404, "topic does not exist");
  const string_view channel = topic.substr(0, colon);
  Channel kind = Channel::silent;
  if (channel == "/market/match") {
    kind = Channel::match;
  } else if (channel == "/market/ticker") {
    kind = Channel::ticker;
  } else if (channel == "/spotMarket/level1") {
    kind = Channel::level1;
  } else if (channel == "/market/candles") {
    kind = Channel::candles;
  } else {
    constexpr std::array<string_view, 8> kSilent{
        "/market/level2",   "/market/snapshot",     "/spotMarket/level2Depth5",   "/spotMarket/level2Depth50",
        "/indicator/index", "/indicator/markPrice", "/callauction/level2Depth50", "/callauction/callauctionData"};
    if (std::ranges::find(kSilent, channel) == kSilent.end()) return refuse(404, "topic does not exist");
  }
  string_view left = topic.substr(colon + 1);
  std::vector<Topic> result;
  for (bool more = true; more;) {
    const std::size_t comma = left.find(',');
    string_view argument = left.substr(0, comma);
    while (argument.starts_with(' ')) argument.remove_prefix(1);
    more = comma != string_view::npos;
    if (more) left.remove_prefix(comma + 1);
    Topic one{.name = string{channel} + ':' + string{argument}, .channel = kind};
    string_view symbol = argument;
    if (kind == Channel::candles) {
      const std::size_t line = argument.rfind('_');
      one.type = line == string_view::npos ? string_view{} : argument.substr(line + 1);
      one.interval = find_candle_type(one.type);
      if (one.interval == nullptr || one.type == "1month") return refuse(404, "topic " + one.name + " is not found");
      symbol = argument.substr(0, line);
      one.type = std::ranges::find(kTypes, one.type, &std::pair<string_view, string_view>::first)->first;
    }
    if (kind == Channel::ticker && argument == "all") {
      one.channel = Channel::all_tickers;
    } else if (const auto found = market.find(symbol)) {
      one.instrument = *found;
    } else if (kind != Channel::silent || channel == "/market/level2") {
      return refuse(404, "topic " + one.name + " is not found");
    }
    result.push_back(std::move(one));
    if (result.size() > most)
      return refuse(509, "exceed max subscription count limitation of " + std::to_string(most) + " per time");
  }
  return result;
}

}  // namespace truetape::sim::kucoin
