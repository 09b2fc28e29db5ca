// What existing clients of Binance call: /api/v3/klines, time, exchangeInfo, ping, and its error bodies.
#pragma once

#include <optional>

#include "net/server.h"
#include "serve/context.h"

namespace truetape {

// nullopt: no such path below /api/v3. The method is GET.
std::optional<net::awaitable<net::ServerAnswer>> binance_call(Context& context, const net::RequestPtr& request);
// {"code":-1121,"msg":"Invalid symbol."}
net::ServerAnswer binance_error(int status, int code, std::string_view message);

}  // namespace truetape
