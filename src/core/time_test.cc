#include "core/time.h"

#include <gtest/gtest.h>

#include <vector>

namespace truetape {
namespace {

TEST(Time, Rfc3339BothWays) {
  struct Case {
    const char* text;
    std::int64_t ns;
  };
  for (const Case& c :
       {Case{"1970-01-01T00:00:00Z", 0}, Case{"2024-08-08T23:59:59.123Z", 1'723'161'599'123'000'000},
        Case{"2024-08-08T23:59:59.123456Z", 1'723'161'599'123'456'000},
        Case{"2024-08-08T23:59:59.000000001Z", 1'723'161'599'000'000'001},
        Case{"2024-02-29T00:00:00Z", 1'709'164'800'000'000'000}, Case{"1969-12-31T23:59:59.999Z", -1'000'000},
        Case{"1678-01-01T00:00:00Z", -9'214'560'000'000'000'000},
        Case{"2261-12-31T23:59:59.999999999Z", 9'214'646'399'999'999'999}}) {
    EXPECT_EQ(to_rfc3339(timestamp_ns(c.ns)), c.text);
    EXPECT_EQ(parse_rfc3339(c.text), timestamp_ns(c.ns)) << c.text;
  }
}

TEST(Time, TheEndsOfTheRangeAreWritten) {
  EXPECT_EQ(to_rfc3339(timestamp_ns(INT64_MAX)), "2262-04-11T23:47:16.854775807Z");
  EXPECT_EQ(to_rfc3339(timestamp_ns(INT64_MIN)), "1677-09-21T00:12:43.145224192Z");
}

TEST(Time, Rfc3339Forms) {
  const Timestamp day = parse_rfc3339("2024-08-08T00:00:00Z").value();
  struct Case {
    const char* text;
    Timestamp time;
  };
  using namespace std::chrono;
  for (const Case& c :
       {Case{"2024-08-08", day}, Case{"2024-08-08T23:59", day + 23h + 59min},
        Case{"2024-08-08 23:59:01", day + 23h + 59min + 1s}, Case{"2024-08-08T12:00:00+02:00", day + 10h},
        Case{"2024-08-08T12:00:00-0230", day + 14h + 30min}, Case{"2024-08-08T12:00+02", day + 10h},
        Case{"2024-08-08t12:00:00z", day + 12h}, Case{"2024-08-08T00:00:01.25Z", day + 1250ms},
        Case{"2024-08-08T00:00:00.1234567891Z", day + 123'456'789ns},
        Case{"2016-12-31T23:59:60Z", sys_days{2017y / 1 / 1}}})
    EXPECT_EQ(parse_rfc3339(c.text), c.time) << c.text;
  for (const char* text : {"",
                           "2024",
                           "2024-08",
                           "2024-8-8",
                           "2024-02-30",
                           "2023-02-29",
                           "2024-13-01",
                           "2024-00-10",
                           "2024-08-08T",
                           "2024-08-08T24:00:00Z",
                           "2024-08-08T23:60:00Z",
                           "2024-08-08T23:59:61Z",
                           "2024-08-08T23:59:59.Z",
                           "2024-08-08T23:59:59ZZ",
                           "2024-08-08T23:59:59+2",
                           "2024-08-08T23:59:59+24:00",
                           "2024-08-08x",
                           "1677-12-31",
                           "2262-01-01",
                           "-024-08-08",
                           "2024-08-08T23:59:59 Z"})
    EXPECT_EQ(parse_rfc3339(text), std::nullopt) << text;
}

TEST(Time, UnitsAreToldByTheirDigits) {
  struct Case {
    std::int64_t number;
    std::optional<TimeUnit> unit;
  };
  for (const Case& c :
       {Case{999'999'999, {}}, Case{1'000'000'000, TimeUnit::s}, Case{9'999'999'999, TimeUnit::s},
        Case{10'000'000'000, {}}, Case{999'999'999'999, {}}, Case{1'723'161'599'123, TimeUnit::ms},
        Case{9'999'999'999'999, TimeUnit::ms}, Case{99'999'999'999'999, {}}, Case{1'723'161'599'123'456, TimeUnit::us},
        Case{99'999'999'999'999'999, {}}, Case{1'723'161'599'123'456'789, TimeUnit::ns}, Case{INT64_MAX, TimeUnit::ns},
        Case{0, {}}, Case{-1'723'161'599'123, {}}})
    EXPECT_EQ(guess_time_unit(c.number), c.unit) << c.number;
  for (const TimeUnit unit : {TimeUnit::s, TimeUnit::ms, TimeUnit::us, TimeUnit::ns})
    EXPECT_EQ(parse_time_unit(name(unit)), unit);
  EXPECT_EQ(parse_time_unit("min"), std::nullopt);
  EXPECT_EQ(from_epoch(1'723'161'599, TimeUnit::s), timestamp_ns(1'723'161'599'000'000'000));
  EXPECT_EQ(from_epoch(-1, TimeUnit::ms), timestamp_ns(-1'000'000));
  EXPECT_EQ(from_epoch(INT64_MAX, TimeUnit::ns), timestamp_ns(INT64_MAX));
  EXPECT_EQ(from_epoch(9'223'372'037, TimeUnit::s), std::nullopt);
  EXPECT_EQ(from_epoch(INT64_MIN, TimeUnit::us), std::nullopt);
}

TEST(Time, Intervals) {
  struct Case {
    const char* text;
    std::int64_t seconds;
  };
  for (const Case& c : {Case{"1s", 1}, Case{"15s", 15}, Case{"1m", 60}, Case{"5m", 300}, Case{"1h", 3'600},
                        Case{"4h", 14'400}, Case{"1d", 86'400}, Case{"86399s", 86'399}}) {
    EXPECT_EQ(parse_interval(c.text), Interval{c.seconds}) << c.text;
    EXPECT_EQ(to_text(Interval{c.seconds}), c.text);
  }
  EXPECT_EQ(parse_interval("60s"), Interval{60});
  EXPECT_EQ(to_text(Interval{90}), "90s");
  for (const char* text : {"", "m", "0m", "-1m", "1", "1M", "1w", "2d", "25h", "1441m", "86401s", "1.5h", " 1m", "1m ",
                           "+1m", "99999999999999999999s"})
    EXPECT_EQ(parse_interval(text), std::nullopt) << text;
}

TEST(Time, Durations) {
  struct Case {
    const char* text;
    std::int64_t ns;
  };
  for (const Case& c : {Case{"0s", 0}, Case{"1ns", 1}, Case{"2us", 2'000}, Case{"500ms", 500'000'000},
                        Case{"90s", 90'000'000'000}, Case{"1m", 60'000'000'000}, Case{"2h", 7'200'000'000'000},
                        Case{"7d", 604'800'000'000'000}, Case{"106751d", 106'751 * std::int64_t{86'400'000'000'000}}})
    EXPECT_EQ(parse_duration(c.text), Nanoseconds{c.ns}) << c.text;
  for (const char* text :
       {"", "s", "1", "-1s", "-0s", "+1s", "1.5s", "1 s", "1S", "1w", "1s ", "106752d", "99999999999999999999s"})
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
}

TEST(Time, WindowsAreAlignedAlsoBefore1970) {
  struct Case {
    std::int64_t ns, start;
  };
  constexpr std::int64_t kMinute = 60'000'000'000;
  for (const Case& c : {Case{0, 0}, Case{1, 0}, Case{kMinute - 1, 0}, Case{kMinute, kMinute}, Case{-1, -kMinute},
                        Case{-kMinute, -kMinute}, Case{-kMinute - 1, -2 * kMinute}})
    EXPECT_EQ(window_start(timestamp_ns(c.ns), Interval{60}), timestamp_ns(c.start)) << c.ns;
  EXPECT_EQ(window_start(parse_rfc3339("2024-08-08T23:59:59.999999999Z").value(), Interval{14'400}),
            parse_rfc3339("2024-08-08T20:00:00Z"));
}

TEST(Time, ContentTimesAreWholeMilliseconds) {
  EXPECT_EQ(content_time(timestamp_ns(1'999'999)), timestamp_ns(1'000'000));
  EXPECT_EQ(content_time(timestamp_ns(-1)), timestamp_ns(-1'000'000));
  EXPECT_EQ(content_time(timestamp_ns(-1'000'000)), timestamp_ns(-1'000'000));
}

}  // namespace
}  // namespace truetape
