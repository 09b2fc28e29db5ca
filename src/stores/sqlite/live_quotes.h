// The table of live quotes: one row per instrument with the newest quote of each kind. Rows of a batch are compared
// here before SQLite sees them, so that many updates of an instrument cost one row. The sink calls it, on its thread,
// inside its transaction.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <unordered_map>

#include "core/records.h"
#include "core/result.h"
#include "stores/sink.h"
#include "stores/sqlite/database.h"

namespace truetape::sqlite {

class LiveQuotes {
 public:
  Status prepare(Database& db);  // `db` is borrowed
  // Of one batch, in the order of the log. Borrowed until write() or clear().
  void take(const Quote& row);
  // What was taken: each replaces the stored one of its instrument and kind if it is newer. `loaded_to`: the end of the
  // batch, by which a batch that comes again is known. Counts what became of the rows.
  Status write(const std::function<Result<std::int64_t>(const Instrument&)>& id_of, std::int64_t loaded_to,
               SinkCounts& counts);
  void clear();

 private:
  static constexpr std::size_t kKinds = 2;
  Database* db_ = nullptr;
  std::array<Statement, kKinds> put_;
  std::unordered_map<Instrument, std::array<const Quote*, kKinds>> newest_;
  std::uint64_t taken_ = 0;
};

}  // namespace truetape::sqlite
