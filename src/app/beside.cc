#include "app/beside.h"

#include "app/open.h"

namespace truetape::app {

bool BesideLog::is_locked(const Error& error) {
  return error.fault == Fault::refused && error.retry == Retry::after_backoff;
}

Result<std::unique_ptr<BesideLog>> BesideLog::open(const Config& config, std::string alone, const Error& locked) {
  auto files = open_log_to_read(config);
  // The other one is making the log just now, or what it holds cannot be read.
  if (!files) return tl::unexpected{files.error().fault == Fault::not_found ? locked : files.error()};
  ConnectOptions options;
  options.log_id = std::string{(*files)->id()};
  options.alone = std::move(alone);
  auto remote = connect_log(config.socket_file(), options);
  if (!remote) return tl::unexpected{remote.error().fault == Fault::not_found ? locked : remote.error()};
  if (config.partitions != 0 && config.partitions != (*files)->partitions())
    return failure(Fault::mismatch, Retry::never,
                   "the log in " + config.data + " has " + std::to_string((*files)->partitions()) +
                       " partitions, not " + std::to_string(config.partitions) +
                       ": the number is fixed at creation; leave log.partitions out, or go on with --set "
                       "log.partitions=" +
                       std::to_string((*files)->partitions()));
  return std::unique_ptr<BesideLog>{new BesideLog{std::move(*files), std::move(*remote)}};
}

}  // namespace truetape::app
