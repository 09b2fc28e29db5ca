#include "sim/kucoin_front.h"

#include <algorithm>

#include "sim/kucoin_session.h"

namespace truetape::sim {

using kucoin::Channel;

KucoinFront::KucoinFront(Simulator& simulator)
    : simulator_{simulator},
      market_{simulator.market()},
      rest_{simulator.market(), simulator.limits(), simulator.config().scenario.seed},
      fans_(simulator.market().size()) {}

// ---- the server

std::optional<net::ServerAnswer> KucoinFront::upgrade(const net::ServerRequest& request) {
  // The endpoint's path is what the token call told; an older one was /endpoint.
  if (request.where.path != "/" && request.where.path != "/endpoint")
    return net::text_answer(404, "application/json", kucoin::refused(404, "404000", "Url Not Found").body);
  return std::nullopt;
}

std::unique_ptr<Session> KucoinFront::session(Wire& wire, const net::ServerRequest& request) {
  const Limits& limits = simulator_.limits();
  KucoinSession::Refusal refusal;
  const auto token = request.where.find("token");
  const FaultSpec* const fault = simulator_.meets(FaultKind::token, wire.number());
  const KucoinRest::Token known =
      fault != nullptr
          ? (fault->how == "expired" ? KucoinRest::Token::expired : KucoinRest::Token::invalid)
          : rest_.check(token ? std::string_view{*token} : std::string_view{}, simulator_.loop().clock().now());
  if (known == KucoinRest::Token::invalid) refusal = {401, "token is invalid"};
  if (known == KucoinRest::Token::expired) refusal = {401, "token is expired"};
  auto& connects = connects_[request.address];
  const net::SteadyTime now = simulator_.loop().now();
  while (!connects.empty() && now - connects.front() >= std::chrono::minutes{1}) connects.pop_front();
  if (std::ssize(connects) >= limits.connects)
    refusal = {509, "service busy, please retry later"};
  else
    connects.push_back(now);
  if (refusal.code == 0 && sessions_[request.address] >= limits.connections)
    refusal = {509, "exceed max session count limitation of " + std::to_string(limits.connections)};
  const auto id = request.where.find("connectId");
  return std::make_unique<KucoinSession>(*this, simulator_, wire, request.address,
                                         id ? std::string{*id} : std::string{}, std::move(refusal));
}

RestAnswer KucoinFront::answer(const net::ServerRequest& request, Duration lag) {
  const std::string_view host = request.headers.get("Host");
  const std::string endpoint = host.empty() ? simulator_.websocket_url() + '/'
                                            : std::string{request.tls ? "wss://" : "ws://"} + std::string{host} + '/';
  return rest_.answer({.method = request.method,
                       .path = request.where.path,
                       .query = request.where.query,
                       .address = request.address,
                       .endpoint = endpoint,
                       .now = simulator_.now(),
                       .skew = simulator_.skew(),
                       .database_lag = lag,
                       .real = simulator_.loop().clock().now()});
}

RestAnswer KucoinFront::refusal(int status) const {
  switch (status) {
    case 401:
      return kucoin::refused(status, "400001", "Please check the header of your request for KC-API-KEY.");
    case 403:
      return {.status = status,
              .body =
                  "<html><head><title>ERROR: The request could not be satisfied"
                  "</title></head><body><h1>403 ERROR</h1></body></html>",
              .content_type = "text/html"};
    case 429:  // of an overloaded server: without the headers that tell when to come back
      return kucoin::refused(status, "429000", "Too many requests in a short period of time, please retry later");
    case 451:
      return kucoin::refused(status, "400302", "Our services are currently unavailable in your region.");
    case 503:
      return kucoin::refused(status, "503000", "Service unavailable");
    case 504:
      return kucoin::refused(status, "504000", "Gateway timeout");
    default:
      return kucoin::refused(status, "500000", "Internal Server Error");
  }
}

// ---- the tape

void KucoinFront::play(const TapeEvent& event) {
  if (const auto* deal = std::get_if<Deal>(&event.what)) play(event.instrument, *deal);
  if (const auto* level = std::get_if<Level>(&event.what)) play(event.instrument, *level);
}

void KucoinFront::play(std::uint32_t instrument, const Deal& deal) {
  market_.publish(instrument, deal);
  const Listing& listing = market_.listing(instrument);
  if (std::string* const row = simulator_.trades_row()) {
    *row += listing.symbol + ",trade,";
    for (int i = 0; i < 3; ++i) *row += std::to_string(deal.id) + ',';
    *row += std::to_string(to_us(deal.traded)) + ',' + std::to_string(to_us(deal.told)) + ',' + deal.text->price + ',' +
            deal.text->quantity + (deal.buyer_is_maker ? ",true," : ",false,") + "MARKET," +
            std::to_string(to_us(deal.traded) * 1000 + deal.traded_ns) + ',' + deal.text->trade_id + '\n';
    simulator_.row_done();
  }
  if (Line* const line = fans_[instrument].match; line != nullptr && !line->subscribers.empty())
    send(*line, deal.id, kucoin::match_message(listing, deal));
}

void KucoinFront::play(std::uint32_t instrument, const Level& level) {
  using namespace std::chrono_literals;
  const LevelText& text = *level.text;
  if (text.ticker) {
    market_.publish(instrument, level);
    tell(instrument, &Fans::ticker, &Fans::ticker_pace, 100ms, text.recorded);
    tell(instrument, nullptr, &Fans::all_pace, 100ms, text.recorded);
  }
  if (text.best) {
    fans_[instrument].best = level;
    tell(instrument, &Fans::level1, &Fans::level1_pace, 10ms, text.recorded);
  }
}

// `line` null: the topic of all symbols.
void KucoinFront::tell(std::uint32_t instrument, Line* Fans::*line, Pace Fans::*pace, Duration least, bool at_once) {
  Fans& fans = fans_[instrument];
  Line* const to = line == nullptr ? all_ : fans.*line;
  Pace& own = fans.*pace;
  if (to == nullptr || to->subscribers.empty() || own.waits) return;
  const Time now = simulator_.now();
  if (!at_once && own.told != Time::min() && now < own.told + least) {
    own.waits = true;
    simulator_.at(own.told + least, [this, instrument, line, pace, least] {
      (fans_[instrument].*pace).waits = false;
      tell(instrument, line, pace, least, true);
    });
    return;
  }
  own.told = now;
  const Listing& listing = market_.listing(instrument);
  send(*to, 0,
       line == &Fans::level1 ? kucoin::level1_message(listing, fans.best)
                             : kucoin::ticker_message(listing, *market_.level(instrument), line == nullptr));
}

void KucoinFront::send(Line& line, std::uint64_t id, std::string text) {
  const auto bytes = std::make_shared<const std::string>(std::move(text));
  for (const Subscriber& subscriber : line.subscribers) subscriber.wire->deliver(subscriber, id, id, bytes);
}

// Once a second, what has changed: bars without a trade when the next one with a trade comes, then that.
void KucoinFront::tick(Line& line) {
  if (line.subscribers.empty()) {
    line.ticking = false;
    line.sent.reset();
    return;
  }
  const BarInterval& interval = *line.topic.interval;
  const std::uint32_t instrument = line.topic.instrument;
  const Time now = simulator_.now();
  const auto tell = [&](const Bar& bar, bool fresh) {
    send(line, 0, kucoin::candle_message(market_.listing(instrument), line.topic.type, bar, fresh, now));
  };
  const Time from = line.sent ? line.sent->start : bar_start(now, interval);
  const auto bars = market_.bars(instrument, interval, from, now + Duration{1}, now, 1000, false);
  const auto last = std::find_if(bars.rbegin(), bars.rend(), [](const Bar& bar) { return bar.trades != 0; }).base();
  for (auto bar = bars.begin(); bar != last; ++bar) {
    const bool known = line.sent && line.sent->start == bar->start;
    if (known && line.sent->trades == bar->trades) continue;
    tell(*bar, !known);
    line.sent = *bar;
  }
  constexpr Duration kEvery = std::chrono::seconds{1};
  const Time next{(now.time_since_epoch() / kEvery + 1) * kEvery};
  simulator_.at(next, [this, &line] { tick(line); });
}

// ---- subscriptions

void KucoinFront::subscribe(Wire& wire, const kucoin::Topic& topic) {
  Subscriber subscriber = wire.subscribe(topic.name);
  if (topic.channel == Channel::silent) return simulator_.stirred();
  auto& line = lines_[topic.name];
  if (!line) {
    line = std::make_unique<Line>(Line{.topic = topic});
    Fans* const fans = topic.channel == Channel::all_tickers ? nullptr : &fans_[topic.instrument];
    if (topic.channel == Channel::match) fans->match = line.get();
    if (topic.channel == Channel::ticker) fans->ticker = line.get();
    if (topic.channel == Channel::level1) fans->level1 = line.get();
    if (topic.channel == Channel::all_tickers) all_ = line.get();
  }
  line->subscribers.push_back(std::move(subscriber));
  simulator_.somebody_subscribed();
  if (topic.channel == Channel::candles && !std::exchange(line->ticking, true)) tick(*line);
}

void KucoinFront::unsubscribe(Wire& wire, const std::string& name) {
  wire.unsubscribe(name);
  const auto found = lines_.find(name);
  if (found == lines_.end()) return;
  simulator_.unsubscribed(std::erase_if(found->second->subscribers,
                                        [&](const Subscriber& subscriber) { return subscriber.wire == &wire; }));
}

}  // namespace truetape::sim
