#include "log/conformance/counting.h"

#include <algorithm>
#include <charconv>
#include <chrono>

#include "log/read.h"

namespace truetape::conformance {
namespace {

using namespace std::chrono_literals;

std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

std::string content(std::int32_t partition, std::int64_t number) {
  const std::uint64_t r =
      mix(static_cast<std::uint64_t>(number) * 1'000'003 + static_cast<std::uint64_t>(partition) + 1);
  std::string out = std::to_string(number) + " ";
  // Mostly short, sometimes longer than a page, rarely longer than a block.
  const std::uint64_t size = r % 997 == 0 ? 70'000 + r % 9'000 : r % 53 == 0 ? r % 9'000 : r % 200;
  out.append(static_cast<std::size_t>(size), static_cast<char>('a' + r % 26));
  return out;
}

std::optional<std::int64_t> integer(std::string_view text) {
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return out;
}

std::string at(const Stored& stored) {
  return "partition " + std::to_string(stored.partition) + " offset " + std::to_string(stored.offset);
}

}  // namespace

NumberedRecord::NumberedRecord(std::int32_t partition, std::int64_t number)
    : key_{"test:P" + std::to_string(partition)},
      value_{content(partition, number)},
      seq_{std::to_string(number + 1)},
      headers_{{{"kind", "frame"}, {"instruments", key_}, {"session", "one"}, {"seq", seq_}}} {}

std::optional<std::int64_t> number_of(const Stored& stored) {
  const auto number = integer(stored.record.value.substr(0, stored.record.value.find(' ')));
  if (!number) return std::nullopt;
  const NumberedRecord expected{stored.partition, *number};
  const Record wanted = expected.record();
  if (stored.record.key != wanted.key || stored.record.value != wanted.value ||
      !std::ranges::equal(stored.record.headers, wanted.headers))
    return std::nullopt;
  return number;
}

std::optional<std::string> CountingHeart::restore(const Task::Assigned& assigned) {
  partition_ = assigned.partition;
  std::map<std::string, std::int64_t> numbers;
  std::string last;
  for (const StateEntry& entry : assigned.state) {
    if (entry.key <= last) return "state keys out of order: " + entry.key + " after " + last;
    last = entry.key;
    const auto value = integer(entry.value);
    if (!value) return "state of " + entry.key + " is no number";
    numbers[entry.key] = *value;
  }
  if (numbers.empty()) return std::nullopt;
  count_ = numbers["count"];
  sum_ = numbers["sum"];
  next_ = numbers["next"];
  last_number_ = numbers["last"];
  // Slot n is there exactly if the last count that touched it was odd there: see fold().
  for (std::int64_t slot = 0; slot < 7; ++slot) {
    const std::int64_t turn = count_ > slot ? (count_ - 1 - slot) / 7 : -1;
    const bool there = turn >= 0 && turn % 2 == 0;
    const std::string key = "slot." + std::to_string(slot);
    if (numbers.contains(key) != there) return key + " does not fit the count " + std::to_string(count_);
    if (there && numbers[key] != turn * 7 + slot + 1) return key + " has a wrong value";
  }
  return std::nullopt;
}

std::optional<std::string> CountingHeart::fold(const Stored& stored) {
  const auto number = number_of(stored);
  if (!number) return "not as it was appended: " + at(stored);
  if (stored.offset < next_) return "given twice: " + at(stored);
  if (*number <= last_number_)
    return "number " + std::to_string(*number) + " after " + std::to_string(last_number_) + ": " + at(stored);
  next_ = stored.offset + 1;
  last_number_ = *number;
  sum_ += *number;
  const std::int64_t slot = count_ % 7;
  ++count_;
  auto& change = slots_["slot." + std::to_string(slot)];
  if ((count_ - 1) / 7 % 2 == 0)
    change = std::to_string(count_);
  else
    change = std::nullopt;
  made_.push_back({std::to_string(stored.offset), std::to_string(*number) + " is the " + std::to_string(count_)});
  return std::nullopt;
}

std::span<const Output> CountingHeart::outputs() {
  outputs_.clear();
  for (const Made& m : made_) outputs_.push_back({topic::trades, partition_, {m.key, m.value, {}}});
  return outputs_;
}

std::span<const StateChange> CountingHeart::changes() {
  changes_.clear();
  if (made_.empty()) return {};
  slots_["count"] = std::to_string(count_);
  slots_["sum"] = std::to_string(sum_);
  slots_["next"] = std::to_string(next_);
  slots_["last"] = std::to_string(last_number_);
  for (const auto& [key, value] : slots_) changes_.push_back({partition_, key, value});
  return changes_;
}

void CountingHeart::clear() {
  made_.clear();
  slots_.clear();
}

namespace {

constexpr std::chrono::seconds kLong{60};  // only ever waited for in full when the log is broken

// Has the Task done all that is committed in raw?
Result<bool> done(const Log& log) {
  for (std::int32_t p = 0; p < log.partitions(); ++p) {
    const auto committed = log.committed(p);
    if (!committed) return tl::unexpected{committed.error()};
    const auto raw = log.span(topic::raw, p);
    if (!raw) return tl::unexpected{raw.error()};
    if (*committed < raw->end) return false;
  }
  return true;
}

}  // namespace

std::optional<std::string> run_task(Log& log, std::optional<Error>& error) {
  error.reset();
  auto task = log.task();
  if (!task) {
    error = task.error();
    return std::nullopt;
  }
  std::vector<CountingHeart> hearts(static_cast<std::size_t>(log.partitions()));
  for (const auto until = std::chrono::steady_clock::now() + kLong;;) {
    auto step = (*task)->poll(0ms);
    if (!step) {
      error = step.error();
      return std::nullopt;
    }
    for (const Task::Assigned& assigned : step->assigned)
      if (auto fault = hearts[static_cast<std::size_t>(assigned.partition)].restore(assigned)) return fault;
    if (step->records.empty()) {
      const auto all = done(log);
      if (!all) error = all.error();
      if (!all || *all) return std::nullopt;
      if (std::chrono::steady_clock::now() > until) return "the Task is given no records, though there are some";
      continue;
    }
    for (const Stored& stored : step->records)
      if (auto fault = hearts[static_cast<std::size_t>(stored.partition)].fold(stored)) return fault;
    std::vector<Output> outputs;
    std::vector<StateChange> changes;
    for (CountingHeart& heart : hearts) {
      const auto o = heart.outputs();
      outputs.insert(outputs.end(), o.begin(), o.end());
      const auto c = heart.changes();
      changes.insert(changes.end(), c.begin(), c.end());
    }
    if (Status committed = (*task)->commit(outputs, changes); !committed) {
      error = committed.error();
      return std::nullopt;
    }
    for (CountingHeart& heart : hearts) heart.clear();
  }
}

namespace {

// All committed records of a topic, copied.
struct Copy {
  std::int64_t offset;
  std::string key, value;
  std::optional<std::int64_t> number;
};
Result<std::vector<std::vector<Copy>>> read_all(Log& log, std::string_view topic) {
  std::vector<std::vector<Copy>> out;
  for (std::int32_t p = 0; p < log.partitions(); ++p) {
    const auto span = log.span(topic, p);
    if (!span) return tl::unexpected{span.error()};
    auto& copies = out.emplace_back();
    const Status read = read_stretch(log, {topic, p, span->oldest, span->end}, [&](const Stored& s) {
      copies.push_back({s.offset, std::string{s.record.key}, std::string{s.record.value}, number_of(s)});
      return true;
    });
    if (!read) return tl::unexpected{read.error()};
  }
  return out;
}

}  // namespace

Promised all_below(const std::vector<std::int64_t>& ends) {
  Promised out;
  for (const std::int64_t end : ends) {
    auto& numbers = out.emplace_back();
    for (std::int64_t i = 0; i < end; ++i) numbers.insert(numbers.end(), i);
  }
  return out;
}

std::optional<std::string> check_world(Log& log, const Promised& promised, bool processed) {
  const auto raw = read_all(log, topic::raw);
  if (!raw) return "raw: " + raw.error().detail;
  const auto trades = read_all(log, topic::trades);
  if (!trades) return "trades: " + trades.error().detail;
  for (std::size_t p = 0; p < raw->size(); ++p) {
    const std::string where = "partition " + std::to_string(p) + ": ";
    const auto& records = (*raw)[p];
    const auto& results = (*trades)[p];
    std::int64_t last_number = -1, last_offset = -1;
    for (const Copy& r : records) {
      if (!r.number) return where + "the record at " + std::to_string(r.offset) + " is not as it was appended";
      if (r.offset <= last_offset)
        return where + "offset " + std::to_string(r.offset) + " after " + std::to_string(last_offset);
      if (*r.number <= last_number)
        return where + "number " + std::to_string(*r.number) + " after " + std::to_string(last_number);
      last_number = *r.number;
      last_offset = r.offset;
    }
    auto missing = promised[p];
    for (const Copy& r : records) missing.erase(*r.number);
    if (!missing.empty())
      return where + "number " + std::to_string(*missing.begin()) + " was promised and is missing, as are " +
             std::to_string(missing.size() - 1) + " others; there are " + std::to_string(records.size()) +
             (records.empty() ? "" : ", the first at " + std::to_string(records.front().offset));
    const auto committed = log.committed(static_cast<std::int32_t>(p));
    if (!committed) return where + committed.error().detail;
    const auto behind =
        static_cast<std::size_t>(std::ranges::count_if(records, [&](const Copy& r) { return r.offset < *committed; }));
    if (results.size() != behind)
      return where + std::to_string(results.size()) + " results of " + std::to_string(behind) + " processed records";
    if (processed && behind != records.size())
      return where + "only " + std::to_string(behind) + " of " + std::to_string(records.size()) +
             " records are processed";
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (results[i].key != std::to_string(records[i].offset) ||
          results[i].value != std::to_string(*records[i].number) + " is the " + std::to_string(i + 1))
        return where + "result " + std::to_string(i) + " is '" + results[i].key + ": " + results[i].value +
               "', of the record at " + std::to_string(records[i].offset);
    }
  }
  // The state is the fold of what is behind the position: a Task that begins now says so.
  auto task = log.task();
  if (!task) return "task: " + task.error().detail;
  std::vector<Task::Assigned> all;
  for (const auto until = std::chrono::steady_clock::now() + kLong; all.size() < raw->size();) {
    auto step = (*task)->poll(0ms);
    if (!step) return "task: " + step.error().detail;
    for (Task::Assigned& assigned : step->assigned) all.push_back(std::move(assigned));
    if (all.size() < raw->size() && (!step->records.empty() || std::chrono::steady_clock::now() > until))
      return "the Task was not assigned all partitions";
  }
  for (const Task::Assigned& assigned : all) {
    CountingHeart heart;
    if (auto fault = heart.restore(assigned)) return "state: " + *fault;
    if (heart.count() != static_cast<std::int64_t>((*trades)[static_cast<std::size_t>(assigned.partition)].size()))
      return "state of partition " + std::to_string(assigned.partition) + " counts " + std::to_string(heart.count());
  }
  return std::nullopt;
}

}  // namespace truetape::conformance
