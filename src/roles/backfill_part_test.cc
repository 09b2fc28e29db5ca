// Long gaps of which the venue gives only a part: what is asked for, in pieces of a unit (here 1,000 ids), and what is
// said in the end.
#include "roles/backfill_testing.h"

namespace truetape {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using What = FillAnswer::What;

constexpr std::uint64_t kNoEnd = std::numeric_limits<std::uint64_t>::max();

// One gap of kBtc, a venue that has some of it, and a `process` that makes of each answer what the heart makes of it:
// a row keeps its ends while its hole shrinks, and is cut in two where trades come in its midst.
class BackfillPartTest : public BackfillTest {
 protected:
  struct Hole {
    FillRange ids, row;
  };

  BackfillPartTest() {
    has_ = [this](const FillQuestion& question) { return answer(question); };
  }

  FillAnswer answer(const FillQuestion& question) {
    FillAnswer out;
    const std::uint64_t first = question.first_id, last = question.last_id.value_or(first);
    // The trade before the first comes with it, as a neighbour.
    const FillRange given{std::max(first - 1, venue_.first), std::min(last, venue_.last)};
    if (given.first <= given.last) {
      out.pages = 1;
      out.trades = given.last - given.first + 1;
      if (last >= venue_.first && first <= venue_.last)
        given_.push_back(std::to_string(std::max(first, given.first)) + "-" + std::to_string(given.last));
      received_.push_back(given);
    }
    if (first < venue_.first) out.missing.push_back({first, std::min(last, venue_.first - 1)});
    if (last > venue_.last) out.missing.push_back({std::max(first, venue_.last + 1), last});
    if (tells_what_comes_ && last > venue_.last)
      out.none_to = kNoEnd;
    else if (tells_what_comes_ && last < venue_.first)
      out.none_to = venue_.first - 1;
    out.what = out.missing.empty() ? What::given : What::part;
    return out;
  }

  void take(const FillRange& came, std::vector<Gap>& rows) {
    std::vector<Hole> after;
    for (const Hole& hole : holes_) {
      const FillRange known{std::max(came.first, hole.ids.first), std::min(came.last, hole.ids.last)};
      if (known.first > known.last) {
        after.push_back(hole);
        continue;
      }
      Hole upper = hole;
      if (known.first > hole.ids.first) {
        const Hole lower{{hole.ids.first, known.first - 1}, {hole.row.first, known.first - 1}};
        after.push_back(lower);
        rows.push_back(row(lower));
        upper.row.first = known.first + 1;
      }
      upper.ids.first = known.last + 1;
      rows.push_back(row(upper));
      if (upper.ids.first <= upper.ids.last) after.push_back(upper);
    }
    holes_ = std::move(after);
  }
  static Gap row(const Hole& hole) {
    Gap out = gap(kBtc, hole.row.first, hole.row.last, std::chrono::seconds{hole.row.first});
    out.missing = hole.ids.last - hole.ids.first + 1;
    out.state = hole.ids.first > hole.ids.last ? GapState::repaired : GapState::progress;
    return out;
  }
  // What has come is processed, and the end of what was given up is told.
  void digest() {
    std::vector<Gap> rows;
    for (const FillRange& came : std::exchange(received_, {})) take(came, rows);
    for (const std::string& text : ends()) {
      const auto dash = text.find('-');
      const FillRange over{std::stoull(text), std::stoull(text.substr(dash + 1))};
      std::erase_if(holes_, [&](const Hole& hole) {
        if (hole.ids.first < over.first || hole.ids.last > over.last) return false;
        rows.push_back(row(hole));
        rows.back().state = GapState::lost;
        return true;
      });
    }
    process(rows);
  }
  void begin(FillRange row, FillRange missing) {
    holes_ = {{missing, row}};
    process({this->row(holes_.front())});
  }
  void go(std::chrono::seconds span) {
    for (auto i = 0s; i < span; ++i) {
      digest();
      pass(500ms);
      digest();
      pass(500ms);
    }
  }
  // The questions; the same again and again only once.
  std::vector<std::string> questions() const {
    std::vector<std::string> out = asked();
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
  }
  // The answers that end something.
  std::vector<std::string> ends() const {
    std::vector<std::string> out = said();
    std::erase_if(out, [](const std::string& text) { return text.ends_with("more"); });
    return out;
  }

  FillRange venue_{1, 0};  // the ids that it has
  bool tells_what_comes_ = true;
  std::vector<Hole> holes_;
  std::vector<FillRange> received_;
  std::vector<std::string> given_;  // what of the questions was given, neighbours not counted
};

TEST_F(BackfillPartTest, ALongGapIsAskedForInPiecesAndNothingTwiceThatWasGiven) {
  struct Case {
    const char* what;
    FillRange row, missing, venue;
    std::vector<std::string> asked, given, ends;
  };
  for (const Case& c : {
           Case{"the venue lacks the newest",
                {1, 5000},
                {1, 5000},
                {1, 2500},
                {"4001-5000", "1-1000", "4001-5000", "1001-2000", "4001-5000", "2001-3000", "4001-5000", "2501-3500"},
                {"1-1000", "1001-2000", "2001-2500"},
                {"2501-5000 exhausted"}},
           Case{"it lacks the oldest",
                {1, 5000},
                {1, 5000},
                {3501, 9000},
                {"4001-5000", "3000-3999", "2501-3500", "1-1000"},
                {"4001-5000", "3501-3999"},
                {"1-3500 exhausted"}},
           Case{"it lacks all, and says so at once",
                {1, 5000},
                {1, 5000},
                {9000, 9999},
                {"4001-5000", "1-1000"},
                {},
                {"1-5000 exhausted"}},
           Case{"the row tells what was filled in before",
                {1, 5000},
                {3001, 5000},
                {1, 4500},
                {"4001-5000", "4501-5000", "3001-3999", "4001-5000", "4501-5000"},
                {"4001-4500", "3001-3999", "4001-4500"},
                {"4001-5000 exhausted"}},
           Case{"the oldest are missing, not the newest",
                {1, 5000},
                {1, 1500},
                {1501, 9000},
                {"4001-5000", "501-1500", "1-1000"},
                {"4001-5000"},
                {"1-1500 exhausted"}},
           Case{"the oldest are missing, and it has none",
                {1, 5000},
                {1, 1500},
                {9000, 9999},
                {"4001-5000", "3501-4500", "1-1000"},
                {},
                {"3501-5000 exhausted", "1-1500 exhausted"}},
       }) {
    SCOPED_TRACE(c.what);
    venue_ = c.venue;
    given_.clear();
    log_ = std::make_unique<MemoryLog>(memory_);
    task_.reset();
    want(kBtc);
    begin(c.row, c.missing);
    start();
    go(200s);
    EXPECT_THAT(questions(), ElementsAreArray(c.asked));
    EXPECT_THAT(given_, ElementsAreArray(c.given));
    EXPECT_THAT(ends(), ElementsAreArray(c.ends));
    EXPECT_TRUE(holes_.empty());
    const std::size_t asked_until = asked().size();
    go(30s);
    EXPECT_EQ(asked().size(), asked_until) << "it has ended";
    stop();
  }
}

TEST_F(BackfillPartTest, WhatStandsBetweenTwoHolesIsFound) {
  venue_ = {2001, 3000};
  begin({1, 5000}, {1, 5000});
  start();
  go(200s);
  const auto all = questions();
  ASSERT_GE(all.size(), 7u);
  EXPECT_THAT(std::vector(all.begin(), all.begin() + 7),
              ElementsAre("4001-5000", "1-1000", "2001-3000", "4001-5000", "1001-2000", "3001-4000", "1-1000"));
  EXPECT_THAT(std::set(all.begin() + 5, all.end()), ElementsAre("1-1000", "3001-4000")) << "in turn, until believed";
  EXPECT_THAT(given_, ElementsAre("2001-3000"));
  EXPECT_THAT(ends(), ElementsAre("3001-5000 exhausted", "1-2000 exhausted"));
  EXPECT_TRUE(holes_.empty());
}

TEST_F(BackfillPartTest, WithoutAWordOfWhatComesNextEachPieceIsAskedForInEachRound) {
  venue_ = {9000, 9999};
  tells_what_comes_ = false;
  begin({1, 3500}, {1, 3500});
  start();
  go(100s);
  std::vector<std::string> expected{"2501-3500"};
  const std::vector<std::string> round{"1-1000", "1001-2000", "2001-3000", "3001-3500"};
  for (std::size_t i = 0; i < asked().size() / round.size(); ++i)
    expected.insert(expected.end(), round.begin(), round.end());
  EXPECT_THAT(asked(), ElementsAreArray(expected));
  EXPECT_GE(asked().size(), 1 + 3 * round.size());
  EXPECT_THAT(ends(), ElementsAre("1-3500 exhausted"));
}

TEST_F(BackfillPartTest, WhatTheVenueHasInTheEndIsNotLost) {
  venue_ = {1, 2500};
  begin({1, 5000}, {1, 5000});
  start();
  go(50s);
  EXPECT_EQ(asked().back(), "2501-3500");
  venue_ = {1, 9000};  // its database lagged
  go(200s);
  EXPECT_TRUE(holes_.empty());
  EXPECT_THAT(ends(), ElementsAre());
  EXPECT_THAT(given_, ElementsAre("1-1000", "1001-2000", "2001-2500", "2501-3500", "4001-5000", "3501-3999"));
}

TEST_F(BackfillPartTest, AfterARestartTheRowSaysWhereToGoOn) {
  venue_ = {1, 2500};
  begin({1, 5000}, {1, 5000});
  start();
  for (int i = 0; i < 100 && given_.size() < 2; ++i) {
    digest();
    pass(50ms);
  }
  EXPECT_THAT(asked(), ElementsAre("4001-5000", "1-1000", "4001-5000", "1001-2000"));
  stop();
  digest();
  start();
  go(2s);
  EXPECT_THAT(questions(), ElementsAre("4001-5000", "2001-3000", "4001-5000", "2501-3500"));
}

TEST_F(BackfillPartTest, ANewerGapWaitsForNoMoreThanAPiece) {
  venue_ = {9000, 9999};
  tells_what_comes_ = false;
  begin({1, 5000}, {1, 5000});
  start();
  digest();
  while (asked().size() < 3) pass(50ms);
  process({gap(kEth, 9100, 9101, 7200s)});
  const std::size_t before = asked().size();
  pass(1s);
  digest();
  pass(1s);
  const auto all = asked();
  const auto newer = std::ranges::find(all, "9100-9101");
  ASSERT_NE(newer, all.end());
  EXPECT_LE(newer - all.begin(), static_cast<std::ptrdiff_t>(before) + 1);
  EXPECT_EQ(*(newer + 1), "3001-4000") << "and then it goes on where it was";
}

TEST_F(BackfillPartTest, WhatIsRefusedOfALongGapLeavesTheRestToBeGiven) {
  venue_ = {1001, 4000};
  has_ = [this](const FillQuestion& question) {
    if (question.first_id <= 1000) return without(What::refused, "status 400: out of reach");
    return answer(question);
  };
  begin({1, 5000}, {1, 5000});
  start();
  go(400s);
  EXPECT_THAT(given_, ElementsAre("3000-3999", "1999-2998", "1001-1997"));
  EXPECT_THAT(ends(), testing::UnorderedElementsAre("1-1000 refused", "4001-5000 exhausted"));
  EXPECT_TRUE(holes_.empty());
}

TEST_F(BackfillTest, ALongGapThatIsRefusedIsLostAsAWhole) {
  answers_ = {without(What::refused, "status 400: Invalid symbol.")};
  process({gap(kBtc, 1, 5000)});
  start();
  for (int i = 0; i < 70; ++i) {
    process();
    pass(1s);
  }
  const std::vector<std::string> pieces{"1-1000", "1001-2000", "2001-3000", "3001-4000", "4001-5000"};
  std::vector<std::string> expected{"4001-5000"};
  while (expected.size() < asked().size()) expected.insert(expected.end(), pieces.begin(), pieces.end());
  EXPECT_GE(expected.size(), 16u) << "three rounds";
  EXPECT_THAT(asked(), ElementsAreArray(expected));
  EXPECT_THAT(said(), ElementsAre("1-5000 refused"));
}

}  // namespace
}  // namespace truetape
