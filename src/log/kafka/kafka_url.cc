#include "log/kafka/kafka_url.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <optional>

namespace truetape {
namespace {

constexpr std::string_view kForm =
    "write kafka://HOST:PORT,HOST:PORT/PREFIX?NAME=VALUE&…, such as kafka://broker1:9092,broker2:9092/market";

auto malformed(std::string_view url, const std::string& what) {
  // What follows the question mark may hold a password.
  return failure(Fault::malformed, Retry::never,
                 "\"" + std::string{url.substr(0, url.find('?'))} + "\" is no place of a log on Kafka: " + what + "; " +
                     std::string{kForm});
}

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

std::optional<std::string> decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned code = 0;
    if (i + 2 >= text.size()) return std::nullopt;
    const auto [end, error] = std::from_chars(text.data() + i + 1, text.data() + i + 3, code, 16);
    if (error != std::errc{} || end != text.data() + i + 3) return std::nullopt;
    out += static_cast<char>(code);
    i += 2;
  }
  return out;
}

bool may_be_set(std::string_view name) {
  constexpr std::array<std::string_view, 5> kBeginnings{"sasl.", "ssl.", "socket.", "broker.", "reconnect."};
  return name == "security.protocol" || name == "debug" || name == "client.rack" || name == "log.connection.close" ||
         std::ranges::any_of(kBeginnings, [&](std::string_view b) { return name.starts_with(b); });
}

Result<std::string> brokers_of(std::string_view url, std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    const std::string_view one = text.substr(at, end - at);
    at = end + 1;
    // Behind the bracket of an IPv6 address, else behind the host.
    const std::size_t bracket = one.starts_with('[') ? one.find(']') : 0;
    if (one.empty() || bracket == std::string_view::npos || one.find('@') != std::string_view::npos)
      return malformed(url, "\"" + std::string{one} + "\" is no HOST:PORT");
    const std::size_t colon = one.find(':', bracket);
    unsigned port = 9092;
    if (colon != std::string_view::npos) {
      const std::string_view digits = one.substr(colon + 1);
      const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
      if (error != std::errc{} || stop != digits.data() + digits.size() || port == 0 || port > 65'535)
        return malformed(url, "\"" + std::string{digits} + "\" is no port, which is a number from 1 to 65535");
    }
    if (colon == 0) return malformed(url, "a host is missing before \":" + std::to_string(port) + "\"");
    out.append(out.empty() ? "" : ",").append(one.substr(0, colon)).append(":").append(std::to_string(port));
  }
  return out;
}

}  // namespace

Result<KafkaPlace> parse_kafka_url(std::string_view url) {
  if (!is_kafka_url(url)) return malformed(url, "it does not begin with kafka://");
  std::string_view rest = url.substr(8);
  std::string_view query;
  if (const auto mark = rest.find('?'); mark != std::string_view::npos) {
    query = rest.substr(mark + 1);
    rest = rest.substr(0, mark);
  }
  const std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos) return malformed(url, "the prefix of the topics is missing");
  KafkaPlace out;
  auto brokers = brokers_of(url, rest.substr(0, slash));
  if (!brokers) return tl::unexpected{brokers.error()};
  out.brokers = std::move(*brokers);
  out.prefix = rest.substr(slash + 1);
  if (out.prefix.empty() || out.prefix.size() > 100 || !std::ranges::all_of(out.prefix, is_name))
    return malformed(
        url, "\"" + out.prefix + "\" is no prefix of topics, which has 1 to 100 letters, digits, '.', '_' and '-'");
  if (out.prefix.find_first_not_of('.') == std::string::npos) return malformed(url, "the prefix is nothing but dots");
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query = query.substr(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    const std::string name{pair.substr(0, equals)};
    if (equals == std::string_view::npos) return malformed(url, "\"" + name + "\" has no value");
    auto value = decoded(pair.substr(equals + 1));
    if (!value) return malformed(url, "the value of \"" + name + "\" has a % that is not followed by two hex digits");
    if (!may_be_set(name))
      return malformed(url, "\"" + name +
                                "\" cannot be set there; allowed are security.protocol, sasl.*, ssl.*, socket.*, "
                                "broker.*, reconnect.*, client.rack, debug and log.connection.close of librdkafka, and "
                                "sasl.password.file");
    if (name == "sasl.password.file") {
      std::ifstream in{*value};
      std::string password;
      if (!in || !std::getline(in, password))
        return failure(Fault::not_found, Retry::never,
                       "the password of Kafka cannot be read from " + *value +
                           " (sasl.password.file); write it into the first line of that file");
      out.properties.emplace_back("sasl.password", std::move(password));
    } else {
      out.properties.emplace_back(name, std::move(*value));
    }
  }
  return out;
}

}  // namespace truetape
