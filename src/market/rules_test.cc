#include "market/rules.h"

#include <gtest/gtest.h>

#include "market/spans.h"

namespace truetape {
namespace {

TEST(Rules, EverySettingIsReadBackAsItWasWritten) {
  Rules rules;
  rules.bound = std::chrono::milliseconds{1500};
  rules.off_tick = Action::quarantine;
  rules.intervals = {Interval{1}, Interval{60}};
  rules.version = 7;
  Rules copy;
  for (const auto& [name, value] : to_pairs(rules)) EXPECT_TRUE(set(copy, name, value)) << name;
  EXPECT_EQ(to_pairs(copy), to_pairs(rules));
  EXPECT_EQ(copy.bound, std::chrono::milliseconds{1500});
}

TEST(Rules, WhatIsNotAllowedIsRefusedByName) {
  for (const auto& [name, value] : {std::pair{"rule.bound", "ten"},
                                    {"rule.bound", "-1s"},
                                    {"rule.off_tick", "shout"},
                                    {"rule.max_windows", "0"},
                                    {"rule.version", "1.5"},
                                    {"intervals", ""},
                                    {"intervals", "7s"},
                                    {"intervals", "1m,1s"},
                                    {"intervals", "2s,5s"},
                                    {"rule.no_such", "1"}}) {
    Rules rules;
    const auto done = set(rules, name, value);
    ASSERT_FALSE(done) << name << " = " << value;
    EXPECT_FALSE(done.error().detail.empty());
    EXPECT_EQ(done.error().retry, Retry::never);
  }
  Rules rules;
  rules.horizon = rules.hold - std::chrono::seconds{1};
  EXPECT_FALSE(check(rules));
  rules = {};
  rules.hold = std::chrono::milliseconds{999};
  EXPECT_FALSE(check(rules));
  rules.hold = std::chrono::seconds{1};
  EXPECT_TRUE(check(rules));
}

TEST(Spans, TouchingSpansAreOne) {
  const auto t = [](int s) { return timestamp_ns(s * 1'000'000'000LL); };
  market::Spans spans;
  spans.add(t(10), t(20));
  spans.add(t(30), t(40));
  EXPECT_EQ(spans.end_of(t(15)), t(20));
  EXPECT_EQ(spans.end_of(t(20)), std::nullopt);  // half open
  spans.add(t(20), t(30));
  EXPECT_EQ(spans.end_of(t(10)), t(40));
  EXPECT_EQ(spans.begin_of(t(39)), t(10));
  EXPECT_EQ(spans.all().size(), 1U);
  spans.add(t(5), t(5));
  EXPECT_EQ(spans.begin_of(t(10)), t(10));
}

}  // namespace
}  // namespace truetape
