#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "stores/sqlite/database.h"
#include "stores/sqlite/live_quotes.h"
#include "stores/sqlite/rows.h"
#include "stores/sqlite/schema.h"
#include "stores/sqlite/sql.h"
#include "stores/sqlite/sqlite_store.h"

namespace truetape {
namespace {

using namespace sqlite;

constexpr std::string_view kQuotesTopic = "quotes";

// The row order of core/row_order.h in SQL: the one place in this store that decides which row stays.
std::string newer_than_stored(std::string_view table) {
  const std::string t{table};
  return "(excluded.settled, excluded.epoch, excluded.revision) > (" + t + ".settled, " + t + ".epoch, " + t +
         ".revision)";
}

// As replaces() of two NewsCount.
constexpr std::string_view more_news_than_stored() {
  return "CASE WHEN excluded.epoch = news_counts.epoch THEN excluded.revision > news_counts.revision ELSE "
         "(excluded.headlines, excluded.epoch) > (news_counts.headlines, news_counts.epoch) END";
}

class SqliteSink final : public Sink {
 public:
  SqliteSink(std::filesystem::path path, SqliteOptions options)
      : path_{std::move(path)}, options_{std::move(options)} {}

  Status open() override;
  Result<std::optional<std::int64_t>> claim(std::string_view topic, std::int32_t partition) override;
  Result<std::int64_t> write(const Batch& batch) override;
  Status write_all(std::span<const Batch> batches) override;
  SinkCounts counts() const override { return counts_; }

 private:
  struct Position {
    std::int64_t owner = 0;
    std::optional<std::int64_t> next;
    std::int64_t had = 0;  // where the store was before it began anew: only above that is a first batch late
  };
  using Partition = std::pair<std::string, std::int32_t>;
  struct Block {
    std::int64_t instrument;
    Tape tape;
    std::uint32_t era;
    std::uint64_t block;
    friend auto operator<=>(const Block&, const Block&) = default;
  };

  Status begin();
  Status commit();
  // Ends the transaction without effect and forgets what was learnt in it; answers `error`.
  tl::unexpected<Error> roll_back(Error error);
  Status write_batch(const Batch& batch);
  Status check_log();
  Status forget_batch_ends();
  Status write_blocks();

  Status put(const Trade& row);
  Status put(const Candle& row);
  Status put(const Gap& row);
  Status put(const Quarantined& row);
  Status put(const Progress& row);
  Status put(const LateWindow& row);
  Status put(const Reference& row);
  Status put(const Quote& row) {  // written at the end of the batch
    session_->quotes.take(row);
    return {};
  }
  Status put(const News& row);
  Status put(const NewsCount& row);

  // Runs a bound INSERT. True: a row was written; false: the stored row stays.
  Result<bool> run(Statement& statement);
  // The stored row of `row`'s key, read by `read` from a statement whose key parameters are bound.
  template <class Row, class Read>
  Result<Row> stored(Statement& statement, Read read);
  template <class Row>
  Status compare(const Row& row, const Result<Row>& stored, const std::string& key);

  Result<std::int64_t> instrument_id(const Instrument& instrument);
  Result<std::int64_t> source_id(const Text<40>& source);
  Result<std::int64_t> dictionary_id(Statement& find, Statement& add, std::string_view text);

  // Everything that belongs to one opened file; made anew by open(). Statements go before the connection.
  struct Session {
    Database db;
    Statement insert_trade, insert_trade_without_id, find_trade, find_trade_without_id, put_block;
    Statement put_candle, find_candle, put_gap, find_gap, put_progress, find_progress, put_late, put_quarantined,
        find_quarantined, keep_quarantined, put_reference, put_news, find_news, put_related, put_news_count,
        find_news_count;
    Statement find_instrument, add_instrument, find_source, add_source, move_position, put_missing;
    LiveQuotes quotes;
    std::map<Partition, Position, std::less<>> positions;  // of what is claimed
    // Dictionaries as far as they were needed; the last entry apart, since rows of one instrument come in runs.
    std::unordered_map<Instrument, std::int64_t> instruments;
    std::unordered_map<Text<40>, std::int64_t> sources;
    std::pair<Instrument, std::int64_t> last_instrument{};
    std::pair<Text<40>, std::int64_t> last_source{};
    std::map<Block, std::pair<std::int64_t, std::int64_t>> blocks;  // of the transaction: least and greatest time
    std::int64_t log = 0;                                           // our log's id in the table `logs`
    bool adopted = false;                                           // what we claim is adopted, and the store says so
    bool continued = false;  // it holds rows of another continuation of our log, which has the same id
  };

  const std::filesystem::path path_;
  const SqliteOptions options_;
  std::unique_ptr<Session> session_;
  std::int64_t batch_next_ = 0;  // of the batch that is being written
  SinkCounts counts_, before_;   // before_: as of the last commit
};

Status SqliteSink::open() {
  session_.reset();
  auto opened = Database::open(path_.string(), Access::read_write, options_.busy_ms);
  if (!opened) return tl::unexpected{opened.error()};
  auto session = std::make_unique<Session>();
  Session& s = *session;
  s.db = std::move(*opened);
  // Setting the journal's mode writes into the file, so whose it is must be known before.
  if (auto ours = check_ours(s.db, migrations().back().version); !ours) return ours;
  // FULL: a commit is on the disk when it returns. Checkpoints of some thousand pages cost less than many small ones.
  if (auto set = s.db.execute(
          "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF; PRAGMA cache_size = -32768;"
          "PRAGMA wal_autocheckpoint = 8000; PRAGMA journal_size_limit = 67108864; PRAGMA temp_store = MEMORY;",
          "opening");
      !set)
    return set;
  if (options_.max_bytes != 0) {
    auto page = s.db.query_integer("PRAGMA page_size");
    if (!page) return tl::unexpected{page.error()};
    const auto pages = options_.max_bytes / static_cast<std::uint64_t>(page->value_or(4096));
    if (auto set = s.db.execute(("PRAGMA max_page_count = " + std::to_string(pages)).c_str(), "limiting the size");
        !set)
      return set;
  }
  if (auto applied = apply_schema(s.db, migrations()); !applied) return applied;
  if (auto renewed = renew_views(s.db); !renewed) return renewed;

  const std::string trade_values =
      "(" + std::string{kTradeColumns} + ") VALUES(" + parameters(kTradeColumnCount) + ") ON CONFLICT DO NOTHING";
  const auto guarded = [](std::string_view table, std::string_view columns, int count, std::string_view key) {
    return upsert(table, columns, count, key, newer_than_stored(table));
  };
  const std::pair<Statement*, std::string> statements[] = {
      {&s.insert_trade, "INSERT INTO trades" + trade_values},
      {&s.insert_trade_without_id, "INSERT INTO trades_without_id" + trade_values},
      {&s.find_trade,
       select(kTradeColumns, "trades", "instrument_id = ? AND tape = ? AND era = ? AND trade_order = ?")},
      {&s.find_trade_without_id,
       select(kTradeColumns, "trades_without_id",
              "instrument_id = ? AND tape = ? AND source_id = ? AND seq = ? AND ordinal = ?")},
      {&s.put_block,
       "INSERT INTO trade_blocks(instrument_id, tape, era, block, min_time, max_time) VALUES(?,?,?,?,?,?) ON CONFLICT "
       "DO UPDATE SET "
       "min_time = min(min_time, excluded.min_time), max_time = max(max_time, excluded.max_time)"},
      {&s.put_candle, guarded("candles", kCandleColumns, kCandleColumnCount, "instrument_id, tape, interval, start")},
      {&s.find_candle,
       select(kCandleColumns, "candles", "instrument_id = ? AND tape = ? AND interval = ? AND start = ?")},
      {&s.put_gap, guarded("gaps", kGapColumns, kGapColumnCount, "instrument_id, tape, era, first_id")},
      {&s.find_gap, select(kGapColumns, "gaps", "instrument_id = ? AND tape = ? AND era = ? AND first_id = ?")},
      {&s.put_progress, guarded("progress", kProgressColumns, kProgressColumnCount, "instrument_id, tape")},
      {&s.find_progress, select(kProgressColumns, "progress", "instrument_id = ? AND tape = ?")},
      {&s.put_late, upsert("late", "instrument_id, tape, interval, start, trades", 5,
                           "instrument_id, tape, interval, start", "excluded.trades > late.trades")},
      // The same item judged by newer rules (after a rebuild), or once more, replaces the older verdict. One that came
      // out of quarantine keeps a row, so that a part that is written again does not bring it back.
      {&s.put_quarantined,
       upsert("quarantine", kQuarantineColumns, kQuarantineColumnCount, "log, partition, raw_offset, ordinal",
              "(excluded.rule_version, excluded.attempts, excluded.resolution <> 0) > (quarantine.rule_version, "
              "quarantine.attempts, quarantine.resolution <> 0)")},
      {&s.find_quarantined,
       select(kQuarantineColumns, "quarantine", "log = ? AND partition = ? AND raw_offset = ? AND ordinal = ?")},
      // What both continuations of a log say of an item stays one row.
      {&s.keep_quarantined,
       "UPDATE OR IGNORE quarantine SET log = ?1 WHERE partition = ?2 AND raw_offset = ?3 AND ordinal = ?4 AND "
       "receive_time IS ?5 AND raw = ?6 AND log IN (SELECT id FROM logs WHERE log_id GLOB ?7 || '@*')"},
      {&s.put_reference, upsert("instruments", std::string{kReferenceColumns} + ", listed, loaded_to", 11, "instrument",
                                "excluded.loaded_to >= instruments.loaded_to")},
      // Of one headline all instruments that any of its rows named; time and source stay, by which it is found and
      // counted.
      {&s.put_news, "INSERT INTO news(" + std::string{kNewsColumns} + ") VALUES(" + parameters(kNewsColumnCount) +
                        ") ON CONFLICT DO UPDATE SET headline = excluded.headline, url = excluded.url, "
                        "summary = excluded.summary, related = excluded.related"},
      {&s.find_news, select(kNewsColumns, "news", "venue = ? AND id = ?")},
      {&s.put_news_count, upsert("news_counts", kNewsCountColumns, kNewsCountColumnCount,
                                 "interval, start, instrument, source, venue", more_news_than_stored())},
      {&s.find_news_count, select(kNewsCountColumns, "news_counts",
                                  "interval = ? AND start = ? AND instrument = ? AND source = ? AND venue = ?")},
      {&s.put_related,
       "INSERT INTO news_related(instrument, event_time, venue, id) VALUES(?,?,?,?) ON CONFLICT DO NOTHING"},
      {&s.find_instrument, "SELECT id FROM instruments WHERE instrument = ?"},
      {&s.add_instrument, "INSERT INTO instruments(instrument) VALUES(?)"},
      {&s.find_source, "SELECT id FROM sources WHERE source = ?"},
      {&s.add_source, "INSERT INTO sources(source) VALUES(?)"},
      {&s.put_missing,
       "INSERT INTO missing_records(log_id, topic, partition, first, next) VALUES(?,?,?,?,?) ON CONFLICT DO NOTHING"},
      {&s.move_position,
       "UPDATE positions SET next = max(coalesce(next, 0), ?) WHERE topic = ? AND partition = ? AND owner = ?"},
  };
  for (const auto& [statement, sql] : statements) {
    auto prepared = s.db.prepare(sql);
    if (!prepared) return tl::unexpected{prepared.error()};
    *statement = std::move(*prepared);
  }
  if (auto prepared = s.quotes.prepare(s.db); !prepared) return prepared;
  session_ = std::move(session);
  return {};
}

Status SqliteSink::begin() {
  before_ = counts_;
  return session_->db.execute("BEGIN IMMEDIATE", "beginning to write");
}

Status SqliteSink::commit() {
  if (auto done = session_->db.execute("COMMIT", "committing"); !done) return roll_back(done.error());
  return {};
}

tl::unexpected<Error> SqliteSink::roll_back(Error error) {
  Session& s = *session_;
  counts_ = before_;
  s.blocks.clear();
  s.quotes.clear();
  s.instruments.clear();
  s.sources.clear();
  s.last_instrument = {};
  s.last_source = {};
  // SQLite ends the transaction itself after some errors (disk full, I/O).
  if (s.db.in_transaction())
    if (auto undone = s.db.execute("ROLLBACK", "undoing"); !undone) {
      error.detail += "; and " + undone.error().detail;
      error.retry = Retry::rebuild;
    }
  return tl::unexpected{std::move(error)};
}

Result<std::optional<std::int64_t>> SqliteSink::claim(std::string_view topic, std::int32_t partition) {
  if (!session_) return failure(Fault::refused, Retry::rebuild, "the store " + path_.string() + " is not open");
  Session& s = *session_;
  if (auto begun = begin(); !begun) return tl::unexpected{begun.error()};
  if (auto checked = check_log(); !checked) return roll_back(checked.error());
  Position position{};
  auto known = s.db.prepare("SELECT next FROM positions WHERE topic = ? AND partition = ?");
  if (!known) return roll_back(known.error());
  known->bind_text(1, topic);
  known->bind(2, partition);
  int code = known->step();
  if (code == SQLITE_ROW && !known->is_null(0)) position.had = known->integer(0);
  if (code != SQLITE_ROW && code != SQLITE_DONE) return roll_back(s.db.error(code, "claiming " + std::string{topic}));
  known->reset();
  auto upserted = s.db.prepare(
      "INSERT INTO positions(topic, partition, next, log_id, owner) VALUES(?1, ?2, NULL, ?3, 1) ON CONFLICT DO UPDATE "
      "SET "
      "owner = owner + 1, log_id = ?3, next = CASE WHEN ?4 THEN NULL ELSE next END RETURNING owner, next");
  if (!upserted) return roll_back(upserted.error());
  upserted->bind_text(1, topic);
  upserted->bind(2, partition);
  upserted->bind_text(3, options_.log_id);
  upserted->bind(4, options_.adopt ? 1 : 0);
  code = upserted->step();
  if (code == SQLITE_ROW) {
    position.owner = upserted->integer(0);
    if (!upserted->is_null(1)) position.next = upserted->integer(1);
    code = upserted->step();  // RETURNING is done when its rows are read
  }
  if (code != SQLITE_DONE) return roll_back(s.db.error(code, "claiming " + std::string{topic}));
  upserted->reset();
  if (auto done = commit(); !done) return tl::unexpected{done.error()};
  s.adopted = options_.adopt;
  s.positions.insert_or_assign(Partition{std::string{topic}, partition}, position);
  return position.next;
}

// Inside a transaction: the store belongs to our log, or to none yet, or is adopted.
Status SqliteSink::check_log() {
  Session& s = *session_;
  auto found = s.db.query_text("SELECT value FROM meta WHERE name = 'log_id'");
  if (!found) return tl::unexpected{found.error()};
  const auto run_text = [&](std::string_view sql) -> Status {
    auto statement = s.db.prepare(sql);
    if (!statement) return tl::unexpected{statement.error()};
    statement->bind_text(1, options_.log_id);
    if (const int code = statement->step(); code != SQLITE_DONE)
      return tl::unexpected{s.db.error(code, "writing the log's id")};
    return {};
  };
  if (*found && **found != options_.log_id && !options_.adopt)
    return failure(
        Fault::mismatch, Retry::never,
        "the store " + path_.string() + " holds the rows of log " + **found + ", but this log is " + options_.log_id +
            "; if that is meant, load with --adopt: rows stay, and everything that this log has is loaded again: " +
            options_.adopt_command);
  if (!*found || **found != options_.log_id) {
    if (auto set = run_text(
            "INSERT INTO meta(name, value) VALUES('log_id', ?) ON CONFLICT DO UPDATE SET value = excluded.value");
        !set)
      return set;
    // Positions of another log mean nothing in this one.
    if (*found) {
      if (auto forgot = s.db.execute("UPDATE positions SET next = NULL", "adopting a log"); !forgot) return forgot;
      if (auto forgot = forget_batch_ends(); !forgot) return forgot;
    }
  }
  // A log of the same id may be another continuation than the one that was loaded: what that brought stays under
  // another name.
  if (*found && **found == options_.log_id && options_.adopt && !s.adopted) {
    auto loaded = s.db.query_integer("SELECT count(*) FROM positions WHERE next IS NOT NULL");
    if (!loaded) return tl::unexpected{loaded.error()};
    if (loaded->value_or(0) > 0) {
      if (auto named =
              run_text("UPDATE logs SET log_id = log_id || '@' || (SELECT count(*) FROM logs) WHERE log_id = ?");
          !named)
        return named;
      if (auto forgot = forget_batch_ends(); !forgot) return forgot;
    }
  }
  if (auto added = run_text("INSERT INTO logs(log_id) VALUES(?) ON CONFLICT DO NOTHING"); !added) return added;
  auto find = s.db.prepare("SELECT id FROM logs WHERE log_id = ?");
  if (!find) return tl::unexpected{find.error()};
  find->bind_text(1, options_.log_id);
  if (const int code = find->step(); code != SQLITE_ROW)
    return tl::unexpected{s.db.error(code, "reading the log's id")};
  s.log = find->integer(0);
  find->reset();
  auto others = s.db.prepare("SELECT EXISTS(SELECT 1 FROM logs WHERE log_id GLOB ? || '@*')");
  if (!others) return tl::unexpected{others.error()};
  others->bind_text(1, options_.log_id);
  if (const int code = others->step(); code != SQLITE_ROW)
    return tl::unexpected{s.db.error(code, "reading the log's continuations")};
  s.continued = others->integer(0) != 0;
  return {};
}

// Of rows that know by the end of their batch which of two is the later: offsets mean something in one log only.
Status SqliteSink::forget_batch_ends() {
  return session_->db.execute(
      "UPDATE instruments SET loaded_to = 0;"
      "UPDATE quotes SET best_loaded_to = min(best_loaded_to, 0), ticker_loaded_to = min(ticker_loaded_to, 0);",
      "adopting a log");
}

Result<std::int64_t> SqliteSink::write(const Batch& batch) {
  if (auto done = write_all({&batch, 1}); !done) return tl::unexpected{done.error()};
  return session_->positions.find(Partition{std::string{batch.topic}, batch.partition})->second.next.value();
}

Status SqliteSink::write_all(std::span<const Batch> batches) {
  if (!session_) return failure(Fault::refused, Retry::rebuild, "the store " + path_.string() + " is not open");
  if (auto begun = begin(); !begun) return begun;
  for (const Batch& batch : batches)
    if (auto done = write_batch(batch); !done) return roll_back(done.error());
  if (auto done = write_blocks(); !done) return roll_back(done.error());
  if (auto done = commit(); !done) return done;
  for (const Batch& batch : batches) {
    auto& next = session_->positions.find(Partition{std::string{batch.topic}, batch.partition})->second.next;
    next = std::max(next.value_or(batch.next), batch.next);
  }
  return {};
}

Status SqliteSink::write_batch(const Batch& batch) {
  Session& s = *session_;
  const std::string where = std::string{batch.topic} + "/" + std::to_string(batch.partition);
  const auto position = s.positions.find(Partition{std::string{batch.topic}, batch.partition});
  if (position == s.positions.end())
    return failure(Fault::refused, Retry::rebuild,
                   "the store " + path_.string() + ": " + where + " was not claimed before it was written");
  if (position->second.next && batch.first > *position->second.next)
    return failure(Fault::out_of_range, Retry::rebuild,
                   "the store " + path_.string() + " has " + where + " up to offset " +
                       std::to_string(*position->second.next) + ", but the batch begins at " +
                       std::to_string(batch.first) + ": rows between would be missing");
  s.move_position.bind(1, batch.next);
  s.move_position.bind_text(2, batch.topic);
  s.move_position.bind(3, batch.partition);
  s.move_position.bind(4, position->second.owner);
  const int code = s.move_position.step();
  const bool ours = s.db.changes() == 1;
  s.move_position.reset();
  if (code != SQLITE_DONE) return tl::unexpected{s.db.error(code, "moving the position of " + where)};
  if (!ours)
    return failure(
        Fault::refused, Retry::rebuild,
        "the store " + path_.string() + ": " + where + " was claimed by another process; this one must start over");
  // Of quotes only the newest are kept: those that were deleted before would not be here either.
  if (const Position& at = position->second; !at.next && batch.first > at.had && batch.topic != kQuotesTopic) {
    Statement& missing = s.put_missing;
    missing.bind_text(1, options_.log_id);
    missing.bind_text(2, batch.topic);
    missing.bind(3, batch.partition);
    missing.bind(4, at.had);
    missing.bind(5, batch.first);
    if (auto done = run(missing); !done) return tl::unexpected{done.error()};
  }
  batch_next_ = batch.next;
  for (const Row& row : batch.rows)
    if (auto done = std::visit([this](const auto& r) { return put(r); }, row); !done) return done;
  const auto id_of = [this](const Instrument& instrument) { return instrument_id(instrument); };
  if (auto done = s.quotes.write(id_of, batch.next, counts_); !done) return done;
  counts_.rows += batch.rows.size();
  return {};
}

Status SqliteSink::write_blocks() {
  Session& s = *session_;
  for (const auto& [block, times] : s.blocks) {
    s.put_block.bind(1, block.instrument);
    s.put_block.bind(2, static_cast<std::int64_t>(block.tape));
    s.put_block.bind(3, block.era);
    s.put_block.bind_unsigned(4, block.block);
    s.put_block.bind(5, times.first);
    s.put_block.bind(6, times.second);
    if (auto done = run(s.put_block); !done) return tl::unexpected{done.error()};
  }
  s.blocks.clear();
  return {};
}

Result<bool> SqliteSink::run(Statement& statement) {
  const int code = statement.step();
  statement.reset();
  if (code != SQLITE_DONE) return tl::unexpected{session_->db.error(code, "writing rows")};
  const bool written = session_->db.changes() != 0;
  return written;
}

template <class Row, class Read>
Result<Row> SqliteSink::stored(Statement& statement, Read read) {
  const int code = statement.step();
  if (code != SQLITE_ROW) {
    statement.reset();
    return tl::unexpected{session_->db.error(code, "reading the stored row")};
  }
  Row row = read(statement);
  statement.reset();
  return row;
}

// Of a row that was not written: it is there already, older, or it contradicts the stored one.
template <class Row>
Status SqliteSink::compare(const Row& row, const Result<Row>& stored, const std::string& key) {
  if (!stored) return tl::unexpected{stored.error()};
  bool contradicts = false;
  if constexpr (std::is_same_v<Row, Trade>)
    contradicts = !same_content(row, *stored);
  else if constexpr (std::is_same_v<Row, Quarantined>)
    contradicts = same_order(row, *stored) && !(row == *stored) &&
                  (row.resolution == Resolution::none || stored->resolution == Resolution::none);
  else
    contradicts = same_order(row, *stored) && !(row == *stored);
  ++counts_.unchanged;
  if (contradicts) {
    ++counts_.contradictions;
    counts_.last_contradiction =
        "the store " + path_.string() + " has " + key + " with equal order and other content; the stored row stays";
  }
  return {};
}

Status SqliteSink::put(const Trade& row) {
  Session& s = *session_;
  const auto instrument = instrument_id(row.instrument);
  if (!instrument) return tl::unexpected{instrument.error()};
  const auto source = source_id(row.source);
  if (!source) return tl::unexpected{source.error()};
  const bool identified = has_id(row);
  Statement& insert = identified ? s.insert_trade : s.insert_trade_without_id;
  bind_trade(insert, row, *instrument, *source);
  auto written = run(insert);
  if (!written) return tl::unexpected{written.error()};
  if (*written) {
    ++counts_.written;
    if (identified) {
      const std::int64_t time = to_ns(row.event_time);
      const auto [at, fresh] =
          s.blocks.try_emplace(Block{*instrument, row.tape, row.era, row.order >> kBlockShift}, time, time);
      at->second = {std::min(at->second.first, time), std::max(at->second.second, time)};
    }
    return {};
  }
  Statement& find = identified ? s.find_trade : s.find_trade_without_id;
  find.bind(1, *instrument);
  find.bind(2, static_cast<std::int64_t>(row.tape));
  if (identified) {
    find.bind(3, row.era);
    find.bind_unsigned(4, row.order);
  } else {
    find.bind(3, *source);
    find.bind_unsigned(4, row.seq);
    find.bind(5, row.ordinal);
  }
  return compare(row, stored<Trade>(find, [&](const Statement& from) { return read_trade(from, row.instrument); }),
                 "trade " + row.instrument.str() + " era " + std::to_string(row.era) + " id " + row.id.str());
}

Status SqliteSink::put(const Candle& row) {
  Session& s = *session_;
  const auto instrument = instrument_id(row.instrument);
  if (!instrument) return tl::unexpected{instrument.error()};
  bind_candle(s.put_candle, row, *instrument);
  auto written = run(s.put_candle);
  if (!written) return tl::unexpected{written.error()};
  if (*written) return ++counts_.written, Status{};
  s.find_candle.bind(1, *instrument);
  s.find_candle.bind(2, static_cast<std::int64_t>(row.tape));
  s.find_candle.bind(3, row.interval.count());
  s.find_candle.bind(4, to_ns(row.start));
  return compare(
      row, stored<Candle>(s.find_candle, [&](const Statement& from) { return read_candle(from, row.instrument); }),
      "candle " + row.instrument.str() + " " + to_text(row.interval) + " " + to_rfc3339(row.start));
}

Status SqliteSink::put(const Gap& row) {
  Session& s = *session_;
  const auto instrument = instrument_id(row.instrument);
  if (!instrument) return tl::unexpected{instrument.error()};
  bind_gap(s.put_gap, row, *instrument);
  auto written = run(s.put_gap);
  if (!written) return tl::unexpected{written.error()};
  if (*written) return ++counts_.written, Status{};
  s.find_gap.bind(1, *instrument);
  s.find_gap.bind(2, static_cast<std::int64_t>(row.tape));
  s.find_gap.bind(3, row.era);
  s.find_gap.bind_unsigned(4, row.first_id);
  return compare(row, stored<Gap>(s.find_gap, [&](const Statement& from) { return read_gap(from, row.instrument); }),
                 "gap " + row.instrument.str() + " first id " + std::to_string(row.first_id));
}

Status SqliteSink::put(const Progress& row) {
  Session& s = *session_;
  const auto instrument = instrument_id(row.instrument);
  if (!instrument) return tl::unexpected{instrument.error()};
  bind_progress(s.put_progress, row, *instrument);
  auto written = run(s.put_progress);
  if (!written) return tl::unexpected{written.error()};
  if (*written) return ++counts_.written, Status{};
  s.find_progress.bind(1, *instrument);
  s.find_progress.bind(2, static_cast<std::int64_t>(row.tape));
  return compare(
      row,
      stored<Progress>(s.find_progress, [&](const Statement& from) { return read_progress(from, row.instrument); }),
      "progress of " + row.instrument.str());
}

Status SqliteSink::put(const Quarantined& row) {
  Session& s = *session_;
  std::optional<std::int64_t> instrument;
  if (!row.instrument.empty()) {
    const auto id = instrument_id(row.instrument);
    if (!id) return tl::unexpected{id.error()};
    instrument = *id;
  }
  if (s.continued) {
    s.keep_quarantined.bind(1, s.log);
    s.keep_quarantined.bind(2, row.partition);
    s.keep_quarantined.bind(3, row.offset);
    s.keep_quarantined.bind(4, row.ordinal);
    if (row.receive_time)
      s.keep_quarantined.bind(5, to_ns(*row.receive_time));
    else
      s.keep_quarantined.bind_null(5);
    s.keep_quarantined.bind_blob(6, row.raw);
    s.keep_quarantined.bind_text(7, options_.log_id);
    if (auto kept = run(s.keep_quarantined); !kept) return tl::unexpected{kept.error()};
  }
  const std::string headers = headers_text(row.headers);
  bind_quarantined(s.put_quarantined, row, instrument, s.log, headers);
  auto written = run(s.put_quarantined);
  if (!written) return tl::unexpected{written.error()};
  if (*written) return ++counts_.written, Status{};
  s.find_quarantined.bind(1, s.log);
  s.find_quarantined.bind(2, row.partition);
  s.find_quarantined.bind(3, row.offset);
  s.find_quarantined.bind(4, row.ordinal);
  return compare(row,
                 stored<Quarantined>(s.find_quarantined,
                                     [&](const Statement& from) { return read_quarantined(from, row.instrument); }),
                 "quarantined item " + std::to_string(row.ordinal) + " of raw record " + std::to_string(row.partition) +
                     "/" + std::to_string(row.offset));
}

Status SqliteSink::put(const LateWindow& row) {
  Session& s = *session_;
  const auto instrument = instrument_id(row.instrument);
  if (!instrument) return tl::unexpected{instrument.error()};
  s.put_late.bind(1, *instrument);
  s.put_late.bind(2, static_cast<std::int64_t>(row.tape));
  s.put_late.bind(3, row.interval.count());
  s.put_late.bind(4, to_ns(row.start));
  s.put_late.bind_unsigned(5, row.trades);
  auto written = run(s.put_late);
  if (!written) return tl::unexpected{written.error()};
  ++(*written ? counts_.written : counts_.unchanged);
  return {};
}

Status SqliteSink::put(const Reference& row) {
  Session& s = *session_;
  bind_reference(s.put_reference, row);
  s.put_reference.bind(10, 1);
  s.put_reference.bind(11, batch_next_);
  auto written = run(s.put_reference);
  if (!written) return tl::unexpected{written.error()};
  ++(*written ? counts_.written : counts_.unchanged);
  return {};
}

Status SqliteSink::put(const News& row) {
  Session& s = *session_;
  s.find_news.bind_text(1, row.venue);
  s.find_news.bind_text(2, row.id);
  const int code = s.find_news.step();
  std::optional<News> known;
  if (code == SQLITE_ROW) known = read_news(s.find_news);
  s.find_news.reset();
  if (code != SQLITE_ROW && code != SQLITE_DONE) return tl::unexpected{s.db.error(code, "reading the stored row")};
  std::vector<Instrument> named;
  if (known) named = std::move(known->related);
  const std::size_t before = named.size();
  for (const Instrument& instrument : row.related)
    if (std::ranges::find(named, instrument) == named.end()) named.push_back(instrument);
  if (known && named.size() == before) return ++counts_.unchanged, Status{};
  const std::string related = related_text(named);
  bind_news(s.put_news, row, related);
  if (auto written = run(s.put_news); !written) return tl::unexpected{written.error()};
  ++counts_.written;
  for (const Instrument& instrument : std::span{named}.subspan(before)) {
    s.put_related.bind_text(1, instrument.text());
    s.put_related.bind(2, to_ns(known ? known->event_time : row.event_time));
    s.put_related.bind_text(3, row.venue);
    s.put_related.bind_text(4, row.id);
    if (auto done = run(s.put_related); !done) return tl::unexpected{done.error()};
  }
  return {};
}

Status SqliteSink::put(const NewsCount& row) {
  Session& s = *session_;
  bind_news_count(s.put_news_count, row);
  auto written = run(s.put_news_count);
  if (!written) return tl::unexpected{written.error()};
  if (*written) return ++counts_.written, Status{};
  s.find_news_count.bind(1, row.interval.count());
  s.find_news_count.bind(2, to_ns(row.start));
  s.find_news_count.bind_text(3, row.instrument.text());
  s.find_news_count.bind_text(4, row.source);
  s.find_news_count.bind_text(5, row.venue);
  return compare(row, stored<NewsCount>(s.find_news_count, [](const Statement& from) { return read_news_count(from); }),
                 "the count of headlines about " + row.instrument.str() + " from " + row.source + " " +
                     to_text(row.interval) + " " + to_rfc3339(row.start));
}

Result<std::int64_t> SqliteSink::instrument_id(const Instrument& instrument) {
  Session& s = *session_;
  if (s.last_instrument.first == instrument && s.last_instrument.second != 0) return s.last_instrument.second;
  auto known = s.instruments.find(instrument);
  if (known == s.instruments.end()) {
    auto id = dictionary_id(s.find_instrument, s.add_instrument, instrument.text());
    if (!id) return id;
    known = s.instruments.emplace(instrument, *id).first;
  }
  s.last_instrument = *known;
  return known->second;
}

Result<std::int64_t> SqliteSink::source_id(const Text<40>& source) {
  Session& s = *session_;
  if (s.last_source.second != 0 && s.last_source.first == source) return s.last_source.second;
  auto known = s.sources.find(source);
  if (known == s.sources.end()) {
    auto id = dictionary_id(s.find_source, s.add_source, source.view());
    if (!id) return id;
    if (s.sources.size() >= 10'000) s.sources.clear();  // sessions come and go for years
    known = s.sources.emplace(source, *id).first;
  }
  s.last_source = *known;
  return known->second;
}

Result<std::int64_t> SqliteSink::dictionary_id(Statement& find, Statement& add, std::string_view text) {
  Session& s = *session_;
  find.bind_text(1, text);
  const int code = find.step();
  const std::int64_t id = code == SQLITE_ROW ? find.integer(0) : 0;
  find.reset();
  if (code == SQLITE_ROW) return id;
  if (code != SQLITE_DONE) return tl::unexpected{s.db.error(code, "reading a dictionary")};
  add.bind_text(1, text);
  auto added = run(add);
  if (!added) return tl::unexpected{added.error()};
  return sqlite3_last_insert_rowid(s.db.handle());
}

}  // namespace

std::unique_ptr<Sink> make_sqlite_sink(std::filesystem::path path, SqliteOptions options) {
  return std::make_unique<SqliteSink>(std::move(path), std::move(options));
}

}  // namespace truetape
