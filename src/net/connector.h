// What outgoing connections have in common: certificates to trust, proxies, time to connect. One per Loop, made at the
// start, outlives what connects through it.
//
// TLS is verified always: chain, dates, host name; TLS 1.2 at least; SNI is sent. There is no switch to turn it off; a
// private authority is trusted by its `ca_file`.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/result.h"
#include "net/headers.h"
#include "net/loop.h"
#include "net/proxy.h"

namespace truetape::net {

class MemoryWire;

struct ConnectConfig {
  std::string ca_file = {};  // PEM; trusted instead of the system's authorities. Empty: the system's (OpenSSL's default
                             // places; SSL_CERT_FILE and SSL_CERT_DIR are obeyed)
  ProxySettings proxy = {};
  Nanoseconds connect_timeout = std::chrono::seconds{10};  // name, TCP, proxy and TLS together
  // For simulations: what stands in place of TCP, for plain URLs. nullptr: the connection is refused.
  std::function<std::shared_ptr<MemoryWire>(const Url& url)> wire = {};
};

// How far an attempt to connect came.
enum class Stage { address, connect, proxy, tls, handshake };
std::string_view name(Stage stage);

// Why there is no connection. Retry::never means that the same attempt will fail again (403, 404, 451, wrong URL).
struct ConnectError : Error {
  Stage stage = Stage::address;
  // What an HTTP server or proxy answered instead of going on; status 0: nothing. At most 8 MB of body; `sentence()`
  // of it is in the detail.
  int status = 0;
  Headers headers;
  std::string body;
};

class Connector {
 public:
  // An unreadable `ca_file` is an error.
  static Result<std::unique_ptr<Connector>> make(Loop& loop, ConnectConfig config);
  ~Connector();

  Loop& loop();
  struct Impl;
  Impl& impl() { return *impl_; }  // for src/net only

 private:
  explicit Connector(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace truetape::net
