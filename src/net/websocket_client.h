// Opens a WebSocket to a server.
#pragma once

#include <memory>
#include <string>

#include "net/connector.h"
#include "net/websocket.h"

namespace truetape::net {

struct WebSocketRequest {
  std::string url = {};                                      // ws or wss
  Headers headers = {};                                      // besides those of the handshake
  Nanoseconds handshake_timeout = std::chrono::seconds{10};  // after the connection stands
  WebSocketConfig config = {};
};

// A refused handshake is an error with the server's status, headers and body; the sentence tells what kind of content
// it answered (a page of a captive portal, say). Retry-After is in the headers: http_date.h, rate_budget.h.
awaitable<tl::expected<std::unique_ptr<WebSocket>, ConnectError>> connect_websocket(Connector& connector,
                                                                                    WebSocketRequest request);

}  // namespace truetape::net
