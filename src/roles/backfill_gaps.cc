#include "roles/backfill_gaps.h"

#include <algorithm>

#include "codec/wire.h"

namespace truetape {
namespace {

using Level = FeedEvent::Level;

constexpr net::BackoffConfig kReopen{std::chrono::milliseconds{100}, std::chrono::seconds{10}, 2};
constexpr int kMostSteps = 64;  // of one look, so that a long topic does not hold up the loop

bool has_ended(GapState state) {
  return state != GapState::pending && state != GapState::open && state != GapState::progress;
}

// The newest or the oldest of a row's ids, as many as are left of it, or all; `turn` says which.
FillRange guess(const Gap& row, int turn) {
  const std::uint64_t first = row.first_id, last = row.last_id.value_or(first);
  const std::uint64_t left = std::clamp<std::uint64_t>(row.missing, 1, last - first + 1);
  if (turn % 3 == 0) return {last - left + 1, last};
  if (turn % 3 == 1) return {first, first + left - 1};
  return {first, last};
}

}  // namespace

void OpenGap::forget_answers() {
  given = 0;
  whole = alone = too_old = false;
  failures = 0;
  said.clear();
  times = 0;
  as_of.reset();
  next.reset();
  lacking.clear();
  lacked.reset();
}

FillRange OpenGap::range(std::uint64_t unit) const {
  const FillRange all = guess(row, 2);
  return all.last - all.first < unit ? all : guess(row, given);
}

FillRange OpenGap::wanted(std::uint64_t unit) const {
  FillRange out = whole ? lacked.value_or(range(unit)) : guess(row, given);
  if (whole && next) out.first = *next;
  if (out.last - out.first < unit) return out;
  if (whole)
    out.last = out.first + unit - 1;
  else
    out.first = out.last - unit + 1;
  return out;
}

bool OpenGap::go_on(const FillRange& asked, const FillAnswer& answer, std::uint64_t unit) {
  const std::uint64_t end = lacked.value_or(range(unit)).last;
  const auto lacks = [&](FillRange ids) {
    if (!lacking.empty() && lacking.back().last + 1 == ids.first)
      lacking.back().last = ids.last;
    else
      lacking.push_back(ids);
  };
  for (const FillRange& ids : answer.missing) lacks(ids);
  std::uint64_t reached = asked.last;
  if (answer.none_to && *answer.none_to > reached && reached < end) {
    reached = std::min(*answer.none_to, end);
    lacks({asked.last + 1, reached});
  }
  if (reached < end) {
    next = reached + 1;
    return false;
  }
  next.reset();
  lacked.reset();
  if (!lacking.empty()) lacked = {lacking.front().first, lacking.back().last};
  return true;
}

GapFollower::GapFollower(Log& log, net::Loop& loop, std::string group, std::uint64_t seed, Tell tell)
    : log_{log}, loop_{loop}, group_{std::move(group)}, tell_{std::move(tell)}, backoff_{kReopen, seed} {}

void GapFollower::take(const Stored& stored) {
  const auto gap = wire::decode<Gap>(stored.record.value);
  if (!gap)
    return tell_(Level::error, "a gap cannot be read: " + gap.error().detail + " (partition " +
                                   std::to_string(stored.partition) + ", offset " + std::to_string(stored.offset) +
                                   "); it is not asked for");
  const Key key = GapKeyOrder::of(*gap);
  if (has_ended(gap->state)) {
    gaps_.erase(key);
    return;
  }
  OpenGap& open = gaps_[key];
  const bool same = open.row.last_id == gap->last_id && open.row.missing == gap->missing && open.row.to == gap->to &&
                    open.seen != net::SteadyTime{};
  open.row = *gap;
  open.partition = stored.partition;
  if (same) return;
  if (open.seen == net::SteadyTime{}) {
    settle(open);
    open.first_seen = loop_.now();
  }
  open.seen = open.due = loop_.now();
  open.forget_answers();
}

Status GapFollower::read() {
  if (!reader_) {
    auto opened = log_.reader(topic::gaps, group_, group_.empty() ? Share::all : Share::group);
    if (!opened) return tl::unexpected{opened.error()};
    reader_ = std::move(*opened);
    gaps_.clear();
  }
  for (int i = 0; i < kMostSteps; ++i) {
    const auto step = reader_->poll(std::chrono::milliseconds{0});
    if (!step) return tl::unexpected{step.error()};
    for (const std::int32_t partition : step->revoked)
      std::erase_if(gaps_, [&](const auto& gap) { return gap.second.partition == partition; });
    for (const Stored& stored : step->records) take(stored);
    if (!step->records.empty()) continue;
    if (step->assigned.empty()) return {};
    for (const std::int32_t partition : step->assigned)
      if (Status sought = reader_->seek(partition, 0); !sought) return sought;
  }
  return {};
}

// A gap is asked for once `process` has committed past what the log holds now, and what it made of that has been read:
// so a replay re-opens no old gaps, and what was filled is not asked for again.
Status GapFollower::look_at_process() {
  std::map<std::int32_t, std::vector<OpenGap*>> waiting;
  for (auto& [key, gap] : gaps_)
    if (!gap.ready) waiting[gap.partition].push_back(&gap);
  for (auto& [partition, gaps] : waiting) {
    std::optional<std::int64_t> end, committed, told;
    for (OpenGap* gap : gaps) {
      if (!gap->after) {
        if (!end) {
          const auto span = log_.span(topic::raw, partition);
          if (!span) return tl::unexpected{span.error()};
          end = span->end;
        }
        gap->after = *end;
      }
      if (!committed) {
        const auto at = log_.committed(partition);
        if (!at) return tl::unexpected{at.error()};
        committed = *at;
      }
      if (*committed < *gap->after) continue;
      if (!told) {
        const auto span = log_.span(topic::gaps, partition);
        if (!span) return tl::unexpected{span.error()};
        told = span->end;
      }
      gap->ready = reader_->position(partition).value_or(-1) >= *told;
    }
  }
  return {};
}

void GapFollower::look(bool durable) {
  if (!reader_ && loop_.now() < next_try_) return;
  Status done = read();
  if (done && durable) done = look_at_process();
  if (done) {
    told_.clear();
    backoff_.reset();
    return;
  }
  if (done.error().retry != Retry::after_backoff) reader_.reset();
  next_try_ = loop_.now() + backoff_.next();
  if (done.error().detail != told_)
    tell_(Level::error, "the topic gaps cannot be followed: " + done.error().detail + " It is tried again.");
  told_ = done.error().detail;
}

}  // namespace truetape
