// Unix sockets as the log's server and its clients need them. Internal to log/socket. POSIX and Linux's /proc only.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "core/result.h"

namespace truetape::log_socket {

// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_{fd} {}
  Fd(Fd&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// A socket that listens, under its name until destroyed.
class Listener {
 public:
  // Only the owner may connect. What a process that was killed left there is removed, if nobody answers any more;
  // where somebody does, or a file that is no socket stands there: Fault::refused.
  static Result<Listener> open(const std::filesystem::path& path);
  Listener(Listener&&) = default;
  Listener& operator=(Listener&&) = delete;
  ~Listener();
  int fd() const { return fd_.get(); }

 private:
  Listener(std::filesystem::path path, Fd fd) : path_{std::move(path)}, fd_{std::move(fd)} {}
  std::filesystem::path path_;
  Fd fd_;
  unsigned long device_ = 0, inode_ = 0;  // of the name that is ours
};

// Fault::not_found: there is no socket, or nobody listens any more. Fault::refused: not allowed.
Result<Fd> connect_to(const std::filesystem::path& path);

enum class Io { ok, closed, late };  // closed: also every error, for a stream that broke is as good as closed
// What has come, appended; waits for the first byte.
Io receive(int fd, std::string& into, std::chrono::milliseconds wait);
// All of it; `wait` is for each piece that the other side takes.
Io send_all(int fd, std::string_view bytes, std::chrono::milliseconds wait);

}  // namespace truetape::log_socket
