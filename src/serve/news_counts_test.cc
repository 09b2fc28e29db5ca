#include "serve/news_counts.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace truetape {
namespace {

class Headlines final : public History {
 public:
  std::vector<News> all;
  Status news(const Selection& what, const std::function<bool(const News&)>& row) const override {
    for (const News& n : all) {
      const bool about = !what.instrument || std::ranges::find(n.related, *what.instrument) != n.related.end();
      if (n.event_time >= *what.from && n.event_time < *what.to && about && !row(n)) break;
    }
    return {};
  }
  Status candles(const Selection&, const std::function<bool(const Candle&)>&) const override { return {}; }
  Status trades(const Selection&, const std::function<bool(const Trade&)>&) const override { return {}; }
  Status gaps(const Selection&, const std::function<bool(const Gap&)>&) const override { return {}; }
  Status quarantine(const Selection&, const std::function<bool(const Quarantined&)>&) const override { return {}; }
  Status progress(const Selection&, const std::function<bool(const Progress&)>&) const override { return {}; }
  Status instruments(const Selection&, const std::function<bool(const Reference&)>&) const override { return {}; }
  Result<std::vector<Instrument>> known_instruments() const override { return std::vector<Instrument>{}; }
  Result<std::optional<std::int64_t>> loaded(std::string_view, std::int32_t) const override {
    return std::optional<std::int64_t>{};
  }
  Result<std::string> log_id() const override { return std::string{}; }
  Result<std::int64_t> logs() const override { return std::int64_t{0}; }
  Result<std::vector<Missing>> missing() const override { return std::vector<Missing>{}; }
  Result<std::unique_ptr<History>> snapshot() const override {
    return failure(Fault::refused, Retry::never, "not of this one");
  }
};

TEST(NewsCounts, WholeWindowsByInstrumentAndSource) {
  const auto at = [](std::int64_t s) { return timestamp_ns(s * 1'000'000'000); };
  const Instrument a = *Instrument::parse("finnhub:AAPL"), m = *Instrument::parse("finnhub:MSFT");
  constexpr std::chrono::minutes kMinute{1};
  constexpr std::chrono::hours kHour{1};
  Headlines history;
  const auto add = [&](std::int64_t s, std::string source, std::vector<Instrument> related) {
    history.all.push_back(
        {"finnhub", std::to_string(history.all.size()), at(s), "h", std::move(source), "", "", std::move(related)});
  };
  add(3600, "Yahoo", {a, m});
  add(3605, "CNBC", {a});
  add(3659, "Yahoo", {a});
  add(3660, "Yahoo", {});
  add(7199, "Yahoo", {m});
  add(7200, "Yahoo", {m});
  Selection what;
  what.from = at(3630);  // inside of a window: it is told whole
  what.to = at(3661);
  using Rows = std::vector<NewsCount>;
  EXPECT_EQ(count_news(history, what, kMinute).value(), (Rows{{a, "CNBC", kMinute, at(3600), 1},
                                                              {a, "Yahoo", kMinute, at(3600), 2},
                                                              {m, "Yahoo", kMinute, at(3600), 1},
                                                              {{}, "Yahoo", kMinute, at(3660), 1}}));
  EXPECT_EQ(count_news(history, what, kHour).value(), (Rows{{{}, "Yahoo", kHour, at(3600), 1},
                                                            {a, "CNBC", kHour, at(3600), 1},
                                                            {a, "Yahoo", kHour, at(3600), 2},
                                                            {m, "Yahoo", kHour, at(3600), 2}}));
  what.instrument = m;
  EXPECT_EQ(count_news(history, what, kHour).value(), (Rows{{m, "Yahoo", kHour, at(3600), 2}}));
  what.to = at(3660);  // half open: the window before it is the last
  EXPECT_EQ(count_news(history, what, kMinute).value(), (Rows{{m, "Yahoo", kMinute, at(3600), 1}}));
}

}  // namespace
}  // namespace truetape
