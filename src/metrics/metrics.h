// Counters, gauges and histograms by name and labels, and their text in Prometheus' exposition format. Making one takes
// a lock; counting does not. Any thread. A metric lives as long as its registry; asking again for the same name and
// labels answers the same one.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace truetape {

class Counter {
 public:
  void add(std::uint64_t by = 1) { value_.fetch_add(by, std::memory_order_relaxed); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class Gauge {
 public:
  void set(std::int64_t value) { value_.store(value, std::memory_order_relaxed); }
  void add(std::int64_t by) { value_.fetch_add(by, std::memory_order_relaxed); }
  std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

// A gauge of seconds, set in nanoseconds. It is not shown before it is set, nor after clear(), until it is set again.
class SecondsGauge {
 public:
  static constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::min();
  void set(std::int64_t nanoseconds) { value_.store(nanoseconds, std::memory_order_relaxed); }
  void clear() { set(kNone); }
  std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{kNone};
};

// Of durations, in nanoseconds; from a tenth of a millisecond to five minutes, so a quantile is known to a factor of
// 2.5 or less. What lies below zero, as when a clock was set back, counts as zero.
class Histogram {
 public:
  static constexpr std::array<std::uint64_t, 19> kBounds{
      100'000,       250'000,        500'000,        1'000'000,      2'500'000,      5'000'000,     10'000'000,
      25'000'000,    50'000'000,     100'000'000,    250'000'000,    500'000'000,    1'000'000'000, 2'500'000'000,
      5'000'000'000, 10'000'000'000, 30'000'000'000, 60'000'000'000, 300'000'000'000};
  void observe(std::int64_t nanoseconds);
  std::uint64_t count() const;
  std::uint64_t sum() const { return sum_.load(std::memory_order_relaxed); }
  std::uint64_t at(std::size_t bound) const { return counts_[bound].load(std::memory_order_relaxed); }
  std::uint64_t below(std::size_t bound) const;  // observations <= kBounds[bound] ns; of kBounds.size(): all

 private:
  std::array<std::atomic<std::uint64_t>, kBounds.size() + 1> counts_{};
  std::atomic<std::uint64_t> sum_{0};
};

using Labels = std::vector<std::pair<std::string, std::string>>;

class Metrics {
 public:
  // `name` and label names as Prometheus wants them ([a-z_][a-z0-9_]*). One name is of one kind: throws
  // std::logic_error else.
  Counter& counter(std::string_view name, std::string_view help, const Labels& labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, const Labels& labels = {});
  SecondsGauge& seconds(std::string_view name, std::string_view help, const Labels& labels = {});
  Histogram& histogram(std::string_view name, std::string_view help, const Labels& labels = {});
  std::string text() const;

 private:
  using Any = std::variant<std::unique_ptr<Counter>, std::unique_ptr<Gauge>, std::unique_ptr<SecondsGauge>,
                           std::unique_ptr<Histogram>>;
  struct Family {
    std::string help;
    std::map<std::string, Any> members;  // by their labels as text
  };
  template <class Kind>
  Kind& find(std::string_view name, std::string_view help, const Labels& labels);

  mutable std::mutex mutex_;
  std::map<std::string, Family, std::less<>> families_;
};

}  // namespace truetape
