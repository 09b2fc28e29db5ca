// The memory of the recent past, by itself.
#include "serve/recent.h"

#include <gmock/gmock.h>

#include "codec/roll_up.h"
#include "serve/testing.h"

namespace truetape {
namespace {

const Timestamp kNoon = at("2024-08-08T12:00:00Z");
const std::vector<Interval> kIntervals{1s, 60s, 300s, 900s};
const net::SteadyTime kNow{};

Recent::Options options(std::size_t candles = 128) {
  Recent::Options out;
  out.intervals = kIntervals;
  out.candles = candles;
  out.trades = 5;
  return out;
}
std::vector<Candle> of(const Recent& recent, const InstrumentMemory& memory, Interval interval) {
  std::vector<Candle> out;
  if (const TapeMemory* tape = memory.memory(Tape::trade))
    for (const CandlePtr& row : tape->series[*recent.place(interval)].rows) out.push_back(row->row);
  return out;
}
Filled nothing() {
  Filled out;
  for (auto& tape : out.tapes) tape.candles.resize(kIntervals.size());
  return out;
}

TEST(Recent, OpenWindowsAreRolledUpAsIfFromTheSmallestRows) {
  Recent recent{options()};
  InstrumentMemory& memory = recent.at(btc());
  for (std::size_t i = 0; i < kIntervals.size(); ++i) ++memory.watched[i];
  // 16 minutes of a second's candle each 7 s; minutes close, larger windows as they end.
  std::vector<Candle> seconds;
  std::uint64_t id = 1;
  for (auto t = kNoon; t < kNoon + 16min; t += 7s) {
    Followed batch;
    const Candle second = candle(1s, t, id, 3, CandleStatus::open);
    id += 3;
    seconds.push_back(second);
    batch.candles.push_back(second);
    // What has ended before this second closes now, as the stream's own rows.
    for (const Interval interval : {Interval{60s}, Interval{300s}, Interval{900s}}) {
      const Timestamp window = window_start(t, interval) - interval;
      if (window < kNoon || t - 7s >= window_start(t, interval)) continue;
      std::vector<Candle> inside;
      for (const Candle& c : seconds)
        if (window_start(c.start, interval) == window) inside.push_back(c);
      Candle closed = *roll_up(inside, interval);
      closed.status = CandleStatus::closed;
      closed.completeness = Completeness::complete;
      batch.candles.push_back(closed);
    }
    const Changes changes = recent.apply(batch, kNow);
    for (const Interval interval : {Interval{60s}, Interval{300s}, Interval{900s}}) {
      std::vector<Candle> inside;
      for (const Candle& c : seconds)
        if (window_start(c.start, interval) == window_start(t, interval)) inside.push_back(c);
      const Candle expected = *roll_up(inside, interval);
      ASSERT_EQ(of(recent, memory, interval).back(), expected) << to_text(interval);
      // Each change is told once.
      ASSERT_EQ(std::ranges::count_if(changes.candles, [&](const CandlePtr& c) { return c->row == expected; }), 1)
          << to_text(interval);
    }
  }
  EXPECT_EQ(of(recent, memory, 900s).size(), 2U);
  EXPECT_EQ(of(recent, memory, 900s)[0].status, CandleStatus::closed);
}

TEST(Recent, NothingIsRolledUpThatNobodyWatches) {
  Recent recent{options()};
  Followed batch;
  batch.candles = {candle(1s, kNoon, 1, 3, CandleStatus::open)};
  EXPECT_EQ(recent.apply(batch, kNow).candles.size(), 1U);
  InstrumentMemory& memory = *recent.find(btc());
  EXPECT_TRUE(of(recent, memory, 60s).empty());
  recent.roll(memory, Tape::trade, *recent.place(300s));
  EXPECT_EQ(of(recent, memory, 300s).size(), 1U);
}

TEST(Recent, AnOpenHoleMakesTheOpenWindowsThatItTouchesGaps) {
  Recent recent{options()};
  InstrumentMemory& memory = recent.at(btc());
  ++memory.watched[1];
  Followed batch;
  batch.candles = {candle(1s, kNoon + 1s, 1, 3, CandleStatus::open)};
  recent.apply(batch, kNow);
  EXPECT_EQ(of(recent, memory, 60s)[0].completeness, Completeness::none);
  Gap gap;
  gap.instrument = btc();
  gap.first_id = 4;
  gap.last_id = 6;
  gap.missing = 3;
  gap.from = kNoon + 1s;
  gap.to = kNoon + 2s;
  gap.state = GapState::open;
  gap.epoch = 1;
  gap.revision = 1;
  Followed hole;
  hole.gaps = {gap};
  const Changes changes = recent.apply(hole, kNow);
  ASSERT_EQ(changes.candles.size(), 1U);
  EXPECT_EQ(changes.candles[0]->row.completeness, Completeness::gap);
  EXPECT_EQ(changes.candles[0]->row.missing, 3U);
  EXPECT_EQ(memory.open_gaps(), 1U);
  hole.gaps[0].state = GapState::repaired;
  hole.gaps[0].revision = 2;
  EXPECT_EQ(recent.apply(hole, kNow).candles[0]->row.completeness, Completeness::none);
  EXPECT_EQ(memory.open_gaps(), 0U);
}

TEST(Recent, OfTwoRowsWithOneKeyTheGreaterOrderStaysWhereverItComesFrom) {
  const std::vector<Candle> versions{candle(60s, kNoon, 1, 1, CandleStatus::open, 1),
                                     candle(60s, kNoon, 1, 2, CandleStatus::closed, 2),
                                     candle(60s, kNoon, 1, 3, CandleStatus::corrected, 3)};
  std::vector<std::size_t> order{0, 1, 2};
  do {
    for (std::size_t stored = 0; stored < 3; ++stored) {
      Recent recent{options()};
      InstrumentMemory& memory = recent.at(btc());
      Filled filled = nothing();
      filled.tapes[0].candles[1] = {versions[stored]};
      filled.tapes[0].any = true;
      for (const std::size_t i : order) {
        Followed batch;
        batch.candles = {versions[i]};
        recent.apply(batch, kNow);
        if (i == stored) recent.fill(memory, filled);
      }
      EXPECT_EQ(of(recent, memory, 60s), std::vector{versions[2]});
    }
  } while (std::ranges::next_permutation(order).found);
}

TEST(Recent, OnlyTheNewestRowsStay) {
  Recent recent{options(100)};
  InstrumentMemory& memory = recent.at(btc());
  recent.fill(memory, nothing());
  for (std::uint64_t i = 0; i < 500; ++i) {
    Followed batch;
    batch.candles = {candle(60s, kNoon + i * 60s, 1 + i, 1)};
    batch.trades = {trade(1 + i, kNoon + i * 60s)};
    recent.apply(batch, kNow);
  }
  const auto rows = of(recent, memory, 60s);
  ASSERT_EQ(rows.size(), 100U);
  EXPECT_EQ(rows.front().start, kNoon + 400 * 60s);
  const TapeMemory& tape = *memory.memory(Tape::trade);
  EXPECT_FALSE(tape.series[1].from_beginning);
  EXPECT_EQ(tape.trades.size(), 5U);
  EXPECT_EQ(tape.trades.front().order, 496U);
  EXPECT_FALSE(tape.trades_from_beginning);
  // A correction of what has gone is told, not kept.
  Followed late;
  late.candles = {candle(60s, kNoon, 1, 1, CandleStatus::corrected, 9)};
  EXPECT_EQ(recent.apply(late, kNow).candles.size(), 1U);
  EXPECT_EQ(of(recent, memory, 60s).size(), 100U);
}

TEST(Recent, MemoryIsForThoseThatAreAskedFor) {
  Recent::Options few = options();
  few.instruments = 2;
  Recent recent{few};
  const auto instrument = [](int n) { return *Instrument::parse("binance:S" + std::to_string(n)); };
  Followed batch;
  for (int n = 0; n < 4; ++n)
    for (std::uint64_t i = 0; i < 50; ++i)
      batch.candles.push_back(candle(60s, kNoon + i * 60s, 1 + i, 1, CandleStatus::closed, 1, instrument(n)));
  batch.positions = {{topic::candles, 0, 200}};
  recent.apply(batch, kNow);
  const auto kept = [&](int n) { return of(recent, *recent.find(instrument(n)), 60s).size(); };
  EXPECT_EQ((std::vector{kept(0), kept(1), kept(2), kept(3)}), (std::vector<std::size_t>{50, 50, 2, 2}));
  EXPECT_EQ(recent.find(instrument(0))->gone.candles, 0);
  EXPECT_EQ(recent.find(instrument(2))->gone.candles, 200);  // the store must have them before it is shown
  recent.ask(*recent.find(instrument(0)), kNow + 1s);
  recent.ask(*recent.find(instrument(2)), kNow + 2s);
  EXPECT_EQ((std::vector{kept(0), kept(1), kept(2)}), (std::vector<std::size_t>{50, 2, 2}));
  EXPECT_EQ(recent.find(instrument(1))->gone.candles, 200);
  // Who is followed stays.
  ++recent.find(instrument(0))->followers;
  ++recent.find(instrument(2))->followers;
  recent.ask(*recent.find(instrument(3)), kNow + 3s);
  EXPECT_EQ(kept(0), 50U);
  EXPECT_TRUE(recent.find(instrument(3))->roomy);
}

TEST(Recent, WhatHasGoneIsKnownByItsPlaceInTheLog) {
  Recent recent{options(61)};
  InstrumentMemory& memory = recent.at(btc());
  recent.fill(memory, nothing());
  for (std::int64_t i = 0; i < 70; ++i) {
    Followed batch;
    batch.candles = {candle(60s, kNoon + i * 60s, 1, 1)};
    batch.trades = {trade(1 + static_cast<std::uint64_t>(i), kNoon + i * 60s)};
    batch.positions = {{topic::candles, 0, 1000 + i}, {topic::trades, 0, 2000 + i}};
    recent.apply(batch, kNow);
  }
  // 61 candles and 5 trades stay: the last one that went is the 9th, the 65th.
  EXPECT_EQ(memory.gone.candles, 1008);
  EXPECT_EQ(memory.gone.trades, 2064);
  // What comes too late to be kept has gone at once.
  Followed late;
  late.candles = {candle(60s, kNoon, 1, 1, CandleStatus::corrected, 9)};
  late.trades = {trade(500, kNoon)};
  late.positions = {{topic::candles, 0, 3000}, {topic::trades, 0, 4000}};
  recent.apply(late, kNow);
  EXPECT_EQ(memory.gone.candles, 3000);
  EXPECT_EQ(memory.gone.trades, 4000);
}

TEST(Recent, WhatWasSkippedMustComeFromTheStore) {
  Recent recent{options()};
  InstrumentMemory& memory = recent.at(btc());
  recent.fill(memory, nothing());
  Followed anew;
  anew.begun = {{topic::trades, 0, 900}};
  anew.skipped = {{topic::trades, 0, 900}};
  recent.apply(anew, kNow);
  EXPECT_FALSE(memory.filled);
  EXPECT_EQ(memory.unfilled, 1U);
  EXPECT_EQ(memory.gone.trades, 900);
  EXPECT_EQ(recent.at(*Instrument::parse("binance:ETHUSDT")).gone.trades, 900);
}

TEST(Recent, AWindowIsNotRolledUpFromAPartOfItsRows) {
  Recent::Options few = options(61);
  few.intervals = {1s, 60s, 300s};
  Recent recent{few};
  InstrumentMemory& memory = recent.at(btc());
  Filled none = nothing();
  for (auto& tape : none.tapes) tape.candles.resize(few.intervals.size());
  recent.fill(memory, none);
  for (std::uint64_t i = 0; i < 300; ++i) {  // 122 seconds are kept
    Followed batch;
    batch.candles = {candle(1s, kNoon + i * 1s, 1 + i, 1, CandleStatus::open)};
    recent.apply(batch, kNow);
  }
  recent.roll(memory, Tape::trade, 2);
  const auto minutes = of(recent, memory, 60s);
  ASSERT_EQ(minutes.size(), 2U);
  EXPECT_EQ(minutes[0].start, kNoon + 180s);
  EXPECT_EQ(minutes[0].trades, 60U);
  EXPECT_EQ(minutes[1].trades, 60U);
  EXPECT_TRUE(of(recent, memory, 300s).empty());
}

TEST(Recent, OfManyEndedHolesTheOneThatEndedFirstGoes) {
  Recent recent{options()};
  Followed batch;
  for (std::uint64_t i = 0; i < 65; ++i) {
    Gap gap;
    gap.instrument = btc();
    gap.first_id = 1000 - i;  // ids need not rise with time
    gap.last_id = gap.first_id;
    gap.from = kNoon + i * 10s;
    gap.to = gap.from + 1s;
    gap.state = GapState::repaired;
    gap.epoch = 1;
    gap.revision = 1;
    batch.gaps.push_back(gap);
  }
  batch.positions = {{topic::gaps, 0, 77}};
  recent.apply(batch, kNow);
  const InstrumentMemory& memory = *recent.find(btc());
  ASSERT_EQ(memory.gaps.size(), 64U);
  EXPECT_EQ(memory.gaps.rbegin()->second.first_id, 999U);
  EXPECT_EQ(memory.gaps.begin()->second.first_id, 936U);
  EXPECT_EQ(memory.gone.gaps, 77);
}

}  // namespace
}  // namespace truetape
