// What becomes of items from quarantine that are judged again (semantics section 7).
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "market/processor.h"

namespace truetape {
namespace {

// A venue without ids whose frame holds several trades: "10,11,12"; a price of 13 cannot be read by the old program,
// and
// "?" is a frame that it cannot read at all. All items have the bytes of the whole frame.
class Prices final : public Decoder {
 public:
  bool mended = false;
  void decode(const RawRecord& record, Events& out) const override {
    if (record.bytes.starts_with('?') && !mended) {
      Item& item = out.items.emplace_back();
      item.type = Item::Type::bad;
      item.raw = record.bytes;
      return;
    }
    std::string_view rest = record.bytes.substr(record.bytes.starts_with('?') ? 1 : 0);
    while (!rest.empty()) {
      const std::string_view word = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(rest.size(), word.size() + 1));
      Item item;
      item.trade.instrument = *Instrument::parse("none:A");
      item.trade.price = parse_decimal(word).value;
      item.trade.quantity = Decimal{1, 0};
      item.trade.event_time = *record.receive_time;
      item.ordinal = item.trade.ordinal = static_cast<std::uint32_t>(out.items.size());
      item.raw = record.bytes;
      if (word == "13" && !mended) {
        item.type = Item::Type::bad;
        item.reason = Reason::price;
      }
      out.items.push_back(item);
    }
  }
  TradeIds trade_ids(std::string_view) const override { return TradeIds::none; }
};

// A venue whose frame has a trade and quotes: "10;12/11,12/11" (bid and ask). Of what it is says the record, or the
// frame's own first word: "A 10;".
class Quotes final : public Decoder {
 public:
  std::size_t fewer = 0;  // quotes that the program of now does not read
  void decode(const RawRecord& record, Events& out) const override {
    std::string_view rest = record.bytes;
    const std::string_view price = rest.substr(0, rest.find(';'));
    rest.remove_prefix(price.size() + 1);
    const Instrument a = *Instrument::parse("none:A");
    Item& item = out.items.emplace_back();
    item.trade.instrument = a;
    item.trade.price = parse_decimal(price).value;
    item.trade.quantity = Decimal{1, 0};
    item.trade.event_time = *record.receive_time;
    item.raw = record.bytes;
    while (!rest.empty()) {
      const std::string_view word = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(rest.size(), word.size() + 1));
      Quote& quote = out.quotes.emplace_back();
      quote.instrument = a;
      quote.event_time = *record.receive_time;
      quote.bid = parse_decimal(word.substr(0, word.find('/'))).value;
      quote.ask = parse_decimal(word.substr(word.find('/') + 1)).value;
    }
    out.quotes.resize(out.quotes.size() - fewer);
  }
  TradeIds trade_ids(std::string_view) const override { return TradeIds::none; }
};

class Replay : public testing::Test {
 protected:
  Results fold(RawKind kind, std::string_view bytes, std::vector<std::pair<std::string, std::string>> more,
               std::int64_t after = 0) {
    more.emplace_back("kind", name(kind));
    more.emplace_back("instruments", "none:A");
    more.emplace_back("receive_time", std::to_string(1'700'000'000 + after) + "000000000");
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
  void restart() {
    processor_ = std::make_unique<Processor>(Rules{}, decoder_, 0, 1);
    processor_->restore(std::vector<std::pair<std::string, std::string>>{state_.begin(), state_.end()});
  }
  Results replay(const Quarantined& q) {
    const auto kind = std::ranges::find(q.headers, "kind", &std::pair<std::string, std::string>::first);
    std::vector<std::pair<std::string, std::string>> headers{{"original_kind", kind->second},
                                                             {"original_offset", std::to_string(q.offset)},
                                                             {"original_ordinal", std::to_string(q.ordinal)},
                                                             {"original_attempts", std::to_string(q.attempts)}};
    for (const auto& h : q.headers)
      if (h.first != "kind" && h.first != "instruments" && h.first != "receive_time") headers.push_back(h);
    return fold(RawKind::replay, q.raw, headers);
  }
  Prices decoder_;
  std::map<std::string, std::string> state_;
  Quotes quotes_;
  std::unique_ptr<Processor> processor_ = std::make_unique<Processor>(Rules{}, decoder_, 0, 1);
  std::int64_t offset_ = 100;
};

TEST_F(Replay, OfSeveralItemsInOneFrameTheOneOfThePlaceAloneIsJudged) {
  const Results bad = fold(RawKind::frame, "10,13,12", {{"session", "s"}, {"seq", "1"}});
  EXPECT_EQ(bad.trades.size(), 2U);
  ASSERT_EQ(bad.quarantined.size(), 1U);
  const Quarantined& q = bad.quarantined[0];
  EXPECT_EQ(std::tuple(q.offset, q.ordinal, q.attempts), std::tuple(100, 1U, 1U));
  // Still bad: at its place, once more judged, and nothing else is.
  const Results again = replay(q);
  EXPECT_EQ(again.trades.size(), 0U);
  ASSERT_EQ(again.quarantined.size(), 1U);
  const Quarantined& still = again.quarantined[0];
  EXPECT_EQ(std::tuple(still.offset, still.ordinal, still.attempts), std::tuple(100, 1U, 2U));
  EXPECT_EQ(still.resolution, Resolution::none);
  EXPECT_EQ(again.counts[0].second.still_bad, 1U);
  // The headers are those of the record that it came in, whatever was added for the replay.
  const auto sorted = [](auto headers) {
    std::ranges::sort(headers);
    return headers;
  };
  EXPECT_EQ(sorted(still.headers), sorted(q.headers));
  decoder_.mended = true;
  const Results good = replay(still);
  ASSERT_EQ(good.trades.size(), 1U);
  // Known by where it came, as if it had been accepted then.
  EXPECT_EQ(std::tuple(good.trades[0].source.str(), good.trades[0].seq, good.trades[0].ordinal),
            std::tuple("s", 1U, 1U));
  ASSERT_EQ(good.quarantined.size(), 1U);
  EXPECT_EQ(good.quarantined[0].resolution, Resolution::replayed);
  EXPECT_EQ(std::tuple(good.quarantined[0].offset, good.quarantined[0].ordinal, good.quarantined[0].attempts),
            std::tuple(100, 1U, 3U));
  EXPECT_EQ(good.quarantined[0].raw, "");
  EXPECT_EQ(good.counts[0].second.replayed, 1U);
  // Once more: a duplicate, which waits for nothing either.
  const Results twice = replay(still);
  EXPECT_EQ(twice.trades.size(), 0U);
  ASSERT_EQ(twice.quarantined.size(), 1U);
  EXPECT_EQ(twice.quarantined[0], good.quarantined[0]);
}

TEST_F(Replay, OfSeveralCrossedQuotesTheOneOfThePlaceAloneIsJudged) {
  Rules rules;
  rules.crossed = Action::quarantine;
  processor_ = std::make_unique<Processor>(rules, quotes_, 0, 1);
  const Results bad = fold(RawKind::frame, "10;12/11,1/2,14/13", {{"session", "s"}, {"seq", "1"}});
  EXPECT_EQ(std::tuple(bad.trades.size(), bad.quotes.size()), std::tuple(1U, 1U));
  ASSERT_EQ(bad.quarantined.size(), 2U);
  EXPECT_EQ(std::tuple(bad.quarantined[0].ordinal, bad.quarantined[1].ordinal), std::tuple(1U, 3U));
  // Still crossed: at its place once more, and no other row is made.
  const Results again = replay(bad.quarantined[1]);
  EXPECT_EQ(std::tuple(again.trades.size(), again.quotes.size()), std::tuple(0U, 0U));
  ASSERT_EQ(again.quarantined.size(), 1U);
  EXPECT_EQ(std::tuple(again.quarantined[0].offset, again.quarantined[0].ordinal, again.quarantined[0].attempts),
            std::tuple(100, 3U, 2U));
  EXPECT_EQ(again.quarantined[0].detail, "bid 14 is not below ask 13");
  (void)fold(RawKind::config, "", {{"rule.crossed", "accept"}});
  const Results good = replay(again.quarantined[0]);
  ASSERT_EQ(good.quotes.size(), 1U);
  EXPECT_EQ(good.quotes[0].bid, parse_decimal("14").value);
  ASSERT_EQ(good.quarantined.size(), 1U);
  EXPECT_EQ(good.quarantined[0].resolution, Resolution::replayed);
  // A program that reads fewer of them cannot tell which it was: it stays, with the reason.
  quotes_.fewer = 1;
  const Results still = replay(bad.quarantined[0]);
  EXPECT_EQ(std::tuple(still.trades.size(), still.quotes.size()), std::tuple(0U, 0U));
  ASSERT_EQ(still.quarantined.size(), 1U);
  EXPECT_EQ(std::tuple(still.quarantined[0].ordinal, still.quarantined[0].resolution),
            std::tuple(1U, Resolution::none));
  EXPECT_EQ(still.quarantined[0].detail,
            "its bytes hold 3 items, but 4 when it came: which of them it is cannot be told");
  EXPECT_EQ(still.counts[0].second.still_bad, 1U);
}

// It stands in a partition that may be another one's than its instrument's: a book here would be a second one.
TEST_F(Replay, ARecordThatNamesNoInstrumentBringsNone) {
  processor_ = std::make_unique<Processor>(Rules{}, quotes_, 0, 1);
  for (const RawKind kind : {RawKind::frame, RawKind::replay}) {
    std::vector<Header> headers{{"kind", name(kind)},       {"instruments", ""},
                                {"venue", "none"},          {"receive_time", "1700000000000000000"},
                                {"original_kind", "frame"}, {"original_offset", "7"},
                                {"original_ordinal", "0"}};
    Results out;
    processor_->fold(read_raw("10;", headers, 0, offset_++), out);
    processor_->finish_batch(out);
    EXPECT_EQ(out.trades.size(), 0U);
    EXPECT_EQ(out.candles.size(), 0U);
    ASSERT_EQ(out.quarantined.size(), 1U);
    EXPECT_EQ(std::tuple(out.quarantined[0].reason, out.quarantined[0].offset, out.quarantined[0].resolution),
              std::tuple(Reason::unroutable, kind == RawKind::frame ? 100 : 7, Resolution::none));
    EXPECT_EQ(out.quarantined[0].detail, "its record names no instrument, but it is of none:A");
    for (const auto& [venue, c] : out.counts) EXPECT_TRUE(c.balanced());
  }
}

// Two frames without a session, alike but for their places: two trades, each of them once.
TEST_F(Replay, FramesOfNoSessionAreKnownByTheirPlaces) {
  decoder_.mended = true;
  std::vector<std::string> sources;
  for (const char* place : {"7", "9", "7"})
    for (const Trade& t : fold(RawKind::replay, "?10",
                               {{"original_kind", "frame"}, {"original_offset", place}, {"original_ordinal", "0"}})
                              .trades)
      sources.push_back(t.source.str() + " " + std::to_string(t.seq));
  EXPECT_EQ(sources, (std::vector<std::string>{"raw/0 7", "raw/0 9"}));
}

// Two commands, or one that was said again before the first took effect: also of a trade so old that what is remembered
// of trades tells nothing of it.
TEST_F(Replay, WhatWaitsNoMoreBringsNothing) {
  const Results bad = fold(RawKind::frame, "13", {{"session", "s"}, {"seq", "1"}});
  ASSERT_EQ(bad.quarantined.size(), 1U);
  std::uint64_t seq = 2;
  const auto later = [&](std::uint64_t trades) {  // an hour and more
    for (const std::uint64_t end = seq + trades; seq < end; ++seq)
      fold(RawKind::frame, "10", {{"session", "s"}, {"seq", std::to_string(seq)}},
           3'600 + static_cast<std::int64_t>(seq));
  };
  later(1'500);
  decoder_.mended = true;
  EXPECT_EQ(replay(bad.quarantined[0]).trades.size(), 1U);
  for (const bool restarted : {false, true}) {
    if (restarted) restart();
    const Results twice = replay(bad.quarantined[0]);
    EXPECT_EQ(twice.trades.size(), 0U);
    EXPECT_EQ(twice.counts[0].second.duplicate, 1U);
    ASSERT_EQ(twice.quarantined.size(), 1U) << "it waits no more, whatever a store still shows";
    EXPECT_EQ(twice.quarantined[0].resolution, Resolution::replayed);
  }
  // A rebuild by a program that reads the original: the replay that is still in the log brings nothing.
  processor_ = std::make_unique<Processor>(Rules{}, decoder_, 0, 1);
  state_.clear();
  offset_ = 100;
  EXPECT_EQ(fold(RawKind::frame, "13", {{"session", "s"}, {"seq", "1"}}).trades.size(), 1U);
  seq = 2;
  later(1'500);
  EXPECT_EQ(replay(bad.quarantined[0]).trades.size(), 0U);
}

TEST_F(Replay, WhatIsOlderThanAllThatIsKnownMayWait) {
  decoder_.mended = true;
  offset_ = 500;  // retention has deleted what was before
  (void)fold(RawKind::frame, "10", {{"session", "s"}, {"seq", "1"}});
  Quarantined old;
  old.offset = 100;
  old.raw = "13";
  old.headers = {{"kind", "frame"}, {"session", "r"}, {"seq", "1"}};
  EXPECT_EQ(replay(old).trades.size(), 1U);
  old.offset = 600;
  EXPECT_EQ(replay(old).trades.size(), 0U) << "it never was there";
}

// Where it is not known whether it waits it is judged, once.
TEST_F(Replay, WhatIsOlderThanAllThatIsKnownIsJudgedOnce) {
  decoder_.mended = true;
  offset_ = 500;
  (void)fold(RawKind::frame, "10", {{"session", "s"}, {"seq", "1"}});
  Quarantined old;
  old.offset = 100;
  old.raw = "13";
  old.headers = {{"kind", "frame"}, {"session", "r"}, {"seq", "1"}};
  EXPECT_EQ(replay(old).trades.size(), 1U);
  for (int i = 0; i < 1'500; ++i)
    fold(RawKind::frame, "10", {{"session", "s"}, {"seq", std::to_string(i + 2)}}, 3'600 + i);
  EXPECT_EQ(replay(old).trades.size(), 0U);
  restart();
  EXPECT_EQ(replay(old).trades.size(), 0U);
}

// A file is imported again: its rows are known by their places in it, however many came since.
TEST_F(Replay, AFileThatIsImportedAgainBringsNothing) {
  std::size_t trades = 0;
  for (int time = 0; time < 2; ++time) {
    for (int i = 0; i < 1'500; ++i) {
      trades +=
          fold(RawKind::history, "10,11", {{"file", "abc"}, {"row", std::to_string(1 + 2 * i)}}, 2 * i).trades.size();
      if (i == 700) restart();
    }
    EXPECT_EQ(trades, 3'000U);
  }
  EXPECT_EQ(fold(RawKind::history, "10", {{"file", "abd"}, {"row", "1"}}).trades.size(), 1U);
}

TEST_F(Replay, ACrashedReplayStandsAtItsOwnPlace) {
  const std::vector<Header> headers{{"kind", "replay"},        {"instruments", "none:A"}, {"original_kind", "frame"},
                                    {"original_offset", "10"}, {"original_ordinal", "3"}, {"original_partition", "0"}};
  Results out;
  processor_->quarantine(read_raw("13", headers, 0, offset_++), Reason::crashed, "it ended the process", out);
  ASSERT_EQ(out.quarantined.size(), 1U);
  EXPECT_EQ(std::tuple(out.quarantined[0].offset, out.quarantined[0].ordinal, out.quarantined[0].attempts),
            std::tuple(10, 3U, 2U));
}

// What could not be read turns out to be several, of which one is bad still: that one has a place of its own, and is
// judged by it.
TEST_F(Replay, WhatAReplayFoundIsJudgedByItsOwnPlace) {
  for (const auto& [kind, places] :
       {std::pair{RawKind::frame, std::vector{0U, 2U}}, {RawKind::history, std::vector{0U, 2U << 20}}}) {
    decoder_.mended = false;
    const std::string seq = std::to_string(offset_);
    const Results bad = fold(kind, "?0,11,-1", {{"session", "s"}, {"seq", seq}});
    ASSERT_EQ(bad.quarantined.size(), 1U);
    decoder_.mended = true;
    const Results several = replay(bad.quarantined[0]);
    EXPECT_EQ(several.trades.size(), 1U);
    std::vector<std::uint32_t> found;
    for (const Quarantined& q : several.quarantined) found.push_back(q.ordinal);
    EXPECT_EQ(found, places);
    for (const Quarantined& q : several.quarantined) {
      const Results again = replay(q);
      EXPECT_EQ(again.trades.size(), 0U);
      ASSERT_EQ(again.quarantined.size(), 1U);
      EXPECT_EQ(std::tuple(again.quarantined[0].ordinal, again.quarantined[0].detail, again.quarantined[0].attempts),
                std::tuple(q.ordinal, q.detail, q.attempts + 1));
    }
  }
}

TEST_F(Replay, AFrameThatCouldNotBeReadMayHoldSeveral) {
  const Results bad = fold(RawKind::frame, "?10,0,12", {{"session", "s"}, {"seq", "1"}});
  ASSERT_EQ(bad.quarantined.size(), 1U);
  EXPECT_TRUE(bad.quarantined[0].instrument.text() == "none:A");
  decoder_.mended = true;
  const Results good = replay(bad.quarantined[0]);
  EXPECT_EQ(good.trades.size(), 2U);
  ASSERT_EQ(good.quarantined.size(), 2U) << "the price 0, which stands at a place of its own, and the frame's end";
  EXPECT_EQ(std::tuple(good.quarantined[0].reason, good.quarantined[0].ordinal), std::tuple(Reason::price, 1U));
  EXPECT_EQ(std::tuple(good.quarantined[1].resolution, good.quarantined[1].ordinal),
            std::tuple(Resolution::replayed, 0U));
}

TEST_F(Replay, WhatIsNoTradeAfterAllWaitsNoMore) {
  const Results bad = fold(RawKind::frame, "?", {{"session", "s"}, {"seq", "1"}});
  ASSERT_EQ(bad.quarantined.size(), 1U);
  decoder_.mended = true;
  const Results good = replay(bad.quarantined[0]);
  ASSERT_EQ(good.quarantined.size(), 1U);
  EXPECT_EQ(good.quarantined[0].resolution, Resolution::replayed);
}

TEST_F(Replay, ADropEndsWhatHasNoId) {
  const Results bad = fold(RawKind::frame, "?", {{"session", "s"}, {"seq", "1"}});
  const Results dropped =
      fold(RawKind::drop, "", {{"original_offset", "100"}, {"original_ordinal", "0"}, {"original_reason", "syntax"}});
  ASSERT_EQ(dropped.quarantined.size(), 1U);
  EXPECT_EQ(dropped.quarantined[0].resolution, Resolution::dropped);
  EXPECT_EQ(dropped.quarantined[0].reason, Reason::syntax);
  EXPECT_EQ(dropped.counts[0].second.dropped, 1U);
}

TEST_F(Replay, RecordsOfOtherKindsStayWhereTheyAre) {
  const Results still =
      fold(RawKind::replay, "", {{"original_kind", "config"}, {"original_offset", "7"}, {"original_ordinal", "0"}});
  ASSERT_EQ(still.quarantined.size(), 1U);
  EXPECT_EQ(still.quarantined[0].resolution, Resolution::none);
  EXPECT_EQ(still.quarantined[0].offset, 7);
}

}  // namespace
}  // namespace truetape
