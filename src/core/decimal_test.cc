#include "core/decimal.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

namespace truetape {
namespace {

struct Parsed {
  std::string text;
  std::int64_t mantissa;
  int scale;
};
TEST(Decimal, ParsesToItsOneForm) {
  const std::vector<Parsed> cases{
      {"0", 0, 0},
      {"-0", 0, 0},
      {"0.000", 0, 0},
      {"-0.0e99999", 0, 0},
      {"0e-300", 0, 0},
      {"1", 1, 0},
      {"-1", -1, 0},
      {"1.0", 1, 0},
      {"61837.64000000", 6'183'764, 2},
      {"0.00141342", 141'342, 8},
      {"00012.50", 125, 1},
      {"1200", 1'200, 0},
      {"1200.00", 1'200, 0},
      {"100100.00100", 100'100'001, 3},
      {"1e-7", 1, 7},
      {"1E7", 10'000'000, 0},
      {"1.5e+3", 1'500, 0},
      {"12.50e-2", 125, 3},
      {"1000e-3", 1, 0},
      {"1e18", 1'000'000'000'000'000'000, 0},
      {"1e-18", 1, 18},
      {"0.000000000000000001", 1, 18},
      {"10e-19", 1, 18},
      {"9223372036854775807", INT64_MAX, 0},
      {"-9223372036854775807", -INT64_MAX, 0},
      {"9.223372036854775807", INT64_MAX, 18},
      {"1.0000000000000000000000000000000000000000", 1, 0},  // 41 digits, 40 of them trailing zeros
      {"0.1000000000000000000000000000000000000000", 1, 1},
      {"0000000000000000000000000000000000000000000001", 1, 0},  // 46 digits, 45 of them leading zeros
      {"1000000000000000000000000000000000000000e-39", 1, 0},
  };
  for (const Parsed& c : cases) {
    const ParsedDecimal parsed = parse_decimal(c.text);
    EXPECT_EQ(parsed.fault, DecimalFault::none) << c.text;
    EXPECT_EQ(parsed.value.mantissa, c.mantissa) << c.text;
    EXPECT_EQ(static_cast<int>(parsed.value.scale), c.scale) << c.text;
  }
}

TEST(Decimal, RefusesWhatIsNone) {
  for (const char* text : {"",    "-",     "+1",  " 1", "1 ",    ".5",    "1.",    "-.5",      "1..2", "1.2.3",
                           "1e",  "1e+",   "1e-", "e5", "1e5.0", "NaN",   "nan",   "Infinity", "-inf", "0x10",
                           "1,5", "1_000", "--1", "1-", "null",  "\"1\"", "1e5e5", ".",        "1.e5"})
    EXPECT_EQ(parse_decimal(text).fault, DecimalFault::syntax) << text;
  EXPECT_EQ(parse_decimal(std::string_view("1\0", 2)).fault, DecimalFault::syntax);
  EXPECT_EQ(parse_decimal(std::string(129, '1')).fault, DecimalFault::syntax);
}

TEST(Decimal, RefusesWhatDoesNotFit) {
  for (const char* text : {"1e300", "1e19", "-1e19", "9223372036854775808", "-9223372036854775809", "1e-19",
                           "0.0000000000000000001", "1.0000000000000000001", "1234567890123456789012345678901234567890",
                           "1234567890123456789012345678901234567890e-39", "12345678901234567890.5",
                           "99999999999999999999", "1e100000", "1e-100000", "1e99999999999999999999",
                           "9.2233720368547758070000000000000000000001", "0.3333333333333333333333333333333333333333"})
    EXPECT_EQ(parse_decimal(text).fault, DecimalFault::range) << text;
}

TEST(Decimal, IsWrittenShortestAndComesBack) {
  for (const char* text : {"0", "1", "-1", "0.1", "-0.1", "0.000000000000000001", "9223372036854775807",
                           "-9.223372036854775807", "61837.64", "1200", "0.05", "100.001"})
    EXPECT_EQ(to_text(parse_decimal(text).value), text);
  EXPECT_EQ(to_text(Decimal{INT64_MIN, 0}), "-9223372036854775808");
  EXPECT_EQ(to_text(Decimal{INT64_MIN, 18}), "-9.223372036854775808");
}

TEST(Decimal, OfStripsAndScales) {
  EXPECT_EQ(Decimal::of(1500, 2), (Decimal{15, 0}));
  EXPECT_EQ(Decimal::of(15, -2), (Decimal{1500, 0}));
  EXPECT_EQ(Decimal::of(0, 99), (Decimal{}));
  EXPECT_EQ(Decimal::of(10, 19), (Decimal{1, 18}));
  EXPECT_EQ(Decimal::of(1, 19), std::nullopt);
  EXPECT_EQ(Decimal::of(1, -19), std::nullopt);
  EXPECT_EQ(Decimal::of(INT64_MIN, 0), (Decimal{INT64_MIN, 0}));
  EXPECT_EQ(Decimal::of(INT64_MIN, -1), std::nullopt);
}

TEST(Decimal, ComparesAcrossScales) {
  // Ascending; each is compared with each.
  const std::vector<const char*> ascending{"-9223372036854775807",
                                           "-9.223372036854775807",
                                           "-1.5",
                                           "-1",
                                           "-0.000000000000000001",
                                           "0",
                                           "0.000000000000000001",
                                           "0.00000009",
                                           "0.1",
                                           "0.11",
                                           "1",
                                           "1.000000000000000001",
                                           "9.223372036854775807",
                                           "10",
                                           "61837.64",
                                           "61837.65",
                                           "9223372036854775807"};
  for (std::size_t i = 0; i < ascending.size(); ++i)
    for (std::size_t k = 0; k < ascending.size(); ++k)
      EXPECT_EQ(parse_decimal(ascending[i]).value <=> parse_decimal(ascending[k]).value, i <=> k)
          << ascending[i] << " <=> " << ascending[k];
  EXPECT_TRUE(parse_decimal("1e-18").value.positive());
  EXPECT_FALSE(parse_decimal("0").value.positive());
  EXPECT_FALSE(parse_decimal("-1").value.positive());
}

TEST(Amount, ParsesAndIsWritten) {
  const std::string largest = "99999999999999999999.999999999999999999";  // 10^38 - 1 units
  for (const std::string& text : {std::string{"0"}, std::string{"1482"}, std::string{"-0.00141342"},
                                  std::string{"0.000000000000000001"}, largest, "-" + largest}) {
    const auto amount = parse_amount(text);
    ASSERT_TRUE(amount) << text;
    EXPECT_EQ(to_text(*amount), text);
  }
  EXPECT_EQ(parse_amount(largest)->units, kAmountLimit - 1);
  EXPECT_EQ(to_text(parse_amount("1.50000000000000000000000").value()), "1.5");
  for (const char* text :
       {"", "-", ".5", "1.", "1e5", "1.0000000000000000001", "100000000000000000000", "1 ", "+1", "1.2.3"})
    EXPECT_EQ(parse_amount(text), std::nullopt) << text;
}

TEST(Amount, OfADecimalAndBack) {
  for (const char* text :
       {"0", "1", "-1", "61837.64", "0.000000000000000001", "9223372036854775807", "-9223372036854775807",
        "9.223372036854775807", "1000000000000000000", "123456789.000000001"}) {
    const Decimal value = parse_decimal(text).value;
    EXPECT_EQ(to_text(to_amount(value)), text);
    EXPECT_EQ(to_decimal(to_amount(value)), value) << text;
  }
  EXPECT_EQ(to_decimal(to_amount(Decimal{INT64_MIN, 0})), (Decimal{INT64_MIN, 0}));
  for (const char* text : {"9223372036854775808", "99999999999999999999.999999999999999999", "9.2233720368547758080",
                           "92233720368.547758071"})
    EXPECT_EQ(to_decimal(parse_amount(text).value()).has_value(), parse_decimal(text).fault == DecimalFault::none)
        << text;
}

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> out{""};
  for (const char c : text)
    if (c == at)
      out.emplace_back();
    else
      out.back() += c;
  return out;
}

// testdata/make_decimals.py computed them.
TEST(Turnover, RoundsAsPythonsDecimal) {
  std::ifstream table{TRUETAPE_SOURCE_DIR "/src/core/testdata/decimals.csv"};
  ASSERT_TRUE(table.is_open());
  int lines = 0;
  for (std::string line; std::getline(table, line); ++lines) {
    const auto cells = split(line, ',');
    ASSERT_EQ(cells.size(), 4U) << line;
    Turnover sum;
    std::vector<Turnover> single;
    for (const std::string& pair : split(cells[0], '+')) {
      const auto factors = split(pair, '*');
      const ParsedDecimal price = parse_decimal(factors.at(0)), quantity = parse_decimal(factors.at(1));
      ASSERT_EQ(price.fault, DecimalFault::none) << pair;
      ASSERT_EQ(quantity.fault, DecimalFault::none) << pair;
      ASSERT_TRUE(sum.add(price.value, quantity.value)) << line;
      ASSERT_TRUE(single.emplace_back().add(price.value, quantity.value));
    }
    EXPECT_EQ(to_text(sum.rounded()), cells[2]) << line;
    const auto average = sum.per(parse_amount(cells[1]).value());
    ASSERT_TRUE(average) << line;
    EXPECT_EQ(to_text(*average), cells[3]) << line;
    // In any order and grouping, and through its parts.
    Turnover backwards;
    for (auto it = single.rbegin(); it != single.rend(); ++it) ASSERT_TRUE(backwards.add(*it));
    EXPECT_EQ(backwards, sum) << line;
    EXPECT_EQ(Turnover::from_parts(sum.high(), sum.low()), sum);
  }
  EXPECT_GT(lines, 100);
}

TEST(Turnover, RefusesWhatLeaves38Digits) {
  const Decimal large = parse_decimal("9223372036854775807").value, ten = parse_decimal("10").value,
                eleven = parse_decimal("11").value;
  Turnover sum;
  EXPECT_FALSE(sum.add(large, large));
  EXPECT_FALSE(sum.add(large, eleven));
  EXPECT_EQ(sum, Turnover{});
  ASSERT_TRUE(sum.add(large, ten));
  const Turnover before = sum;
  EXPECT_FALSE(sum.add(large, ten));
  EXPECT_EQ(sum, before);
  EXPECT_EQ(to_text(sum.rounded()), "92233720368547758070");
}

TEST(Turnover, PerNothingOrTooLittleIsNothing) {
  Turnover sum;
  ASSERT_TRUE(sum.add(parse_decimal("9223372036854775807").value, parse_decimal("10").value));
  EXPECT_EQ(sum.per(Amount{0}), std::nullopt);
  EXPECT_EQ(sum.per(Amount{-1}), std::nullopt);
  EXPECT_EQ(sum.per(Amount{1}), std::nullopt);  // 9 * 10^37
  EXPECT_EQ(to_text(sum.per(parse_amount("10").value()).value()), "9223372036854775807");
}

}  // namespace
}  // namespace truetape
