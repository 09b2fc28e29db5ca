#include "app/process_worker.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>

#include "app/lines.h"
#include "app/open.h"
#include "app/values.h"
#include "batch/decoders.h"

namespace truetape::app {
namespace {

constexpr std::chrono::seconds kSessionEnds{5};  // after its time, by when brokers have noticed

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
      worker_{"process", config, metrics, ended, options_.drain ? Patience::limited : Patience::endless} {}

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
  const std::string file = (state / (config.kafka_place->prefix + '.' + own.worker_.name())).string();
  auto lock = Lock::take(file + ".lock", own.worker_.name());
  if (!lock) return tl::unexpected{lock.error()};
  own.lock_ = std::move(*lock);
  auto attempts = Attempts::open(file + ".attempt");
  if (!attempts) return tl::unexpected{attempts.error()};
  own.attempts_ = std::move(*attempts);
  if (Status opened = own.worker_.open(); !opened) return tl::unexpected{opened.error()};
  KafkaLog& log = own.worker_.log();
  if (Status same = own.expect_same(); !same) return tl::unexpected{same.error()};
  if (Status kept = keep_intervals(log, config); !kept) return tl::unexpected{kept.error()};
  if (own.options_.change_rules)
    if (Status alone = own.expect_alone(); !alone) return tl::unexpected{alone.error()};
  if (Status kept = own.options_.change_rules ? change_rules(log, config) : keep_rules(log, config); !kept)
    return tl::unexpected{kept.error()};
  // Whoever is first says by what all judge; two may have come at once.
  if (Status read = log.reload(); !read) return tl::unexpected{read.error()};
  if (Status same = own.expect_same(); !same) return tl::unexpected{same.error()};
  return out;
}

Status ProcessWorker::expect_same() {
  KafkaLog& log = worker_.log();
  if (Status same = expect_intervals(log, config_); !same) return same;
  return options_.change_rules ? Status{} : expect_same_rules(log, config_, options_.command + " --change-rules");
}

// Whoever runs would go on judging by the old rules. One that was just stopped is a member until its session ends.
Status ProcessWorker::expect_alone() {
  const auto& clock = worker_.clock();
  for (const auto until = clock.steady() + config_.kafka.session + kSessionEnds;;) {
    const auto others = worker_.log().workers();
    if (!others) return tl::unexpected{others.error()};
    if (*others == 0) return {};
    if (clock.steady() > until)
      return failure(Fault::refused, Retry::never,
                     std::to_string(*others) + " workers of " + config_.data +
                         " run and would go on judging by the old rules; stop them all, then start the first with " +
                         "--change-rules");
    std::this_thread::sleep_for(std::chrono::milliseconds{200});
  }
}

Result<std::unique_ptr<ProcessRole>> ProcessWorker::make() {
  if (Status same = expect_same(); !same) return tl::unexpected{same.error()};
  mine_.clear();
  count_mine();
  ProcessOptions options;
  options.linger = std::chrono::ceil<std::chrono::milliseconds>(config_.kafka.commit);
  options.metrics = &metrics_;
  options.clock = &worker_.clock();
  options.anew = "import into a log of another prefix (docs/kafka.md)";
  return ProcessRole::open(worker_.log(), config_.rules, all_decoders(), std::move(options), attempts_.get());
}

Status ProcessWorker::step(ProcessRole& role, std::stop_source& inner) {
  if (Status done = role.step(); !done) return done;
  const ProcessCounts did = role.take_counts();
  tell(role, did);
  if (Status up = worker_.reach(did.steps > 0); !up) return up;
  if (!role.joined()) return {};  // nothing is known of it yet
  worker_.stepped(mine_.size(), role.behind());
  if (!std::exchange(ready_told_, true) && options_.ready) options_.ready();
  if (!worker_.look_is_due() || !options_.drain || did.steps > 0) return {};
  const auto left = drained();
  if (!left) return tl::unexpected{left.error()};
  if (*left) inner.request_stop();
  return {};
}

void ProcessWorker::tell(const ProcessRole& role, const ProcessCounts& step) {
  std::vector<std::int32_t> mine = role.partitions();
  if (mine != mine_) {
    say(Level::info, "process",
        "worker " + worker_.name() + " has " + (mine.empty() ? "no partition" : "the partitions " + ranges(mine)) +
            " of " + std::to_string(worker_.log().partitions()) + " now");
    mine_ = std::move(mine);
    count_mine();
  }
  for (const Task::Lost& lost : step.lost)
    say(Level::error, "process",
        config_.kafka_place->topic(topic::raw) + '/' + std::to_string(lost.partition) + ": the records " +
            std::to_string(lost.from) + " to " + std::to_string(lost.to - 1) +
            " were deleted before they were processed; their ids become gaps. Raw must be kept longer than workers are "
            "behind: log.retain.raw, and retention.ms of that topic (docs/kafka.md)");
  quarantine_.add(step, worker_.clock().steady(), options_.shows);
}

void ProcessWorker::count_mine() {
  metrics_.gauge("truetape_process_partitions", "Partitions that this worker has.")
      .set(static_cast<std::int64_t>(mine_.size()));
}

Result<bool> ProcessWorker::drained() {
  const KafkaLog& log = worker_.log();
  for (std::int32_t partition = 0; partition < log.partitions(); ++partition) {
    const auto span = log.span(topic::raw, partition);
    if (!span) return tl::unexpected{span.error()};
    const auto committed = log.committed(partition);
    if (!committed) return tl::unexpected{committed.error()};
    if (std::max(*committed, span->oldest) < span->end) return false;
  }
  return true;
}

Status ProcessWorker::run(const std::stop_token& stop) {
  return worker_.run<ProcessRole>(
      stop, [this] { return make(); }, [this](ProcessRole& role, std::stop_source& inner) { return step(role, inner); },
      false);
}

}  // namespace truetape::app
