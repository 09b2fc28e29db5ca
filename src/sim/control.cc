#include "sim/control.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <optional>

namespace truetape::sim {
namespace {

constexpr std::array<std::string_view, 5> kMethods{"SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY",
                                                   "GET_PROPERTY"};
constexpr std::size_t kLongestId = 36;

// The id as it is given back; nullopt: of a kind that is not taken.
std::optional<std::string> id_text(simdjson::dom::element id, bool any) {
  std::string out;
  std::int64_t number = 0;
  std::uint64_t large = 0;
  std::string_view text;
  if (id.get(number) == simdjson::SUCCESS) {
    if (number < 0 && !any) return std::nullopt;
    append_number(out, number);
    return out;
  }
  if (id.get(large) == simdjson::SUCCESS) {
    if (any) return std::nullopt;  // signed, of 64 bits
    append_number(out, large);
    return out;
  }
  if (!any) return std::nullopt;
  if (id.is_null()) return "null";
  if (id.get(text) != simdjson::SUCCESS || text.size() > kLongestId) return std::nullopt;
  append_json(out, text);
  return out;
}

class Control {
 public:
  Control(ControlState& state, const ControlLimits& limits, const std::function<bool(std::string_view)>& known)
      : state_{state}, limits_{limits}, known_{known} {}

  ControlAnswer answer(std::string_view message) {
    simdjson::dom::parser parser;
    simdjson::dom::element root;
    if (parser.parse(message.data(), message.size()).get(root) != simdjson::SUCCESS)
      return refuse(3, "Invalid JSON: expected value at line 1 column 1");
    if (!root.is_object()) return refuse(3, "Invalid JSON: expected object at line 1 column 1");
    if (simdjson::dom::element id; root["id"].get(id) == simdjson::SUCCESS) {
      const auto text = id_text(id, limits_.any_id);
      if (!text) return refuse(2, "Invalid request: request ID must be an unsigned integer");
      answer_.id = *text;
    } else {
      return refuse(2, "Invalid request: request ID must be an unsigned integer");
    }
    std::string_view method;
    if (root["method"].get(method) != simdjson::SUCCESS)
      return refuse(2, "Invalid request: missing field `method` at line 1 column " + std::to_string(message.size()));
    if (std::ranges::find(kMethods, method) == kMethods.end())
      return refuse(2, "Invalid request: unknown variant " + std::string{method} +
                           ", expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, "
                           "`GET_PROPERTY` at line 1 column 28");
    if (method == "LIST_SUBSCRIPTIONS") return list();
    simdjson::dom::array params;
    if (root["params"].get(params) != simdjson::SUCCESS)
      return refuse(2, "Invalid request: missing field `params` at line 1 column " + std::to_string(message.size()));
    if (method == "SUBSCRIBE" || method == "UNSUBSCRIBE") return streams(params, method == "SUBSCRIBE");
    return property(params, method == "SET_PROPERTY");
  }

 private:
  ControlAnswer refuse(int code, std::string_view text) {
    std::string body = "\"code\":" + std::to_string(code) + ",\"msg\":";
    append_json(body, text);
    const std::string id = answer_.id.empty() ? std::string{} : ",\"id\":" + answer_.id;
    answer_.text = limits_.nested_errors ? "{\"error\":{" + body + "}" + id + "}" : "{" + body + id + "}";
    answer_.refused = true;
    return std::move(answer_);
  }
  ControlAnswer result(std::string_view value) {
    answer_.text = "{\"result\":" + std::string{value} + ",\"id\":" + answer_.id + "}";
    return std::move(answer_);
  }

  ControlAnswer list() {
    std::string names = "[";
    for (const std::string& stream : state_.streams) {
      if (names.size() > 1) names += ',';
      append_json(names, stream);
    }
    return result(names + "]");
  }

  ControlAnswer streams(simdjson::dom::array params, bool subscribe) {
    std::vector<std::string> names;
    for (const simdjson::dom::element param : params) {
      std::string_view name;
      if (param.get(name) != simdjson::SUCCESS || !known_(name)) return refuse(2, "Invalid request: invalid stream");
      names.emplace_back(name);
    }
    if (subscribe) {
      std::vector<std::string> all = state_.streams;
      for (std::string& name : names)
        if (std::ranges::find(all, name) == all.end()) all.push_back(std::move(name));
      if (all.size() > limits_.streams) return refuse(4, "Too many subscriptions");
      state_.streams = std::move(all);
      answer_.subscribed = true;
    } else {
      std::erase_if(state_.streams,
                    [&](const std::string& stream) { return std::ranges::find(names, stream) != names.end(); });
      answer_.unsubscribed = true;
    }
    return result("null");
  }

  ControlAnswer property(simdjson::dom::array params, bool set) {
    if (params.size() > (set ? 2u : 1u)) return refuse(2, "Invalid request: too many parameters");
    std::string_view name;
    if (params.at(0).get(name) != simdjson::SUCCESS)
      return refuse(2, "Invalid request: property name must be a string");
    if (name != "combined") return refuse(0, "Unknown property");
    if (!set) return result(state_.combined ? "true" : "false");
    bool value = false;
    if (params.at(1).get(value) != simdjson::SUCCESS) return refuse(1, "Invalid value type: expected Boolean");
    state_.combined = value;
    return result("null");
  }

  ControlState& state_;
  const ControlLimits& limits_;
  const std::function<bool(std::string_view)>& known_;
  ControlAnswer answer_;
};

}  // namespace

ControlAnswer control(std::string_view message, ControlState& state, const ControlLimits& limits,
                      const std::function<bool(std::string_view)>& known) {
  return Control{state, limits, known}.answer(message);
}

}  // namespace truetape::sim
