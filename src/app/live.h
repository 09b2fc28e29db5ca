// Everything that `truetape run` is made of, in one process on the embedded log: the venues' connections (ingest),
// process, load, the HTTP interface (serve) and the socket for commands that write beside it. Each has its own threads;
// they share the log and the metrics.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "app/config.h"
#include "codec/control.h"
#include "core/result.h"
#include "metrics/metrics.h"

namespace truetape::app {

struct LiveOptions {
  bool adopt = false;  // the store may hold another log's rows
};

class Live {
 public:
  // Opens and starts all of it; an error says in one sentence what keeps it from running, and nothing runs then. What
  // `config.instruments` names is wanted from now on. Borrowed, outlive it: `config`, `metrics`.
  static Result<std::unique_ptr<Live>> start(const Config& config, Metrics& metrics, LiveOptions options);
  ~Live();  // without stop(): what was received and is not processed is left to the next start
  Live(const Live&) = delete;
  Live& operator=(const Live&) = delete;

  std::string origin() const;  // where it serves: "http://127.0.0.1:8780"
  std::uint16_t port() const;
  const ControlState& control() const;  // as it was at the start, with what is wanted since
  // The log can no longer be written, and all of this with it: destroy it and start anew.
  Status health() const;
  // Tells the metrics how it stands, and the lines what of the log's room needs somebody. About once a second, by one
  // thread.
  void look();

  // Ends in order: commands beside it, the venues' connections, then what was received is processed and loaded. An
  // error says what was left undone; the next start does it.
  Status stop();

 private:
  struct Parts;
  explicit Live(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace truetape::app
