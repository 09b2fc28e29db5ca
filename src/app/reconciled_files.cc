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
  if (!written) std::filesystem::remove(fresh, error);
  return written;
}

std::vector<ReconciledWindow> reconciled_windows(const std::filesystem::path& data, const Instrument& instrument,
                                                 Tape tape, Interval interval, Timestamp from, Timestamp to,
                                                 const std::function<void(const std::string&)>& trouble) {
  const std::filesystem::path directory = data / kDirectory;
  const std::string series = series_name(instrument, tape, interval);
  std::vector<Reconciliation> results;
  std::error_code error;
  std::filesystem::directory_iterator entry{directory, error};
  if (error && error != std::errc::no_such_file_or_directory) trouble(directory.string() + ": " + error.message());
  for (; !error && entry != std::filesystem::directory_iterator{}; entry.increment(error)) {
    const auto times = times_of(entry->path().filename().string(), series);
    if (!times || times->from >= to || times->to <= from) continue;
    std::ifstream in{entry->path(), std::ios::binary};
    const std::string text{std::istreambuf_iterator<char>{in}, {}};
    auto result = parse_reconciliation(text);
    if (result)
      results.push_back(std::move(*result));
    else
      trouble(entry->path().string() + ": " + result.error().detail + "; delete it, or compare again");
  }
  std::ranges::sort(results, {}, &Reconciliation::at);
  std::map<Timestamp, ReconciledWindow> windows;
  for (const Reconciliation& result : results) add_windows(result, from, to, windows);
  std::vector<ReconciledWindow> out;
  out.reserve(windows.size());
  for (auto& [start, window] : windows) out.push_back(std::move(window));
  return out;
}

}  // namespace truetape::app
