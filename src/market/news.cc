#include "market/news.h"

#include <algorithm>

#include "market/bytes.h"

namespace truetape::market {

void NewsDesk::fold(const News& news, Results& out) {
  const Id id{news.venue, news.id};
  const auto [found, fresh] = ids_.try_emplace(id, Known{news.event_time, {}, std::nullopt});
  Known& known = found->second;
  std::vector<Instrument>& related = known.related;
  const std::size_t before = related.size();
  for (const Instrument& instrument : news.related)
    if (related.size() < kRelated && std::ranges::find(related, instrument) == related.end())
      related.push_back(instrument);
  if (fresh) {
    by_time_.emplace(news.event_time, id);
    out.news.push_back(news);
    if (counts_.is_new(known.time)) {
      known.source = NewsCounter::counted_source(news.source);
      const NewsCounter::Place place{news.venue, *known.source, known.time};
      for (const Instrument& instrument : related) counts_.count(place, instrument);
      if (related.empty()) counts_.count(place, {});
    }
  } else {
    // The same headline, asked for under another symbol.
    if (related.size() == before) return;
    News& again = out.news.emplace_back(news);
    again.event_time = known.time;
    again.related = related;
    if (known.source) {
      if (NewsCounter::counted_source(again.source) != *known.source) again.source = *known.source;
      const NewsCounter::Place place{news.venue, *known.source, known.time};
      if (before == 0) counts_.take_back(place, {});
      for (std::size_t i = before; i < related.size(); ++i) counts_.count(place, related[i]);
    }
  }
  touched_.insert(id);
  while (by_time_.size() > kIds) {
    const auto [time, oldest] = *by_time_.begin();
    by_time_.erase(by_time_.begin());
    ids_.erase(oldest);
    touched_.insert(oldest);
    counts_.seal(time + Nanoseconds{1});  // of other ids of that time it may be one that was forgotten too
  }
  counts_.limit_rows();
}

void NewsDesk::finish_batch(Results& out, std::int64_t epoch) {
  for (const Id& id : touched_) {
    std::string key = "\nn/";
    Writer{key}.text(id.first);
    Writer{key}.text(id.second);
    const auto found = ids_.find(id);
    std::optional<std::string> value;
    if (found != ids_.end()) {
      Writer w{value.emplace()};
      w.time(found->second.time);
      w.number(found->second.related.size());
      for (const Instrument& instrument : found->second.related) w.text(instrument.text());
      w.optional(found->second.source, [&](const std::string& source) { w.text(source); });
    }
    out.state.emplace_back(std::move(key), std::move(value));
  }
  touched_.clear();
  counts_.finish_batch(out, epoch);
}

void NewsDesk::restore(std::string_view key, std::string_view value) {
  if (NewsCounter::is_key(key)) return counts_.restore(key, value);
  Reader name{key.substr(2)}, in{value};
  std::string venue{name.text()};
  Id id{std::move(venue), std::string{name.text()}};
  name.end();
  Known known;
  known.time = in.time();
  for (auto n = in.number(); n > 0; --n) known.related.push_back(Instrument::parse(in.text()).value_or(Instrument{}));
  // A program of state version 3 wrote no more than that, and did not count.
  if (!in.at_end()) known.source = in.optional([&] { return std::string{in.text()}; });
  in.end();
  by_time_.emplace(known.time, id);
  ids_.insert_or_assign(std::move(id), std::move(known));
}

void NewsDesk::restored(bool uncounted) {
  if (uncounted && !by_time_.empty()) counts_.begin_after(by_time_.rbegin()->first);
}

}  // namespace truetape::market
