#include "market/news.h"

#include <algorithm>

#include "market/bytes.h"

namespace truetape::market {

void NewsDesk::fold(const News& news, Results& out) {
  const Id id{news.venue, news.id};
  const auto [found, fresh] = ids_.try_emplace(id, Known{news.event_time, news.related});
  if (fresh) {
    by_time_.emplace(news.event_time, id);
    out.news.push_back(news);
  } else {
    // The same headline, asked for under another symbol.
    std::vector<Instrument>& related = found->second.related;
    const std::size_t before = related.size();
    for (const Instrument& instrument : news.related)
      if (std::ranges::find(related, instrument) == related.end()) related.push_back(instrument);
    if (related.size() == before) return;
    News& again = out.news.emplace_back(news);
    again.event_time = found->second.time;
    again.related = related;
  }
  touched_.insert(id);
  while (by_time_.size() > kIds) {
    const Id oldest = by_time_.begin()->second;
    by_time_.erase(by_time_.begin());
    ids_.erase(oldest);
    touched_.insert(oldest);
  }
}

void NewsDesk::finish_batch(Results& out) {
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
    }
    out.state.emplace_back(std::move(key), std::move(value));
  }
  touched_.clear();
}

void NewsDesk::restore(std::string_view key, std::string_view value) {
  Reader name{key.substr(2)}, in{value};
  std::string venue{name.text()};
  Id id{std::move(venue), std::string{name.text()}};
  name.end();
  Known known;
  known.time = in.time();
  for (auto n = in.number(); n > 0; --n) known.related.push_back(Instrument::parse(in.text()).value_or(Instrument{}));
  in.end();
  by_time_.emplace(known.time, id);
  ids_.insert_or_assign(std::move(id), std::move(known));
}

}  // namespace truetape::market
