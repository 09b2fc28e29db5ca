#include "app/live.h"

#include "app/backfill_thread.h"
#include "app/control_records.h"
#include "app/import_report.h"
#include "app/lines.h"
#include "app/live_meters.h"
#include "app/live_threads.h"
#include "app/log_meters.h"
#include "app/open.h"
#include "app/pipeline.h"
#include "app/reconciled_files.h"
#include "batch/explain.h"
#include "batch/open_ranges.h"
#include "log/socket/log_server.h"
#include "net/server.h"
#include "stores/sqlite/sqlite_store.h"
#include "venues/venue.h"

namespace truetape::app {

// Members go in the order in which they are needed no more: the last first. The store's writer goes after its readers:
// the last connection leaves all in one file, if it may write.
struct Live::Parts {
  std::unique_ptr<LmdbLog> log;
  std::unique_ptr<LogMeters> log_meters;
  std::unique_ptr<Pipeline> pipeline;
  std::unique_ptr<History> history;
  std::unique_ptr<ServeThread> serve;
  std::unique_ptr<IngestThread> ingest;
  std::unique_ptr<BackfillThread> backfill;
  std::unique_ptr<LogServer> socket;
  std::unique_ptr<LiveMeters> meters;
  ControlState control;
};

namespace {

std::function<Status()> health_of(const LmdbLog& log, const Pipeline& pipeline) {
  return [&log, &pipeline]() -> Status {
    if (Status good = log.health(); !good) return good;
    if (const auto trouble = pipeline.process_trouble()) return tl::unexpected{*trouble};
    return {};
  };
}

// A directory that would be new is not made where nothing can be served. Of one that is there the log tells first, by
// which process it is held.
Status expect_port(const Config& config) {
  std::error_code error;
  if (std::filesystem::exists(config.log_directory(), error)) return {};
  auto settings = serve_config(config.serve, config.cross);
  if (!settings) return tl::unexpected{settings.error()};
  const SystemClock clock;
  net::Loop loop{clock};
  net::Server server{loop, settings->http, {}};
  const auto port = server.listen();
  return port ? Status{} : tl::unexpected{port.error()};
}

auto reconciled_of(std::filesystem::path data) {
  const auto files = std::make_shared<ReconciledFiles>(
      std::move(data), [](const std::string& text) { say(Level::warning, "serve", text); });
  return [files](const Instrument& instrument, Tape tape, Interval interval, Timestamp from, Timestamp to,
                 std::uint64_t most,
                 bool newest) { return files->windows(instrument, tape, interval, from, to, most, newest); };
}

std::function<Result<std::string>(const WindowQuestion&)> explain_in(const LmdbLog& log, const History& history,
                                                                     const Config& config) {
  const ExplainParts parts{.log = log, .search = log, .history = history, .store = "SQLite", .rules = config.rules};
  return [parts](const WindowQuestion& of) -> Result<std::string> {
    const auto told =
        explain(parts, {.instrument = of.instrument, .interval = of.interval, .start = of.start, .tape = of.tape});
    if (!told) return tl::unexpected{told.error()};
    return to_json(*told);
  };
}

// What is to be wanted and was not yet.
std::vector<ControlRecord> more_wanted(const Config& config, const ControlState& state) {
  std::vector<ControlRecord> out;
  for (const Instrument& instrument : config.instruments)
    if (!state.wanted.contains(instrument)) out.emplace_back(WantedInstrument{instrument, true});
  return out;
}

// Nobody fills by hand into a log that was not open until now. Without room in the log it waits for the next start.
void end_killed_fillings(LmdbLog& log) {
  const SystemClock clock;
  const auto ended = end_left(log, clock.now(), std::chrono::seconds{5}, OpenRanges::is_rest);
  if (!ended)
    return say(Level::warning, "backfill",
               "what a killed truetape backfill left open cannot be ended now: " + ended.error().detail +
                   "; holes in it are not named until the next truetape backfill, import or start");
  for (const OpenRanges::File& file : *ended) say(Level::info, "backfill", ended_sentence(file.name));
}

}  // namespace

Live::Live(std::unique_ptr<Parts> parts) : parts_{std::move(parts)} {}
Live::~Live() = default;

Result<std::unique_ptr<Live>> Live::start(const Config& config, Metrics& metrics, LiveOptions options) {
  std::unique_ptr<Parts> parts{new Parts};
  Parts& p = *parts;
  if (const Status free = expect_port(config); !free) return tl::unexpected{free.error()};
  auto log = open_log_to_write(config, &metrics);
  if (!log) return tl::unexpected{log.error()};
  p.log = std::move(*log);
  const auto in_force = log_options(config, *p.log);
  if (!in_force) return tl::unexpected{in_force.error()};
  p.log_meters = std::make_unique<LogMeters>(*p.log, *in_force, metrics);
  if (const Status same = expect_intervals(*p.log, config); !same) return tl::unexpected{same.error()};
  // What is made from now on wins over the rows of another log, or of another continuation of this one.
  if (const Status renewed = options.adopt ? p.log->renew_epoch() : Status{}; !renewed)
    return tl::unexpected{renewed.error()};
  p.pipeline = std::make_unique<Pipeline>(*p.log, config, options.adopt, &metrics, Patience::endless);
  if (const Status begun = p.pipeline->begin(); !begun) return tl::unexpected{begun.error()};
  if (const Status kept = keep_intervals(*p.log, config); !kept) return tl::unexpected{kept.error()};
  if (const Status kept = keep_rules(*p.log, config); !kept) return tl::unexpected{kept.error()};
  if (const Status kept = note_judging(*p.log, config); !kept) return tl::unexpected{kept.error()};

  p.history = open_sqlite_history(config.store_file());
  auto serve =
      ServeThread::start(config, {.log = *p.log,
                                  .history = *p.history,
                                  .metrics = metrics,
                                  .intervals = config.rules.intervals,
                                  .receivable = receivable,
                                  .route = route_frame,
                                  .log_health = health_of(*p.log, *p.pipeline),
                                  .reconciled = reconciled_of(config.data),
                                  .trouble = [](const std::string& text) { say(Level::warning, "serve", text); },
                                  .explain = explain_in(*p.log, *p.history, config)});
  if (!serve) return tl::unexpected{serve.error()};
  p.serve = std::move(*serve);

  auto state = read_control(*p.log);
  if (!state) return tl::unexpected{state.error()};
  p.control = std::move(*state);
  const std::vector<ControlRecord> more = more_wanted(config, p.control);
  if (const Status said = append_control(*p.log, more); !said) return tl::unexpected{said.error()};
  for (const ControlRecord& record : more) p.control.fold(record);

  end_killed_fillings(*p.log);

  auto ingest = IngestThread::start(config, *p.log, metrics);
  if (!ingest) return tl::unexpected{ingest.error()};
  p.ingest = std::move(*ingest);
  if (config.backfill.enabled) {
    auto backfill = BackfillThread::start(config, *p.log, metrics, {});
    if (!backfill) return tl::unexpected{backfill.error()};
    p.backfill = std::move(*backfill);
  }
  auto socket =
      LogServer::start(*p.log, config.socket_file(),
                       {.forget = [log = p.log.get()](std::string_view name) { return log->forget_reader(name); },
                        .tell = [](const std::string& text) { say(Level::warning, "socket", text); }});
  if (!socket) return tl::unexpected{socket.error()};
  p.socket = std::move(*socket);
  p.meters =
      std::make_unique<LiveMeters>(metrics, config, LiveMeters::Of{.pipeline = *p.pipeline, .history = *p.history});
  return std::unique_ptr<Live>{new Live{std::move(parts)}};
}

std::string Live::origin() const { return parts_->serve->origin(); }
std::uint16_t Live::port() const { return parts_->serve->port(); }
const ControlState& Live::control() const { return parts_->control; }

Status Live::health() const {
  const Status status = parts_->log->health();
  // A log without room waits for some: only what has killed its writer counts.
  return status || status.error().fault == Fault::no_space ? Status{} : status;
}

void Live::look() {
  parts_->log_meters->look();
  parts_->meters->look();
}

Status Live::stop() {
  parts_->socket.reset();
  parts_->backfill.reset();
  const bool safe = parts_->ingest->stop();
  const Status drained = parts_->pipeline->drain([](std::int64_t, std::int64_t) {});
  parts_->serve->stop();
  if (!drained) return drained;
  if (!safe)
    return failure(Fault::unavailable, Retry::never,
                   "what was received last could not be written into the log; the gap says so after the next start");
  return {};
}

}  // namespace truetape::app
