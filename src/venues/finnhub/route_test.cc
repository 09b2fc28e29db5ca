#include "venues/finnhub/testing.h"

namespace truetape::finnhub {
namespace {

std::string routed(std::string_view frame) {
  std::vector<Instrument> to{*Instrument::parse("other:X")};  // what is there stays
  kVenue.route(frame, to);
  std::string out;
  for (std::size_t i = 1; i < to.size(); ++i) out += (i == 1 ? "" : ",") + to[i].str();
  return out;
}

TEST(FinnhubRoute, EachInstrumentOnceInOrderOfAppearance) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {R"({"data":[{"c":null,"p":1,"s":"TSLA","t":1672349403000,"v":7},{"c":null,"p":2,"s":"AAPL","t":1672349403001,"v":0},{"p":3,"s":"TSLA","t":1672349403002,"v":1}],"type":"trade"})",
       "finnhub:TSLA,finnhub:AAPL"},
      {R"({ "data": [{"s": "TSLA", "v":7}, {"s":"A\u0041PL"}], "type": "trade" })", "finnhub:TSLA,finnhub:AAPL"},
      {R"({"data":[{"s":"IC MARKETS:1","c":["\"s\":\"B\""]}],"type":"trade"})", "finnhub:IC%20MARKETS:1"},
      {R"({"c":["1"],"p":164.06,"s":"AAPL","t":1680286539953,"v":100})", "finnhub:AAPL"},
      {R"({"data":[{"c":["1"],"p":1,"s":"AAPL","t":1)", "finnhub:AAPL"},  // damaged
      {R"({"type":"ping"})", ""},
      {R"({"msg":"Subscribing to too many symbols","type":"error"})", ""},
      {R"({"data":[{"datetime":1679920200,"headline":"\"s\":\"A\"","id":1,"related":"CVVUF"}],"type":"news"})", ""},
      {R"({"data":[{"s":"AAPL"}],"type":"other"})", ""},
      {R"({"data":[{"s":""},{"s":7},8],"type":"trade"})", ""},
      {"", ""},
      {"\\", ""},
  };
  for (const auto& [frame, instruments] : cases) EXPECT_EQ(routed(frame), instruments) << frame;
}

TEST(FinnhubRoute, ManyInstrumentsInOneFrame) {
  std::string frame = R"({"data":[)", expected;
  for (int round = 0; round < 2; ++round)
    for (int i = 0; i < 200; ++i) {
      frame += (frame.ends_with('[') ? "" : ",") + std::string{R"({"c":null,"p":1,"s":"S)"} + std::to_string(i) +
               R"(","t":1672349403000,"v":7})";
      if (round == 0) expected += (i == 0 ? "finnhub:S" : ",finnhub:S") + std::to_string(i);
    }
  frame += R"(],"type":"trade"})";
  EXPECT_EQ(routed(frame), expected);
}

TEST(FinnhubRoute, TheNewestTradeTimeIsTheLeastAtWhichItWasSent) {
  const std::pair<std::string_view, std::int64_t> cases[] = {
      {R"({"data":[{"c":null,"p":1,"s":"A","t":1672349403009,"v":7},{"c":null,"p":2,"s":"B","t":1672349403001,"v":0}],"type":"trade"})",
       1672349403009},
      {R"({"type":"trade","data":[{"t": 1672349403001},{"t":1672349403},{"t":"9"},7]})", 1672349403001},
      {R"({"type":"ping"})", 0},
      {R"({"data":[{"datetime":1679920200,"id":1}],"type":"news"})", 0},
      {R"({"data":[{"c":null,"p":1,"s":"A","t":1672349403,"v":7}],"type":"trade"})", 0},
      {R"({"data":[{"t":1672349403001}])", 0},
  };
  for (const auto& [frame, time] : cases) {
    const auto sent = kVenue.sent_time(frame);
    EXPECT_EQ(sent ? to_ns(*sent) / 1'000'000 : 0, time) << frame;
  }
}

}  // namespace
}  // namespace truetape::finnhub
