// Pages of REST that contradict the stream: what the stream gave stays, what the page says otherwise waits in
// quarantine, and no candle is proven by it. From the venue's sockets through feed and filler into the heart.
#include "feed_heart_testing.h"
#include "venues/binance/filler.h"
#include "venues/feed_session.h"

namespace truetape::binance {
namespace {

using testing::ElementsAreArray;

// Trades 1 to 6 happen; 3 and 4 are sent to nobody. All but the first and the last are in minute 1.
class BadPagesTest : public FeedHeartTest {
 protected:
  struct Row {
    int id = 0;
    std::string price = "61000.10000000", quantity = "0.00100000";
    Nanoseconds later = 0ns;
    bool buyer_maker = true;
    std::string shown_id = {};  // instead of the id
  };

  ~BadPagesTest() override {
    if (filler_) filler_->stop();
    net::settle(loop_, 2ms);
  }
  void live_through() {
    start({kBtc});
    ASSERT_TRUE(live());
    pass(1s);
    for (int id = 1; id <= 6; ++id) {
      times_[id] = venue_.now();
      if (id != 3 && id != 4) trade(id);
      pass(id == 1 || id == 5 ? 61s : 1s);
    }
    pass(3s);
  }
  std::string element(const Row& row) const {
    return R"({"id":)" + (row.shown_id.empty() ? std::to_string(row.id) : row.shown_id) + R"(,"price":")" + row.price +
           R"(","qty":")" + row.quantity + R"(","quoteQty":"61.00010000","time":)" +
           std::to_string(to_ns(times_.at(row.id) + row.later) / 1'000'000) + R"(,"isBuyerMaker":)" +
           (row.buyer_maker ? "true" : "false") + R"(,"isBestMatch":true})";
  }
  // The gap is asked for, the venue answers with these rows, and it is said what came of it.
  void fill(const std::vector<Row>& rows) {
    venue_.rest = [this, rows](const net::ServerRequest& request) {
      if (request.where.path.ends_with("/time"))
        return net::text_answer(200, "application/json", R"({"serverTime":)" + venue_.ms() + "}");
      std::string body = "[";
      for (const Row& row : rows) body += (body.size() > 1 ? "," : "") + element(row);
      return net::text_answer(200, "application/json", body + "]");
    };
    FillOptions options;
    options.url = "http://" + venue_.address();
    if (!filler_)
      filler_ = make_filler(filler_config(Product::spot, options), {connector_.get(), &sink_, [](const FeedEvent&) {}});
    std::optional<FillAnswer> answer;
    const FillQuestion question{.instrument = kBtc, .tape = Tape::trade, .first_id = 3, .last_id = 4};
    loop_.spawn([this, &answer, question]() -> net::awaitable<void> { answer = co_await filler_->fill(question); });
    ASSERT_TRUE(until([&] { return answer.has_value(); }));
    std::string skipped;
    for (const FillRange& r : answer->absent)
      skipped += (skipped.empty() ? "" : ",") + std::to_string(r.first) + "-" + std::to_string(r.last);
    std::vector<Header> headers{
        {header::era, "0"}, {header::first_id, "3"}, {header::last_id, "4"}, {header::verdict, "more"}};
    if (!skipped.empty()) headers.push_back({header::skipped, skipped});
    ASSERT_TRUE(put_single(sink_, RawKind::answer, kBtc, {}, loop_.clock().now(), headers));
  }
  // Of minute 1, by id.
  std::vector<std::string> trades() const {
    std::vector<std::string> out;
    for (const Trade& t : results_.trades)
      if (t.order > 1 && t.order < 6)
        out.push_back(t.id.str() + " " + to_text(t.price) + " x " + to_text(t.quantity) + " " +
                      std::string{name(t.taker_side)});
    std::ranges::sort(out);
    return out;
  }
  std::vector<std::string> quarantined() const {
    std::vector<std::string> out;
    for (const Quarantined& q : results_.quarantined)
      out.push_back(q.id.str() + " " + std::string{name(q.reason)} + " " + q.raw);
    return out;
  }
  // Of minute 1: "complete/ids repaired 1/1/1/1 v 4 n 4", which is open, high, low and close, volume and trades.
  std::string candle() const {
    std::string out = "-";
    for (const Candle& c : results_.candles) {
      if (c.interval != Interval{60} || c.start != kStart + 1min) continue;
      const auto text = [](const auto& value) { return value ? to_text(*value) : std::string{"-"}; };
      out = std::string{name(c.completeness)} + "/" + std::string{name(c.proof)} + (c.repaired ? " repaired " : " ") +
            text(c.open) + "/" + text(c.high) + "/" + text(c.low) + "/" + text(c.close) + " v " + text(c.volume) +
            " n " + std::to_string(c.trades.value_or(0));
    }
    return out;
  }
  std::string counts() const {
    EXPECT_EQ(results_.counts.size(), 1u);
    const auto& [venue, c] = results_.counts.at(0);
    EXPECT_TRUE(c.balanced());
    return std::to_string(c.accepted) + " accepted, " + std::to_string(c.duplicate) + " duplicate, " +
           std::to_string(c.contradiction) + " contradiction, " + std::to_string(c.held) + " held, " +
           std::to_string(c.quarantined) + " quarantined";
  }

  std::map<int, Timestamp> times_;
  std::unique_ptr<Filler> filler_;
};

TEST_F(BadPagesTest, WhatCameFirstStaysAndWhatSaysOtherwiseWaitsInQuarantine) {
  live_through();
  fold();
  EXPECT_EQ(candle(), "gap/ids 61000.1/61000.1/61000.1/61000.1 v 0.002 n 2");
  EXPECT_EQ(gaps(), std::vector<std::string>{"open 3-4"});
  const std::string whole = "complete/ids repaired 61000.1/61000.1/61000.1/61000.1 v 0.004 n 4";
  const std::vector<std::string> all = {"2 61000.1 x 0.001 sell", "3 61000.1 x 0.001 sell", "4 61000.1 x 0.001 sell",
                                        "5 61000.1 x 0.001 sell"};
  std::vector<std::string> without_3 = all;
  without_3.erase(without_3.begin() + 1);
  const Row price_2{.id = 2, .price = "61000.20000000"}, quantity_5{.id = 5, .quantity = "0.00200000"},
      side_2{.id = 2, .buyer_maker = false}, time_2{.id = 2, .later = 1ms}, price_3{.id = 3, .price = "61000.30000000"},
      no_price_3{.id = 3, .price = "0.00000000"}, no_id_3{.id = 3, .shown_id = "null"};
  struct Case {
    const char* what;
    std::vector<std::vector<Row>> pages;
    std::string candle, counts;
    std::vector<std::string> quarantined;  // but the bytes
    Row bad;                               // whose bytes these are
    std::vector<std::string> trades;
    std::string gap;
  };
  for (const Case& c : {
           Case{"it agrees",
                {{{2}, {3}, {4}, {5}}},
                whole,
                "6 accepted, 2 duplicate, 0 contradiction, 0 held, 0 quarantined",
                {},
                {},
                all,
                "repaired 3-4"},
           Case{"another price",
                {{price_2, {3}, {4}, {5}}},
                whole,
                "6 accepted, 1 duplicate, 1 contradiction, 0 held, 0 quarantined",
                {"2 contradiction "},
                price_2,
                all,
                "repaired 3-4"},
           Case{"another quantity",
                {{{2}, {3}, {4}, quantity_5}},
                whole,
                "6 accepted, 1 duplicate, 1 contradiction, 0 held, 0 quarantined",
                {"5 contradiction "},
                quantity_5,
                all,
                "repaired 3-4"},
           Case{"another side",
                {{side_2, {3}, {4}, {5}}},
                whole,
                "6 accepted, 1 duplicate, 1 contradiction, 0 held, 0 quarantined",
                {"2 contradiction "},
                side_2,
                all,
                "repaired 3-4"},
           Case{"another time",
                {{time_2, {3}, {4}, {5}}},
                whole,
                "6 accepted, 1 duplicate, 1 contradiction, 0 held, 0 quarantined",
                {"2 contradiction "},
                time_2,
                all,
                "repaired 3-4"},
           Case{"two pages that contradict each other",
                {{{2}, {3}, {4}, {5}}, {{2}, price_3, {4}, {5}}},
                whole,
                "6 accepted, 5 duplicate, 1 contradiction, 0 held, 0 quarantined",
                {"3 contradiction "},
                price_3,
                all,
                "repaired 3-4"},
           Case{"it does not have what the stream gave",
                {{{2}, {3}, {4}, {6}}},
                whole,
                "6 accepted, 2 duplicate, 0 contradiction, 0 held, 0 quarantined",
                {},
                {},
                all,
                "repaired 3-4"},
           Case{"what was missing has no price: its id is known, its window stays a gap",
                {{{2}, no_price_3, {4}, {5}}},
                "gap/ repaired 61000.1/61000.1/61000.1/61000.1 v 0.003 n 3",
                "5 accepted, 2 duplicate, 0 contradiction, 1 held, 0 quarantined",
                {"3 price "},
                no_price_3,
                without_3,
                "repaired 3-4"},
           Case{"what was missing has no id: it is still missing",
                {{{2}, no_id_3, {4}, {5}}},
                "gap/ids 61000.1/61000.1/61000.1/61000.1 v 0.003 n 3",
                "5 accepted, 2 duplicate, 0 contradiction, 0 held, 1 quarantined",
                {" wrong_type "},
                no_id_3,
                without_3,
                "progress 3-4"},
       }) {
    SCOPED_TRACE(c.what);
    const auto before = sink_.records;
    for (const auto& rows : c.pages) fill(rows);
    fold();
    EXPECT_EQ(candle(), c.candle);
    EXPECT_EQ(counts(), c.counts);
    EXPECT_THAT(trades(), ElementsAreArray(c.trades));
    std::vector<std::string> quarantined_rows = c.quarantined;
    for (std::string& row : quarantined_rows) row += element(c.bad);
    EXPECT_THAT(quarantined(), ElementsAreArray(quarantined_rows));
    EXPECT_EQ(gaps(), std::vector<std::string>{c.gap});
    sink_.records = before;
  }
}

TEST_F(BadPagesTest, AFrameThatComesLateAndContradictsThePageWaitsInQuarantineToo) {
  live_through();
  fill({{2}, {3}, {4}, {5}});
  std::string frame = venue_.trade("BTCUSDT", 3, venue_.now() - times_.at(3));
  frame.replace(frame.find("61000.1"), 7, "61000.3");
  const std::size_t have = sink_.of_kind("frame").size();
  venue_.last().send("btcusdt@trade", frame);
  ASSERT_TRUE(frames(have + 1));
  fold();
  EXPECT_EQ(candle(), "complete/ids repaired 61000.1/61000.1/61000.1/61000.1 v 0.004 n 4");
  EXPECT_EQ(counts(), "6 accepted, 2 duplicate, 1 contradiction, 0 held, 0 quarantined");
  ASSERT_EQ(results_.quarantined.size(), 1u);
  EXPECT_EQ(results_.quarantined[0].detail, "id 3 came before with other content: the first one stays");
  EXPECT_EQ(results_.quarantined[0].raw, R"({"stream":"btcusdt@trade","data":)" + frame + "}");
}

}  // namespace
}  // namespace truetape::binance
