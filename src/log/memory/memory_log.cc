#include "log/memory/memory_log.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <tuple>
#include <utility>

#include "log/groups.h"

namespace truetape {
namespace {

// A record that owns its bytes: key, value and headers in one piece of memory.
struct Entry {
  std::unique_ptr<char[]> bytes;
  std::vector<Header> headers;
  std::string_view key, value;

  explicit Entry(const Record& from) : bytes{std::make_unique<char[]>(record_bytes(from) + 1)} {
    char* to = bytes.get();
    const auto keep = [&to](std::string_view text) {
      if (!text.empty()) std::memcpy(to, text.data(), text.size());
      const std::string_view kept{to, text.size()};
      to += text.size();
      return kept;
    };
    key = keep(from.key);
    value = keep(from.value);
    headers.reserve(from.headers.size());
    for (const Header& h : from.headers) {
      const std::string_view name = keep(h.name);
      headers.push_back({name, keep(h.value)});
    }
  }
  Record record() const { return {key, value, headers}; }
  std::size_t size() const { return record_bytes(record()); }
};
using EntryPtr = std::shared_ptr<const Entry>;

struct Partition {
  std::deque<std::pair<std::int64_t, EntryPtr>> records;  // offset, record
  std::int64_t end = 0;
  std::int64_t deleted = 0;  // behind the newest deleted record: an offset between it and the oldest has no record
  std::int64_t oldest() const { return records.empty() ? end : records.front().first; }
};

Error crashed(std::string_view what) {
  return {Fault::unavailable, Retry::rebuild,
          "The memory log crashed at " + std::string{what} + "; destroy what was opened on it and open it again."};
}
Error no_room() { return {Fault::no_space, Retry::after_backoff, "The memory log is full; make room and try again."}; }
Error bad_partition(std::string_view topic, std::int32_t partition) {
  return {Fault::out_of_range, Retry::never,
          "There is no partition " + std::to_string(partition) + " of the topic '" + std::string{topic} +
              "'; ask the log for the number of its partitions."};
}

}  // namespace

class MemoryAppender;

class MemoryStore {
 public:
  explicit MemoryStore(const MemoryOptions& o)
      : options{o},
        topics(topic::all.size(), std::vector<Partition>(static_cast<std::size_t>(o.partitions))),
        state(static_cast<std::size_t>(o.partitions)),
        committed(static_cast<std::size_t>(o.partitions), 0) {}

  Partition& at(std::size_t topic, std::int32_t p) { return topics[topic][static_cast<std::size_t>(p)]; }
  bool has(std::int32_t p) const { return p >= 0 && p < options.partitions; }
  Crash roll(LogCall call) { return options.dice ? options.dice->roll(call) : Crash::none; }

  void put(std::size_t topic, std::int32_t p, EntryPtr entry) {
    Partition& to = at(topic, p);
    to.records.emplace_back(to.end++, std::move(entry));
  }
  // Behind a commit that wrote there.
  void leave_hole(std::size_t topic, std::int32_t p) {
    if (options.offset_holes) ++at(topic, p).end;
  }
  void commit_waiting();  // what appenders hold, as far as the dice let it
  std::int64_t kept_back(std::size_t topic, std::int32_t p) const {
    std::int64_t least = topic == *topic::index(topic::raw) ? committed[static_cast<std::size_t>(p)] : INT64_MAX;
    for (const auto& [at, next] : stored)
      if (std::get<1>(at) == topic && std::get<2>(at) == p) least = std::min(least, next);
    return least;
  }

  using ReaderKey = std::tuple<std::string, std::size_t, std::int32_t>;  // name, topic, partition

  MemoryOptions options;
  std::mutex mutex;
  std::condition_variable changed;
  std::uint64_t generation = 0;  // counts crashes of the process
  bool full = false;
  std::vector<std::vector<Partition>> topics;             // by topic, partition
  std::vector<std::map<std::string, std::string>> state;  // by partition
  std::vector<std::int64_t> committed;                    // by partition of raw
  std::map<ReaderKey, std::int64_t> stored;
  // Of the living process
  std::vector<MemoryAppender*> appenders;  // in the order of opening
  const void* task = nullptr;
  std::map<std::pair<std::string, std::size_t>, ReaderGroup> groups;
};

std::shared_ptr<MemoryStore> make_memory_store(const MemoryOptions& options) {
  return std::make_shared<MemoryStore>(options);
}

namespace {
using Lock = std::unique_lock<std::mutex>;

// What Appender, Task and Reader share: they die once and for all.
class Mortal {
 public:
  explicit Mortal(std::shared_ptr<MemoryStore> store) : store_{std::move(store)}, generation_{store_->generation} {}

 protected:
  bool alive() const { return !dead_ && generation_ == store_->generation; }
  bool current() const { return generation_ == store_->generation; }
  Error die(std::string_view what) {
    dead_ = true;
    return crashed(what);
  }

  std::shared_ptr<MemoryStore> store_;

 private:
  std::uint64_t generation_;
  bool dead_ = false;
};

}  // namespace

class MemoryAppender final : public Appender, private Mortal {
 public:
  MemoryAppender(std::shared_ptr<MemoryStore> store, std::size_t topic)
      : Mortal{std::move(store)}, topic_{topic}, waiting_(static_cast<std::size_t>(store_->options.partitions)) {
    store_->appenders.push_back(this);
  }
  ~MemoryAppender() override {
    const Lock lock{store_->mutex};
    std::erase(store_->appenders, this);
  }

  bool append(std::int32_t partition, const Record& record) override {
    const Lock lock{store_->mutex};
    if (!alive() || !store_->has(partition)) return false;
    const std::size_t bytes = record_bytes(record);
    if (bytes > kMaxRecordBytes || (bytes_ > 0 && bytes_ + bytes > store_->options.append_buffer_bytes)) return false;
    const Crash crash = store_->roll(LogCall::append);
    if (crash != Crash::before) {
      waiting_[static_cast<std::size_t>(partition)].push_back(std::make_shared<const Entry>(record));
      bytes_ += bytes;
    }
    if (crash != Crash::none) lose("append");
    return crash == Crash::none;
  }

  Result<bool> flush(std::chrono::milliseconds) override {
    const Lock lock{store_->mutex};
    if (!alive()) return tl::unexpected{crashed("an earlier call")};
    const Crash crash = store_->roll(LogCall::flush);
    if (crash == Crash::before) return tl::unexpected{lose("flush")};
    if (store_->full) return tl::unexpected{no_room()};
    for (auto& queue : waiting_) commit(queue, queue.size());
    if (crash == Crash::after) return tl::unexpected{die("flush")};
    return true;
  }

  // Commits a part of what waits: another thread of a real log would have.
  void commit_some() {
    if (!alive()) return;
    for (auto& queue : waiting_)
      if (!queue.empty())
        commit(queue, store_->options.dice ? store_->options.dice->surviving(queue.size()) : queue.size());
  }
  // The object dies with the process or alone: of each partition a beginning of what waits may be safe already.
  Error lose(std::string_view what) {
    if (store_->options.dice && !store_->full) commit_some();
    for (auto& queue : waiting_) queue.clear();
    bytes_ = 0;
    return die(what);
  }

 private:
  void commit(std::deque<EntryPtr>& queue, std::size_t count) {
    if (count == 0) return;
    const auto partition = static_cast<std::int32_t>(&queue - waiting_.data());
    for (std::size_t i = 0; i < count; ++i) {
      bytes_ -= queue.front()->size();
      store_->put(topic_, partition, std::move(queue.front()));
      queue.pop_front();
    }
    store_->leave_hole(topic_, partition);
    store_->changed.notify_all();
  }

  std::size_t topic_;
  std::vector<std::deque<EntryPtr>> waiting_;  // by partition
  std::size_t bytes_ = 0;
};

void MemoryStore::commit_waiting() {
  if (full) return;
  for (MemoryAppender* appender : appenders) appender->commit_some();
}

namespace {

// Collects steps; owns what the last one shows.
class Collector {
 public:
  void clear() {
    records_.clear();
    held_.clear();
  }
  // Moves `next` over what was taken. False when the step is full.
  bool take(const MemoryStore& store, const Partition& from, std::int32_t partition, std::int64_t& next) {
    auto it = std::lower_bound(from.records.begin(), from.records.end(), next,
                               [](const auto& record, std::int64_t offset) { return record.first < offset; });
    for (; it != from.records.end(); ++it) {
      if (records_.size() >= store.options.step_records || bytes_ >= store.options.step_bytes) return false;
      held_.push_back(it->second);
      records_.push_back({it->second->record(), partition, it->first});
      bytes_ += it->second->size();
      next = it->first + 1;
    }
    next = std::max(next, from.end);
    return true;
  }
  void begin() {
    clear();
    bytes_ = 0;
  }
  std::span<const Stored> records() const { return records_; }

 private:
  std::vector<Stored> records_;
  std::vector<EntryPtr> held_;
  std::size_t bytes_ = 0;
};

constexpr std::size_t kRaw = *topic::index(topic::raw);

class MemoryTask final : public Task, private Mortal {
 public:
  explicit MemoryTask(std::shared_ptr<MemoryStore> store) : Mortal{std::move(store)}, next_{store_->committed} {
    store_->task = this;
  }
  ~MemoryTask() override {
    const Lock lock{store_->mutex};
    if (store_->task == this) store_->task = nullptr;
  }

  Result<Step> poll(std::chrono::milliseconds linger) override {
    Lock lock{store_->mutex};
    if (!alive()) return tl::unexpected{crashed("an earlier call")};
    if (!step_.records().empty())
      return failure(Fault::refused, Retry::never, "The last step gave records; commit it before the next poll.");
    const Crash crash = store_->roll(LogCall::task_poll);
    if (crash != Crash::none) return tl::unexpected{die("poll")};
    Step out;
    if (!assigned_) {
      assigned_ = true;
      for (std::int32_t p = 0; p < store_->options.partitions; ++p) {
        Assigned& assigned = out.assigned.emplace_back();
        assigned.partition = p;
        for (const auto& [key, value] : store_->state[static_cast<std::size_t>(p)])
          assigned.state.push_back({key, value});
      }
    }
    collect();
    if (step_.records().empty() && out.assigned.empty() && linger.count() > 0) {
      store_->changed.wait_for(lock, linger, [this] {
        if (!alive()) return true;
        collect();
        return !step_.records().empty();
      });
      if (!alive()) return tl::unexpected{crashed("an earlier call")};
    }
    out.records = step_.records();
    return out;
  }

  Status commit(std::span<const Output> outputs, std::span<const StateChange> state) override {
    const Lock lock{store_->mutex};
    if (!alive()) return tl::unexpected{crashed("an earlier call")};
    if (step_.records().empty())
      return failure(Fault::refused, Retry::never, "Nothing to commit: the last poll gave no records.");
    const Crash crash = store_->roll(LogCall::commit);
    if (crash == Crash::before) return tl::unexpected{die("commit")};
    if (auto sound = check(outputs, state); !sound) {
      die("commit");
      return sound;
    }
    if (store_->full) {
      die("commit");
      return failure(Fault::no_space, Retry::rebuild,
                     "The memory log is full; make room and go on from the last commit.");
    }
    apply(outputs, state);
    step_.clear();
    if (crash == Crash::after) return tl::unexpected{die("commit")};
    return {};
  }

  std::int64_t behind(std::int32_t partition) const override {
    const Lock lock{store_->mutex};
    return store_->has(partition) ? store_->at(kRaw, partition).end - next_[static_cast<std::size_t>(partition)] : 0;
  }

 private:
  void collect() {
    step_.begin();
    store_->commit_waiting();
    next_ = store_->committed;
    for (std::int32_t i = 0; i < store_->options.partitions; ++i) {
      const std::int32_t p = (first_ + i) % store_->options.partitions;
      if (!step_.take(*store_, store_->at(kRaw, p), p, next_[static_cast<std::size_t>(p)])) break;
    }
    first_ = (first_ + 1) % store_->options.partitions;
  }

  Status check(std::span<const Output> outputs, std::span<const StateChange> state) const {
    for (const Output& o : outputs) {
      if (!topic::index(o.topic))
        return failure(Fault::not_found, Retry::never, "There is no topic '" + std::string{o.topic} + "'.");
      if (!store_->has(o.partition)) return tl::unexpected{bad_partition(o.topic, o.partition)};
      if (record_bytes(o.record) > kMaxRecordBytes) return tl::unexpected{too_large(o)};
    }
    for (const StateChange& s : state) {
      if (!store_->has(s.partition)) return tl::unexpected{bad_partition("state", s.partition)};
      if (s.key.empty() || s.key.size() > kMaxStateKeyBytes)
        return failure(Fault::out_of_range, Retry::never, "A state key must have 1 to 511 bytes.");
    }
    return {};
  }

  void apply(std::span<const Output> outputs, std::span<const StateChange> state) {
    std::set<std::pair<std::size_t, std::int32_t>> touched;
    for (const Output& o : outputs) {
      store_->put(*topic::index(o.topic), o.partition, std::make_shared<const Entry>(o.record));
      touched.emplace(*topic::index(o.topic), o.partition);
    }
    for (const auto& [topic, partition] : touched) store_->leave_hole(topic, partition);
    for (const StateChange& s : state) {
      auto& table = store_->state[static_cast<std::size_t>(s.partition)];
      if (s.value)
        table.insert_or_assign(std::string{s.key}, std::string{*s.value});
      else
        table.erase(std::string{s.key});
    }
    store_->committed = next_;
    store_->changed.notify_all();
  }

  Collector step_;
  std::vector<std::int64_t> next_;  // by partition: behind the step
  std::int32_t first_ = 0;          // the partition that is asked first, so that none waits for ever
  bool assigned_ = false;
};

class MemoryReader final : public Reader, private Mortal {
 public:
  MemoryReader(std::shared_ptr<MemoryStore> store, std::size_t topic, std::string name, Share share)
      : Mortal{std::move(store)},
        topic_{topic},
        name_{std::move(name)},
        share_{share},
        next_(static_cast<std::size_t>(store_->options.partitions)),
        mine_(next_.size(), false) {
    if (share_ == Share::group) {
      store_->groups.try_emplace({name_, topic_}, store_->options.partitions).first->second.join(this);
      store_->changed.notify_all();
    }
    if (!name_.empty())
      for (std::int32_t p = 0; p < store_->options.partitions; ++p)
        store_->stored.try_emplace({name_, topic_, p}, store_->at(topic_, p).oldest());
  }
  ~MemoryReader() override {
    const Lock lock{store_->mutex};
    if (ReaderGroup* g = group()) g->leave(this);
    store_->changed.notify_all();
  }

  Result<Step> poll(std::chrono::milliseconds wait) override {
    Lock lock{store_->mutex};
    if (!alive()) return tl::unexpected{crashed("an earlier call")};
    if (store_->roll(LogCall::reader_poll) != Crash::none) return tl::unexpected{die("poll")};
    Step out;
    Status found = look(out);
    if (found && idle(out) && wait.count() > 0)
      store_->changed.wait_for(lock, wait, [&] { return !alive() || !(found = look(out)) || !idle(out); });
    if (!alive()) return tl::unexpected{crashed("an earlier call")};
    if (!found) return tl::unexpected{found.error()};
    out.records = step_.records();
    return out;
  }

  Status seek(std::int32_t partition, std::optional<std::int64_t> offset) override {
    const Lock lock{store_->mutex};
    if (!alive()) return tl::unexpected{crashed("an earlier call")};
    const Crash crash = store_->roll(LogCall::seek);
    if (crash == Crash::before) return tl::unexpected{die("seek")};
    if (!store_->has(partition)) return tl::unexpected{bad_partition(topic::all[topic_], partition)};
    if (!mine_[static_cast<std::size_t>(partition)])
      return failure(Fault::refused, Retry::never,
                     "Partition " + std::to_string(partition) + " is not assigned to this reader; poll until it is.");
    const Partition& from = store_->at(topic_, partition);
    const auto kept = store_->stored.find({name_, topic_, partition});
    const std::int64_t to = offset ? *offset : kept != store_->stored.end() ? kept->second : from.oldest();
    if (to > from.end)
      return failure(Fault::mismatch, Retry::never,
                     place(partition) + " ends at " + std::to_string(from.end) + ", before the asked offset " +
                         std::to_string(to) + ": the position is of another log.");
    if (to < from.deleted) return tl::unexpected{gone(partition, to, from.oldest())};
    next_[static_cast<std::size_t>(partition)] = to;
    if (crash == Crash::after) return tl::unexpected{die("seek")};
    return {};
  }

  Status stored(std::int32_t partition, std::int64_t next) override {
    const Lock lock{store_->mutex};
    if (!alive()) return tl::unexpected{crashed("an earlier call")};
    const Crash crash = store_->roll(LogCall::stored);
    if (crash == Crash::before) return tl::unexpected{die("stored")};
    if (!store_->has(partition)) return tl::unexpected{bad_partition(topic::all[topic_], partition)};
    if (next < 0 || next > store_->at(topic_, partition).end)
      return failure(Fault::mismatch, Retry::never,
                     place(partition) + " ends at " + std::to_string(store_->at(topic_, partition).end) +
                         ", before the stored position " + std::to_string(next) + ": the position is of another log.");
    if (!name_.empty()) store_->stored[{name_, topic_, partition}] = next;
    if (crash == Crash::after) return tl::unexpected{die("stored")};
    return {};
  }

  std::optional<std::int64_t> position(std::int32_t partition) const override {
    const Lock lock{store_->mutex};
    return store_->has(partition) ? next_[static_cast<std::size_t>(partition)] : std::nullopt;
  }

 private:
  ReaderGroup* group() {
    if (share_ != Share::group || !current()) return nullptr;
    const auto found = store_->groups.find({name_, topic_});
    return found == store_->groups.end() ? nullptr : &found->second;
  }
  bool idle(const Step& step) const { return step.assigned.empty() && step.revoked.empty() && step_.records().empty(); }
  std::string place(std::int32_t partition) const {
    return "Partition " + std::to_string(partition) + " of '" + std::string{topic::all[topic_]} + "'";
  }
  Error gone(std::int32_t partition, std::int64_t from, std::int64_t oldest) const {
    return {Fault::out_of_range, Retry::never,
            place(partition) + " begins at " + std::to_string(oldest) + ": the records " + std::to_string(from) +
                " to " + std::to_string(oldest - 1) + " are deleted; seek to the oldest to go on without them."};
  }

  Status look(Step& out) {
    settle(out);
    step_.begin();
    store_->commit_waiting();
    const std::int32_t count = store_->options.partitions;
    for (std::int32_t i = 0; i < count; ++i) {
      const std::int32_t p = (first_ + i) % count;
      auto& next = next_[static_cast<std::size_t>(p)];
      if (!next) continue;
      const Partition& from = store_->at(topic_, p);
      if (*next < from.deleted) {
        step_.clear();
        return tl::unexpected{gone(p, *next, from.oldest())};
      }
      if (!step_.take(*store_, from, p, *next)) break;
    }
    first_ = (first_ + 1) % count;
    return {};
  }

  void settle(Step& out) {
    if (ReaderGroup* g = group()) {
      g->settle(this, out.revoked, out.assigned);
      if (!out.revoked.empty()) store_->changed.notify_all();
    } else if (share_ == Share::all && !assigned_) {
      for (std::int32_t p = 0; p < store_->options.partitions; ++p) out.assigned.push_back(p);
    }
    assigned_ = true;
    for (const std::int32_t p : out.revoked) {
      mine_[static_cast<std::size_t>(p)] = false;
      next_[static_cast<std::size_t>(p)].reset();
    }
    for (const std::int32_t p : out.assigned) mine_[static_cast<std::size_t>(p)] = true;
  }

  std::size_t topic_;
  std::string name_;
  Share share_;
  Collector step_;
  std::vector<std::optional<std::int64_t>> next_;  // by partition; nullopt: silent
  std::vector<bool> mine_;
  std::int32_t first_ = 0;
  bool assigned_ = false;
};

}  // namespace

std::string_view MemoryLog::id() const { return store_->options.id; }
std::int64_t MemoryLog::epoch() const { return store_->options.epoch; }
std::int32_t MemoryLog::partitions() const { return store_->options.partitions; }

Result<TopicSpan> MemoryLog::span(std::string_view topic, std::int32_t partition) const {
  const Lock lock{store_->mutex};
  const auto t = topic::index(topic);
  if (!t) return failure(Fault::not_found, Retry::never, "There is no topic '" + std::string{topic} + "'.");
  if (!store_->has(partition)) return tl::unexpected{bad_partition(topic, partition)};
  const Partition& p = store_->at(*t, partition);
  return TopicSpan{p.oldest(), p.end};
}

Result<std::int64_t> MemoryLog::committed(std::int32_t partition) const {
  const Lock lock{store_->mutex};
  if (!store_->has(partition)) return tl::unexpected{bad_partition(topic::raw, partition)};
  return store_->committed[static_cast<std::size_t>(partition)];
}

Result<std::unique_ptr<Appender>> MemoryLog::appender(std::string_view topic) {
  const Lock lock{store_->mutex};
  if (topic != topic::raw && topic != topic::control)
    return failure(
        Fault::refused, Retry::never,
        "Only 'raw' and 'control' are written from outside the processing step, not '" + std::string{topic} + "'.");
  return std::make_unique<MemoryAppender>(store_, *topic::index(topic));
}

Result<std::unique_ptr<Task>> MemoryLog::task() {
  const Lock lock{store_->mutex};
  if (store_->task != nullptr)
    return failure(Fault::refused, Retry::never, "The log has a Task already; destroy it before another is opened.");
  return std::make_unique<MemoryTask>(store_);
}

Result<std::unique_ptr<Reader>> MemoryLog::reader(std::string_view topic, std::string_view name, Share share) {
  const Lock lock{store_->mutex};
  const auto t = topic::index(topic);
  if (!t) return failure(Fault::not_found, Retry::never, "There is no topic '" + std::string{topic} + "'.");
  if (share == Share::group && name.empty())
    return failure(Fault::refused, Retry::never, "Readers that share partitions need a name; give one.");
  return std::make_unique<MemoryReader>(store_, *t, std::string{name}, share);
}

void MemoryLog::crash() {
  const Lock lock{store_->mutex};
  for (MemoryAppender* appender : store_->appenders) appender->lose("the crash of the process");
  ++store_->generation;
  store_->task = nullptr;
  store_->groups.clear();
  store_->changed.notify_all();
}

void MemoryLog::set_full(bool full) {
  const Lock lock{store_->mutex};
  store_->full = full;
}

void MemoryLog::trim(std::string_view topic, std::int32_t partition, std::int64_t below) {
  const Lock lock{store_->mutex};
  const std::size_t t = topic::index(topic).value();
  Partition& p = store_->at(t, partition);
  below = std::min(below, store_->kept_back(t, partition));
  while (p.records.size() > 1 && p.records.front().first < below) {
    p.deleted = p.records.front().first + 1;
    p.records.pop_front();
  }
}

void MemoryLog::forget_reader(std::string_view name) {
  const Lock lock{store_->mutex};
  std::erase_if(store_->stored, [name](const auto& entry) { return std::get<0>(entry.first) == name; });
}

void MemoryLog::set_dice(std::shared_ptr<FaultDice> dice) {
  const Lock lock{store_->mutex};
  store_->options.dice = std::move(dice);
}

}  // namespace truetape
