// make_history: what an ingest, a backfiller and an importer wrote of one market.
#include <algorithm>
#include <array>
#include <map>
#include <sstream>

#include "writer.h"

namespace truetape::model {
namespace {

enum class Fate { live, missing_repaired, missing_lost, missing_left, before };

constexpr std::size_t kAround = 4, kAfter = 40;  // trades beside a hole that is promised which come as they should

// What becomes of one listing's trades.
struct Part {
  const Listing& l;
  std::size_t n = l.trades.size();
  std::vector<Fate> fate = std::vector<Fate>(n, Fate::live);
  std::vector<bool> plain = std::vector<bool>(n, false);     // comes promptly and as it was
  std::vector<bool> promised = std::vector<bool>(n, false);  // missing, and its hole ends as it should
  std::size_t known_from = 0;                                // trades before it were before the first session
  std::size_t era_end = n;                                   // first trade of the second era
  std::int64_t era_time = INT64_MAX;
  bool quiet_era = false;      // there is a second era: no mischief, so that it can be told what belongs where
  bool era_before_us = false;  // all that we see is of the new era
};

class Maker {
 public:
  Maker(Dice& dice, const Market& market, bool promises)
      : dice_{dice}, market_{market}, promises_{promises}, w_{dice, market} {}

  History make() {
    plan();
    for (const Listing& l : market_.listings) {
      Part p{l};
      decide(p);
      if (promises_ && !p.quiet_era) {
        promise(p, Fate::missing_repaired, history_.repaired);
        promise(p, Fate::missing_lost, history_.lost);
      }
      send(p);
      fill(p);
      tell_absent(p);
      file(p);
    }
    keep_alive("s-a", start_a_, cut_a_, dice_.chance(50));
    keep_alive("s-b", start_b_, end_, false);
    if (twin_) keep_alive("s-c", start_c_, cut_c_, dice_.chance(50));
    for (int i = 0; i < 12; ++i) w_.add_session(end_ + kSecond + i * 10 * kMs, "s-b", "beat", start_b_, end_ > last_);
    history_.messages = w_.finish(offsets_);
    lose_and_repeat();
    add_tape_configs(market_, history_.messages);
    name_places();
    return std::move(history_);
  }

 private:
  void plan();
  void decide(Part& p);
  void promise(Part& p, Fate fate, std::uint64_t& count);
  void send(Part& p);
  void send_mischief(const Part& p, std::size_t i, std::int64_t at, const std::string& to);
  void judge_later(const Listing& l, const Happened& h, std::int64_t at, std::int64_t what);
  void send_spoiled(const Part& p, std::size_t i, std::int64_t at, const std::string& to);
  void fill(Part& p);
  void tell_absent(Part& p);
  void file(Part& p);
  void keep_alive(const std::string& session, std::int64_t from, std::int64_t to, bool close);
  void lose_and_repeat();
  void name_places();

  std::string session_of(std::int64_t t) const {
    if (t >= start_a_ && t < cut_a_) return "s-a";
    if (t >= start_b_) return "s-b";
    return "";
  }
  bool in_twin(std::int64_t t) const {
    return twin_ && t >= start_c_ && t < cut_c_ && (twin_spans_cut_ || !session_of(t).empty());
  }
  std::int64_t wire(const Part& p, std::size_t i) {
    const Happened& h = p.l.trades[i];
    const std::int64_t usual = dice_.in(5, 300) * kMs;
    return usual + (h.era == 0 && dice_.chance(2) && h.time + 20 * kSecond < p.era_time ? dice_.in(1, 3'000) * kMs : 0);
  }

  Dice& dice_;
  const Market& market_;
  const bool promises_;
  Writer w_;
  History history_;
  std::int64_t first_ = INT64_MAX, last_ = 0, end_ = 0;
  std::int64_t start_a_ = 0, cut_a_ = 0, start_b_ = 0, start_c_ = 0, cut_c_ = 0;
  bool twin_ = false, twin_spans_cut_ = false;
  std::vector<std::pair<Message, std::string>> quarantined_;  // what is judged again or dropped, and its line
  std::map<std::string, std::int64_t> offsets_;
};

void Maker::plan() {
  for (const Listing& l : market_.listings) {
    first_ = std::min(first_, l.trades.front().time);
    last_ = std::max(last_, l.trades.back().time);
  }
  const std::int64_t span = last_ - first_;
  start_a_ = first_ + span / 100 * dice_.in(0, 25);
  cut_a_ = first_ + span / 100 * dice_.in(40, 60);
  const std::array<std::int64_t, 5> outages{200 * kMs, 3 * kSecond, 50 * kSecond, 12 * kMinute, 70 * kMinute};
  start_b_ = cut_a_ + outages[static_cast<std::size_t>(dice_.in(0, 4))];
  start_b_ += dice_.in(0, 999) * kMs;
  twin_ = dice_.chance(50);
  start_c_ = cut_a_ - dice_.in(10, 600) * kSecond;
  cut_c_ = start_b_ + dice_.in(1, 300) * kSecond;
  twin_spans_cut_ = dice_.chance(30);
  if (dice_.chance(25)) offsets_["s-a"] = 300 * kSecond;
  if (dice_.chance(25)) offsets_["s-b"] = -300 * kSecond;
  const std::array<std::int64_t, 4> rests{0, 5 * kSecond, 3 * kMinute, 25 * kMinute};
  end_ = last_ + rests[static_cast<std::size_t>(dice_.in(0, 3))];
}

void Maker::decide(Part& p) {
  for (std::size_t i = 0; i < p.n; ++i) {
    const std::int64_t t = p.l.trades[i].time;
    if (t < start_a_) {
      p.fate[i] = Fate::before;
      p.known_from = i + 1;
    } else if (session_of(t).empty() && !in_twin(t)) {
      p.fate[i] = Fate::missing_repaired;
    }
  }
  const auto random_fate = [&] {
    return std::array{Fate::missing_repaired, Fate::missing_repaired, Fate::missing_lost,
                      Fate::missing_left}[static_cast<std::size_t>(dice_.in(0, 3))];
  };
  if (dice_.chance(30)) {
    const Fate f = random_fate();
    for (auto& x : p.fate)
      if (x == Fate::missing_repaired) x = f;
  }
  // Frames that never came.
  const auto bursts = dice_.in(1, 4);
  for (std::int64_t b = 0; b < bursts && p.known_from + 10 < p.n; ++b) {
    const auto i = static_cast<std::size_t>(
        dice_.in(static_cast<std::int64_t>(p.known_from) + 3, static_cast<std::int64_t>(p.n) - 4));
    const Fate f = random_fate();
    for (std::size_t j = i; j < std::min(p.n - 2, i + static_cast<std::size_t>(dice_.in(1, 12))); ++j) p.fate[j] = f;
  }
  p.era_end = static_cast<std::size_t>(
      std::find_if(p.l.trades.begin(), p.l.trades.end(), [](const Happened& h) { return h.era > 0; }) -
      p.l.trades.begin());
  // Nothing of an old era may come after the new one began, and the first trades of the new one must come in order.
  for (std::size_t i = p.era_end; i < std::min(p.n, p.era_end + 4); ++i) p.fate[i] = Fate::live;
  p.quiet_era = p.era_end < p.n;
  if (p.quiet_era) p.era_time = p.l.trades[p.era_end].time;
  p.era_before_us = p.quiet_era && p.era_time < start_a_ + kSecond;
  for (std::size_t i = 0; i < p.n; ++i)
    p.plain[i] = p.quiet_era && !p.era_before_us && i + 4 >= p.era_end && i < p.era_end + 4;
}

// A hole that opens and comes to this end for sure: in the midst of one session, between trades that come as they
// should, and told of only when time has passed it.
void Maker::promise(Part& p, Fate fate, std::uint64_t& count) {
  for (int tries = 0; tries < 100; ++tries) {
    const auto length = static_cast<std::size_t>(dice_.in(2, 8));
    if (p.known_from + kAround + length + kAfter + 2 >= p.n) return;
    const auto first = static_cast<std::size_t>(dice_.in(static_cast<std::int64_t>(p.known_from + kAround),
                                                         static_cast<std::int64_t>(p.n - length - kAfter - 2)));
    const std::size_t right = first + length, from = first - kAround, to = right + kAfter;
    const std::string session = session_of(p.l.trades[from].time);
    bool fits = !session.empty() && p.l.trades[to].time >= p.l.trades[right].time + 3 * kSecond;
    for (std::size_t i = from; i <= to && fits; ++i)
      fits = session_of(p.l.trades[i].time) == session && !p.promised[i] && !p.plain[i];
    if (!fits) continue;
    for (std::size_t i = from; i <= to; ++i) {
      const bool missing = i >= first && i < right;
      p.fate[i] = missing ? fate : Fate::live;
      p.promised[i] = missing;
      p.plain[i] = !missing;
    }
    ++count;
    return;
  }
}

void Maker::send(Part& p) {
  for (std::size_t i = 0; i < p.n; ++i) {
    const Happened& h = p.l.trades[i];
    if (p.fate[i] != Fate::live) continue;
    const std::string session = session_of(h.time);
    if (!session.empty() || p.plain[i]) {
      const std::string to = session.empty() ? "s-b" : session;
      const std::int64_t at = h.time + (p.plain[i] ? 100 * kMs : wire(p, i));
      char type = 'T';
      if (!h.empty && !p.plain[i] && dice_.in(0, 999) < 10) type = 'H';
      Happened came = h;
      if (type == 'H' && !p.quiet_era && dice_.chance(30)) came.time -= dice_.in(-9, 9) * kSecond;
      std::string text = line(p.l.symbol, came, type);
      if (type == 'T' && !h.empty && !p.plain[i] && dice_.in(0, 999) < 4) {
        Happened x = h;
        x.kind = "X";
        text = line(p.l.symbol, x);
        type = 'H';
      }
      w_.add_line(at, p.l, to, text, h.time);
      if (type == 'T' && !h.empty) ++history_.given;
      if (type == 'H' && !p.quiet_era) judge_later(p.l, came, at, dice_.in(0, 2));
      if (p.plain[i] || p.quiet_era) continue;
      send_mischief(p, i, at, to);
    }
    if (in_twin(h.time) && !p.quiet_era) w_.add_line(h.time + wire(p, i), p.l, "s-c", line(p.l.symbol, h), h.time);
  }
}

// What becomes of an item in quarantine: it is judged again (0), dropped (1), or stays.
void Maker::judge_later(const Listing& l, const Happened& h, std::int64_t at, std::int64_t what) {
  Message m = Writer::message(what == 0 ? RawKind::replay : RawKind::drop, l);
  m.with(header::original_kind, "frame").with(header::original_partition, std::to_string(l.partition));
  if (what == 0) m.bytes = line(l.symbol, h, 'H');
  if (what == 1) m.with(header::id, std::to_string(h.id));
  quarantined_.emplace_back(m, line(l.symbol, h, 'H'));
  const std::int64_t wait = dice_.chance(30) ? dice_.in(1, 2'000) * kMs : dice_.in(1, 1'000) * kSecond;
  if (what < 2) w_.add(at + wait, std::move(m));
}

// An item in quarantine whose time or id nobody vouches for; most are dropped, some before what is beside them has
// come.
void Maker::send_spoiled(const Part& p, std::size_t i, std::int64_t at, const std::string& to) {
  const Listing& l = p.l;
  Happened x = l.trades[i];
  const auto how = dice_.in(0, 3);
  if (how == 0) x.id += static_cast<std::uint64_t>(dice_.in(1, 40));
  if (how == 1) x.id += static_cast<std::uint64_t>(dice_.in(1, 3'000));
  if (how == 2) x.id = 9'000'000'000'000'000'000ULL + static_cast<std::uint64_t>(dice_.in(0, 1'000'000));
  if (how == 3) x.id -= std::min<std::uint64_t>(x.id - 1, static_cast<std::uint64_t>(dice_.in(1, 40)));
  if (how == 0 || how == 3) x.time -= dice_.in(-9, 9) * kSecond;
  x.empty = false;
  w_.add_line(at, l, to, line(l.symbol, x, 'H'), l.trades[i].time);
  if (dice_.chance(80)) judge_later(l, x, at, 1);
}

void Maker::send_mischief(const Part& p, std::size_t i, std::int64_t at, const std::string& to) {
  const Listing& l = p.l;
  const Happened& h = l.trades[i];
  if (dice_.in(0, 999) < 3) {  // another content under the same id
    Happened x = h;
    x.price = "7.77";
    w_.add_line(at + dice_.in(1, 5'000) * kMs, l, to, line(l.symbol, x), h.time);
  }
  if (dice_.in(0, 999) < 6) send_spoiled(p, i, at, to);
  if (dice_.in(0, 999) < 3) {  // one absurd time
    Happened x = h;
    x.id += 1;
    x.time += 365 * 24 * kHour;
    w_.add_line(at, l, to, line(l.symbol, x), h.time);
  }
  if (dice_.in(0, 999) < 2) {  // one absurd id
    Happened x = h;
    x.id = 9'000'000'000'000'000'000ULL;
    w_.add_line(at, l, to, line(l.symbol, x), h.time);
  }
  if (dice_.in(0, 999) < 4)
    w_.add_line(at, l, to, "T " + l.symbol + " agg 5 " + std::to_string(h.time) + " 1 1 b - 5 7", h.time);
  if (dice_.in(0, 999) < 4) w_.add_line(at, l, to, "G {\"e\":", h.time);
  if (dice_.in(0, 999) < 4) w_.add_line(at, l, to, "N depth", h.time);
}

// What the backfiller did about the missing ones.
void Maker::fill(Part& p) {
  const auto& trades = p.l.trades;
  for (std::size_t i = p.known_from; i < p.n;) {
    if (p.fate[i] == Fate::live) {
      ++i;
      continue;
    }
    std::size_t j = i;
    while (j < p.n && p.fate[j] == p.fate[i]) ++j;
    const std::size_t right = std::min(j, p.n - 1);
    std::int64_t at = trades[right].time + dice_.in(1, 900) * kSecond;
    if (p.promised[i]) at += trades[right + kAfter].time + 10 * kSecond - trades[right].time;
    if (j < p.n && trades[i].era == 0 && p.quiet_era) at = std::min(at, p.era_time - kSecond);
    const bool too_late = p.quiet_era && trades[i].era == 0 && at <= trades[right].time + kSecond;
    const bool between = i > 0 && j < p.n && !too_late && trades[j].era == trades[i - 1].era;
    if (p.fate[i] == Fate::missing_repaired && between) {
      const bool announced = dice_.chance(50);
      const std::string range = "fill-" + p.l.symbol + std::to_string(i);
      if (announced)
        w_.add(at, with_range(Writer::message(RawKind::begin, p.l), range, trades[i - 1].time,
                              trades[j].time / kMs * kMs + kMs));
      // Pages hold the known neighbours too, so what lies between is absent.
      std::vector<Message> pages;
      for (std::size_t a = i - 1; a < j;) {
        const std::size_t b = std::min(j, a + static_cast<std::size_t>(dice_.in(1, 40)));
        Message page = Writer::message(RawKind::backfill, p.l);
        page.with(header::venue, "test");
        for (std::size_t k = a; k <= b; ++k) page.bytes += line(p.l.symbol, trades[k]) + "\n";
        pages.push_back(std::move(page));
        a = b;
      }
      if (dice_.chance(20)) std::reverse(pages.begin(), pages.end());
      const bool give_up = pages.size() > 1 && dice_.chance(15) && !p.promised[i];
      if (give_up) pages.pop_back();
      for (Message& m : pages) w_.add(at += dice_.in(1, 200) * kMs, std::move(m));
      if (announced) w_.add(at, Writer::message(RawKind::end, p.l).with(header::range, range));
    } else if (p.fate[i] == Fate::missing_lost && between) {
      Message m = Writer::message(RawKind::answer, p.l);
      m.with(header::first_id, std::to_string(trades[i - 1].id + 1))
          .with(header::last_id, std::to_string(trades[j].id - 1))
          .with(header::verdict, "exhausted");
      w_.add(at, std::move(m));
    }
    i = j;
  }
}

// Ids that the venue never had, seen by the backfiller on a page.
void Maker::tell_absent(Part& p) {
  const auto& trades = p.l.trades;
  for (std::size_t i = p.known_from + 1; i + 1 < p.n; ++i) {
    if (trades[i].id == trades[i - 1].id + 1 || trades[i].era != trades[i - 1].era || p.quiet_era) continue;
    if (p.fate[i] != Fate::live || p.fate[i - 1] != Fate::live || !dice_.chance(70)) continue;
    const std::int64_t at = trades[i].time + dice_.in(1, 300) * kSecond;
    if (dice_.chance(50)) {
      Message page = Writer::message(RawKind::backfill, p.l);
      page.with(header::venue, "test");
      page.bytes = line(p.l.symbol, trades[i - 1]) + "\n" + line(p.l.symbol, trades[i]) + "\n";
      w_.add(at, std::move(page));
    } else {
      const std::string lo = std::to_string(trades[i - 1].id + 1), hi = std::to_string(trades[i].id - 1);
      Message m = Writer::message(RawKind::answer, p.l);
      m.with(header::first_id, lo)
          .with(header::last_id, hi)
          .with(header::skipped, lo + "-" + hi)
          .with(header::verdict, "more");
      w_.add(at, std::move(m));
    }
  }
}

// A file of what was before, imported before or beside the live stream.
void Maker::file(Part& p) {
  const auto& trades = p.l.trades;
  if (p.known_from <= 2 || p.era_before_us || !dice_.chance(75)) return;
  const std::size_t to = std::min(p.n, p.known_from + static_cast<std::size_t>(p.quiet_era ? 0 : dice_.in(0, 30)));
  std::vector<const Happened*> rows;
  for (std::size_t i = 0; i < to; ++i) {
    if (trades[i].era != 0 || (i >= p.known_from && p.fate[i] != Fate::live)) continue;
    rows.push_back(&trades[i]);
    if (i < p.known_from && !trades[i].empty) ++history_.given;
  }
  std::int64_t at = dice_.chance(80) || p.quiet_era ? start_a_ - kMinute : start_a_ + dice_.in(1, 900) * kSecond;
  const std::int64_t from = trades[0].time - trades[0].time % kHour;
  const std::int64_t until = p.known_from < p.n ? trades[p.known_from].time : trades.back().time + kMs;
  const bool announced = dice_.chance(70), declared = dice_.chance(40);
  const std::string range = "file-" + p.l.symbol;
  if (announced) w_.add(at, with_range(Writer::message(RawKind::begin, p.l), range, from, until));
  auto parts = w_.chunks(p.l, rows, "f-" + p.l.symbol, to == p.known_from && dice_.chance(50), 5, 120);
  if (dice_.chance(40)) dice_.shuffle(parts);
  for (Message& m : parts) {
    const bool again = dice_.chance(5);
    if (again) w_.add(at + dice_.in(1, 900) * (p.quiet_era ? kMs : kSecond), m);
    w_.add(at, std::move(m));
  }
  at += kMs;
  if (declared) {
    Message m = Writer::message(RawKind::coverage, p.l);
    m.with(header::from, std::to_string(from))
        .with(header::to, std::to_string(trades[p.known_from - 1].time / kSecond * kSecond));
    w_.add(at, std::move(m));
  }
  if (announced) w_.add(at, Writer::message(RawKind::end, p.l).with(header::range, range));
}

void Maker::keep_alive(const std::string& session, std::int64_t from, std::int64_t to, bool close) {
  w_.add_session(from, session, "open", from, dice_.chance(20));
  const int pings = static_cast<int>(dice_.in(0, 100));
  for (std::int64_t t = from + dice_.in(0, 3'000) * kMs; t < to; t += dice_.in(2, 40) * kSecond)
    w_.add_session(t, session, "beat", from, dice_.chance(pings));
  if (close) w_.add_session(to, session, "close", from, false);
}

// A record of a session that never reached one partition; records that the producer wrote twice.
void Maker::lose_and_repeat() {
  auto& all = history_.messages;
  if (dice_.chance(30)) {
    auto which = all.begin() + dice_.in(0, static_cast<std::int64_t>(all.size()) - 1);
    // A frame may be part of what was promised.
    if (promises_)
      which = std::find_if(which, all.end() - 1, [](const Message& m) { return m.kind == RawKind::session; });
    all.erase(which);
  }
  const bool any_era = std::any_of(market_.listings.begin(), market_.listings.end(),
                                   [](const Listing& l) { return l.trades.back().era > 0; });
  for (std::int64_t k = dice_.in(0, 6); k > 0 && !any_era; --k) {
    const std::int64_t at = dice_.in(0, static_cast<std::int64_t>(all.size()) - 1);
    const std::int64_t later = std::min<std::int64_t>(static_cast<std::int64_t>(all.size()), at + 1 + dice_.in(0, 3));
    const Message copy = all[static_cast<std::size_t>(at)];
    all.insert(all.begin() + later, copy);
  }
}

// Replays and drops are of the place at which the record first came.
void Maker::name_places() {
  for (Message& m : history_.messages) {
    if (m.kind != RawKind::replay && m.kind != RawKind::drop) continue;
    const auto of = std::find_if(quarantined_.begin(), quarantined_.end(), [&](const auto& q) {
      return q.first.kind == m.kind && q.first.bytes == m.bytes && q.first.instruments == m.instruments &&
             q.first.headers == m.headers;
    });
    std::int64_t offset = 0;
    for (const Message& at : history_.messages) {
      if (at.partition != m.partition) continue;
      std::istringstream lines{at.kind == RawKind::frame ? at.bytes : ""};
      std::int64_t ordinal = 0;
      for (std::string text; std::getline(lines, text); ordinal += text[0] != 'N')
        if (text == of->second) break;
      if (lines) {
        m.with(header::original_offset, std::to_string(offset)).with(header::original_ordinal, std::to_string(ordinal));
        break;
      }
      ++offset;
    }
  }
}

}  // namespace

History make_history(Dice& dice, const Market& market) { return Maker{dice, market, false}.make(); }

History make_large_history(Dice& dice) {
  constexpr std::uint64_t kSpoiled = kLargeTrades / 100;  // at most so many of those given are held or quarantined
  for (;;) {
    const Market market = make_market(dice, kLarge, true);
    History history = Maker{dice, market, true}.make();
    if (history.given >= kLargeTrades + kSpoiled && history.repaired > 0 && history.lost > 0) return history;
  }
}

}  // namespace truetape::model
