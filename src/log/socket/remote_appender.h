// Appends into the log of another process, which holds its writer lock and listens on a Unix socket (log_server.h).
// What the log has is read from its own files (open_lmdb_log, read_only): they are the same records.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "log/log.h"

namespace truetape {

struct ConnectOptions {
  std::string log_id;  // the log that is meant; another one is Fault::mismatch. Empty: whichever it is
  // What only one client may do at a time, such as "import"; the others are Fault::refused. Empty: nothing.
  std::string alone;
  std::size_t append_buffer_bytes = std::size_t{8} << 20;  // of each appender
  std::chrono::milliseconds patience{60'000};  // a process that says nothing for so long is taken for stopped
};

// The connection. Any thread. It lives until this and all its appenders are gone.
class RemoteLog {
 public:
  virtual ~RemoteLog() = default;
  virtual std::string_view id() const = 0;
  virtual std::int64_t epoch() const = 0;
  virtual std::int32_t partitions() const = 0;
  // As Log::appender: `raw` or `control`, one thread at a time. A thread of the connection sends what appenders hold,
  // so the buffer empties by itself. When the other process ends, flush answers Fault::unavailable with
  // Retry::reconnect: what was flushed is in the log, of what was not some may be.
  virtual Result<std::unique_ptr<Appender>> appender(std::string_view topic) = 0;
  // As LmdbLog::forget_reader, of the other process's log.
  virtual Status forget_reader(std::string_view name) = 0;
  // Why nothing goes through it any more; known at once when the other process ends.
  virtual Status health() const = 0;
};

// Fault::not_found: nobody listens at `socket`. Else as the other process said it.
Result<std::unique_ptr<RemoteLog>> connect_log(const std::filesystem::path& socket, ConnectOptions options = {});

}  // namespace truetape
