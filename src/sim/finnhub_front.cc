#include "sim/finnhub_front.h"

#include <algorithm>

#include "sim/finnhub_session.h"

namespace truetape::sim {

using finnhub::MarketSession;

FinnhubFront::FinnhubFront(Simulator& simulator)
    : simulator_{simulator},
      market_{simulator.market()},
      rest_{simulator.market(), simulator.limits()},
      trades_(simulator.market().size()) {}

// ---- the server

std::optional<net::ServerAnswer> FinnhubFront::upgrade(const net::ServerRequest& request) {
  const auto refuse = [&](int status) {
    RestAnswer answer = refusal(status);
    return net::text_answer(answer.status, std::move(answer.content_type), std::move(answer.body));
  };
  if (request.where.path != "/") return net::text_answer(404, "text/plain", "404 page not found\n");
  const auto token = request.where.find("token");
  if (simulator_.meets(FaultKind::token, simulator_.next_connection()) != nullptr || !token || !rest_.good(*token))
    return refuse(401);
  const Limits& limits = simulator_.limits();
  if (!limits.kick && open_[std::string{*token}].size() >= limits.connections) return refuse(429);
  return std::nullopt;
}

std::unique_ptr<Session> FinnhubFront::session(Wire& wire, const net::ServerRequest& request) {
  const auto token = request.where.find("token");
  return std::make_unique<FinnhubSession>(*this, simulator_, wire, std::string{token.value_or("")});
}

void FinnhubFront::opened(Wire& wire, const std::string& token) {
  std::vector<Wire*>& open = open_[token];
  if (simulator_.limits().kick && open.size() >= simulator_.limits().connections)
    open.front()->end("kicked", "fin", 0, "");
  open.push_back(&wire);
}

void FinnhubFront::closed(Wire& wire, const std::string& token) { std::erase(open_[token], &wire); }

RestAnswer FinnhubFront::answer(const net::ServerRequest& request, Duration lag) {
  const auto token = request.where.find("token");
  return rest_.answer({.method = request.method,
                       .path = request.where.path,
                       .query = request.where.query,
                       .token = token ? *token : request.headers.get("X-Finnhub-Token"),
                       .now = simulator_.now(),
                       .skew = simulator_.skew(),
                       .database_lag = lag,
                       .real = simulator_.loop().clock().now()});
}

RestAnswer FinnhubFront::refusal(int status) const {
  switch (status) {
    case 401:
      return finnhub::refused(status, "Invalid API key.");
    case 403:
      return finnhub::refused(status, "You don't have access to this resource.");
    case 429:
      return finnhub::refused(status, "API limit reached. Please try again later. Remaining Limit: 0");
    default:
      return {.status = status,
              .body = "<html><head><title>" + std::to_string(status) + "</title></head><body><h1>" +
                      std::to_string(status) + "</h1></body></html>",
              .content_type = "text/html"};
  }
}

// ---- the tape

void FinnhubFront::play(const TapeEvent& event) {
  if (const auto* deal = std::get_if<Deal>(&event.what)) play(event.instrument, *deal);
  if (const auto* news = std::get_if<News>(&event.what)) play(event.instrument, *news);
}

void FinnhubFront::play(std::uint32_t instrument, const Deal& deal) {
  const Listing& listing = market_.listing(instrument);
  const bool closed = simulator_.limits().hours && finnhub::class_of(listing.symbol) == finnhub::Class::shares &&
                      finnhub::session_at(deal.told) == MarketSession::closed;
  if (!closed) {
    market_.publish(instrument, deal);
    if (std::string* const row = simulator_.trades_row()) {
      const std::string number = std::to_string(deal.id);
      *row += listing.symbol + ",trade," + number + ',' + number + ',' + number + ',' +
              std::to_string(to_us(deal.traded)) + ',' + std::to_string(to_us(deal.told)) + ',' + deal.text->price +
              ',' + deal.text->quantity + ",," + (deal.quantity == 0 ? "UPDATE," : "TRADE,") +
              std::to_string(to_us(deal.traded) * 1000) + ',' + number + '\n';
      simulator_.row_done();
    }
    if (!trades_[instrument].empty()) {
      const std::string item = finnhub::trade_item(listing, deal);
      for (const Fan& fan : trades_[instrument]) {
        fan.session->add("trade", item, fan.subscriber, deal.id, !deal.text->made);
        if (!deal.text->made) unfinished_.push_back(fan.subscriber.wire->weak_from_this());
      }
    }
  }
  if (!deal.text->made && deal.ends) finish("trade");
}

void FinnhubFront::play(std::uint32_t instrument, const News& news) {
  market_.publish(instrument, news);
  const auto found = news_.find(news.text->related);
  if (found != news_.end() && simulator_.limits().premium) {
    const std::string item = finnhub::news_item(news);
    for (const Fan& fan : found->second) {
      fan.session->add("news", item, fan.subscriber, news.text->id, true);
      unfinished_.push_back(fan.subscriber.wire->weak_from_this());
    }
  }
  if (news.ends) finish("news");
}

void FinnhubFront::finish(std::string_view type) {
  for (const std::weak_ptr<Wire>& wire : std::exchange(unfinished_, {}))
    if (const auto self = wire.lock(); self && !self->over())
      static_cast<FinnhubSession&>(self->session()).finish(type);
}

// ---- subscriptions

void FinnhubFront::subscribe(FinnhubSession& session, Wire& wire, const std::string& name) {
  Subscriber subscriber = wire.subscribe(name);
  if (name.starts_with("news:")) {
    news_[name.substr(5)].push_back({std::move(subscriber), &session});
  } else if (const auto instrument = market_.find(name)) {
    trades_[*instrument].push_back({std::move(subscriber), &session});
  } else {
    return simulator_.stirred();  // unknown: silence
  }
  simulator_.somebody_subscribed();
}

void FinnhubFront::unsubscribe(Wire& wire, const std::string& name) {
  wire.unsubscribe(name);
  const auto of_it = [&](const Fan& fan) { return fan.subscriber.wire == &wire; };
  if (name.starts_with("news:"))
    simulator_.unsubscribed(std::erase_if(news_[name.substr(5)], of_it));
  else if (const auto instrument = market_.find(name))
    simulator_.unsubscribed(std::erase_if(trades_[*instrument], of_it));
}

}  // namespace truetape::sim
