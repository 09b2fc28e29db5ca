// KuCoin's feed and the heart together: its ids show no hole, so what pages of last trades say decides what is proven.
// Over real sockets on loopback; time is manual. Truth is the scripted venue's own list of what it has traded.
#include "heart_testing.h"
#include "venues/kucoin/feed_testing.h"

namespace truetape::kucoin {
namespace {

const Instrument kBtc = *Instrument::parse("kucoin:BTC-USDT");

class KucoinHeartTest : public HeartOver<FeedTest> {
 protected:
  struct Made {
    std::uint64_t sequence;
    std::string ms;
    Timestamp at;
    bool sent;  // to somebody
  };

  KucoinHeartTest() {
    venue_.histories = [this](const std::string&) { return venue_.json_answer(page(rows())); };
  }

  // A trade each second, told to whoever is subscribed.
  void trade_for(int seconds) {
    for (int i = 0; i < seconds; ++i) {
      const std::uint64_t sequence = 1000 + 3 * made_.size();
      made_.push_back({sequence, venue_.ms(), std::chrono::floor<std::chrono::milliseconds>(venue_.now()), false});
      for (const auto& client : venue_.clients) {
        if (client->gone || client->asked.empty()) continue;
        client->socket->send(venue_.trade("BTC-USDT", sequence));
        made_.back().sent = true;
      }
      pass(1s);
    }
  }
  // So long nobody is let in.
  void cut_for(int seconds) {
    venue_.refuse = 502;
    venue_.last().socket->drop();
    ASSERT_TRUE(until([this] { return venue_.last().gone; }));
    trade_for(seconds);
    venue_.refuse = 0;
    const std::size_t before = venue_.clients.size();
    for (int i = 0; i < 120 && (venue_.clients.size() == before || venue_.last().asked.empty()); ++i) trade_for(1);
    ASSERT_TRUE(live());
  }
  // Of a page: the last hundred, the oldest first.
  std::vector<std::string> rows() const {
    std::vector<std::string> out;
    for (std::size_t i = made_.size() > 100 ? made_.size() - 100 : 0; i < made_.size(); ++i)
      out.push_back(R"({"sequence":")" + std::to_string(made_[i].sequence) +
                    R"(","price":"67523","size":"0.003","side":"buy","time":)" + made_[i].ms + "000000}");
    return out;
  }
  static std::string page(const std::vector<std::string>& rows) {
    std::string out = R"({"code":"200000","data":[)";
    for (const std::string& row : rows) out += (out.ends_with('[') ? "" : ",") + row;
    return out + "]}";
  }
  std::size_t made_in(Timestamp start, Interval interval) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(made_, [&](const Made& m) { return m.at >= start && m.at < start + interval; }));
  }
  // Each trade came out once at most, each is one of the venue's, and what is said to be whole by pages is.
  void expect_nothing_false() const {
    std::set<std::uint64_t> known, all;
    for (const Made& m : made_) all.insert(m.sequence);
    for (const Trade& t : results_.trades) {
      EXPECT_TRUE(known.insert(t.order).second) << t.order << " twice";
      EXPECT_TRUE(all.contains(t.order)) << t.order;
    }
    for (const Interval interval : {Interval{1}, Interval{60}})
      for (const auto& [start, c] : closed(kBtc, interval))
        if (c.completeness == Completeness::complete || c.completeness == Completeness::quiet) {
          EXPECT_EQ(c.proof, Proof::overlap) << to_rfc3339(start);
          EXPECT_EQ(c.trades, made_in(start, interval)) << to_rfc3339(start);
        }
  }
  std::size_t lost() const { return static_cast<std::size_t>(std::ranges::count(made_, false, &Made::sent)); }
  // What the seconds say in which trades were made that no connection carried.
  std::set<std::string> words_of_lost() const {
    const auto rows = closed(kBtc, Interval{1});
    std::set<std::string> out;
    for (const Made& m : made_) {
      const auto found = rows.find(window_start(m.at, Interval{1}));
      if (!m.sent) out.insert(found == rows.end() ? "-" : word(found->second));
    }
    return out;
  }

  std::vector<Made> made_;
};

// What the venue answers to questions for last trades, from before a cut of the connection until a while after it.
struct PageCase {
  std::string name;
  std::function<net::ServerAnswer(std::vector<std::string>)> answer;
  bool gives = false;   // the trades that no connection carried
  bool proves = false;  // and that nothing else was between them
};
void PrintTo(const PageCase& tested, std::ostream* out) { *out << tested.name; }

using Rows = std::vector<std::string>;
net::ServerAnswer json(std::string body, int status = 200) {
  return ScriptedVenue::json_answer(std::move(body), status);
}

class KucoinPages : public KucoinHeartTest, public testing::WithParamInterface<PageCase> {
 public:
  static std::string of(const Rows& rows) { return page(rows); }
};

TEST_P(KucoinPages, ProveWhatTheyHoldAndNoMore) {
  start({kBtc});
  ASSERT_TRUE(live());
  trade_for(70);
  venue_.histories = [this](const std::string&) { return GetParam().answer(rows()); };
  cut_for(20);
  trade_for(15);
  ASSERT_GE(lost(), 20U);
  fold();
  expect_nothing_false();
  EXPECT_EQ(results_.trades.size(), GetParam().gives ? made_.size() : made_.size() - lost());
  if (GetParam().proves)
    EXPECT_THAT(words_of_lost(), testing::ElementsAre("complete/overlap"));
  else if (GetParam().gives)
    EXPECT_THAT(words_of_lost(), testing::ElementsAre("gap/session"));
  else
    EXPECT_THAT(words_of_lost(), testing::IsSubsetOf({"-", "gap/session"}));
  // Well again, while a page still reaches back to before the cut.
  venue_.histories = [this](const std::string&) { return venue_.json_answer(page(rows())); };
  trade_for(60);
  fold();
  expect_nothing_false();
  EXPECT_EQ(results_.trades.size(), made_.size());
  EXPECT_THAT(words_of_lost(), testing::ElementsAre("complete/overlap"));
  EXPECT_TRUE(results_.quarantined.empty());
}

INSTANTIATE_TEST_SUITE_P(
    Kucoin, KucoinPages,
    testing::Values(
        PageCase{"Sound", [](Rows rows) { return json(KucoinPages::of(rows)); }, true, true},
        PageCase{"NewestFirst",
                 [](Rows rows) {
                   std::ranges::reverse(rows);
                   return json(KucoinPages::of(rows));
                 },
                 true, true},
        PageCase{"EachRowTwice",
                 [](Rows rows) {
                   Rows twice;
                   for (const std::string& row : rows) twice.insert(twice.end(), 2, row);
                   return json(KucoinPages::of(twice));
                 },
                 true, true},
        PageCase{"OutOfOrder",
                 [](Rows rows) {
                   std::ranges::rotate(rows, rows.begin() + static_cast<std::ptrdiff_t>(rows.size() / 2));
                   return json(KucoinPages::of(rows));
                 },
                 true, false},
        PageCase{"AllTwice",
                 [](Rows rows) {
                   Rows twice{rows};
                   twice.insert(twice.end(), rows.begin(), rows.end());
                   return json(KucoinPages::of(twice));
                 },
                 true, false},
        PageCase{"Truncated", [](Rows rows) { return json(KucoinPages::of(rows).substr(0, 200)); }},
        PageCase{"Html", [](Rows) { return net::text_answer(200, "text/html", "<html>maintenance</html>"); }},
        PageCase{"Nothing", [](Rows) { return json(""); }},
        PageCase{"NoTrades", [](Rows) { return json(R"({"code":"200000","data":[]})"); }},
        PageCase{"Refusal", [](Rows) { return json(R"({"code":"900001","msg":"The trading pair does not exist"})"); }},
        PageCase{"Forbidden", [](Rows) { return json("denied", 403); }}),
    [](const auto& tested) { return tested.param.name; });

// A row of a page that says otherwise than the stream did: the first stays. Without contiguous ids what comes again is
// a duplicate, whatever it says.
TEST_F(KucoinHeartTest, APageThatContradictsTheStreamChangesNothing) {
  start({kBtc});
  ASSERT_TRUE(live());
  trade_for(10);
  venue_.histories = [this](const std::string&) {
    auto told = rows();
    const std::size_t at = told[5].find("67523");
    told[5].replace(at, 5, "99999");
    return venue_.json_answer(page(told));
  };
  trade_for(60);
  fold();
  expect_nothing_false();
  EXPECT_EQ(results_.trades.size(), made_.size());
  for (const Trade& t : results_.trades) EXPECT_EQ(t.price, (Decimal{67523, 0})) << t.order;
  EXPECT_TRUE(results_.quarantined.empty());
}

// The clocks differ by more than the tolerance of 10 s, either way: the measured offset goes with frames, pages and
// sessions, so nothing is from the future, and pages prove as ever.
TEST_F(KucoinHeartTest, AVenueWhoseClockIsMinutesOffIsBelievedAndNothingIsTakenForTheFuture) {
  for (const Nanoseconds ahead : {Nanoseconds{5min}, Nanoseconds{-5min}}) {
    stop();
    ended_ = false;
    venue_.clients.clear();
    sink_.records.clear();
    made_.clear();
    venue_.ahead = ahead;
    start({kBtc});
    ASSERT_TRUE(live());
    EXPECT_GE(*feed_->status().clock_offset, ahead - 10ms);
    EXPECT_LE(*feed_->status().clock_offset, ahead + 10ms);
    const Timestamp second = window_start(venue_.now(), Interval{60}) + 1min;
    trade_for(30);
    cut_for(10);
    trade_for(150);
    fold();
    expect_nothing_false();
    EXPECT_TRUE(results_.quarantined.empty()) << ahead.count();
    EXPECT_EQ(results_.trades.size(), made_.size());
    EXPECT_THAT(words_of_lost(), testing::ElementsAre("complete/overlap"));
    EXPECT_EQ(word(kBtc, Interval{60}, second), "complete/overlap");
    for (const PutRecord& r : sink_.of_kind("backfill")) {
      EXPECT_GE(std::stoll(r["clock_offset"]), (ahead - 10ms).count());
      EXPECT_LE(std::stoll(r["clock_offset"]), (ahead + 10ms).count());
    }
  }
}

}  // namespace
}  // namespace truetape::kucoin
