// Pages of rows from a store, and beside it what the memory knows better: read piece by piece, each piece a snapshot of
// its own that goes on behind the row before, so that nothing has to be kept open or held while a client reads.
#pragma once

#include <algorithm>
#include <charconv>
#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "core/row_order.h"
#include "serve/render.h"
#include "stores/history.h"

namespace truetape {

// Where a row stands among the rows of one answer, and how it is read. Numbers and texts only: a cursor is made of it.
template <class T>
struct Paged;

template <>
struct Paged<Candle> {  // of one instrument, tape and interval
  using Place = std::tuple<std::int64_t>;
  static Place place(const Candle& c) { return {to_ns(c.start)}; }
  static void narrow(Selection& what, const Place& from) { what.from = later(what.from, std::get<0>(from)); }
  static Status read(const History& h, const Selection& what, const std::function<bool(const Candle&)>& row) {
    return h.candles(what, row);
  }
  static bool newer(const Candle& a, const Candle& b) { return replaces(row_order(a), row_order(b)); }
  static std::optional<Timestamp> later(std::optional<Timestamp> a, std::int64_t b) {
    return std::max(a.value_or(timestamp_ns(b)), timestamp_ns(b));
  }
};

template <>
struct Paged<Trade> {  // of one instrument and tape
  using Place = std::tuple<std::int64_t, bool, std::uint32_t, std::uint64_t, std::string, std::uint64_t, std::uint32_t>;
  static Place place(const Trade& t) {
    if (!t.id.empty()) return {to_ns(t.event_time), false, t.era, t.order, {}, 0, 0};
    return {to_ns(t.event_time), true, 0, 0, t.source.str(), t.seq, t.ordinal};
  }
  static void narrow(Selection& what, const Place& from) {
    what.from = Paged<Candle>::later(what.from, std::get<0>(from));
  }
  static Status read(const History& h, const Selection& what, const std::function<bool(const Trade&)>& row) {
    return h.trades(what, row);
  }
  static bool newer(const Trade&, const Trade&) { return false; }
};

template <>
struct Paged<Gap> {
  using Place = std::tuple<std::string, int, std::int64_t, std::uint32_t, std::uint64_t>;
  static Place place(const Gap& g) {
    return {g.instrument.str(), static_cast<int>(g.tape), to_ns(g.from), g.era, g.first_id};
  }
  static void narrow(Selection&, const Place&) {}
  static Status read(const History& h, const Selection& what, const std::function<bool(const Gap&)>& row) {
    return h.gaps(what, row);
  }
  static bool newer(const Gap& a, const Gap& b) { return replaces(row_order(a), row_order(b)); }
};

template <>
struct Paged<Quarantined> {
  using Place = std::tuple<std::string, std::int32_t, std::int64_t, std::uint32_t>;
  static Place place(const Quarantined& q) { return {q.instrument.str(), q.partition, q.offset, q.ordinal}; }
  static void narrow(Selection&, const Place&) {}
  static Status read(const History& h, const Selection& what, const std::function<bool(const Quarantined&)>& row) {
    return h.quarantine(what, row);
  }
  static bool newer(const Quarantined&, const Quarantined&) { return false; }
};

template <>
struct Paged<News> {
  using Place = std::tuple<std::int64_t, std::string, std::string>;
  static Place place(const News& n) { return {to_ns(n.event_time), n.venue, n.id}; }
  static void narrow(Selection& what, const Place& from) {
    what.from = Paged<Candle>::later(what.from, std::get<0>(from));
  }
  static Status read(const History& h, const Selection& what, const std::function<bool(const News&)>& row) {
    return h.news(what, row);
  }
  static bool newer(const News&, const News&) { return false; }
};

// A place as text and back: its members, each on a line.
template <class Place>
std::string place_text(const Place& place) {
  std::string out;
  const auto add = [&](const auto& member) {
    if constexpr (std::is_same_v<std::decay_t<decltype(member)>, std::string>)
      out += member;
    else
      out += std::to_string(member);
    out += '\n';
  };
  std::apply([&](const auto&... member) { (add(member), ...); }, place);
  return out;
}
template <class Place>
std::optional<Place> parse_place(std::string_view text) {
  Place out;
  bool good = true;
  const auto take = [&](auto& member) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return void(good = false);
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(end + 1);
    if constexpr (std::is_same_v<std::decay_t<decltype(member)>, std::string>) {
      member = part;
    } else if constexpr (std::is_same_v<std::decay_t<decltype(member)>, bool>) {
      member = part == "1";
    } else {
      const auto [stop, error] = std::from_chars(part.data(), part.data() + part.size(), member);
      good = good && error == std::errc{} && stop == part.data() + part.size();
    }
  };
  std::apply([&](auto&... member) { (take(member), ...); }, out);
  return good && text.empty() ? std::optional{std::move(out)} : std::nullopt;
}

template <class T>
struct PageQuery {
  using Place = typename Paged<T>::Place;
  Selection what;
  std::vector<T> overlay;      // in order, all that match `what`
  std::optional<Place> after;  // not it, nor what is before
  std::optional<Place> at_least;
  std::optional<Place> until;  // it, nothing behind it
  // If set, the overlay may have rows that do not match `what` any more: they stand for what the store has of them.
  std::function<bool(const T&)> matches = {};
};

template <class T>
struct Page {
  std::string text;  // as the format wants them, JSON joined by commas
  std::uint64_t count = 0;
  std::optional<typename Paged<T>::Place> last;
  bool more = false;  // there is at least one behind the last
};

// Store and overlay as one order; of two rows of one place the newer. A store that is not there yet has none.
template <class T>
Status merged(const History& history, const PageQuery<T>& query, const std::function<bool(const T&)>& row) {
  using P = Paged<T>;
  Selection what = query.what;
  if (query.after) P::narrow(what, *query.after);
  if (query.at_least) P::narrow(what, *query.at_least);
  const auto wanted = [&](const typename P::Place& place) {
    return (!query.after || place > *query.after) && (!query.at_least || place >= *query.at_least) &&
           (!query.until || place <= *query.until);
  };
  const auto give = [&](const T& one) { return (query.matches && !query.matches(one)) || row(one); };
  auto next = query.overlay.begin();
  bool on = true;
  const auto up_to = [&](const typename P::Place* place) {
    for (; on && next != query.overlay.end(); ++next) {
      const auto own = P::place(*next);
      if (place != nullptr && own >= *place) return;
      if (wanted(own)) on = give(*next);
    }
  };
  const Status done = P::read(history, what, [&](const T& stored) {
    const auto place = P::place(stored);
    if (query.until && place > *query.until) return false;
    if (!wanted(place)) return true;
    up_to(&place);
    if (!on) return false;
    const bool both = next != query.overlay.end() && P::place(*next) == place;
    on = give(both && P::newer(*next, stored) ? *next : stored);
    if (both) ++next;
    return on;
  });
  if (!done && done.error().fault != Fault::not_found) return done;
  up_to(nullptr);
  return {};
}

// The next rows, at most so many, and no more of them when the text is that long. Any thread; blocks.
template <class T>
Result<Page<T>> read_page(const History& history, const PageQuery<T>& query, Format format, std::uint64_t most_rows,
                          std::size_t most_bytes) {
  Page<T> page;
  RowText text;
  const Status done = merged<T>(history, query, [&](const T& row) {
    if (page.count == most_rows || page.text.size() >= most_bytes) {
      page.more = true;
      return false;
    }
    if (format == Format::csv) {
      text.csv(row, page.text);
    } else {
      if (format == Format::json && page.count > 0) page.text += ',';
      text.json(row, page.text);
      if (format == Format::ndjson) page.text += '\n';
    }
    ++page.count;
    page.last = Paged<T>::place(row);
    return true;
  });
  if (!done) return tl::unexpected{done.error()};
  return page;
}

// Where the newest `count` rows begin; nullopt: there are no rows. Any thread; blocks.
template <class T>
Result<std::optional<typename Paged<T>::Place>> newest_place(const History& history, const PageQuery<T>& query,
                                                             std::uint64_t count) {
  std::vector<typename Paged<T>::Place> places;
  for (const T& row : query.overlay)
    if (!query.matches || query.matches(row)) places.push_back(Paged<T>::place(row));
  Selection what = query.what;
  what.limit = count;
  what.newest = true;
  const Status done = Paged<T>::read(history, what, [&](const T& row) {
    places.push_back(Paged<T>::place(row));
    return true;
  });
  if (!done && done.error().fault != Fault::not_found) return tl::unexpected{done.error()};
  std::ranges::sort(places);
  places.erase(std::unique(places.begin(), places.end()), places.end());
  if (places.empty()) return std::optional<typename Paged<T>::Place>{};
  return std::optional{places[places.size() - std::min<std::size_t>(places.size(), count)]};
}

// The place of the last of the next `count` rows, and whether there are more behind it. Any thread; blocks.
template <class T>
Result<Page<T>> measure(const History& history, const PageQuery<T>& query, std::uint64_t count) {
  Page<T> page;
  const Status done = merged<T>(history, query, [&](const T& row) {
    if (page.count == count) {
      page.more = true;
      return false;
    }
    ++page.count;
    page.last = Paged<T>::place(row);
    return true;
  });
  if (!done) return tl::unexpected{done.error()};
  return page;
}

}  // namespace truetape
