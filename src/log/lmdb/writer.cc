#include "log/lmdb/writer.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "log/lmdb/inspect.h"

namespace truetape::lmdb {
namespace {

using namespace std::chrono_literals;

constexpr auto kStoredDelay = 100ms;  // a reader's position alone is no reason for a sync
constexpr auto kIdleLook = 1s;        // retention of a quiet log
constexpr auto kBusyLook = 100ms;     // compaction goes on
constexpr auto kNoRoomPause = 100ms;  // between tries while there is no room
constexpr std::size_t kSpareBlocks = 256;
constexpr std::uint64_t kGrowLeast = std::uint64_t{1} << 20, kGrowMost = std::uint64_t{64} << 20;

bool is_room(const Error& error) { return error.fault == Fault::no_space; }

Status status_of(std::optional<Error> error) {
  if (error) return tl::unexpected{std::move(*error)};
  return {};
}

std::chrono::steady_clock::time_point steady_now() { return std::chrono::steady_clock::now(); }

}  // namespace

AppendQueue::AppendQueue(std::shared_ptr<Store> store, std::size_t topic)
    : store_{std::move(store)},
      topic_{topic},
      building_(static_cast<std::size_t>(store_->partitions)),
      received_(static_cast<std::size_t>(store_->partitions)) {}

AppendQueue::Added AppendQueue::add(std::int32_t partition, const Record& record) {
  const std::size_t bytes = record_bytes(record);
  if (bytes > kMaxRecordBytes || !store_->has(partition)) return Added::no;
  const std::lock_guard lock{mutex_};
  if (waiting_ > 0 && bytes_ + bytes > store_->options.append_buffer_bytes) return Added::no;
  const auto at = static_cast<std::size_t>(partition);
  if (!building_[at].add(record)) {
    seal(at);
    if (!building_[at].add(record)) return Added::no;  // cannot be: an empty builder takes every allowed record
  }
  if (building_[at].records() == 1) note_received(at, record);
  bytes_ += bytes;
  ++added_;
  ++waiting_;
  const bool hurry = !hurried_ && !(topic_ == kRaw && is_frame_of_no_tape(record.headers));
  hurried_ = hurried_ || hurry;
  return hurry || waiting_ == 1 || waiting_ == store_->options.commit_records ? Added::wake : Added::yes;
}

void AppendQueue::note_received(std::size_t partition, const Record& record) {
  received_[partition].reset();
  if (topic_ != kRaw || !store_->options.committed) return;
  const RawRecord raw = read_raw({}, record.headers, 0, 0);
  if (raw.kind == RawKind::frame) received_[partition] = raw.receive_time;
}

void AppendQueue::seal(std::size_t partition) {
  std::unique_ptr<PlacedBlock> block;
  if (spare_.empty()) {
    block = std::make_unique<PlacedBlock>();
  } else {
    block = std::move(spare_.back());
    spare_.pop_back();
  }
  block->place = store_->place(topic_, static_cast<std::int32_t>(partition));
  block->block = building_[partition].seal(store_->options.lz4[topic_], std::move(block->block.bytes));
  block->received = received_[partition];
  ready_.push_back(std::move(block));
}

std::uint64_t AppendQueue::added() const {
  const std::lock_guard lock{mutex_};
  return added_;
}
std::uint64_t AppendQueue::durable() const {
  const std::lock_guard lock{mutex_};
  return added_ - waiting_;
}
std::size_t AppendQueue::waiting() const {
  const std::lock_guard lock{mutex_};
  return waiting_;
}

bool AppendQueue::hurried() const {
  const std::lock_guard lock{mutex_};
  return hurried_;
}

std::size_t AppendQueue::take(std::size_t most, std::vector<PlacedBlock*>& out) {
  const std::lock_guard lock{mutex_};
  std::size_t ready = 0;
  for (const auto& block : ready_) ready += block->block.records;
  // Half-built blocks only when the finished ones do not fill the commit: they come after them in order.
  if (ready < most)
    for (std::size_t p = 0; p < building_.size(); ++p)
      if (!building_[p].empty()) seal(p);
  std::size_t records = 0, blocks = 0;
  for (; blocks < ready_.size(); ++blocks) {
    if (records > 0 && records + ready_[blocks]->block.records > most) break;
    records += ready_[blocks]->block.records;
    out.push_back(ready_[blocks].get());
  }
  hurried_ = hurried_ && (blocks < ready_.size() || std::ranges::any_of(building_, [](const BlockBuilder& building) {
                            return !building.empty();
                          }));
  return blocks;
}

void AppendQueue::done(std::size_t blocks) {
  const std::lock_guard lock{mutex_};
  for (std::size_t i = 0; i < blocks; ++i) {
    waiting_ -= ready_.front()->block.records;
    if (spare_.size() < kSpareBlocks && ready_.front()->block.bytes.size() <= kBlockBytes)
      spare_.push_back(std::move(ready_.front()));
    ready_.pop_front();
  }
  // By what is encoded, which is less than what was counted while it was built: the bound is on the safe side.
  std::size_t bytes = 0;
  for (const auto& block : ready_) bytes += block->block.bytes.size();
  for (const BlockBuilder& builder : building_) bytes += builder.bytes();
  bytes_ = bytes;
}

Writer::Writer(std::shared_ptr<Store> store)
    : store_{std::move(store)}, retention_{*store_}, compaction_{*store_}, sweep_{*store_}, end_(store_->places()) {
  for (std::size_t i = 0; i < end_.size(); ++i) end_[i] = store_->end[i].load();
  thread_ = std::thread{[this] { run(); }};
}

Writer::~Writer() {
  {
    const std::lock_guard lock{mutex_};
    stop_ = true;
    work_.notify_all();
  }
  thread_.join();
  die({Fault::unavailable, Retry::rebuild, "The log in " + store_->directory.string() + " was closed; open it again."});
}

void Writer::join(const std::shared_ptr<AppendQueue>& queue) {
  const std::lock_guard lock{mutex_};
  queues_.push_back(queue);
}
void Writer::leave(const std::shared_ptr<AppendQueue>& queue) {
  const std::lock_guard lock{mutex_};
  std::erase(queues_, queue);
}
void Writer::wake(bool at_once) {
  const std::lock_guard lock{mutex_};
  at_once_ = at_once_ || at_once;
  work_.notify_one();
}

Result<bool> Writer::flush(const AppendQueue& queue, std::chrono::milliseconds wait) {
  const std::uint64_t target = queue.added();
  std::unique_lock lock{mutex_};
  const std::uint64_t tries = no_room_times_;
  const auto answered = [&] { return dead_ || queue.durable() >= target || no_room_times_ != tries; };
  if (wait.count() > 0 && !answered()) {
    ++flushing_;
    work_.notify_one();
    answered_.wait_for(lock, wait, answered);
    --flushing_;
  }
  if (queue.durable() >= target) return true;
  if (dead_) {
    const std::lock_guard dead{store_->mutex};
    return tl::unexpected{*store_->dead};
  }
  if (no_room_) return tl::unexpected{*no_room_};
  return false;
}

Status Writer::commit(TaskCommit& commit) {
  std::unique_lock lock{mutex_};
  if (!dead_) {
    task_ = &commit;
    at_once_ = at_once_ || commit.large;
    work_.notify_one();
    answered_.wait(lock, [this] { return dead_ || task_done_; });
  }
  task_ = nullptr;
  if (std::exchange(task_done_, false)) return status_of(std::exchange(task_error_, std::nullopt));
  const std::lock_guard dead{store_->mutex};
  return tl::unexpected{*store_->dead};
}

void Writer::stored(const ReaderKey& reader, std::int64_t next) {
  const std::lock_guard lock{mutex_};
  if (stored_.empty()) {
    stored_since_ = steady_now();
    work_.notify_one();
  }
  stored_[reader] = next;
}

Status Writer::execute(const std::function<int(MDB_txn*)>& write) {
  Order order{&write, false, std::nullopt};
  std::unique_lock lock{mutex_};
  if (!dead_) {
    orders_.push_back(&order);
    work_.notify_one();
    answered_.wait(lock, [&] { return dead_ || order.done; });
  }
  std::erase(orders_, &order);
  if (order.done) return status_of(std::move(order.error));
  const std::lock_guard dead{store_->mutex};
  return tl::unexpected{*store_->dead};
}

Status Writer::health() const {
  const std::lock_guard lock{mutex_};
  if (dead_) {
    const std::lock_guard dead{store_->mutex};
    return tl::unexpected{*store_->dead};
  }
  if (no_room_) return tl::unexpected{*no_room_};
  return {};
}

std::optional<std::string> Writer::pressure() const {
  const std::lock_guard lock{mutex_};
  if (pressed_by_.empty()) return std::nullopt;
  return "The log in " + store_->directory.string() + " has " + std::to_string(retention_.used_bytes()) +
         " bytes in use, above its limit of " + std::to_string(store_->options.size_limit) + "; at " +
         std::to_string(retention_.hard_limit()) + " nothing is taken in any more: " + pressed_by_;
}

LmdbLog::Work Writer::work() const {
  LmdbLog::Work out;
  out.commits = commits_.load();
  out.record_bytes = record_bytes_.load();
  if (const std::int64_t bytes = page_bytes_.load(); bytes >= 0) out.page_bytes = static_cast<std::uint64_t>(bytes);
  out.deleted_blocks = retention_.deleted();
  out.compactions = compaction_.passes();
  out.compacted_records = compaction_.records();
  out.compacted_blocks = compaction_.blocks();
  return out;
}

// A quarter of the way from the limit to the hard one: retention alone never lets it come so far.
void Writer::look_who_holds() {
  const std::uint64_t limit = store_->options.size_limit, hard = retention_.hard_limit();
  const bool much = retention_.used_bytes() > limit + (hard - std::min(hard, limit)) / 4;
  if (much && steady_now() - looked_ < kIdleLook) return;
  std::string by;
  if (much) {
    by = who_holds(*store_);
    looked_ = steady_now();
  }
  const std::lock_guard lock{mutex_};
  pressed_by_ = std::move(by);
}

// What went to the file: this thread writes to nothing else.
void Writer::count_written() {
  std::array<char, 256> text{};
  const ssize_t n = io_.fd() < 0 ? -1 : pread(io_.fd(), text.data(), text.size() - 1, 0);
  if (n <= 0) return;
  constexpr std::string_view kName = "wchar: ";
  const std::string_view all{text.data(), static_cast<std::size_t>(n)};
  const std::size_t at = all.find(kName);
  std::int64_t bytes = 0;
  if (at != std::string_view::npos &&
      std::from_chars(all.data() + at + kName.size(), all.data() + all.size(), bytes).ec == std::errc{})
    page_bytes_ = bytes;
}

bool Writer::task_waits() const { return task_ != nullptr && !task_done_; }

bool Writer::others_wait(Steady now) const {
  if (!orders_.empty()) return true;
  if (!stored_.empty() && now - stored_since_ >= kStoredDelay) return true;
  if (now - last_start_ >= (compaction_.busy() ? kBusyLook : kIdleLook)) return true;
  if (now < next_try_) return false;
  return std::any_of(queues_.begin(), queues_.end(), [](const auto& queue) { return queue->waiting() > 0; });
}

// Between two commits of records.
std::chrono::milliseconds Writer::raw_spacing() const {
  const LmdbOptions& options = store_->options;
  const bool hurried = !orders_.empty() || flushing_ > 0 ||
                       std::any_of(queues_.begin(), queues_.end(), [](const auto& queue) { return queue->hurried(); });
  return hurried ? options.spacing : std::max(options.spacing, options.calm_spacing);
}

// A step of the Task follows the commit of the records that it was made of. So it has a spacing of its own, else each
// record would wait for two; and it does not take newer records along, else the next step would follow at once.
Writer::Steady Writer::due_at(Steady now) const {
  const Steady step = task_waits() ? last_task_ + store_->options.spacing : Steady::max();
  return others_wait(now) ? std::min(step, last_raw_ + raw_spacing()) : step;
}

void Writer::run() {
  ::pthread_setname_np(::pthread_self(), "log writer");  // for who looks at the process's threads
  io_ = File{::open("/proc/thread-self/io", O_RDONLY | O_CLOEXEC)};
  std::unique_lock lock{mutex_};
  last_start_ = last_raw_ = last_task_ = steady_now();
  while (!stop_) {
    const Steady now = steady_now();
    if (!task_waits() && !others_wait(now)) {
      Steady until = last_start_ + (compaction_.busy() ? kBusyLook : kIdleLook);
      if (!stored_.empty()) until = std::min(until, stored_since_ + kStoredDelay);
      if (next_try_ > now) until = std::min(until, next_try_);
      work_.wait_until(lock, until);
      continue;
    }
    // Commits are spaced so that many records share one sync; a full batch goes at once.
    for (Steady due; !stop_ && !at_once_ && (due = due_at(steady_now())) > steady_now();) work_.wait_until(lock, due);
    if (stop_) break;
    const bool full = std::exchange(at_once_, false);
    last_start_ = steady_now();
    const bool with_raw = full || last_start_ >= last_raw_ + raw_spacing();
    if (with_raw) last_raw_ = last_start_;
    Batch batch = gather(with_raw && last_start_ >= next_try_);
    if (batch.task != nullptr) last_task_ = last_start_;
    lock.unlock();
    look_who_holds();
    const bool trim = retention_.due(), compact = compaction_.due();
    std::optional<Error> error;
    if (trim || compact || !batch.empty()) error = try_commit(batch, trim, compact);
    if (error && is_room(*error)) {  // what retention may delete is deleted alone: that needs the least
      Batch nothing;
      if (const auto other = try_commit(nothing, true, false); other && !is_room(*other)) error = other;
    }
    lock.lock();
    answer(batch, error);
    if (error && !is_room(*error)) break;
  }
  // The last words of readers; what appenders did not flush may be lost.
  if (!dead_ && !stored_.empty()) {
    Batch batch;
    batch.stored.swap(stored_);
    lock.unlock();
    try_commit(batch, false, false);
    lock.lock();
  }
}

Writer::Batch Writer::gather(bool with_raw) {
  Batch batch;
  if (task_waits()) batch.task = task_;
  batch.orders.assign(orders_.begin(), orders_.end());
  batch.stored.swap(stored_);
  const bool any = std::any_of(queues_.begin(), queues_.end(), [](const auto& queue) { return queue->waiting() > 0; });
  if (any && with_raw && retention_.used_bytes() >= retention_.hard_limit()) {
    no_room_ =
        Error{Fault::no_space, Retry::after_backoff,
              "The log in " + store_->directory.string() + " has reached its hard limit of " +
                  std::to_string(retention_.hard_limit()) + " bytes: " +
                  (pressed_by_.empty() ? "readers still need its oldest records; truetape readers ls tells which."
                                       : pressed_by_)};
    ++no_room_times_;
    next_try_ = last_start_ + kNoRoomPause;
    with_raw = false;
    answered_.notify_all();
  }
  std::size_t records = 0;
  for (std::size_t i = 0; with_raw && i < queues_.size() && records < store_->options.commit_records; ++i) {
    const auto& queue = queues_[(next_queue_ + i) % queues_.size()];
    const std::size_t before = batch.raw.size();
    const std::size_t blocks = queue->take(store_->options.commit_records - records, batch.raw);
    if (blocks > 0) batch.from.emplace_back(queue, blocks);
    for (std::size_t b = before; b < batch.raw.size(); ++b) {
      records += batch.raw[b]->block.records;
      batch.bytes += batch.raw[b]->block.bytes.size();
    }
  }
  ++next_queue_;
  if (records >= store_->options.commit_records / 2)  // more may wait than one commit takes
    at_once_ = std::any_of(queues_.begin(), queues_.end(), [&](const auto& queue) {
      return queue->waiting() >= records + store_->options.commit_records;
    });
  if (batch.task != nullptr) {
    batch.bytes += batch.task->bytes;
    batch.writes += batch.task->state.size();
  }
  batch.writes += batch.stored.size() + batch.orders.size() + 256;
  return batch;
}

// The file grows in large steps before it is needed: a full disk shows here, where nothing is half done, and the file
// is never shorter than its last page.
void Writer::make_room(const Batch& batch) {
  MDB_envinfo info{};
  mdb_env_info(store_->env, &info);
  struct stat file {};
  if (fstat(store_->fd, &file) != 0) return;  // the transaction will tell
  const auto size = static_cast<std::uint64_t>(file.st_size);
  const std::uint64_t need = (info.me_last_pgno + 1) * store_->page_bytes + batch.bytes + batch.bytes / 8 +
                             batch.writes * store_->page_bytes / 4 + 64 * store_->page_bytes;
  if (need <= size) return;
  const std::uint64_t step = std::clamp(size / 8, kGrowLeast, kGrowMost);
  const std::uint64_t grown = std::min(std::max(need, size + step), store_->options.map_bytes);
  if (grown <= size) return;
  // Refused for want of space: the transaction is tried all the same, it may find free pages in the file.
  if (fallocate(store_->fd, 0, static_cast<off_t>(size), static_cast<off_t>(grown - size)) != 0 &&
      (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL)) {
    [[maybe_unused]] const int rc = ftruncate(store_->fd, static_cast<off_t>(grown));
  }
}

int Writer::put_block(MDB_txn* txn, PlacedBlock& placed, std::int64_t now_ns) {
  const std::size_t at = placed.place;
  std::int64_t& end = end_[at];
  place(placed.block, store_->names[at], end, now_ns);
  OffsetKey offset{end};
  MDB_val key = offset.val();
  MDB_val value{placed.block.bytes.size(), nullptr};
  if (const int rc = mdb_put(txn, *store_->blocks[at], &key, &value, MDB_RESERVE | MDB_APPEND)) return rc;
  std::memcpy(value.mv_data, placed.block.bytes.data(), placed.block.bytes.size());
  end += placed.block.records;
  touched_.push_back(at);
  return 0;
}

int Writer::write(MDB_txn* txn, Batch& batch) {
  const std::int64_t now_ns = to_ns(store_->clock->now());
  for (PlacedBlock* block : batch.raw)
    if (const int rc = put_block(txn, *block, now_ns)) return rc;
  if (batch.task != nullptr) {
    for (PlacedBlock& block : batch.task->blocks)
      if (const int rc = put_block(txn, block, now_ns)) return rc;
    for (const StateChange& change : batch.task->state) {
      const MDB_dbi dbi = store_->state[static_cast<std::size_t>(change.partition)];
      MDB_val key = val_of(change.key);
      const int rc = change.value ? put_sealed(txn, dbi, change.key, *change.value) : mdb_del(txn, dbi, &key, nullptr);
      if (rc != 0 && !(rc == MDB_NOTFOUND && !change.value)) return rc;
    }
    for (const auto& [partition, next] : batch.task->positions) {
      OffsetKey position{next};
      if (const int rc = put_sealed(txn, store_->committed_dbi, partition_key(partition), view(position.val())))
        return rc;
    }
  }
  for (const auto& [reader, next] : batch.stored) {
    const auto& [name, topic, partition] = reader;
    OffsetKey position{next};
    if (const int rc =
            put_sealed(txn, store_->readers_dbi, reader_key(name, topic::all[topic], partition), view(position.val())))
      return rc;
  }
  for (const Order* order : batch.orders)
    if (const int rc = (*order->write)(txn)) return rc;
  return 0;
}

std::optional<Error> Writer::try_commit(Batch& batch, bool trim, bool compact) {
  const Steady begun = steady_now();
  make_room(batch);
  touched_.clear();
  MDB_txn* txn = nullptr;
  int rc = mdb_txn_begin(store_->env, nullptr, 0, &txn);
  bool deleted = false, compacted = false;
  if (rc == 0) {
    rc = write(txn, batch);
    // What is gone anyway goes first, and alone: the others judge by what is first in a table.
    bool swept = false;
    if (rc == 0 && (trim || compact)) rc = sweep_.run(txn, swept);
    deleted = swept;
    if (rc == 0 && trim && !swept) rc = retention_.run(txn, deleted);
    if (rc == 0 && compact && !swept) rc = compaction_.run(txn, compacted);
    if (rc != 0) {
      mdb_txn_abort(txn);
    } else if (batch.empty() && !deleted && !compacted) {
      mdb_txn_abort(txn);
      retention_.done();
      if (compact) compaction_.done();
      return std::nullopt;
    } else {
      rc = mdb_txn_commit(txn);
    }
  }
  if (rc != 0) {
    for (const std::size_t at : touched_) end_[at] = store_->end[at].load();
    retention_.undone();
    if (compact) compaction_.undone();
    return write_error_of(rc, "writing to", store_->directory);
  }
  MDB_envinfo info{};
  mdb_env_info(store_->env, &info);
  struct stat file {};
  const std::uint64_t pages = (info.me_last_pgno + 1) * store_->page_bytes;
  if (fstat(store_->fd, &file) == 0) {
    // LMDB leaves out the last page if it was taken and given back at once. A hole needs no space on the disk.
    if (static_cast<std::uint64_t>(file.st_size) < pages && ftruncate(store_->fd, static_cast<off_t>(pages)) == 0)
      file.st_size = static_cast<off_t>(pages);
    store_->file_bytes.store(static_cast<std::uint64_t>(file.st_size));  // retention reads without a snapshot
  }
  retention_.grown(batch.bytes);
  ++commits_;
  record_bytes_ += batch.bytes;
  if (trim) count_written();
  for (const auto* moved : {&retention_.moved(), &compaction_.moved()})
    moved_.insert(moved_.end(), moved->begin(), moved->end());
  if (compact) compaction_.done();
  retention_.done();
  publish(batch);
  tell(batch, begun);
  return std::nullopt;
}

void Writer::publish(const Batch& batch) {
  const std::lock_guard lock{store_->mutex};
  for (const std::size_t at : touched_) store_->end[at].store(end_[at]);
  for (const auto& [at, oldest] : moved_)
    store_->oldest[at].store(std::max(store_->oldest[at].load(), oldest));  // a rebuild may have moved it on already
  moved_.clear();
  if (batch.task != nullptr)
    for (const auto& [partition, next] : batch.task->positions)
      store_->committed[static_cast<std::size_t>(partition)].store(next);
  for (const auto& [reader, next] : batch.stored) store_->stored[reader] = next;
  ++store_->commits;
  store_->changed.notify_all();
}

void Writer::tell(const Batch& batch, Steady begun) {
  if (!store_->options.committed || (batch.raw.empty() && batch.task == nullptr)) return;
  received_.clear();
  for (const PlacedBlock* block : batch.raw)
    if (block->received) received_.push_back(*block->received);
  store_->options.committed({.took = std::chrono::duration_cast<Nanoseconds>(steady_now() - begun),
                             .durable = store_->clock->now(),
                             .received = received_});
}

void Writer::answer(Batch& batch, const std::optional<Error>& error) {
  for (const Order* order : batch.orders) std::erase(orders_, order);
  if (!error) {
    for (auto& [queue, blocks] : batch.from) queue->done(blocks);
    if (!batch.empty() && retention_.used_bytes() < retention_.hard_limit()) no_room_.reset();
  } else if (is_room(*error)) {
    no_room_ = *error;
    ++no_room_times_;
    next_try_ = steady_now() + kNoRoomPause;
    batch.stored.merge(stored_);  // newer ones win below
    for (const auto& [reader, next] : stored_) batch.stored[reader] = next;
    stored_.swap(batch.stored);
    stored_since_ = steady_now();
  } else {
    die({error->fault, Retry::rebuild, error->detail});
    dead_ = true;
  }
  for (Order* order : batch.orders) {
    order->error = error;
    order->done = true;
  }
  if (batch.task != nullptr) {
    if (error) task_error_ = Error{error->fault, Retry::rebuild, error->detail};
    task_done_ = true;
  }
  answered_.notify_all();
}

void Writer::die(const Error& error) {
  const std::lock_guard lock{store_->mutex};
  if (!store_->dead) store_->dead = error;
  ++store_->commits;
  store_->changed.notify_all();
}

}  // namespace truetape::lmdb
