#include "sim/numbers.h"

#include <gtest/gtest.h>

#include "sim/id_ranges.h"

namespace truetape::sim {
namespace {

TEST(SimNumbers, DecimalsAreReadExactlyOrNotAtAll) {
  struct Case {
    std::string_view text;
    std::optional<Units> units;
  };
  const Case cases[] = {
      {"61837.63000000", 6'183'763'000'000},
      {"0", 0},
      {"0.00000001", 1},
      {"243.0", 24'300'000'000},
      {"1.000000000000", 100'000'000},
      {"92233720368.54775807", 9'223'372'036'854'775'807},
      {"92233720368.54775808", std::nullopt},
      {"0.000000001", std::nullopt},
      {"", std::nullopt},
      {".5", std::nullopt},
      {"5.", std::nullopt},
      {"-1", std::nullopt},
      {"1e5", std::nullopt},
      {"1.2.3", std::nullopt},
      {"99999999999999999999999", std::nullopt},
  };
  for (const Case& c : cases) EXPECT_EQ(parse_units(c.text), c.units) << c.text;
}

TEST(SimNumbers, AmountsAreWrittenWithExactlyTheirDecimals) {
  const auto units = [](Units value, int decimals) {
    std::string out;
    append_units(out, value, decimals);
    return out;
  };
  EXPECT_EQ(units(6'183'763'000'000, 8), "61837.63000000");
  EXPECT_EQ(units(6'183'763'000'000, 2), "61837.63");
  EXPECT_EQ(units(5, 8), "0.00000005");
  EXPECT_EQ(units(0, 0), "0");
  EXPECT_EQ(units(0, 3), "0.000");
  EXPECT_EQ(units(1'999'999'999, 0), "19") << "cut off, not rounded";
  EXPECT_EQ(units(-150'000'000, 2), "-1.50");
  const auto wide = [](Wide value, int scale, int decimals) {
    std::string out;
    append_wide(out, value, scale, decimals);
    return out;
  };
  const Wide large = static_cast<Wide>(1'000'000'000'000'000'000) * 1'000'000'000'000'000'000 + 7;
  EXPECT_EQ(wide(large, 16, 16), "100000000000000000000.0000000000000007");
  EXPECT_EQ(wide(large, 16, 0), "100000000000000000000");
  EXPECT_EQ(wide(large, 16, 18), "100000000000000000000.000000000000000700");
}

TEST(SimNumbers, NeededAndWrittenDecimals) {
  EXPECT_EQ(needed_decimals(6'183'763'000'000), 2);
  EXPECT_EQ(needed_decimals(1), 8);
  EXPECT_EQ(needed_decimals(0), 0);
  EXPECT_EQ(written_decimals("63943.90"), 2);
  EXPECT_EQ(written_decimals("7"), 0);
}

TEST(SimNumbers, RangesOfIdsJoinWhatTouches) {
  IdRanges ids;
  for (const std::uint64_t id : {5u, 6u, 7u, 10u, 12u, 11u, 1u, 3u, 2u}) ids.add(id);
  EXPECT_EQ(ids.ranges(), (std::vector<IdRanges::Range>{{1, 3}, {5, 7}, {10, 12}}));
  ids.add(4, 9);
  EXPECT_EQ(ids.ranges(), (std::vector<IdRanges::Range>{{1, 12}}));
  EXPECT_EQ(ids.count(), 12u);
  ids.add(6);
  EXPECT_EQ(ids.count(), 12u) << "what is there already changes nothing";
  EXPECT_TRUE(ids.has(12));
  EXPECT_FALSE(ids.has(13));
  EXPECT_FALSE(ids.has(0));
}

}  // namespace
}  // namespace truetape::sim
