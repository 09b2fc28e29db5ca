#include "app/process_worker.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "app/lines.h"
#include "app/open.h"
#include "app/values.h"
#include "batch/decoders.h"
#include "roles/run.h"

namespace truetape::app {
namespace {

constexpr std::size_t kFencedMost = 3;
constexpr std::chrono::minutes kFencedWithin{1};
constexpr std::chrono::milliseconds kLook{250};  // between looks whether anything is left

// "0-3,7"
std::string ranges(const std::vector<std::int32_t>& numbers) {
  std::string out;
  for (std::size_t i = 0; i < numbers.size();) {
    std::size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    out += (out.empty() ? "" : ",") + std::to_string(numbers[i]);
    if (last > i) out += '-' + std::to_string(numbers[last]);
    i = last + 1;
  }
  return out;
}

}  // namespace

// An open file whose lock goes with the process, however that ends.
class ProcessWorker::Lock {
 public:
  static Result<std::unique_ptr<Lock>> take(const std::filesystem::path& file, const std::string& worker) {
    const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
      return failure(Fault::refused, Retry::never,
                     file.string() + " cannot be opened: " + std::strerror(errno) +
                         "; name a directory that this user can write in: --state DIR");
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      ::close(fd);
      return failure(Fault::refused, Retry::never,
                     "a worker named " + worker + " runs here already (it has " + file.string() +
                         "); each process needs a name of its own: --worker NAME");
    }
    return std::unique_ptr<Lock>{new Lock{fd}};
  }
  ~Lock() { ::close(fd_); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  explicit Lock(int fd) : fd_{fd} {}
  const int fd_;
};

ProcessWorker::ProcessWorker(const Config& config, Metrics& metrics, WorkerOptions options,
                             const std::atomic<bool>& ended)
    : config_{config},
      metrics_{metrics},
      options_{std::move(options)},
      ended_{ended},
      name_{worker_name(config)},
      watch_{"process", clock_, &metrics} {}

ProcessWorker::~ProcessWorker() = default;

Result<std::unique_ptr<ProcessWorker>> ProcessWorker::open(const Config& config, const std::filesystem::path& state,
                                                           Metrics& metrics, WorkerOptions options,
                                                           const std::atomic<bool>& ended) {
  std::unique_ptr<ProcessWorker> out{new ProcessWorker{config, metrics, std::move(options), ended}};
  ProcessWorker& own = *out;
  std::error_code error;
  std::filesystem::create_directories(state, error);
  if (error)
    return failure(Fault::refused, Retry::never,
                   "the state directory " + state.string() + " cannot be made: " + error.message() +
                       "; name one that this user can write in: --state DIR");
  const std::string file = (state / (config.kafka_place->prefix + '.' + own.name_)).string();
  auto lock = Lock::take(file + ".lock", own.name_);
  if (!lock) return tl::unexpected{lock.error()};
  own.lock_ = std::move(*lock);
  auto attempts = Attempts::open(file + ".attempt");
  if (!attempts) return tl::unexpected{attempts.error()};
  own.attempts_ = std::move(*attempts);
  if (Status opened = own.open_log(); !opened) return tl::unexpected{opened.error()};
  KafkaLog& log = *own.log_;
  if (Status same = own.expect_same(); !same) return tl::unexpected{same.error()};
  if (Status kept = keep_intervals(log, config); !kept) return tl::unexpected{kept.error()};
  if (Status kept = own.options_.change_rules ? change_rules(log, config) : keep_rules(log, config); !kept)
    return tl::unexpected{kept.error()};
  // Whoever is first says by what all judge; two may have come at once.
  if (Status read = log.reload(); !read) return tl::unexpected{read.error()};
  if (Status same = own.expect_same(); !same) return tl::unexpected{same.error()};
  return out;
}

Status ProcessWorker::expect_same() const {
  if (Status same = expect_intervals(*log_, config_); !same) return same;
  return options_.change_rules ? Status{} : expect_same_rules(*log_, config_, options_.command + " --change-rules");
}

// Anew after each error too: epoch and notes may be others by now, or the log another.
Status ProcessWorker::open_log() {
  auto log = open_kafka(config_, Connections::told, &ended_);
  if (!log) return tl::unexpected{log.error()};
  if (!log_id_.empty() && log_id_ != (*log)->id())
    return failure(Fault::mismatch, Retry::never,
                   "the topics of " + config_.data + " were made anew meanwhile (log " + std::string{(*log)->id()} +
                       ", before " + log_id_ + "); start this worker again");
  log_id_ = (*log)->id();
  log_ = std::move(*log);
  return {};
}

Result<std::unique_ptr<ProcessRole>> ProcessWorker::make() {
  if (!log_) {
    if (Status opened = open_log(); !opened) return tl::unexpected{opened.error()};
    if (Status same = expect_same(); !same) return tl::unexpected{same.error()};
  }
  worked_ = false;
  mine_.clear();
  ProcessOptions options;
  options.linger = std::chrono::ceil<std::chrono::milliseconds>(config_.kafka.commit);
  options.metrics = &metrics_;
  options.clock = &clock_;
  options.anew = "import into a log of another prefix (docs/kafka.md)";
  return ProcessRole::open(*log_, config_.rules, all_decoders(), std::move(options), attempts_.get());
}

Status ProcessWorker::step(ProcessRole& role, std::stop_source& inner) {
  if (Status done = role.step(); !done) return done;
  const ProcessCounts did = role.take_counts();
  tell(role, did);
  worked_ = worked_ || !mine_.empty();
  watch_.stepped(role.behind());
  if (!std::exchange(ready_told_, true) && options_.ready) options_.ready();
  const auto now = clock_.steady();
  if (now - looked_ < kLook) return {};
  looked_ = now;
  tell_repeats();
  if (!options_.drain || did.steps > 0) return {};
  const auto left = drained();
  if (!left) return tl::unexpected{left.error()};
  if (*left) inner.request_stop();
  return {};
}

void ProcessWorker::tell(const ProcessRole& role, const ProcessCounts& step) {
  std::vector<std::int32_t> mine = role.partitions();
  if (mine != mine_) {
    say(Level::info, "process",
        "worker " + name_ + " has " + (mine.empty() ? "no partition" : "the partitions " + ranges(mine)) + " of " +
            std::to_string(log_->partitions()) + " now");
    metrics_.gauge("truetape_process_partitions", "Partitions that this worker has.")
        .set(static_cast<std::int64_t>(mine.size()));
    mine_ = std::move(mine);
  }
  for (const Task::Lost& lost : step.lost)
    say(Level::error, "process",
        config_.kafka_place->topic(topic::raw) + '/' + std::to_string(lost.partition) + ": the records " +
            std::to_string(lost.from) + " to " + std::to_string(lost.to - 1) +
            " were deleted before they were processed; their ids become gaps. Raw must be kept longer than workers are "
            "behind: log.retain.raw, and retention.ms of that topic (docs/kafka.md)");
  quarantine_.add(step, clock_.steady(), options_.shows);
}

Result<bool> ProcessWorker::drained() const {
  for (std::int32_t partition = 0; partition < log_->partitions(); ++partition) {
    const auto span = log_->span(topic::raw, partition);
    if (!span) return tl::unexpected{span.error()};
    const auto committed = log_->committed(partition);
    if (!committed) return tl::unexpected{committed.error()};
    if (std::max(*committed, span->oldest) < span->end) return false;
  }
  return true;
}

// Another process took the place of one that worked. Once may be what is left of this one from before an outage.
bool ProcessWorker::is_fenced(const Error& error) {
  if (error.fault != Fault::refused || error.retry == Retry::never || !worked_) return false;
  const auto now = clock_.steady();
  while (!fenced_.empty() && now - fenced_.front() > kFencedWithin) fenced_.pop_front();
  fenced_.push_back(now);
  return fenced_.size() >= kFencedMost;
}

bool ProcessWorker::survives(const Error& error) {
  log_.reset();             // the role is gone; the next one begins from the log itself
  if (ended_) return true;  // it was told to stop, which cut that short
  if (is_fenced(error)) {
    gave_up_ = Error{Fault::refused, Retry::never,
                     "worker " + name_ + " was fenced " + std::to_string(fenced_.size()) +
                         " times within a minute: another process works under the same name; each needs one of its "
                         "own: --worker NAME"};
    return false;
  }
  if (watch_.survives(error, options_.drain ? Patience::limited : Patience::endless)) return true;
  gave_up_ = error;
  return false;
}

Status ProcessWorker::run(const std::stop_token& stop) {
  const auto once = [this](std::stop_source& inner) {
    return run_role<ProcessRole>(
        inner.get_token(), [this] { return make(); }, [&](ProcessRole& role) { return step(role, inner); }, false,
        [&](const Error& error) {
          if (!survives(error)) inner.request_stop();
        });
  };
  keep_running(stop, once, [this](const Error& error) { return survives(error); });
  if (gave_up_) return tl::unexpected{*gave_up_};
  return {};
}

}  // namespace truetape::app
