#include "sim/control.h"

#include <gtest/gtest.h>

#include "sim/streams.h"

namespace truetape::sim {
namespace {

Market market(Product product = Product::spot) {
  Listing btc, eth;
  btc.symbol = "BTCUSDT";
  eth.symbol = "ETHUSDT";
  return Market{product, {btc, eth}};
}

struct Case {
  std::string_view request, answer;
};

TEST(SimControl, EachRequestHasItsAnswer) {
  const Market known = market();
  ControlState state;
  const auto ask = [&](std::string_view request) {
    return control(request, state, {}, [&](std::string_view name) { return parse_stream(name, known).has_value(); })
        .text;
  };
  const Case cases[] = {
      {R"({"method":"SUBSCRIBE","params":["btcusdt@trade","ethusdt@aggTrade"],"id":1})", R"({"result":null,"id":1})"},
      {R"({"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":2})", R"({"result":null,"id":2})"},
      {R"({"method":"LIST_SUBSCRIPTIONS","id":"a-1"})",
       R"({"result":["btcusdt@trade","ethusdt@aggTrade"],"id":"a-1"})"},
      {R"({"method":"UNSUBSCRIBE","params":["btcusdt@trade","btcusdt@depth"],"id":null})",
       R"({"result":null,"id":null})"},
      {R"({"method":"LIST_SUBSCRIPTIONS","id":-5})", R"({"result":["ethusdt@aggTrade"],"id":-5})"},
      {R"({"method":"SUBSCRIBE","params":["xrpxrp@miniTicker"],"id":3})", R"({"result":null,"id":3})"},
      {R"({"method":"GET_PROPERTY","params":["combined"],"id":4})", R"({"result":false,"id":4})"},
      {R"({"method":"SET_PROPERTY","params":["combined",true],"id":5})", R"({"result":null,"id":5})"},
      {R"({"method":"GET_PROPERTY","params":["combined"],"id":6})", R"({"result":true,"id":6})"},
      {R"({"method":"SET_PROPERTY","params":["combined",1],"id":7})",
       R"({"error":{"code":1,"msg":"Invalid value type: expected Boolean"},"id":7})"},
      {R"({"method":"GET_PROPERTY","params":["colour"],"id":8})",
       R"({"error":{"code":0,"msg":"Unknown property"},"id":8})"},
      {R"({"method":"GET_PROPERTY","params":[7],"id":9})",
       R"({"error":{"code":2,"msg":"Invalid request: property name must be a string"},"id":9})"},
      {R"({"method":"GET_PROPERTY","params":["combined",true],"id":10})",
       R"({"error":{"code":2,"msg":"Invalid request: too many parameters"},"id":10})"},
      {R"({"method":"SUBSCRIBE","params":["@@@x###"],"id":11})",
       R"({"error":{"code":2,"msg":"Invalid request: invalid stream"},"id":11})"},
      {R"({"method":"SUBSCRIBE","params":[1],"id":12})",
       R"({"error":{"code":2,"msg":"Invalid request: invalid stream"},"id":12})"},
      {R"({"method":"SUBSCRIBE","params":["btcusdt@trade"]})",
       R"({"error":{"code":2,"msg":"Invalid request: request ID must be an unsigned integer"}})"},
      {R"({"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1.5})",
       R"({"error":{"code":2,"msg":"Invalid request: request ID must be an unsigned integer"}})"},
      {R"({"params":[],"id":13})",
       R"({"error":{"code":2,"msg":"Invalid request: missing field `method` at line 1 column 21"},"id":13})"},
      {R"(nonsense)", R"({"error":{"code":3,"msg":"Invalid JSON: expected value at line 1 column 1"}})"},
      {R"([1])", R"({"error":{"code":3,"msg":"Invalid JSON: expected object at line 1 column 1"}})"},
  };
  for (const Case& c : cases) EXPECT_EQ(ask(c.request), c.answer) << c.request;
  EXPECT_EQ(state.streams, (std::vector<std::string>{"ethusdt@aggTrade", "xrpxrp@miniTicker"}));
}

TEST(SimControl, TooManyStreamsChangeNothing) {
  ControlState state{.streams = {"a@trade"}};
  const auto any = [](std::string_view) { return true; };
  const ControlLimits limits{.streams = 2, .nested_errors = false};
  EXPECT_EQ(control(R"({"method":"SUBSCRIBE","params":["b@trade","c@trade"],"id":1})", state, limits, any).text,
            R"({"code":4,"msg":"Too many subscriptions","id":1})");
  EXPECT_EQ(state.streams, (std::vector<std::string>{"a@trade"}));
  EXPECT_EQ(control(R"({"method":"SUBSCRIBE","params":["a@trade","b@trade"],"id":2})", state, limits, any).text,
            R"({"result":null,"id":2})");
}

TEST(SimControl, FuturesTakeWholeNumbersAsIds) {
  ControlState state;
  const auto any = [](std::string_view) { return true; };
  const ControlLimits limits{.any_id = false};
  for (const std::string_view id : {R"("a")", "null", "-1"})
    EXPECT_TRUE(control(R"({"method":"LIST_SUBSCRIPTIONS","id":)" + std::string{id} + "}", state, limits, any).refused)
        << id;
  EXPECT_EQ(control(R"({"method":"LIST_SUBSCRIPTIONS","id":7})", state, limits, any).text, R"({"result":[],"id":7})");
}

TEST(SimStreams, NamesAreKnownSilentOrMalformed) {
  const Market spot = market(), usdm = market(Product::usdm);
  const auto kind = [](std::string_view name, const Market& of) -> std::optional<StreamKind> {
    const auto parsed = parse_stream(name, of);
    return parsed ? std::optional{parsed->kind} : std::nullopt;
  };
  struct Known {
    std::string_view name;
    std::optional<StreamKind> spot, usdm;
    bool market;  // USD-M's route
  };
  using enum StreamKind;
  const Known cases[] = {
      {"btcusdt@trade", trade, trade, false},
      {"btcusdt@aggTrade", aggregate, aggregate, true},
      {"btcusdt@bookTicker", quote, quote, false},
      {"btcusdt@kline_1m", kline, kline, true},
      {"btcusdt@kline_1M", kline, kline, true},
      {"btcusdt@kline_2m", silent, silent, true},
      {"btcusdt@ticker", ticker, ticker, true},
      {"btcusdt@miniTicker", mini_ticker, mini_ticker, true},
      {"!miniTicker@arr", all_mini_tickers, all_mini_tickers, true},
      {"!ticker@arr", silent, all_tickers, true},
      {"!bookTicker", silent, all_quotes, false},
      {"BTCUSDT@trade", silent, silent, false},
      {"btcusdt@aggtrade", silent, silent, true},
      {"btcusdt@depth@100ms", silent, silent, false},
      {"nosuch@trade", silent, silent, false},
      {"@@@x###", std::nullopt, std::nullopt, false},
      {"", std::nullopt, std::nullopt, false},
      {"btcusdt", std::nullopt, std::nullopt, false},
      {"btcusdt@", std::nullopt, std::nullopt, false},
      {"btc usdt@trade", std::nullopt, std::nullopt, false},
  };
  for (const Known& c : cases) {
    EXPECT_EQ(kind(c.name, spot), c.spot) << c.name;
    EXPECT_EQ(kind(c.name, usdm), c.usdm) << c.name;
    if (!c.usdm) continue;
    const StreamName name = *parse_stream(c.name, usdm);
    EXPECT_EQ(served(name, Route::market), c.market) << c.name;
    EXPECT_EQ(served(name, Route::open), !c.market) << c.name;
    EXPECT_TRUE(served(*parse_stream(c.name, spot), Route::all)) << c.name;
  }
}

TEST(SimStreams, PathsAreThoseOfTheVenue) {
  struct Path {
    std::string target;
    Product product;
    std::string text;  // route, combined, unit, streams
  };
  const Path cases[] = {
      {"/ws", Product::spot, "all raw ms"},
      {"/ws/btcusdt@trade", Product::spot, "all raw ms btcusdt@trade"},
      {"/ws/btcusdt%40trade/ethusdt@trade", Product::spot, "all raw ms btcusdt@trade ethusdt@trade"},
      {"/stream", Product::spot, "all combined ms"},
      {"/stream?streams=btcusdt@trade/ethusdt%40trade&timeUnit=MICROSECOND", Product::spot,
       "all combined us btcusdt@trade ethusdt@trade"},
      {"/stream?timeUnit=year", Product::spot, "refused"},
      {"/public/ws", Product::spot, "none"},
      {"/", Product::spot, "none"},
      {"/wss", Product::spot, "none"},
      {"/ws/btcusdt@trade", Product::usdm, "open raw ms btcusdt@trade"},
      {"/public/stream?streams=btcusdt@trade", Product::usdm, "open combined ms btcusdt@trade"},
      {"/market/ws/btcusdt@aggTrade/x@y", Product::usdm, "market raw ms btcusdt@aggTrade x@y"},
      {"/market/stream?timeUnit=MICROSECOND", Product::usdm, "market combined ms"},
      {"/private/ws", Product::usdm, "none"},
      {"/ws/", Product::usdm, "refused"},
  };
  for (const Path& c : cases) {
    const auto parsed = parse_socket_path(*net::parse_target(c.target), c.product);
    std::string text = "none";
    if (!parsed) {
      text = "refused";
    } else if (*parsed) {
      const SocketPath& path = **parsed;
      text = path.route == Route::all ? "all" : path.route == Route::open ? "open" : "market";
      text += path.combined ? " combined" : " raw";
      text += path.microseconds ? " us" : " ms";
      for (const std::string& stream : path.streams) text += ' ' + stream;
    }
    EXPECT_EQ(text, c.text) << c.target;
  }
}

}  // namespace
}  // namespace truetape::sim
