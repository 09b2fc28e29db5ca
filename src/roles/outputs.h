// The outputs and state changes of one step, encoded into memory that is used again from step to step.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "log/log.h"
#include "market/processor.h"

namespace truetape {

class Outputs {
 public:
  // As soon as results hold that many trades they should be added: while they are still in the caches.
  static constexpr std::size_t kTradesAtOnce = 512;

  void clear();
  // Encodes everything that `results` holds (but the counts) as records of `partition`, in the order of its vectors. Of
  // a quarantined item that a record cannot hold it keeps the beginning (docs/records.md): how many these were.
  std::size_t add(const Results& results, std::int32_t partition);
  // Valid until the next clear or add.
  std::span<const Output> outputs();
  std::span<const StateChange> state();

 private:
  struct Piece {
    std::size_t begin, size;
  };
  struct Entry {
    std::string_view topic;
    std::int32_t partition;
    Piece key, value;
    std::size_t first_header, headers;
  };
  struct Change {
    std::int32_t partition;
    Piece key, value;
    bool deletes;
  };
  template <class Rows>
  void add_rows(std::string_view topic, const Rows& rows, std::int32_t partition);
  Piece put(std::string_view text);
  std::string_view view(Piece piece) const { return std::string_view{bytes_}.substr(piece.begin, piece.size); }

  std::string bytes_;
  std::vector<Entry> entries_;
  std::vector<std::pair<Piece, Piece>> header_pieces_;
  std::vector<Change> changes_;
  std::vector<Output> outputs_;
  std::vector<Header> headers_;
  std::vector<StateChange> state_;
};

}  // namespace truetape
