// How much the heart looks at per item where very much is missing or held: operations are counted, never time.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "market/book.h"

namespace truetape::market {
namespace {

// Steps that one item may take on average: those down trees of about 15 levels, for each of the windows of seven
// intervals that it touches, which are asked several questions.
constexpr std::uint64_t kStepsPerItem = 1'000;
// Of ten times as many holes or held ids an item may not take more than this times the steps.
constexpr std::uint64_t kGrowth = 3;

class Heart {
 public:
  void begin() {
    book_.begin_range("range", std::nullopt, std::nullopt);
    out_.clear();
  }
  void end() {
    book_.end_range("range");
    book_.progress(kReceived, true);
    out_.clear();
  }
  void trade(std::uint64_t id) { fold(item(id, id, Item::Type::trade)); }
  void bad(std::uint64_t id, std::uint64_t time) { fold(item(id, time, Item::Type::bad)); }
  std::uint64_t steps() const { return book_.steps(); }
  const Counts& counts() const { return counts_; }

  // Steps per item of what was folded since the last call.
  std::uint64_t steps_per_item() {
    const std::uint64_t steps = book_.steps() - steps_before_, items = std::max<std::uint64_t>(1, items_);
    steps_before_ += steps;
    items_ = 0;
    return steps / items;
  }

 private:
  static constexpr Timestamp kReceived = timestamp_ns(1'800'000'000'000'000'000);

  // A hundred per second: an item also looks at the windows without a trade up to the next one with.
  static Item item(std::uint64_t id, std::uint64_t time, Item::Type type) {
    Item item;
    item.type = type;
    item.has_id = item.has_time = true;
    item.reason = Reason::quantity;
    item.trade.instrument = *Instrument::parse("test:A");
    item.trade.order = item.trade.first_id = item.trade.last_id = id;
    item.trade.id = Text<40>::cut(std::to_string(id));
    item.trade.event_time = timestamp_ns(1'700'000'000'000'000'000 + static_cast<std::int64_t>(time) * 10'000'000);
    item.trade.price = {100, 0};
    item.trade.quantity = {1, 0};
    return item;
  }
  void fold(const Item& item) {
    RawRecord record;
    record.kind = RawKind::history;
    record.receive_time = kReceived;
    Origin origin;
    origin.record = &record;
    book_.fold(item, origin, out_, counts_);
    if (++items_ % 512 == 0) {
      book_.progress(kReceived, true);
      book_.finish_batch(out_, true);
    }
    out_.clear();
  }

  Setting setting_;
  Book book_{*Instrument::parse("test:A"), TradeIds::contiguous, setting_};
  Results out_;
  Counts counts_;
  std::uint64_t items_ = 0, steps_before_ = 0;
};

std::vector<std::uint64_t> shuffled(std::vector<std::uint64_t> ids) {
  std::shuffle(ids.begin(), ids.end(), std::mt19937_64{7});
  return ids;
}

// Steps of an item in each phase.
struct Steps {
  std::uint64_t made, opened, mended;
};

void expect_nearly_linear(const Steps& few, const Steps& many) {
  for (const auto& [what, step] :
       {std::pair{"made", &Steps::made}, {"opened", &Steps::opened}, {"mended", &Steps::mended}}) {
    EXPECT_LE(many.*step, kStepsPerItem) << what;
    EXPECT_LE(many.*step, kGrowth * (few.*step + 100)) << what;
  }
}

Steps fills_holes(std::uint64_t holes, bool in_order) {
  Heart heart;
  std::vector<std::uint64_t> missing;
  heart.begin();
  for (std::uint64_t i = 0; i <= holes; ++i) {
    heart.trade(1 + 2 * i);
    if (i < holes) missing.push_back(2 + 2 * i);
  }
  Steps steps{};
  steps.made = heart.steps_per_item();
  heart.end();
  steps.opened = heart.steps_per_item() / holes;
  heart.begin();
  for (const std::uint64_t id : in_order ? missing : shuffled(missing)) heart.trade(id);
  steps.mended = heart.steps_per_item();
  EXPECT_EQ(heart.counts().accepted, 2 * holes + 1);
  return steps;
}

TEST(Scale, TwentyThousandHolesFilledInOrder) {
  expect_nearly_linear(fills_holes(2'000, true), fills_holes(20'000, true));
}
TEST(Scale, TwentyThousandHolesFilledInNoOrder) {
  expect_nearly_linear(fills_holes(2'000, false), fills_holes(20'000, false));
}

// `known`: between two accepted trades. `fit`: their times are between those of their neighbours.
Steps replaces_held(std::uint64_t held, bool known, bool fit, bool in_order) {
  Heart heart;
  std::vector<std::uint64_t> ids;
  heart.begin();
  if (known) heart.trade(1);
  if (known) heart.trade(held + 2);
  for (std::uint64_t id = 2; id < held + 2; ++id) {
    heart.bad(id, fit ? id : 10'000'000);
    ids.push_back(id);
  }
  EXPECT_EQ(heart.counts().held, held);
  Steps steps{};
  steps.made = heart.steps_per_item();
  heart.end();
  steps.opened = heart.steps_per_item() / held;
  heart.begin();
  for (const std::uint64_t id : in_order ? ids : shuffled(ids)) heart.trade(id);
  steps.mended = heart.steps_per_item();
  EXPECT_EQ(heart.counts().accepted, held + (known ? 2 : 0));
  EXPECT_EQ(heart.counts().released, held);
  return steps;
}

void expect_held_nearly_linear(bool known, bool fit, bool in_order) {
  expect_nearly_linear(replaces_held(3'000, known, fit, in_order), replaces_held(30'000, known, fit, in_order));
}
TEST(Scale, ThirtyThousandHeldIdsThatNothingWasKnownOf) { expect_held_nearly_linear(false, true, true); }
TEST(Scale, ThirtyThousandHeldIdsThatAreKnown) { expect_held_nearly_linear(true, true, true); }
TEST(Scale, ThirtyThousandHeldIdsThatAreKnownInNoOrder) { expect_held_nearly_linear(true, true, false); }
TEST(Scale, ThirtyThousandHeldIdsWhoseTimesContradict) { expect_held_nearly_linear(true, false, true); }

}  // namespace
}  // namespace truetape::market
