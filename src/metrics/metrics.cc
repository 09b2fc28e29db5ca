#include "metrics/metrics.h"

#include <algorithm>
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
std::string in_seconds(std::uint64_t ns) {
  char text[32];
  std::snprintf(text, sizeof text, "%llu.%09llu", static_cast<unsigned long long>(ns / 1'000'000'000),
                static_cast<unsigned long long>(ns % 1'000'000'000));
  return text;
}
std::string in_seconds(std::int64_t ns) {
  return ns < 0 ? '-' + in_seconds(~static_cast<std::uint64_t>(ns) + 1) : in_seconds(static_cast<std::uint64_t>(ns));
}

// A bound as people write it: 0.0025.
std::string bound_text(std::uint64_t ns) {
  std::string out = in_seconds(ns);
  out.erase(out.find_last_not_of('0') + 1);
  if (out.back() == '.') out.pop_back();
  return out;
}

}  // namespace

void Histogram::observe(std::int64_t nanoseconds) {
  const auto ns = static_cast<std::uint64_t>(std::max<std::int64_t>(nanoseconds, 0));
  const auto at = std::ranges::lower_bound(kBounds, ns) - kBounds.begin();
  counts_[static_cast<std::size_t>(at)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(ns, std::memory_order_relaxed);
}

std::uint64_t Histogram::below(std::size_t bound) const {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i <= bound; ++i) sum += counts_[i].load(std::memory_order_relaxed);
  return sum;
}

std::uint64_t Histogram::count() const { return below(kBounds.size()); }

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
SecondsGauge& Metrics::seconds(std::string_view name, std::string_view help, const Labels& labels) {
  return find<SecondsGauge>(name, help, labels);
}
Histogram& Metrics::histogram(std::string_view name, std::string_view help, const Labels& labels) {
  return find<Histogram>(name, help, labels);
}

std::string Metrics::text() const {
  const std::lock_guard lock{mutex_};
  std::string out;
  for (const auto& [name, family] : families_) {
    static constexpr std::string_view kKinds[] = {"counter", "gauge", "gauge", "histogram"};
    out += "# HELP " + name + ' ' + family.help + "\n# TYPE " + name + ' ';
    out += kKinds[family.members.begin()->second.index()];
    out += '\n';
    for (const auto& [labels, member] : family.members) {
      if (const auto* counter = std::get_if<std::unique_ptr<Counter>>(&member))
        put_line(out, name, "", labels, "", std::to_string((*counter)->value()));
      if (const auto* gauge = std::get_if<std::unique_ptr<Gauge>>(&member))
        put_line(out, name, "", labels, "", std::to_string((*gauge)->value()));
      if (const auto* seconds = std::get_if<std::unique_ptr<SecondsGauge>>(&member);
          seconds != nullptr && (*seconds)->value() != SecondsGauge::kNone)
        put_line(out, name, "", labels, "", in_seconds((*seconds)->value()));
      if (const auto* histogram = std::get_if<std::unique_ptr<Histogram>>(&member)) {
        std::uint64_t below = 0;  // read once each, so that the lines agree while others count
        for (std::size_t i = 0; i <= Histogram::kBounds.size(); ++i) {
          below += (*histogram)->at(i);
          const std::string bound = i == Histogram::kBounds.size() ? "+Inf" : bound_text(Histogram::kBounds[i]);
          put_line(out, name, "_bucket", labels, "le=\"" + bound + '"', std::to_string(below));
        }
        put_line(out, name, "_sum", labels, "", in_seconds((*histogram)->sum()));
        put_line(out, name, "_count", labels, "", std::to_string(below));
      }
    }
  }
  return out;
}

}  // namespace truetape
