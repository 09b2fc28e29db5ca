#include "app/live_meters.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "roles/meters.h"

namespace truetape::app {
namespace {

constexpr std::chrono::seconds kGaps{30};

std::int64_t size_of(const std::filesystem::path& file) {
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  return error ? 0 : static_cast<std::int64_t>(size);
}

}  // namespace

std::uint64_t anonymous_bytes() {
  std::ifstream in{"/proc/self/status"};
  for (std::string word; in >> word;)
    if (std::uint64_t kilobytes = 0; word == "RssAnon:" && in >> kilobytes) return kilobytes * 1024;
  return 0;
}

void meter_program(Metrics& metrics, const Clock& clock, std::span<const char* const> roles) {
  metrics.gauge("truetape_build_info", "1; the label is this program's version.", {{"version", TRUETAPE_VERSION}})
      .set(1);
  SecondsGauge& start = metrics.seconds("truetape_start_time_seconds", "When this process began to run, since 1970.");
  if (start.value() == SecondsGauge::kNone) start.set(to_ns(clock.now()));
  // A counter that first appears with its first event shows no increase.
  for (const char* role : roles) {
    meter_retry(metrics, role, 0);
    meter_behind(metrics, role, 0);
    if (std::string_view{role} != "load") continue;
    meter_failed_load(metrics, "sqlite", 0);
    meter(metrics, "sqlite", {}, {}, 0);
  }
}

void meter_trouble(Metrics& metrics, const char* role, bool there) {
  metrics.gauge("truetape_role_trouble", "1 while an error keeps the role from getting on.", {{"role", role}})
      .set(there ? 1 : 0);
}

void meter_memory(Metrics& metrics) {
  metrics.gauge("truetape_memory_anonymous_bytes", "Resident memory of this process that no file stands behind.")
      .set(static_cast<std::int64_t>(anonymous_bytes()));
}

void meter_store(Metrics& metrics, const std::filesystem::path& store) {
  metrics.gauge("truetape_store_bytes", "Bytes of the store's files.", {{"store", "sqlite"}})
      .set(size_of(store) + size_of(store.string() + "-wal"));
}

LiveMeters::LiveMeters(Metrics& metrics, const Config& config, Of of) : metrics_{metrics}, config_{config}, of_{of} {
  constexpr std::array kRoles{"process", "load"};
  meter_program(metrics_, clock_, kRoles);
  // So that the first gap of a venue is a rise from 0. What is there already is looked at before anything is told.
  for (const auto& [venue, feed] : config.feeds) gaps_[venue];
}

void LiveMeters::look() {
  look_at_machine();
  meter_trouble(metrics_, "process", of_.pipeline.process_trouble().has_value());
  meter_trouble(metrics_, "load", of_.pipeline.load_trouble().has_value());
  const auto now = clock_.steady();
  if (now >= gaps_at_) {
    look_at_gaps();
    gaps_at_ = now + kGaps;
  }
}

void LiveMeters::look_at_machine() {
  const auto set = [&](const char* name, const char* help, std::uint64_t value) {
    metrics_.gauge(name, help).set(static_cast<std::int64_t>(value));
  };
  meter_store(metrics_, config_.store_file());
  struct statvfs disk {};
  if (statvfs(config_.data.c_str(), &disk) == 0) {
    set("truetape_disk_free_bytes", "Bytes free on the file system of the data directory, for who runs this.",
        std::uint64_t{disk.f_bavail} * disk.f_frsize);
    set("truetape_disk_size_bytes", "Bytes of that file system.", std::uint64_t{disk.f_blocks} * disk.f_frsize);
  }
  meter_memory(metrics_);
}

void LiveMeters::look_at_gaps() {
  for (auto& [venue, of] : gaps_) of = {};
  const Status read = of_.history.gaps({}, [&](const Gap& gap) {
    OfVenue& of = gaps_[std::string{gap.instrument.venue()}];
    const auto state = static_cast<std::size_t>(gap.state);
    ++of.gaps[state];
    of.missing[state] += static_cast<std::int64_t>(gap.missing);
    if (gap.state <= GapState::progress && (of.oldest_open == SecondsGauge::kNone || to_ns(gap.from) < of.oldest_open))
      of.oldest_open = to_ns(gap.from);
    return true;
  });
  if (!read) return;  // the store is in trouble, which load tells
  for (const auto& [venue, of] : gaps_) {
    for (std::size_t i = 0; i < of.gaps.size(); ++i) {
      const Labels labels{{"venue", venue}, {"state", std::string{name(static_cast<GapState>(i))}}};
      metrics_.gauge("truetape_gaps", "Gaps in the store, by their state now.", labels).set(of.gaps[i]);
      metrics_.gauge("truetape_gap_missing_ids", "Ids that these gaps still lack.", labels).set(of.missing[i]);
    }
    metrics_
        .seconds("truetape_gap_oldest_open_seconds",
                 "Where the oldest gap begins that has not ended, since 1970; not there: no gap is open.",
                 {{"venue", venue}})
        .set(of.oldest_open);
  }
}

}  // namespace truetape::app
