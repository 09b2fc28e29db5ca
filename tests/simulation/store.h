// The store of a history. `Tables` outlives the process; a MemorySink writes into it as stores/sink.h promises, with
// the positions, owners and row order of the SQLite store; a FaultySink stands before either kind and fails as told.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>

#include "core/records.h"
#include "random.h"
#include "stores/history.h"
#include "stores/sink.h"
#include "trace.h"

namespace truetape::simulation {

using TradeKey = std::tuple<Instrument, Tape, std::uint32_t, std::uint64_t>;
using CandleKey = std::tuple<Instrument, Tape, std::int64_t, Timestamp>;
using GapKey = std::tuple<Instrument, Tape, std::uint32_t, std::uint64_t>;
using ProgressKey = std::pair<Instrument, Tape>;
using QuarantineKey = std::tuple<std::string, std::int32_t, std::int64_t, std::uint32_t>;  // log, place, item

TradeKey key_of(const Trade& t);
CandleKey key_of(const Candle& c);
CandleKey key_of(const LateWindow& l);
GapKey key_of(const Gap& g);
ProgressKey key_of(const Progress& p);

// The rows of a store, or those that a log says should be there.
struct Rows {
  std::map<TradeKey, Trade> trades;
  std::map<CandleKey, Candle> candles;
  std::map<GapKey, Gap> gaps;
  std::map<ProgressKey, Progress> progress;
  std::map<CandleKey, LateWindow> late;
  std::map<QuarantineKey, Quarantined> quarantined;
  std::map<Instrument, Reference> references;
};

struct Tables {
  struct Position {
    std::int64_t owner = 0;
    std::optional<std::int64_t> next;
  };
  Rows rows;
  std::map<Instrument, std::int64_t> loaded_to;  // of references
  std::map<std::pair<std::string, std::int32_t>, Position> positions;
  std::string log_id;
};

std::unique_ptr<Sink> make_memory_sink(Tables& tables, std::string log_id, bool adopt);
// All rows of a store of another kind.
Result<Rows> read_rows(const History& history, const std::string& log_id);

// What is wrong with the store now.
struct StoreWeather {
  bool down = false, full = false;
  std::uint32_t crashes = 0;  // per mille of calls: half of them before the effect, half after it
};
std::unique_ptr<Sink> make_faulty_sink(std::unique_ptr<Sink> inner, const StoreWeather& weather, Random& random,
                                       Trace& trace);

}  // namespace truetape::simulation
