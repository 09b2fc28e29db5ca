#include "market/news_counts.h"

#include <algorithm>

#include "market/bytes.h"

namespace truetape::market {

std::string_view NewsCounter::counted_source(std::string_view source) {
  if (source.size() <= kSourceBytes) return source;
  std::size_t size = kSourceBytes;
  while (size > 0 && (static_cast<unsigned char>(source[size]) & 0xc0) == 0x80) --size;  // in a character
  return source.substr(0, size);
}

template <class Change>
void NewsCounter::change(const Place& place, const Instrument& instrument, Change change_row) {
  for (const Interval interval : NewsCount::kIntervals) {
    const Timestamp end = window_start(place.time, interval) + interval;
    if (sealed_ && end <= *sealed_) continue;
    Key key{end, interval, instrument, place.venue, place.source};
    Tally& tally = rows_[key];
    change_row(tally);
    ++tally.revision;
    changed_.insert(std::move(key));
  }
}

void NewsCounter::limit_rows() {
  while (rows_.size() > most_rows_) seal(rows_.begin()->first.end);
}

void NewsCounter::count(const Place& place, const Instrument& instrument) {
  change(place, instrument, [&](Tally& tally) {
    const bool first = tally.revision == 0;
    tally.first = first ? place.time : std::min(tally.first, place.time);
    tally.last = first ? place.time : std::max(tally.last, place.time);
    ++tally.headlines;
  });
}

void NewsCounter::take_back(const Place& place, const Instrument& instrument) {
  change(place, instrument, [](Tally& tally) { tally.headlines -= tally.headlines > 0 ? 1 : 0; });
}

void NewsCounter::seal(Timestamp end) {
  if (sealed_ && end <= *sealed_) return;
  sealed_ = end;
  sealed_changed_ = true;
  while (!rows_.empty() && rows_.begin()->first.end <= end) {
    auto row = rows_.extract(rows_.begin());
    const bool changed = changed_.erase(row.key()) > 0;
    gone_.emplace_back(std::move(row.key()), changed ? std::optional{row.mapped()} : std::nullopt);
  }
}

void NewsCounter::begin_after(Timestamp newest) {
  const Interval longest = NewsCount::kIntervals.back();
  seal(window_start(newest, longest) + longest);
}

void NewsCounter::tell(const Key& key, const Tally& tally, std::int64_t epoch, Results& out) const {
  NewsCount& row = out.news_counts.emplace_back();
  row.venue = key.venue;
  row.instrument = key.instrument;
  row.source = key.source;
  row.interval = key.interval;
  row.start = key.end - key.interval;
  row.headlines = tally.headlines;
  row.first_time = tally.first;
  row.last_time = tally.last;
  row.epoch = epoch;
  row.revision = tally.revision;
}

void NewsCounter::finish_batch(Results& out, std::int64_t epoch) {
  const auto state_key = [](const Key& key) {
    std::string text = "\nw/";
    Writer w{text};
    w.text(key.venue);
    w.text(key.instrument.text());
    w.number(static_cast<std::uint64_t>(key.interval.count()));
    w.time(key.end);
    w.text(key.source);
    return text;
  };
  for (const auto& [key, tally] : gone_) {
    if (tally) tell(key, *tally, epoch, out);
    out.state.emplace_back(state_key(key), std::nullopt);
  }
  gone_.clear();
  for (const Key& key : changed_) {
    const Tally& tally = rows_.at(key);
    tell(key, tally, epoch, out);
    std::string value;
    Writer w{value};
    w.number(tally.headlines);
    w.number(tally.revision);
    w.time(tally.first);
    w.time(tally.last);
    out.state.emplace_back(state_key(key), std::move(value));
  }
  changed_.clear();
  if (!sealed_changed_) return;
  std::string value;
  Writer{value}.time(*sealed_);
  out.state.emplace_back("\nw", std::move(value));
  sealed_changed_ = false;
}

void NewsCounter::restore(std::string_view key, std::string_view value) {
  Reader in{value};
  if (key == "w") {
    sealed_ = in.time();
    return in.end();
  }
  Reader name{key.substr(2)};
  Key row;
  row.venue = name.text();
  row.instrument = Instrument::parse(name.text()).value_or(Instrument{});
  row.interval = Interval{static_cast<std::int64_t>(name.number())};
  row.end = name.time();
  row.source = name.text();
  name.end();
  Tally tally;
  tally.headlines = in.number();
  tally.revision = in.number();
  tally.first = in.time();
  tally.last = in.time();
  in.end();
  rows_.insert_or_assign(std::move(row), tally);
}

}  // namespace truetape::market
