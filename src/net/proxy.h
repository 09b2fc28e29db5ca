// Which proxy a connection goes through, by the usual environment variables, in upper or lower case: HTTPS_PROXY (for
// https and wss), HTTP_PROXY (http and ws), ALL_PROXY, NO_PROXY. Proxies are spoken to over plain HTTP: encrypted
// connections and WebSockets by CONNECT, plain http by the absolute form.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "net/url.h"

namespace truetape::net {

struct ProxySettings {
  std::optional<Url> https = {}, http = {};
  // Hosts that are reached directly: "*", "example.com" (and all below it), ".example.com", "host:port", an address,
  // a network such as 10.0.0.0/8. Loopback always is, unless `proxy_loopback`.
  std::vector<std::string> direct = {};
  bool proxy_loopback = false;  // for tests

  // nullptr: directly.
  const Url* of(const Url& url) const;
};

// `get` answers a variable's value or nullptr, as std::getenv does. A proxy that is no http:// address is an error
// that names the variable. "host:port" without a scheme means http.
Result<ProxySettings> proxy_from_environment(const std::function<const char*(const char*)>& get);

}  // namespace truetape::net
