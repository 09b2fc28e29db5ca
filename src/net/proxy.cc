#include "net/proxy.h"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>

#include "net/headers.h"

namespace truetape::net {
namespace {

namespace ip = boost::asio::ip;

std::optional<ip::address> address_of(std::string_view text) {
  boost::system::error_code ec;
  const ip::address address = ip::make_address(text, ec);
  if (ec) return std::nullopt;
  return address;
}

bool in_network(const ip::address& address, std::string_view network) {
  boost::system::error_code ec;
  if (address.is_v4()) {
    const auto net = ip::make_network_v4(network, ec);
    return !ec && ip::network_v4{address.to_v4(), net.prefix_length()}.canonical() == net.canonical();
  }
  const auto net = ip::make_network_v6(network, ec);
  return !ec && ip::network_v6{address.to_v6(), net.prefix_length()}.canonical() == net.canonical();
}

bool matches(std::string_view rule, const Url& url) {
  if (rule == "*") return true;
  const std::optional<ip::address> address = address_of(url.host);
  if (address && rule.find('/') != std::string_view::npos) return in_network(*address, rule);
  if (!address_of(rule)) {  // an IPv6 address has colons of its own
    if (const std::size_t colon = rule.rfind(':'); colon != std::string_view::npos) {
      if (rule.substr(colon + 1) != std::to_string(url.port)) return false;
      rule = rule.substr(0, colon);
    }
    if (rule.size() > 2 && rule.front() == '[' && rule.back() == ']') rule = rule.substr(1, rule.size() - 2);
  }
  if (const auto other = address_of(rule)) return address && *address == *other;
  if (address) return false;
  if (rule.starts_with(".")) rule.remove_prefix(1);
  if (rule.empty() || url.host.size() < rule.size()) return false;
  const std::size_t before = url.host.size() - rule.size();
  return equal_ignoring_case(std::string_view{url.host}.substr(before), rule) &&
         (before == 0 || url.host[before - 1] == '.');
}

bool loopback(const Url& url) {
  const std::optional<ip::address> address = address_of(url.host);
  return address ? address->is_loopback() : url.host == "localhost" || url.host.ends_with(".localhost");
}

std::string_view value_of(const std::function<const char*(const char*)>& get, std::string_view name) {
  for (const std::string& spelling : {ascii_lower(name), std::string{name}})
    if (const char* value = get(spelling.c_str()); value != nullptr && *value != '\0') return value;
  return {};
}

Result<std::optional<Url>> proxy_of(const std::function<const char*(const char*)>& get, std::string_view name) {
  const std::string_view text = value_of(get, name);
  if (text.empty()) return std::optional<Url>{};
  const auto url =
      parse_url(text.find("://") == std::string_view::npos ? "http://" + std::string{text} : std::string{text});
  // The text may hold a password: it is not repeated.
  if (!url || url->scheme != "http")
    return failure(Fault::malformed, Retry::never,
                   std::string{name} + " in the environment is no http:// address; write http://host:port or unset it");
  return std::optional<Url>{*url};
}

}  // namespace

const Url* ProxySettings::of(const Url& url) const {
  const std::optional<Url>& proxy = url.tls() ? https : http;
  if (!proxy || (!proxy_loopback && loopback(url))) return nullptr;
  for (const std::string& rule : direct)
    if (matches(rule, url)) return nullptr;
  return &*proxy;
}

Result<ProxySettings> proxy_from_environment(const std::function<const char*(const char*)>& get) {
  ProxySettings settings;
  for (const auto& [name, proxy] :
       {std::pair{"HTTPS_PROXY", &settings.https}, std::pair{"HTTP_PROXY", &settings.http}}) {
    auto own = proxy_of(get, name);
    if (own && !*own) own = proxy_of(get, "ALL_PROXY");
    if (!own) return tl::unexpected{own.error()};
    *proxy = *own;
  }
  for (std::string_view rest = value_of(get, "NO_PROXY"); !rest.empty();) {
    const std::size_t comma = rest.find(',');
    std::string rule{rest.substr(0, comma)};
    std::erase(rule, ' ');
    if (!rule.empty()) settings.direct.push_back(std::move(rule));
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
  }
  return settings;
}

}  // namespace truetape::net
