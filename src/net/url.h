// Addresses, and the target of a request. Parsed by Boost.URL; both answer with one sentence where they cannot.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"

namespace truetape::net {

struct Url {
  std::string scheme;  // http, https, ws, wss
  std::string host;    // lower case; an IPv6 address without its brackets
  std::uint16_t port = 0;
  std::string target;          // path and query as written, percent-encoded; "/" where there is none
  std::string user, password;  // decoded

  bool tls() const { return scheme == "https" || scheme == "wss"; }
  bool default_port() const { return port == (tls() ? 443 : 80); }
  // As the Host field has it: [::1]:8080, example.com.
  std::string host_field() const;
  // scheme://host:port, without what might be secret: for sentences.
  std::string origin() const;
  std::string place() const;  // origin and path, without query
};
Result<Url> parse_url(std::string_view text);

// What a sentence may say of an address, whatever it holds: no user, password or query, at most 200 bytes.
std::string place_of(std::string_view url);

// A request's target, decoded. A path with a segment "." or "..", or a NUL byte, is refused.
struct Target {
  std::string path;  // percent-decoded, begins with "/"
  // In their order; + is a space, as browsers and clients send it.
  std::vector<std::pair<std::string, std::string>> query;
  // The first of that name.
  std::optional<std::string_view> find(std::string_view name) const;
};
Result<Target> parse_target(std::string_view text);

// Everything but letters, digits and -._~ as %XX.
std::string percent_encode(std::string_view text);

}  // namespace truetape::net
