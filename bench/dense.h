// The trades that benchmarks work on: those of a real recording (BTCUSDT, 2024-08-08, 19,904 trades in 10 min 52 s),
// repeated with ids and times moved so that each repetition goes on where the one before ended. Prices, quantities,
// sides, the pace and the bytes around them are the venue's own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/raw.h"

namespace truetape::bench {

struct DenseTrade {
  std::uint64_t id;
  std::int64_t time_ms;              // "T"
  std::int64_t sent_ms;              // "E"
  std::string_view price, quantity;  // the venue's text; of the tape
  std::int64_t price_e8, quantity_e8;
  bool buyer_is_maker;
};

class Dense {
 public:
  // The bundled recording. Throws std::runtime_error when it is missing, or when a frame is not what frame() would make
  // of it: then the numbers would not be of the venue's bytes.
  Dense();

  std::size_t recorded() const { return trades_.size(); }
  // Trade number i, without end.
  DenseTrade at(std::uint64_t i) const;
  // Appends the frame as the venue sends it: combined stream of spot, or of USD-M (kind MARKET).
  void spot_frame(const DenseTrade& trade, std::string_view symbol, std::string& out) const;
  void usdm_frame(const DenseTrade& trade, std::string_view symbol, std::string& out) const;

 private:
  struct Recorded {
    std::uint64_t id;
    std::int64_t time_ms, sent_ms;
    std::string price, quantity;
    std::int64_t price_e8, quantity_e8;
    bool buyer_is_maker;
  };
  std::vector<Recorded> trades_;
  std::int64_t period_ms_ = 0;
};

// One instrument's trades out of the tape: `instruments` symbols take turns, each with contiguous ids of its own and
// the recorded pace. One instrument: BTCUSDT.
struct Placed {
  DenseTrade trade;
  std::size_t instrument;
};
class Interleaved {
 public:
  Interleaved(const Dense& dense, std::size_t instruments);
  Placed at(std::uint64_t i) const { return {dense_.at(i / symbols_.size()), i % symbols_.size()}; }
  const std::vector<std::string>& symbols() const { return symbols_; }  // "BTCUSDT"
  const std::vector<std::string>& names() const { return names_; }      // "binance:BTCUSDT"
  void frame(const Placed& placed, std::string& out) const {
    dense_.spot_frame(placed.trade, symbols_[placed.instrument], out);
  }

 private:
  const Dense& dense_;
  std::vector<std::string> symbols_, names_;
};

// One session that carries all instruments of a tape: what its records must go on from. Outlives the chunks built from
// it.
class Session {
 public:
  // `partitions`: of each instrument, by place in tape.symbols().
  Session(const Interleaved& tape, std::vector<std::size_t> partitions);
  const Interleaved& tape() const { return tape_; }

 private:
  friend class Chunk;
  const Interleaved& tape_;
  std::vector<std::size_t> partitions_;
  std::vector<std::uint64_t> seq_;        // by partition
  std::vector<std::string> instruments_;  // by partition, comma-separated
  std::int64_t last_beat_ms_ = 0, subscribed_ms_ = 0;
};

// Raw records of a session, in memory that is used again: frames as ingest and import append them, with all their
// headers, and session records for each second of venue time.
class Chunk {
 public:
  struct Entry {
    std::size_t partition;
    std::string_view key, value;  // of a session record no value
    std::span<const Header> headers;
  };
  // Trades [from, to) of the session's tape.
  void build(Session& session, std::uint64_t from, std::uint64_t to);
  const std::vector<Entry>& entries() const { return entries_; }
  void keep_entries_only();  // no build after this

 private:
  struct Piece {
    std::size_t begin, size;
  };
  struct Draft {
    std::size_t partition;
    std::string_view key;
    Piece value;
    std::size_t first_header, headers;
  };
  struct HeaderDraft {
    std::string_view name;
    std::string_view fixed;  // if not empty
    Piece value;
  };
  Piece number(std::int64_t value);
  void add(std::string_view name, std::string_view fixed) { header_drafts_.push_back({name, fixed, {}}); }
  void add(std::string_view name, std::int64_t value) { header_drafts_.push_back({name, {}, number(value)}); }
  void session_records(Session& session, std::int64_t now_ms, std::string_view event);

  std::string bytes_;
  std::vector<Draft> drafts_;
  std::vector<HeaderDraft> header_drafts_;
  std::vector<Header> headers_;
  std::vector<Entry> entries_;
};

std::filesystem::path recording();

}  // namespace truetape::bench
