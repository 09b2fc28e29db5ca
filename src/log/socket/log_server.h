// The log of this process, for commands beside it: who holds the writer lock of a log listens on a Unix socket in the
// data directory, and commands that write (`truetape import`, `truetape control`) append through it
// (remote_appender.h). A client appends, into `raw` and `control`, or has a reader forgotten; it reads from the log's
// own files.
//
// A thread accepts, and each client has a thread of its own, so a slow one delays nobody. What a client says is checked
// whole before any of it is appended: one that is broken or hostile is answered with an error and closed, and the log
// does not move. A client that goes, however it goes, loses only what it had not flushed.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "log/log.h"

namespace truetape {

struct LogServerOptions {
  std::size_t most_clients = 16;              // at a time; the next one is told to come later
  std::chrono::milliseconds greeting{5'000};  // for the first frame of a connection
  std::chrono::milliseconds frame{10'000};    // for the rest of a frame that has begun
  std::chrono::milliseconds idle{60'000};     // between frames; clients say something every 15 s
  std::chrono::milliseconds alone{2'000};     // how long a client waits for the one before it that did the same alone
  // A client wants the reader of this name forgotten (LmdbLog::forget_reader); any thread. None: refused.
  std::function<Status(std::string_view name)> forget{};
  std::function<void(const std::string&)>
      tell{};  // of each client that is turned away or breaks, a sentence; any thread
};

struct LogServerCounts {
  std::uint64_t clients = 0;   // now
  std::uint64_t accepted = 0;  // ever; those that greeted as they should
  std::uint64_t refused = 0;   // turned away: too many, another version or log, not alone
  std::uint64_t broken = 0;    // closed for what they said, or for their silence
  std::uint64_t records = 0;   // appended
};

class LogServer {
 public:
  // `log` is borrowed and outlives the server. `socket` is made with mode 0600 and removed at the end; what a killed
  // process left there is replaced. Fault::refused where another process answers there.
  static Result<std::unique_ptr<LogServer>> start(Log& log, const std::filesystem::path& socket,
                                                  LogServerOptions options = {});
  virtual ~LogServer() = default;              // tells the clients that the process ends, and waits for their threads
  virtual LogServerCounts counts() const = 0;  // any thread
};

}  // namespace truetape
