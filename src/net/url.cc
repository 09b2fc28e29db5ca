#include "net/url.h"

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <charconv>

#include "net/headers.h"

namespace truetape::net {
namespace {

auto bad(std::string detail) { return failure(Fault::malformed, Retry::never, std::move(detail)); }

std::string beginning(std::string_view text) {
  constexpr std::size_t kMost = 200;
  return text.size() <= kMost ? std::string{text} : std::string{text.substr(0, kMost)} + "...";
}
// Of text that is no good URL. Where its user and password end is not known then: all before the last @ is left out,
// and from the first ? behind it.
std::string shown(std::string_view text) {
  const std::size_t scheme = text.find("://"), at = text.rfind('@');
  const std::size_t host = scheme == std::string_view::npos ? 0 : scheme + 3;
  const std::string_view rest = text.substr(at == std::string_view::npos || at < host ? host : at + 1);
  return beginning(std::string{text.substr(0, host)} + std::string{rest.substr(0, rest.find('?'))});
}

std::string view(boost::urls::string_view text) { return {text.data(), text.size()}; }

std::string decoded(boost::urls::pct_string_view text, bool plus_is_space) {
  boost::urls::encoding_opts options;
  options.space_as_plus = plus_is_space;
  return text.decode(options);
}

}  // namespace

std::string Url::host_field() const {
  std::string field = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (!default_port()) field += ":" + std::to_string(port);
  return field;
}
std::string Url::origin() const { return scheme + "://" + host_field(); }
std::string Url::place() const { return origin() + target.substr(0, target.find('?')); }

Result<Url> parse_url(std::string_view text) {
  const auto parsed = boost::urls::parse_uri({text.data(), text.size()});
  if (!parsed) return bad("'" + shown(text) + "' is no URL; write scheme://host[:port]/path");
  Url url;
  url.scheme = ascii_lower(view(parsed->scheme()));
  if (url.scheme != "http" && url.scheme != "https" && url.scheme != "ws" && url.scheme != "wss")
    return bad("'" + shown(text) + "' begins with " + url.scheme + "; http, https, ws and wss are known");
  url.host =
      ascii_lower(parsed->host_type() == boost::urls::host_type::ipv6 ? view(parsed->host_address()) : parsed->host());
  // Boost.URL takes the beginning of a name such as 127.0.0.1.example.com for an address, and its rest for the path.
  if (!parsed->encoded_path().empty() && parsed->encoded_path().front() != '/')
    return bad("'" + shown(text) + "' names a host that begins like an address; that is refused");
  if (url.host.empty()) return bad("'" + shown(text) + "' names no host");
  url.port = url.tls() ? 443 : 80;
  if (parsed->has_port() && !parsed->port().empty()) {
    // Not port_number(), which wraps around.
    const std::string port = view(parsed->port());
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
    if (error != std::errc{} || end != port.data() + port.size() || url.port == 0)
      return bad("'" + shown(text) + "' has a port outside 1 to 65535");
  }
  url.target = view(parsed->encoded_path());
  if (url.target.empty()) url.target = "/";
  if (parsed->has_query()) url.target += "?" + view(parsed->encoded_query());
  if (parsed->has_userinfo()) {
    url.user = parsed->user();
    url.password = parsed->password();
  }
  return url;
}

std::string place_of(std::string_view url) {
  const auto parsed = parse_url(url);
  return parsed ? beginning(parsed->place()) : shown(url);
}

std::optional<std::string_view> Target::find(std::string_view name) const {
  for (const auto& [key, value] : query)
    if (key == name) return value;
  return std::nullopt;
}

Result<Target> parse_target(std::string_view text) {
  const auto parsed = boost::urls::parse_origin_form({text.data(), text.size()});
  if (!parsed)
    return bad("'" + beginning(text) + "' is no target of a request; write /path?name=value, percent-encoded");
  Target target;
  target.path = decoded(parsed->encoded_path(), false);
  if (target.path.find('\0') != std::string::npos) return bad("the path has a NUL byte");
  for (std::string_view rest = target.path; !rest.empty();) {
    rest.remove_prefix(1);  // the slash
    const std::string_view segment = rest.substr(0, rest.find('/'));
    if (segment == "." || segment == "..") return bad("the path has a segment '" + std::string{segment} + "'");
    rest.remove_prefix(segment.size());
  }
  for (const auto& param : parsed->encoded_params())
    target.query.emplace_back(decoded(param.key, true), decoded(param.value, true));
  return target;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string result;
  for (const char c : text) {
    if (kPlain.find(c) != std::string_view::npos) {
      result += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      result += '%';
      result += kHex[byte >> 4];
      result += kHex[byte & 15];
    }
  }
  return result;
}

}  // namespace truetape::net
