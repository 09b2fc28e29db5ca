#include "venues/binance/feed_messages.h"

#include <charconv>

#include "venues/json.h"

namespace truetape::binance {
namespace {

using json::Object;
using json::Type;
using json::Value;

void append_text(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

std::optional<std::int64_t> number(const Value& value) {
  if (value.type != Type::integer) return std::nullopt;
  std::int64_t out = 0;
  const auto [end, ec] = std::from_chars(value.text.data(), value.text.data() + value.text.size(), out);
  return ec == std::errc{} && end == value.text.data() + value.text.size() ? std::optional{out} : std::nullopt;
}

std::string error_text(const Object& from) {
  const Value message = from.get("msg"), code = from.get("code");
  std::string text = message.type == Type::string ? json::unescape(message.text) : "no reason given";
  if (code.type == Type::integer) text += " (code " + std::string{code.text} + ")";
  return text;
}

}  // namespace

std::string subscribe_message(bool subscribe, std::span<const std::string> names, std::int64_t id) {
  std::string out = subscribe ? R"({"method":"SUBSCRIBE","params":[)" : R"({"method":"UNSUBSCRIBE","params":[)";
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) out += ',';
    append_text(out, names[i]);
  }
  return out + R"(],"id":)" + std::to_string(id) + '}';
}

std::size_t batch_size(std::span<const std::string> names, std::size_t most, std::size_t most_bytes) {
  std::size_t count = 0, bytes = 0;
  while (count < names.size() && count < most) {
    bytes += names[count].size() + 3;  // quotes and a comma
    if (count > 0 && bytes > most_bytes) break;
    ++count;
  }
  return count;
}

std::optional<feeds::Reply> read_reply(std::string_view frame) {
  if (frame.starts_with(R"({"stream":)")) return std::nullopt;
  Object object;
  json::Problem problem;
  if (!object.read(frame, problem) || object.has("stream") || object.has('e')) return std::nullopt;
  const Value nested = object.get("error");
  const bool flat = object.has("code") && object.has("msg");
  if (!object.has("result") && nested.type == Type::none && !flat) return std::nullopt;
  feeds::Reply reply;
  reply.id = number(object.get("id"));
  if (nested.type == Type::object) {
    Object error;
    reply.error = error.read(nested.text, problem) ? error_text(error) : "no reason given";
  } else if (nested.type != Type::none && nested.type != Type::null) {
    reply.error = std::string{nested.text};
  } else if (flat) {
    reply.error = error_text(object);
  }
  return reply;
}

std::string_view stream_name(std::string_view frame) {
  constexpr std::string_view kBegin = R"({"stream":")";
  if (!frame.starts_with(kBegin)) return {};
  frame.remove_prefix(kBegin.size());
  const std::size_t quote = frame.find('"');
  return quote == std::string_view::npos ? std::string_view{} : frame.substr(0, quote);
}

bool is_shutdown_notice(std::string_view frame, std::string_view stream) {
  return stream == "!serverShutdown" || (stream.empty() && frame.starts_with(R"({"e":"serverShutdown")"));
}

}  // namespace truetape::binance
