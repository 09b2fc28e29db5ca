#include "net/connector.h"

#include "net/open_channel.h"
#include "net/tls.h"

namespace truetape::net {

std::string_view name(Stage stage) {
  switch (stage) {
    case Stage::address:
      return "address";
    case Stage::connect:
      return "connect";
    case Stage::proxy:
      return "proxy";
    case Stage::tls:
      return "tls";
    case Stage::handshake:
      return "handshake";
  }
  return "";
}

Connector::Connector(std::unique_ptr<Impl> impl) : impl_{std::move(impl)} {}
Connector::~Connector() = default;
Loop& Connector::loop() { return impl_->loop; }

Result<std::unique_ptr<Connector>> Connector::make(Loop& loop, ConnectConfig config) {
  std::unique_ptr<ssl::context> tls;
  if (!config.wire) {  // a wire in memory carries no TLS, and reading all authorities takes its time
    auto made = client_tls(config.ca_file);
    if (!made) return tl::unexpected{std::move(made.error())};
    tls = std::move(*made);
  }
  return std::unique_ptr<Connector>{
      new Connector{std::make_unique<Impl>(Impl{loop, std::move(config), std::move(tls)})}};
}

}  // namespace truetape::net
