// make_loose_history: a venue whose ids rise but are not contiguous, as an ingest and a backfiller wrote it.
#include <algorithm>

#include "writer.h"

namespace truetape::model {
namespace {

class Maker {
 public:
  Maker(Dice& dice, bool honest) : dice_{dice}, honest_{honest}, market_{make_market(dice, kSmall, false)} {
    for (Listing& l : market_.listings) {
      l.venue = "loose";
      std::uint64_t id = l.trades.front().id;
      std::erase_if(l.trades, [](const Happened& h) { return h.empty; });
      std::int64_t time = 0;
      for (Happened& h : l.trades) {
        h.id = id += static_cast<std::uint64_t>(dice.in(1, 6));
        if (honest) h.time = time = std::max(time, h.time);
      }
    }
  }

  History make() {
    std::int64_t first = INT64_MAX, last = 0;
    for (const Listing& l : market_.listings) {
      first = std::min(first, l.trades.front().time);
      last = std::max(last, l.trades.back().time);
    }
    const std::int64_t span = last - first;
    start_a_ = first + span / 100 * dice_.in(0, 20);
    cut_a_ = first + span / 100 * dice_.in(30, 60);
    const std::int64_t outages[] = {0, 300 * kMs, 20 * kSecond, 4 * kMinute, 20 * kMinute};
    start_b_ = cut_a_ + outages[dice_.in(0, 4)] - (dice_.chance(20) ? 5 * kSecond : 0);
    const std::int64_t end = last + dice_.in(0, 3) * 6 * kMinute;
    Writer w{dice_, market_};
    for (const Listing& l : market_.listings) {
      send(l, w);
      ask(l, w);
    }
    keep_alive(w, "s-a", start_a_, cut_a_);
    keep_alive(w, "s-b", start_b_, end);
    for (int i = 0; i < 6; ++i) w.add_session(end + kSecond + i * 10 * kMs, "s-b", "beat", start_b_, end > last);
    History history;
    history.messages = w.finish({});
    if (dice_.chance(20))
      history.messages.erase(history.messages.begin() +
                             dice_.in(0, static_cast<std::int64_t>(history.messages.size()) - 1));
    add_tape_configs(market_, history.messages);
    for (Message& m : history.messages) m.with(header::venue, "loose");
    return history;
  }

  Market market() && { return std::move(market_); }

 private:
  void keep_alive(Writer& w, const std::string& session, std::int64_t from, std::int64_t to) {
    w.add_session(from, session, "open", from, dice_.chance(30));
    for (std::int64_t t = from + dice_.in(0, 3'000) * kMs; t < to; t += dice_.in(2, 40) * kSecond)
      w.add_session(t, session, "beat", from, dice_.chance(50));
  }

  // What came live; some frames never did.
  void send(const Listing& l, Writer& w) {
    std::size_t lost = 0;
    for (const Happened& h : l.trades) {
      if (lost == 0 && dice_.in(0, 999) < 15) lost = static_cast<std::size_t>(dice_.in(1, 15));
      if (lost > 0 && lost-- > 0) continue;
      const std::string session = h.time >= start_a_ && h.time < cut_a_ ? "s-a" : h.time >= start_b_ ? "s-b" : "";
      if (session.empty()) continue;
      const std::int64_t late = !honest_ && dice_.in(0, 999) < 10 ? dice_.in(1, 900) * kSecond : 0;
      const bool bad = !honest_ && dice_.in(0, 999) < 5;
      w.add_line(h.time + dice_.in(5, 300) * kMs + late, l, session, line(l.symbol, h, bad ? 'H' : 'T'), h.time);
      if (dice_.in(0, 999) < 10) w.add_line(h.time + dice_.in(5, 2'000) * kMs, l, session, line(l.symbol, h), h.time);
    }
  }

  // The last so many trades, asked for now and then; some of the answers are old.
  void ask(const Listing& l, Writer& w) {
    std::int64_t next = start_a_;
    const std::int64_t most = dice_.in(5, 100);
    const std::int64_t every = dice_.in(2, 200);
    for (std::size_t i = 0; i < l.trades.size(); ++i) {
      if (l.trades[i].time < next) continue;
      next = l.trades[i].time + dice_.in(1, every) * kSecond;
      if (dice_.chance(20)) next += 15 * kMinute;
      const std::size_t n = static_cast<std::size_t>(dice_.in(2, most));
      Message page = Writer::message(RawKind::backfill, l);
      for (std::size_t k = i + 1 > n ? i + 1 - n : 0; k <= i; ++k) {
        if (!honest_ && dice_.in(0, 999) < 4) continue;  // left out
        page.bytes += line(l.symbol, l.trades[k], !honest_ && dice_.in(0, 999) < 3 ? 'H' : 'T') + "\n";
      }
      w.add(l.trades[i].time + dice_.in(10, 3'000) * kMs + (dice_.chance(10) ? dice_.in(1, 20) * kMinute : 0),
            std::move(page));
    }
  }

  Dice& dice_;
  const bool honest_;
  Market market_;
  std::int64_t start_a_ = 0, cut_a_ = 0, start_b_ = 0;
};

}  // namespace

History make_loose_history(Dice& dice, bool honest, Market* market) {
  Maker maker{dice, honest};
  History out = maker.make();
  if (market != nullptr) *market = std::move(maker).market();
  return out;
}

}  // namespace truetape::model
