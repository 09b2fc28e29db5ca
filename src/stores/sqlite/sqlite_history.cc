#include <algorithm>
#include <map>
#include <mutex>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "stores/sqlite/database.h"
#include "stores/sqlite/rows.h"
#include "stores/sqlite/schema.h"
#include "stores/sqlite/sqlite_store.h"

namespace truetape {
namespace {

using namespace sqlite;

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t kIdleConnections = 4;

bool backwards(const Selection& what) { return what.newest && what.limit; }

// Counts rows down to the limit and remembers that the receiver has had enough. Rows that come backwards are kept and
// given out in rising order at the end.
template <class Row>
class Delivery {
 public:
  Delivery(const Selection& what, const std::function<bool(const Row&)>& to)
      : to_{to}, left_{what.limit.value_or(std::numeric_limits<std::uint64_t>::max())}, backwards_{backwards(what)} {}
  bool wants_more() const { return left_ > 0; }
  bool operator()(const Row& row) {  // false: enough
    if (backwards_) {
      kept_.push_back(row);
      --left_;
    } else {
      left_ = to_(row) ? left_ - 1 : 0;
    }
    return wants_more();
  }
  void finish() {
    for (auto row = kept_.rbegin(); row != kept_.rend(); ++row)
      if (!to_(*row)) return;
  }

 private:
  const std::function<bool(const Row&)>& to_;
  std::uint64_t left_;
  const bool backwards_;
  std::vector<Row> kept_;
};

struct Known {
  std::int64_t id;
  Instrument instrument;
};

class SqliteHistory final : public History {
 public:
  explicit SqliteHistory(std::filesystem::path path) : path_{std::move(path)} {}

  Status candles(const Selection& what, const std::function<bool(const Candle&)>& row) const override;
  Status trades(const Selection& what, const std::function<bool(const Trade&)>& row) const override;
  Status scan_trades(const Selection& what, const std::function<bool(const Trade&)>& row) const override;
  Status gaps(const Selection& what, const std::function<bool(const Gap&)>& row) const override;
  Status quarantine(const Selection& what, const std::function<bool(const Quarantined&)>& row) const override;
  Status news(const Selection& what, const std::function<bool(const News&)>& row) const override;
  Status news_counts(const Selection& what, const std::function<bool(const NewsCount&)>& row) const override;
  Status quotes(const Selection& what, const std::function<bool(const Quote&)>& row) const override;
  Status progress(const Selection& what, const std::function<bool(const Progress&)>& row) const override;
  Status instruments(const Selection& what, const std::function<bool(const Reference&)>& row) const override;
  Result<std::vector<Instrument>> known_instruments() const override;
  Result<std::optional<std::int64_t>> loaded(std::string_view topic, std::int32_t partition) const override;
  Result<std::string> log_id() const override;
  Result<std::int64_t> logs() const override;
  Result<std::vector<Missing>> missing() const override;
  Result<std::unique_ptr<History>> snapshot() const override;

 private:
  // A connection with a read transaction open, given back to the pool at the end. Of a snapshot(): its one connection,
  // whose transaction stays open.
  class View {
   public:
    View(const SqliteHistory& history, std::unique_ptr<Database> db) : history_{&history}, db_{std::move(db)} {}
    explicit View(Database& pinned) : pinned_{&pinned} {}
    View(View&&) noexcept = default;
    View& operator=(View&&) = delete;
    ~View() {
      if (db_ && db_->execute("COMMIT", "ending to read")) history_->give_back(std::move(db_));
    }
    Database& operator*() const { return pinned_ ? *pinned_ : *db_; }
    Database* operator->() const { return &**this; }
    std::shared_ptr<Database> keep() { return std::move(db_); }  // with its transaction

   private:
    const SqliteHistory* history_ = nullptr;
    std::unique_ptr<Database> db_;
    Database* pinned_ = nullptr;
  };

  Result<View> view() const;
  void give_back(std::unique_ptr<Database> db) const {
    const std::lock_guard lock{mutex_};
    if (idle_.size() < kIdleConnections) idle_.push_back(std::move(db));
  }
  static Result<std::vector<Known>> known(Database& db, const Selection& what);
  // Steps through `statement` and gives each row to `row` until that answers false.
  template <class Each>
  static Status each(Database& db, Statement& statement, Each row);
  Status trades_of(Database& db, const Known& instrument, Tape tape, const Selection& what,
                   Delivery<Trade>& deliver) const;

  const std::filesystem::path path_;
  std::shared_ptr<Database> pinned_;  // of a snapshot(): its transaction ends with the last who holds it
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Database>> idle_;
};

// The tapes asked for, in the order of the rows.
std::vector<Tape> tapes(const Selection& what) {
  if (what.tape) return {*what.tape};
  if (backwards(what)) return {Tape::agg, Tape::trade};
  return {Tape::trade, Tape::agg};
}

std::string tape_clause(const Selection& what) {
  return what.tape ? " AND tape = " + std::to_string(static_cast<int>(*what.tape)) : std::string{};
}

std::string time_clause(const Selection& what, const std::string& column) {
  std::string sql;
  if (what.from) sql += " AND " + column + " >= " + std::to_string(to_ns(*what.from));
  if (what.to) sql += " AND " + column + " < " + std::to_string(to_ns(*what.to));
  return sql;
}

// Of gaps: the hole's ends are trades that are known, so it touches what lies between them, both included.
std::string overlap_clause(const Selection& what) {
  std::string sql;
  if (what.from) sql += " AND (to_time IS NULL OR to_time >= " + std::to_string(to_ns(*what.from)) + ")";
  if (what.to) sql += " AND from_time < " + std::to_string(to_ns(*what.to));
  return sql;
}

template <class Each>
Status SqliteHistory::each(Database& db, Statement& statement, Each row) {
  int code = 0;
  while ((code = statement.step()) == SQLITE_ROW)
    if (!row(std::as_const(statement))) break;
  statement.reset();
  if (code != SQLITE_ROW && code != SQLITE_DONE) return tl::unexpected{db.error(code, "reading rows")};
  return {};
}

Result<std::unique_ptr<History>> SqliteHistory::snapshot() const {
  auto out = std::make_unique<SqliteHistory>(path_);
  out->pinned_ = pinned_;
  if (!pinned_) {
    auto now = view();
    if (!now) return tl::unexpected{now.error()};
    out->pinned_ = now->keep();
  }
  return out;
}

Result<SqliteHistory::View> SqliteHistory::view() const {
  if (pinned_) return View{*pinned_};
  std::error_code ignored;
  if (!std::filesystem::exists(path_, ignored))
    return failure(Fault::not_found, Retry::after_backoff,
                   "there is no store " + path_.string() + " yet: nothing was loaded");
  std::unique_ptr<Database> db;
  {
    const std::lock_guard lock{mutex_};
    if (!idle_.empty()) {
      db = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (!db) {
    auto opened = Database::open(path_.string(), Access::read_only, 5'000);
    if (!opened) return tl::unexpected{opened.error()};
    db = std::make_unique<Database>(std::move(*opened));
    if (auto set = db->execute("PRAGMA cache_size = -8192;", "opening to read"); !set)
      return tl::unexpected{set.error()};
  }
  // The transaction begins with its first read: checking the schema fixes the snapshot.
  if (auto begun = db->execute("BEGIN", "beginning to read"); !begun) return tl::unexpected{begun.error()};
  View view{*this, std::move(db)};
  if (auto checked = check_schema(*view, migrations().back().version); !checked) return tl::unexpected{checked.error()};
  return view;
}

// The instruments asked for, in order of their names; backwards if the newest rows are asked for.
Result<std::vector<Known>> SqliteHistory::known(Database& db, const Selection& what) {
  auto statement = db.prepare(what.instrument ? "SELECT id, instrument FROM instruments WHERE instrument = ?"
                                              : "SELECT id, instrument FROM instruments ORDER BY instrument");
  if (!statement) return tl::unexpected{statement.error()};
  if (what.instrument) statement->bind_text(1, what.instrument->text());
  std::vector<Known> out;
  auto done = each(db, *statement, [&](const Statement& row) {
    if (auto instrument = Instrument::parse(row.text(1))) out.push_back({row.integer(0), *instrument});
    return true;
  });
  if (!done) return tl::unexpected{done.error()};
  if (backwards(what)) std::reverse(out.begin(), out.end());
  return out;
}

Status SqliteHistory::candles(const Selection& what, const std::function<bool(const Candle&)>& row) const {
  auto db = view();
  if (!db) return tl::unexpected{db.error()};
  auto instruments = known(**db, what);
  if (!instruments) return tl::unexpected{instruments.error()};
  // Tape by tape, so that instrument, tape and interval are the beginning of the key.
  std::string sql = "SELECT " + std::string{kCandleColumns} + " FROM candles WHERE instrument_id = ? AND tape = ?";
  if (what.interval) sql += " AND interval = " + std::to_string(what.interval->count());
  sql += time_clause(what, "start");
  auto statement =
      (*db)->prepare(sql + (backwards(what) ? " ORDER BY interval DESC, start DESC" : " ORDER BY interval, start"));
  if (!statement) return tl::unexpected{statement.error()};
  Delivery<Candle> deliver{what, row};
  for (const Known& instrument : *instruments)
    for (const Tape tape : tapes(what)) {
      if (!deliver.wants_more()) break;
      statement->bind(1, instrument.id);
      statement->bind(2, static_cast<std::int64_t>(tape));
      if (auto done = each(**db, *statement,
                           [&](const Statement& from) { return deliver(read_candle(from, instrument.instrument)); });
          !done)
        return done;
    }
  deliver.finish();
  return {};
}

Status SqliteHistory::gaps(const Selection& what, const std::function<bool(const Gap&)>& row) const {
  auto db = view();
  if (!db) return tl::unexpected{db.error()};
  auto instruments = known(**db, what);
  if (!instruments) return tl::unexpected{instruments.error()};
  auto statement = (*db)->prepare("SELECT " + std::string{kGapColumns} + " FROM gaps WHERE instrument_id = ?" +
                                  tape_clause(what) + overlap_clause(what) +
                                  (backwards(what) ? " ORDER BY tape DESC, from_time DESC, era DESC, first_id DESC"
                                                   : " ORDER BY tape, from_time, era, first_id"));
  if (!statement) return tl::unexpected{statement.error()};
  Delivery<Gap> deliver{what, row};
  for (const Known& instrument : *instruments) {
    if (!deliver.wants_more()) break;
    statement->bind(1, instrument.id);
    if (auto done = each(**db, *statement,
                         [&](const Statement& from) { return deliver(read_gap(from, instrument.instrument)); });
        !done)
      return done;
  }
  deliver.finish();
  return {};
}

Status SqliteHistory::news(const Selection& what, const std::function<bool(const News&)>& row) const {
  auto db = view();
  if (!db) return tl::unexpected{db.error()};
  const std::string down = backwards(what) ? " DESC" : "";
  const std::string from = what.instrument ? "news_related r JOIN news n USING(venue, id)" : "news n";
  const std::string time = what.instrument ? "r.event_time" : "n.event_time";
  auto statement = (*db)->prepare(
      "SELECT n.venue, n.id, n.event_time, n.headline, n.source, n.url, n.summary, n.related FROM " + from + " WHERE " +
      time + " >= ?1 AND " + time + " < ?2" + (what.instrument ? " AND r.instrument = ?3" : "") +
      (what.source.empty() ? "" : " AND n.source = ?4") + " ORDER BY " + time + down + ", venue" + down + ", id" +
      down);
  if (!statement) return tl::unexpected{statement.error()};
  statement->bind(1, to_ns(what.from.value_or(Timestamp::min())));
  statement->bind(2, to_ns(what.to.value_or(Timestamp::max())));
  if (what.instrument) statement->bind_text(3, what.instrument->text());
  if (!what.source.empty()) statement->bind_text(4, what.source);
  Delivery<News> deliver{what, row};
  if (!deliver.wants_more()) return {};
  if (auto done = each(**db, *statement, [&](const Statement& of) { return deliver(read_news(of)); }); !done)
    return done;
  deliver.finish();
  return {};
}

Status SqliteHistory::news_counts(const Selection& what, const std::function<bool(const NewsCount&)>& row) const {
  auto db = view();
  if (!db) return tl::unexpected{db.error()};
  std::string sql = "SELECT " + std::string{kNewsCountColumns} + " FROM news_counts WHERE headlines <> 0";
  sql += time_clause(what, "start");
  if (what.interval) sql += " AND interval = " + std::to_string(what.interval->count());
  if (what.instrument) sql += " AND instrument = ?1";
  if (!what.source.empty()) sql += " AND source = ?2";
  sql += backwards(what) ? " ORDER BY interval DESC, start DESC, instrument DESC, source DESC, venue DESC"
                         : " ORDER BY interval, start, instrument, source, venue";
  auto statement = (*db)->prepare(sql);
  if (!statement) return tl::unexpected{statement.error()};
  if (what.instrument) statement->bind_text(1, what.instrument->text());
  if (!what.source.empty()) statement->bind_text(2, what.source);
  Delivery<NewsCount> deliver{what, row};
  if (!deliver.wants_more()) return {};
  if (auto done = each(**db, *statement, [&](const Statement& of) { return deliver(read_news_count(of)); }); !done)
    return done;
  deliver.finish();
  return {};
}

Status SqliteHistory::quotes(const Selection& what, const std::function<bool(const Quote&)>& row) const {
  auto db = view();
  if (!db) return tl::unexpected{db.error()};
  auto statement = (*db)->prepare("SELECT instrument, " + std::string{kBestColumns} + ", " +
                                  std::string{kTickerColumns} + " FROM quotes JOIN instruments ON id = instrument_id" +
                                  (what.instrument ? " WHERE instrument = ?" : "") + " ORDER BY instrument");
  if (!statement) return tl::unexpected{statement.error()};
  if (what.instrument) statement->bind_text(1, what.instrument->text());
  Delivery<Quote> deliver{what, row};
  if (!deliver.wants_more()) return {};
  return each(**db, *statement, [&](const Statement& from) {
    const Instrument instrument = Instrument::parse(from.text(0)).value_or(Instrument{});
    int first = 1;
    for (const QuoteKind kind : {QuoteKind::best, QuoteKind::ticker}) {
      if (const auto quote = read_quote(from, first, kind, instrument); quote && !deliver(*quote)) return false;
      first += quote_column_count(kind);
    }
    return true;
  });
}

Status SqliteHistory::progress(const Selection& what, const std::function<bool(const Progress&)>& row) const {
  auto db = view();
  if (!db) return tl::unexpected{db.error()};
  auto instruments = known(**db, what);
  if (!instruments) return tl::unexpected{instruments.error()};
  auto statement = (*db)->prepare("SELECT " + std::string{kProgressColumns} + " FROM progress WHERE instrument_id = ?" +
                                  tape_clause(what) + " ORDER BY tape");
  if (!statement) return tl::unexpected{statement.error()};
  Delivery<Progress> deliver{what, row};
  for (const Known& instrument : *instruments) {
    if (!deliver.wants_more()) break;
    statement->bind(1, instrument.id);
    if (auto done = each(**db, *statement,
                         [&](const Statement& from) { return deliver(read_progress(from, instrument.instrument)); });
        !done)
      return done;
  }
  return {};
}

Status SqliteHistory::quarantine(const Selection& what, const std::function<bool(const Quarantined&)>& row) const {
  auto db = view();
  if (!db) return tl::unexpected{db.error()};
  auto found = known(**db, what);
  if (!found) return tl::unexpected{found.error()};
  // Items whose instrument could not be read come first, under the empty name.
  std::vector<std::optional<Known>> instruments{found->begin(), found->end()};
  if (!what.instrument) instruments.insert(backwards(what) ? instruments.end() : instruments.begin(), std::nullopt);
  const std::string order = backwards(what) ? " ORDER BY log DESC, partition DESC, raw_offset DESC, ordinal DESC"
                                            : " ORDER BY log, partition, raw_offset, ordinal";
  auto statement = (*db)->prepare(
      "SELECT " + std::string{kQuarantineColumns} + " FROM quarantine WHERE instrument_id IS ?1 AND resolution = 0" +
      (what.reason ? " AND reason = ?2" : "") + (what.rule.empty() ? "" : " AND rule = ?3") +
      (what.this_log ? " AND log = (SELECT l.id FROM logs l JOIN meta m ON m.value = l.log_id WHERE "
                       "m.name = 'log_id')"
                     : "") +
      time_clause(what, "receive_time") + order);
  if (!statement) return tl::unexpected{statement.error()};
  if (what.reason) statement->bind(2, static_cast<std::int64_t>(*what.reason));
  if (!what.rule.empty()) statement->bind_text(3, what.rule);
  Delivery<Quarantined> deliver{what, row};
  for (const auto& instrument : instruments) {
    if (!deliver.wants_more()) break;
    if (instrument)
      statement->bind(1, instrument->id);
    else
      statement->bind_null(1);
    if (auto done = each(**db, *statement,
                         [&](const Statement& from) {
                           return deliver(read_quarantined(from, instrument ? instrument->instrument : Instrument{}));
                         });
        !done)
      return done;
  }
  deliver.finish();
  return {};
}

Status SqliteHistory::instruments(const Selection& what, const std::function<bool(const Reference&)>& row) const {
  auto db = view();
  if (!db) return tl::unexpected{db.error()};
  auto statement = (*db)->prepare("SELECT " + std::string{kReferenceColumns} + " FROM instruments WHERE listed = 1" +
                                  (what.instrument ? " AND instrument = ?" : "") + " ORDER BY instrument");
  if (!statement) return tl::unexpected{statement.error()};
  if (what.instrument) statement->bind_text(1, what.instrument->text());
  Delivery<Reference> deliver{what, row};
  if (!deliver.wants_more()) return {};
  return each(**db, *statement, [&](const Statement& from) { return deliver(read_reference(from)); });
}

Status SqliteHistory::trades(const Selection& what, const std::function<bool(const Trade&)>& row) const {
  auto db = view();
  if (!db) return tl::unexpected{db.error()};
  auto instruments = known(**db, what);
  if (!instruments) return tl::unexpected{instruments.error()};
  Delivery<Trade> deliver{what, row};
  for (const Known& instrument : *instruments)
    for (const Tape tape : tapes(what))
      if (deliver.wants_more())
        if (auto done = trades_of(**db, instrument, tape, what, deliver); !done) return done;
  deliver.finish();
  return {};
}

// Trades lie in the order of their ids; asked for is the order of time, which is nearly the same. So blocks of ids are
// read in the order of their least times, and what is read is given out as soon as no later block can hold anything
// earlier: exact, and in memory only as many rows as overlapping blocks hold. Trades without ids have an index by time
// and are merged in. Backwards it is the same, with the greatest times.
Status SqliteHistory::trades_of(Database& db, const Known& instrument, Tape tape, const Selection& what,
                                Delivery<Trade>& deliver) const {
  const std::int64_t from = what.from ? to_ns(*what.from) : std::numeric_limits<std::int64_t>::min();
  const std::int64_t to = what.to ? to_ns(*what.to) : kNever;
  const bool back = backwards(what);
  struct Block {
    std::int64_t era, number, edge;  // edge: the least time, backwards the greatest
  };
  std::vector<Block> blocks;
  auto find_blocks =
      db.prepare(std::string{"SELECT era, block, "} + (back ? "max_time" : "min_time") +
                 " FROM trade_blocks WHERE instrument_id = ? AND tape = ? AND max_time >= ? AND min_time < ?");
  if (!find_blocks) return tl::unexpected{find_blocks.error()};
  find_blocks->bind(1, instrument.id);
  find_blocks->bind(2, static_cast<std::int64_t>(tape));
  find_blocks->bind(3, from);
  find_blocks->bind(4, to);
  if (auto done = each(db, *find_blocks,
                       [&](const Statement& s) {
                         blocks.push_back({s.integer(0), s.integer(1), s.integer(2)});
                         return true;
                       });
      !done)
    return done;
  std::sort(blocks.begin(), blocks.end(), [](const Block& a, const Block& b) {
    return std::tie(a.edge, a.era, a.number) < std::tie(b.edge, b.era, b.number);
  });
  if (back) std::reverse(blocks.begin(), blocks.end());

  std::map<std::int64_t, Text<40>> sources;
  auto find_source = db.prepare("SELECT source FROM sources WHERE id = ?");
  if (!find_source) return tl::unexpected{find_source.error()};
  const auto complete = [&](const Statement& s) -> Result<Trade> {
    Trade trade = read_trade(s, instrument.instrument);
    auto [source, fresh] = sources.try_emplace(s.integer(kTradeSourceColumn));
    if (fresh) {
      find_source->bind(1, source->first);
      if (auto done = each(db, *find_source,
                           [&](const Statement& f) { return source->second = Text<40>::cut(f.text(0)), true; });
          !done)
        return tl::unexpected{done.error()};
    }
    trade.source = source->second;
    return trade;
  };

  const std::string columns = "SELECT " + std::string{kTradeColumns};
  auto without_id = db.prepare(
      columns + " FROM trades_without_id WHERE instrument_id = ? AND tape = ? AND event_time >= ? AND event_time < ? " +
      std::string{back ? "ORDER BY event_time DESC, source_id DESC, seq DESC, ordinal DESC"
                       : "ORDER BY event_time, source_id, seq, ordinal"});
  if (!without_id) return tl::unexpected{without_id.error()};
  without_id->bind(1, instrument.id);
  without_id->bind(2, static_cast<std::int64_t>(tape));
  without_id->bind(3, from);
  without_id->bind(4, to);
  int merged = without_id->step();
  // Gives out the rows without id of times < `until`, backwards >= it. Of equal times those with an id come first.
  const auto before = [back](std::int64_t time, std::int64_t until) { return back ? time >= until : time < until; };
  const auto merge_until = [&](std::int64_t until) -> Status {
    while (merged == SQLITE_ROW && deliver.wants_more() && before(without_id->integer(4), until)) {
      auto trade = complete(*without_id);
      if (!trade) return tl::unexpected{trade.error()};
      deliver(*trade);
      merged = without_id->step();
    }
    if (merged != SQLITE_ROW && merged != SQLITE_DONE) return tl::unexpected{db.error(merged, "reading rows")};
    return {};
  };

  auto read_block = db.prepare(
      columns +
      " FROM trades WHERE instrument_id = ? AND tape = ? AND era = ? AND trade_order >= ? AND trade_order <= ?");
  if (!read_block) return tl::unexpected{read_block.error()};
  std::vector<Trade> pending;
  for (std::size_t i = 0; i < blocks.size() && deliver.wants_more(); ++i) {
    read_block->bind(1, instrument.id);
    read_block->bind(2, static_cast<std::int64_t>(tape));
    read_block->bind(3, blocks[i].era);
    const std::uint64_t first = static_cast<std::uint64_t>(blocks[i].number) << kBlockShift;
    read_block->bind_unsigned(4, first);
    read_block->bind_unsigned(5, first + (std::uint64_t{1} << kBlockShift) - 1);
    Status read;
    if (auto done = each(db, *read_block,
                         [&](const Statement& s) {
                           if (s.integer(4) < from || s.integer(4) >= to) return true;
                           auto trade = complete(s);
                           if (!trade) return read = tl::unexpected{trade.error()}, false;
                           pending.push_back(std::move(*trade));
                           return true;
                         });
        !done)
      return done;
    if (!read) return read;
    std::sort(pending.begin(), pending.end(), [](const Trade& a, const Trade& b) {
      return std::tie(a.event_time, a.era, a.order) < std::tie(b.event_time, b.era, b.order);
    });
    if (back) std::reverse(pending.begin(), pending.end());
    const bool last = i + 1 == blocks.size();
    // No block after this one holds anything that comes before a trade of this time.
    const auto settled = [&](std::int64_t time) {
      return last || (back ? time > blocks[i + 1].edge : time < blocks[i + 1].edge);
    };
    std::size_t given = 0;
    for (; given < pending.size() && deliver.wants_more() && settled(to_ns(pending[given].event_time)); ++given) {
      if (auto done = merge_until(to_ns(pending[given].event_time)); !done) return done;
      if (!deliver.wants_more()) break;
      deliver(pending[given]);
    }
    pending.erase(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(given));
  }
  return merge_until(back ? std::numeric_limits<std::int64_t>::min() : kNever);
}

// The tables themselves from end to end: what no index knows of is found too.
Status SqliteHistory::scan_trades(const Selection& what, const std::function<bool(const Trade&)>& row) const {
  auto db = view();
  if (!db) return tl::unexpected{db.error()};
  auto named = known(**db, {});
  if (!named) return tl::unexpected{named.error()};
  std::unordered_map<std::int64_t, Instrument> instruments;
  std::string where;
  for (const Known& one : *named) {
    instruments.emplace(one.id, one.instrument);
    if (what.instrument && one.instrument == *what.instrument) where = " AND instrument_id = " + std::to_string(one.id);
  }
  if (what.instrument && where.empty()) return {};
  where += tape_clause(what) + time_clause(what, "+event_time");  // +: by no index
  if (!where.empty()) where.replace(0, 4, " WHERE");

  std::unordered_map<std::int64_t, Text<40>> sources;
  auto read_sources = (*db)->prepare("SELECT id, source FROM sources");
  if (!read_sources) return tl::unexpected{read_sources.error()};
  if (auto done =
          each(**db, *read_sources,
               [&](const Statement& s) { return sources.emplace(s.integer(0), Text<40>::cut(s.text(1))), true; });
      !done)
    return done;

  for (const std::string table : {"trades", "trades_without_id"}) {
    // Filled anew by each row; the dictionaries' texts only when they change.
    Trade trade;
    std::int64_t instrument = -1, source = -1;
    bool wanted = true;
    std::optional<std::int64_t> unnamed;
    const auto take = [&](const Values& s) {
      read_trade(s, trade);
      if (const std::int64_t id = s.integer(kTradeInstrumentColumn); id != instrument) {
        const auto found = instruments.find(id);
        if (found == instruments.end()) return unnamed = id, false;
        trade.instrument = found->second;
        instrument = id;
      }
      if (const std::int64_t id = s.integer(kTradeSourceColumn); id != source) {
        const auto found = sources.find(id);
        trade.source = found == sources.end() ? Text<40>{} : found->second;
        source = id;
      }
      return wanted = row(trade);
    };
    if (auto done = (*db)->each_row(kTradeColumns, kTradeColumnCount, table + where, take); !done) return done;
    if (unnamed)
      return failure(Fault::corrupt, Retry::never,
                     "the table " + table + " of " + path_.string() + " has trades of instrument_id " +
                         std::to_string(*unnamed) +
                         ", which the table instruments does not name; load the store anew from the log");
    if (!wanted) break;
  }
  return {};
}

Result<std::vector<Instrument>> SqliteHistory::known_instruments() const {
  auto db = view();
  if (!db) return tl::unexpected{db.error()};
  auto found = known(**db, {});
  if (!found) return tl::unexpected{found.error()};
  std::vector<Instrument> out;
  for (const Known& one : *found) out.push_back(one.instrument);
  return out;
}

Result<std::optional<std::int64_t>> SqliteHistory::loaded(std::string_view topic, std::int32_t partition) const {
  auto db = view();
  if (!db) return tl::unexpected{db.error()};
  auto statement = (*db)->prepare("SELECT next FROM positions WHERE topic = ? AND partition = ? AND next IS NOT NULL");
  if (!statement) return tl::unexpected{statement.error()};
  statement->bind_text(1, topic);
  statement->bind(2, partition);
  std::optional<std::int64_t> next;
  if (auto done = each(**db, *statement, [&](const Statement& row) { return next = row.integer(0), true; }); !done)
    return tl::unexpected{done.error()};
  return next;
}

Result<std::string> SqliteHistory::log_id() const {
  auto db = view();
  if (!db) return tl::unexpected{db.error()};
  auto found = (*db)->query_text("SELECT value FROM meta WHERE name = 'log_id'");
  if (!found) return tl::unexpected{found.error()};
  return found->value_or(std::string{});
}

Result<std::int64_t> SqliteHistory::logs() const {
  auto db = view();
  if (!db) return tl::unexpected{db.error()};
  auto statement = (*db)->prepare("SELECT count(*) FROM logs");
  if (!statement) return tl::unexpected{statement.error()};
  std::int64_t count = 0;
  if (auto done = each(**db, *statement, [&](const Statement& row) { return count = row.integer(0), true; }); !done)
    return tl::unexpected{done.error()};
  return count;
}

Result<std::vector<Missing>> SqliteHistory::missing() const {
  auto db = view();
  if (!db) return tl::unexpected{db.error()};
  auto statement = (*db)->prepare("SELECT log_id, topic, partition, first, next FROM missing_records");
  if (!statement) return tl::unexpected{statement.error()};
  std::vector<Missing> out;
  if (auto done = each(**db, *statement,
                       [&](const Statement& row) {
                         out.push_back({.log_id = std::string{row.text(0)},
                                        .topic = std::string{row.text(1)},
                                        .partition = static_cast<std::int32_t>(row.integer(2)),
                                        .first = row.integer(3),
                                        .next = row.integer(4)});
                         return true;
                       });
      !done)
    return tl::unexpected{done.error()};
  return out;
}

}  // namespace

std::unique_ptr<History> open_sqlite_history(std::filesystem::path path) {
  return std::make_unique<SqliteHistory>(std::move(path));
}

}  // namespace truetape
