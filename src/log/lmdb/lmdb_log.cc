#include "log/lmdb/lmdb_log.h"

#include <algorithm>

#include "log/lmdb/generations.h"
#include "log/lmdb/inspect.h"
#include "log/lmdb/search.h"
#include "log/lmdb/steps.h"
#include "log/lmdb/store.h"
#include "log/lmdb/writer.h"

namespace truetape {
namespace lmdb {
namespace {

constexpr std::chrono::milliseconds kForeignLook{50};  // a read-only process looks for commits of the other one

// The store, and its writer unless read-only. Held by all objects, so the log closes with the last of them.
struct Shared {
  std::shared_ptr<Store> store;
  std::shared_ptr<Writer> writer;  // nullptr: read-only
};

std::optional<Error> death(const Store& store) {
  const std::lock_guard lock{store.mutex};
  return store.dead;
}

Error read_only(const Store& store, std::string_view what) {
  return {Fault::refused, Retry::never,
          "The log in " + store.directory.string() + " is open read-only: no " + std::string{what} +
              "; use the process that writes it."};
}

Error no_topic(std::string_view topic) {
  return {Fault::not_found, Retry::never, "There is no topic '" + std::string{topic} + "'."};
}

// Waits until `ready` or for `wait`. Under the store's mutex `ready` may be called often.
template <class Ready>
void wait_for(Store& store, bool foreign, std::chrono::milliseconds wait, Ready ready) {
  const auto until = std::chrono::steady_clock::now() + wait;
  if (foreign) {
    store.refresh();
    std::unique_lock lock{store.mutex};
    while (!ready() && std::chrono::steady_clock::now() < until) {
      store.changed.wait_until(lock, std::min(until, std::chrono::steady_clock::now() + kForeignLook));
      lock.unlock();
      store.refresh();
      lock.lock();
    }
    return;
  }
  std::unique_lock lock{store.mutex};
  store.changed.wait_until(lock, until, [&] { return store.dead.has_value() || ready(); });
}

class LmdbAppender final : public Appender {
 public:
  LmdbAppender(Shared shared, std::size_t topic)
      : shared_{std::move(shared)}, queue_{std::make_shared<AppendQueue>(shared_.store, topic)} {
    shared_.writer->join(queue_);
  }
  ~LmdbAppender() override { shared_.writer->leave(queue_); }

  bool append(std::int32_t partition, const Record& record) override {
    switch (queue_->add(partition, record)) {
      case AppendQueue::Added::no:
        return false;
      case AppendQueue::Added::yes:
        return true;
      case AppendQueue::Added::wake:
        break;
    }
    shared_.writer->wake(queue_->waiting() >= shared_.store->options.commit_records);
    return true;
  }
  Result<bool> flush(std::chrono::milliseconds wait) override { return shared_.writer->flush(*queue_, wait); }

 private:
  Shared shared_;
  std::shared_ptr<AppendQueue> queue_;
};

class LmdbTask final : public Task {
 public:
  explicit LmdbTask(Shared shared)
      : shared_{std::move(shared)}, steps_{shared_.store, kRaw}, building_(shared_.store->places()) {
    for (std::int32_t p = 0; p < shared_.store->partitions; ++p)
      steps_.next(p) = shared_.store->committed[static_cast<std::size_t>(p)].load();
  }
  ~LmdbTask() override {
    const std::lock_guard lock{shared_.store->mutex};
    shared_.store->has_task = false;
  }

  Result<Step> poll(std::chrono::milliseconds linger) override {
    Store& store = *shared_.store;
    if (broken_) return tl::unexpected{*broken_};
    if (const auto dead = death(store)) return tl::unexpected{*dead};
    if (!steps_.records().empty())
      return failure(Fault::refused, Retry::never, "The last step gave records; commit it before the next poll.");
    Step out;
    if (!assigned_) {
      if (Status read = assign(out.assigned); !read) return tl::unexpected{read.error()};
      assigned_ = true;
    } else if (!steps_.waiting()) {
      wait_for(store, false, linger, [this] { return steps_.waiting(); });
      if (const auto dead = death(store)) return tl::unexpected{*dead};
    }
    if (steps_.waiting()) {
      before_.clear();
      for (std::int32_t p = 0; p < store.partitions; ++p) before_.push_back(*steps_.next(p));
      if (Status read = steps_.read(); !read) return tl::unexpected{read.error()};
    }
    out.records = steps_.records();
    out.appended = steps_.oldest();
    return out;
  }

  Status commit(std::span<const Output> outputs, std::span<const StateChange> state) override {
    if (broken_) return tl::unexpected{*broken_};
    if (steps_.records().empty())
      return failure(Fault::refused, Retry::never, "Nothing to commit: the last poll gave no records.");
    TaskCommit commit;
    commit.state = state;
    commit.large = steps_.records().size() >= shared_.store->options.commit_records / 2;
    Status done = encode(outputs, state, commit);
    if (done) {
      for (std::int32_t p = 0; p < shared_.store->partitions; ++p)
        if (const auto next = *steps_.next(p); next != before_[static_cast<std::size_t>(p)])
          commit.positions.emplace_back(p, next);
      done = shared_.writer->commit(commit);
    }
    for (PlacedBlock& block : commit.blocks) spare_.push_back(std::move(block.block.bytes));
    if (!done) broken_ = Error{done.error().fault, Retry::rebuild, done.error().detail};
    steps_.clear();
    return done;
  }

  std::int64_t behind(std::int32_t partition) const override {
    const Store& store = *shared_.store;
    if (!store.has(partition)) return 0;
    return store.end[store.place(kRaw, partition)].load() - steps_.next(partition).value_or(0);
  }

 private:
  Status assign(std::vector<Assigned>& out) const {
    const Store& store = *shared_.store;
    Snapshot snapshot;
    if (Status begun = snapshot.begin(store); !begun) return begun;
    for (std::int32_t p = 0; p < store.partitions; ++p) {
      Assigned& assigned = out.emplace_back();
      assigned.partition = p;
      MDB_cursor* cursor = nullptr;
      if (const int rc = mdb_cursor_open(snapshot.txn(), store.state[static_cast<std::size_t>(p)], &cursor))
        return tl::unexpected{store.fail(rc, "reading")};
      const std::unique_ptr<MDB_cursor, void (*)(MDB_cursor*)> closer{cursor, mdb_cursor_close};
      MDB_val key, value;
      int rc = 0;
      while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        const auto bytes = store.unsealed(key, value);
        if (!bytes)
          return failure(Fault::corrupt, Retry::never,
                         "A state value of partition " + std::to_string(p) + " in the log in " +
                             store.directory.string() +
                             " is damaged; make state and results anew from raw (truetape rebuild --data DIR), or "
                             "restore a backup.");
        assigned.state.push_back({std::string{view(key)}, std::string{*bytes}});
      }
      if (rc != MDB_NOTFOUND) return tl::unexpected{store.fail(rc, "reading")};
    }
    return {};
  }

  Status encode(std::span<const Output> outputs, std::span<const StateChange> state, TaskCommit& commit) {
    const Store& store = *shared_.store;
    for (const StateChange& change : state) {
      if (!store.has(change.partition)) return tl::unexpected{store.bad_partition("state", change.partition)};
      if (change.key.empty() || change.key.size() > kMaxStateKeyBytes)
        return failure(Fault::out_of_range, Retry::never, "A state key must have 1 to 511 bytes.");
      commit.bytes += change.key.size() + (change.value ? change.value->size() : 0) + 16;
    }
    std::vector<std::size_t> used;
    Status sound;
    std::string_view last_name;
    std::size_t last_topic = 0;
    for (const Output& output : outputs) {
      if (output.topic != last_name) {
        const auto topic = topic::index(output.topic);
        if (!topic) sound = tl::unexpected{no_topic(output.topic)};
        last_topic = topic.value_or(0);
        last_name = output.topic;
      }
      if (!store.has(output.partition)) sound = tl::unexpected{store.bad_partition(output.topic, output.partition)};
      if (record_bytes(output.record) > kMaxRecordBytes) sound = tl::unexpected{too_large(output)};
      if (!sound) break;
      const std::size_t place = store.place(last_topic, output.partition);
      BlockBuilder& builder = building_[place];
      if (builder.empty()) used.push_back(place);
      if (!builder.add(output.record)) {
        seal(place, commit);
        (void)builder.add(output.record);  // an empty builder takes every allowed record
      }
    }
    for (const std::size_t place : used)
      if (!building_[place].empty()) seal(place, commit);
    if (!sound) commit.blocks.clear();
    return sound;
  }

  void seal(std::size_t place, TaskCommit& commit) {
    Buffer spare;
    if (!spare_.empty()) {
      spare = std::move(spare_.back());
      spare_.pop_back();
    }
    const bool lz4 = shared_.store->options.lz4[place / static_cast<std::size_t>(shared_.store->partitions)];
    commit.blocks.push_back({building_[place].seal(lz4, std::move(spare)), place});
    commit.bytes += commit.blocks.back().block.bytes.size();
  }

  Shared shared_;
  Steps steps_;
  std::vector<BlockBuilder> building_;  // by place
  std::vector<Buffer> spare_;
  std::vector<std::int64_t> before_;  // by partition: where the step began
  std::optional<Error> broken_;       // a commit failed: nobody knows what became of it
  bool assigned_ = false;
};

class LmdbReader final : public Reader {
 public:
  LmdbReader(Shared shared, std::size_t topic, std::string name, Share share)
      : shared_{std::move(shared)},
        steps_{shared_.store, topic},
        topic_{topic},
        name_{std::move(name)},
        share_{share},
        mine_(static_cast<std::size_t>(shared_.store->partitions), false) {
    if (share_ != Share::group) return;
    const std::lock_guard lock{shared_.store->mutex};
    shared_.store->groups.try_emplace({name_, topic_}, shared_.store->partitions).first->second.join(this);
    shared_.store->changed.notify_all();
  }
  ~LmdbReader() override {
    if (share_ != Share::group) return;
    const std::lock_guard lock{shared_.store->mutex};
    group().leave(this);
    shared_.store->changed.notify_all();
  }

  Result<Step> poll(std::chrono::milliseconds wait) override {
    Store& store = *shared_.store;
    if (const auto dead = death(store)) return tl::unexpected{*dead};
    steps_.clear();
    wait_for(store, shared_.writer == nullptr, wait, [this] { return unsettled() || steps_.waiting(); });
    if (const auto dead = death(store)) return tl::unexpected{*dead};
    Step out;
    settle(out);
    if (steps_.waiting())
      if (Status read = steps_.read(); !read) return tl::unexpected{read.error()};
    out.records = steps_.records();
    out.appended = steps_.oldest();
    return out;
  }

  Status seek(std::int32_t partition, std::optional<std::int64_t> offset) override {
    Store& store = *shared_.store;
    if (const auto dead = death(store)) return tl::unexpected{*dead};
    if (!store.has(partition)) return tl::unexpected{store.bad_partition(topic::all[topic_], partition)};
    if (!mine_[static_cast<std::size_t>(partition)])
      return failure(Fault::refused, Retry::never,
                     "Partition " + std::to_string(partition) + " is not assigned to this reader; poll until it is.");
    if (shared_.writer == nullptr) store.refresh();
    const std::size_t place = store.place(topic_, partition);
    const std::int64_t oldest = store.oldest[place].load();
    const std::int64_t end = store.end[place].load();
    std::int64_t to = oldest;
    if (offset) {
      to = *offset;
    } else if (!name_.empty()) {
      const std::lock_guard lock{store.mutex};
      if (const auto mine = store.stored.find({name_, topic_, partition}); mine != store.stored.end())
        to = mine->second;
      if (const auto mine = store.said.find({name_, topic_, partition}); mine != store.said.end()) to = mine->second;
    }
    if (to > end) return tl::unexpected{beyond(partition, to, end)};
    if (to >= 0) to = std::max(to, store.since[place].load());
    if (to < oldest) {
      if (!topic::keeps_last(topic::all[topic_])) return tl::unexpected{steps_.gone(partition, to, oldest)};
      to = oldest;
    }
    steps_.next(partition) = to;
    return {};
  }

  Status stored(std::int32_t partition, std::int64_t next) override {
    Store& store = *shared_.store;
    if (const auto dead = death(store)) return tl::unexpected{*dead};
    if (!store.has(partition)) return tl::unexpected{store.bad_partition(topic::all[topic_], partition)};
    const std::int64_t end = store.end[store.place(topic_, partition)].load();
    if (next < 0 || next > end) return tl::unexpected{beyond(partition, next, end)};
    if (name_.empty()) return {};
    const ReaderKey key{name_, topic_, partition};
    bool back = false;
    {
      const std::lock_guard lock{store.mutex};
      const auto durable = store.stored.find(key);
      const auto [last, first_word] = store.said.try_emplace(key, next);
      back = first_word ? durable != store.stored.end() && next < durable->second : next < last->second;
      last->second = next;
    }
    shared_.writer->stored(key, next);
    if (!back) return {};
    // A commit that is under way may still delete by the earlier position: after the next one none does. If that one
    // finds no room it has looked at what was said all the same, and the position goes with a later one.
    const std::function<int(MDB_txn*)> nothing = [](MDB_txn*) { return 0; };
    const Status passed = shared_.writer->execute(nothing);
    return passed || passed.error().fault == Fault::no_space ? Status{} : passed;
  }

  std::optional<std::int64_t> position(std::int32_t partition) const override {
    return shared_.store->has(partition) ? steps_.next(partition) : std::nullopt;
  }

 private:
  ReaderGroup& group() const { return shared_.store->groups.at({name_, topic_}); }
  bool unsettled() const { return share_ == Share::group ? group().unsettled(this) : !assigned_; }

  void settle(Step& out) {
    if (share_ == Share::group) {
      const std::lock_guard lock{shared_.store->mutex};
      group().settle(this, out.revoked, out.assigned);
      if (!out.revoked.empty()) shared_.store->changed.notify_all();
    } else if (!assigned_) {
      for (std::int32_t p = 0; p < shared_.store->partitions; ++p) out.assigned.push_back(p);
    }
    assigned_ = true;
    for (const std::int32_t p : out.revoked) {
      mine_[static_cast<std::size_t>(p)] = false;
      steps_.next(p).reset();
    }
    for (const std::int32_t p : out.assigned) mine_[static_cast<std::size_t>(p)] = true;
  }

  Error beyond(std::int32_t partition, std::int64_t asked, std::int64_t end) const {
    return {Fault::mismatch, Retry::never,
            shared_.store->names[shared_.store->place(topic_, partition)] + " of the log in " +
                shared_.store->directory.string() + " ends at " + std::to_string(end) + ", before the position " +
                std::to_string(asked) + ": the position is of another log."};
  }

  Shared shared_;
  Steps steps_;
  std::size_t topic_;
  std::string name_;
  Share share_;
  std::vector<bool> mine_;
  bool assigned_ = false;
};

class Embedded final : public LmdbLog {
 public:
  explicit Embedded(std::shared_ptr<Store> store) {
    shared_.store = std::move(store);
    if (!shared_.store->options.read_only) shared_.writer = std::make_shared<Writer>(shared_.store);
  }

  std::string_view id() const override { return shared_.store->id; }
  std::int64_t epoch() const override { return shared_.store->epoch; }
  std::int32_t partitions() const override { return shared_.store->partitions; }
  std::int64_t format() const override { return shared_.store->format; }
  std::int64_t state_version() const override { return shared_.store->state_version; }

  Result<TopicSpan> span(std::string_view topic, std::int32_t partition) const override {
    Store& store = *shared_.store;
    const auto t = topic::index(topic);
    if (!t) return tl::unexpected{no_topic(topic)};
    if (!store.has(partition)) return tl::unexpected{store.bad_partition(topic, partition)};
    if (!shared_.writer) store.refresh();
    const std::lock_guard lock{store.mutex};  // both of the same commit
    const std::size_t place = store.place(*t, partition);
    return TopicSpan{store.oldest[place].load(), store.end[place].load()};
  }
  Result<std::int64_t> first(std::string_view topic, std::int32_t partition) const override {
    return of_place(topic, partition, &Store::since);
  }
  Result<std::int64_t> anew(std::string_view topic, std::int32_t partition) const override {
    return of_place(topic, partition, &Store::anew);
  }
  Result<std::int64_t> committed(std::int32_t partition) const override {
    Store& store = *shared_.store;
    if (!store.has(partition)) return tl::unexpected{store.bad_partition(topic::raw, partition)};
    if (!shared_.writer) store.refresh();
    return store.committed[static_cast<std::size_t>(partition)].load();
  }

  Result<std::unique_ptr<Appender>> appender(std::string_view topic) override {
    if (!shared_.writer) return tl::unexpected{read_only(*shared_.store, "appending")};
    if (topic != topic::raw && topic != topic::control)
      return failure(
          Fault::refused, Retry::never,
          "Only 'raw' and 'control' are written from outside the processing step, not '" + std::string{topic} + "'.");
    return std::make_unique<LmdbAppender>(shared_, *topic::index(topic));
  }
  Result<std::unique_ptr<Task>> task() override {
    if (!shared_.writer) return tl::unexpected{read_only(*shared_.store, "processing")};
    {
      const std::lock_guard lock{shared_.store->mutex};
      if (shared_.store->has_task)
        return failure(Fault::refused, Retry::never,
                       "The log has a Task already; destroy it before another is opened.");
      shared_.store->has_task = true;
    }
    return std::make_unique<LmdbTask>(shared_);
  }
  Result<std::unique_ptr<Reader>> reader(std::string_view topic, std::string_view name, Share share) override {
    const auto t = topic::index(topic);
    if (!t) return tl::unexpected{no_topic(topic)};
    if (share == Share::group && name.empty())
      return failure(Fault::refused, Retry::never, "Readers that share partitions need a name; give one.");
    if (name.size() > 200 || name.find('\0') != std::string_view::npos)
      return failure(Fault::out_of_range, Retry::never,
                     "The name of a reader has at most 200 bytes, none of them zero.");
    if (!name.empty())
      if (Status known = register_reader(*t, std::string{name}); !known) return tl::unexpected{known.error()};
    return std::make_unique<LmdbReader>(shared_, *t, std::string{name}, share);
  }

  Status health() const override { return shared_.writer ? shared_.writer->health() : Status{}; }
  std::uint64_t used_bytes() const override {
    return shared_.writer ? shared_.writer->used_bytes() : measure_used(*shared_.store);
  }
  Result<std::optional<std::string>> note(std::string_view name) const override {
    return read_note(*shared_.store, name);
  }
  Status set_note(std::string_view name, std::string_view text) override {
    if (!shared_.writer) return tl::unexpected{read_only(*shared_.store, "notes")};
    if (name.empty() || name.size() > 400)
      return failure(Fault::out_of_range, Retry::never, "The name of a note has 1 to 400 bytes.");
    const std::string key_text = "note." + std::string{name};
    const Store& store = *shared_.store;
    return shared_.writer->execute([&](MDB_txn* txn) {
      MDB_val key = val_of(key_text), value = val_of(text);
      return mdb_put(txn, store.meta, &key, &value, 0);
    });
  }

  Status make_anew(bool allow_pruned) override {
    if (!shared_.writer) return tl::unexpected{read_only(*shared_.store, "making anew")};
    Store& store = *shared_.store;
    {
      const std::lock_guard lock{store.mutex};
      if (store.has_task)
        return failure(Fault::refused, Retry::never, "The log has a Task; destroy it before all is made anew.");
    }
    NewGeneration made{next_epoch(), allow_pruned};
    Status done = shared_.writer->execute([&](MDB_txn* txn) { return begin_generation(store, txn, made); });
    if (Status seen = see_generation(store); done && !seen) done = seen;
    if (!done) return done;
    if (made.pruned_raw && !allow_pruned)
      return failure(Fault::out_of_range, Retry::never,
                     "The log in " + store.directory.string() +
                         " has no longer all of raw: what it lacks cannot be made anew from it.");
    store.epoch = made.epoch;
    store.format = kFormat;
    store.state_version = store.options.state_version;
    shared_.writer->sweep();
    return {};
  }
  Status renew_epoch() override {
    if (!shared_.writer) return tl::unexpected{read_only(*shared_.store, "a new epoch")};
    Store& store = *shared_.store;
    const std::int64_t epoch = next_epoch();
    Status done =
        shared_.writer->execute([&](MDB_txn* txn) { return put_fact(store, txn, "epoch", std::to_string(epoch)); });
    if (done) store.epoch = epoch;
    return done;
  }
  Status copy(int fd, bool packed) const override { return copy_file(*shared_.store, fd, packed); }

  Result<std::vector<ReaderPosition>> readers() const override {
    Store& store = *shared_.store;
    if (!shared_.writer) store.refresh();
    std::vector<ReaderPosition> out;
    const std::lock_guard lock{store.mutex};
    for (const auto& [key, next] : store.stored)
      out.push_back({std::get<0>(key), topic::all[std::get<1>(key)], std::get<2>(key), next});
    return out;
  }
  Status forget_reader(std::string_view name) override {
    if (!shared_.writer) return tl::unexpected{read_only(*shared_.store, "forgetting")};
    Store& store = *shared_.store;
    const std::lock_guard one_at_a_time{registering_};
    {
      const std::lock_guard lock{store.mutex};
      std::string known;
      bool there = false;
      for (const auto& [key, next] : store.stored) {
        const std::string& other = std::get<0>(key);
        there = there || other == name;
        if (const std::string quoted = "'" + other + "'"; known.find(quoted) == std::string::npos)
          known += (known.empty() ? "" : ", ") + quoted;
      }
      if (!there)
        return failure(Fault::not_found, Retry::never,
                       "The log in " + store.directory.string() + " has no reader '" + std::string{name} +
                           "'; it has " + (known.empty() ? "none" : known) + ".");
      for (const auto& [key, group] : store.groups)
        if (key.first == name && !group.empty())
          return failure(Fault::refused, Retry::never,
                         "The reader '" + std::string{name} +
                             "' is at work in the process that writes the log; it catches up by itself. Stop that "
                             "process to forget it.");
    }
    Status done = shared_.writer->execute([&](MDB_txn* txn) {
      for (const std::string_view topic : topic::all)
        for (std::int32_t p = 0; p < store.partitions; ++p) {
          const std::string key_text = reader_key(name, topic, p);
          MDB_val key = val_of(key_text);
          if (const int rc = mdb_del(txn, store.readers_dbi, &key, nullptr); rc != 0 && rc != MDB_NOTFOUND) return rc;
        }
      return 0;
    });
    if (!done) return done;
    const std::lock_guard lock{store.mutex};
    const auto of_name = [name](const auto& entry) { return std::get<0>(entry.first) == name; };
    std::erase_if(store.stored, of_name);
    std::erase_if(store.said, of_name);
    return {};
  }

  Result<std::vector<Hold>> holds() const override {
    if (!shared_.writer) shared_.store->refresh();
    return read_holds(*shared_.store);
  }
  std::optional<std::string> pressure() const override {
    return shared_.writer ? shared_.writer->pressure() : std::nullopt;
  }
  Work work() const override { return shared_.writer ? shared_.writer->work() : Work{}; }
  Result<Usage> usage() const override { return read_usage(*shared_.store); }
  Result<std::vector<Place>> list() const override { return list_places(*shared_.store); }
  Status scan(std::string_view topic, std::int32_t partition, std::int64_t from, std::int64_t to,
              const std::function<bool(const Stored&)>& each) const override {
    const auto t = topic::index(topic);
    if (!t) return tl::unexpected{no_topic(topic)};
    if (!shared_.store->has(partition)) return tl::unexpected{shared_.store->bad_partition(topic, partition)};
    if (!shared_.writer) shared_.store->refresh();
    return scan_place(shared_.store, *t, partition, from, to, each);
  }
  Result<std::int64_t> find(std::string_view topic, std::int32_t partition, std::int64_t from, std::int64_t to,
                            const Wanted& wanted, const Found& found, SearchAllowance& allowance) const override {
    const auto t = topic::index(topic);
    if (!t) return tl::unexpected{no_topic(topic)};
    if (!shared_.store->has(partition)) return tl::unexpected{shared_.store->bad_partition(topic, partition)};
    if (!shared_.writer) shared_.store->refresh();
    return find_records(*shared_.store, *t, partition, from, to, wanted, found, allowance);
  }
  Result<std::optional<std::int64_t>> appended_from(std::string_view topic, std::int32_t partition,
                                                    Timestamp time) const override {
    const auto t = topic::index(topic);
    if (!t) return tl::unexpected{no_topic(topic)};
    if (!shared_.store->has(partition)) return tl::unexpected{shared_.store->bad_partition(topic, partition)};
    if (!shared_.writer) shared_.store->refresh();
    const auto offset = first_appended_from(*shared_.store, *t, partition, time);
    if (!offset) return tl::unexpected{offset.error()};
    return std::optional{*offset};
  }
  Result<Verified> verify() const override { return verify_all(*shared_.store); }

 private:
  std::int64_t next_epoch() const {
    const Store& store = *shared_.store;
    const auto now = std::chrono::floor<std::chrono::seconds>(store.clock->now()).time_since_epoch().count();
    return std::max<std::int64_t>(store.epoch + 1, now);
  }

  // From now on nothing is deleted that the reader has not stored. Known readers keep their positions.
  Status register_reader(std::size_t topic, const std::string& name) {
    if (!shared_.writer)
      return tl::unexpected{
          read_only(*shared_.store, "reader with a name of its own, only readers with the empty name")};
    Store& store = *shared_.store;
    const std::lock_guard one_at_a_time{registering_};
    {
      const std::lock_guard lock{store.mutex};
      if (store.stored.contains({name, topic, 0})) return {};
    }
    std::map<ReaderKey, std::int64_t> positions;
    Status done = shared_.writer->execute([&](MDB_txn* txn) {
      {  // The writer thread is here, and retention runs on it: nothing is deleted between this look and the commit.
        const std::lock_guard lock{store.mutex};
        for (std::int32_t p = 0; p < store.partitions; ++p)
          positions[{name, topic, p}] = store.oldest[store.place(topic, p)].load();
        store.registering = positions;
      }
      for (const auto& [key, oldest] : positions) {
        OffsetKey offset{oldest};
        const std::string key_text = reader_key(name, topic::all[topic], std::get<2>(key));
        if (const int rc = put_sealed(txn, store.readers_dbi, key_text, view(offset.val()))) return rc;
      }
      return 0;
    });
    // Known from here on, or, if it could not be written, not at all.
    const std::lock_guard lock{store.mutex};
    store.registering.clear();
    if (done) store.stored.merge(positions);
    return done;
  }

  Result<std::int64_t> of_place(std::string_view topic, std::int32_t partition,
                                std::unique_ptr<std::atomic<std::int64_t>[]> Store::*numbers) const {
    Store& store = *shared_.store;
    const auto t = topic::index(topic);
    if (!t) return tl::unexpected{no_topic(topic)};
    if (!store.has(partition)) return tl::unexpected{store.bad_partition(topic, partition)};
    if (!shared_.writer) store.refresh();
    return (store.*numbers)[store.place(*t, partition)].load();
  }

  Shared shared_;
  std::mutex registering_;
};

}  // namespace
}  // namespace lmdb

std::uint64_t LmdbLog::Usage::used_bytes() const {
  std::uint64_t out = state_bytes;
  for (const TopicUse& topic : topics) out += topic.bytes;
  return out;
}

Result<std::unique_ptr<LmdbLog>> open_lmdb_log(const std::filesystem::path& directory, const LmdbOptions& options) {
  auto store = lmdb::open_store(directory, options);
  if (!store) return tl::unexpected{store.error()};
  return std::make_unique<lmdb::Embedded>(std::move(*store));
}

}  // namespace truetape
