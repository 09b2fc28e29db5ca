#include "app/append_log.h"

#include "app/open.h"

namespace truetape::app {

Result<AppendLog> open_to_append(const Config& config) {
  if (const Status there = expect_log(config); !there) return tl::unexpected{there.error()};
  AppendLog out;
  auto own = open_log_to_write(config);
  if (own) {
    out.own = std::move(*own);
    return out;
  }
  if (!BesideLog::is_locked(own.error())) return tl::unexpected{own.error()};
  auto beside = BesideLog::open(config, "", own.error());
  if (!beside) return tl::unexpected{beside.error()};
  out.beside = std::move(*beside);
  return out;
}

}  // namespace truetape::app
