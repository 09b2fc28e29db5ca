#include "serve/guard.h"

namespace truetape {
namespace {

// The name or address of a Host field, in lower case, without port and brackets; empty: it is none.
std::string host_of(std::string_view field) {
  if (field.starts_with('[')) {
    const std::size_t end = field.find(']');
    return end == std::string_view::npos ? std::string{} : net::ascii_lower(field.substr(1, end - 1));
  }
  return net::ascii_lower(field.substr(0, field.find(':')));
}

}  // namespace

bool same_secret(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  volatile unsigned char differ = 0;  // volatile: the loop must not end at the first difference
  for (std::size_t i = 0; i < a.size(); ++i)
    differ = static_cast<unsigned char>(differ | (static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i])));
  return differ == 0;
}

bool is_loopback(std::string_view address) {
  if (address.starts_with("::ffff:")) address.remove_prefix(7);
  if (address == "::1") return true;
  if (!address.starts_with("127.")) return false;
  return address.find_first_not_of("0123456789.") == std::string_view::npos;
}

Guard::Guard(const ServeConfig& config)
    : address_{config.http.address},
      read_{config.read_token},
      control_{config.control_token},
      loopback_{is_loopback(config.http.address)} {}

// On loopback only names of this machine: a page elsewhere whose name was made to point at 127.0.0.1 (DNS rebinding)
// comes with its own name.
bool Guard::host_is_ours(const net::ServerRequest& request) const {
  if (!loopback_) return true;  // whoever asks has a token
  const std::string host = host_of(request.headers.get("Host"));
  return host == "localhost" || host.ends_with(".localhost") || is_loopback(host) || host == address_;
}

bool Guard::same_origin(const net::ServerRequest& request) {
  const auto origin = request.headers.find("Origin");
  if (!origin) return true;  // no browser, or a page of ours that only reads
  const std::string own = (request.tls ? "https://" : "http://") + std::string{request.headers.get("Host")};
  return net::ascii_lower(*origin) == net::ascii_lower(own);
}

std::optional<net::ServerAnswer> Guard::refuse(const net::ServerRequest& request, Act act) const {
  if (!host_is_ours(request))
    return net::problem(421, "this server answers for this machine only; use http://127.0.0.1 or http://localhost");
  if (act == Act::page) return std::nullopt;
  if (act != Act::read && !same_origin(request)) return net::problem(403, "a page of another origin may not call this");
  const std::string& needed = act == Act::change ? control_ : read_;
  if (needed.empty()) return std::nullopt;
  std::string_view given;
  const std::string_view header = request.headers.get("Authorization");
  if (header.size() > 7 && net::equal_ignoring_case(header.substr(0, 7), "bearer ")) given = header.substr(7);
  // Browsers cannot send a header with a WebSocket.
  if (given.empty() && act == Act::stream) given = request.where.find("token").value_or(std::string_view{});
  if (!given.empty()) {
    if (!control_.empty() && same_secret(given, control_)) return std::nullopt;
    if (act != Act::change && same_secret(given, read_)) return std::nullopt;
    if (act == Act::change && !read_.empty() && same_secret(given, read_))
      return net::problem(403, "this needs the control token (serve.control_token)");
  }
  auto answer = net::problem(401, std::string{"a token is needed: Authorization: Bearer TOKEN ("} +
                                      (act == Act::change ? "serve.control_token)" : "serve.read_token)"));
  answer.headers.add("WWW-Authenticate", "Bearer");
  return answer;
}

Status check(const ServeConfig& config) {
  const auto refuse = [](std::string sentence) { return failure(Fault::malformed, Retry::never, std::move(sentence)); };
  if (!is_loopback(config.http.address) && (config.read_token.empty() || config.control_token.empty()))
    return refuse("serve.address: " + config.http.address +
                  " can be reached from other machines; set serve.read_token and serve.control_token, or listen on "
                  "127.0.0.1");
  if (!config.read_token.empty() && config.control_token.empty())
    return refuse(
        "serve.control_token: is not set though serve.read_token is; who may not read could then change things");
  if (!config.read_token.empty() && config.read_token == config.control_token)
    return refuse("serve.control_token: is the same as serve.read_token; who may read could then change things");
  if (config.http.certificate_file.empty() != config.http.key_file.empty())
    return refuse(
        "serve.tls: a certificate and a key are needed; set both serve.tls.certificate and serve.tls.key, or "
        "none");
  if (config.recent_candles < 61 || config.recent_candles > 10'000)
    return refuse("serve.recent_candles: " + std::to_string(config.recent_candles) +
                  " is refused; allowed: 61 to 10000, since larger candles are rolled up from as many as 60 smaller");
  if (config.recent_trades < 1 || config.recent_trades > 100'000)
    return refuse("serve.recent_trades: " + std::to_string(config.recent_trades) + " is refused; allowed: 1 to 100000");
  if (config.most_subscriptions < 1) return refuse("serve.most_subscriptions: 0 is refused; allowed: 1 and more");
  if (config.stale_after < std::chrono::seconds{1})
    return refuse("serve.stale_after: is refused; allowed: 1s and more, since evidence comes once a second");
  return {};
}

}  // namespace truetape
