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
    watch_ = std::make_unique<CrossWatch>(std::move(options), metrics_,
                                          [this](const std::string& sentence) { told_.push_back(sentence); });
  }
  static Reference reference(const Instrument& instrument, const std::string& name) {
    Reference out;
    out.instrument = instrument;
    out.name = name;
    return out;
  }
  void give(const Followed& batch) {
    const Changes changes = recent_.apply(batch, {});
    watch_->take(batch, changes, recent_);
  }
  void closes(const Instrument& instrument, int end, std::string_view price, int until) {
    Followed batch;
    Candle& candle = batch.candles.emplace_back();
    candle.instrument = instrument;
    candle.interval = std::chrono::seconds{1};
    candle.start = kStart + std::chrono::seconds{end - 1};
    candle.close = candle.open = candle.high = candle.low = parse_decimal(price).value;
    candle.status = CandleStatus::closed;
    candle.completeness = Completeness::complete;
    Progress& progress = batch.progress.emplace_back();
    progress.instrument = instrument;
    progress.closed_until = kStart + std::chrono::seconds{until};
    progress.revision = static_cast<std::uint64_t>(until) + 1;
    give(batch);
  }
  std::string metrics() { return metrics_.text(); }

  Recent recent_{{.intervals = {std::chrono::seconds{1}, std::chrono::minutes{1}}}};
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
