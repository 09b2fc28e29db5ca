// Inside of history.h: what a history holds while it goes on. history.cc runs it, faults.cc plans what goes wrong.
#pragma once

#include <unistd.h>

#include <array>
#include <filesystem>
#include <map>
#include <optional>

#include "history.h"
#include "judge.h"
#include "life.h"

namespace truetape::simulation {

using namespace std::chrono_literals;

inline constexpr Time kStart = 1'723'161'500LL * kSecond;  // 2024-08-08T23:58:20Z: midnight comes soon

// Where the log's calls crash. Asked under the log's lock.
class LogDice final : public FaultDice {
 public:
  LogDice(Random random, Trace& trace) : random_{std::move(random)}, trace_{trace} {}

  Crash roll(LogCall call) override {
    if (quiet || !random_.per_mille(per_mille)) return Crash::none;
    static constexpr std::array<std::string_view, 7> kNames{"append",      "flush", "task_poll", "commit",
                                                            "reader_poll", "seek",  "stored"};
    const bool before = random_.one_in(2);
    trace_.fault("log crash " + std::string{kNames[static_cast<std::size_t>(call)]}, before ? "before" : "after");
    return before ? Crash::before : Crash::after;
  }
  std::size_t surviving(std::size_t waiting) override {
    return quiet ? 0 : static_cast<std::size_t>(random_.below(waiting + 1));
  }

  bool quiet = false;  // the judge looks
  std::uint32_t per_mille = 0;

 private:
  Random random_;
  Trace& trace_;
};

// A directory in memory for a store that wants files.
class Scratch {
 public:
  explicit Scratch(std::uint64_t seed)
      : path_{std::filesystem::path{std::filesystem::exists("/dev/shm") ? "/dev/shm" : "/tmp"} /
              ("truetape-simulation-" + std::to_string(::getpid()) + "-" + std::to_string(seed))} {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directory(path_);
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::filesystem::path file() const { return path_ / "store.db"; }

 private:
  std::filesystem::path path_;
};

class History {
 public:
  explicit History(const HistoryOptions& options);
  ~History();
  HistoryResult run();

 private:
  // The log
  void make_log(std::int64_t epoch);
  void say_wanted(const Listing& listing, bool wanted);
  void take_down();  // what the log has, for the judge
  void trim();
  void another_log(bool rebuild);
  Rows stored_rows();
  std::string store_log_id();
  std::map<std::pair<std::string, std::int32_t>, std::int64_t> store_positions();
  std::unique_ptr<Sink> make_sink();

  // Lives
  void begin_life();
  void end_life(std::string_view why);

  // What goes on
  void every(Time least, Time most, std::function<void()> call);
  void trade_on(Listing& listing, Time mean);
  void plan_faults();
  void during(std::string_view kind, Time from, Time span, std::function<void()> begin, std::function<void()> end);
  void run_until(Time end);
  void weigh();
  void quiet();
  void finish();

  Time now() const { return clock_.steady().time_since_epoch().count(); }

  const HistoryOptions options_;
  Random random_;
  Trace trace_;
  ManualClock clock_;
  net::Loop loop_;
  Agenda agenda_;
  Rules rules_;
  Venue venue_;
  std::unique_ptr<net::Connector> connector_;

  MemoryOptions log_options_;
  std::shared_ptr<LogDice> dice_;
  std::unique_ptr<MemoryLog> log_;
  std::vector<std::pair<Time, Time>> log_troubles_;  // when it crashed or was full, or could have
  std::vector<LogTape> tapes_;
  bool trimmed_raw_ = false, load_known_ = false;
  std::unique_ptr<Watch> watch_ = std::make_unique<Watch>();
  std::string broken_;  // a breach of a log that is gone

  Tables tables_;
  std::optional<Scratch> scratch_;  // set: the store is SQLite's
  StoreWeather store_weather_;
  Random store_random_;
  bool adopt_ = false;

  IngestOptions ingest_options_;
  LoadOptions load_options_;
  std::unique_ptr<Life> life_;
  ProcessCounts counts_;  // of lives that are over, on this log
  int lives_ = 0;
  bool clocks_wrong_ = false;
  bool faults_on_ = true;
  bool down_ = false;  // between two lives
  Time duration_ = 0;

  struct Weight {
    std::int64_t records = 0;  // in the log
    OpenGaps gaps{};           // nothing repairs them here, so the windows that they touch keep their state
    std::size_t heap = 0;      // but for what the judge and the venue remember
  };
  std::vector<Weight> weights_;  // after each hour of a long run
};

}  // namespace truetape::simulation
