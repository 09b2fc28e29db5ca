// The log as one life of the process sees it. When the process has died, what its objects still do has no effect (the
// ends of a log that is no more swallow all), so that its coroutines can be wound up without touching what survives.
// And it watches the contract: a task never gets again what was committed, a reader nothing twice.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "log/memory/memory_log.h"
#include "trace.h"

namespace truetape::simulation {

// What is known of the log besides the log: survives the process.
struct Watch {
  std::map<std::int32_t, std::int64_t> committed;  // by partition: behind what a commit that succeeded covered
  std::uint64_t records_committed = 0;             // by commits that succeeded
  std::uint64_t commits_lost = 0;                  // that failed: they may have happened
  std::string broken;                              // the first breach of the contract; empty: none

  void breach(std::string what) {
    if (broken.empty()) broken = std::move(what);
  }
};

class WatchedLog final : public Log {
 public:
  WatchedLog(Log& log, Watch& watch) : log_{log}, watch_{watch}, dead_{std::make_shared<bool>(false)} {}
  void die() { *dead_ = true; }

  std::string_view id() const override { return log_.id(); }
  std::int64_t epoch() const override { return log_.epoch(); }
  std::int32_t partitions() const override { return log_.partitions(); }
  Result<TopicSpan> span(std::string_view topic, std::int32_t p) const override { return log_.span(topic, p); }
  Result<std::int64_t> committed(std::int32_t p) const override { return log_.committed(p); }

  Result<std::unique_ptr<Appender>> appender(std::string_view topic) override {
    if (*dead_) return tl::unexpected{gone()};
    auto inner = log_.appender(topic);
    if (!inner) return inner;
    return std::make_unique<WatchedAppender>(std::move(*inner), dead_);
  }
  Result<std::unique_ptr<Task>> task() override {
    auto inner = log_.task();
    if (!inner) return inner;
    return std::make_unique<WatchedTask>(std::move(*inner), watch_);
  }
  Result<std::unique_ptr<Reader>> reader(std::string_view topic, std::string_view name, Share share) override {
    if (*dead_) return tl::unexpected{gone()};
    auto inner = log_.reader(topic, name, share);
    if (!inner) return inner;
    return std::make_unique<WatchedReader>(std::move(*inner), dead_, watch_, std::string{topic});
  }

 private:
  static Error gone() { return {Fault::unavailable, Retry::after_backoff, "the process has died"}; }

  class WatchedAppender final : public Appender {
   public:
    WatchedAppender(std::unique_ptr<Appender> inner, std::shared_ptr<bool> dead)
        : inner_{std::move(inner)}, dead_{std::move(dead)} {}
    bool append(std::int32_t p, const Record& record) override { return *dead_ || inner_->append(p, record); }
    Result<bool> flush(std::chrono::milliseconds wait) override {
      if (*dead_) return true;
      return inner_->flush(wait);
    }

   private:
    std::unique_ptr<Appender> inner_;
    std::shared_ptr<bool> dead_;
  };

  class WatchedTask final : public Task {
   public:
    WatchedTask(std::unique_ptr<Task> inner, Watch& watch) : inner_{std::move(inner)}, watch_{watch} {}
    Result<Step> poll(std::chrono::milliseconds linger) override {
      auto step = inner_->poll(linger);
      if (!step) return step;
      next_.clear();
      records_ = step->records.size();
      for (const Stored& stored : step->records) {
        const auto before = watch_.committed.find(stored.partition);
        if (before != watch_.committed.end() && stored.offset < before->second)
          watch_.breach("the task was given raw/" + std::to_string(stored.partition) + " offset " +
                        std::to_string(stored.offset) + " again, which a commit up to " +
                        std::to_string(before->second) + " had covered");
        auto& next = next_[stored.partition];
        if (stored.offset < next)
          watch_.breach("the task was given raw/" + std::to_string(stored.partition) + " out of order");
        next = stored.offset + 1;
      }
      return step;
    }
    Status commit(std::span<const Output> outputs, std::span<const StateChange> state) override {
      const Status done = inner_->commit(outputs, state);
      if (done) {
        for (const auto& [partition, next] : next_) watch_.committed[partition] = next;
        watch_.records_committed += records_;
      } else {
        ++watch_.commits_lost;
      }
      return done;
    }
    std::int64_t behind(std::int32_t partition) const override { return inner_->behind(partition); }

   private:
    std::unique_ptr<Task> inner_;
    Watch& watch_;
    std::map<std::int32_t, std::int64_t> next_;
    std::size_t records_ = 0;
  };

  class WatchedReader final : public Reader {
   public:
    WatchedReader(std::unique_ptr<Reader> inner, std::shared_ptr<bool> dead, Watch& watch, std::string topic)
        : inner_{std::move(inner)}, dead_{std::move(dead)}, watch_{watch}, topic_{std::move(topic)} {}
    Result<Step> poll(std::chrono::milliseconds wait) override {
      if (*dead_) return Step{};
      auto step = inner_->poll(wait);
      if (!step) return step;
      for (const Stored& stored : step->records) {
        const auto [at, fresh] = next_.try_emplace(stored.partition, stored.offset);
        if (!fresh && stored.offset < at->second)
          watch_.breach("a reader was given " + topic_ + "/" + std::to_string(stored.partition) + " offset " +
                        std::to_string(stored.offset) + " twice");
        at->second = stored.offset + 1;
      }
      return step;
    }
    Status seek(std::int32_t partition, std::optional<std::int64_t> offset) override {
      if (*dead_) return {};
      next_.erase(partition);
      return inner_->seek(partition, offset);
    }
    Status stored(std::int32_t partition, std::int64_t next) override {
      if (*dead_) return {};
      return inner_->stored(partition, next);
    }
    std::optional<std::int64_t> position(std::int32_t partition) const override { return inner_->position(partition); }

   private:
    std::unique_ptr<Reader> inner_;
    std::shared_ptr<bool> dead_;
    Watch& watch_;
    std::string topic_;
    std::map<std::int32_t, std::int64_t> next_;
  };

  Log& log_;
  Watch& watch_;
  std::shared_ptr<bool> dead_;
};

}  // namespace truetape::simulation
