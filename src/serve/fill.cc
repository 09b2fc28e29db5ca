#include "serve/fill.h"

namespace truetape {
namespace {

Status read_tape(const History& history, const Instrument& instrument, Tape tape, std::span<const Interval> intervals,
                 std::span<const std::size_t> kept, std::size_t trades, Filled::OfTape& out) {
  out.candles.resize(intervals.size());
  bool minute = false;
  for (std::size_t i = 0; i < intervals.size(); ++i) {
    Selection what{.instrument = instrument, .tape = tape, .interval = intervals[i]};
    what.limit = kept[i];
    what.newest = true;
    if (Status done = history.candles(what, [&](const Candle& c) { return out.candles[i].push_back(c), true; }); !done)
      return done;
    if (minute || intervals[i] < std::chrono::minutes{1}) continue;
    // Smaller windows have no row where they have no trade, so they do not tell where what is known begins.
    minute = true;
    what.limit = 1;
    what.newest = false;
    const Status done = history.candles(what, [&](const Candle& c) {
      if (c.status != CandleStatus::open)
        out.known_from = c.completeness == Completeness::partial ? c.start + Nanoseconds{1} : c.start;
      return true;
    });
    if (!done) return done;
  }
  Selection what{.instrument = instrument, .tape = tape};
  what.limit = trades;
  what.newest = true;
  if (Status done = history.trades(what, [&](const Trade& t) { return out.trades.push_back(t), true; }); !done)
    return done;
  out.any = !out.trades.empty();
  for (const auto& candles : out.candles) out.any |= !candles.empty();
  return {};
}

}  // namespace

Result<Filled> read_filled(const History& history, const Instrument& instrument, std::span<const Interval> intervals,
                           std::span<const std::size_t> kept, std::size_t trades) {
  Filled out;
  for (const Tape tape : {Tape::trade, Tape::agg}) {
    auto& of = out.tapes[static_cast<std::size_t>(tape)];
    if (Status done = read_tape(history, instrument, tape, intervals, kept, trades, of); !done) {
      if (done.error().fault != Fault::not_found) return tl::unexpected{done.error()};
      of.candles.resize(intervals.size());
    }
  }
  return out;
}

}  // namespace truetape
