#include "app/import_marks.h"

#include <algorithm>
#include <thread>

#include "core/raw.h"

namespace truetape::app {
namespace {

constexpr std::chrono::milliseconds kLook{100};

Status ends_of_raw(const Log& log, std::vector<std::int64_t>& into) {
  into.clear();
  for (std::int32_t partition = 0; partition < log.partitions(); ++partition) {
    const auto span = log.span(topic::raw, partition);
    if (!span) return tl::unexpected{span.error()};
    into.push_back(span->end);
  }
  return {};
}

}  // namespace

Status ImportMarks::begin(const Log& log) { return ends_of_raw(log, from_); }
Status ImportMarks::end(const Log& log) { return ends_of_raw(log, to_); }

Result<std::int64_t> ImportMarks::behind(const Log& log) const {
  std::int64_t behind = 0;
  for (std::size_t i = 0; i < to_.size(); ++i) {
    const auto partition = static_cast<std::int32_t>(i);
    const auto committed = log.committed(partition);
    if (!committed) return committed;
    const auto span = log.span(topic::raw, partition);
    if (!span) return tl::unexpected{span.error()};
    behind += std::max<std::int64_t>(to_[i] - std::max(*committed, span->oldest), 0);  // what is deleted comes no more
  }
  return behind;
}

bool ImportMarks::ours(const Quarantined& q) const {
  const auto at = static_cast<std::size_t>(q.partition);
  if (at >= from_.size() || at >= to_.size() || q.offset < from_[at] || q.offset >= to_[at]) return false;
  for (const auto& [name, value] : q.headers)
    if (name == header::file || (name == header::connection && value == "import")) return true;
  return false;
}

std::vector<std::int32_t> ImportMarks::partitions() const {
  std::vector<std::int32_t> out;
  for (std::size_t i = 0; i < std::min(from_.size(), to_.size()); ++i)
    if (to_[i] > from_[i]) out.push_back(static_cast<std::int32_t>(i));
  return out;
}

Status wait_for_others(
    const std::function<Result<std::int64_t>()>& look, const std::function<void(std::int64_t behind)>& tell,
    const std::function<Status(std::int64_t behind, std::chrono::steady_clock::duration stuck)>& goes_on) {
  std::int64_t least = -1;
  for (auto since = std::chrono::steady_clock::now();;) {
    const auto behind = look();
    if (!behind) return tl::unexpected{behind.error()};
    if (*behind == 0) return {};
    tell(*behind);
    const auto now = std::chrono::steady_clock::now();
    if (least < 0 || *behind < least) {
      least = *behind;
      since = now;
    }
    if (Status good = goes_on(*behind, now - since); !good) return good;
    std::this_thread::sleep_for(kLook);
  }
}

}  // namespace truetape::app
