#include <malloc.h>
#include <sqlite3.h>

#include <algorithm>
#include <stdexcept>

#include "codec/control.h"
#include "history_run.h"
#include "stores/sqlite/sqlite_store.h"

namespace truetape::simulation {
namespace {

// What the harness itself reads from a store must be readable.
template <class T>
T said(Result<T> result) {
  if (!result) throw std::runtime_error{result.error().detail};
  return std::move(*result);
}

}  // namespace

History::History(const HistoryOptions& options)
    : options_{options},
      random_{options.seed},
      trace_{options.trace, kStart},
      clock_{timestamp_ns(kStart)},
      loop_{clock_},
      venue_{agenda_, trace_, random_.part(), [this] { return now(); }},
      store_random_{random_.part()} {
  net::ConnectConfig connect;
  connect.wire = [this](const net::Url& url) { return venue_.connect(url.host); };
  connector_ = std::move(net::Connector::make(loop_, std::move(connect)).value());

  // The market
  const std::uint64_t count = 1 + random_.below(3);
  static constexpr std::array<std::pair<Product, const char*>, 4> kListings{
      {{Product::spot, "BTCUSDT"}, {Product::usdm, "ETHUSDT"}, {Product::spot, "SOLUSDT"}, {Product::usdm, "BTCUSDT"}}};
  const std::uint64_t first = random_.below(kListings.size());
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto& [product, symbol] = kListings[(first + i) % kListings.size()];
    venue_.list(product, symbol, 1 + random_.below(1'000'000));
  }
  duration_ = options_.long_run ? 8 * 3'600 * kSecond : random_.between(40, 150) * kSecond;

  // The log
  log_options_.partitions = static_cast<std::int32_t>(random_.between(1, 4));
  log_options_.step_records = static_cast<std::size_t>(random_.one_in(3) ? random_.between(1, 20) : 8'192);
  log_options_.append_buffer_bytes = random_.one_in(6) ? 2'048 : std::size_t{1} << 20;
  log_options_.offset_holes = random_.one_in(2);
  dice_ = std::make_shared<LogDice>(random_.part(), trace_);
  log_options_.dice = dice_;

  // The process
  FeedOptions feed;
  feed.best = feed.ticker = false;
  feed.connections = random_.one_in(3) ? 2 : 1;
  feed.stream_url = "ws://spot.venue";
  feed.rest_url = "http://spot.venue";
  ingest_options_.feeds["binance"] = feed;
  feed.stream_url = "ws://usdm.venue";
  feed.rest_url = "http://usdm.venue";
  ingest_options_.feeds["binance-usdm"] = feed;
  ingest_options_.look = random_.one_in(2) ? 100ms : 500ms;
  ingest_options_.flush_limit = 1s;
  load_options_.name = "store";
  load_options_.max_rows = static_cast<std::size_t>(random_.one_in(3) ? random_.between(1, 50) : 20'000);
  if (random_.one_in(8) || options_.long_run) scratch_.emplace(options_.seed);
  // The wall clock of this machine against the venue's, which is right by definition.
  if (random_.one_in(4)) {
    clocks_wrong_ = true;
    clock_.jump(Nanoseconds{random_.between(-300, 300) * kSecond});
    trace_.fault("clock skewed");
  }
  make_log(1'700'000'000);
}

History::~History() {
  if (life_) {
    venue_.drop_all();
    life_.reset();
  }
}

// ---- the log and the store

void History::make_log(std::int64_t epoch) {
  log_options_.epoch = epoch;
  char id[40];
  std::snprintf(id, sizeof id, "00000000-0000-4000-8000-%012u", static_cast<unsigned>(tapes_.size() + 1));
  log_options_.id = id;
  log_ = std::make_unique<MemoryLog>(log_options_);
  tapes_.emplace_back();
  tapes_.back().id = id;
  tapes_.back().epoch = epoch;
  for (const auto& listing : venue_.listings()) say_wanted(*listing, true);
}

void History::say_wanted(const Listing& listing, bool wanted) {
  const bool was = std::exchange(dice_->quiet, true);
  const auto appender = log_->appender(topic::control).value();
  const ControlText text = control_text(WantedInstrument{*Instrument::parse(listing.instrument), wanted});
  if (!appender->append(kControlPartition, {text.key, text.value, {}}) || !appender->flush(0ms).value_or(false))
    throw std::runtime_error{"control is not written"};
  dice_->quiet = was;
}

void History::take_down() {
  const bool was = std::exchange(dice_->quiet, true);
  tapes_.back().take(*log_);
  dice_->quiet = was;
}

void History::trim() {
  // A log that no store was ever loaded from keeps nothing back for one.
  load_known_ = load_known_ || (life_ && life_->has_loaded());
  if (!load_known_) return;
  take_down();
  trace_.fault("trimmed");
  for (const std::string_view topic : topic::all) {
    if (topic == topic::control) continue;  // compacted, never trimmed
    for (std::int32_t p = 0; p < log_->partitions(); ++p) log_->trim(topic, p, INT64_MAX);
  }
  trimmed_raw_ = true;
}

Rows History::stored_rows() {
  if (!scratch_) return tables_.rows;
  const auto store = open_sqlite_history(scratch_->file());
  // A store that adopts, and is killed between its claim and its first write, says afterwards that it lacks what it had
  // before if the log has deleted that meanwhile: too much, never too little. So only where nothing was adopted.
  for (const Missing& missing : tapes_.size() > 1 ? std::vector<Missing>{} : said(store->missing()))
    watch_->breach("the store says that it lacks " + missing.topic + "/" + std::to_string(missing.partition) + " " +
                   std::to_string(missing.first) + " to " + std::to_string(missing.next) +
                   ", which no log had deleted before it was loaded");
  return said(read_rows(*store, tapes_.back().id));
}

// Whose rows the store holds; empty: nobody's yet.
std::string History::store_log_id() {
  if (!scratch_) return tables_.log_id;
  // A store that was never opened has no file.
  return std::filesystem::exists(scratch_->file()) ? said(open_sqlite_history(scratch_->file())->log_id())
                                                   : std::string{};
}

// Up to where the store has what its log holds.
std::map<std::pair<std::string, std::int32_t>, std::int64_t> History::store_positions() {
  std::map<std::pair<std::string, std::int32_t>, std::int64_t> out;
  if (store_log_id().empty()) return out;
  const auto sqlite = scratch_ ? open_sqlite_history(scratch_->file()) : nullptr;
  for (const std::string_view topic : load_options_.topics)
    for (std::int32_t p = 0; p < log_->partitions(); ++p) {
      const std::pair place{std::string{topic}, p};
      if (sqlite)
        out[place] = said(sqlite->loaded(topic, p)).value_or(0);
      else if (const auto found = tables_.positions.find(place); found != tables_.positions.end())
        out[place] = found->second.next.value_or(0);
    }
  return out;
}

std::unique_ptr<Sink> History::make_sink() {
  std::unique_ptr<Sink> inner;
  if (scratch_) {
    SqliteOptions options;
    options.log_id = log_->id();
    options.adopt = adopt_;
    inner = make_sqlite_sink(scratch_->file(), options);
  } else {
    inner = make_memory_sink(tables_, std::string{log_->id()}, adopt_);
  }
  return make_faulty_sink(std::move(inner), store_weather_, store_random_, trace_);
}

// The log is gone (or made anew from its raw, with a new epoch), the store stays.
void History::another_log(bool rebuild) {
  if (!life_) return;
  end_life(rebuild ? "rebuild" : "wipe");
  take_down();
  trace_.fault(rebuild ? "log rebuilt" : "log wiped");
  if (scratch_) trace_.outcome("histories on sqlite with another log");
  LogTape& old = tapes_.back();
  old.replaced = true;
  old.loaded = store_positions();
  const std::vector<Taken> raw = old.of(topic::raw);
  const std::int64_t epoch = old.epoch + 1;
  if (!watch_->broken.empty() && broken_.empty()) broken_ = watch_->broken;
  *watch_ = {};
  counts_ = {};
  make_log(epoch);
  if (rebuild && !trimmed_raw_) {
    tapes_[tapes_.size() - 2].copied = true;
    const bool was = std::exchange(dice_->quiet, true);
    const auto appender = log_->appender(topic::raw).value();
    for (const Taken& taken : raw) {
      std::vector<Header> headers;
      for (const auto& [name, value] : taken.headers) headers.push_back({name, value});
      const Record record{{}, taken.value, headers};
      while (!appender->append(taken.partition, record))
        if (!appender->flush(0ms).value_or(false)) throw std::runtime_error{"raw is not copied"};
    }
    if (!appender->flush(0ms).value_or(false)) throw std::runtime_error{"raw is not copied"};
    dice_->quiet = was;
  }
  trimmed_raw_ = load_known_ = false;
  begin_life();
}

// ---- lives

void History::begin_life() {
  down_ = false;
  ++lives_;
  ingest_options_.seed = random_.any();
  // Only after another log can it be another's.
  const std::string had = tapes_.size() > 1 ? store_log_id() : std::string{};
  adopt_ = !had.empty() && had != log_->id();
  trace_.event("life", std::to_string(lives_) + (adopt_ ? " adopts" : ""));
  life_ = std::make_unique<Life>(LifeParts{.loop = loop_,
                                           .connector = *connector_,
                                           .log = *log_,
                                           .watch = *watch_,
                                           .trace = trace_,
                                           .rules = rules_,
                                           .make_sink = [this] { return make_sink(); }},
                                 ingest_options_, load_options_);
}

void History::end_life(std::string_view why) {
  trace_.event("dies", why);
  venue_.drop_all();
  // What was not flushed survives as the dice say, before anything else is done.
  log_->crash();
  life_->die();
  add(counts_, life_->counts);
  life_.reset();
  down_ = true;
}

// ---- what goes on

void History::every(Time least, Time most, std::function<void()> call) {
  agenda_.at(now() + random_.between(least, most), [this, least, most, call = std::move(call)] {
    call();
    every(least, most, call);
  });
}

void History::trade_on(Listing& listing, Time mean) {
  // Bursts and pauses: mostly soon, sometimes late.
  const Time wait = random_.one_in(12) ? random_.between(mean, 8 * mean) : random_.between(kMillisecond, mean);
  agenda_.at(now() + wait, [this, &listing, mean] {
    venue_.trade(listing, faults_on_ && random_.one_in(150));
    trade_on(listing, mean);
  });
}

// The state of a window near an open gap, in the heart (416) and in the log (270), less for those that had no trade and
// so have none: 290 to 510 were measured.
constexpr std::size_t kBytesOfAWindow = 640;

// What the product holds must not grow with time.
void History::weigh() {
  trim();
  Weight& weight = weights_.emplace_back();
  for (const std::string_view topic : topic::all)
    for (std::int32_t p = 0; p < log_->partitions(); ++p) {
      const TopicSpan span = log_->span(topic, p).value();
      weight.records += topic == topic::control ? 0 : span.end - span.oldest;
    }
  // SQLite's pages are bounded by its own setting, which 8 h of this do not reach.
  weight.gaps = open_gaps(tapes_.back(), rules_);
  std::size_t ours = tapes_.back().heap_bytes() + static_cast<std::size_t>(::sqlite3_memory_used());
  for (const auto& listing : venue_.listings()) ours += listing->prints.capacity() * sizeof(Print);
  ours += venue_.delivered().capacity() * sizeof(Delivered);
  const std::size_t all = ::mallinfo2().uordblks + ::mallinfo2().hblkhd;
  weight.heap = all - std::min(all, ours);
  const std::string text = std::to_string(weight.records) + " records in the log, " +
                           std::to_string(weight.heap / 1024) + " KB of heap, " + std::to_string(weight.gaps.count) +
                           " open gaps beside " + std::to_string(weight.gaps.windows) + " windows";
  if (trace_.prints()) std::printf("hour %zu: %s\n", weights_.size(), text.c_str());
}

void History::run_until(Time end) {
  while (now() < end) {
    const Time next = agenda_.empty() ? end : std::min(end, agenda_.next());
    if (next > now()) loop_.advance(Nanoseconds{next - now()});
    trace_.set_now(now());
    // What the loop did meanwhile may have put something before it.
    while (!agenda_.empty() && agenda_.next() <= now()) {
      const auto call = agenda_.take();
      call();
      loop_.advance(0ns);
    }
  }
}

// Faults stop, and everything must come to its end.
void History::quiet() {
  faults_on_ = false;
  venue_.weather = {};
  store_weather_ = {};
  dice_->per_mille = 0;
  log_->set_full(false);
  trace_.event("quiet");
  if (!life_) begin_life();
  // A stream that the venue refused is not asked for again within the hour, unless somebody says so.
  if (trace_.faults().contains("stream refused")) {
    for (const bool wanted : {false, true}) {
      for (const auto& listing : venue_.listings()) say_wanted(*listing, wanted);
      run_until(now() + 5 * kSecond);
    }
  }
  // Time for waits to pass and for trades to come on what is connected by then; at least one settle more.
  Time quiet_since = 0;
  // A USD-M connection whose cable is pulled before it ever answered a ping is given up after 7 minutes.
  const Time limit = now() + 600 * kSecond;
  while (now() < limit) {
    run_until(now() + kSecond);
    const bool connected =
        std::ranges::all_of(venue_.listings(), [&](const auto& l) { return venue_.subscribers(*l) > 0; });
    if (!connected) quiet_since = 0;
    if (connected && quiet_since == 0) quiet_since = now();
    if (quiet_since != 0 && now() - quiet_since >= 12 * kSecond) break;
  }
  if (quiet_since == 0) watch_->breach("nobody is connected long after the last fault");
}

void History::finish() {
  // One more trade each, so that nothing but what is told by an id stands at the end.
  for (int i = 0; i < 4; ++i) {
    for (const auto& listing : venue_.listings()) venue_.trade(*listing);
    run_until(now() + kSecond);
  }
  life_->stop();
  const Time limit = now() + 120 * kSecond;
  while (!life_->stopped() && now() < limit) run_until(now() + kSecond);
  if (!life_->stopped()) watch_->breach("ingest does not end");
  while (now() < limit && !life_->drained()) {
    for (int i = 0; i < 50; ++i) {  // a step may be of one record
      life_->process(now());
      life_->load(now(), true);
    }
    run_until(now() + 100 * kMillisecond);
  }
  if (!life_->drained()) watch_->breach("it does not drain");
  take_down();
  add(counts_, life_->counts);
}

HistoryResult History::run() {
  trace_.set_now(kStart);
  HistoryResult out;
  const Time mean = options_.long_run ? kSecond : random_.between(60, 2'500) * kMillisecond;
  for (const auto& listing : venue_.listings()) {
    // Some hardly ever trade, so that whole minutes pass without one.
    const bool quiet = !options_.long_run && random_.one_in(6);
    trade_on(*listing, quiet ? random_.between(10, 40) * kSecond : mean * random_.between(1, 3));
  }
  plan_faults();
  begin_life();
  every(5 * kMillisecond, 400 * kMillisecond, [this] {
    if (life_) life_->process(now());
  });
  every(5 * kMillisecond, 600 * kMillisecond, [this] {
    if (life_) life_->load(now());
  });
  every(19 * kSecond, 21 * kSecond, [this] { venue_.ping_all(); });
  if (options_.long_run) {
    every(10 * 60 * kSecond, 10 * 60 * kSecond, [this] { trim(); });
    for (int hour = 1; hour <= 8; ++hour) {
      run_until(kStart + hour * 3'600 * kSecond - kSecond);
      weigh();
    }
    const Weight &early = weights_[1], &late = weights_.back();
    const std::size_t of_gaps = (late.gaps.windows - std::min(early.gaps.windows, late.gaps.windows)) * kBytesOfAWindow;
    if (late.heap > early.heap + early.heap / 4 + 512 * 1024 + of_gaps)
      watch_->breach("the heap grows: " + std::to_string(early.heap) + " bytes after 2 h, " +
                     std::to_string(late.heap) + " after 8 h");
    if (late.records > 3 * early.records + 1'000)
      watch_->breach("the log grows: " + std::to_string(early.records) + " records after 2 h, " +
                     std::to_string(late.records) + " after 8 h");
  }
  run_until(kStart + duration_);
  quiet();
  finish();
  if (watch_->broken.empty()) watch_->broken = broken_;
  trace_.outcome("lives", static_cast<std::uint64_t>(lives_));
  const Rows rows = stored_rows();
  out.complaints = judge({.venue = venue_,
                          .listings = venue_.listings(),
                          .log_troubles = log_troubles_,
                          .logs = tapes_,
                          .store = rows,
                          .store_tells_logs = !scratch_,
                          .rules = rules_,
                          .watch = *watch_,
                          .counts = counts_,
                          .clocks_were_wrong = clocks_wrong_},
                         trace_);
  if (scratch_) trace_.outcome("histories on sqlite");
  out.hash = trace_.hash();
  out.faults = trace_.faults();
  out.outcomes = trace_.outcomes();
  return out;
}

HistoryResult run_history(const HistoryOptions& options) {
  History history{options};
  return history.run();
}

std::vector<std::string> expected_faults() {
  return {"cable pulled",
          "clock jumped",
          "clock skewed",
          "connect refused",
          "corrupted",
          "cut",
          "disk full",
          "doubled",
          "dropped",
          "lagging",
          "log crash append",
          "log crash commit",
          "log crash flush",
          "log rebuilt",
          "log wiped",
          "log crash reader_poll",
          "log crash seek",
          "log crash stored",
          "log crash task_poll",
          "ping unanswered",
          "process crash",
          "reset",
          "rest hangs",
          "rest lags",
          "rest refused",
          "silence",
          "sink crash after",
          "sink crash before",
          "store down",
          "store fenced",
          "store full",
          "stream refused",
          "swapped",
          "trimmed",
          "upgrade refused",
          "withheld"};
}
std::vector<std::string> expected_outcomes() {
  return {"candles complete/ids",  "candles complete/session",
          "candles quiet/session", "candles quiet/ids",
          "candles gap/ids",       "candles gap/session",
          "candles partial",       "candles unverifiable",
          "candles repaired",      "gaps open",
          "gaps repaired",         "gaps absent",
          "histories on sqlite",   "histories on sqlite with another log",
          "quarantined future",    "frames owed",
          "quarantined syntax",    "quarantined quantity"};
}

}  // namespace truetape::simulation
