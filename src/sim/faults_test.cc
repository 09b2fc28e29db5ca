#include "sim/faults.h"

#include <gmock/gmock.h>

#include "sim/scenario.h"

namespace truetape::sim {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

std::vector<int> hit_numbers(const std::string& text, int messages, Duration step, std::uint64_t seed = 1,
                             std::uint64_t connection = 1) {
  const auto fault = parse_fault(text);
  EXPECT_TRUE(fault) << text << ": " << (fault ? "" : fault.error().detail);
  FaultState state;
  std::vector<int> hits;
  for (int i = 0; i < messages; ++i)
    if (state.hits(*fault, seed, connection, i * step, static_cast<std::uint64_t>(1000 + i))) hits.push_back(i);
  return hits;
}

TEST(SimFaults, WhichMessagesAreHit) {
  struct Case {
    std::string fault;
    std::vector<int> hits;  // of 30 messages, one each second
  };
  const Case cases[] = {
      {"drop,after=5", {5}},
      {"drop,after=5,count=3", {5, 6, 7}},
      {"drop,at=10s", {10}},
      {"drop,at=10s,count=2", {10, 11}},
      {"drop,at=10s,for=3s", {10, 11, 12}},
      {"drop,at=5s,for=2s,every=10s", {5, 6, 15, 16, 25, 26}},
      {"drop,every=10s", {10, 20}},
      {"drop,at=10s,after=2", {12}},  // of those from then on
      {"drop,at=0s,for=2s", {0, 1}},
  };
  for (const Case& c : cases) EXPECT_EQ(hit_numbers(c.fault, 30, 1s), c.hits) << c.fault;
  EXPECT_EQ(hit_numbers("drop", 30, 1s).size(), 30u) << "without a when: each";
}

TEST(SimFaults, DiceFallByTheSeedAlone) {
  const auto once = hit_numbers("drop,rate=0.1", 10'000, 1ms), again = hit_numbers("drop,rate=0.1", 10'000, 1ms);
  EXPECT_EQ(once, again);
  EXPECT_NE(once, hit_numbers("drop,rate=0.1", 10'000, 1ms, 2));
  EXPECT_NE(once, hit_numbers("drop,rate=0.1", 10'000, 1ms, 1, 2)) << "each connection has its own";
  EXPECT_GT(once.size(), 900u);
  EXPECT_LT(once.size(), 1100u);
  EXPECT_EQ(once, hit_numbers("drop,rate=0.1", 10'000, 7ms)) << "whatever the pace";
  const auto runs = hit_numbers("drop,rate=0.01,count=5", 10'000, 1ms);
  EXPECT_EQ(runs[4], runs[0] + 4) << "five at a time";
}

TEST(SimFaults, WhatLasts) {
  const auto lasting = [](const std::string& text) {
    const auto fault = parse_fault(text);
    FaultState state;
    std::vector<int> result;
    for (int i = 0; i < 30; ++i)
      if (state.lasts(*fault, 1, 1, i * Duration{1s}, true, static_cast<std::uint64_t>(i + 1))) result.push_back(i);
    return result;
  };
  EXPECT_EQ(lasting("stall,at=10s,for=3s"), (std::vector<int>{10, 11, 12}));
  EXPECT_EQ(lasting("silence,after=4,for=2s"), (std::vector<int>{4, 5}));
  EXPECT_EQ(lasting("stall,at=5s,for=1s,every=10s"), (std::vector<int>{5, 15, 25}));
  EXPECT_EQ(lasting("silence,at=28s"), (std::vector<int>{28, 29})) << "for good";
  EXPECT_EQ(lasting("delay,by=2s").size(), 30u);
}

TEST(SimFaults, WhatCannotBeMeantIsRefusedWithWhatIsAllowed) {
  struct Case {
    std::string fault, sentence;
  };
  const Case cases[] = {
      {"dorp", "a fault's kind = \"dorp\" is refused; allowed: drop, duplicate"},
      {"drop,rate=2", "a fault's rate = \"2\" is refused; allowed: a number above 0, up to 1"},
      {"drop,rate=0", "a number above 0"},
      {"drop,at=5", "a whole number and a unit"},
      {"drop,at=-5s", "a whole number and a unit"},
      {"drop,count=0", "a whole number from 1"},
      {"drop,colour=red", "a fault has no \"colour\"; allowed: kind, streams"},
      {"drop,how=fin", "a fault of kind drop has no how = \"fin\""},
      {"cut,how=gently", "allowed: fin, reset, close"},
      {"delay", "needs `by`"},
      {"stall,for=10s,every=5s", "lasts longer"},
      {"drop,after=3,every=5s", "either `after` or `rate`, or `every`"},
      {"drop,nonsense", "is no KEY=VALUE"},
      {"", "kind"},
  };
  for (const Case& c : cases) {
    const auto fault = parse_fault(c.fault);
    ASSERT_FALSE(fault) << c.fault;
    EXPECT_THAT(fault.error().detail, HasSubstr(c.sentence)) << c.fault;
  }
}

TEST(SimFaults, TextAndBack) {
  for (const std::string text :
       {"drop,streams=*@trade,rate=0.001", "cut,how=reset,connection=2,at=30s,every=1m", "skew,at=5s,for=10s,by=-5m",
        "reorder,after=10,distance=3", "refuse,how=rest,path=*klines,status=429", "oversize,at=1s,size=5000",
        "duplicate,rate=0.5,count=2,copies=3"}) {
    const auto fault = parse_fault(text);
    ASSERT_TRUE(fault) << text << ": " << fault.error().detail;
    EXPECT_EQ(to_text(*fault), text);
  }
}

TEST(SimFaults, PatternsMatchWithStars) {
  EXPECT_TRUE(matches("*", ""));
  EXPECT_TRUE(matches("*@trade", "btcusdt@trade"));
  EXPECT_FALSE(matches("*@trade", "btcusdt@aggTrade"));
  EXPECT_TRUE(matches("btc*@*e", "btcusdt@trade"));
  EXPECT_TRUE(matches("a*b*c", "aXbXbYc"));
  EXPECT_FALSE(matches("btcusdt", "btcusdt@trade"));
}

TEST(SimScenario, FilesHaveSeedLimitsAndFaults) {
  Scenario scenario;
  scenario.limits = Limits::of(Product::spot);
  const Status read = read_scenario(R"(
seed = 42
[limits]
life = "30s"
messages = 3
flat_errors = true
[[fault]]
kind = "drop"
rate = 0.25
streams = "*@trade"
[[fault]]
kind = "cut"
at = "5s"
how = "close"
status = 1012
)",
                                    "day.toml", scenario);
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_EQ(scenario.seed, 42u);
  EXPECT_EQ(scenario.limits.life, 30s);
  EXPECT_EQ(scenario.limits.messages, 3);
  EXPECT_TRUE(scenario.limits.flat_errors);
  ASSERT_EQ(scenario.faults.size(), 2u);
  EXPECT_EQ(to_text(scenario.faults[0]), "drop,streams=*@trade,rate=0.25");
  EXPECT_EQ(to_text(scenario.faults[1]), "cut,how=close,at=5s,status=1012");
}

TEST(SimScenario, AMistakeIsToldWithItsPlace) {
  struct Case {
    std::string text, sentence;
  };
  const Case cases[] = {
      {"seed = \n", "day.toml:1: not TOML"},
      {"sead = 1\n", "day.toml:1: \"sead\" is not known here"},
      {"seed = -1\n", "day.toml:1: seed is a whole number from 0"},
      {"[limits]\nlive = \"1s\"\n", "day.toml:2: there is no limit \"live\"; allowed: ping_every"},
      {"[limits]\nlife = 30\n", "day.toml:2: limits.life = \"30\" is refused; allowed: a whole number and a unit"},
      {"[limits]\nmessages = [1]\n", "day.toml:2: limits.messages holds no single value"},
      {"seed = 1\n[[fault]]\nkind = \"drip\"\n", "day.toml:2: a fault's kind = \"drip\" is refused"},
      {"[[fault]]\nrate = 0.5\n", "day.toml:1: a fault without a kind"},
  };
  for (const Case& c : cases) {
    Scenario scenario;
    const Status read = read_scenario(c.text, "day.toml", scenario);
    ASSERT_FALSE(read) << c.text;
    EXPECT_THAT(read.error().detail, HasSubstr(c.sentence));
  }
  Scenario scenario;
  EXPECT_EQ(read_scenario_file("/nowhere/x.toml", scenario).error().fault, Fault::not_found);
}

TEST(SimScenario, TheExamplesCanBeRead) {
  int files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator{std::filesystem::path{TRUETAPE_SOURCE_DIR} / "examples/scenarios"}) {
    Scenario scenario;
    const Status read = read_scenario_file(entry.path(), scenario);
    EXPECT_TRUE(read) << read.error().detail;
    EXPECT_FALSE(scenario.faults.empty() && scenario.limits.life == 24h) << entry.path() << " does nothing";
    ++files;
  }
  EXPECT_GE(files, 5);
}

}  // namespace
}  // namespace truetape::sim
