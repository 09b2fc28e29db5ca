#include "roles/ingest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "log/memory/memory_log.h"
#include "net/testing.h"
#include "roles/ingest_testing.h"
#include "sim/testing.h"

namespace truetape {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

Instrument spot(const std::string& symbol) { return *Instrument::of("binance", symbol); }
Instrument usdm(const std::string& symbol) { return *Instrument::of("binance-usdm", symbol); }

class IngestTest : public testing::Test {
 protected:
  IngestTest() {
    memory_.partitions = 2;
    connector_ = *net::Connector::make(loop_, {});
  }
  ~IngestTest() override { stop(); }

  void open() {
    if (!log_) log_ = std::make_unique<MemoryLog>(memory_);
  }
  void start() {
    open();
    IngestParts parts{
        .log = *log_, .connector = *connector_, .metrics = &metrics_, .tell = [this](const FeedEvent& event) {
          told_.push_back(event);
        }};
    if (fake_)
      parts.make_feed = [this](std::string_view venue, const FeedOptions& options,
                               FeedParts feed_parts) -> Result<std::unique_ptr<Feed>> {
        if (venue == "nowhere") return failure(Fault::not_found, Retry::never, "there is no live feed of 'nowhere'");
        auto feed = std::make_unique<FakeFeed>(std::string{venue}, std::move(feed_parts), options);
        feeds_.push_back(feed.get());
        return feed;
      };
    role_ = std::make_unique<IngestRole>(options_, std::move(parts));
    ended_.reset();
    loop_.spawn([this]() -> net::awaitable<void> { ended_ = co_await role_->run(); });
    pass(0ms);
  }
  void stop() {
    if (!role_) return;
    role_->stop();
    for (int i = 0; i < 300 && !ended_; ++i) pass(100ms);
    EXPECT_TRUE(ended_) << "run() did not return";
    role_.reset();
    feeds_.clear();
  }
  void pass(Nanoseconds span) {
    for (; span > 10ms; span -= 10ms) loop_.advance(10ms);
    loop_.advance(span);
  }
  void say(const ControlRecord& record) { say(control_text(record)); }
  void say(const ControlText& text) {
    open();
    auto appender = log_->appender(topic::control);
    ASSERT_TRUE(appender);
    ASSERT_TRUE((*appender)->append(kControlPartition, {text.key, text.value, {}}));
    ASSERT_TRUE(*(*appender)->flush(0ms));
  }
  void want(const Instrument& instrument, bool wanted = true) { say(WantedInstrument{instrument, wanted}); }
  FakeFeed& feed(std::size_t i = 0) { return *feeds_.at(i); }

  struct Kept {
    std::string key, value;
    std::vector<std::pair<std::string, std::string>> headers;
    friend bool operator==(const Kept&, const Kept&) = default;
  };
  // All committed records of a topic, partition by partition.
  std::vector<Kept> kept(std::string_view topic) const {
    std::vector<Kept> out;
    auto reader = log_->reader(topic, {}, Share::all);
    EXPECT_TRUE(reader);
    for (;;) {
      const auto step = (*reader)->poll(0ms);
      EXPECT_TRUE(step);
      if (!step || (step->records.empty() && step->assigned.empty())) return out;
      for (const std::int32_t p : step->assigned) EXPECT_TRUE((*reader)->seek(p, std::nullopt));
      for (const Stored& s : step->records) {
        Kept& record = out.emplace_back(Kept{std::string{s.record.key}, std::string{s.record.value}, {}});
        for (const Header& h : s.record.headers) record.headers.emplace_back(h.name, h.value);
      }
    }
  }
  std::vector<std::string> values(std::string_view topic = topic::raw) const {
    std::vector<std::string> out;
    for (const Kept& k : kept(topic)) out.push_back(k.value);
    return out;
  }
  std::vector<FeedReport> reports(std::string_view venue = "binance") const {
    std::vector<FeedReport> out;
    for (const Kept& k : kept(topic::control)) {
      const auto record = parse_control(k.key, k.value);
      EXPECT_TRUE(record && *record) << k.key << ' ' << k.value;
      if (const auto* report = std::get_if<FeedReport>(&**record); report != nullptr && report->venue == venue)
        out.push_back(*report);
    }
    return out;
  }
  // Whether each report says that the feed runs.
  std::vector<bool> runs(std::string_view venue = "binance") const {
    std::vector<bool> out;
    for (const FeedReport& r : reports(venue)) out.push_back(r.running);
    return out;
  }
  std::size_t told(const std::string& text, FeedEvent::Level level) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        told_, [&](const FeedEvent& e) { return e.level == level && e.text.find(text) != std::string::npos; }));
  }
  std::uint64_t counted(std::string_view name, const std::string& venue = "binance") {
    return metrics_.counter("truetape_ingest_" + std::string{name}, "", {{"venue", venue}}).value();
  }

  ManualClock clock_{*parse_rfc3339("2026-01-01T00:00:00Z")};
  net::Loop loop_{clock_};
  std::unique_ptr<net::Connector> connector_;
  MemoryOptions memory_;
  std::unique_ptr<MemoryLog> log_;
  IngestOptions options_{.seed = 5};
  Metrics metrics_;
  bool fake_ = true;
  std::vector<FakeFeed*> feeds_;
  std::vector<FeedEvent> told_;
  std::unique_ptr<IngestRole> role_;
  std::optional<bool> ended_;
};

// ---- control

TEST_F(IngestTest, AFeedForEachVenueOfWhichSomethingIsWanted) {
  want(spot("BTCUSDT"));
  want(usdm("BTCUSDT"));
  want(spot("ETHUSDT"));
  options_.feeds["binance-usdm"].connections = 2;
  start();
  ASSERT_EQ(feeds_.size(), 2U);
  EXPECT_EQ(feed(0).venue(), "binance");
  EXPECT_THAT(feed(0).wanted, ElementsAre(UnorderedElementsAre(spot("BTCUSDT"), spot("ETHUSDT"))));
  EXPECT_EQ(feed(0).options.connections, 1);
  EXPECT_THAT(feed(1).wanted, ElementsAre(ElementsAre(usdm("BTCUSDT"))));
  EXPECT_EQ(feed(1).options.connections, 2);
  EXPECT_NE(feed(0).options.seed, feed(1).options.seed);
}

TEST_F(IngestTest, WhatIsNoLongerTrueWhenItBeginsWasNeverDone) {
  want(spot("AUSDT"));
  say(IngestSwitch{false});
  want(spot("BUSDT"));
  say(IngestSwitch{true});
  want(spot("AUSDT"), false);
  start();
  ASSERT_EQ(feeds_.size(), 1U);
  EXPECT_THAT(feed().wanted, ElementsAre(ElementsAre(spot("BUSDT"))));
}

TEST_F(IngestTest, WantedInstrumentsChangeWhileItRuns) {
  start();
  pass(1s);
  EXPECT_THAT(feeds_, IsEmpty());
  want(spot("AUSDT"));
  pass(200ms);
  want(spot("BUSDT"));
  pass(200ms);
  want(spot("AUSDT"), false);
  pass(200ms);
  ASSERT_EQ(feeds_.size(), 1U);
  EXPECT_THAT(feed().wanted, ElementsAre(ElementsAre(spot("AUSDT")), ElementsAre(spot("AUSDT"), spot("BUSDT")),
                                         ElementsAre(spot("BUSDT"))));
  EXPECT_FALSE(feed().stopped);
  want(spot("BUSDT"), false);
  pass(200ms);
  EXPECT_THAT(runs(), ElementsAre(true, false));
}

TEST_F(IngestTest, StopEndsTheFeedsAndStartMakesNewOnes) {
  want(spot("AUSDT"));
  start();
  feed().last_words = true;
  feed().may_end = false;
  pass(200ms);
  say(IngestSwitch{false});
  pass(200ms);
  EXPECT_TRUE(feed().stopped);
  // Started again before it has ended: there are never two.
  say(IngestSwitch{true});
  pass(2s);
  EXPECT_EQ(feeds_.size(), 1U);
  EXPECT_THAT(runs(), ElementsAre(true));
  feed().let_end();
  pass(2s);
  ASSERT_EQ(feeds_.size(), 2U);
  EXPECT_THAT(feed(1).wanted, ElementsAre(ElementsAre(spot("AUSDT"))));
  EXPECT_NE(feed(1).options.seed, 0U);
  EXPECT_THAT(values(), ElementsAre("last words"));
  say(IngestSwitch{false});
  pass(2s);
  EXPECT_EQ(runs().back(), false);
  EXPECT_EQ(feeds_.size(), 2U);
}

TEST_F(IngestTest, StopAndStartAtOnceMakeTheFeedsAnew) {
  want(spot("AUSDT"));
  start();
  pass(200ms);
  say(IngestSwitch{false});
  say(IngestSwitch{true});
  pass(2s);
  ASSERT_EQ(feeds_.size(), 2U);
  EXPECT_THAT(feed(1).wanted, ElementsAre(ElementsAre(spot("AUSDT"))));
  say(IngestSwitch{true});  // it is
  pass(2s);
  EXPECT_EQ(feeds_.size(), 2U);
}

TEST_F(IngestTest, AStoppedIngestStaysStoppedOverARestart) {
  want(spot("AUSDT"));
  say(IngestSwitch{false});
  start();
  pass(1s);
  EXPECT_THAT(feeds_, IsEmpty());
  stop();
  EXPECT_TRUE(*ended_);
}

TEST_F(IngestTest, AControlRecordThatCannotBeReadIsToldAndPassedOver) {
  say(ControlText{"want:binance:AUSDT", "no JSON"});
  say(ControlText{"colour", "{}"});  // of a later version
  want(spot("BUSDT"));
  start();
  ASSERT_EQ(feeds_.size(), 1U);
  EXPECT_THAT(feed().wanted, ElementsAre(ElementsAre(spot("BUSDT"))));
  EXPECT_EQ(told("want:binance:AUSDT", FeedEvent::Level::warning), 1U);
  EXPECT_EQ(told_.size(), 1U);
}

TEST_F(IngestTest, AVenueWithoutAFeedIsToldOnceAndReported) {
  want(*Instrument::of("nowhere", "A"));
  want(spot("AUSDT"));
  start();
  pass(5s);
  EXPECT_EQ(told("there is no live feed of 'nowhere'", FeedEvent::Level::error), 1U);
  EXPECT_EQ(feeds_.size(), 1U);
  want(*Instrument::of("nowhere", "B"));
  pass(5s);
  EXPECT_EQ(told("there is no live feed of 'nowhere'", FeedEvent::Level::error), 2U);
}

TEST_F(IngestTest, AReaderThatFailsIsOpenedAnewAndMissesNothing) {
  // The third poll of a reader fails: the first assigns, the second reads.
  class ThirdPoll final : public FaultDice {
   public:
    Crash roll(LogCall call) override {
      return call == LogCall::reader_poll && ++polls_ == 4 ? Crash::before : Crash::none;
    }
    std::size_t surviving(std::size_t waiting) override { return waiting; }

   private:
    int polls_ = 0;
  };
  want(spot("AUSDT"));
  memory_.dice = std::make_shared<ThirdPoll>();
  log_->set_dice(memory_.dice);
  start();
  pass(100ms);
  want(spot("BUSDT"));
  pass(1s);
  ASSERT_EQ(feeds_.size(), 1U);
  EXPECT_THAT(feed().wanted, ElementsAre(ElementsAre(spot("AUSDT")), ElementsAre(spot("AUSDT"), spot("BUSDT"))));
  EXPECT_EQ(told("the topic control cannot be read", FeedEvent::Level::error), 1U);
}

// ---- what is received

TEST_F(IngestTest, EveryFrameIsInRawOnceInOrder) {
  want(spot("BTCUSDT"));
  start();
  std::vector<std::string> expected;
  for (int i = 0; i < 1000; ++i) {
    expected.push_back("frame " + std::to_string(i));
    feed().receive(expected.back());
  }
  pass(200ms);
  EXPECT_EQ(values(), expected);
  const Kept first = kept(topic::raw).front();
  EXPECT_EQ(first.key, "binance:BTCUSDT");
  EXPECT_THAT(first.headers, ElementsAre(std::pair{std::string{"kind"}, std::string{"frame"}},
                                         std::pair{std::string{"instruments"}, std::string{"binance:BTCUSDT"}}));
  EXPECT_EQ(counted("records_total"), 1000U);
  EXPECT_EQ(counted("frames_total"), 1000U);
  EXPECT_EQ(counted("waits_for_room_total"), 0U);
}

TEST_F(IngestTest, ABufferThatIsFullStopsReadingUntilTheLogHasTakenIt) {
  memory_.append_buffer_bytes = 1000;
  want(spot("BTCUSDT"));
  start();
  std::vector<std::string> expected;
  for (int i = 0; i < 50; ++i) {
    expected.emplace_back(200, static_cast<char>('a' + i % 26));
    feed().receive(expected.back());
  }
  pass(1s);
  EXPECT_EQ(values(), expected);
  EXPECT_GT(feed().waits, 5);
  EXPECT_EQ(counted("waits_for_room_total"), static_cast<std::uint64_t>(feed().waits));
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(IngestTest, WhileTheLogIsFullNothingIsReadAndOneWarningSaysSo) {
  memory_.append_buffer_bytes = 100;
  want(spot("BTCUSDT"));
  start();
  log_->set_full(true);
  for (int i = 0; i < 20; ++i) feed().receive("frame that is long enough " + std::to_string(i));
  pass(10s);
  EXPECT_TRUE(feed().connection.blocked);
  EXPECT_EQ(feed().waits, 0) << "room() must not return";
  EXPECT_EQ(told("full", FeedEvent::Level::error), 1U + 1U) << "of raw, and of control";
  log_->set_full(false);
  pass(1s);
  EXPECT_FALSE(feed().connection.blocked);
  EXPECT_EQ(values().size(), 20U);
  EXPECT_EQ(told("there is room again for the topic raw", FeedEvent::Level::info), 1U);
  EXPECT_THAT(feed().seen_generations, testing::Each(1U)) << "nothing was lost";
}

TEST_F(IngestTest, StopIsFollowedWhileTheLogIsFull) {
  memory_.append_buffer_bytes = 100;
  want(spot("BTCUSDT"));
  start();
  log_->set_full(true);
  for (int i = 0; i < 20; ++i) feed().receive("frame that is long enough " + std::to_string(i));
  pass(1s);
  FakeFeed& stuck = feed();
  ASSERT_TRUE(stuck.connection.blocked);
  role_->stop();
  pass(options_.flush_limit + 1s);
  ASSERT_TRUE(ended_);
  EXPECT_FALSE(*ended_);
  EXPECT_EQ(told("could not be written within 10 s", FeedEvent::Level::error), 1U);
}

TEST_F(IngestTest, AnAppenderThatFailsRaisesTheGenerationAndIsOpenedAnew) {
  want(spot("BTCUSDT"));
  start();
  feed().receive("one");
  pass(200ms);
  log_->set_dice(std::make_shared<CrashAt>(0, Crash::before));  // the flush of the next look
  feed().receive("two");                                        // is taken, and lost
  pass(200ms);
  log_->set_dice(nullptr);
  pass(1s);
  feed().receive("three");
  pass(200ms);
  EXPECT_EQ(feed().seen_generations.front(), 1U);
  EXPECT_EQ(feed().seen_generations.back(), 2U);
  EXPECT_EQ(values().front(), "one");
  EXPECT_EQ(values().back(), "three");
  EXPECT_EQ(told("nothing can be written to the topic raw", FeedEvent::Level::error), 1U);
  EXPECT_EQ(told("the topic raw can be written again", FeedEvent::Level::info), 1U);
  EXPECT_EQ(metrics_.gauge("truetape_ingest_generation", "").value(), 2);
}

// Whatever the log does, what it kept is in order, and each loss has its generation. (An append that failed may have
// been kept all the same, so a frame may be there twice: under two sessions, where the ledger sees it.)
TEST_F(IngestTest, NothingIsOutOfOrderAndNoLossIsHiddenUnderRandomFaults) {
  std::uint64_t losses = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    log_.reset();
    memory_.append_buffer_bytes = 300;
    want(spot("BTCUSDT"));
    start();
    const auto dice = std::make_shared<RandomFaults>(seed, 30);
    log_->set_dice(dice);
    for (int i = 0; i < 200; ++i) {
      feed().receive(std::to_string(1000 + i));
      if (i % 10 == 9) pass(50ms);
    }
    dice->stop();
    pass(30s);
    EXPECT_THAT(feed().frames, IsEmpty());
    const std::vector<std::string> stored = values();
    EXPECT_TRUE(std::ranges::is_sorted(stored)) << "seed " << seed;
    const std::set<std::string> once{stored.begin(), stored.end()};
    if (once.size() < 200 || stored.size() != once.size()) {
      ++losses;
      EXPECT_GT(feed().seen_generations.back(), 1U) << "seed " << seed;
    }
    stop();
    EXPECT_TRUE(*ended_);
  }
  EXPECT_GT(losses, 5U);
}

TEST_F(IngestTest, ARecordThatIsTooLongIsCutAndSaysSo) {
  want(spot("BTCUSDT"));
  start();
  feed().receive(std::string(kMaxRecordBytes, 'x'));
  feed().receive("after it");
  pass(1s);
  const std::vector<Kept> records = kept(topic::raw);
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].value, std::string(64 * 1024, 'x'));
  EXPECT_EQ(records[0].headers.back(), (std::pair{std::string{"cut"}, std::to_string(kMaxRecordBytes)}));
  EXPECT_EQ(records[1].value, "after it");
  EXPECT_EQ(counted("cut_total"), 1U);
  EXPECT_EQ(counted("records_total"), 2U);
}

TEST_F(IngestTest, WhatWasReceivedIsDurableWhenItHasStopped) {
  want(spot("BTCUSDT"));
  start();
  feed().last_words = true;
  feed().receive("frame");
  role_->stop();
  pass(1s);
  ASSERT_TRUE(ended_);
  EXPECT_TRUE(*ended_);
  EXPECT_THAT(values(), UnorderedElementsAre("frame", "last words"));
  EXPECT_THAT(runs(), ElementsAre(true, false));
}

// ---- reports

TEST_F(IngestTest, AReportWhenAStateChangesAndEachMinute) {
  want(spot("BTCUSDT"));
  start();
  feed().unknown = {spot("XUSDT")};
  pass(200ms);
  ASSERT_EQ(reports().size(), 1U);
  EXPECT_EQ(reports()[0].connections.front().state, "live");
  EXPECT_EQ(reports()[0].connections.front().name, "one");
  EXPECT_EQ(reports()[0].clock_offset, Nanoseconds{3ms});
  EXPECT_TRUE(reports()[0].running);
  feed().connection.state = ConnectionStatus::State::waiting;
  pass(3s);
  feed().receive("counts, but is no state");
  pass(3s);
  ASSERT_EQ(reports().size(), 2U);
  EXPECT_EQ(reports()[1].connections.front().state, "waiting");
  EXPECT_THAT(reports()[1].unknown, ElementsAre(spot("XUSDT")));
  pass(50s);
  EXPECT_EQ(reports().size(), 2U);
  pass(10s);
  ASSERT_EQ(reports().size(), 3U);
  EXPECT_EQ(reports()[2].connections.front().frames, 1U);
}

TEST_F(IngestTest, AStateThatFlapsIsReportedOnceASecondAtMost) {
  want(spot("BTCUSDT"));
  start();
  for (int i = 0; i < 100; ++i) {
    feed().connection.state = i % 2 == 0 ? ConnectionStatus::State::waiting : ConnectionStatus::State::connecting;
    pass(100ms);
  }
  EXPECT_LE(reports().size(), 11U);
  EXPECT_GE(reports().size(), 9U);
}

TEST_F(IngestTest, WhatAKilledProcessSaidIsCorrected) {
  say(FeedReport{.venue = "binance", .running = true});
  say(IngestSwitch{false});
  start();
  pass(1s);
  EXPECT_THAT(runs(), ElementsAre(true, false));
}

// ---- with a venue

class IngestVenueTest : public IngestTest {
 protected:
  IngestVenueTest() { fake_ = false; }
};

TEST_F(IngestVenueTest, ASimulatedVenuesTradesAreInRawWithTheirEvidence) {
  sim::SimulatorConfig config;
  config.scenario.limits = sim::Limits::of(sim::Product::spot);
  config.begin_now = sim::Duration{0};
  config.lead = 1s;
  config.linger = 5s;
  sim::Simulator simulator{loop_, config,
                           std::make_unique<sim::HandTape>(sim::Product::spot, std::vector<std::string>{"AUSDT"}, 50)};
  ASSERT_TRUE(simulator.listen());
  bool over = false;
  loop_.spawn([&]() -> net::awaitable<void> {
    co_await simulator.run();
    over = true;
  });
  options_.feeds["binance"] = {
      .stream_url = simulator.websocket_url(), .rest_url = simulator.rest_url(), .ticker = false};
  want(spot("AUSDT"));
  start();
  for (int i = 0; i < 400 && simulator.played() < 50; ++i) {
    loop_.advance(50ms);
    net::settle(loop_, 1ms);
  }
  ASSERT_EQ(simulator.played(), 50U);
  for (int i = 0; i < 40; ++i) {
    loop_.advance(50ms);
    net::settle(loop_, 1ms);
  }
  role_->stop();
  for (int i = 0; i < 100 && !ended_; ++i) {
    loop_.advance(100ms);
    net::settle(loop_, 2ms);
  }
  ASSERT_TRUE(ended_ && *ended_);
  std::vector<int> ids;
  std::map<std::string, int> kinds;
  for (const Kept& k : kept(topic::raw)) {
    std::map<std::string, std::string> headers{k.headers.begin(), k.headers.end()};
    ++kinds[headers["kind"] + (headers["event"].empty() ? "" : " " + headers["event"])];
    if (!headers["session"].empty() && headers["kind"] == "frame") {
      const std::size_t at = k.value.find("\"t\":");
      ids.push_back(std::atoi(k.value.c_str() + at + 4));
    }
  }
  std::vector<int> all(50);
  for (int i = 0; i < 50; ++i) all[static_cast<std::size_t>(i)] = i + 1;
  EXPECT_EQ(ids, all);
  EXPECT_EQ(kinds["config"], 1);
  EXPECT_EQ(kinds["reference"], 1);
  EXPECT_EQ(kinds["session open"], 1);
  EXPECT_EQ(kinds["session close"], 1);
  EXPECT_GT(kinds["session beat"], 3);
  EXPECT_EQ(runs().front(), true);
  EXPECT_EQ(runs().back(), false);
  EXPECT_EQ(counted("connects_total"), 1U);
  simulator.stop("the test is over");
  for (int i = 0; i < 100 && !over; ++i) {
    loop_.advance(100ms);
    net::settle(loop_, 1ms);
  }
  EXPECT_TRUE(over);
}

}  // namespace
}  // namespace truetape
