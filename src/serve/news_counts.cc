#include "serve/news_counts.h"

#include <map>
#include <tuple>

namespace truetape {
namespace {

constexpr std::array<RowColumn, 5> kColumns{{{"instrument"}, {"source"}, {"interval"}, {"start"}, {"headlines", true}}};

}  // namespace

template <>
std::span<const RowColumn> columns<NewsCount>() {
  return kColumns;
}

void put_cells(const NewsCount& row, RowCells& out) {
  out.text(row.instrument.text());
  out.text(row.source);
  out.text(to_text(row.interval));
  out.time(row.start);
  out.number(row.headlines);
}

Result<std::vector<NewsCount>> count_news(const History& history, Selection what, Interval interval) {
  std::map<std::tuple<Timestamp, Instrument, std::string>, std::uint64_t> counts;
  const Timestamp last = *what.to - Nanoseconds{1};
  what.from = window_start(*what.from, interval);
  what.to = window_start(last, interval) + interval;
  const Status read = history.news(what, [&](const News& news) {
    const Timestamp start = window_start(news.event_time, interval);
    for (const Instrument& instrument : news.related)
      if (!what.instrument || *what.instrument == instrument) ++counts[{start, instrument, news.source}];
    if (news.related.empty()) ++counts[{start, {}, news.source}];
    return true;
  });
  if (!read && read.error().fault != Fault::not_found) return tl::unexpected{read.error()};
  std::vector<NewsCount> out;
  for (const auto& [key, headlines] : counts)
    out.push_back({std::get<1>(key), std::get<2>(key), interval, std::get<0>(key), headlines});
  return out;
}

}  // namespace truetape
