// What the tests of the role backfill share: a log in memory, a filler that answers what the test says, and a `process`
// that makes of raw the rows of gaps that the test says. One thread, a manual clock.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <set>

#include "codec/control.h"
#include "codec/keys.h"
#include "codec/wire.h"
#include "log/memory/memory_log.h"
#include "net/testing.h"
#include "roles/backfill.h"
#include "venues/feed_session.h"

namespace truetape {

using namespace std::chrono_literals;

inline const Timestamp kStart = *parse_rfc3339("2026-01-01T00:00:00Z");
inline const Instrument kBtc = *Instrument::parse("binance:BTCUSDT");
inline const Instrument kEth = *Instrument::parse("binance:ETHUSDT");

// Answers at once what the test says, and puts a page into the sink where something is given.
class FakeFiller final : public Filler {
 public:
  explicit FakeFiller(FeedParts parts) : parts_{std::move(parts)} {}
  std::string_view venue() const override { return "binance"; }
  std::uint64_t unit(Tape) const override { return 1000; }
  std::uint64_t page(Tape) const override { return 100; }
  net::awaitable<FillAnswer> fill(FillQuestion question) override {
    asked.push_back(question);
    FillAnswer answer;
    answer.what = FillAnswer::What::given;
    if (has) {
      answer = has(question);
    } else if (!answers.empty()) {
      answer = answers.front();
      if (answers.size() > 1) answers.pop_front();
    }
    if (answer.what == FillAnswer::What::given) answer.pages = 1;
    if (answer.pages > 0) {
      EXPECT_TRUE(put_single(*parts_.sink, RawKind::backfill, question.instrument, "[]", kStart));
    }
    co_return answer;
  }
  net::awaitable<Result<std::optional<std::uint64_t>>> first_id_at(Instrument, Tape, Timestamp) override {
    co_return std::optional<std::uint64_t>{};
  }
  void stop() override {}
  FillCounts counts() const override {
    FillCounts out;
    out.requests = asked.size();
    return out;
  }

  std::vector<FillQuestion> asked;
  std::deque<FillAnswer> answers;                           // in turn, the last one for ever; none: all is given
  std::function<FillAnswer(const FillQuestion&)> has = {};  // instead, if set

 private:
  FeedParts parts_;
};

class BackfillTest : public testing::Test {
 protected:
  BackfillTest() {
    memory_.partitions = 1;
    log_ = std::make_unique<MemoryLog>(memory_);
    connector_ = *net::Connector::make(loop_, {});
    want(kBtc);
    want(kEth);
  }
  ~BackfillTest() override { stop(); }

  void start() {
    BackfillParts parts{
        .log = *log_, .connector = *connector_, .metrics = &metrics_, .tell = [this](const FeedEvent& e) {
          told_ += e.text + "\n";
        }};
    parts.make_filler = [this](std::string_view venue, const FillOptions&,
                               FeedParts feed) -> Result<std::unique_ptr<Filler>> {
      if (venue != "binance") return failure(Fault::not_found, Retry::never, "it cannot be asked");
      auto filler = std::make_unique<FakeFiller>(std::move(feed));
      filler->answers = answers_;
      filler->has = has_;
      filler_ = filler.get();
      return filler;
    };
    role_ = std::make_unique<BackfillRole>(options_, std::move(parts));
    ended_.reset();
    loop_.spawn([this]() -> net::awaitable<void> { ended_ = co_await role_->run(); });
    pass(0ms);
  }
  void stop() {
    if (!role_) return;
    role_->stop();
    for (int i = 0; i < 300 && !ended_; ++i) pass(100ms);
    EXPECT_EQ(ended_, true);
    role_.reset();
    filler_ = nullptr;
  }
  void pass(Nanoseconds span) {
    for (; span > 50ms; span -= 50ms) loop_.advance(50ms);
    loop_.advance(span);
  }
  void say(const ControlRecord& record) {
    const ControlText text = control_text(record);
    auto appender = *log_->appender(topic::control);
    EXPECT_TRUE(appender->append(kControlPartition, {text.key, text.value, {}}));
    EXPECT_TRUE(*appender->flush(0ms));
  }
  void want(const Instrument& instrument, bool wanted = true) { say(WantedInstrument{instrument, wanted}); }
  static Gap gap(const Instrument& instrument, std::uint64_t first, std::optional<std::uint64_t> last,
                 std::chrono::seconds at = 0s) {
    Gap out;
    out.instrument = instrument;
    out.first_id = first;
    out.last_id = last;
    out.missing = last ? *last - first + 1 : 0;
    out.from = kStart + at;
    if (last) out.to = kStart + at + 1s;
    out.state = GapState::open;
    out.reason = last ? GapReason::missing_ids : GapReason::tail;
    return out;
  }
  // Something new in raw; `process` makes of all that is there what it says: rows of gaps.
  void receive() {
    auto appender = *log_->appender(topic::raw);
    EXPECT_TRUE(appender->append(0, {"binance:BTCUSDT", "frame", {}}));
    EXPECT_TRUE(*appender->flush(0ms));
  }
  void process(const std::vector<Gap>& gaps = {}) {
    if (!task_) task_ = *log_->task();
    receive();
    for (bool said = false;;) {
      const auto step = task_->poll(0ms);
      ASSERT_TRUE(step);
      if (step->records.empty()) {
        if (step->assigned.empty()) return;
        continue;
      }
      std::vector<std::pair<std::string, std::string>> rows;
      if (!std::exchange(said, true))
        for (const Gap& g : gaps) {
          auto& [key, value] = rows.emplace_back();
          put_key(g, key);
          wire::encode(g, value);
        }
      std::vector<Output> outputs;
      for (const auto& [key, value] : rows) outputs.push_back({topic::gaps, 0, {key, value, {}}});
      ASSERT_TRUE(task_->commit(outputs, {}));
    }
  }
  // "4711-4720" of each question; "4711-" without an end.
  std::vector<std::string> asked() const {
    std::vector<std::string> out;
    if (filler_ == nullptr) return out;
    for (const FillQuestion& q : filler_->asked)
      out.push_back(std::to_string(q.first_id) + "-" + (q.last_id ? std::to_string(*q.last_id) : ""));
    return out;
  }
  // The headers of each answer record, without the time.
  std::vector<std::string> said() const {
    std::vector<std::string> out;
    auto reader = *log_->reader(topic::raw, {}, Share::all);
    for (;;) {
      const auto step = reader->poll(0ms);
      EXPECT_TRUE(step);
      if (step->records.empty() && step->assigned.empty()) return out;
      for (const std::int32_t p : step->assigned) EXPECT_TRUE(reader->seek(p, std::nullopt));
      for (const Stored& s : step->records) {
        const auto of = [&](std::string_view name) {
          return std::string{find_header(s.record.headers, name).value_or("-")};
        };
        if (of(header::kind) != "answer") continue;
        out.push_back(of(header::first_id) + "-" + of(header::last_id) + " " + of(header::verdict) +
                      (of(header::skipped) == "-" ? "" : " skipped " + of(header::skipped)) +
                      (of(header::nothing_after) == "-" ? "" : " nothing after " + of(header::nothing_after)));
      }
    }
  }
  static FillAnswer part(std::vector<FillRange> missing) {
    FillAnswer out;
    out.what = FillAnswer::What::part;
    out.missing = std::move(missing);
    return out;
  }
  static FillAnswer without(FillAnswer::What what, std::string text) {
    FillAnswer out;
    out.what = what;
    out.text = std::move(text);
    return out;
  }

  ManualClock clock_{kStart};
  net::Loop loop_{clock_};
  std::unique_ptr<net::Connector> connector_;
  MemoryOptions memory_;
  std::unique_ptr<MemoryLog> log_;
  std::unique_ptr<Task> task_;
  BackfillOptions options_{.seed = 5};
  Metrics metrics_;
  std::deque<FillAnswer> answers_;
  std::function<FillAnswer(const FillQuestion&)> has_;
  FakeFiller* filler_ = nullptr;
  std::string told_;
  std::unique_ptr<BackfillRole> role_;
  std::optional<bool> ended_;
};

}  // namespace truetape
