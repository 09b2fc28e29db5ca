// The calls that change something: a record of `control` each, answered once it is durable. Loop's thread.
#pragma once

#include <memory>
#include <optional>

#include "log/log.h"
#include "net/server.h"
#include "serve/context.h"
#include "serve/quarantine_work.h"

namespace truetape {

class ControlCalls {
 public:
  explicit ControlCalls(Context& context);

  // POST /start, POST /stop, POST /api/v1/instruments, DELETE /api/v1/instruments/VENUE:SYMBOL,
  // POST /api/v1/quarantine/replay, POST /api/v1/quarantine/drop; nullopt: none of them.
  std::optional<net::awaitable<net::ServerAnswer>> call(const net::RequestPtr& request);

 private:
  net::awaitable<net::ServerAnswer> put(ControlRecord record, std::string body);
  net::awaitable<net::ServerAnswer> want(net::RequestPtr request);
  net::awaitable<net::ServerAnswer> unwant(net::RequestPtr request);
  net::awaitable<net::ServerAnswer> quarantine(net::RequestPtr request, bool drop);
  Status append(const ControlText& record);                   // on worker_
  Result<QuarantineWorked> work(const QuarantineWork& work);  // on quarantine_worker_

  Context& context_;
  std::unique_ptr<Appender> appender_;  // of control; for worker_ alone
  std::unique_ptr<Appender> raw_;       // for quarantine_worker_ alone
  // Of one thread each: records keep the order of their calls, and a stop does not wait for a long replay. First to go.
  net::Workers worker_, quarantine_worker_;
};

}  // namespace truetape
