#include "stores/sqlite/live_quotes.h"

#include <limits>
#include <string>

#include "stores/sqlite/rows.h"
#include "stores/sqlite/sql.h"

namespace truetape::sqlite {
namespace {

// A venue's clock may be ahead of ours by so much.
constexpr Nanoseconds kAhead = std::chrono::minutes{10};

// When a quote was so: the venue's time, or ours where it sends none, or one that is far ahead: one absurd time must
// not keep all later quotes out. SQL below compares by the same, so that batches of any size leave the same rows.
std::int64_t time_of(const Quote& quote) {
  const bool ours = !quote.event_time || (quote.receive_time && *quote.event_time - kAhead > *quote.receive_time);
  const auto& time = ours ? quote.receive_time : quote.event_time;
  return time ? to_ns(*time) : std::numeric_limits<std::int64_t>::min();
}

std::string order_time_sql(const std::string& row, const std::string& kind) {
  const std::string of = row + "." + kind, event = of + "_event_time", receive = of + "_receive_time";
  return "CASE WHEN " + event + " - " + std::to_string(kAhead.count()) + " > " + receive + " THEN " + receive +
         " ELSE coalesce(" + event + ", " + receive + ", -9223372036854775808) END";
}

std::string put_sql(QuoteKind which) {
  const std::string kind{name(which)};
  const std::string stored = "quotes." + kind + "_loaded_to";
  return upsert("quotes", "instrument_id, " + std::string{quote_columns(which)}, quote_column_count(which) + 1,
                "instrument_id",
                stored + " IS NULL OR (" + order_time_sql("excluded", kind) + ", excluded." + kind +
                    "_loaded_to) >= (" + order_time_sql("quotes", kind) + ", " + stored + ")");
}

}  // namespace

Status LiveQuotes::prepare(Database& db) {
  db_ = &db;
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    auto prepared = db.prepare(put_sql(static_cast<QuoteKind>(kind)));
    if (!prepared) return tl::unexpected{prepared.error()};
    put_[kind] = std::move(*prepared);
  }
  return {};
}

void LiveQuotes::take(const Quote& row) {
  const Quote*& newest = newest_[row.instrument][static_cast<std::size_t>(row.kind)];
  if (newest == nullptr || time_of(row) >= time_of(*newest)) newest = &row;
  ++taken_;
}

Status LiveQuotes::write(const std::function<Result<std::int64_t>(const Instrument&)>& id_of, std::int64_t loaded_to,
                         SinkCounts& counts) {
  std::uint64_t written = 0;
  for (const auto& [instrument, kinds] : newest_) {
    const auto id = id_of(instrument);
    if (!id) return tl::unexpected{id.error()};
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      if (kinds[kind] == nullptr) continue;
      Statement& put = put_[kind];
      bind_quote(put, *kinds[kind], *id, loaded_to);
      const int code = put.step();
      put.reset();
      if (code != SQLITE_DONE) return tl::unexpected{db_->error(code, "writing quotes")};
      written += db_->changes() != 0 ? 1U : 0U;
    }
  }
  counts.written += written;
  counts.unchanged += taken_ - written;
  clear();
  return {};
}

void LiveQuotes::clear() {
  newest_.clear();
  taken_ = 0;
}

}  // namespace truetape::sqlite
