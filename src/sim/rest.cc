#include "sim/rest.h"

#include <algorithm>
#include <array>

#include "sim/rest_call.h"

namespace truetape::sim {
namespace {

constexpr std::int64_t kMinute = 60'000'000'000;

std::string seconds_until(Timestamp until, Timestamp now) {
  return std::to_string(std::max<std::int64_t>(1, (to_ns(until) - to_ns(now) + 999'999'999) / 1'000'000'000));
}

}  // namespace

std::string error_body(int code, std::string_view message) {
  std::string out = "{\"code\":" + std::to_string(code) + ",\"msg\":";
  append_json(out, message);
  return out + "}";
}

std::optional<RestAnswer> Rest::limited(Client& client, std::int64_t weight, Timestamp now) {
  const bool spot = market_.product() == Product::spot;
  const std::int64_t minute = to_ns(now) / kMinute;
  if (minute != client.minute) {
    client.minute = minute;
    client.weight = client.ignored = 0;
  }
  if (const std::int64_t span = minute / 5; span != client.span) {
    client.span = span;
    client.requests = 0;
  }
  client.weight += weight;
  ++client.requests;
  const auto refuse = [&](int status, std::string message, Timestamp until) {
    RestAnswer answer{.status = status, .body = error_body(-1003, message)};
    if (limits_.retry_after) answer.headers.emplace_back("Retry-After", seconds_until(until, now));
    return answer;
  };
  const std::string ban_ms = std::to_string(to_ns(client.banned_until) / 1'000'000);
  const auto banned = [&](const std::string& until_ms) {
    return refuse(418,
                  spot ? "Way too much request weight used; IP banned until " + until_ms +
                             ". Please use WebSocket Streams for live updates to avoid bans."
                       : "Way too many requests; IP banned until " + until_ms +
                             ". Please use the websocket for live updates to avoid bans.",
                  client.banned_until);
  };
  if (now < client.banned_until) return banned(ban_ms);
  if (client.weight <= limits_.weight && client.requests <= limits_.requests) return std::nullopt;
  if (++client.ignored > limits_.ban_after) {
    client.banned_until = now + limits_.ban * (std::int64_t{1} << std::min(client.bans++, 11));
    return banned(std::to_string(to_ns(client.banned_until) / 1'000'000));
  }
  const std::string limit = std::to_string(limits_.weight);
  return refuse(429,
                spot ? "Too much request weight used; current limit is " + limit +
                           " request weight per 1 MINUTE. Please use WebSocket Streams for live updates to avoid "
                           "polling the API."
                     : "Too many requests; current limit is " + limit +
                           " requests per minute. Please use the websocket for live updates to avoid polling the API.",
                timestamp_ns((minute + 1) * kMinute));
}

RestAnswer Rest::answer(const RestRequest& request) {
  Client& client = clients_[std::string{request.address}];
  RestCall call{market_, limits_, request, given_};
  RestAnswer answer;
  if (!call.known()) {
    answer.status = 404;
    answer.content_type = request.html_accepted ? "text/html" : "text/plain";
    if (request.html_accepted) answer.body = "<html><body><h2>404 Not found</h2></body></html>";
    // Also the weight of nothing is counted.
    if (auto refused = limited(client, 1, request.real)) answer = std::move(*refused);
  } else if (auto refused = limited(client, call.weight(), request.real)) {
    answer = std::move(*refused);
  } else {
    answer = call.run();
  }
  const std::string used = std::to_string(client.weight);
  answer.headers.emplace_back("x-mbx-used-weight", used);
  answer.headers.emplace_back("x-mbx-used-weight-1m", used);
  ++counts_[call.known() ? std::string{request.path} : "others"][answer.status];
  return answer;
}

}  // namespace truetape::sim
