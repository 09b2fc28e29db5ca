#include "codec/wire.h"

#include <gtest/gtest.h>

#include "codec/random_records.h"

namespace truetape {
namespace {

Instrument instrument(std::string_view text) { return Instrument::parse(text).value(); }
Decimal decimal(std::string_view text) { return parse_decimal(text).value; }

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char byte : bytes) {
    out += kDigits[static_cast<unsigned char>(byte) >> 4];
    out += kDigits[static_cast<unsigned char>(byte) & 15];
  }
  return out;
}

Trade sample_trade() {
  Trade t;
  t.instrument = instrument("binance:BTCUSDT");
  t.id = Text<40>::cut("3000");
  t.order = t.first_id = t.last_id = 3000;
  t.event_time = timestamp_ns(1'723'161'599'123'000'000);
  t.price = decimal("61837.64");
  t.quantity = decimal("0.00042");
  t.taker_side = Side::sell;
  t.marks = 0b1001;  // off_tick, late
  t.source = Text<40>::cut("s1");
  t.seq = 7;
  return t;
}

// By hand from the specification of Avro.
TEST(Wire, ATradesBytes) {
  std::string out;
  wire::encode(sample_trade(), out);
  EXPECT_EQ(hex(out),
            "0000000001"  // frame
            "1e"
            "62696e616e63653a42544355534454"  // 15 bytes
            "00"
            "00"  // tape trade, era 0
            "08"
            "33303030"  // id
            "f02e"
            "f02e"
            "f02e"                // order, first_id, last_id: zigzag 6000
            "80ab90e58796f3e92f"  // event_time
            "00"                  // receive_time null
            "14"
            "0d1839a57e2446540000"  // price, 61837.64 * 10^18
            "0e"
            "017dfcdece4000"  // quantity, 42 * 10^13
            "04"
            "00"  // sell, kind ""
            "04"
            "00"
            "06"
            "00"  // two marks: off_tick, late; end
            "04"
            "7331"
            "0e"
            "00");  // source, seq, ordinal
}

struct DecimalBytes {
  const char* text;
  const char* bytes;  // with the length before
};
class WireDecimal : public testing::TestWithParam<DecimalBytes> {};
TEST_P(WireDecimal, IsMinimalTwosComplement) {
  Reference r;
  r.tick = decimal(GetParam().text);
  std::string out;
  avro::encode(r, out);
  EXPECT_EQ(hex(out), std::string{"0000000002"} + GetParam().bytes + "0000");
  const auto back = avro::decode_reference(out);
  ASSERT_TRUE(back) << back.error().detail;
  EXPECT_EQ(back->tick, r.tick);
}
INSTANTIATE_TEST_SUITE_P(, WireDecimal,
                         testing::Values(DecimalBytes{"0", "0200"}, DecimalBytes{"1e-18", "0201"},
                                         DecimalBytes{"127e-18", "027f"}, DecimalBytes{"128e-18", "040080"},
                                         DecimalBytes{"-1e-18", "02ff"}, DecimalBytes{"-128e-18", "0280"},
                                         DecimalBytes{"-129e-18", "04ff7f"}, DecimalBytes{"255e-18", "0400ff"},
                                         DecimalBytes{"256e-18", "040100"}, DecimalBytes{"1", "100de0b6b3a7640000"},
                                         DecimalBytes{"-1", "10f21f494c589c0000"},
                                         DecimalBytes{"9223372036854775807", "2006f05b59d3b1fffff21f494c589c0000"}));

template <class T, class Make>
void round_trips(std::uint64_t seed, Make make) {
  RandomRecords random{seed};
  for (int i = 0; i < 2'000; ++i) {
    const T value = make(random);
    std::string bytes = "before";
    wire::encode(value, bytes);
    ASSERT_EQ(bytes.substr(0, 6), "before");
    const std::string_view written = std::string_view{bytes}.substr(6);
    const auto back = wire::decode<T>(written);
    ASSERT_TRUE(back) << back.error().detail << " (seed " << seed << ", record " << i << ")";
    ASSERT_EQ(*back, value) << "seed " << seed << ", record " << i;
    // Every beginning of it is refused, and so is a byte more.
    for (std::size_t size = 0; size < written.size(); ++size)
      ASSERT_FALSE(wire::decode<T>(written.substr(0, size))) << size;
    bytes += '\0';
    ASSERT_FALSE(wire::decode<T>(std::string_view{bytes}.substr(6)));
  }
}
TEST(Wire, EveryRecordComesBack) {
  round_trips<Trade>(1, [](RandomRecords& r) { return r.trade(); });
  round_trips<Quote>(2, [](RandomRecords& r) { return r.quote(); });
  round_trips<Candle>(3, [](RandomRecords& r) { return r.candle(); });
  round_trips<Gap>(4, [](RandomRecords& r) { return r.gap(); });
  round_trips<LateWindow>(5, [](RandomRecords& r) { return r.late_window(); });
  round_trips<Progress>(6, [](RandomRecords& r) { return r.progress(); });
  round_trips<Reference>(7, [](RandomRecords& r) { return r.reference(); });
  round_trips<News>(8, [](RandomRecords& r) { return r.news(); });
  round_trips<NewsCount>(9, [](RandomRecords& r) { return r.news_count(); });
}

TEST(Wire, AnEmptyRecordComesBack) {
  std::string bytes;
  wire::encode(Trade{}, bytes);
  const auto back = wire::decode<Trade>(bytes);
  ASSERT_TRUE(back) << back.error().detail;
  EXPECT_EQ(*back, Trade{});
}

TEST(Wire, RefusesForeignFrames) {
  EXPECT_EQ(wire::decode<Trade>("").error().detail,
            "The value has 0 bytes, too few for the frame (0x00, 4 bytes of schema id) that every value of this topic "
            "begins with.");
  EXPECT_EQ(wire::decode<Trade>("{\"p\":1}").error().detail,
            "The value begins with byte 123 instead of 0: it is not framed Avro, or the bytes are damaged.");
  std::string candle;
  wire::encode(Candle{}, candle);
  const auto refused = wire::decode<Trade>(candle);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::mismatch);
  EXPECT_EQ(refused.error().detail,
            "The value was written with schema id 3; this program reads schema id 1 in topic trades: use a newer "
            "version, or the bytes are damaged.");
}

struct Damage {
  const char* name;
  std::size_t at;       // byte of the body
  std::string bytes;    // put in its place
  std::size_t instead;  // how many bytes of the body go
  const char* detail;
};
class WireDamage : public testing::TestWithParam<Damage> {};
TEST_P(WireDamage, NamesTheField) {
  std::string body;
  avro::encode(sample_trade(), body);
  body.replace(GetParam().at, GetParam().instead, GetParam().bytes);
  const auto refused = avro::decode_trade(body);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::malformed);
  EXPECT_EQ(refused.error().detail, std::string{"Avro Trade, field "} + GetParam().detail +
                                        "; the bytes are damaged or were written by another schema.");
}
INSTANTIATE_TEST_SUITE_P(
    , WireDamage,
    testing::Values(
        Damage{"length", 0, "\xfe\x01", 1, "`instrument`, byte 2: a length beyond the end of the bytes"},
        Damage{"negative_length", 0, "\x01", 1, "`instrument`, byte 1: a length beyond the end of the bytes"},
        Damage{"instrument", 8, "_", 1, "`instrument`, byte 16: not an instrument (venue:SYMBOL)"},
        Damage{"tape", 16, "\x04", 1, "`tape`, byte 17: a symbol that the schema does not have"},
        Damage{"era", 17, "\x01", 1, "`era`, byte 18: not within 0 and 2^32 - 1"},
        Damage{"id", 18, "\x52" + std::string(41, '1'), 5,
               "`id`, byte 60: a text longer than the schema's documentation allows"},
        Damage{"order", 23, std::string(10, '\xff'), 2, "`order`, byte 33: a number of more than 64 bits"},
        Damage{"receive_time", 38, "\x04", 1, "`receive_time`, byte 39: neither of the two branches of its union"},
        Damage{"price_empty", 39, std::string(1, '\0'), 11, "`price`, byte 40: a decimal of no or more than 16 bytes"},
        Damage{"price_17", 39, "\x22" + std::string(17, '\1'), 11,
               "`price`, byte 57: a decimal of no or more than 16 bytes"},
        Damage{"price_39_digits", 39, "\x20\x4b\x3b\x4c\xa8\x5a\x86\xc4\x7a\x09\x8a\x22\x40" + std::string(4, '\0'), 11,
               "`price`, byte 56: a decimal of more than 38 digits"},
        Damage{"price_64_bits", 39, "\x20" + std::string(16, '\1'), 11,
               "`price`, byte 56: a decimal of more digits than a price or quantity may have (63 bits)"},
        Damage{"marks", 61, "\x08", 1, "`marks`, byte 62: a symbol that the schema does not have"},
        Damage{"end", 68, std::string(2, '\0'), 1, "`end`, byte 69: bytes are left over"}),
    [](const auto& tried) { return tried.param.name; });

TEST(Wire, ReadsArraysWhoseBlocksTellTheirSize) {
  Trade trade = sample_trade();
  std::string body;
  avro::encode(trade, body);
  // Two blocks of one mark each, the first with its size in bytes, the second without; then the end.
  body.replace(60, 4, std::string{"\x01\x02\x00\x02\x06\x00", 6});
  const auto back = avro::decode_trade(body);
  ASSERT_TRUE(back) << back.error().detail;
  EXPECT_EQ(*back, trade);
}

TEST(Wire, SchemasHaveTheirIdsAndTexts) {
  std::uint32_t id = 0;
  for (const wire::SchemaInfo& schema : wire::schemas()) {
    EXPECT_EQ(schema.id, ++id);
    EXPECT_EQ(schema.subject, std::string{schema.topic} + "-value");
    EXPECT_EQ(schema.json.substr(0, 4), "{\n  ");
    EXPECT_NE(schema.json.find("\"namespace\": \"truetape\""), std::string_view::npos) << schema.topic;
  }
  EXPECT_EQ(id, 9U);
}

}  // namespace
}  // namespace truetape
