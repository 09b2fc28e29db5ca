// Who may call: tokens, and the defence against other sites in the user's browser.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "net/server.h"
#include "serve/serve.h"

namespace truetape {

// Takes the same time wherever they differ; only the lengths can be told apart.
bool same_secret(std::string_view a, std::string_view b);
// 127.0.0.0/8 and ::1, also as ::ffff:127.0.0.1. Not a name.
bool is_loopback(std::string_view address);

class Guard {
 public:
  explicit Guard(const ServeConfig& config);
  enum class Act : std::uint8_t {
    page,    // the page itself, which asks for the token
    read,    // any call that changes nothing
    stream,  // a WebSocket: browsers open them to anywhere, and cannot send a header
    change,  // POST, DELETE
  };
  // An answer refuses the request: 401, 403 or 421.
  std::optional<net::ServerAnswer> refuse(const net::ServerRequest& request, Act act) const;

 private:
  bool host_is_ours(const net::ServerRequest& request) const;
  static bool same_origin(const net::ServerRequest& request);

  std::string address_, read_, control_;
  bool loopback_;
};

}  // namespace truetape
