#include "log/socket/unix_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>

namespace truetape::log_socket {
namespace {

using namespace std::chrono_literals;

constexpr int kBacklog = 32;
constexpr auto kBusy = 2s;  // for a listener whose backlog is full
constexpr std::size_t kPiece = std::size_t{128} << 10;

std::string words(int error) { return std::error_code{error, std::generic_category()}.message(); }

// sun_path holds about a hundred bytes. A longer path is reached by its directory's descriptor.
struct Address {
  sockaddr_un name{};
  Fd directory;
};
Result<Address> address_of(const std::filesystem::path& path) {
  Address out;
  out.name.sun_family = AF_UNIX;
  std::string text = path.string();
  if (text.size() >= sizeof out.name.sun_path) {
    const std::filesystem::path parent = path.has_parent_path() ? path.parent_path() : ".";
    out.directory = Fd{::open(parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
    if (!out.directory)
      return failure(errno == ENOENT ? Fault::not_found : Fault::io, Retry::never,
                     parent.string() + " cannot be opened: " + words(errno) + "; check the path and its rights");
    text = "/proc/self/fd/" + std::to_string(out.directory.get()) + '/' + path.filename().string();
    if (text.size() >= sizeof out.name.sun_path || ::access("/proc/self/fd", X_OK) != 0)
      return failure(Fault::out_of_range, Retry::never,
                     "the path " + path.string() +
                         " is too long for a socket; use a data directory with a path of at "
                         "most " +
                         std::to_string(sizeof out.name.sun_path - 16) + " bytes");
  }
  std::copy(text.begin(), text.end(), out.name.sun_path);
  return out;
}

Result<Fd> new_socket() {
  Fd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!fd) return failure(Fault::io, Retry::after_backoff, "no socket can be made: " + words(errno));
  return fd;
}

const sockaddr* generic(const Address& address) { return reinterpret_cast<const sockaddr*>(&address.name); }

// 0, or errno.
int connect_once(int fd, const Address& address) {
  return ::connect(fd, generic(address), sizeof address.name) == 0 ? 0 : errno;
}

bool wait_for(int fd, short events, std::chrono::steady_clock::time_point until) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    pollfd one{fd, events, 0};
    const int n = ::poll(&one, 1, static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1'000'000)));
    if (n > 0) return true;
    if (n == 0 && left <= 0ms) return false;
    if (n < 0 && errno != EINTR) return true;  // the call that follows tells
  }
}

}  // namespace

Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}

Result<Listener> Listener::open(const std::filesystem::path& path) {
  const auto refused = [&](const std::string& what) {
    return failure(Fault::refused, Retry::never, path.string() + ' ' + what);
  };
  auto address = address_of(path);
  if (!address) return tl::unexpected{address.error()};
  auto fd = new_socket();
  if (!fd) return tl::unexpected{fd.error()};
  // The name takes the rights of the socket that is bound to it: nobody else's for no instant.
  if (::fchmod(fd->get(), 0600) != 0) return refused("cannot be made: " + words(errno));
  // Two that begin at once: one of them looks first, removes what was left and binds before the other looks.
  const std::filesystem::path parent = path.has_parent_path() ? path.parent_path() : ".";
  const Fd directory{::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!directory) return refused("cannot be made: " + words(errno) + "; check the path and its rights");
  while (::flock(directory.get(), LOCK_EX) != 0)
    if (errno != EINTR) return refused("cannot be made: its directory cannot be locked: " + words(errno));
  if (::bind(fd->get(), generic(*address), sizeof address->name) != 0) {
    if (errno != EADDRINUSE) return refused("cannot be made: " + words(errno) + "; check the path and its rights");
    struct stat there {};
    if (::lstat(path.c_str(), &there) == 0 && !S_ISSOCK(there.st_mode))
      return refused("is there and is no socket; move it away");
    auto trial = new_socket();
    if (!trial) return tl::unexpected{trial.error()};
    if (const int error = connect_once(trial->get(), *address); error != ECONNREFUSED && error != ENOENT)
      return refused("is answered by another process; only one may write the log");
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
      return refused("was left by a process that has ended and cannot be removed: " + words(errno));
    if (::bind(fd->get(), generic(*address), sizeof address->name) != 0)
      return refused("cannot be made: " + words(errno) + "; check the path and its rights");
  }
  Listener out{path, std::move(*fd)};
  struct stat ours {};
  if (::lstat(path.c_str(), &ours) == 0) {
    out.device_ = ours.st_dev;
    out.inode_ = ours.st_ino;
  }
  if (::listen(out.fd(), kBacklog) != 0) return refused("cannot be listened at: " + words(errno));
  return out;
}

Listener::~Listener() {
  if (!fd_) return;  // moved from
  struct stat there {};
  if (::lstat(path_.c_str(), &there) == 0 && there.st_dev == device_ && there.st_ino == inode_) ::unlink(path_.c_str());
}

Result<Fd> connect_to(const std::filesystem::path& path) {
  auto address = address_of(path);
  if (!address) return tl::unexpected{address.error()};
  auto fd = new_socket();
  if (!fd) return tl::unexpected{fd.error()};
  const auto until = std::chrono::steady_clock::now() + kBusy;
  for (;;) {
    const int error = connect_once(fd->get(), *address);
    if (error == 0) return fd;
    if (error == EINTR) continue;
    if (error == EAGAIN && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(20ms);
      continue;
    }
    if (error == ENOENT || error == ECONNREFUSED || error == ENOTDIR || error == ENOTSOCK || error == EPROTOTYPE)
      return failure(Fault::not_found, Retry::after_backoff, "nobody answers at " + path.string());
    if (error == EAGAIN)
      return failure(Fault::unavailable, Retry::after_backoff,
                     "the process that listens at " + path.string() + " does not answer; is it stopped?");
    return failure(
        Fault::refused, Retry::never,
        "there is no way to " + path.string() + ": " + words(error) + "; run as the user whose process it is");
  }
}

Io receive(int fd, std::string& into, std::chrono::milliseconds wait) {
  const auto until = std::chrono::steady_clock::now() + wait;
  char piece[kPiece];
  for (;;) {
    const ssize_t n = ::recv(fd, piece, sizeof piece, MSG_DONTWAIT);
    if (n > 0) {
      into.append(piece, static_cast<std::size_t>(n));
      return Io::ok;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) return Io::closed;
    if (errno == EAGAIN && !wait_for(fd, POLLIN, until)) return Io::late;
  }
}

Io send_all(int fd, std::string_view bytes, std::chrono::milliseconds wait) {
  auto until = std::chrono::steady_clock::now() + wait;
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
      until = std::chrono::steady_clock::now() + wait;
      continue;
    }
    if (n < 0 && errno != EAGAIN && errno != EINTR) return Io::closed;
    if (n < 0 && errno == EAGAIN && !wait_for(fd, POLLOUT, until)) return Io::late;
  }
  return Io::ok;
}

}  // namespace truetape::log_socket
