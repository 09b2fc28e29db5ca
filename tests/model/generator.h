// Makes market histories from a seed: what happened at the venue (Market) and the raw records by which it reached us
// (History), with everything that goes wrong on the way. The same seed gives the same history on every machine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/raw.h"

namespace truetape::model {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_{seed * 0x9E3779B97F4A7C15ULL + 0x1234567} {}
  std::uint64_t next();                               // SplitMix64
  std::int64_t in(std::int64_t lo, std::int64_t hi);  // both included
  bool chance(int percent) { return in(0, 99) < percent; }
  template <class T>
  void shuffle(std::vector<T>& v) {
    for (std::size_t i = v.size(); i > 1; --i)
      std::swap(v[i - 1], v[static_cast<std::size_t>(in(0, static_cast<std::int64_t>(i) - 1))]);
  }

 private:
  std::uint64_t state_;
};

// A raw record that owns its texts.
struct Message {
  RawKind kind = RawKind::frame;
  int partition = 0;
  std::string instruments;
  std::optional<std::int64_t> receive;  // ns
  std::vector<std::pair<std::string, std::string>> headers;
  std::string bytes;

  Message& with(std::string_view name, std::string value) {
    headers.emplace_back(name, std::move(value));
    return *this;
  }
  // Views into this message and `headers_out`.
  RawRecord record(std::vector<Header>& headers_out, std::int64_t offset) const;
  std::string text() const;  // for people, one line
};

struct Happened {  // at the venue
  std::uint64_t id = 0;
  std::int64_t time = 0;  // ns
  std::string price, quantity;
  char side = 'b';
  std::string kind = "-";
  bool empty = false;
  std::uint32_t era = 0;
};
std::string line(const std::string& symbol, const Happened& h, char type = 'T');

struct Listing {  // one instrument; ids that no entry has, between two entries of one era, the venue never had
  std::string symbol;
  int partition = 0;
  std::vector<Happened> trades;
  std::string venue = "test";
  std::string instrument() const { return venue + ":" + symbol; }
};

struct Market {
  int partitions = 1;
  std::vector<Listing> listings;
};

struct Size {
  int instruments_least = 3, instruments_most = 4;
  int trades_least = 60, trades_most = 400;  // of an instrument
};
inline constexpr Size kSmall{};
inline constexpr Size kLarge{
    .instruments_least = 3, .instruments_most = 4, .trades_least = 3'700, .trades_most = 4'200};
inline constexpr std::uint64_t kLargeTrades = 10'000;  // at least so many come, once each

Market make_market(Dice& dice, const Size& size, bool with_eras);

struct History {
  std::vector<Message> messages;
  std::uint64_t given = 0;               // trades that come for sure, in a frame or a file
  std::uint64_t repaired = 0, lost = 0;  // holes that are sure to open and to end so
};
// What an ingest, a backfiller and an importer would have written, in the order of arrival: sessions with a cut
// between, a twin connection, lost frames that are repaired, lost or left, files before and beside, quarantine,
// mischief.
History make_history(Dice& dice, const Market& market);
// Of a venue whose ids only rise: sessions with cuts, lost frames, and pages of its REST API, some of which leave a
// trade out. `honest`: none does, and the venue's clock agrees with its ids.
History make_loose_history(Dice& dice, bool honest, Market* market = nullptr);
// One of a large market that gives at least kLargeTrades trades, with a repaired and a lost hole and two sessions.
History make_large_history(Dice& dice);

// Deliveries of one set of facts in different orders (property P5a). All of them give every trade of the market except
// those marked lost, and let every id that the venue never had be seen as absent.
enum class Way { live, live_with_backfill, one_file, chunks_shuffled, two_files_late_first, half_live };
inline constexpr Way kWays[] = {
    Way::live, Way::live_with_backfill, Way::one_file, Way::chunks_shuffled, Way::two_files_late_first, Way::half_live};
std::string_view name(Way way);
History deliver(Dice& dice, const Market& market, const std::vector<std::vector<bool>>& lost, Way way);

}  // namespace truetape::model
