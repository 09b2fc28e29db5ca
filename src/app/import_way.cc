#include "app/import_way.h"

#include <algorithm>
#include <chrono>

#include "app/beside.h"
#include "app/import_marks.h"
#include "app/import_on_kafka.h"
#include "app/open.h"
#include "app/pipeline.h"
#include "roles/load.h"
#include "stores/sqlite/sqlite_store.h"

namespace truetape::app {
namespace {

using namespace std::chrono_literals;

class Own final : public ImportWay {
 public:
  Own(std::unique_ptr<LmdbLog> log, const Config& config, bool adopt, Metrics& metrics)
      : log_{std::move(log)},
        config_{config},
        adopt_{adopt},
        metrics_{metrics},
        history_{open_sqlite_history(config.store_file())} {}

  Log& log() override { return *log_; }
  Status settle(const Behind& behind) override {
    pipeline_.emplace(*log_, config_, adopt_, &metrics_);
    if (const Status settled = pipeline_->settle(behind); !settled) return settled;
    if (Status kept = keep_intervals(*log_, config_); !kept) return kept;
    if (Status kept = keep_rules(*log_, config_); !kept) return kept;
    return note_judging(*log_, config_);
  }
  bool failed() const override { return pipeline_->failed(); }
  std::uint64_t moved() override { return pipeline_->moved(); }
  Status drain(const Behind& behind) override { return pipeline_->drain(behind); }
  Result<ImportDid> did(const ImportSummary&) override {
    return RolesDid{pipeline_->processed(), pipeline_->left_over(), pipeline_->loaded(), pipeline_->set_aside()};
  }
  const History* history() override { return history_.get(); }

 private:
  std::unique_ptr<LmdbLog> log_;
  const Config& config_;
  const bool adopt_;
  Metrics& metrics_;
  std::optional<Pipeline> pipeline_;
  // Goes before the store's writer: the last connection leaves all in one file, if it may write.
  const std::unique_ptr<History> history_;
};

// The roles of `run` pause up to 5 s after an error, and a step may take some; beyond this they do not get on.
constexpr auto kPatience = 60s;

class Beside final : public ImportWay {
 public:
  Beside(std::unique_ptr<BesideLog> log, const Config& config)
      : log_{std::move(log)}, config_{config}, history_{open_sqlite_history(config.store_file())} {}

  Log& log() override { return *log_; }
  Status settle(const Behind&) override {
    // A store that is not there yet will be made; what another log's rows are in is not loaded into.
    if (const auto of = history_->log_id(); of && !of->empty() && *of != log_->id())
      return failure(Fault::mismatch, Retry::never,
                     "the store " + config_.store_file().string() + " holds the rows of log " + *of +
                         ", but the log of the process that runs is " + std::string{log_->id()} +
                         "; its own messages say what to do");
    return marks_.begin(*log_);
  }
  bool failed() const override { return !log_->health(); }
  std::uint64_t moved() override {
    std::uint64_t sum = 0;
    for (std::int32_t partition = 0; partition < log_->partitions(); ++partition) {
      sum += static_cast<std::uint64_t>(log_->committed(partition).value_or(0));
      sum += static_cast<std::uint64_t>(loaded(topic::trades, partition).value_or(0));
      sum += static_cast<std::uint64_t>(loaded(topic::candles, partition).value_or(0));
      // What retention has deleted makes room too.
      if (const auto span = log_->span(topic::raw, partition)) sum += static_cast<std::uint64_t>(span->oldest);
    }
    return sum;
  }

  Status drain(const Behind& behind) override {
    if (Status marked = marks_.end(*log_); !marked) return marked;
    if (Status done = wait([&]() { return marks_.behind(*log_); }, [&](std::int64_t now) { behind(now, 0); }); !done)
      return done;
    // Process has committed all of ours, so its results are in the log below these ends.
    for (const std::string_view topic : LoadOptions{}.topics)
      for (std::int32_t partition = 0; partition < log_->partitions(); ++partition) {
        const auto span = log_->span(topic, partition);
        if (!span) return tl::unexpected{span.error()};
        if (span->end > 0) ends_.push_back({topic, partition, span->end});
      }
    return wait([&]() { return load_behind(); }, [&](std::int64_t now) { behind(0, now); });
  }

  Result<ImportDid> did(const ImportSummary& summary) override {
    BesideDid out;
    const Status read = history_->quarantine({}, [&](const Quarantined& q) {
      if (marks_.ours(q)) ++out.quarantined;
      return true;
    });
    if (!read) return tl::unexpected{read.error()};
    for (const Instrument& instrument : summary.instruments) {
      Selection what;
      what.instrument = instrument;
      bool follows = false, other = false;
      const Status asked = history_->progress(what, [&](const Progress& progress) {
        const bool same = std::find(summary.tapes.begin(), summary.tapes.end(), std::pair{instrument, progress.tape}) !=
                          summary.tapes.end();
        (same ? follows : other) = true;
        return true;
      });
      if (!asked) return tl::unexpected{asked.error()};
      if (other && !follows) out.other_tape.push_back(instrument);
    }
    return out;
  }
  const History* history() override { return history_.get(); }

 private:
  struct End {
    std::string_view topic;
    std::int32_t partition;
    std::int64_t end;
  };

  // Nothing of this log is there yet: 0.
  Result<std::int64_t> loaded(std::string_view topic, std::int32_t partition) const {
    const auto next = history_->loaded(topic, partition);
    if (next) return next->value_or(0);
    if (next.error().fault == Fault::not_found || next.error().fault == Fault::unavailable) return 0;
    return tl::unexpected{next.error()};
  }

  Result<std::int64_t> load_behind() const {
    std::int64_t behind = 0;
    for (const End& end : ends_) {
      const auto next = loaded(end.topic, end.partition);
      if (!next) return next;
      behind += std::max<std::int64_t>(end.end - *next, 0);
    }
    return behind;
  }

  // Until nothing is behind any more.
  Status wait(const std::function<Result<std::int64_t>()>& look, const std::function<void(std::int64_t)>& tell) const {
    return wait_for_others(look, tell, [this](std::int64_t behind, auto stuck) -> Status {
      if (const Status healthy = log_->health(); !healthy)
        return failure(Fault::unavailable, Retry::never,
                       "the process that runs here has ended before all was processed and loaded; start it again, or "
                       "run " +
                           finish_command(config_));
      if (stuck > kPatience)
        return failure(Fault::unavailable, Retry::never,
                       "the process that runs here has not got on for " + std::to_string(kPatience.count()) +
                           " s: " + std::to_string(behind) +
                           " records are not processed and loaded yet; its own messages say "
                           "why");
      return {};
    });
  }

  std::unique_ptr<BesideLog> log_;
  const Config& config_;
  const std::unique_ptr<History> history_;
  ImportMarks marks_;
  std::vector<End> ends_;  // of what load has before it
};

}  // namespace

Result<std::unique_ptr<ImportWay>> ImportWay::open(const Config& config, const WayOptions& options, Metrics& metrics) {
  if (config.on_kafka()) return import_on_kafka(config, options);
  auto own = open_log_to_write(config);
  if (own) {
    if (const Status same = expect_intervals(**own, config); !same) return tl::unexpected{same.error()};
    // What is made from now on wins over the rows of another log, or of another continuation of this one.
    if (const Status renewed = options.adopt ? (*own)->renew_epoch() : Status{}; !renewed)
      return tl::unexpected{renewed.error()};
    return std::make_unique<Own>(std::move(*own), config, options.adopt, metrics);
  }
  if (!BesideLog::is_locked(own.error())) return tl::unexpected{own.error()};
  auto beside = BesideLog::open(config, "import", own.error());
  if (!beside) return tl::unexpected{beside.error()};
  if (options.adopt)
    return failure(Fault::refused, Retry::never,
                   "--adopt is for the process that loads the store, and here that is the one that runs; stop it, then "
                   "import with --adopt, or import without --adopt now");
  if (const Status same = expect_intervals((*beside)->files(), config, true); !same)
    return tl::unexpected{same.error()};
  return std::make_unique<Beside>(std::move(*beside), config);
}

}  // namespace truetape::app
