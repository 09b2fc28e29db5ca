#include "app/copying.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "app/manifest.h"
#include "app/values.h"
#include "codec/digest.h"

namespace truetape::app {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPiece = std::size_t{1} << 20;
constexpr off_t kSyncEach = off_t{8} << 20;  // so that a sync of another's small file does not wait for much of this

class File {
 public:
  explicit File(int fd) : fd_{fd} {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { close(); }
  int fd() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

auto failed(int number, std::string_view doing, const std::filesystem::path& file) {
  const bool full = number == ENOSPC || number == EDQUOT || number == EFBIG;
  return failure(full ? Fault::no_space : Fault::io, Retry::never,
                 std::string{doing} + " " + file.string() + " failed (" + std::strerror(number) + "); " +
                     (full ? "free space there, or choose another place" : "check that disk and its rights"));
}

Status put_all(int fd, const char* data, std::size_t size, const std::filesystem::path& file) {
  while (size > 0) {
    const ssize_t n = ::write(fd, data, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed(errno, "writing", file);
    data += n;
    size -= static_cast<std::size_t>(n);
  }
  return {};
}

// From `from` to its end, into `to` if that is a file (-1: only read).
Result<Copied> pump(int from, int to, const std::filesystem::path& from_name, const std::filesystem::path& to_name,
                    Pace* pace) {
  const std::unique_ptr<char[]> piece{new char[kPiece]};
  Sha256 hash;
  Copied out;
  off_t synced = 0;
  for (;;) {
    const ssize_t n = ::read(from, piece.get(), kPiece);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed(errno, "reading", from_name);
    if (n == 0) break;
    hash.add({piece.get(), static_cast<std::size_t>(n)});
    if (to >= 0)
      if (Status put = put_all(to, piece.get(), static_cast<std::size_t>(n), to_name); !put)
        return tl::unexpected{put.error()};
    out.bytes += static_cast<std::uint64_t>(n);
    if (to >= 0 && static_cast<off_t>(out.bytes) - synced >= kSyncEach) {
      sync_file_range(to, synced, static_cast<off_t>(out.bytes) - synced,
                      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
      // What is read again only after a disaster need not push out what is needed now.
      posix_fadvise(to, 0, static_cast<off_t>(out.bytes), POSIX_FADV_DONTNEED);
      synced = static_cast<off_t>(out.bytes);
    }
    if (pace != nullptr) pace->copied(static_cast<std::uint64_t>(n));
  }
  if (to >= 0 && fsync(to) != 0) return failed(errno, "writing", to_name);
  out.sha256 = hash.hex();
  return out;
}

// Of a file system's root: not ours, and in nobody's way.
bool of_disk(const fs::directory_entry& entry) { return entry.path().filename() == "lost+found"; }

// Takes all out of it, the marker last: what is left at any instant says what it is of.
Status empty(const fs::path& path, const char* marker, bool itself) {
  std::error_code error;
  std::vector<fs::path> inner;
  for (fs::directory_iterator at{path, error}; !error && at != fs::directory_iterator{}; at.increment(error))
    if (!of_disk(*at) && at->path().filename() != marker) inner.push_back(at->path());
  for (auto at = inner.begin(); !error && at != inner.end(); ++at) fs::remove_all(*at, error);
  if (error) return failed(error.value(), "removing what is in", path);
  if (Status synced = sync_directory(path); !synced) return synced;
  fs::remove(path / marker, error);
  if (!error && itself) fs::remove(path, error);
  if (error) return failed(error.value(), "removing", path);
  return {};
}

// What a process that was killed has left, which its marker tells. False: there is none of that.
Result<bool> remove_left(const fs::path& path, const char* marker, bool itself) {
  const File left{::open((path / marker).c_str(), O_RDONLY | O_CLOEXEC)};
  if (left.fd() < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return failed(errno, "reading", path / marker);
  }
  // Without a link: the one who held it has come to its end meanwhile, and the directory is whole.
  struct stat info {};
  if (flock(left.fd(), LOCK_EX | LOCK_NB) != 0 || fstat(left.fd(), &info) != 0 || info.st_nlink == 0)
    return failure(Fault::refused, Retry::never,
                   "another process is writing " + path.string() + "; wait until it has ended");
  if (Status emptied = empty(path, marker, itself); !emptied) return tl::unexpected{emptied.error()};
  return true;
}

int open_new(const std::filesystem::path& file) {
  return ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
}

}  // namespace

void Pace::copied(std::uint64_t bytes) {
  bytes_ += bytes;
  if (rate_ == 0) return;
  const auto due =
      begin_ + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                   std::chrono::duration<double>{static_cast<double>(bytes_) / static_cast<double>(rate_)});
  std::this_thread::sleep_until(due);
}

Result<Copied> write_file(const std::filesystem::path& to, Pace& pace, const std::function<Status(int fd)>& write) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return failed(errno, "preparing", to);
  File from{ends[0]}, into{ends[1]};
  const File file{open_new(to)};
  if (file.fd() < 0) return failed(errno, "making", to);
  Status written;
  std::jthread writer{[&] {
    // The reader may give up before the end.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    written = write(into.fd());
    into.close();
  }};
  auto out = pump(from.fd(), file.fd(), to, to, &pace);
  from.close();
  writer.join();
  if (out && !written) return tl::unexpected{written.error()};
  return out;
}

Result<Copied> copy_file(const std::filesystem::path& from, const std::filesystem::path& to, Pace& pace) {
  const File source{::open(from.c_str(), O_RDONLY | O_CLOEXEC)};
  if (source.fd() < 0) return failed(errno, "reading", from);
  const File target{open_new(to)};
  if (target.fd() < 0) return failed(errno, "making", to);
  return pump(source.fd(), target.fd(), from, to, &pace);
}

Result<Copied> seal_file(const std::filesystem::path& file) {
  const File source{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
  if (source.fd() < 0) return failed(errno, "reading", file);
  if (fsync(source.fd()) != 0) return failed(errno, "writing", file);
  return pump(source.fd(), -1, file, {}, nullptr);
}

Status write_text(const std::filesystem::path& file, std::string_view text) {
  const File target{open_new(file)};
  if (target.fd() < 0) return failed(errno, "making", file);
  if (Status put = put_all(target.fd(), text.data(), text.size(), file); !put) return put;
  if (fsync(target.fd()) != 0) return failed(errno, "writing", file);
  return {};
}

Status sync_directory(const std::filesystem::path& directory) {
  const File file{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (file.fd() < 0 || fsync(file.fd()) != 0) return failed(errno, "writing", directory);
  return {};
}

Status expect_room(const std::filesystem::path& directory, std::uint64_t bytes) {
  struct statvfs disk {};
  if (statvfs(directory.c_str(), &disk) != 0) return failed(errno, "looking at", directory);
  const std::uint64_t room = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
  if (room >= bytes) return {};
  return failure(Fault::no_space, Retry::never,
                 "there is no room in " + directory.string() + ": up to " + size_text(bytes / 1'000'000 * 1'000'000) +
                     " are needed and " + size_text(room / 1'000'000 * 1'000'000) +
                     " are free; free space there, or choose another place");
}

bool holds_nothing(const fs::path& directory) {
  std::error_code error;
  fs::directory_iterator at{directory, error};
  for (; !error && at != fs::directory_iterator{}; at.increment(error))
    if (!of_disk(*at)) return false;
  return !error;
}

Result<PartialDirectory> PartialDirectory::make(const fs::path& final, const char* marker, std::string_view text) {
  PartialDirectory out;
  out.final_ = final;
  out.marker_ = marker;
  const fs::path beside = partial_of(final);
  for (const fs::path& path : {beside, final}) {
    const auto removed = remove_left(path, marker, path == beside);
    if (!removed) return tl::unexpected{removed.error()};
    if (*removed) out.replaced_ = path;
  }
  std::error_code error;
  const bool inside = fs::exists(final, error);
  const fs::path& path = inside ? final : beside;
  if (!inside) fs::create_directory(path, error);
  if (error) return failed(error.value(), "making", path);
  if (!holds_nothing(path))
    return failure(Fault::refused, Retry::never,
                   path.string() + " is in the way, and not of an unfinished copy; move it away");
  const fs::path mark = path / marker;
  if (Status marked = write_text(mark, text); !marked) {
    fs::remove(mark, error);
    if (!inside) fs::remove(path, error);
    return tl::unexpected{marked.error()};
  }
  out.lock_ = ::open(mark.c_str(), O_RDONLY | O_CLOEXEC);
  if (out.lock_ < 0 || flock(out.lock_, LOCK_EX | LOCK_NB) != 0) return failed(errno, "locking", mark);
  out.path_ = path;  // from here on the destructor removes it
  out.made_ = !inside;
  if (Status synced = sync_directory(path); !synced) return tl::unexpected{synced.error()};
  return out;
}

PartialDirectory::PartialDirectory(PartialDirectory&& from) noexcept
    : path_{std::exchange(from.path_, {})},
      final_{std::move(from.final_)},
      replaced_{std::move(from.replaced_)},
      marker_{from.marker_},
      lock_{std::exchange(from.lock_, -1)},
      made_{from.made_} {}

PartialDirectory::~PartialDirectory() {
  // What stays is told of by its marker, and removed by the next one.
  if (!path_.empty()) (void)empty(path_, marker_, made_);
  if (lock_ >= 0) ::close(lock_);
}

Status PartialDirectory::finish() {
  std::error_code error;
  fs::recursive_directory_iterator at{path_, error};
  while (!error && at != fs::recursive_directory_iterator{}) {
    if (at.depth() == 0 && of_disk(*at))
      at.disable_recursion_pending();
    else if (at->is_directory())
      if (Status synced = sync_directory(at->path()); !synced) return synced;
    at.increment(error);
  }
  if (error) return failed(error.value(), "looking at", path_);
  if (Status synced = sync_directory(path_); !synced) return synced;
  if (path_ != final_) {
    if (::rename(path_.c_str(), final_.c_str()) != 0) return failed(errno, "renaming to " + final_.string(), path_);
    path_ = final_;
    if (Status synced = sync_directory(fs::absolute(partial_of(final_)).parent_path()); !synced) return synced;
  }
  fs::remove(path_ / marker_, error);
  if (error) return failed(error.value(), "finishing", path_);
  return sync_directory(std::exchange(path_, {}));
}

}  // namespace truetape::app
