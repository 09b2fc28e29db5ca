// Deliveries of one set of facts in different orders.
#include <algorithm>

#include "writer.h"

namespace truetape::model {

std::string_view name(Way way) {
  switch (way) {
    case Way::live:
      return "live";
    case Way::live_with_backfill:
      return "live with backfill";
    case Way::one_file:
      return "one file";
    case Way::chunks_shuffled:
      return "chunks shuffled";
    case Way::two_files_late_first:
      return "two files, the later first";
    case Way::half_live:
      return "a file, then live";
  }
  return "";
}

History deliver(Dice& dice, const Market& market, const std::vector<std::vector<bool>>& lost, Way way) {
  Writer w{dice, market};
  std::int64_t first = INT64_MAX, last = 0;
  for (const Listing& l : market.listings) {
    first = std::min(first, l.trades.front().time);
    last = std::max(last, l.trades.back().time);
  }
  const std::int64_t middle = first + (last - first) / 2;
  const std::int64_t live_from = way == Way::live || way == Way::live_with_backfill ? first - kSecond
                                 : way == Way::half_live                            ? middle
                                                                                    : INT64_MAX;
  for (std::size_t x = 0; x < market.listings.size(); ++x) {
    const Listing& l = market.listings[x];
    const std::size_t n = l.trades.size();
    std::vector<const Happened*> early, late;
    // Rows of one chunk must not be neighbours across a lost trade, so the file is cut there.
    std::vector<Message> parts;
    const auto flush = [&](std::vector<const Happened*>& rows) {
      auto made = w.chunks(l, rows, "f-" + l.symbol, true, static_cast<std::int64_t>(rows.size()),
                           static_cast<std::int64_t>(rows.size()));
      parts.insert(parts.end(), made.begin(), made.end());
      rows.clear();
    };
    std::vector<std::size_t> withheld;
    std::vector<const Happened*> rows;
    const auto most = static_cast<std::size_t>(dice.in(10, 200));
    for (std::size_t i = 0; i < n; ++i) {
      const Happened& h = l.trades[i];
      if (lost[x][i]) {
        flush(rows);
        continue;
      }
      if (h.time >= live_from) {
        flush(rows);
        const bool hidden = way == Way::live_with_backfill && i > 0 && i + 1 < n && !lost[x][i - 1] &&
                            !lost[x][i + 1] && dice.chance(10);
        if (hidden) {
          withheld.push_back(i);
        } else {
          w.add_line(h.time + dice.in(5, 300) * kMs, l, "s-a", line(l.symbol, h), h.time);
        }
        // What the venue never had is seen on a page of its REST API.
        const bool skips = i > 0 && !lost[x][i - 1] && l.trades[i - 1].id + 1 != h.id;
        if (skips) withheld.push_back(i);
        continue;
      }
      rows.push_back(&h);
      if (rows.size() > most) {
        flush(rows);
        rows.push_back(&h);  // its neighbours on both sides stay neighbours
      }
    }
    flush(rows);
    for (const std::size_t i : withheld) {
      Message page = Writer::message(RawKind::backfill, l);
      page.with(header::venue, "test");
      for (std::size_t k = i - 1; k < std::min(n, i + 2); ++k)
        if (!lost[x][k]) page.bytes += line(l.symbol, l.trades[k]) + "\n";
      w.add(l.trades[i].time + dice.in(2, 500) * kSecond, std::move(page));
    }
    if (way == Way::chunks_shuffled) dice.shuffle(parts);
    if (way == Way::two_files_late_first)
      std::rotate(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(parts.size() / 2), parts.end());
    const std::int64_t at = live_from == INT64_MAX ? last + kHour : first - kMinute;
    // Of some symbols all is declared: before any fact, or behind all of them.
    const bool declared = x % 2 == 1 && !lost[x].front() && !lost[x].back();
    const bool before = way == Way::chunks_shuffled || way == Way::half_live || way == Way::live;
    const auto declare = [&](std::int64_t when) {
      Message coverage = Writer::message(RawKind::coverage, l);
      coverage.with(header::from, std::to_string(first - kMinute)).with(header::to, std::to_string(last + kMinute));
      w.add(when, std::move(coverage));
    };
    if (declared && before) declare(first - kHour);
    w.add(at, with_range(Writer::message(RawKind::begin, l), "file-" + l.symbol, first - kHour, last + kHour));
    for (Message& m : parts) w.add(at, std::move(m));
    w.add(at, Writer::message(RawKind::end, l).with(header::range, "file-" + l.symbol));
    if (declared && !before) declare(last + kHour + kMinute);
  }
  if (live_from != INT64_MAX) {
    w.add_session(live_from, "s-a", "open", live_from, false);
    for (std::int64_t t = live_from + 2 * kSecond; t < last + 2 * kMinute; t += 20 * kSecond)
      w.add_session(t, "s-a", "beat", live_from, dice.chance(50));
    for (int i = 0; i < 12; ++i) w.add_session(last + 20 * kMinute + i * kMs, "s-a", "beat", live_from, true);
  }
  History history{w.finish({})};
  // The importer's clock shows a time after the trades, whatever the place of the record in the log.
  for (Message& m : history.messages)
    if (m.kind == RawKind::history) m.receive = last + kHour;
  add_tape_configs(market, history.messages);
  return history;
}

}  // namespace truetape::model
