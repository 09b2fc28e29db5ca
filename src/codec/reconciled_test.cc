#include "codec/reconciled.h"

#include <gmock/gmock.h>

namespace truetape {
namespace {

using testing::HasSubstr;

Timestamp at(std::string_view text) { return *parse_rfc3339(text); }

Reconciliation result() {
  Reconciliation out;
  out.instrument = *Instrument::parse("binance:BTCUSDT");
  out.tape = Tape::agg;
  out.interval = std::chrono::minutes{1};
  out.from = at("2024-08-08T23:54:00Z");
  out.to = at("2024-08-09T00:05:00Z");
  out.at = at("2024-08-09T12:00:00.5Z");
  out.official = "a \"file\".csv";
  out.provable = {8, 7, 1};
  out.others = {3, 1, 0};
  for (std::size_t i = 0; i < kCandleFields; ++i) out.fields[i] = {10 + i, 9 + i, 1};
  for (std::size_t i = 0; i < kCauses; ++i) out.causes[i] = i;
  out.quiet = 5;
  out.not_closed = 1;
  out.beyond_ours = 2;
  out.beyond_theirs = 3;
  out.quiet_there = 4;
  out.equal = {{at("2024-08-08T23:54:00Z"), 1'700'000'000, false, {3, 12, 7}},
               {at("2024-08-08T23:58:00Z"), 1'700'000'001, true, {18'446'744'073'709'551'615U}}};
  Difference volume{at("2024-08-08T23:57:00Z"), Cause::gap, false, "at most 3 trades are missing here", {}, 9, 5};
  volume.fields = {{CandleField::volume, "1.5", "1.6"}, {CandleField::trades, "", "4"}};
  Difference none{at("2024-08-08T23:59:00Z"), Cause::missing_here, false, "", {}, 0, 0};
  out.differences = {volume, none};
  out.unlisted = {{at("2024-08-09T00:00:00Z"), Cause::late, 1'700'000'001, {4, 5}}};
  return out;
}

TEST(Reconciled, TheTextComesBack) {
  const std::string text = reconciliation_text(result());
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  const auto back = parse_reconciliation(text);
  ASSERT_TRUE(back) << back.error().detail;
  EXPECT_EQ(*back, result());
  Reconciliation nothing;
  nothing.instrument = result().instrument;
  nothing.interval = std::chrono::minutes{1};
  const auto empty = parse_reconciliation(reconciliation_text(nothing));
  EXPECT_TRUE(empty) << empty.error().detail;
}

TEST(Reconciled, WhatIsNoResultIsNamed) {
  const std::string text = reconciliation_text(result());
  const auto without = [&](std::string_view from, std::string_view to) {
    std::string out = text;
    const std::size_t place = out.find(from);
    EXPECT_NE(place, std::string::npos) << from;
    return out.replace(place, from.size(), to);
  };
  struct Case {
    std::string text, says;
    Fault fault = Fault::malformed;
  };
  for (const Case& c : {
           Case{"", "no JSON object"},
           Case{text.substr(0, text.size() / 2), "no JSON object"},
           Case{"[]", "no JSON object"},
           Case{"{}", "$.version is missing"},
           Case{R"({"version":1})", "$.instrument is missing"},
           Case{without("\"version\":1", "\"version\":2"), "version 2, this truetape reads version 1", Fault::mismatch},
           Case{without("\"binance:BTCUSDT\"", "\"BTCUSDT\""), "$.instrument is no instrument"},
           Case{without("\"tape\":\"agg\"", "\"tape\":\"tick\""), "$.tape is no tape"},
           Case{without("\"interval\":\"1m\"", "\"interval\":\"0m\""), "$.interval is no interval"},
           Case{without("\"to\":\"2024", "\"to\":\"24"), "$.to is no time"},
           Case{without("\"provable\":{", "\"x\":{"), "$.provable is missing"},
           Case{without("\"compared\":8", "\"compared\":6"), "$.provable.equal is more than was compared"},
           Case{without("\"fields\":{", "\"x\":{"), "$.fields is missing"},
           Case{without("\"reasons\":{", "\"x\":{"), "$.reasons is missing"},
           Case{without("\"rounding\":6", "\"rounding\":-1"), "$.reasons.rounding"},
           Case{without("\"equal\":[", "\"x\":["), "$.equal is no array"},
           Case{without("[3,12,7]", "[3,true,7]"), "$.equal[0].revisions holds something"},
           Case{without("\"unlisted\":[{", "\"unlisted\":[7,{"), "$.unlisted[0]"},
           Case{without("\"reason\":\"late\"", "\"reason\":\"why\""), "$.unlisted[0].reason is none"},
           Case{without("\"reason\":\"gap\"", "\"reason\":\"why\""), "$.differences[0].reason is none"},
           Case{without("\"field\":\"volume\"", "\"field\":\"x\""), "$.differences[0].fields[0].field is none"},
       }) {
    const auto read = parse_reconciliation(c.text);
    ASSERT_FALSE(read) << c.says;
    EXPECT_THAT(read.error().detail, HasSubstr(c.says));
    EXPECT_EQ(read.error().fault, c.fault);
  }
}

TEST(Reconciled, TheWindowsItSpeaksOf) {
  std::map<Timestamp, ReconciledWindow> windows;
  add_windows(result(), at("2024-08-08T23:55:00Z"), at("2024-08-09T00:00:00Z"), windows);
  std::vector<std::string> rows;
  for (const auto& [start, window] : windows) {
    RowCells cells;
    put_cells(window, cells);
    rows.emplace_back();
    append_csv_row(cells, rows.back());
  }
  const std::string of = "binance:BTCUSDT,agg,1m,2024-08-08T23:5", made = ",2024-08-09T12:00:00.500Z\n";
  EXPECT_EQ(rows, (std::vector<std::string>{
                      of + "5:00Z,equal,,,,1700000000,12" + made,
                      of + "6:00Z,equal,,,,1700000000,7" + made,
                      of +
                          "7:00Z,differs,gap,\"volume 1.5 here, 1.6 there; trades none here, 4 there\","
                          "at most 3 trades are missing here,9,5" +
                          made,
                      of + "8:00Z,equal,rounding,,,1700000001,18446744073709551615" + made,
                      of + "9:00Z,differs,missing here,,,0,0" + made,
                  }));
  // A later result takes the place, window by window.
  Reconciliation later = result();
  later.equal = {{at("2024-08-08T23:57:00Z"), 1, false, {6}}};
  later.differences.clear();
  add_windows(later, at("2024-08-08T23:00:00Z"), at("2024-08-09T00:00:00Z"), windows);
  EXPECT_EQ(windows.size(), 5U);
  EXPECT_TRUE(windows.at(at("2024-08-08T23:57:00Z")).equal);
  EXPECT_EQ(windows.at(at("2024-08-08T23:57:00Z")).difference, "");
}

// What was equal once and differs now is not called equal, also where the comparison did not list it.
TEST(Reconciled, AWindowBeyondTheLimitTakesThePlaceToo) {
  Reconciliation before = result();
  const Reconciliation now = result();
  before.unlisted.clear();
  before.equal = {{at("2024-08-09T00:00:00Z"), 1'700'000'001, false, {4, 5, 6}}};
  std::map<Timestamp, ReconciledWindow> windows;
  add_windows(before, Timestamp::min(), Timestamp::max(), windows);
  EXPECT_TRUE(windows.at(at("2024-08-09T00:00:00Z")).equal);
  add_windows(now, at("2024-08-09T00:00:30Z"), Timestamp::max(), windows);
  EXPECT_TRUE(windows.at(at("2024-08-09T00:00:00Z")).equal);  // not asked for
  const ReconciledWindow& second = windows.at(at("2024-08-09T00:01:00Z"));
  EXPECT_FALSE(second.equal);
  EXPECT_EQ(second.cause, Cause::late);
  EXPECT_EQ(second.revision, 5U);
  EXPECT_EQ(second.detail, "what differs is not listed: reconcile --limit lists more");
  EXPECT_TRUE(windows.at(at("2024-08-09T00:02:00Z")).equal);
}

// Files of before `unlisted` was written are read as they are.
TEST(Reconciled, ATextWithoutUnlistedIsRead) {
  Reconciliation of = result();
  of.unlisted.clear();
  std::string text = reconciliation_text(of);
  const std::string member = "\"unlisted\":[],";
  ASSERT_NE(text.find(member), std::string::npos);
  text.erase(text.find(member), member.size());
  const auto back = parse_reconciliation(text);
  ASSERT_TRUE(back) << back.error().detail;
  EXPECT_EQ(*back, of);
}

TEST(Reconciled, ARowForEachDifferingField) {
  const Reconciliation of = result();
  RowCells cells;
  std::string out;
  for (const Difference& difference : of.differences) {
    for (const FieldDifference& field : difference.fields) {
      cells.clear();
      put_cells(DifferenceRow{of, difference, &field}, cells);
      append_csv_row(cells, out);
    }
    if (!difference.fields.empty()) continue;
    cells.clear();
    put_cells(DifferenceRow{of, difference, nullptr}, cells);
    append_csv_row(cells, out);
  }
  EXPECT_EQ(csv_header(columns<DifferenceRow>()),
            "instrument,tape,interval,start,reason,provable,field,ours,theirs,detail");
  EXPECT_EQ(out,
            "binance:BTCUSDT,agg,1m,2024-08-08T23:57:00Z,gap,false,volume,1.5,1.6,at most 3 trades are missing here\n"
            "binance:BTCUSDT,agg,1m,2024-08-08T23:57:00Z,gap,false,trades,,4,at most 3 trades are missing here\n"
            "binance:BTCUSDT,agg,1m,2024-08-08T23:59:00Z,missing here,false,,,,\n");
}

}  // namespace
}  // namespace truetape
