// The calls below /api/v1 that give rows (docs/api.md).
#pragma once

#include <optional>
#include <string_view>

#include "net/server.h"
#include "serve/context.h"

namespace truetape {

// nullopt: no such path. The path is that of `request`; the method is GET or HEAD.
std::optional<net::awaitable<net::ServerAnswer>> rest_call(Context& context, const net::RequestPtr& request);

}  // namespace truetape
