#include "batch/reconcile.h"

#include <gmock/gmock.h>

namespace truetape {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Window = std::chrono::minutes;

constexpr Interval kMinute = std::chrono::minutes{1};
const Timestamp kStart = *parse_rfc3339("2024-08-08T23:50:00Z");

Decimal decimal(std::string_view text) { return parse_decimal(text).value; }
Instrument btc() { return *Instrument::parse("binance:BTCUSDT"); }

// A store that is given as vectors.
class Rows final : public History {
 public:
  std::vector<Candle> rows;
  std::vector<Trade> stored;
  std::vector<Gap> holes;
  mutable int trade_calls = 0;
  Status trades_fail{};

  Status candles(const Selection& what, const std::function<bool(const Candle&)>& row) const override {
    std::vector<Candle> out;
    for (const Candle& c : rows)
      if (c.tape == *what.tape && c.interval == *what.interval && (!what.from || c.start >= *what.from) &&
          (!what.to || c.start < *what.to))
        out.push_back(c);
    if (what.limit && out.size() > *what.limit) {
      if (what.newest) std::rotate(out.begin(), out.end() - static_cast<std::ptrdiff_t>(*what.limit), out.end());
      out.resize(*what.limit);
    }
    for (const Candle& c : out)
      if (!row(c)) break;
    return {};
  }
  Status trades(const Selection& what, const std::function<bool(const Trade&)>& row) const override {
    ++trade_calls;
    for (const Trade& t : stored)
      if (t.event_time >= *what.from && t.event_time < *what.to) row(t);
    return trades_fail;
  }
  Status gaps(const Selection&, const std::function<bool(const Gap&)>& row) const override {
    for (const Gap& g : holes) row(g);
    return {};
  }
  Status quarantine(const Selection&, const std::function<bool(const Quarantined&)>&) const override { return {}; }
  Status progress(const Selection&, const std::function<bool(const Progress&)>&) const override { return {}; }
  Status instruments(const Selection&, const std::function<bool(const Reference&)>&) const override { return {}; }
  Result<std::vector<Instrument>> known_instruments() const override { return std::vector{btc()}; }
  Result<std::optional<std::int64_t>> loaded(std::string_view, std::int32_t) const override { return std::nullopt; }
  Result<std::string> log_id() const override { return std::string{}; }
  Result<std::int64_t> logs() const override { return 1; }
  Result<std::vector<Missing>> missing() const override { return std::vector<Missing>{}; }
  Result<std::unique_ptr<History>> snapshot() const override { return std::make_unique<Rows>(*this); }
};

// The window `minute`: 10 trades, the ids of which follow those of the window before.
Candle ours(int minute) {
  Candle c;
  c.instrument = btc();
  c.interval = kMinute;
  c.start = kStart + Window{minute};
  c.open = decimal("100.5");
  c.high = decimal("102");
  c.low = decimal("99.25");
  c.close = decimal("101");
  c.volume = parse_amount("12.5");
  c.quote_volume = parse_amount("1256.25");
  c.trades = 10;
  c.taker_buy_volume = parse_amount("4");
  c.taker_buy_quote_volume = parse_amount("401");
  c.first_id = 1000 + static_cast<std::uint64_t>(minute) * 10;
  c.last_id = *c.first_id + 9;
  c.status = CandleStatus::closed;
  c.completeness = Completeness::complete;
  c.proof = Proof::ids;
  c.epoch = 1'700'000'000;
  c.revision = 20 + static_cast<std::uint64_t>(minute);
  return c;
}
Candle quiet(int minute) {
  Candle c = ours(minute);
  c.completeness = Completeness::quiet;
  c.open = c.high = c.low = c.close = decimal("101");
  c.volume = c.quote_volume = c.taker_buy_volume = c.taker_buy_quote_volume = Amount{};
  c.trades = 0;
  c.first_id = c.last_id = std::nullopt;
  return c;
}
OfficialCandle theirs(const Candle& c) {
  OfficialCandle out;
  out.start = c.start;
  out.open = c.open.value_or(Decimal{});
  out.high = c.high.value_or(Decimal{});
  out.low = c.low.value_or(Decimal{});
  out.close = c.close.value_or(Decimal{});
  out.volume = c.volume.value_or(Amount{});
  out.quote_volume = c.quote_volume;
  out.trades = c.trades;
  out.taker_buy_volume = c.taker_buy_volume;
  out.taker_buy_quote_volume = c.taker_buy_quote_volume;
  return out;
}
OfficialCandle with_volume(OfficialCandle c, std::string_view volume) {
  c.volume = *parse_amount(volume);
  return c;
}
Trade trade(int minute, std::string_view price, std::string_view quantity) {
  Trade t;
  t.instrument = btc();
  t.event_time = kStart + Window{minute} + std::chrono::seconds{30};
  t.price = decimal(price);
  t.quantity = decimal(quantity);
  return t;
}

class Reconcile : public testing::Test {
 protected:
  Reconciliation run(const std::vector<OfficialCandle>& official) {
    auto result = reconcile(store_, options_, official);
    EXPECT_TRUE(result) << result.error().detail;
    // Each window is in one of the two tallies, and each that differs has a cause.
    std::uint64_t causes = 0;
    for (const std::uint64_t count : result->causes) causes += count;
    EXPECT_EQ(causes,
              result->provable.differ() + result->others.differ() + result->provable.rounded + result->others.rounded);
    return std::move(*result);
  }
  // One window that differs, as text.
  std::string only(const Reconciliation& result) {
    EXPECT_EQ(result.differences.size(), 1U);
    if (result.differences.empty()) return {};
    const Difference& d = result.differences[0];
    std::string out = to_rfc3339(d.start).substr(11, 5) + ' ' + std::string{name(d.cause)} +
                      (d.provable ? " provable" : "") + ": " + d.detail;
    for (const FieldDifference& f : d.fields) out += " | " + std::string{name(f.field)} + ' ' + f.ours + ' ' + f.theirs;
    return out;
  }

  Rows store_;
  ReconcileOptions options_{.instrument = btc(), .interval = kMinute, .at = kStart, .official = "file"};
};

TEST_F(Reconcile, WhatIsEqualIsCountedByFieldAndKeptByRevision) {
  store_.rows = {ours(0), ours(1), quiet(2), ours(3)};
  store_.rows[3].epoch = 1'700'000'001;
  std::vector<OfficialCandle> official;
  for (const Candle& c : store_.rows) official.push_back(theirs(c));
  official[1].quote_volume = official[1].taker_buy_volume = official[1].taker_buy_quote_volume = std::nullopt;
  official[1].trades = std::nullopt;
  store_.rows[2].taker_buy_volume = store_.rows[2].taker_buy_quote_volume = std::nullopt;  // a side is unknown
  const Reconciliation result = run(official);
  EXPECT_EQ(result.provable, (WindowTally{4, 4, 0}));
  EXPECT_EQ(result.others, WindowTally{});
  EXPECT_EQ(result.quiet, 1U);
  std::vector<std::uint64_t> compared;
  for (const WindowTally& tally : result.fields) {
    compared.push_back(tally.compared);
    EXPECT_EQ(tally.equal, tally.compared);
  }
  EXPECT_THAT(compared, ElementsAre(4, 4, 4, 4, 4, 3, 3, 2, 2));
  EXPECT_EQ(result.equal, (std::vector<EqualRun>{{kStart, 1'700'000'000, false, {20, 21, 22}},
                                                 {kStart + Window{3}, 1'700'000'001, false, {23}}}));
  EXPECT_EQ(result.from, kStart);
  EXPECT_EQ(result.to, kStart + Window{4});
  EXPECT_EQ(store_.trade_calls, 0);
}

TEST_F(Reconcile, EachFieldIsLookedAtToTheLastDigit) {
  store_.rows = {ours(0)};
  for (std::size_t i = 0; i < kCandleFields; ++i) {
    OfficialCandle one = theirs(store_.rows[0]);
    const Amount least{1};
    std::string there;
    switch (static_cast<CandleField>(i)) {
      case CandleField::open:
        one.open = decimal("100.50000001"), there = "100.5 100.50000001";
        break;
      case CandleField::high:
        one.high = decimal("102.00000001"), there = "102 102.00000001";
        break;
      case CandleField::low:
        one.low = decimal("99.24"), there = "99.25 99.24";
        break;
      case CandleField::close:
        one.close = decimal("101.1"), there = "101 101.1";
        break;
      case CandleField::volume:
        one.volume.units += least.units, there = "12.5 12.500000000000000001";
        break;
      case CandleField::quote_volume:
        one.quote_volume->units -= 1, there = "1256.25 1256.249999999999999999";
        break;
      case CandleField::trades:
        one.trades = 11, there = "10 11";
        break;
      case CandleField::taker_buy_volume:
        one.taker_buy_volume = parse_amount("4.1"), there = "4 4.1";
        break;
      case CandleField::taker_buy_quote_volume:
        one.taker_buy_quote_volume = parse_amount("400"), there = "401 400";
        break;
    }
    const Reconciliation result = run({one});
    EXPECT_EQ(only(result),
              "23:50 unknown provable:  | " + std::string{name(static_cast<CandleField>(i))} + ' ' + there);
    EXPECT_EQ(result.provable, (WindowTally{1, 0, 0}));
    for (std::size_t k = 0; k < kCandleFields; ++k) EXPECT_EQ(result.fields[k].equal, k == i ? 0U : 1U);
  }
}

TEST_F(Reconcile, AGapAPartialWindowAndHeldTradesSayWhy) {
  store_.rows = {ours(0), ours(1), ours(2), ours(3), ours(4)};
  std::vector<OfficialCandle> official;
  for (const Candle& c : store_.rows) official.push_back(with_volume(theirs(c), "13"));
  store_.rows[0].completeness = Completeness::partial;
  store_.rows[1].completeness = Completeness::gap;
  store_.rows[1].missing = 1;
  store_.rows[2].completeness = Completeness::gap;
  store_.rows[3].completeness = Completeness::gap;
  store_.rows[3].held = 2;
  Candle& none = store_.rows[4];
  none.completeness = Completeness::gap;
  none.missing = 117;
  none.open = none.high = none.low = none.close = std::nullopt;
  none.volume = none.quote_volume = none.taker_buy_volume = none.taker_buy_quote_volume = std::nullopt;
  none.trades = std::nullopt;
  const Reconciliation result = run(official);
  EXPECT_EQ(result.provable, WindowTally{});
  EXPECT_EQ(result.others, (WindowTally{5, 0, 0}));
  ASSERT_EQ(result.differences.size(), 5U);
  std::vector<std::string> said;
  for (const Difference& d : result.differences) said.push_back(std::string{name(d.cause)} + ": " + d.detail);
  EXPECT_THAT(said, ElementsAre("gap: what is known here begins inside this window",
                                "gap: at most 1 trade of it missing", "gap: an unknown number of its trades is missing",
                                "rule: 2 trades of it wait in quarantine", "gap: at most 117 trades of it missing"));
  EXPECT_EQ(result.differences[4].fields.size(), kCandleFields);
  EXPECT_EQ(result.differences[4].fields[0], (FieldDifference{CandleField::open, "", "100.5"}));
  EXPECT_EQ(store_.trade_calls, 0);
}

TEST_F(Reconcile, LateTradesAndKindsThatAreNotFoldedSayWhy) {
  store_.rows = {ours(0)};
  store_.stored = {trade(0, "100", "1"), trade(0, "100", "0.25"), trade(0, "100", "0.5"), trade(1, "100", "9")};
  const std::vector<OfficialCandle> official{with_volume(theirs(ours(0)), "13.25")};
  store_.stored[0].kind = Text<20>::cut("ADL");
  EXPECT_EQ(only(run(official)),
            "23:50 rule provable: 1 trade of kind ADL: not folded into candles | volume 12.5 13.25");
  for (std::size_t i = 1; i < 4; ++i) store_.stored[i].marks = 1U << static_cast<unsigned>(Mark::late);
  EXPECT_EQ(
      only(run(official)),
      "23:50 late provable: 2 trades came when it was sealed, volume 0.75, and are not in it | volume 12.5 13.25");
  store_.stored.clear();
  EXPECT_EQ(only(run(official)), "23:50 unknown provable:  | volume 12.5 13.25");
}

TEST_F(Reconcile, TheVenuesRoundingIsNoDifferenceWhereItRounds) {
  store_.rows = {ours(0), ours(1)};
  std::vector<OfficialCandle> official{theirs(ours(0)), theirs(ours(1))};
  store_.rows[0].quote_volume = parse_amount("1256.2500000349");
  official[0].quote_volume = parse_amount("1256.25000013");  // 9.51e-8 off, 10 trades
  // Six decimals and two: the venue's sums are exact, so is the comparison.
  store_.stored = {trade(0, "100.123456", "0.01")};
  EXPECT_EQ(only(run(official)), "23:50 unknown provable:  | quote_volume 1256.2500000349 1256.25000013");
  // One decimal more, somewhere in the instrument's trades.
  store_.stored = {trade(0, "100.123456", "0.001")};
  Reconciliation result = run(official);
  EXPECT_TRUE(result.differences.empty());
  EXPECT_EQ(result.provable, (WindowTally{2, 2, 1}));
  EXPECT_EQ(result.causes[static_cast<std::size_t>(Cause::rounding)], 1U);
  EXPECT_EQ(result.fields[static_cast<std::size_t>(CandleField::quote_volume)], (WindowTally{2, 2, 1}));
  EXPECT_EQ(result.equal, (std::vector<EqualRun>{{kStart, 1'700'000'000, true, {20}},
                                                 {kStart + Window{1}, 1'700'000'000, false, {21}}}));
  // n times 10^-8 and not a digit more; never for volumes.
  official[0].quote_volume = parse_amount("1256.2500001349");
  EXPECT_TRUE(run(official).differences.empty());
  official[0].quote_volume = parse_amount("1256.250000134900000001");
  EXPECT_EQ(run(official).differences.size(), 1U);
  official[0] = with_volume(theirs(store_.rows[0]), "12.50000001");
  EXPECT_EQ(only(run(official)), "23:50 unknown provable:  | volume 12.5 12.50000001");
}

TEST_F(Reconcile, ASessionProvesNothingUntilTheIdsAroundItDo) {
  store_.rows = {ours(0), ours(1), quiet(2), ours(3), ours(4), ours(5)};
  store_.rows[3].first_id = 1020;  // behind the last of window 1
  store_.rows[3].last_id = 1039;
  for (const std::size_t i : {1U, 2U, 4U, 5U}) store_.rows[i].proof = Proof::session;
  std::vector<OfficialCandle> official;
  for (const Candle& c : store_.rows) official.push_back(theirs(c));
  Reconciliation result = run(official);
  EXPECT_EQ(result.provable, (WindowTally{5, 5, 0}));
  EXPECT_EQ(result.others, (WindowTally{1, 1, 0}));  // the last: no id behind it yet
  // A lost tail of window 1: its ids and those of the quiet one do not follow.
  store_.rows[3].first_id = 1021;
  result = run(official);
  EXPECT_EQ(result.provable, (WindowTally{3, 3, 0}));
  EXPECT_EQ(result.others, (WindowTally{3, 3, 0}));
  official[1] = with_volume(official[1], "13");
  EXPECT_EQ(only(run(official)),
            "23:51 unproven: only its session speaks for it: a lost tail would not show | volume 12.5 13");
  store_.rows[1].completeness = Completeness::unverifiable;
  store_.rows[1].proof = Proof::none;
  EXPECT_EQ(only(run(official)), "23:51 unproven: nothing proves that it holds every trade | volume 12.5 13");
}

TEST_F(Reconcile, WindowsThatOneSideLacks) {
  store_.rows = {ours(1), ours(2), ours(4), quiet(5), ours(6), ours(7), ours(8)};
  store_.rows[5].status = CandleStatus::open;
  Gap ended;
  ended.state = GapState::repaired;
  ended.from = kStart;
  store_.holes = {ended};
  const std::vector<OfficialCandle> official{theirs(ours(0)), theirs(ours(2)), theirs(ours(3)), theirs(ours(4)),
                                             theirs(ours(7)), theirs(ours(9)), theirs(ours(10))};
  Reconciliation result = run(official);
  EXPECT_EQ(result.beyond_ours, 3U);  // 0, 9 and 10
  EXPECT_EQ(result.not_closed, 1U);   // 7
  EXPECT_EQ(result.quiet_there, 1U);  // 5
  EXPECT_EQ(result.beyond_theirs, 0U);
  EXPECT_EQ(result.provable, (WindowTally{5, 2, 0}));  // 1, 6, 8 lack there
  EXPECT_EQ(result.others, (WindowTally{1, 0, 0}));
  std::vector<std::string> said;
  for (const Difference& d : result.differences)
    said.push_back(to_rfc3339(d.start).substr(14, 2) + ' ' + std::string{name(d.cause)} +
                   (d.provable ? " provable" : ""));
  EXPECT_THAT(said, ElementsAre("51 missing there provable", "53 missing here", "56 missing there provable",
                                "58 missing there provable"));
  // An open gap explains what is missing here.
  Gap open = ended;
  open.state = GapState::open;
  open.first_id = 1030;
  open.from = kStart + Window{3};
  open.to = kStart + Window{4};
  store_.holes = {open};
  result = run({theirs(ours(2)), theirs(ours(3)), theirs(ours(4))});
  EXPECT_EQ(only(result), "23:53 gap: the gap from id 1030 on lies here");
  EXPECT_EQ(result.beyond_theirs, 4U);  // 1 before, 5, 6 and 8 behind
}

TEST_F(Reconcile, SecondsWithoutATradeHaveNoRowAndAreQuietByTheIdsAroundThem) {
  options_.interval = std::chrono::seconds{1};
  const auto second = [](int number, std::uint64_t first) {
    Candle c = ours(0);
    c.interval = std::chrono::seconds{1};
    c.start = kStart + std::chrono::seconds{number};
    c.first_id = first;
    c.last_id = first + 9;
    return c;
  };
  store_.rows = {second(0, 1000), second(3, 1010), second(5, 1021)};
  std::vector<OfficialCandle> official;
  for (int i = 0; i < 6; ++i) {
    Candle flat = quiet(0);
    flat.start = kStart + std::chrono::seconds{i};
    official.push_back(theirs(flat));
  }
  for (const std::size_t i : {0U, 1U, 2U}) {
    const Candle& row = store_.rows[i];
    official[static_cast<std::size_t>((row.start - kStart) / std::chrono::seconds{1})] = theirs(row);
  }
  Reconciliation result = run(official);
  EXPECT_EQ(result.provable, (WindowTally{5, 5, 0}));
  EXPECT_EQ(only(result), "23:50 missing here: ");  // second 4: id 1020 lies there
  EXPECT_EQ(result.equal[0].revisions, (std::vector<std::uint64_t>{20, 0, 0, 20}));
  official[2] = with_volume(official[2], "0.1");
  result = run(official);
  EXPECT_EQ(result.provable, (WindowTally{5, 4, 0}));
  EXPECT_EQ(result.differences[0].fields, (std::vector<FieldDifference>{{CandleField::volume, "0", "0.1"}}));
}

TEST_F(Reconcile, QuietBeforeTheFirstTradeHasNoPrice) {
  store_.rows = {quiet(0), ours(1)};
  store_.rows[0].open = store_.rows[0].high = store_.rows[0].low = store_.rows[0].close = std::nullopt;
  store_.rows[0].proof = Proof::declared;
  EXPECT_EQ(run({theirs(quiet(0)), theirs(ours(1))}).provable, (WindowTally{2, 2, 0}));
}

TEST_F(Reconcile, TimesTapesAndLimits) {
  for (int i = 0; i < 6; ++i) store_.rows.push_back(ours(i));
  std::vector<OfficialCandle> official;
  for (const Candle& c : store_.rows) official.push_back(with_volume(theirs(c), "1"));
  store_.rows[1].completeness = Completeness::gap;
  store_.rows[2].completeness = Completeness::gap;
  options_.limit = 1;
  Reconciliation result = run(official);
  EXPECT_EQ(result.provable.differ() + result.others.differ(), 6U);
  ASSERT_EQ(result.differences.size(), 2U);  // one of each, so that gaps do not hide what matters
  EXPECT_TRUE(result.differences[0].provable);
  EXPECT_FALSE(result.differences[1].provable);
  // The others are kept too, so that no older result speaks for them.
  std::map<Timestamp, ReconciledWindow> windows;
  add_windows(result, kStart, kStart + Window{6}, windows);
  ASSERT_EQ(windows.size(), 6U);
  for (const auto& [start, window] : windows) EXPECT_FALSE(window.equal) << to_rfc3339(start);
  options_.from = kStart + Window{2};
  options_.to = kStart + Window{4};
  result = run(official);
  EXPECT_EQ(result.from, options_.from);
  EXPECT_EQ(result.to, options_.to);
  EXPECT_EQ(result.provable.compared + result.others.compared, 2U);
  EXPECT_EQ(result.beyond_ours + result.beyond_theirs, 0U);

  const auto span = candle_span(store_, {.instrument = btc(), .interval = kMinute});
  ASSERT_TRUE(span && *span);
  EXPECT_EQ((*span)->from, kStart);
  EXPECT_EQ((*span)->to, kStart + Window{6});
  Candle agg = ours(0);
  agg.tape = Tape::agg;
  store_.rows.push_back(agg);
  options_.from = options_.to = std::nullopt;
  const auto both = reconcile(store_, options_, official);
  ASSERT_FALSE(both);
  EXPECT_THAT(both.error().detail, HasSubstr("both tapes; say which: --tape trade or --tape agg"));
  options_.tape = Tape::agg;
  EXPECT_EQ(run(official).provable.compared, 1U);
  store_.rows.clear();
  EXPECT_EQ(run(official).beyond_ours, 6U);
}

TEST_F(Reconcile, AStoreThatCannotBeReadIsAnError) {
  store_.rows = {ours(0)};
  store_.trades_fail = failure(Fault::io, Retry::never, "the disk fails");
  const auto result = reconcile(store_, options_, std::vector{with_volume(theirs(ours(0)), "1")});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().detail, "the disk fails");
}

}  // namespace
}  // namespace truetape
