#include "sim/kucoin_session.h"

#include <simdjson.h>

#include <algorithm>

#include "sim/kucoin_front.h"

namespace truetape::sim {
namespace {

using net::SteadyTime;

SteadyTime after(SteadyTime from, Nanoseconds by) {
  return by <= Nanoseconds::zero() || by > SteadyTime::max() - from ? SteadyTime::max() : from + by;
}

// Given back as text, whatever it was.
std::string id_of(simdjson::dom::element message) {
  simdjson::dom::element id;
  std::string_view text;
  if (message["id"].get(id) != simdjson::SUCCESS) return {};
  if (id.get(text) == simdjson::SUCCESS) return std::string{text};
  return id.is_number() ? simdjson::to_string(id) : std::string{};
}

}  // namespace

KucoinSession::KucoinSession(KucoinFront& front, Simulator& simulator, Wire& wire, std::string address, std::string id,
                             Refusal refusal)
    : front_{front},
      simulator_{simulator},
      wire_{wire},
      address_{std::move(address)},
      id_{std::move(id)},
      refusal_{std::move(refusal)},
      timer_{simulator.loop()} {
  if (!id_.empty()) return;
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  Random random{mix(simulator.config().scenario.seed, wire.number())};
  for (int i = 0; i < 10; ++i) id_ += kLetters[random.below(kLetters.size())];
}

void KucoinSession::open() {
  if (refusal_.code != 0) {  // the reason in place of the welcome, then an end without a close frame
    refuse(id_, refusal_.code, refusal_.text);
    return wire_.end(refusal_.text, "fin", 0, "");
  }
  ++front_.sessions(address_);
  counted_ = true;
  const SteadyTime now = simulator_.loop().now();
  heard_ = now;
  life_end_ = after(now, simulator_.limits().life);
  tick();
  std::string welcome = R"({"id":)";
  append_json(welcome, id_);
  welcome += R"(,"type":"welcome"})";
  const FaultSpec* const fault = simulator_.meets(FaultKind::welcome, wire_.number());
  AnswerFate fate{.silent = fault != nullptr && fault->how == "none"};
  if (fault != nullptr && fault->how == "late") fate.due = simulator_.now() + fault->by;
  wire_.answer(std::move(welcome), fate);
}

void KucoinSession::refuse(std::string_view id, int code, std::string_view text) {
  wire_.say(kucoin::error_message(id, code, text));
}

bool KucoinSession::count_message() {
  const SteadyTime now = simulator_.loop().now();
  messages_.push_back(now);
  while (now - messages_.front() >= std::chrono::seconds{10}) messages_.pop_front();
  return std::ssize(messages_) <= simulator_.limits().messages;
}

void KucoinSession::received(std::string_view message) {
  heard_ = simulator_.loop().now();
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  const bool json = parser.parse(message.data(), message.size()).get(root) == simdjson::SUCCESS && root.is_object();
  const std::string id = json ? id_of(root) : std::string{};
  if (!count_message()) return refuse(id, 509, "exceed max permits per second");
  std::string_view type, topic;
  if (!json || root["type"].get(type) != simdjson::SUCCESS) return refuse(id, 415, "command type is invalid");
  if (type == "ping") {
    std::string pong = R"({"id":)";
    append_json(pong, id);
    pong += R"(,"type":"pong")";
    if (simulator_.config().newer_fields)
      pong += R"(,"timestamp":)" + std::to_string(to_us(simulator_.now() + simulator_.skew()));
    ++wire_.log().pings;
    return wire_.say(pong + '}');
  }
  if (type != "subscribe" && type != "unsubscribe") return refuse(id, 415, "type is not supported");
  bool response = false, secret = false;
  if (root["response"].get(response) != simdjson::SUCCESS) response = false;
  if (root["privateChannel"].get(secret) != simdjson::SUCCESS) secret = false;
  if (root["topic"].get(topic) != simdjson::SUCCESS) topic = {};
  change(id, topic, type == "subscribe", response, secret);
}

void KucoinSession::change(std::string_view id, std::string_view topic, bool subscribe, bool answered, bool secret) {
  const Limits& limits = simulator_.limits();
  if (secret) return refuse(id, 403, "login is required");
  const auto parsed = kucoin::parse_topic(topic, limits.batch, simulator_.market());
  if (!parsed) return refuse(id, parsed.error().code, parsed.error().text);
  if (subscribe) {
    std::set<std::string_view> fresh;
    for (const kucoin::Topic& one : *parsed)
      if (!topics_.contains(one.name)) fresh.insert(one.name);
    if (topics_.size() + fresh.size() > limits.streams)  // none of them; the earlier ones stay
      return refuse(id, 509,
                    "exceed max subscription count limitation of " + std::to_string(limits.streams) + " per session");
  }
  AnswerFate fate;
  if (answered) fate = wire_.answer_fate();
  std::string text = kucoin::ack_message(id);
  bool refused = false;
  for (const std::string_view how : fate.hows) {
    refused = refused || how == "refuse";
    text = how == "wrong_id" ? kucoin::ack_message("987654321")
                             : kucoin::error_message(id, 404, "topic " + std::string{topic} + " is not found");
  }
  if (answered) wire_.answer(std::move(text), fate);
  if (refused) return;
  for (const kucoin::Topic& one : *parsed) {
    if (subscribe && topics_.insert(one.name).second) front_.subscribe(wire_, one);
    if (!subscribe && topics_.erase(one.name) != 0) front_.unsubscribe(wire_, one.name);
  }
}

void KucoinSession::say_error(int code) {
  if (code == 0) code = 500;
  refuse(id_, code,
         code == 401   ? "token is expired"
         : code == 404 ? "topic does not exist"
         : code == 509 ? "service busy, please retry later"
                       : "system error");
}

void KucoinSession::tick() {
  if (wire_.deaf()) return;
  const Limits& limits = simulator_.limits();
  const SteadyTime now = simulator_.loop().now();
  const SteadyTime silent = after(heard_, limits.silent);
  if (now >= silent) {
    refuse(id_, 400, "ping timeout");
    return wire_.end("no ping", "fin", 0, "");
  }
  if (now >= life_end_) return wire_.end("life", limits.life_end, 1001, "");
  if (const SteadyTime next = std::min(silent, life_end_); next != SteadyTime::max())
    timer_.at(next, [this] { tick(); });
}

void KucoinSession::ended() {
  if (counted_) --front_.sessions(address_);
  for (const std::string& name : topics_) front_.unsubscribe(wire_, name);
}

}  // namespace truetape::sim
