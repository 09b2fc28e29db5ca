#include "generator.h"

#include <algorithm>

#include "writer.h"

namespace truetape::model {
namespace {

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
      const int decimals = static_cast<int>(dice.in(1, 8));
      h.quantity = fixed_point(dice.in(1, 50'000), decimals);
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

}  // namespace truetape::model
