// The rules that look at a trade's reference, at quotes and at other trades, by venue and instrument (docs/rules.md).
#include <gtest/gtest.h>

#include <map>
#include <tuple>

#include "market/bytes.h"
#include "market/processor.h"

namespace truetape {
namespace {

constexpr std::int64_t kNoon = 1'700'000'000'000'000'000;

// "ID SECOND PRICE [KIND]" is a trade, "q BID ASK" a quote, "r TICK" an entry of the symbol list.
class Words final : public Decoder {
 public:
  void decode(const RawRecord& record, Events& out) const override {
    std::vector<std::string> words{""};
    for (const char c : record.bytes) {
      if (c == ' ')
        words.emplace_back();
      else
        words.back() += c;
    }
    const Instrument instrument = *Instrument::parse(record.instruments);
    if (words[0] == "q") {
      Quote quote;
      quote.instrument = instrument;
      quote.bid = parse_decimal(words[1]).value;
      quote.ask = parse_decimal(words[2]).value;
      out.quotes.push_back(quote);
    } else if (words[0] == "r") {
      Reference reference;
      reference.instrument = instrument;
      reference.tick = parse_decimal(words[1]).value;
      out.references.push_back(reference);
    } else {
      Item item;
      Trade& t = item.trade;
      t.instrument = instrument;
      t.order = t.first_id = t.last_id = std::stoull(words[0]);
      t.id = Text<40>::cut(words[0]);
      t.event_time = timestamp_ns(kNoon + std::stoll(words[1]) * 1'000'000'000);
      t.price = parse_decimal(words[2]).value;
      t.quantity = Decimal{1, 0};
      if (words.size() > 3) t.kind = Text<20>::cut(words[3]);
      item.has_id = item.has_time = true;
      item.raw = record.bytes;
      out.items.push_back(item);
    }
  }
  TradeIds trade_ids(std::string_view) const override { return TradeIds::contiguous; }
};

class Judged : public testing::Test {
 protected:
  Results fold(RawKind kind, const std::string& bytes, const std::string& instrument,
               std::vector<std::pair<std::string, std::string>> more = {}) {
    more.emplace_back("kind", name(kind));
    more.emplace_back("instruments", instrument);
    std::vector<Header> headers;
    for (const auto& [header_name, value] : more) headers.push_back({header_name, value});
    Results out;
    processor_->fold(read_raw(bytes, headers, 0, offset_++), out);
    processor_->finish_batch(out);
    for (const auto& [venue, c] : out.counts) EXPECT_TRUE(c.balanced());
    for (const auto& [key, value] : out.state) {
      if (value)
        state_[key] = *value;
      else
        state_.erase(key);
    }
    return out;
  }
  Results trade(const std::string& text, const std::string& instrument = "a:X") {
    return fold(RawKind::frame, text, instrument);
  }
  void config(std::vector<std::pair<std::string, std::string>> settings) {
    EXPECT_TRUE(fold(RawKind::config, "", "", std::move(settings)).quarantined.empty());
  }
  void restart(const Rules& rules = {}) {
    processor_ = std::make_unique<Processor>(rules, decoder_, 0, 1);
    processor_->restore(std::vector<std::pair<std::string, std::string>>{state_.begin(), state_.end()});
  }
  Words decoder_;
  std::unique_ptr<Processor> processor_ = std::make_unique<Processor>(Rules{}, decoder_, 0, 1);
  std::map<std::string, std::string> state_;
  std::int64_t offset_ = 0;
};

TEST_F(Judged, TheNarrowestRuleCountsAndSurvivesARestart) {
  for (const char* instrument : {"a:X", "a:Y", "b:X"}) fold(RawKind::reference, "r 0.5", instrument);
  config({{"rule.off_tick@a", "quarantine"}, {"rule.off_tick@a:Y", "accept"}});
  for (const bool again : {false, true}) {
    SCOPED_TRACE(again ? "after a restart" : "before");
    if (again) restart();
    const std::string id = again ? "2 2" : "1 1";
    const Results held = trade(id + " 10.3", "a:X");
    EXPECT_EQ(held.trades.size(), 0U);
    ASSERT_EQ(held.quarantined.size(), 1U);
    EXPECT_EQ(held.quarantined[0].rule_version, 2U) << "it rose by itself";
    EXPECT_EQ(marks_text(trade(id + " 10.3", "a:Y").trades.at(0).marks), "");
    EXPECT_EQ(marks_text(trade(id + " 10.3", "b:X").trades.at(0).marks), "off_tick");
  }
  config({{"rule.off_tick@a", "default"}});
  restart();
  EXPECT_EQ(marks_text(trade("3 3 10.3", "a:X").trades.at(0).marks), "off_tick");
}

// What was said outlives the process; of all else the configuration counts that it is started with.
TEST_F(Judged, WhatNobodySaidIsOfTheConfigurationOfNow) {
  Rules changed;
  changed.crossed = Action::quarantine;
  changed.narrower["a"].off_tick = Action::accept;
  changed.version = 4;
  config({{"rule.off_tick@a", "quarantine"}});
  fold(RawKind::reference, "r 0.5", "a:X");
  for (int i = 0; i < 2; ++i) {
    restart(changed);
    const Results held = trade(std::to_string(i + 1) + " 2 10.3");
    ASSERT_EQ(held.quarantined.size(), 1U);
    EXPECT_EQ(held.quarantined[0].rule_version, 4U) << "said was 2";
    EXPECT_EQ(fold(RawKind::frame, "q 2 1", "a:X").quarantined.size(), 1U);
  }
  config({{"rule.off_tick@a", "default"}});
  restart(changed);
  EXPECT_EQ(trade("3 3 10.3").quarantined.size(), 0U);
}

TEST_F(Judged, TheVersionOnlyRises) {
  config({{"rule.version", "9"}});
  const Results lower = fold(RawKind::config, "", "", {{"rule.version", "8"}, {"rule.crossed", "accept"}});
  ASSERT_EQ(lower.quarantined.size(), 1U);
  EXPECT_EQ(lower.quarantined[0].rule_version, 9U);
  EXPECT_EQ(fold(RawKind::frame, "q 2 1", "a:X").counts.at(0).second.crossed, 1U) << "nothing of it counts";
  config({{"rule.crossed", "mark"}});  // as it is: no new version
  EXPECT_EQ(fold(RawKind::config, "", "", {{"rule.no_such", "1"}}).quarantined.at(0).rule_version, 9U);
}

// Neither a configuration that says a greater version refuses what was said, nor does its end bring an old one back.
TEST_F(Judged, AVersionOfTheConfigurationIsNoneThatWasSaid) {
  Rules changed;
  changed.version = 5;
  restart(changed);
  const auto version = [&] { return fold(RawKind::frame, "q 2 1", "a:X").quarantined.at(0).rule_version; };
  config({{"rule.crossed", "quarantine"}, {"rule.version", "2"}});
  EXPECT_EQ(version(), 6U) << "other rules than those of 5";
  restart();
  EXPECT_EQ(version(), 6U);
  config({{"rule.crossed", "quarantine"}, {"rule.version", "7"}});
  EXPECT_EQ(version(), 7U);
  EXPECT_EQ(fold(RawKind::config, "", "", {{"rule.version", "6"}}).quarantined.size(), 1U);
  restart(changed);
  EXPECT_EQ(version(), 7U);
}

TEST_F(Judged, AVersionThatCannotRiseIsRefused) {
  const std::string last = "4294967295";
  config({{"rule.version", last}});
  const auto refused = fold(RawKind::config, "", "", {{"rule.crossed", "quarantine"}}).quarantined;
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(refused[0].detail, "rule.version is " + last + " and cannot rise: say it with the rules");
  EXPECT_EQ(refused[0].rule_version, 4'294'967'295U);
  EXPECT_EQ(fold(RawKind::frame, "q 2 1", "a:X").quarantined.size(), 0U) << "nothing of it counts";
  config({{"rule.crossed", "mark"}});  // as it is
  config({{"rule.crossed", "quarantine"}, {"rule.version", last}});
  EXPECT_EQ(fold(RawKind::frame, "q 2 1", "a:X").quarantined.at(0).rule_version, 4'294'967'295U);
}

// Whether a kind makes candles is part of a trade's content: by other rules what is remembered cannot be compared.
TEST_F(Judged, OtherFoldedKindsMakeNoContradiction) {
  const auto repeat = [&](const std::string& text) { return trade(text).counts.at(0).second; };
  const Rules other = [] {
    Rules rules;
    rules.folded_kinds.insert("ADL");
    rules.stored_kinds.erase("ADL");
    return rules;
  }();
  const std::string folded = "-,MARKET,RPI,ADL";
  trade("1 1 10 ADL");
  trade("2 2 10");
  EXPECT_EQ(repeat("1 1 10 ADL").duplicate, 1U);
  EXPECT_EQ(repeat("2 2 10.5").contradiction, 1U);
  for (const bool by_restart : {false, true}) {
    SCOPED_TRACE(by_restart ? "by a restart" : "by a record");
    if (by_restart)
      restart(other);
    else
      config({{"rule.folded_kinds", folded}, {"rule.stored_kinds", "INSURANCE_FUND"}});
    for (const char* text : {"1 1 10 ADL", "2 2 10"}) {
      const Counts c = repeat(text);
      EXPECT_EQ(c.duplicate, 1U) << text;
      EXPECT_EQ(c.duplicate_unchecked, 1U) << text;
      EXPECT_EQ(c.contradiction, 0U) << text;
    }
    trade("3 3 10 ADL");
    EXPECT_EQ(repeat("3 3 10 ADL").duplicate_unchecked, 0U);
    EXPECT_EQ(repeat("3 3 10.5 ADL").contradiction, 1U);
    // As they are: what is remembered holds, also behind a restart.
    if (!by_restart) config({{"rule.folded_kinds", folded}});
    restart(by_restart ? other : Rules{});
    EXPECT_EQ(repeat("3 3 10 ADL").duplicate_unchecked, 0U);
    EXPECT_EQ(repeat("3 3 10.5 ADL").contradiction, 1U);
    if (by_restart) break;
    state_.clear();
    restart();
    trade("1 1 10 ADL");
    trade("2 2 10");
  }
}

// A program that did not tell by which kinds it had compared: by those of now.
TEST_F(Judged, AStateThatDoesNotTellItsKindsIsRead) {
  trade("1 1 10");
  state_.erase("\nk");
  restart();
  EXPECT_EQ(trade("1 1 10.5").counts.at(0).second.contradiction, 1U);
  EXPECT_TRUE(state_.contains("\nk"));
}

TEST_F(Judged, CrossedQuotesAreCountedOrQuarantined) {
  EXPECT_EQ(fold(RawKind::frame, "q 1 2", "a:X").counts.at(0).second.crossed, 0U);
  for (const char* text : {"q 2 1", "q 2 2"}) {
    const Results marked = fold(RawKind::frame, text, "a:X");
    EXPECT_EQ(marked.quotes.size(), 1U);
    EXPECT_EQ(marked.counts.at(0).second.crossed, 1U) << text;
  }
  config({{"rule.crossed@a", "quarantine"}, {"rule.crossed@b", "accept"}});
  const Results refused = fold(RawKind::frame, "q 2 1", "a:X");
  EXPECT_EQ(refused.quotes.size(), 0U);
  ASSERT_EQ(refused.quarantined.size(), 1U);
  EXPECT_EQ(std::tuple(refused.quarantined[0].rule.str(), refused.quarantined[0].raw), std::tuple("crossed", "q 2 1"));
  EXPECT_EQ(refused.quarantined[0].detail, "bid 2 is not below ask 1");
  const Results accepted = fold(RawKind::frame, "q 2 1", "b:X");
  EXPECT_EQ(accepted.quotes.size(), 1U);
  EXPECT_EQ(accepted.counts.at(0).second.crossed, 0U);
}

TEST_F(Judged, APriceFarFromTheRecentMedianIsMarked) {
  std::uint64_t id = 1;
  std::int64_t second = 0;
  const auto marks = [&](const char* price, std::int64_t after = 1) {
    second += after;
    return marks_text(trade(std::to_string(id++) + ' ' + std::to_string(second) + ' ' + price).trades.at(0).marks);
  };
  EXPECT_EQ(marks("1"), "") << "nothing to compare with yet";
  for (const char* price : {"100", "101", "99", "100"}) EXPECT_EQ(marks(price), "");
  restart();  // 1 99 100 100 101
  EXPECT_EQ(marks("110", 0), "");
  EXPECT_EQ(marks("110.01", 0), "far_from_median");
  EXPECT_EQ(marks("90", 0), "");
  EXPECT_EQ(marks("89.99", 0), "far_from_median");
  EXPECT_EQ(marks("10", -3), "") << "of an older time";
  second += 3;
  config({{"rule.far_from_median_band@a:X", "0.5"}});
  EXPECT_EQ(marks("89.99", 0), "");
  EXPECT_EQ(marks("151", 0), "far_from_median");
  config({{"rule.far_from_median@a", "accept"}});
  EXPECT_EQ(marks("151", 0), "");
}

// What programs of state versions 2 and 3 wrote is read; what a newer one writes is not.
TEST_F(Judged, StateOfTheVersionBeforeIsRead) {
  trade("1 1 10");
  state_["\nv"] = "2";
  // Its head ended where the samples begin: the end of their newest window, their number, the price.
  std::string& head = state_["a:X\nh"];
  std::string tail;
  market::Writer w{tail};
  w.time(timestamp_ns(kNoon + 2'000'000'000));
  w.number(1);
  w.decimal(Decimal{10, 0});
  ASSERT_TRUE(head.ends_with(tail));
  head.resize(head.size() - tail.size());
  restart();
  EXPECT_EQ(trade("2 2 10").trades.size(), 1U);
  EXPECT_EQ(state_["\nv"], "4");
  state_["\nv"] = "5";
  EXPECT_THROW(restart(), ForeignState);
  state_["\nv"] = "1";
  EXPECT_THROW(restart(), ForeignState);
}

TEST(NarrowRules, AreReadBackAsTheyWereWritten) {
  Rules rules;
  for (const auto& [name, value] : {std::pair{"rule.off_lot@a", "quarantine"},
                                    {"rule.off_lot@a:X:Y", "accept"},
                                    {"rule.future.tolerance@b", "60s"},
                                    {"rule.far_from_median_band@b", "0.0025"},
                                    {"rule.far_from_median@b", "accept"}})
    ASSERT_TRUE(set(rules, name, value)) << name;
  Rules copy;
  for (const auto& [name, value] : to_pairs(rules)) EXPECT_TRUE(set(copy, name, value)) << name;
  EXPECT_EQ(to_pairs(copy), to_pairs(rules));
  EXPECT_EQ(rules_of(copy, *Instrument::parse("a:X:Y")).off_lot, Action::accept);
  EXPECT_EQ(rules_of(copy, *Instrument::parse("a:X")).off_lot, Action::quarantine);
  EXPECT_EQ(rules_of(copy, *Instrument::parse("b:X")).future_tolerance, std::chrono::seconds{60});
  EXPECT_EQ(rules_of(copy, *Instrument::parse("b:X")).median_band, 25U);
  for (const auto& [name, value] : {std::pair{"rule.off_lot@", "accept"},
                                    {"rule.off_lot@A", "accept"},
                                    {"rule.off_lot@a:", "accept"},
                                    {"rule.bound@a", "1s"},
                                    {"rule.off_lot@c", "shout"},
                                    {"rule.far_from_median", "quarantine"},
                                    {"rule.far_from_median@c", "quarantine"},
                                    {"rule.far_from_median_band", "0"},
                                    {"rule.far_from_median_band", "1.1"},
                                    {"rule.far_from_median_band", "0.00005"},
                                    {"rule.off_lot", "default"}})
    EXPECT_FALSE(set(copy, name, value)) << name;
  EXPECT_EQ(to_pairs(copy), to_pairs(rules)) << "what is refused leaves nothing behind";
}

}  // namespace
}  // namespace truetape
