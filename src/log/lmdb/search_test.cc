// Looking up records by their keys in the embedded log.
#include "log/search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "log/lmdb/lmdb_log.h"
#include "log/lmdb/testing.h"

namespace truetape {
namespace {

using namespace std::chrono_literals;

class LmdbSearchTest : public LmdbTest {
 protected:
  // Commits these keys, in one block as a rule: two if the writer came between. The values are their numbers.
  void commit(const std::vector<std::string>& keys, std::span<const Header> headers = {}) {
    auto appender = log_->appender(topic::raw).value();
    for (const std::string& key : keys) {
      const std::string value = "value " + std::to_string(written_++) + std::string(20, 'x');
      ASSERT_TRUE(appender->append(1, {key, value, headers}));
    }
    const auto flushed = appender->flush(20s);
    ASSERT_TRUE(flushed && *flushed);
  }
  using Rows = std::vector<std::tuple<std::int64_t, std::string, Timestamp>>;  // offset, value, appended
  Rows find(const std::string& key, std::int64_t from, std::int64_t to, std::size_t most = 1000) const {
    SearchAllowance allowance;
    return find(key, from, to, most, allowance);
  }
  Rows find(const std::string& key, std::int64_t from, std::int64_t to, std::size_t most,
            SearchAllowance& allowance) const {
    Rows out;
    reached_ = 0;
    const auto done = log_->find(
        topic::raw, 1, from, to, {.has = key, .is = [&](std::string_view k) { return k == key; }},
        [&](const Stored& stored, std::optional<Timestamp> appended) {
          out.emplace_back(stored.offset, stored.record.value.substr(0, stored.record.value.find('x')),
                           appended.value());
          return out.size() < most;
        },
        allowance);
    EXPECT_TRUE(done) << done.error().detail;
    if (done) reached_ = *done;
    return out;
  }

  int written_ = 0;
  mutable std::int64_t reached_ = 0;  // by the last find()
};

TEST_F(LmdbSearchTest, GivesTheRecordsOfAKeyWithTheirTimes) {
  open();
  const Timestamp first = clock_.now();
  commit({"a", "b", "b", "a", "ab"});
  clock_.advance(1s);
  options_.lz4[0] = true;  // from here on
  open();
  const std::string number = "1";
  const std::vector<Header> headers{{"kind", "frame"}, {"seq", number}};
  commit({"a", "b", "a"}, headers);
  commit({"c"});
  EXPECT_EQ(
      find("a", 0, 100),
      (Rows{{0, "value 0", first}, {3, "value 3", first}, {5, "value 5", first + 1s}, {7, "value 7", first + 1s}}));
  EXPECT_EQ(find("b", 2, 6), (Rows{{2, "value 2", first}}));
  EXPECT_EQ(find("b", 2, 7), (Rows{{2, "value 2", first}, {6, "value 6", first + 1s}}));
  EXPECT_EQ(find("a", 0, 100, 1), (Rows{{0, "value 0", first}}));
  EXPECT_EQ(find("a", 8, 100), Rows{});
  EXPECT_EQ(find("none", 0, 100), Rows{});
}

// A block is passed over by its bytes alone: a key at any place of it, long or short, is seen.
TEST_F(LmdbSearchTest, SeesAKeyAtAnyPlaceOfABlock) {
  for (const std::size_t size : {1U, 2U, 15U, 16U, 17U, 40U}) {
    open();
    const std::string key(size, 'k');
    for (int before = 0; before < 35; ++before) {
      const std::int64_t from = log_->span(topic::raw, 1)->end;
      commit({std::string(static_cast<std::size_t>(before), 'b') + "?", key, "c"});
      EXPECT_EQ(find(key, from, from + 3).size(), 1U) << size << " behind " << before;
      EXPECT_EQ(find(key + "k", from, from + 3).size(), 0U) << size << " behind " << before;
    }
  }
}

TEST_F(LmdbSearchTest, ReadsNoMoreThanItMay) {
  open();
  for (int i = 0; i < 600; ++i) commit({"key", "other"});
  SearchAllowance all;
  EXPECT_EQ(find("key", 0, 1200, 1000, all).size(), 600U);
  EXPECT_EQ(reached_, 1200);
  const std::uint64_t block = (std::numeric_limits<std::uint64_t>::max() - all.bytes) / 600;  // about
  SearchAllowance some{10 * block};
  EXPECT_THAT(find("key", 0, 1200, 1000, some).size(), testing::AllOf(testing::Ge(9U), testing::Le(12U)));
  EXPECT_TRUE(some.spent());
  EXPECT_THAT(reached_, testing::AllOf(testing::Ge(18), testing::Le(24)));
  // It goes on there, which may be between "key" and "other".
  EXPECT_EQ(find("key", reached_, 1200).size(), static_cast<std::size_t>((1200 - reached_) / 2));
  EXPECT_EQ(find("key", 100, 1200, 1000, some).size(), 0U);
  EXPECT_EQ(reached_, 100);
  SearchAllowance another;
  EXPECT_EQ(find("key", 0, 1200, 2, another).size(), 2U);  // had enough
  EXPECT_EQ(reached_, 3);
}

TEST_F(LmdbSearchTest, WalksThroughManyBlocks) {
  open();
  for (int i = 0; i < 600; ++i) commit({"key " + std::to_string(i % 7), "other"});
  const std::int64_t end = log_->span(topic::raw, 1)->end;
  ASSERT_EQ(end, 1200);
  const Rows rows = find("key 3", 0, end);
  ASSERT_EQ(rows.size(), 86U);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(std::get<0>(rows[i]), static_cast<std::int64_t>(2 * (3 + 7 * i)));
    EXPECT_EQ(std::get<1>(rows[i]), "value " + std::to_string(2 * (3 + 7 * i)));
  }
}

TEST_F(LmdbSearchTest, FindsWhereATimeBegins) {
  open();
  const auto from = [&](Timestamp time) { return **log_->appended_from(topic::raw, 1, time); };
  EXPECT_EQ(from(clock_.now()), 0);  // empty
  const Timestamp first = clock_.now();
  for (int i = 0; i < 50; ++i) {
    commit({"a", "b", "c"});
    clock_.advance(10s);
  }
  EXPECT_EQ(from(first - 1s), 0);
  EXPECT_EQ(from(first), 0);
  for (int i = 1; i < 50; ++i) {
    EXPECT_EQ(from(first + i * 10s), i * 3) << i;
    EXPECT_EQ(from(first + i * 10s - 1ns), i * 3) << i;
  }
  EXPECT_EQ(from(first + 500s), 150);
}

TEST_F(LmdbSearchTest, LeavesOutWhatRetentionHasDeleted) {
  options_.max_age[0] = 24h;
  open();
  for (int i = 0; i < 100; ++i) commit({"a"});
  {
    auto task = log_->task().value();
    for (auto step = task->poll(0ms); step; step = task->poll(0ms)) {
      if (step->records.empty() && step->assigned.empty()) break;
      ASSERT_TRUE(step->records.empty() || task->commit({}, {}));
    }
  }
  ASSERT_TRUE(log_->set_note("tick", ""));
  clock_.advance(24h * 365);
  ASSERT_TRUE(log_->set_note("tick", ""));
  const std::int64_t oldest = log_->span(topic::raw, 1)->oldest;
  ASSERT_EQ(oldest, 10);
  const Rows rows = find("a", 0, 1000);
  ASSERT_FALSE(rows.empty());
  EXPECT_EQ(std::get<0>(rows.front()), oldest);
  EXPECT_EQ(rows.size(), static_cast<std::size_t>(100 - oldest));
}

TEST_F(LmdbSearchTest, RefusesWhatIsNotThere) {
  open();
  const LogSearch::Wanted all{.has = {}, .is = [](std::string_view) { return true; }};
  SearchAllowance allowance;
  const auto none = [](const Stored&, std::optional<Timestamp>) { return true; };
  EXPECT_FALSE(log_->find("nothing", 0, 0, 1, all, none, allowance));
  EXPECT_FALSE(log_->find(topic::raw, 2, 0, 1, all, none, allowance));
  EXPECT_FALSE(log_->appended_from(topic::raw, -1, clock_.now()));
}

}  // namespace
}  // namespace truetape
