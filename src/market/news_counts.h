// Headlines by instrument, source and window, each once (docs/semantics.md section 14). Part of a partition's heart,
// told by NewsDesk what to count; state and memory are bounded.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "market/processor.h"

namespace truetape::market {

class NewsCounter {
 public:
  static constexpr std::size_t kRows = 100'000;     // that may still change, remembered: the newest
  static constexpr std::size_t kSourceBytes = 200;  // of a row's source; the rest of a longer one is cut off

  // `rows`: as kRows; a test takes fewer.
  explicit NewsCounter(std::size_t rows = kRows) : most_rows_{rows} {}

  // What is counted of a headline; the same each time that it is spoken of.
  struct Place {
    std::string venue, source;
    Timestamp time{};
  };
  // `source` as rows hold it: whole characters of at most kSourceBytes.
  static std::string_view counted_source(std::string_view source);

  // Whether a headline of that time that nobody remembers is a new one: not if ids of its time were forgotten.
  bool is_new(Timestamp time) const { return !sealed_ || time >= *sealed_; }
  // One headline more, or less, of an instrument (empty: of none). Windows that are sealed stay what they are.
  void count(const Place& place, const Instrument& instrument);
  void take_back(const Place& place, const Instrument& instrument);
  // Times before `end` are sealed: no new headline of them counts, and windows that end by then are last told with this
  // batch.
  void seal(Timestamp end);
  // The oldest windows are sealed if there are too many rows. Once behind all that one headline changed.
  void limit_rows();
  // Nothing was counted of what the state knows, the newest of it at `newest`: another version of the program wrote it.
  void begin_after(Timestamp newest);

  // Every changed row and state key once.
  void finish_batch(Results& out, std::int64_t epoch);
  // Keys that is_key() knows, in any order. Throws std::runtime_error on damage.
  void restore(std::string_view key, std::string_view value);
  static bool is_key(std::string_view key) { return key == "w" || key.starts_with("w/"); }

 private:
  struct Key {
    Timestamp end{};
    Interval interval{};
    Instrument instrument;
    std::string venue, source;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Tally {
    std::uint64_t headlines = 0, revision = 0;
    Timestamp first{}, last{};
  };

  template <class Change>
  void change(const Place& place, const Instrument& instrument, Change change_row);
  void tell(const Key& key, const Tally& tally, std::int64_t epoch, Results& out) const;

  std::map<Key, Tally> rows_;
  std::set<Key> changed_;
  std::vector<std::pair<Key, std::optional<Tally>>> gone_;  // sealed in this batch; a tally: and changed before
  std::size_t most_rows_;
  std::optional<Timestamp> sealed_;  // times before it are
  bool sealed_changed_ = false;
};

}  // namespace truetape::market
