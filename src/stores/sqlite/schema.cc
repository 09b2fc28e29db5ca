#include "stores/sqlite/schema.h"

#include <vector>

#include "core/records.h"

namespace truetape::sqlite {
namespace {

// "CASE column WHEN 0 THEN 'open' …": the words of core for the numbers that are stored.
template <class Enum>
std::string words_sql(std::string_view column, int count) {
  std::string sql = "CASE " + std::string{column};
  for (int i = 0; i < count; ++i)
    sql += " WHEN " + std::to_string(i) + " THEN '" + std::string{name(static_cast<Enum>(i))} + "'";
  return sql + " END";
}

std::string interval_sql(std::string_view seconds) {
  const std::string s{seconds};
  return "CASE WHEN " + s + " % 86400 = 0 THEN (" + s + " / 86400) || 'd' WHEN " + s + " % 3600 = 0 THEN (" + s +
         " / 3600) || 'h' WHEN " + s + " % 60 = 0 THEN (" + s + " / 60) || 'm' ELSE " + s + " || 's' END";
}

std::string marks_sql(std::string_view marks) {
  std::string sql = "ltrim(";
  for (unsigned bit = 0; bit < 32; ++bit) {
    const std::string word = marks_text(Marks{1} << bit);
    if (word.empty()) break;
    if (bit != 0) sql += " || ";
    sql += "CASE WHEN " + std::string{marks} + " & " + std::to_string(Marks{1} << bit) + " THEN '|" + word +
           "' ELSE '' END";
  }
  return sql + ", '|')";
}

constexpr std::string_view kMissing = R"sql(
CREATE TABLE missing_records(  -- deleted from the log before they were loaded
  log_id TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL,
  first INTEGER NOT NULL, next INTEGER NOT NULL,  -- offsets [first, next)
  PRIMARY KEY(log_id, topic, partition, first)) WITHOUT ROWID;
)sql";

// Its rows hold the key too: one instrument's, in their order, without a look at the others'.
constexpr std::string_view kQuarantineIndex = "CREATE INDEX quarantine_by_instrument ON quarantine(instrument_id);";

// How often an item was judged, and how it came out of quarantine (Resolution; 0: it waits there).
constexpr std::string_view kResolution =
    "ALTER TABLE quarantine ADD COLUMN attempts INTEGER NOT NULL DEFAULT 1;"
    "ALTER TABLE quarantine ADD COLUMN resolution INTEGER NOT NULL DEFAULT 0;";

// Headlines, and by instrument which of them speak of it.
constexpr std::string_view kNews = R"sql(
CREATE TABLE news(
  venue TEXT NOT NULL, id TEXT NOT NULL,
  event_time INTEGER NOT NULL,
  headline TEXT NOT NULL, source TEXT NOT NULL, url TEXT NOT NULL, summary TEXT NOT NULL,
  related TEXT NOT NULL,        -- instruments, joined by commas
  PRIMARY KEY(venue, id)) WITHOUT ROWID;
CREATE INDEX news_by_time ON news(event_time, venue, id);
CREATE TABLE news_related(
  instrument TEXT NOT NULL, event_time INTEGER NOT NULL, venue TEXT NOT NULL, id TEXT NOT NULL,
  PRIMARY KEY(instrument, event_time, venue, id)) WITHOUT ROWID;
)sql";
std::string news_view() {
  return "CREATE VIEW news_view AS SELECT venue, id, " + time_sql("event_time") +
         " AS event_time, headline, source, url, summary, related FROM news;\n";
}

// Counts of headlines, at first those of the headlines that a store has already (epoch 0: of no log). A source is known
// by 200 bytes of it at most.
constexpr std::string_view kNewsCounts = R"sql(
CREATE TABLE news_counts(
  interval INTEGER NOT NULL, start INTEGER NOT NULL,
  instrument TEXT NOT NULL,     -- '': headlines that name none
  source TEXT NOT NULL, venue TEXT NOT NULL,
  headlines INTEGER NOT NULL, first_time INTEGER NOT NULL, last_time INTEGER NOT NULL,
  epoch INTEGER NOT NULL, revision INTEGER NOT NULL,
  PRIMARY KEY(interval, start, instrument, source, venue)) WITHOUT ROWID;
CREATE INDEX news_counts_by_instrument ON news_counts(instrument, interval, start);
INSERT INTO news_counts
  SELECT i.column1, n.event_time - n.event_time % (i.column1 * 1000000000), coalesce(r.instrument, ''),
         CASE WHEN length(CAST(n.source AS BLOB)) > 200 THEN substr(n.source, 1, 200) ELSE n.source END, n.venue,
         count(*), min(n.event_time), max(n.event_time), 0, count(*)
  FROM news n LEFT JOIN (SELECT DISTINCT venue, id, instrument FROM news_related) r USING(venue, id),
       (VALUES (60), (3600)) i
  GROUP BY 1, 2, 3, 4, 5;
)sql";
std::string news_counts_view() {
  return "CREATE VIEW news_counts_view AS SELECT nullif(instrument, '') AS instrument, source, " +
         interval_sql("interval") + " AS interval, " + time_sql("start") + " AS start, " + unsigned_sql("headlines") +
         " AS headlines, " + time_sql("first_time") + " AS first_time, " + time_sql("last_time") +
         " AS last_time, venue, epoch, " + unsigned_sql("revision") + " AS revision FROM news_counts;\n";
}

// The newest best bid and ask and the newest 24 h ticker of each instrument. loaded_to: end of the batch that wrote
// that part, NULL: none came.
constexpr std::string_view kQuotes = R"sql(
CREATE TABLE quotes(
  instrument_id INTEGER PRIMARY KEY,
  best_order INTEGER, best_event_time INTEGER, best_receive_time INTEGER, best_loaded_to INTEGER,
  bid INTEGER, bid_scale INTEGER, bid_quantity INTEGER, bid_quantity_scale INTEGER,
  ask INTEGER, ask_scale INTEGER, ask_quantity INTEGER, ask_quantity_scale INTEGER,
  ticker_order INTEGER, ticker_event_time INTEGER, ticker_receive_time INTEGER, ticker_loaded_to INTEGER,
  ticker_bid INTEGER, ticker_bid_scale INTEGER, ticker_bid_quantity INTEGER, ticker_bid_quantity_scale INTEGER,
  ticker_ask INTEGER, ticker_ask_scale INTEGER, ticker_ask_quantity INTEGER, ticker_ask_quantity_scale INTEGER,
  last INTEGER, last_scale INTEGER, last_quantity INTEGER, last_quantity_scale INTEGER,
  open INTEGER, open_scale INTEGER, high INTEGER, high_scale INTEGER, low INTEGER, low_scale INTEGER,
  volume INTEGER, volume_scale INTEGER, quote_volume INTEGER, quote_volume_scale INTEGER);
)sql";
std::string quotes_view() {
  std::string sql = "CREATE VIEW quotes_view AS SELECT i.instrument AS instrument";
  const auto part = [&sql](const std::string& kind, std::initializer_list<const char*> decimals) {
    sql += ", " + time_sql("q." + kind + "_event_time") + " AS " + kind + "_event_time, " +
           time_sql("q." + kind + "_receive_time") + " AS " + kind + "_receive_time";
    for (const std::string column : decimals)
      sql += ", " + decimal_sql("q." + column, "q." + column + "_scale") + " AS " + column;
    sql += ", " + unsigned_sql("q." + kind + "_order") + " AS " + kind + "_order";
  };
  part("best", {"bid", "bid_quantity", "ask", "ask_quantity"});
  part("ticker", {"ticker_bid", "ticker_bid_quantity", "ticker_ask", "ticker_ask_quantity", "last", "last_quantity",
                  "open", "high", "low", "volume", "quote_volume"});
  return sql + " FROM quotes q JOIN instruments i ON i.id = q.instrument_id;\n";
}

// Columns `mantissa` of an amount have no declared type: with one, SQLite would turn a long text of digits into a
// floating-point number.
constexpr std::string_view kTables = R"sql(
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE positions(
  topic TEXT NOT NULL, partition INTEGER NOT NULL,
  next INTEGER,                 -- offset behind the last loaded record; NULL: nothing loaded
  log_id TEXT NOT NULL,         -- UUID of the log that offsets are of
  owner INTEGER NOT NULL,       -- counts the claims; only the newest owner's writes are taken
  PRIMARY KEY(topic, partition)) WITHOUT ROWID;

CREATE TABLE logs(id INTEGER PRIMARY KEY, log_id TEXT NOT NULL UNIQUE);
CREATE TABLE sources(id INTEGER PRIMARY KEY, source TEXT NOT NULL UNIQUE);

CREATE TABLE instruments(
  id INTEGER PRIMARY KEY,
  instrument TEXT NOT NULL UNIQUE,  -- 'binance:BTCUSDT'
  listed INTEGER NOT NULL DEFAULT 0,  -- 1: the columns below come from the venue's symbol list
  base TEXT, quote TEXT, name TEXT,
  tick INTEGER, tick_scale INTEGER, lot INTEGER, lot_scale INTEGER,
  status TEXT,
  loaded_to INTEGER NOT NULL DEFAULT 0);  -- end of the batch that wrote them; an older batch again changes nothing

CREATE TABLE trades(
  instrument_id INTEGER NOT NULL, tape INTEGER NOT NULL, era INTEGER NOT NULL, trade_order INTEGER NOT NULL,
  event_time INTEGER NOT NULL,
  price INTEGER NOT NULL, price_scale INTEGER NOT NULL,
  quantity INTEGER NOT NULL, quantity_scale INTEGER NOT NULL,
  taker_side INTEGER NOT NULL, marks INTEGER NOT NULL,
  source_id INTEGER NOT NULL, seq INTEGER NOT NULL, ordinal INTEGER NOT NULL,
  receive_time INTEGER,
  first_id INTEGER, last_id INTEGER,  -- NULL: trade_order
  id TEXT,                            -- NULL: trade_order in decimal digits
  kind TEXT,
  PRIMARY KEY(instrument_id, tape, era, trade_order)) WITHOUT ROWID;

CREATE TABLE trade_blocks(
  instrument_id INTEGER NOT NULL, tape INTEGER NOT NULL, era INTEGER NOT NULL, block INTEGER NOT NULL,
  min_time INTEGER NOT NULL, max_time INTEGER NOT NULL,
  PRIMARY KEY(instrument_id, tape, era, block)) WITHOUT ROWID;

CREATE TABLE trades_without_id(
  instrument_id INTEGER NOT NULL, tape INTEGER NOT NULL, era INTEGER NOT NULL, trade_order INTEGER NOT NULL,
  event_time INTEGER NOT NULL,
  price INTEGER NOT NULL, price_scale INTEGER NOT NULL,
  quantity INTEGER NOT NULL, quantity_scale INTEGER NOT NULL,
  taker_side INTEGER NOT NULL, marks INTEGER NOT NULL,
  source_id INTEGER NOT NULL, seq INTEGER NOT NULL, ordinal INTEGER NOT NULL,
  receive_time INTEGER,
  first_id INTEGER, last_id INTEGER,
  id TEXT,                            -- ''
  kind TEXT,
  PRIMARY KEY(instrument_id, tape, source_id, seq, ordinal)) WITHOUT ROWID;
CREATE INDEX trades_without_id_by_time ON trades_without_id(instrument_id, tape, event_time);

CREATE TABLE candles(
  instrument_id INTEGER NOT NULL, tape INTEGER NOT NULL, interval INTEGER NOT NULL, start INTEGER NOT NULL,
  settled INTEGER NOT NULL, epoch INTEGER NOT NULL, revision INTEGER NOT NULL,
  status INTEGER NOT NULL, completeness INTEGER NOT NULL, proof INTEGER NOT NULL, repaired INTEGER NOT NULL,
  missing INTEGER, held INTEGER NOT NULL,
  open INTEGER, open_scale INTEGER, high INTEGER, high_scale INTEGER,
  low INTEGER, low_scale INTEGER, close INTEGER, close_scale INTEGER,
  volume, volume_scale INTEGER, quote_volume, quote_volume_scale INTEGER,
  trades INTEGER,
  taker_buy_volume, taker_buy_volume_scale INTEGER, taker_buy_quote_volume, taker_buy_quote_volume_scale INTEGER,
  vwap, vwap_scale INTEGER,
  first_id INTEGER, last_id INTEGER, first_time INTEGER, last_time INTEGER,
  first_receive_time INTEGER, last_receive_time INTEGER,
  PRIMARY KEY(instrument_id, tape, interval, start)) WITHOUT ROWID;

CREATE TABLE gaps(
  instrument_id INTEGER NOT NULL, tape INTEGER NOT NULL, era INTEGER NOT NULL, first_id INTEGER NOT NULL,
  settled INTEGER NOT NULL, epoch INTEGER NOT NULL, revision INTEGER NOT NULL,
  last_id INTEGER, missing INTEGER NOT NULL, from_time INTEGER NOT NULL, to_time INTEGER,
  state INTEGER NOT NULL, reason INTEGER NOT NULL,
  PRIMARY KEY(instrument_id, tape, era, first_id)) WITHOUT ROWID;

CREATE TABLE progress(
  instrument_id INTEGER NOT NULL, tape INTEGER NOT NULL,
  settled INTEGER NOT NULL, epoch INTEGER NOT NULL, revision INTEGER NOT NULL,
  frontier INTEGER, closed_until INTEGER, proven_until INTEGER, sealed_until INTEGER,
  PRIMARY KEY(instrument_id, tape)) WITHOUT ROWID;

CREATE TABLE late(
  instrument_id INTEGER NOT NULL, tape INTEGER NOT NULL, interval INTEGER NOT NULL, start INTEGER NOT NULL,
  trades INTEGER NOT NULL,
  PRIMARY KEY(instrument_id, tape, interval, start)) WITHOUT ROWID;

CREATE TABLE quarantine(
  log INTEGER NOT NULL, partition INTEGER NOT NULL, raw_offset INTEGER NOT NULL, ordinal INTEGER NOT NULL,
  instrument_id INTEGER,        -- NULL: not readable
  receive_time INTEGER, id TEXT NOT NULL, reason INTEGER NOT NULL, detail TEXT NOT NULL,
  rule TEXT NOT NULL, rule_version INTEGER NOT NULL,
  raw BLOB NOT NULL,
  headers TEXT NOT NULL,        -- name=value lines; '%', '=' and line ends in names and values as %25 %3D %0A %0D %00
  PRIMARY KEY(log, partition, raw_offset, ordinal)) WITHOUT ROWID;
)sql";

std::string trades_select(std::string_view table) {
  return "SELECT i.instrument AS instrument, " + words_sql<Tape>("t.tape", 2) +
         " AS tape, t.era AS era, coalesce(t.id, " + unsigned_sql("t.trade_order") + ") AS id, " +
         unsigned_sql("coalesce(t.first_id, t.trade_order)") + " AS first_id, " +
         unsigned_sql("coalesce(t.last_id, t.trade_order)") + " AS last_id, " + time_sql("t.event_time") +
         " AS event_time, " + time_sql("t.receive_time") + " AS receive_time, " +
         decimal_sql("t.price", "t.price_scale") + " AS price, " + decimal_sql("t.quantity", "t.quantity_scale") +
         " AS quantity, " + words_sql<Side>("t.taker_side", 3) + " AS taker_side, coalesce(t.kind, '') AS kind, " +
         marks_sql("t.marks") + " AS marks FROM " + std::string{table} +
         " t JOIN instruments i ON i.id = t.instrument_id";
}

std::string quarantine_view() {
  return "CREATE VIEW quarantine_view AS SELECT coalesce(i.instrument, '') AS instrument, q.partition AS partition, "
         "q.raw_offset AS offset, " +
         time_sql("q.receive_time") + " AS receive_time, q.id AS id, " + words_sql<Reason>("q.reason", 25) +
         " AS reason, q.detail AS detail, q.rule AS rule, q.rule_version AS rule_version, CAST(q.raw AS TEXT) AS raw "
         "FROM quarantine q LEFT JOIN instruments i ON i.id = q.instrument_id WHERE q.resolution = 0;\n";
}

std::string views() {
  const auto amount = [](const std::string& column) {
    return decimal_sql("c." + column, "c." + column + "_scale") + " AS " + column + ", ";
  };
  const auto time = [](const std::string& table, const std::string& column, const std::string& as) {
    return time_sql(table + "." + column) + " AS " + as;
  };
  std::string sql = "CREATE VIEW trades_view AS " + trades_select("trades") + " UNION ALL " +
                    trades_select("trades_without_id") + ";\n";
  sql += "CREATE VIEW candles_view AS SELECT i.instrument AS instrument, " + words_sql<Tape>("c.tape", 2) +
         " AS tape, " + interval_sql("c.interval") + " AS interval, " + time("c", "start", "start") + ", " +
         amount("open") + amount("high") + amount("low") + amount("close") + amount("volume") + amount("quote_volume") +
         unsigned_sql("c.trades") + " AS trades, " + amount("taker_buy_volume") + amount("taker_buy_quote_volume") +
         amount("vwap") + unsigned_sql("c.first_id") + " AS first_id, " + unsigned_sql("c.last_id") + " AS last_id, " +
         time("c", "first_time", "first_time") + ", " + time("c", "last_time", "last_time") + ", " +
         words_sql<CandleStatus>("c.status", 3) + " AS status, " + words_sql<Completeness>("c.completeness", 6) +
         " AS completeness, " + words_sql<Proof>("c.proof", 5) + " AS proof, c.repaired AS repaired, " +
         unsigned_sql("c.missing") + " AS missing, " + unsigned_sql("c.held") + " AS held, c.epoch AS epoch, " +
         unsigned_sql("c.revision") + " AS revision FROM candles c JOIN instruments i ON i.id = c.instrument_id;\n";
  sql += "CREATE VIEW gaps_view AS SELECT i.instrument AS instrument, " + words_sql<Tape>("g.tape", 2) +
         " AS tape, g.era AS era, " + unsigned_sql("g.first_id") + " AS first_id, " + unsigned_sql("g.last_id") +
         " AS last_id, " + time("g", "from_time", "\"from\"") + ", " + time("g", "to_time", "\"to\"") + ", " +
         words_sql<GapState>("g.state", 6) + " AS state, " + words_sql<GapReason>("g.reason", 3) + " AS reason, " +
         unsigned_sql("g.missing") + " AS missing FROM gaps g JOIN instruments i ON i.id = g.instrument_id;\n";
  sql += quarantine_view();
  sql += "CREATE VIEW progress_view AS SELECT i.instrument AS instrument, " + words_sql<Tape>("p.tape", 2) +
         " AS tape, " + time("p", "frontier", "frontier") + ", " + time("p", "closed_until", "closed_until") + ", " +
         time("p", "proven_until", "proven_until") + ", " + time("p", "sealed_until", "sealed_until") +
         " FROM progress p JOIN instruments i ON i.id = p.instrument_id;\n";
  sql += "CREATE VIEW late_view AS SELECT i.instrument AS instrument, " + words_sql<Tape>("l.tape", 2) + " AS tape, " +
         interval_sql("l.interval") + " AS interval, " + time("l", "start", "start") + ", " + unsigned_sql("l.trades") +
         " AS trades FROM late l JOIN instruments i ON i.id = l.instrument_id;\n";
  sql += "CREATE VIEW instruments_view AS SELECT instrument, base, quote, name, " + decimal_sql("tick", "tick_scale") +
         " AS tick, " + decimal_sql("lot", "lot_scale") + " AS lot, status FROM instruments WHERE listed = 1;\n";
  return sql;
}

Result<int> version_of(Database& db) {
  auto application = db.query_integer("PRAGMA application_id");
  if (!application) return tl::unexpected{application.error()};
  auto version = db.query_integer("PRAGMA user_version");
  if (!version) return tl::unexpected{version.error()};
  auto tables = db.query_integer("SELECT count(*) FROM sqlite_schema");
  if (!tables) return tl::unexpected{tables.error()};
  if (tables->value_or(0) != 0 && application->value_or(0) != kApplicationId)
    return failure(Fault::mismatch, Retry::never,
                   std::string{"the file "} + sqlite3_db_filename(db.handle(), "main") +
                       " is an SQLite file of another program; choose another place for the store");
  return static_cast<int>(version->value_or(0));
}

auto newer(Database& db, int found, int known) {
  return failure(Fault::mismatch, Retry::never,
                 std::string{"the store "} + sqlite3_db_filename(db.handle(), "main") + " has schema version " +
                     std::to_string(found) + ", newer than this program's " + std::to_string(known) +
                     "; use a newer truetape");
}

}  // namespace

std::string decimal_sql(std::string_view mantissa, std::string_view scale) {
  const std::string m{mantissa}, s{scale};
  const std::string digits = "ltrim(" + m + ", '-')";
  const std::string padded =
      "(substr('0000000000000000000', 1, max(0, " + s + " + 1 - length(" + digits + "))) || " + digits + ")";
  return "CASE WHEN " + s + " = 0 THEN CAST(" + m + " AS TEXT) ELSE CASE WHEN substr(" + m +
         ", 1, 1) = '-' THEN '-' ELSE '' END || substr(" + padded + ", 1, max(length(" + digits + "), " + s +
         " + 1) - " + s + ") || '.' || substr(" + padded + ", -" + s + ") END";
}

std::string time_sql(std::string_view ns) {
  const std::string t{ns};
  const std::string fraction = "((" + t + " % 1000000000 + 1000000000) % 1000000000)";
  return "strftime('%Y-%m-%dT%H:%M:%S', (" + t + " - " + fraction + ") / 1000000000, 'unixepoch') || CASE WHEN " +
         fraction + " = 0 THEN '' WHEN " + fraction + " % 1000000 = 0 THEN printf('.%03d', " + fraction +
         " / 1000000) WHEN " + fraction + " % 1000 = 0 THEN printf('.%06d', " + fraction +
         " / 1000) ELSE printf('.%09d', " + fraction + ") END || 'Z'";
}

std::string unsigned_sql(std::string_view column) {
  const std::string c{column};
  return "CASE WHEN " + c + " < 0 THEN printf('%u', " + c + ") ELSE " + c + " END";
}

std::span<const Migration> migrations() {
  static const std::vector<Migration> all{
      {1, std::string{kTables} + views()},
      {2, std::string{kMissing}},
      {3, std::string{kQuarantineIndex}},
      {4, std::string{kResolution}},
      {5, std::string{kNews} + news_view()},
      {6, std::string{kNewsCounts} + news_counts_view() + std::string{kQuotes} + quotes_view()}};
  return all;
}

Status apply_schema(Database& db, std::span<const Migration> steps) {
  const int wanted = steps.back().version;
  auto found = version_of(db);
  if (!found) return tl::unexpected{found.error()};
  if (*found == wanted) return {};
  if (auto begun = db.execute("BEGIN IMMEDIATE", "migrating the schema"); !begun) return begun;
  // Asked again inside the transaction: another process may have done it meanwhile.
  found = version_of(db);
  Status done;
  if (!found) {
    done = tl::unexpected{found.error()};
  } else if (*found > wanted) {
    done = newer(db, *found, wanted);
  } else {
    for (const Migration& step : steps)
      if (done && step.version > *found)
        done = db.execute(step.sql.c_str(), "migrating the schema to version " + std::to_string(step.version));
    const std::string stamp = "PRAGMA application_id = " + std::to_string(kApplicationId) +
                              "; PRAGMA user_version = " + std::to_string(wanted);
    if (done) done = db.execute(stamp.c_str(), "migrating the schema");
    if (done) done = db.execute("COMMIT", "migrating the schema");
  }
  if (!done && db.in_transaction()) {
    if (auto undone = db.execute("ROLLBACK", "undoing the migration"); !undone) return undone;
  }
  return done;
}

Status renew_views(Database& db) {
  const std::string create = quarantine_view();
  const std::string wanted = create.substr(0, create.rfind(';'));
  const auto is = db.query_text("SELECT sql FROM sqlite_schema WHERE name = 'quarantine_view'");
  if (!is) return tl::unexpected{is.error()};
  if (*is == wanted) return {};
  const std::string change = "BEGIN IMMEDIATE; DROP VIEW IF EXISTS quarantine_view; " + create + " COMMIT;";
  const Status done = db.execute(change.c_str(), "renewing a view");
  if (!done && db.in_transaction())
    if (auto undone = db.execute("ROLLBACK", "undoing it"); !undone) return undone;
  return done;
}

Status check_ours(Database& db, int version) {
  auto found = version_of(db);
  if (!found) return tl::unexpected{found.error()};
  if (*found > version) return newer(db, *found, version);
  return {};
}

Status check_schema(Database& db, int version) {
  auto found = version_of(db);
  if (!found) return tl::unexpected{found.error()};
  const std::string file = sqlite3_db_filename(db.handle(), "main");
  if (*found == 0)
    return failure(Fault::not_found, Retry::after_backoff, "the store " + file + " is empty yet: nothing was loaded");
  if (*found > version) return newer(db, *found, version);
  if (*found < version)
    return failure(Fault::mismatch, Retry::after_backoff,
                   "the store " + file + " has schema version " + std::to_string(*found) +
                       ", older than this program's " + std::to_string(version) +
                       "; truetape import --data DIR --finish migrates it");
  return {};
}

}  // namespace truetape::sqlite
