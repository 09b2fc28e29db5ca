// From a URL to a connected Channel: name, TCP, proxy, TLS. For files of src/net.
#pragma once

#include <memory>

#include "net/channel.h"
#include "net/connector.h"

namespace truetape::net {

struct Connector::Impl {
  Loop& loop;
  ConnectConfig config;
  std::unique_ptr<ssl::context> tls;
};

// `through` tells which proxy there is, nullptr: none. With `tunnel` the proxy is asked to CONNECT also for a plain
// connection; without, a plain connection is to the proxy itself.
awaitable<tl::expected<std::unique_ptr<Channel>, ConnectError>> open_channel(Connector& connector, Url url,
                                                                             bool tunnel);

// "Basic ..." for a user and password of a URL.
std::string basic_authorization(const Url& url);

// What an answer's body begins with, for a sentence: one line, printable, at most 120 bytes.
std::string beginning(std::string_view body);

}  // namespace truetape::net
