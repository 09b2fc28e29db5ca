#include "venues/finnhub/testing.h"

namespace truetape::finnhub {
namespace {

struct Case {
  std::string_view bytes;
  Lines lines;
};

TEST(FinnhubRest, PagesOfNewsInTheirOrder) {
  const Case cases[] = {
      {R"([{"category":"technology","datetime":1596589501,"headline":"Square surges","id":5085164,"image":"","related":"","source":"CNBC","summary":"s","url":"https://u"},
        {"category":"business","datetime":1596588232,"headline":"B&G","id":5085113,"image":"","related":"BGS","source":"CNBC","summary":"","url":""}])",
       {"news 5085164 @1596589501000 [CNBC] Square surges", "news 5085113 @1596588232000 [CNBC] B&G BGS"}},
      {"[]", {"other 1"}},
      {R"({"datetime":1596589501,"headline":"h","id":1})", {"news 1 @1596589501000 [] h"}},  // judged again
      {R"([{"datetime":1596589501,"headline":"h","id":1},{"datetime":1596589501000,"headline":"h","id":2},{"datetime":1596589502,"headline":"i","id":"3"},{"datetime":1596589503,"headline":4,"id":4},{"id":5},6,"seven",{"datetime":1596589508,"headline":"j","id":8}])",
       {"! time_unit #1 $[1].datetime is 1596589501000, which is no time in seconds since 2001",
        "! wrong_type #2 $[2].id is a text, an integer is needed",
        "! wrong_type #3 $[3].headline is an integer, a text is needed",
        "! missing_field #4 $[4] has no headline and datetime",
        "! wrong_type #5 $[5] is an integer, an object is needed",
        "! wrong_type #6 $[6] is a text, an object is needed", "news 1 @1596589501000 [] h",
        "news 8 @1596589508000 [] j"}},
      {R"([{"datetime":9223372036,"headline":"h","id":1},{"datetime":9223372037,"headline":"h","id":2},{"datetime":9999999999,"headline":"h","id":3}])",
       {"! time_range #1 $[1].datetime is 9223372037, which is beyond the year 2262",
        "! time_range #2 $[2].datetime is 9999999999, which is beyond the year 2262", "news 1 @9223372036000 [] h"}},
      {R"([{"datetime":1596589501,"headline":"h"},{"datetime":1596589501,"headline":"h","id":-1}])",
       {"! missing_field #0 $[0].id is missing", "! id_range #1 $[1].id is -1, an id from 0 to 2^63 - 1 is needed"}},
      {R"([{"datetime":1596589501,"headline":"h","id":1},{"datetime":15965)",
       {"! syntax #1 $: at byte 64 the JSON ends inside an object or array", "news 1 @1596589501000 [] h"}},
      {R"([{"datetime":1596589501,"headline":"h","id":1}{)",
       {"! syntax #1 $: at byte 46 the JSON has no comma where one is needed", "news 1 @1596589501000 [] h"}},
      {"<html>", {"! wrong_type #0 $: at byte 0 the JSON is no array"}},
      {R"({"error":"API limit reached."})", {"! missing_field #0 $ has no headline and datetime"}},
      {"", {"! wrong_type #0 $: at byte 0 the JSON is no array"}},
      {"\xff[]", {"! encoding #0 $: at byte 0 the JSON is not UTF-8"}},
  };
  for (const Case& c : cases) EXPECT_EQ(lines(decoded(c.bytes, RawKind::backfill)), c.lines) << c.bytes;
}

TEST(FinnhubRest, APageInAFileOfLines) {
  EXPECT_EQ(lines(decoded(R"([{"datetime":1596589501,"headline":"h","id":1,"related":"AAPL"}])")),
            Lines{"news 1 @1596589501000 [] h AAPL"});
}

TEST(FinnhubRest, EntriesOfSymbolLists) {
  const Case cases[] = {
      {R"({"currency":"USD","description":"APPLE INC","displaySymbol":"AAPL","figi":"BBG000B9Y5X2","isin":null,"mic":"XNGS","shareClassFIGI":"BBG001S5N8V8","symbol":"AAPL","symbol2":"","type":"Common Stock"})",
       {"ref finnhub:AAPL AAPL USD AAPL"}},
      {R"({"description":"Binance LTCBTC","displaySymbol":"LTC/BTC","symbol":"BINANCE:LTCBTC"})",
       {"ref finnhub:BINANCE:LTCBTC LTC BTC LTC-BTC"}},
      {R"({"description":"IC Markets Euro vs US Dollar EURUSD","displaySymbol":"EUR/USD","symbol":"IC MARKETS:1"})",
       {"ref finnhub:IC%20MARKETS:1 EUR USD EUR-USD"}},
      {R"({"symbol":"X"})", {"ref finnhub:X X  X"}},
      {R"({"displaySymbol":"X"})", {"! missing_field #0 $.symbol is missing"}},
      {R"({"displaySymbol":7,"symbol":"X"})", {"! X wrong_type #0 $.displaySymbol is no text"}},
      {R"([])", {"! syntax #0 $: at byte 0 the JSON is no object"}},
  };
  for (const Case& c : cases) EXPECT_EQ(lines(decoded(c.bytes, RawKind::reference)), c.lines) << c.bytes;
}

TEST(FinnhubSymbols, GoToInstrumentsAndBack) {
  const std::pair<std::string_view, std::string_view> pairs[] = {
      {"AAPL", "finnhub:AAPL"},
      {"BRK.B", "finnhub:BRK.B"},
      {"BINANCE:BTCUSDT", "finnhub:BINANCE:BTCUSDT"},
      {"OANDA:EUR_USD", "finnhub:OANDA:EUR_USD"},
      {"COINBASE:BTC-USD", "finnhub:COINBASE:BTC-USD"},
      {"IC MARKETS:1", "finnhub:IC%20MARKETS:1"},
      {"A,B%", "finnhub:A%2CB%25"},
      {"X:\xe5\xb8\x81", "finnhub:X:\xe5\xb8\x81"},
  };
  for (const auto& [symbol, text] : pairs) {
    const auto instrument = instrument_of(symbol);
    ASSERT_TRUE(instrument) << symbol;
    EXPECT_EQ(instrument->text(), text);
    EXPECT_EQ(Instrument::parse(text), instrument);
    EXPECT_EQ(symbol_of(*instrument), symbol);
  }
  for (const std::string& none : {std::string{}, std::string(60, 'A'), std::string{"\xff"}, std::string(20, ' ')})
    EXPECT_FALSE(instrument_of(none)) << none;
}

}  // namespace
}  // namespace truetape::finnhub
