#include "app/reconciled_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>

#include "net/url.h"

namespace truetape::app {
namespace {

constexpr std::string_view kDirectory = "reconcile";  // below the data directory
constexpr std::string_view kEnding = ".json";

// "binance%3ABTCUSDT.trade.1m.": how the names of all files of one series begin.
std::string series_name(const Instrument& instrument, Tape tape, Interval interval) {
  return net::percent_encode(instrument.text()) + '.' + std::string{name(tape)} + '.' + to_text(interval) + '.';
}
std::string seconds_text(Timestamp t) {
  return std::to_string(std::chrono::floor<std::chrono::seconds>(t.time_since_epoch()).count());
}

// The times of "<series>1723161240-1723161840.json"; nullopt: another file.
struct Times {
  Timestamp from, to;
};
std::optional<Times> times_of(std::string_view file, std::string_view series) {
  if (!file.starts_with(series) || !file.ends_with(kEnding)) return std::nullopt;
  file.remove_prefix(series.size());
  file.remove_suffix(kEnding.size());
  const std::size_t dash = file.find('-', 1);
  if (dash == std::string_view::npos) return std::nullopt;
  const auto time = [](std::string_view text) -> std::optional<Timestamp> {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return from_epoch(value, TimeUnit::s);
  };
  const auto from = time(file.substr(0, dash)), to = time(file.substr(dash + 1));
  if (!from || !to) return std::nullopt;
  return Times{*from, *to};
}

auto cannot(std::string_view doing, const std::filesystem::path& path, int error) {
  return failure(error == ENOSPC || error == EDQUOT ? Fault::no_space : Fault::io, Retry::after_backoff,
                 std::string{doing} + " " + path.string() + ": " + std::strerror(error));
}

class File {
 public:
  File(const std::filesystem::path& path, int flags) : fd_{::open(path.c_str(), flags | O_CLOEXEC, 0644)} {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

Status keep_reconciliation(const std::filesystem::path& data, const Reconciliation& result) {
  const std::filesystem::path directory = data / kDirectory;
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return cannot("creating", directory, error.value());
  const std::string base = series_name(result.instrument, result.tape, result.interval) + seconds_text(result.from) +
                           '-' + seconds_text(result.to);
  const std::filesystem::path path = directory / (base + std::string{kEnding});
  const std::filesystem::path fresh = directory / (base + '.' + std::to_string(::getpid()) + ".new");
  const std::string text = reconciliation_text(result);
  const auto written = [&]() -> Status {
    const File file{fresh, O_WRONLY | O_CREAT | O_TRUNC};
    if (file.fd() < 0) return cannot("creating", fresh, errno);
    for (std::size_t done = 0; done < text.size();) {
      const ssize_t size = ::write(file.fd(), text.data() + done, text.size() - done);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return cannot("writing", fresh, errno);
      done += static_cast<std::size_t>(size);
    }
    if (::fsync(file.fd()) != 0) return cannot("writing", fresh, errno);
    if (::rename(fresh.c_str(), path.c_str()) != 0) return cannot("writing", path, errno);
    const File folder{directory, O_RDONLY | O_DIRECTORY};
    if (folder.fd() < 0 || ::fsync(folder.fd()) != 0) return cannot("writing", directory, errno);
    return {};
  }();
  if (!written) {
    std::filesystem::remove(fresh, error);
    return written;
  }
  const std::string series = series_name(result.instrument, result.tape, result.interval);
  std::vector<std::filesystem::path> covered;
  for (const auto& entry : std::filesystem::directory_iterator{directory, error}) {
    const auto times = times_of(entry.path().filename().string(), series);
    if (times && times->from >= result.from && times->to <= result.to && entry.path() != path)
      covered.push_back(entry.path());
  }
  if (error) return cannot("listing", directory, error.value());
  for (const std::filesystem::path& file : covered)
    if (std::filesystem::remove(file, error); error) return cannot("deleting", file, error.value());
  return {};
}

namespace {

std::size_t bytes_of(const Reconciliation& result) {
  std::size_t bytes = sizeof result;
  for (const EqualRun& run : result.equal) bytes += sizeof run + run.revisions.size() * sizeof run.revisions[0];
  for (const UnlistedRun& run : result.unlisted) bytes += sizeof run + run.revisions.size() * sizeof run.revisions[0];
  for (const Difference& one : result.differences) bytes += sizeof one + one.fields.size() * sizeof one.fields[0] + 100;
  return bytes;
}

}  // namespace

ReconciledFiles::ReconciledFiles(std::filesystem::path data, Trouble trouble)
    : directory_{std::move(data) / kDirectory}, trouble_{std::move(trouble)} {}

std::uint64_t ReconciledFiles::parsed() const {
  const std::lock_guard lock{mutex_};
  return parsed_;
}

// False: a file went away while they were listed, as one does that a newer comparison covers.
bool ReconciledFiles::list(const std::string& series, Timestamp from, Timestamp to, std::vector<ResultPtr>& out) {
  std::erase_if(known_, [&](const auto& known) {
    const bool gone = known.first.starts_with(series) && !std::filesystem::exists(directory_ / known.first);
    if (gone) bytes_ -= known.second.bytes;
    return gone;
  });
  std::error_code error;
  std::filesystem::directory_iterator entry{directory_, error};
  if (error && error != std::errc::no_such_file_or_directory) trouble_(directory_.string() + ": " + error.message());
  for (; !error && entry != std::filesystem::directory_iterator{}; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    const auto times = times_of(name, series);
    if (!times || times->from >= to || times->to <= from) continue;
    std::error_code gone;
    const auto written = std::filesystem::last_write_time(entry->path(), gone);
    const auto size = gone ? 0 : std::filesystem::file_size(entry->path(), gone);
    if (gone == std::errc::no_such_file_or_directory) return false;
    Known& known = known_[name];
    if (gone || known.used == 0 || known.written != written || known.size != size) {
      std::ifstream in{entry->path(), std::ios::binary};
      if (!in && !std::filesystem::exists(entry->path())) return false;
      const std::string text{std::istreambuf_iterator<char>{in}, {}};
      auto result = parse_reconciliation(text);
      ++parsed_;
      bytes_ -= known.bytes;
      known = {written, size, nullptr, result ? bytes_of(*result) : sizeof *result, 0};
      bytes_ += known.bytes;
      if (result)
        known.result = std::make_shared<const Reconciliation>(std::move(*result));
      else
        trouble_(entry->path().string() + ": " + result.error().detail + "; delete it, or compare again");
    }
    known.used = ++uses_;
    if (known.result) out.push_back(known.result);
  }
  return true;
}

void ReconciledFiles::forget_some() {
  while (bytes_ > kMostBytes) {
    const auto oldest = std::ranges::min_element(known_, {}, [](const auto& known) { return known.second.used; });
    bytes_ -= oldest->second.bytes;
    known_.erase(oldest);
  }
}

auto ReconciledFiles::results(const std::string& series, Timestamp from, Timestamp to) -> std::vector<ResultPtr> {
  constexpr int kTries = 5;  // each time a comparison has ended meanwhile
  const std::lock_guard lock{mutex_};
  std::vector<ResultPtr> out;
  for (int tries = 0; tries < kTries; ++tries) {
    out.clear();
    if (list(series, from, to, out)) break;
  }
  forget_some();
  std::ranges::sort(out, {}, [](const ResultPtr& result) { return result->at; });
  return out;
}

std::vector<ReconciledWindow> ReconciledFiles::windows(const Instrument& instrument, Tape tape, Interval interval,
                                                       Timestamp from, Timestamp to, std::uint64_t most, bool newest) {
  const auto of = results(series_name(instrument, tape, interval), from, to);
  if (of.empty() || most == 0) return {};
  const auto begin = [](const ResultPtr& result) { return result->from; };
  const auto end = [](const ResultPtr& result) { return result->to; };
  from = std::max(from, begin(*std::ranges::min_element(of, {}, begin)));
  to = std::min(to, end(*std::ranges::max_element(of, {}, end)));
  // As much of the time as holds so many windows if none is without a result, then twice that.
  std::map<Timestamp, ReconciledWindow> windows;
  for (auto many = static_cast<std::int64_t>(std::min<std::uint64_t>(most, 1'000'000));; many *= 2) {
    const bool all = many >= (to - from) / interval + 1;
    const Timestamp first = newest && !all ? to - interval * many : from;
    const Timestamp last = newest || all ? to : from + interval * many;
    windows.clear();
    for (const ResultPtr& result : of) add_windows(*result, first, last, windows);
    if (all || windows.size() >= most) break;
  }
  while (windows.size() > most) windows.erase(newest ? windows.begin() : std::prev(windows.end()));
  std::vector<ReconciledWindow> out;
  out.reserve(windows.size());
  for (auto& [start, window] : windows) out.push_back(std::move(window));
  return out;
}

}  // namespace truetape::app
