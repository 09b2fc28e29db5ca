#include "serve/cross.h"

#include <gtest/gtest.h>

namespace truetape {
namespace {

const Instrument kA = *Instrument::parse("binance:BTCUSDT"), kB = *Instrument::parse("kucoin:BTC-USDT"),
                 kC = *Instrument::parse("coinbase:BTC-USD");
const Timestamp kStart = *parse_rfc3339("2024-08-08T12:00:00Z");

class CrossWatchTest : public testing::Test {
 protected:
  void make(CrossOptions options) {
    watch_ = std::make_unique<CrossWatch>(std::move(options), base_, metrics_,
                                          [this](const std::string& sentence) { told_.push_back(sentence); });
  }
  static Reference reference(const Instrument& instrument, const std::string& name) {
    Reference out;
    out.instrument = instrument;
    out.name = name;
    return out;
  }
  void give(const Followed& batch) { watch_->take(batch); }
  void name(const Instrument& instrument, const std::string& name) {
    Followed lists;
    lists.references = {reference(instrument, name)};
    give(lists);
  }
  void closes(const Instrument& instrument, int end, std::string_view price, int until, std::uint64_t trades = 1) {
    Followed batch;
    Candle& candle = batch.candles.emplace_back();
    candle.instrument = instrument;
    candle.interval = base_;
    candle.start = kStart + std::chrono::seconds{end} - base_;
    candle.trades = trades;
    candle.close = candle.open = candle.high = candle.low = parse_decimal(price).value;
    candle.status = CandleStatus::closed;
    candle.completeness = Completeness::complete;
    batch.progress.push_back(known(instrument, until));
    give(batch);
  }
  static Progress known(const Instrument& instrument, int until) {
    Progress progress;
    progress.instrument = instrument;
    progress.closed_until = kStart + std::chrono::seconds{until};
    return progress;
  }
  std::string metrics() { return metrics_.text(); }

  Interval base_{1};
  Metrics metrics_;
  std::vector<std::string> told_;
  std::unique_ptr<CrossWatch> watch_;
};

TEST_F(CrossWatchTest, PairsAreThoseOfOneNameOnTwoVenues) {
  make({});
  Followed lists;
  lists.references = {reference(kA, "BTC-USDT"), reference(kB, "BTC-USDT"), reference(kC, "BTC-USD"),
                      reference(*Instrument::parse("binance:ETHUSDT"), "ETH-USDT")};
  give(lists);
  EXPECT_NE(metrics().find("truetape_cross_pairs 1\n"), std::string::npos) << metrics();
  closes(kA, 1, "100", 20);
  closes(kB, 1, "102", 20);
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_EQ(told_[0],
            "binance:BTCUSDT and kucoin:BTC-USDT are apart by 2.0000 % since 2024-08-08T12:00:01Z: one of the venues "
            "is wrong, slow or alone; see /api/v1/cross and the gaps of both");
  ASSERT_EQ(watch_->rows().size(), 1u);
  EXPECT_FALSE(watch_->rows()[0].to);
  EXPECT_NE(metrics().find("truetape_cross_open 1\n"), std::string::npos) << metrics();
  EXPECT_NE(metrics().find("truetape_cross_deviations_total 1\n"), std::string::npos) << metrics();
  closes(kA, 25, "101.9", 30);
  closes(kB, 26, "102", 30);
  ASSERT_EQ(watch_->rows().size(), 1u);
  EXPECT_EQ(watch_->rows()[0].to, kStart + std::chrono::seconds{25});
  EXPECT_NE(metrics().find("truetape_cross_open 0\n"), std::string::npos) << metrics();
  EXPECT_EQ(told_.size(), 1u);
}

TEST_F(CrossWatchTest, ARenamedInstrumentIsComparedUnderItsNewNameOnly) {
  make({.pairs = {{kC, kB}}});
  name(kA, "BTC-USDT");
  name(kB, "BTC-USDT");
  closes(kA, 1, "100", 20);
  closes(kB, 1, "102", 20);
  EXPECT_NE(metrics().find("truetape_cross_pairs 2\n"), std::string::npos) << metrics();
  EXPECT_NE(metrics().find("truetape_cross_open 1\n"), std::string::npos) << metrics();
  name(kB, "XBT-USDT");
  EXPECT_NE(metrics().find("truetape_cross_pairs 1\n"), std::string::npos) << "the settings' own stays\n" << metrics();
  EXPECT_NE(metrics().find("truetape_cross_open 0\n"), std::string::npos) << metrics();
  ASSERT_EQ(watch_->rows().size(), 1u);
  EXPECT_EQ(watch_->rows()[0].to, kStart + std::chrono::seconds{20}) << "as far as both were known";
  closes(kA, 25, "100", 60);
  closes(kB, 25, "120", 60);
  EXPECT_EQ(told_.size(), 1u);
  name(kA, "XBT-USDT");
  EXPECT_NE(metrics().find("truetape_cross_pairs 2\n"), std::string::npos) << metrics();
  closes(kA, 65, "100", 80);
  closes(kB, 65, "120", 80);
  EXPECT_EQ(told_.size(), 2u);
  name(kA, "");
  EXPECT_NE(metrics().find("truetape_cross_pairs 1\n"), std::string::npos) << "no list names it any more";
}

// When following begins the store tells how far it is; the log's candles up to there may come only now.
TEST_F(CrossWatchTest, WhatTheStoreSaysAtTheBeginningIsNotAheadOfTheCandles) {
  make({.pairs = {{kA, kB}}});
  Followed first;
  first.begun = {{topic::candles, 0, 0}};
  first.progress = {known(kA, 40), known(kB, 40)};
  give(first);
  closes(kA, 1, "100", 1);
  closes(kB, 1, "100", 1);
  closes(kA, 2, "102", 20);
  closes(kB, 20, "100", 20);
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_EQ(watch_->rows()[0].from, kStart + std::chrono::seconds{2});
}

TEST_F(CrossWatchTest, AQuietMinuteMakesNoPriceFresh) {
  base_ = std::chrono::minutes{1};
  make({.pairs = {{kA, kB}}});
  closes(kA, 60, "100", 60);
  closes(kB, 60, "100", 60);
  for (int end = 120; end <= 600; end += 60) {
    closes(kA, end, "100", end, 0);
    closes(kB, end, "110", end);
  }
  ASSERT_EQ(told_.size(), 1u);
  ASSERT_EQ(watch_->rows().size(), 1u);
  EXPECT_EQ(watch_->rows()[0].from, kStart + std::chrono::seconds{120});
  EXPECT_EQ(watch_->rows()[0].to, kStart + std::chrono::seconds{180}) << "two minutes after A's last trade's candle";
}

TEST_F(CrossWatchTest, NamedPairsAreComparedThoughTheirNamesDiffer) {
  make({.pairs = {{kC, kA}}, .same_names = false});
  Followed lists;
  lists.references = {reference(kA, "BTC-USDT"), reference(kB, "BTC-USDT")};
  give(lists);
  closes(kA, 1, "100", 20);
  closes(kB, 1, "102", 20);
  EXPECT_TRUE(told_.empty());
  closes(kC, 1, "103", 20);
  ASSERT_EQ(watch_->rows().size(), 1u);
  EXPECT_EQ(watch_->rows()[0].b, kC);
}

}  // namespace
}  // namespace truetape
