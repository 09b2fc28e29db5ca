#include "metrics/metrics.h"

#include <bit>
#include <cstdio>
#include <stdexcept>

namespace truetape {
namespace {

std::string labels_text(const Labels& labels) {
  std::string out;
  for (const auto& [name, value] : labels) {
    if (!out.empty()) out += ',';
    out += name + "=\"";
    for (const char c : value) {
      if (c == '\\' || c == '"') out += '\\';
      if (c == '\n')
        out += "\\n";
      else
        out += c;
    }
    out += '"';
  }
  return out;
}

void put_line(std::string& out, std::string_view name, std::string_view suffix, std::string_view labels,
              std::string_view more, const std::string& value) {
  out += name;
  out += suffix;
  if (!labels.empty() || !more.empty()) {
    out += '{';
    out += labels;
    if (!labels.empty() && !more.empty()) out += ',';
    out += more;
    out += '}';
  }
  out += ' ' + value + '\n';
}

// Nanoseconds as seconds, exactly.
std::string seconds(std::uint64_t ns) {
  char text[32];
  std::snprintf(text, sizeof text, "%llu.%09llu", static_cast<unsigned long long>(ns / 1'000'000'000),
                static_cast<unsigned long long>(ns % 1'000'000'000));
  return text;
}

}  // namespace

void Histogram::observe(std::uint64_t nanoseconds) {
  const int bits = nanoseconds <= 1 ? 0 : static_cast<int>(std::bit_width(nanoseconds - 1));  // 2^bits >= nanoseconds
  const int at = bits <= kFirstBit ? 0 : bits - kFirstBit;
  counts_[static_cast<std::size_t>(at < kBounds ? at : kBounds)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(nanoseconds, std::memory_order_relaxed);
}

std::uint64_t Histogram::below(int bound) const {
  std::uint64_t sum = 0;
  for (int i = 0; i <= bound; ++i) sum += counts_[static_cast<std::size_t>(i)].load(std::memory_order_relaxed);
  return sum;
}

std::uint64_t Histogram::count() const { return below(kBounds); }

template <class Kind>
Kind& Metrics::find(std::string_view name, std::string_view help, const Labels& labels) {
  const std::lock_guard lock{mutex_};
  auto family = families_.find(name);
  if (family == families_.end()) family = families_.emplace(std::string{name}, Family{std::string{help}, {}}).first;
  auto& members = family->second.members;
  if (!members.empty() && !std::holds_alternative<std::unique_ptr<Kind>>(members.begin()->second))
    throw std::logic_error{"the metric " + std::string{name} + " is of another kind"};
  auto [member, fresh] = members.try_emplace(labels_text(labels));
  if (fresh) member->second = std::make_unique<Kind>();
  return *std::get<std::unique_ptr<Kind>>(member->second);
}

Counter& Metrics::counter(std::string_view name, std::string_view help, const Labels& labels) {
  return find<Counter>(name, help, labels);
}
Gauge& Metrics::gauge(std::string_view name, std::string_view help, const Labels& labels) {
  return find<Gauge>(name, help, labels);
}
Histogram& Metrics::histogram(std::string_view name, std::string_view help, const Labels& labels) {
  return find<Histogram>(name, help, labels);
}

std::string Metrics::text() const {
  const std::lock_guard lock{mutex_};
  std::string out;
  for (const auto& [name, family] : families_) {
    static constexpr std::string_view kKinds[] = {"counter", "gauge", "histogram"};
    out += "# HELP " + name + ' ' + family.help + "\n# TYPE " + name + ' ';
    out += kKinds[family.members.begin()->second.index()];
    out += '\n';
    for (const auto& [labels, member] : family.members) {
      if (const auto* counter = std::get_if<std::unique_ptr<Counter>>(&member))
        put_line(out, name, "", labels, "", std::to_string((*counter)->value()));
      if (const auto* gauge = std::get_if<std::unique_ptr<Gauge>>(&member))
        put_line(out, name, "", labels, "", std::to_string((*gauge)->value()));
      if (const auto* histogram = std::get_if<std::unique_ptr<Histogram>>(&member)) {
        for (int i = 0; i < Histogram::kBounds; ++i)
          put_line(out, name, "_bucket", labels,
                   "le=\"" + seconds(std::uint64_t{1} << (Histogram::kFirstBit + i)) + '"',
                   std::to_string((*histogram)->below(i)));
        put_line(out, name, "_bucket", labels, "le=\"+Inf\"", std::to_string((*histogram)->count()));
        put_line(out, name, "_sum", labels, "", seconds((*histogram)->sum()));
        put_line(out, name, "_count", labels, "", std::to_string((*histogram)->count()));
      }
    }
  }
  return out;
}

}  // namespace truetape
