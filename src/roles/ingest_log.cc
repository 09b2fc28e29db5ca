#include "roles/ingest_log.h"

namespace truetape {
namespace {

using Level = FeedEvent::Level;

constexpr net::BackoffConfig kReopen{std::chrono::milliseconds{100}, std::chrono::seconds{10}, 2};
constexpr int kMostSteps = 16;  // of one look, so that a long topic does not hold up the loop

std::string seconds_since(net::SteadyTime since, net::SteadyTime now) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now - since).count()) + " s";
}

}  // namespace

LastingAppender::LastingAppender(Log& log, std::string_view topic, net::Loop& loop, std::uint64_t seed, Tell tell)
    : log_{log}, topic_{topic}, loop_{loop}, tell_{std::move(tell)}, backoff_{kReopen, seed} {}

void LastingAppender::failed(const Error& error) {
  next_try_ = loop_.now() + backoff_.next();
  if (error.detail == told_) return;
  told_ = error.detail;
  tell_(Level::error,
        "nothing can be written to the topic " + std::string{topic_} + ": " + error.detail + " It is tried again.");
}

bool LastingAppender::look() {
  if (!appender_) {
    if (loop_.now() < next_try_) return false;
    auto opened = log_.appender(topic_);
    if (!opened) {
      failed(opened.error());
      return false;
    }
    appender_ = std::move(*opened);
  }
  const auto flushed = appender_->flush(std::chrono::milliseconds{0});
  if (!flushed) {
    const Error& error = flushed.error();
    if (error.fault == Fault::no_space && error.retry == Retry::after_backoff) {
      if (full_since_) return false;
      full_since_ = loop_.now();
      tell_(Level::error, error.detail + " Until then the topic " + std::string{topic_} + " takes nothing.");
      return false;
    }
    appender_.reset();
    ++generation_;
    full_since_.reset();
    failed(error);
    return false;
  }
  if (full_since_)
    tell_(Level::info, "there is room again for the topic " + std::string{topic_} + ", after " +
                           seconds_since(*full_since_, loop_.now()));
  full_since_.reset();
  if (*flushed) {
    if (!told_.empty()) tell_(Level::info, "the topic " + std::string{topic_} + " can be written again");
    told_.clear();
    backoff_.reset();
  }
  return *flushed;
}

ControlFollower::ControlFollower(Log& log, net::Loop& loop, std::uint64_t seed, Tell tell)
    : log_{log}, loop_{loop}, tell_{std::move(tell)}, backoff_{kReopen, seed} {}

void ControlFollower::take(const Stored& stored) {
  next_ = stored.offset + 1;
  const auto record = parse_control(stored.record.key, stored.record.value);
  if (!record)
    return tell_(Level::warning,
                 record.error().detail + "; it changes nothing (offset " + std::to_string(stored.offset) + ")");
  if (!*record) return;
  state_.fold(**record);
  if (!std::holds_alternative<FeedReport>(**record)) ++version_;
}

Status ControlFollower::read(bool& to_end) {
  if (!reader_) {
    auto opened = log_.reader(topic::control, {}, Share::all);
    if (!opened) return tl::unexpected{opened.error()};
    reader_ = std::move(*opened);
  }
  for (int i = 0; i < kMostSteps; ++i) {
    const auto step = reader_->poll(std::chrono::milliseconds{0});
    if (!step) return tl::unexpected{step.error()};
    for (const Stored& stored : step->records) take(stored);
    if (!step->records.empty()) continue;
    if (step->assigned.empty()) {
      to_end = true;
      return {};
    }
    for (const std::int32_t partition : step->assigned) {
      if (partition != kControlPartition) continue;
      Status sought = reader_->seek(partition, next_);
      // Retention went on meanwhile: of each key the last record is there.
      if (!sought && sought.error().fault == Fault::out_of_range) sought = reader_->seek(partition, std::nullopt);
      if (!sought) return sought;
    }
  }
  return {};
}

bool ControlFollower::look() {
  if (!reader_ && loop_.now() < next_try_) return false;
  bool to_end = false;
  if (const Status done = read(to_end); done) {
    if (to_end) {
      told_.clear();
      backoff_.reset();
    }
    return to_end;
  } else {
    reader_.reset();
    next_try_ = loop_.now() + backoff_.next();
    if (done.error().detail != told_)
      tell_(Level::error,
            "the topic control cannot be read: " + done.error().detail + " Until it can, ingest goes on as it is.");
    told_ = done.error().detail;
    return false;
  }
}

}  // namespace truetape
