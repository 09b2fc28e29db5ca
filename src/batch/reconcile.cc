#include "batch/reconcile.h"

#include <algorithm>
#include <deque>
#include <map>

namespace truetape {
namespace {

constexpr Interval kRowsFrom = std::chrono::minutes{1};  // shorter windows without a trade have no row
constexpr Int128 kRounding = 10'000'000'000;             // 10^-8 in units of an Amount: what one trade may be off
constexpr int kVenueDecimals = 8;

std::string count_of(std::uint64_t count, std::string_view what) {
  return std::to_string(count) + ' ' + std::string{what} + (count == 1 ? "" : "s");
}

// One value of a window on both sides. As a whole number: units of an Amount, or a count.
struct Pair {
  CandleField field;
  std::optional<Int128> ours, theirs;
  bool may_lack = false;  // ours is empty for a reason that says nothing against the row
  bool rounds = false;    // the venue may round it
};

std::optional<Int128> units(const std::optional<Amount>& value) {
  return value ? std::optional{value->units} : std::nullopt;
}
std::optional<Int128> units(const std::optional<Decimal>& value) {
  return value ? std::optional{to_amount(*value).units} : std::nullopt;
}
std::optional<Int128> number(const std::optional<std::uint64_t>& value) {
  return value ? std::optional<Int128>{*value} : std::nullopt;
}

std::array<Pair, kCandleFields> pairs(const Candle& ours, const OfficialCandle& theirs) {
  // Before the first candle trade ever a quiet window has no price; a taker side may be unknown.
  const bool quiet = ours.completeness == Completeness::quiet, known = ours.volume.has_value();
  const auto price = [quiet](CandleField field, const std::optional<Decimal>& our, Decimal their) {
    return Pair{field, units(our), to_amount(their).units, quiet};
  };
  return {price(CandleField::open, ours.open, theirs.open),
          price(CandleField::high, ours.high, theirs.high),
          price(CandleField::low, ours.low, theirs.low),
          price(CandleField::close, ours.close, theirs.close),
          Pair{CandleField::volume, units(ours.volume), theirs.volume.units},
          Pair{CandleField::quote_volume, units(ours.quote_volume), units(theirs.quote_volume), false, true},
          Pair{CandleField::trades, number(ours.trades), number(theirs.trades)},
          Pair{CandleField::taker_buy_volume, units(ours.taker_buy_volume), units(theirs.taker_buy_volume), known},
          Pair{CandleField::taker_buy_quote_volume, units(ours.taker_buy_quote_volume),
               units(theirs.taker_buy_quote_volume), known, true}};
}

std::string text(const Pair& pair, const std::optional<Int128>& value) {
  if (!value) return {};
  return pair.field == CandleField::trades ? std::to_string(static_cast<std::uint64_t>(*value))
                                           : to_text(Amount{*value});
}

bool claims_all(const Candle& row) {
  return row.completeness == Completeness::complete || row.completeness == Completeness::quiet;
}

class Comparison {
 public:
  Comparison(const History& history, const ReconcileOptions& options, Tape tape, std::span<const OfficialCandle> theirs)
      : history_{history}, options_{options}, theirs_{theirs} {
    out_.instrument = options.instrument;
    out_.tape = tape;
    out_.interval = options.interval;
    out_.at = options.at;
    out_.official = options.official;
  }

  // Rows in order.
  void add(const Candle& row) {
    if (row.first_id) flush(row.first_id);
    if (!waiting_.empty() || (row.status != CandleStatus::open && claims_all(row) && row.proof == Proof::session))
      waiting_.push_back(row);
    else
      judge(row, std::nullopt);
  }
  bool good() const { return status_.has_value(); }

  Result<Reconciliation> finish() {
    flush(std::nullopt);
    out_.beyond_ours += theirs_.size() - next_;
    if (!status_) return tl::unexpected{status_.error()};
    return std::move(out_);
  }

 private:
  // What the newest row with trades told.
  struct Before {
    std::uint64_t last_id;
    std::optional<Decimal> close;
    std::int64_t epoch;
  };
  // What the stored trades of a window tell.
  struct Facts {
    std::uint64_t late = 0;
    Amount late_volume;
    std::map<std::string, std::uint64_t, std::less<>> unfolded;  // by kind
    bool fine = false;                                           // more decimals than the venue's sums have
  };

  // Rows whose proof is a session's wait for the next trade's id.
  void flush(std::optional<std::uint64_t> next_id) {
    for (; !waiting_.empty(); waiting_.pop_front()) judge(waiting_.front(), next_id);
  }

  bool provable(const Candle& row, std::optional<std::uint64_t> next_id) const {
    if (!claims_all(row)) return false;
    if (row.proof == Proof::ids || row.proof == Proof::declared || row.proof == Proof::overlap) return true;
    if (row.proof != Proof::session || !before_ || !next_id) return false;
    if (row.completeness == Completeness::quiet) return *next_id == before_->last_id + 1;
    return row.first_id == before_->last_id + 1 && row.last_id && *next_id == *row.last_id + 1;
  }

  void judge(const Candle& row, std::optional<std::uint64_t> next_id) {
    while (next_ < theirs_.size() && theirs_[next_].start < row.start) no_row(theirs_[next_++], row.first_id);
    any_ = true;
    const OfficialCandle* const their =
        next_ < theirs_.size() && theirs_[next_].start == row.start ? &theirs_[next_++] : nullptr;
    if (row.status == CandleStatus::open)
      ++out_.not_closed;
    else if (their != nullptr)
      compare(row, *their, provable(row, next_id));
    else
      no_candle(row, provable(row, next_id));
    if (row.last_id) before_ = {*row.last_id, row.close, row.epoch};
  }

  // The venue has a candle where there is no row.
  void no_row(const OfficialCandle& their, std::optional<std::uint64_t> next_id) {
    if (!any_) {
      ++out_.beyond_ours;
      return;
    }
    if (options_.interval < kRowsFrom && before_ && next_id == before_->last_id + 1) {
      Candle quiet;
      quiet.start = their.start;
      quiet.interval = options_.interval;
      quiet.completeness = Completeness::quiet;
      quiet.open = quiet.high = quiet.low = quiet.close = before_->close;
      quiet.volume = quiet.quote_volume = quiet.taker_buy_volume = quiet.taker_buy_quote_volume = Amount{};
      quiet.trades = 0;
      quiet.epoch = before_->epoch;
      return compare(quiet, their, true);
    }
    Difference difference;
    difference.start = their.start;
    difference.cause = Cause::missing_here;
    const auto gap = std::ranges::find_if(gaps(), [&](const Gap& g) {
      return g.from < their.start + options_.interval && (!g.to || *g.to >= their.start);
    });
    if (gap != gaps().end()) {
      difference.cause = Cause::gap;
      difference.detail = "the gap from id " + std::to_string(gap->first_id) + " on lies here";
    }
    differs(std::move(difference));
  }

  // There is a row where the venue has no candle.
  void no_candle(const Candle& row, bool proven) {
    if (theirs_.empty() || row.start < theirs_.front().start || row.start > theirs_.back().start) {
      ++out_.beyond_theirs;
    } else if (row.completeness == Completeness::quiet) {
      ++out_.quiet_there;
    } else {
      Difference difference = about(row, proven);
      difference.cause = Cause::missing_there;
      differs(std::move(difference));
    }
  }

  void compare(const Candle& row, const OfficialCandle& their, bool proven) {
    if (proven && row.completeness == Completeness::quiet) ++out_.quiet;
    Difference difference = about(row, proven);
    bool rounded = false;
    std::optional<Facts> facts;
    for (const Pair& pair : pairs(row, their)) {
      if (!pair.theirs || (!pair.ours && pair.may_lack)) continue;
      WindowTally& tally = out_.fields[static_cast<std::size_t>(pair.field)];
      ++tally.compared;
      const bool same = pair.ours == pair.theirs;
      const bool near = !same && pair.ours && pair.rounds && within_rounding(row, pair, facts);
      if (same || near) ++tally.equal;
      if (near) ++tally.rounded;
      rounded |= near;
      if (!same && !near) difference.fields.push_back({pair.field, text(pair, pair.ours), text(pair, pair.theirs)});
    }
    if (difference.fields.empty()) return equal(row, proven, rounded);
    explain(row, difference, facts);
    differs(std::move(difference));
  }

  // Off by no more than what the venue's rounding of each trade's turnover can do.
  bool within_rounding(const Candle& row, const Pair& pair, std::optional<Facts>& facts) {
    const Int128 off = *pair.ours > *pair.theirs ? *pair.ours - *pair.theirs : *pair.theirs - *pair.ours;
    if (off > kRounding * static_cast<Int128>(row.trades.value_or(0))) return false;
    if (!fine_) {
      if (!facts) facts = facts_of(row);
      fine_ = facts->fine;
    }
    return fine_;
  }

  void explain(const Candle& row, Difference& difference, std::optional<Facts>& facts) {
    if (row.held > 0) {
      difference.cause = Cause::rule;
      difference.detail = count_of(row.held, "trade") + " of it wait" + (row.held == 1 ? "s" : "") + " in quarantine";
      return;
    }
    if (row.completeness == Completeness::gap || row.completeness == Completeness::partial) {
      difference.cause = Cause::gap;
      difference.detail = row.completeness == Completeness::partial ? "what is known here begins inside this window"
                          : row.missing ? "at most " + count_of(*row.missing, "trade") + " of it missing"
                                        : "an unknown number of its trades is missing";
      return;
    }
    if (!facts) facts = facts_of(row);
    if (facts->late > 0) {
      difference.cause = Cause::late;
      difference.detail = count_of(facts->late, "trade") + " came when it was sealed, volume " +
                          to_text(facts->late_volume) + ", and are not in it";
    } else if (!facts->unfolded.empty()) {
      difference.cause = Cause::rule;
      for (const auto& [kind, trades] : facts->unfolded)
        difference.detail += (difference.detail.empty() ? "" : ", ") + count_of(trades, "trade") + " of kind " + kind;
      difference.detail += ": not folded into candles";
    } else if (!difference.provable) {
      difference.cause = Cause::unproven;
      difference.detail = row.proof == Proof::session ? "only its session speaks for it: a lost tail would not show"
                                                      : "nothing proves that it holds every trade";
    }
  }

  Facts facts_of(const Candle& row) {
    Facts facts;
    if (!status_) return facts;
    Selection what;
    what.instrument = options_.instrument;
    what.tape = out_.tape;
    what.from = row.start;
    what.to = row.start + options_.interval;
    status_ = history_.trades(what, [&](const Trade& trade) {
      facts.fine |= trade.price.scale + trade.quantity.scale > kVenueDecimals;
      if ((trade.marks & 1U << static_cast<unsigned>(Mark::late)) != 0) {
        ++facts.late;
        facts.late_volume.units += to_amount(trade.quantity).units;
      }
      if (!options_.folded_kinds.contains(trade.kind.view())) ++facts.unfolded[trade.kind.str()];
      return true;
    });
    return facts;
  }

  const std::vector<Gap>& gaps() {
    if (!gaps_) {
      gaps_.emplace();
      Selection what;
      what.instrument = options_.instrument;
      what.tape = out_.tape;
      what.from = options_.from;
      what.to = options_.to;
      if (status_)
        status_ = history_.gaps(what, [&](const Gap& gap) {
          if (gap.state != GapState::repaired && gap.state != GapState::absent) gaps_->push_back(gap);
          return true;
        });
    }
    return *gaps_;
  }

  static Difference about(const Candle& row, bool proven) {
    Difference out;
    out.start = row.start;
    out.provable = proven;
    out.epoch = row.epoch;
    out.revision = row.revision;
    return out;
  }

  WindowTally& seen(Timestamp start, bool proven) {
    if (out_.provable.compared + out_.others.compared == 0) out_.from = start;
    out_.to = start + options_.interval;
    WindowTally& tally = proven ? out_.provable : out_.others;
    ++tally.compared;
    return tally;
  }
  void equal(const Candle& row, bool proven, bool rounded) {
    WindowTally& tally = seen(row.start, proven);
    ++tally.equal;
    if (rounded) {
      ++tally.rounded;
      ++out_.causes[static_cast<std::size_t>(Cause::rounding)];
    }
    EqualRun* run = out_.equal.empty() ? nullptr : &out_.equal.back();
    if (run == nullptr || run->epoch != row.epoch || run->rounded != rounded ||
        run->from + options_.interval * static_cast<std::int64_t>(run->revisions.size()) != row.start)
      run = &out_.equal.emplace_back(EqualRun{row.start, row.epoch, rounded, {}});
    run->revisions.push_back(row.revision);
  }
  void differs(Difference difference) {
    seen(difference.start, difference.provable);
    ++out_.causes[static_cast<std::size_t>(difference.cause)];
    std::size_t& listed = difference.provable ? listed_provable_ : listed_others_;
    if (listed >= options_.limit) {
      UnlistedRun* run = out_.unlisted.empty() ? nullptr : &out_.unlisted.back();
      if (run == nullptr || run->epoch != difference.epoch || run->cause != difference.cause ||
          run->from + options_.interval * static_cast<std::int64_t>(run->revisions.size()) != difference.start)
        run = &out_.unlisted.emplace_back(UnlistedRun{difference.start, difference.cause, difference.epoch, {}});
      run->revisions.push_back(difference.revision);
      return;
    }
    ++listed;
    out_.differences.push_back(std::move(difference));
  }

  const History& history_;
  const ReconcileOptions& options_;
  std::span<const OfficialCandle> theirs_;
  std::size_t next_ = 0;  // of theirs_
  bool any_ = false;      // a row has been seen
  std::optional<Before> before_;
  std::deque<Candle> waiting_;
  std::optional<std::vector<Gap>> gaps_;
  bool fine_ = false;  // the instrument's prices and quantities have more decimals together than the venue's sums
  std::size_t listed_provable_ = 0, listed_others_ = 0;
  Status status_;
  Reconciliation out_;
};

Selection selection(const ReconcileOptions& options, Tape tape) {
  Selection what;
  what.instrument = options.instrument;
  what.tape = tape;
  what.interval = options.interval;
  what.from = options.from;
  what.to = options.to;
  return what;
}

}  // namespace

Result<std::optional<CandleSpan>> candle_span(const History& history, const ReconcileOptions& options) {
  std::optional<CandleSpan> out;
  for (const Tape tape : {Tape::trade, Tape::agg}) {
    if (options.tape && *options.tape != tape) continue;
    Selection what = selection(options, tape);
    what.limit = 1;
    std::optional<CandleSpan> span;
    for (const bool newest : {false, true}) {
      what.newest = newest;
      const Status read = history.candles(what, [&](const Candle& row) {
        if (!span) span = {tape, row.start, row.end()};
        span->to = std::max(span->to, row.end());
        return true;
      });
      if (!read) return tl::unexpected{read.error()};
    }
    if (span && out)
      return failure(Fault::mismatch, Retry::never,
                     options.instrument.str() + " has candles of both tapes; say which: --tape trade or --tape agg");
    if (span) out = span;
  }
  return out;
}

Result<Reconciliation> reconcile(const History& history, const ReconcileOptions& options,
                                 std::span<const OfficialCandle> theirs) {
  const auto span = candle_span(history, options);
  if (!span) return tl::unexpected{span.error()};
  const auto start_of = [](const OfficialCandle& candle) { return candle.start; };
  if (options.from)
    theirs = theirs.subspan(
        static_cast<std::size_t>(std::ranges::lower_bound(theirs, *options.from, {}, start_of) - theirs.begin()));
  if (options.to)
    theirs = theirs.first(
        static_cast<std::size_t>(std::ranges::lower_bound(theirs, *options.to, {}, start_of) - theirs.begin()));
  const Tape tape = *span ? (*span)->tape : options.tape.value_or(Tape::trade);
  Comparison comparison{history, options, tape, theirs};
  const Status read = history.candles(selection(options, tape), [&](const Candle& row) {
    comparison.add(row);
    return comparison.good();
  });
  if (!read) return tl::unexpected{read.error()};
  return comparison.finish();
}

}  // namespace truetape
