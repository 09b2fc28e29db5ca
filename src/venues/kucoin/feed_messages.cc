#include "venues/kucoin/feed_messages.h"

#include "core/digits.h"
#include "net/url.h"
#include "venues/kucoin/item.h"

namespace truetape::kucoin {
namespace {

using feeds::Reply;
using json::Object;
using json::Type;
using json::Value;

std::string_view channel_of(std::string_view topic) { return topic.substr(0, topic.find(':') + 1); }

void append_escaped(std::string_view text, std::string& out) {
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
}

// Ours are numbers, which the venue gives back as texts; of the venue's own making are others.
std::optional<std::int64_t> own_id(const Value& id) {
  if (id.type != Type::string && id.type != Type::integer) return std::nullopt;
  return digits::natural(id.text);
}

// What an error is about tells what helps. Topics and symbols: not to ask for them. All else is of the connection or of
// the moment: another connection, after a while.
bool is_about_topics(std::int64_t code, std::string_view words) {
  return code == 400 || code == 403 || code == 404 || code == 406 ||
         (code == 509 && words.find("subscription count") != std::string_view::npos);
}

Reply error_of(const Message& message) {
  std::string room;
  const std::string words{message.data.type == Type::string ? payload::text_of(message.data, room) : ""};
  const std::int64_t code = message.code.type == Type::integer ? digits::natural(message.code.text).value_or(0) : 0;
  Reply out;
  out.error = (words.empty() ? "no reason given" : words) + " (code " + std::to_string(code) + ")";
  out.kind = Reply::Kind::refusal;
  if (is_about_topics(code, words) && words != "ping timeout") {
    out.kind = Reply::Kind::answer;
    out.id = own_id(message.id);
  } else if (code == 415) {  // a type of message that it does not know
    out.kind = Reply::Kind::remark;
  }
  return out;
}

}  // namespace

std::string_view topic_of(std::string_view frame) {
  constexpr std::string_view kFirst = "{\"topic\":\"";
  if (frame.starts_with(kFirst)) {
    const std::string_view rest = frame.substr(kFirst.size());
    const std::size_t end = rest.find_first_of("\"\\");
    if (end != std::string_view::npos && rest[end] == '"') return rest.substr(0, end);
  }
  if (frame.find("\"topic\"") == std::string_view::npos) return {};
  Message message;
  if (!read_plain(frame, message)) {
    message = {};
    Room room;
    json::Problem problem;
    if (!read_strict(frame, message, room, problem)) return {};
  }
  return message.topic.type == Type::string && !message.topic.escaped ? message.topic.text : std::string_view{};
}

std::size_t batch_size(std::span<const std::string> topics, const feeds::PlanLimits& limits) {
  std::size_t count = 0, bytes = 0;
  for (const std::string& topic : topics) {
    bytes += topic.size();
    if (count > 0 && (count == limits.names || bytes > limits.bytes || channel_of(topic) != channel_of(topics.front())))
      break;
    ++count;
  }
  return count;
}

std::string subscribe_message(bool subscribe, std::span<const std::string> topics, std::int64_t id) {
  std::string out =
      R"({"id":")" + std::to_string(id) + R"(","type":")" + (subscribe ? "" : "un") + R"(subscribe","topic":")";
  for (std::size_t i = 0; i < topics.size(); ++i) {
    const std::string_view topic = topics[i];
    if (i > 0) out += ',';
    append_escaped(i > 0 ? topic.substr(channel_of(topic).size()) : topic, out);
  }
  return out + R"(","privateChannel":false,"response":true})";
}

std::string ping_message(std::int64_t id) { return R"({"id":")" + std::to_string(id) + R"(","type":"ping"})"; }

std::optional<Reply> read_reply(std::string_view frame) {
  Message message;
  Room room;
  json::Problem problem;
  if (!read_strict(frame, message, room, problem) || message.type.type != Type::string) return std::nullopt;
  const std::string_view type = message.type.text;
  if (type == "welcome") return Reply{Reply::Kind::welcome};
  if (type == "ack") return Reply{Reply::Kind::answer, own_id(message.id)};
  if (type == "pong") return Reply{Reply::Kind::pong, own_id(message.id)};
  if (type == "error") return error_of(message);
  return std::nullopt;
}

// {"code":"200000","data":{"token":"…","instanceServers":[{"endpoint":"wss://…/","encrypt":true,"protocol":"websocket",
// "pingInterval":18000,"pingTimeout":10000}]}}
Result<feeds::Address> read_address(std::string_view answer, const feeds::Settings& settings) {
  const auto malformed = [](std::string sentence) {
    return failure(Fault::malformed, Retry::after_backoff, std::move(sentence));
  };
  Object object, told, server;
  const auto data = answer_data(answer, object);
  if (!data) return tl::unexpected{data.error()};
  json::Problem problem;
  if (data->type != Type::object || !told.read(data->text, problem))
    return malformed("the answer to the token call has no \"data\"");
  const Value token = told.get("token"), servers = told.get("instanceServers");
  if (token.type != Type::string || token.text.empty()) return malformed("the answer to the token call has no token");
  json::Reader in{servers.text};
  Value first;
  if (servers.type != Type::array || !in.take('[') || !in.value(first) || first.type != Type::object ||
      !server.read(first.text, problem) || server.get("endpoint").type != Type::string)
    return malformed("the answer to the token call names no server");
  std::string room;
  const std::string endpoint{payload::text_of(server.get("endpoint"), room)};
  auto url = net::parse_url(endpoint);
  if (!url || (url->scheme != "wss" && url->scheme != "ws"))
    return malformed("the answer to the token call names a server that is none: " + net::place_of(endpoint));
  const std::size_t path = endpoint.find('/', endpoint.find("://") + 3);
  const std::string target = path == std::string::npos ? "/" : endpoint.substr(path);
  if (settings.stream_url.empty() && url->scheme != "wss" && settings.rest_url.starts_with("https:"))
    return malformed("the answer to the token call names a server without encryption: " + net::place_of(endpoint));
  feeds::Address out;
  out.url = (settings.stream_url.empty() ? endpoint.substr(0, path) : settings.stream_url) + target +
            (target.find('?') == std::string::npos ? "?" : "&") +
            "token=" + net::percent_encode(payload::text_of(token, room));
  const auto milliseconds = [&](std::string_view key) -> std::optional<Nanoseconds> {
    const Value value = server.get(key);
    const auto ms = value.type == Type::integer ? digits::natural(value.text) : std::nullopt;
    // Sound ones only: a second to an hour.
    if (!ms || *ms < 1'000 || *ms > 3'600'000) return std::nullopt;
    return std::chrono::milliseconds{*ms};
  };
  out.ping_every = milliseconds("pingInterval");
  out.pong_timeout = milliseconds("pingTimeout");
  return out;
}

}  // namespace truetape::kucoin
