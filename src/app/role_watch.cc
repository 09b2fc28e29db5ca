#include "app/role_watch.h"

#include <condition_variable>

#include "app/lines.h"
#include "roles/meters.h"

namespace truetape::app {
namespace {

// Pauses between attempts grow to 5 s, so these are about half a minute: a locked store may come free in that time.
constexpr int kMostErrors = 12;
constexpr std::chrono::seconds kHopelessPause{5};  // between attempts at what can hardly heal
constexpr std::chrono::minutes kSayAgain{1};       // the same sentence

// A full disk or damage does not heal by waiting: somebody must do something. Who waits for an end is there to be told.
bool hopeless(const Error& error) {
  return error.retry == Retry::never || error.fault == Fault::no_space || error.fault == Fault::corrupt ||
         error.fault == Fault::mismatch;
}

}  // namespace

bool RoleWatch::survives(const Error& error, Patience patience) {
  if (metrics_ != nullptr) meter_retry(*metrics_, name_);
  const auto now = clock_.steady();
  bool new_one = false;
  {
    const std::lock_guard lock{mutex_};
    new_one = !error_ || error_->detail != error.detail;
    error_ = error;
  }
  failing_ = true;
  const bool endless = patience == Patience::endless && began_;
  if (!endless || new_one || now - told_ >= kSayAgain) {
    say(hopeless(error) ? Level::error : Level::warning, name_,
        error.detail + (endless ? " (tried until it works)" : ""));
    told_ = now;
  }
  return endless || (!hopeless(error) && ++in_a_row_ < kMostErrors);
}

bool RoleWatch::stepped(std::int64_t behind) {
  in_a_row_ = 0;
  behind_ = behind;
  if (metrics_ != nullptr) meter_behind(*metrics_, name_, behind);
  if (began_ && !failing_) return false;
  if (failing_) say(Level::info, name_, "goes on");
  failing_ = false;
  {
    const std::lock_guard lock{mutex_};
    error_.reset();
  }
  began_ = true;
  return true;
}

std::optional<Error> RoleWatch::trouble() const {
  if (!failing_) return std::nullopt;
  const std::lock_guard lock{mutex_};
  return error_;
}

void keep_running(const std::stop_token& stop, const std::function<Status(std::stop_source&)>& run,
                  const std::function<bool(const Error&)>& survives) {
  std::mutex mutex;
  std::condition_variable_any woken;
  std::stop_source inner;
  const std::stop_callback forward{stop, [&] { inner.request_stop(); }};
  while (!inner.stop_requested()) {
    const Status ended = run(inner);
    if (ended || !survives(ended.error())) return;
    std::unique_lock lock{mutex};
    woken.wait_for(lock, stop, kHopelessPause, [] { return false; });
  }
}

void QuarantineWord::add(const ProcessCounts& step, std::chrono::steady_clock::time_point now,
                         const std::string& shows) {
  for (const auto& [venue, c] : step.venues) waiting_ += c.held + c.contradiction + c.quarantined + c.undecodable;
  if (waiting_ == 0 || (said_ && now - *said_ < kSayAgain)) return;
  say(Level::warning, "process",
      (waiting_ == 1 ? "an item" : std::to_string(waiting_) + " items") + " went to quarantine" +
          (said_ ? " since this was said last" : "") + "; " + shows +
          " shows each with its reason. If the reason is `future` for all, look at this machine's clock.");
  said_ = now;
  waiting_ = 0;
}

}  // namespace truetape::app
