#include "generator.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

namespace truetape::model {
namespace {

constexpr std::int64_t kMs = 1'000'000, kSecond = 1'000 * kMs, kMinute = 60 * kSecond, kHour = 60 * kMinute;
// 2024-03-05T11:00:00Z: a whole day, 4 h and 1 h window begin nearby.
constexpr std::int64_t kBegin = 1'709'636'400 * kSecond;

std::string fixed_point(std::int64_t units, int decimals) {
  std::string digits = std::to_string(units);
  while (static_cast<int>(digits.size()) <= decimals) digits.insert(0, "0");
  digits.insert(digits.size() - static_cast<std::size_t>(decimals), ".");
  return digits;
}

}  // namespace

std::uint64_t Dice::next() {
  std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

std::int64_t Dice::in(std::int64_t lo, std::int64_t hi) {
  return lo + static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(hi - lo + 1));
}

RawRecord Message::record(std::vector<Header>& out, std::int64_t offset) const {
  out.clear();
  out.push_back({header::kind, name(kind)});
  out.push_back({header::instruments, instruments});
  for (const auto& [n, v] : headers) out.push_back({n, v});
  RawRecord r = read_raw(bytes, out, partition, offset);
  if (receive) r.receive_time = timestamp_ns(*receive);
  return r;
}

std::string Message::text() const {
  std::string out = std::string{name(kind)} + " p" + std::to_string(partition) + " [" + instruments + "]";
  if (receive) out += " received " + to_rfc3339(timestamp_ns(*receive));
  for (const auto& [n, v] : headers) {
    out += " " + n + "=" + v;
    if ((n == "from" || n == "to" || n == "witness" || n == "subscribed") && v.size() > 15)
      out += "(" + to_rfc3339(timestamp_ns(std::stoll(v))) + ")";
  }
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::size_t end = std::min(bytes.find('\n', at), bytes.size());
    out += "\n      " + bytes.substr(at, end - at);
    at = end + 1;
  }
  return out;
}

std::string line(const std::string& symbol, const Happened& h, char type) {
  const std::string head = symbol + " trade " + std::to_string(h.id) + " " + std::to_string(h.time);
  if (h.empty) return "E " + head;
  const std::string id = std::to_string(h.id);
  return std::string{type} + " " + head + " " + h.price + " " + h.quantity + " " + h.side + " " + h.kind + " " + id +
         " " + id;
}

Market make_market(Dice& dice, const Size& size, bool with_eras) {
  Market market;
  market.partitions = static_cast<int>(dice.in(1, 2));
  const auto n = dice.in(size.instruments_least, size.instruments_most);
  for (int i = 0; i < n; ++i) {
    Listing l;
    l.symbol = std::string(1, static_cast<char>('A' + i));
    l.partition = i % market.partitions;
    const auto trades = dice.in(size.trades_least, size.trades_most);
    std::uint64_t id = static_cast<std::uint64_t>(dice.in(1, 2'000'000'000));
    std::int64_t t = kBegin + dice.in(0, 50 * kMinute / kMs) * kMs;
    std::int64_t price = dice.in(100, 7'000'000);
    const bool usdm = dice.chance(40), micros = dice.chance(20), sides = dice.chance(85);
    const auto restart_at = with_eras && dice.chance(30) ? trades * 2 / 3 : trades + 1;
    std::uint32_t era = 0;
    int pace = 1;
    for (std::int64_t k = 0; k < trades; ++k) {
      if (dice.chance(4)) pace = static_cast<int>(dice.in(0, 2));
      std::int64_t step = 0;
      if (pace == 0) {
        step = dice.chance(60) ? 0 : dice.in(1, 40) * kMs;
      } else if (pace == 1) {
        step = dice.in(1, 1'500) * kMs;
      } else {
        step = dice.in(500, 9'000) * kMs;
      }
      if (dice.in(0, 999) < 8) step = dice.in(60, 600) * kSecond;
      if (dice.in(0, 9'999) < 4) step = dice.in(1, 2) * kHour;
      if (dice.in(0, 999) < 6) step = kSecond - t % kSecond;  // exactly on a window's edge
      if (k == restart_at) {
        step = dice.in(61, 400) * kSecond;
        id = 1;
        ++era;
      }
      t += step;
      Happened h;
      h.id = id;
      h.era = era;
      h.time = t + (micros ? dice.in(0, 999) * 1'000 : 0);
      if (dice.in(0, 999) < 4 && k + 1 != restart_at)
        h.time -= dice.in(1, 30) * kMs;  // clocks that contradict each other
      price = std::max<std::int64_t>(1, price + dice.in(-20, 20));
      h.price = fixed_point(price, 2);
      h.quantity = fixed_point(dice.in(1, 50'000), static_cast<int>(dice.in(1, 8)));
      h.side = !sides && dice.chance(5) ? '?' : dice.chance(50) ? 'b' : 's';
      if (usdm) {
        h.kind = dice.chance(90) ? "MARKET" : "RPI";
        if (dice.chance(2)) h.kind = dice.chance(50) ? "INSURANCE_FUND" : "ADL";
        h.empty = dice.chance(2);
      }
      l.trades.push_back(h);
      ++id;
      if (dice.in(0, 999) < 6 && k > 2 && k + 5 < trades && k < restart_at - 5)
        id += static_cast<std::uint64_t>(dice.in(1, 3));  // the venue never had these
    }
    market.listings.push_back(std::move(l));
  }
  return market;
}

// ---------------------------------------------------------------------------------------------------------------------

namespace {

struct Delivery {
  std::int64_t at = 0;  // our clock
  std::uint64_t tie = 0;
  int partition = 0;
  // A line on a connection (grouped into frames later), or a whole message.
  std::string session, instrument, text;
  std::int64_t venue_time = 0;
  std::optional<Message> message;
};

class Writer {
 public:
  Writer(Dice& dice, const Market& market) : dice_{dice}, market_{market} {}

  void add_line(std::int64_t at, const Listing& l, const std::string& session, std::string text,
                std::int64_t venue_time) {
    deliveries_.push_back(
        {at, tie_++, l.partition, session, l.instrument(), std::move(text), venue_time, std::nullopt});
  }
  void add(std::int64_t at, Message m) {
    m.receive = at;
    deliveries_.push_back({at, tie_++, m.partition, "", "", "", 0, std::move(m)});
  }
  Message message(RawKind kind, const Listing& l) const {
    Message m;
    m.kind = kind;
    m.partition = l.partition;
    m.instruments = l.instrument();
    return m;
  }

  // A session record to every partition. `ping`: the venue answered a ping just now; else the newest time received
  // counts.
  void add_session(std::int64_t at, const std::string& session, const char* event, std::int64_t subscribed, bool ping) {
    for (int p = 0; p < market_.partitions; ++p) {
      Message m;
      m.kind = RawKind::session;
      m.partition = p;
      for (const Listing& l : market_.listings)
        if (l.partition == p) m.instruments += (m.instruments.empty() ? "" : ",") + l.instrument();
      if (m.instruments.empty()) continue;
      m.with(header::session, session).with(header::event, event).with(header::subscribed, std::to_string(subscribed));
      if (ping) m.with("ping", "1");
      add(at, std::move(m));
    }
  }

  // Puts everything in order of arrival, forms frames, numbers the sessions' records.
  // `clock_offset`: venue's clock minus ours, of each session.
  std::vector<Message> finish(const std::map<std::string, std::int64_t>& clock_offset) {
    std::stable_sort(deliveries_.begin(), deliveries_.end(), [](const Delivery& a, const Delivery& b) {
      return std::pair{a.at, a.tie} < std::pair{b.at, b.tie};
    });
    std::vector<Message> out;
    std::map<std::pair<std::string, int>, std::uint64_t> seq;
    std::map<std::string, std::int64_t> newest;
    const auto number = [&](Message& m, const std::string& session) {
      m.with(header::seq, std::to_string(++seq[{session, m.partition}]));
      const std::int64_t offset = clock_offset.contains(session) ? clock_offset.at(session) : 0;
      if (offset != 0) {
        m.with(header::clock_offset, std::to_string(offset));
        *m.receive -= offset;
      }
    };
    for (std::size_t i = 0; i < deliveries_.size();) {
      const Delivery& d = deliveries_[i];
      if (d.message) {
        Message m = *d.message;
        if (m.kind == RawKind::session) {
          const std::string session = *find(m, header::session);
          std::optional<std::int64_t> witness;
          if (newest.contains(session)) witness = newest[session] - 500 * kMs;
          if (find(m, "ping")) {
            std::erase_if(m.headers, [](const auto& h) { return h.first == "ping"; });
            witness = std::max(witness.value_or(0), d.at - 500 * kMs);
          }
          if (witness) {
            newest[session] = std::max(newest[session], *witness + 500 * kMs);
            m.with(header::witness, std::to_string(*witness));
          }
          m.with(header::last_seq, std::to_string(seq[{session, m.partition}]));
          number(m, session);
        }
        out.push_back(std::move(m));
        ++i;
        continue;
      }
      Message m;
      m.partition = d.partition;
      m.receive = d.at;
      m.with(header::session, d.session);
      std::size_t j = i;
      const auto most = static_cast<std::size_t>(dice_.chance(70) ? 1 : dice_.in(2, 8));
      std::vector<std::string> names;
      for (; j < deliveries_.size() && j < i + most; ++j) {
        const Delivery& x = deliveries_[j];
        if (x.message || x.session != d.session || x.partition != d.partition) break;
        if (std::find(names.begin(), names.end(), x.instrument) == names.end()) names.push_back(x.instrument);
        m.bytes += x.text + "\n";
        m.receive = x.at;
        newest[d.session] = std::max(newest[d.session], x.venue_time);
      }
      for (const auto& n : names) m.instruments += (m.instruments.empty() ? "" : ",") + n;
      number(m, d.session);
      out.push_back(std::move(m));
      i = j;
    }
    return out;
  }

  static std::optional<std::string> find(const Message& m, std::string_view name) {
    for (const auto& [n, v] : m.headers)
      if (n == name) return v;
    return std::nullopt;
  }

  // Rows [first, last) of a file, in chunks. Archive rows that follow each other are neighbours, so `broken` ends a
  // chunk.
  std::vector<Message> chunks(const Listing& l, const std::vector<const Happened*>& rows, const std::string& file,
                              bool archive, std::int64_t least, std::int64_t most) {
    std::vector<Message> out;
    for (std::size_t i = 0; i < rows.size();) {
      Message m = message(RawKind::history, l);
      m.with(header::venue, "test")
          .with(header::file, file)
          .with(header::row, std::to_string(i + 1))
          .with(header::tape, "trade");
      if (archive) m.with(header::archive, "1");
      const auto n = static_cast<std::size_t>(dice_.in(least, most));
      for (std::size_t j = i; j < std::min(rows.size(), i + n); ++j) m.bytes += line(l.symbol, *rows[j]) + "\n";
      i += n;
      out.push_back(std::move(m));
    }
    return out;
  }

 private:
  Dice& dice_;
  const Market& market_;
  std::vector<Delivery> deliveries_;
  std::uint64_t tie_ = 0;
};

void add_tape_configs(const Market& market, std::vector<Message>& out) {
  std::vector<Message> configs;
  for (const Listing& l : market.listings) {
    Message m;
    m.kind = RawKind::config;
    m.partition = l.partition;
    m.instruments = l.instrument();
    m.receive = kBegin - kHour;
    configs.push_back(m.with(header::tape, "trade"));
  }
  out.insert(out.begin(), configs.begin(), configs.end());
}

Message with_range(Message m, const std::string& range, std::int64_t from, std::int64_t to) {
  m.with(header::range, range).with(header::from, std::to_string(from)).with(header::to, std::to_string(to));
  return m;
}

enum class Fate { live, missing_repaired, missing_lost, missing_left, before };

}  // namespace

History make_history(Dice& dice, const Market& market) {
  Writer w{dice, market};
  std::int64_t first = INT64_MAX, last = 0;
  for (const Listing& l : market.listings) {
    first = std::min(first, l.trades.front().time);
    last = std::max(last, l.trades.back().time);
  }
  const std::int64_t span = last - first;
  const std::int64_t start_a = first + span / 100 * dice.in(0, 25);
  const std::int64_t cut_a = first + span / 100 * dice.in(40, 60);
  const std::array<std::int64_t, 5> outages{200 * kMs, 3 * kSecond, 50 * kSecond, 12 * kMinute, 70 * kMinute};
  const std::int64_t start_b = cut_a + outages[static_cast<std::size_t>(dice.in(0, 4))] + dice.in(0, 999) * kMs;
  const bool twin = dice.chance(50);
  const std::int64_t start_c = cut_a - dice.in(10, 600) * kSecond, cut_c = start_b + dice.in(1, 300) * kSecond;
  const bool twin_spans_cut = dice.chance(30);
  std::map<std::string, std::int64_t> offsets;
  if (dice.chance(25)) offsets["s-a"] = 300 * kSecond;
  if (dice.chance(25)) offsets["s-b"] = -300 * kSecond;
  const std::int64_t end = last + std::array<std::int64_t, 4>{0, 5 * kSecond, 3 * kMinute,
                                                              25 * kMinute}[static_cast<std::size_t>(dice.in(0, 3))];

  const auto session_of = [&](std::int64_t t) -> std::string {
    if (t >= start_a && t < cut_a) return "s-a";
    if (t >= start_b) return "s-b";
    return "";
  };
  const auto in_twin = [&](std::int64_t t) {
    return twin && t >= start_c && t < cut_c && (twin_spans_cut || !session_of(t).empty());
  };

  for (const Listing& l : market.listings) {
    const std::size_t n = l.trades.size();
    std::vector<Fate> fate(n, Fate::live);
    std::size_t known_from = 0;
    for (std::size_t i = 0; i < n; ++i) {
      if (l.trades[i].time < start_a) {
        fate[i] = Fate::before;
        known_from = i + 1;
      } else if (session_of(l.trades[i].time).empty() && !in_twin(l.trades[i].time)) {
        fate[i] = Fate::missing_repaired;
      }
    }
    const auto random_fate = [&] {
      return std::array{Fate::missing_repaired, Fate::missing_repaired, Fate::missing_lost,
                        Fate::missing_left}[static_cast<std::size_t>(dice.in(0, 3))];
    };
    if (dice.chance(30)) {
      const Fate f = random_fate();
      for (auto& x : fate)
        if (x == Fate::missing_repaired) x = f;
    }
    // Frames that never came.
    const auto bursts = dice.in(1, 4);
    for (std::int64_t b = 0; b < bursts && known_from + 10 < n; ++b) {
      const auto i = static_cast<std::size_t>(
          dice.in(static_cast<std::int64_t>(known_from) + 3, static_cast<std::int64_t>(n) - 4));
      const Fate f = random_fate();
      for (std::size_t j = i; j < std::min(n - 2, i + static_cast<std::size_t>(dice.in(1, 12))); ++j) fate[j] = f;
    }
    const std::size_t era_end = static_cast<std::size_t>(
        std::find_if(l.trades.begin(), l.trades.end(), [](const Happened& h) { return h.era > 0; }) - l.trades.begin());
    // Nothing of an old era may come after the new one began, and the first trades of the new one must come in order.
    for (std::size_t i = era_end; i < std::min(n, era_end + 4); ++i) fate[i] = Fate::live;
    const std::int64_t era_time = era_end < n ? l.trades[era_end].time : INT64_MAX;
    const bool quiet_era = era_end < n;
    const bool era_before_us = quiet_era && era_time < start_a + kSecond;  // all that we see is of the new era

    const auto wire = [&](std::size_t i) {
      return dice.in(5, 300) * kMs +
             (l.trades[i].era == 0 && dice.chance(2) && l.trades[i].time + 20 * kSecond < era_time
                  ? dice.in(1, 3'000) * kMs
                  : 0);
    };
    for (std::size_t i = 0; i < n; ++i) {
      const Happened& h = l.trades[i];
      if (fate[i] != Fate::live) continue;
      const bool near_era = quiet_era && !era_before_us && i + 4 >= era_end && i < era_end + 4;
      const std::string session = session_of(h.time);
      if (!session.empty() || near_era) {
        const std::string to = session.empty() ? "s-b" : session;
        const std::int64_t at = h.time + (near_era ? 100 * kMs : wire(i));
        char type = 'T';
        if (!h.empty && !near_era && dice.in(0, 999) < 10) type = 'H';
        std::string text = line(l.symbol, h, type);
        if (type == 'T' && !h.empty && !near_era && dice.in(0, 999) < 4) {
          Happened x = h;
          x.kind = "X";
          text = line(l.symbol, x);
          type = 'H';
        }
        w.add_line(at, l, to, text, h.time);
        if (type == 'H' && !quiet_era) {
          const auto what = dice.in(0, 2);
          Message m = w.message(what == 0 ? RawKind::replay : RawKind::drop, l);
          m.with(header::original_kind, "frame")
              .with(header::original_partition, std::to_string(l.partition))
              .with(header::original_offset, "0")
              .with(header::original_ordinal, "0");
          if (what == 0) m.bytes = line(l.symbol, h, 'H');
          if (what == 1) m.with(header::id, std::to_string(h.id));
          if (what < 2) w.add(at + dice.in(1, 1'000) * kSecond, std::move(m));
        }
        if (near_era || quiet_era) continue;
        if (dice.in(0, 999) < 3) {  // another content under the same id
          Happened x = h;
          x.price = "7.77";
          w.add_line(at + dice.in(1, 5'000) * kMs, l, to, line(l.symbol, x), h.time);
        }
        if (dice.in(0, 999) < 3) {  // one absurd time
          Happened x = h;
          x.id += 1;
          x.time += 365 * 24 * kHour;
          w.add_line(at, l, to, line(l.symbol, x), h.time);
        }
        if (dice.in(0, 999) < 2) {  // one absurd id
          Happened x = h;
          x.id = 9'000'000'000'000'000'000ULL;
          w.add_line(at, l, to, line(l.symbol, x), h.time);
        }
        if (dice.in(0, 999) < 4)
          w.add_line(at, l, to, "T " + l.symbol + " agg 5 " + std::to_string(h.time) + " 1 1 b - 5 7", h.time);
        if (dice.in(0, 999) < 4) w.add_line(at, l, to, "G {\"e\":", h.time);
        if (dice.in(0, 999) < 4) w.add_line(at, l, to, "N depth", h.time);
      }
      if (in_twin(h.time) && !quiet_era) w.add_line(h.time + wire(i), l, "s-c", line(l.symbol, h), h.time);
    }

    // What the backfiller did about the missing ones.
    for (std::size_t i = known_from; i < n;) {
      if (fate[i] == Fate::live) {
        ++i;
        continue;
      }
      std::size_t j = i;
      while (j < n && fate[j] == fate[i]) ++j;
      const std::size_t right = std::min(j, n - 1);
      std::int64_t at = l.trades[right].time + dice.in(1, 900) * kSecond;
      if (j < n && l.trades[i].era == 0 && quiet_era) at = std::min(at, era_time - kSecond);
      const bool too_late = quiet_era && l.trades[i].era == 0 && at <= l.trades[right].time + kSecond;
      if (fate[i] == Fate::missing_repaired && i > 0 && j < n && !too_late && l.trades[j].era == l.trades[i - 1].era) {
        const bool announced = dice.chance(50);
        const std::string range = "fill-" + l.symbol + std::to_string(i);
        if (announced)
          w.add(at, with_range(w.message(RawKind::begin, l), range, l.trades[i - 1].time,
                               l.trades[j].time / kMs * kMs + kMs));
        // Pages hold the known neighbours too, so what lies between is absent.
        std::vector<Message> pages;
        for (std::size_t a = i - 1; a < j;) {
          const std::size_t b = std::min(j, a + static_cast<std::size_t>(dice.in(1, 40)));
          Message page = w.message(RawKind::backfill, l);
          page.with(header::venue, "test");
          for (std::size_t k = a; k <= b; ++k) page.bytes += line(l.symbol, l.trades[k]) + "\n";
          pages.push_back(std::move(page));
          a = b;
        }
        if (dice.chance(20)) std::reverse(pages.begin(), pages.end());
        const bool give_up = pages.size() > 1 && dice.chance(15);
        if (give_up) pages.pop_back();
        for (Message& p : pages) w.add(at += dice.in(1, 200) * kMs, std::move(p));
        if (announced) w.add(at, w.message(RawKind::end, l).with(header::range, range));
      } else if (fate[i] == Fate::missing_lost && i > 0 && j < n && !too_late &&
                 l.trades[j].era == l.trades[i - 1].era) {
        Message m = w.message(RawKind::answer, l);
        m.with(header::first_id, std::to_string(l.trades[i - 1].id + 1))
            .with(header::last_id, std::to_string(l.trades[j].id - 1))
            .with(header::verdict, "exhausted");
        w.add(at, std::move(m));
      }
      i = j;
    }
    // Ids that the venue never had, seen by the backfiller on a page.
    for (std::size_t i = known_from + 1; i + 1 < n; ++i) {
      if (l.trades[i].id == l.trades[i - 1].id + 1 || l.trades[i].era != l.trades[i - 1].era || quiet_era) continue;
      if (fate[i] != Fate::live || fate[i - 1] != Fate::live || !dice.chance(70)) continue;
      const std::int64_t at = l.trades[i].time + dice.in(1, 300) * kSecond;
      if (dice.chance(50)) {
        Message page = w.message(RawKind::backfill, l);
        page.with(header::venue, "test");
        page.bytes = line(l.symbol, l.trades[i - 1]) + "\n" + line(l.symbol, l.trades[i]) + "\n";
        w.add(at, std::move(page));
      } else {
        const std::string lo = std::to_string(l.trades[i - 1].id + 1), hi = std::to_string(l.trades[i].id - 1);
        Message m = w.message(RawKind::answer, l);
        m.with(header::first_id, lo)
            .with(header::last_id, hi)
            .with(header::skipped, lo + "-" + hi)
            .with(header::verdict, "more");
        w.add(at, std::move(m));
      }
    }

    // A file of what was before, imported before or beside the live stream.
    if (known_from > 2 && !era_before_us && dice.chance(75)) {
      const std::size_t to = std::min(n, known_from + static_cast<std::size_t>(quiet_era ? 0 : dice.in(0, 30)));
      std::vector<const Happened*> rows;
      for (std::size_t i = 0; i < to; ++i)
        if (l.trades[i].era == 0 && (i < known_from || fate[i] == Fate::live)) rows.push_back(&l.trades[i]);
      std::int64_t at = dice.chance(80) || quiet_era ? start_a - kMinute : start_a + dice.in(1, 900) * kSecond;
      const std::int64_t from = l.trades[0].time - l.trades[0].time % kHour;
      const std::int64_t until = known_from < n ? l.trades[known_from].time : l.trades.back().time + kMs;
      const bool announced = dice.chance(70), declared = dice.chance(40);
      const std::string range = "file-" + l.symbol;
      if (announced) w.add(at, with_range(w.message(RawKind::begin, l), range, from, until));
      auto parts = w.chunks(l, rows, "f-" + l.symbol, to == known_from && dice.chance(50), 5, 120);
      if (dice.chance(40)) dice.shuffle(parts);
      for (Message& m : parts) {
        const bool again = dice.chance(5);
        if (again) w.add(at + dice.in(1, 900) * (quiet_era ? kMs : kSecond), m);
        w.add(at, std::move(m));
      }
      at += kMs;
      if (declared) {
        Message m = w.message(RawKind::coverage, l);
        m.with(header::from, std::to_string(from))
            .with(header::to, std::to_string(l.trades[known_from - 1].time / kSecond * kSecond));
        w.add(at, std::move(m));
      }
      if (announced) w.add(at, w.message(RawKind::end, l).with(header::range, range));
    }
  }

  const auto keep_alive = [&](const std::string& session, std::int64_t from, std::int64_t to, bool close) {
    w.add_session(from, session, "open", from, dice.chance(20));
    const int pings = static_cast<int>(dice.in(0, 100));
    for (std::int64_t t = from + dice.in(0, 3'000) * kMs; t < to; t += dice.in(2, 40) * kSecond)
      w.add_session(t, session, "beat", from, dice.chance(pings));
    if (close) w.add_session(to, session, "close", from, false);
  };
  keep_alive("s-a", start_a, cut_a, dice.chance(50));
  keep_alive("s-b", start_b, end, false);
  if (twin) keep_alive("s-c", start_c, cut_c, dice.chance(50));
  for (int i = 0; i < 12; ++i) w.add_session(end + kSecond + i * 10 * kMs, "s-b", "beat", start_b, end > last);

  History history{w.finish(offsets)};
  auto& all = history.messages;
  // A record of a session that never reached one partition; records that the producer wrote twice.
  if (dice.chance(30)) all.erase(all.begin() + dice.in(0, static_cast<std::int64_t>(all.size()) - 1));
  const bool any_era = std::any_of(market.listings.begin(), market.listings.end(),
                                   [](const Listing& l) { return l.trades.back().era > 0; });
  for (std::int64_t k = dice.in(0, 6); k > 0 && !any_era; --k) {
    const std::int64_t at = dice.in(0, static_cast<std::int64_t>(all.size()) - 1);
    const std::int64_t later = std::min<std::int64_t>(static_cast<std::int64_t>(all.size()), at + 1 + dice.in(0, 3));
    const Message copy = all[static_cast<std::size_t>(at)];
    all.insert(all.begin() + later, copy);
  }
  add_tape_configs(market, all);
  return history;
}

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
      Message page = w.message(RawKind::backfill, l);
      page.with(header::venue, "test");
      for (std::size_t k = i - 1; k < std::min(n, i + 2); ++k)
        if (!lost[x][k]) page.bytes += line(l.symbol, l.trades[k]) + "\n";
      w.add(l.trades[i].time + dice.in(2, 500) * kSecond, std::move(page));
    }
    if (way == Way::chunks_shuffled) dice.shuffle(parts);
    if (way == Way::two_files_late_first)
      std::rotate(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(parts.size() / 2), parts.end());
    const std::int64_t at = live_from == INT64_MAX ? last + kHour : first - kMinute;
    w.add(at, with_range(w.message(RawKind::begin, l), "file-" + l.symbol, first - kHour, last + kHour));
    for (Message& m : parts) w.add(at, std::move(m));
    w.add(at, w.message(RawKind::end, l).with(header::range, "file-" + l.symbol));
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
