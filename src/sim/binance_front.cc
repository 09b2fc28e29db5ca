// What is Binance's of the simulator's work: its streams, who has subscribed them, its handshakes.
#include "sim/binance_front.h"

#include <algorithm>
#include <array>

#include "sim/binance_session.h"

namespace truetape::sim {

using net::SteadyTime;

BinanceFront::BinanceFront(Simulator& simulator)
    : simulator_{simulator},
      market_{simulator.market()},
      rest_{simulator.market(), simulator.limits()},
      fans_(simulator.market().size()) {}

BinanceFront::~BinanceFront() = default;

// ---- the server

std::optional<net::ServerAnswer> BinanceFront::upgrade(const net::ServerRequest& request) {
  const Limits& limits = simulator_.limits();
  const auto plain = [](int status, std::string text) {
    return net::text_answer(status, "text/plain", std::move(text));
  };
  if (request.target.size() > limits.url) return plain(414, "URI Too Long");
  const auto path = parse_socket_path(request.where, market_.product());
  if (!path) return plain(400, path.error().detail);
  if (!*path) return plain(404, "");
  if ((*path)->streams.size() > limits.streams) return plain(400, "Too many streams");
  auto& connects = connects_[request.address];
  const SteadyTime now = simulator_.loop().now();
  std::erase_if(connects, [&](SteadyTime time) { return now - time >= std::chrono::minutes{5}; });
  if (std::ssize(connects) >= limits.connects) {
    net::ServerAnswer refused = plain(429, "Too many connection attempts");
    refused.headers.add("Retry-After", "60");
    return refused;
  }
  connects.push_back(now);
  return std::nullopt;
}

std::unique_ptr<Session> BinanceFront::session(Wire& wire, const net::ServerRequest& request) {
  auto path = parse_socket_path(request.where, market_.product());
  return std::make_unique<BinanceSession>(*this, simulator_, wire, std::move(**path));
}

RestAnswer BinanceFront::answer(const net::ServerRequest& request, Duration lag) {
  const std::string_view unit = request.headers.get("X-MBX-TIME-UNIT");
  return rest_.answer({.method = request.method,
                       .path = request.where.path,
                       .query = request.where.query,
                       .address = request.address,
                       .has_key = request.headers.find("X-MBX-APIKEY").has_value(),
                       .microseconds = unit == "MICROSECOND" || unit == "microsecond",
                       .html_accepted = request.headers.get("Accept").find("text/html") != std::string_view::npos,
                       .now = simulator_.now(),
                       .skew = simulator_.skew(),
                       .database_lag = lag,
                       .real = simulator_.loop().clock().now()});
}

RestAnswer BinanceFront::refusal(int status) const {
  std::string body;
  switch (status) {
    case 418:
    case 429:
      body = error_body(-1003, "Too many requests.");
      break;
    case 403:
      return {.status = status,
              .body =
                  "<html><head><title>ERROR: The request could not be satisfied"
                  "</title></head><body><h1>403 ERROR</h1></body></html>",
              .content_type = "text/html"};
    case 451:
      body = error_body(0,
                        "Service unavailable from a restricted location according to 'b. Eligibility' in the terms "
                        "of use. Please contact customer service if you believe you received this message in error.");
      break;
    case 503:
      body =
          error_body(-1008, "Server is currently overloaded with other requests. Please try again in a few minutes.");
      break;
    case 408:
    case 504:
      body = error_body(-1007,
                        "Timeout waiting for response from backend server. Send status unknown; execution "
                        "status unknown.");
      break;
    default:
      body = error_body(-1001, "Internal error; unable to process your request. Please try again.");
  }
  RestAnswer result{.status = status, .body = std::move(body)};
  if ((status == 418 || status == 429) && simulator_.limits().retry_after)
    result.headers.emplace_back("Retry-After", "5");
  return result;
}

// ---- the tape

void BinanceFront::play(const TapeEvent& event) {
  if (const auto* print = std::get_if<Print>(&event.what)) play(event.instrument, *print);
  if (const auto* aggregate = std::get_if<Aggregate>(&event.what)) play(event.instrument, *aggregate);
  if (const auto* quote = std::get_if<Quote>(&event.what)) play(event.instrument, *quote);
}

void BinanceFront::play(std::uint32_t instrument, const Print& print) {
  const auto made = market_.publish(instrument, print);
  const Listing& listing = market_.listing(instrument);
  log_trade(instrument, print);
  const Fans& fans = fans_[instrument];
  if (fans.trade != nullptr)
    send(*fans.trade, print.id, print.id,
         [&](std::string& out, const Dialect& dialect) { append_trade(out, dialect, listing, print); });
  if (made && fans.aggregate != nullptr)
    send(*fans.aggregate, made->id, made->id,
         [&](std::string& out, const Dialect& dialect) { append_aggregate(out, dialect, listing, *made); });
}

void BinanceFront::play(std::uint32_t instrument, const Aggregate& aggregate) {
  market_.publish(instrument, aggregate);
  const Listing& listing = market_.listing(instrument);
  log_trade(instrument, aggregate);
  if (const Fans& fans = fans_[instrument]; fans.aggregate != nullptr)
    send(*fans.aggregate, aggregate.id, aggregate.id,
         [&](std::string& out, const Dialect& dialect) { append_aggregate(out, dialect, listing, aggregate); });
}

void BinanceFront::play(std::uint32_t instrument, const Quote& quote) {
  market_.publish(instrument, quote);
  const Listing& listing = market_.listing(instrument);
  if (const Fans& fans = fans_[instrument]; fans.quote != nullptr)
    send(*fans.quote, 0, 0,
         [&](std::string& out, const Dialect& dialect) { append_quote(out, dialect, listing, quote); });
}

void BinanceFront::log_trade(std::uint32_t instrument, const Print& print) {
  std::string* const row = simulator_.trades_row();
  if (row == nullptr) return;
  const Listing& listing = market_.listing(instrument);
  const auto number = [&](auto value) {
    append_number(*row, value);
    *row += ',';
  };
  *row += listing.symbol;
  *row += ",trade,";
  for (int i = 0; i < 3; ++i) number(print.id);
  number(to_us(print.traded));
  number(to_us(print.told));
  append_units(*row, print.price, listing.price_decimals);
  *row += ',';
  append_units(*row, print.quantity, listing.quantity_decimals);
  *row += print.buyer_is_maker ? ",true," : ",false,";
  *row += kind_text(print.kind);
  *row += '\n';
  simulator_.row_done();
}

void BinanceFront::log_trade(std::uint32_t instrument, const Aggregate& aggregate) {
  std::string* const row = simulator_.trades_row();
  if (row == nullptr) return;
  const Listing& listing = market_.listing(instrument);
  const auto number = [&](auto value) {
    append_number(*row, value);
    *row += ',';
  };
  *row += listing.symbol;
  *row += ",agg,";
  number(aggregate.id);
  number(aggregate.first);
  number(aggregate.last);
  number(to_us(aggregate.traded));
  number(to_us(aggregate.told));
  append_units(*row, aggregate.price, listing.price_decimals);
  *row += ',';
  append_units(*row, aggregate.quantity, listing.quantity_decimals);
  *row += aggregate.buyer_is_maker ? ",true,MARKET\n" : ",false,MARKET\n";
  simulator_.row_done();
}

Dialect BinanceFront::dialect(bool microseconds) {
  return {.product = market_.product(),
          .microseconds = microseconds,
          .newer_fields = simulator_.config().newer_fields,
          .skew = simulator_.skew()};
}

// ---- streams

template <class Write>
void BinanceFront::send(Topic& topic, std::uint64_t first, std::uint64_t last, const Write& write) {
  std::array<std::shared_ptr<const std::string>, 4> made;
  for (const Fan& fan : topic.subscribers) {
    const bool combined = fan.session->combined(), microseconds = fan.session->microseconds();
    auto& bytes = made[(combined ? 2u : 0u) + (microseconds ? 1u : 0u)];
    if (!bytes) {
      std::string out;
      out.reserve(256);
      if (combined) {
        out += "{\"stream\":\"";
        out += topic.name;
        out += "\",\"data\":";
      }
      write(out, dialect(microseconds));
      if (combined) out += '}';
      bytes = std::make_shared<const std::string>(std::move(out));
    }
    fan.subscriber.wire->deliver(fan.subscriber, first, last, bytes);
  }
}

BinanceFront::Topic* BinanceFront::topic(const std::string& name) {
  if (const auto found = topics_.find(name); found != topics_.end()) return found->second.get();
  const auto stream = parse_stream(name, market_);
  if (!stream || stream->kind == StreamKind::silent) return nullptr;
  Topic* made =
      topics_.emplace(name, std::make_unique<Topic>(Topic{.name = name, .stream = *stream})).first->second.get();
  if (stream->kind == StreamKind::trade) fans_[stream->instrument].trade = made;
  if (stream->kind == StreamKind::aggregate) fans_[stream->instrument].aggregate = made;
  if (stream->kind == StreamKind::quote) fans_[stream->instrument].quote = made;
  return made;
}

void BinanceFront::subscribe(BinanceSession& session, Wire& wire, const std::string& name) {
  Subscriber subscriber = wire.subscribe(name);
  Topic* const wanted = topic(name);
  if (wanted == nullptr || !served(wanted->stream, session.route())) {  // acked, and silent
    simulator_.stirred();                                               // but the tape begins
    return;
  }
  wanted->subscribers.push_back({std::move(subscriber), &session});
  simulator_.somebody_subscribed();
  if (const Duration every = tick_every(*wanted); every != Duration{} && !wanted->ticking) {
    wanted->ticking = true;
    tick(*wanted);
  }
}

void BinanceFront::unsubscribe(Wire& wire, const std::string& name) {
  wire.unsubscribe(name);
  const auto found = topics_.find(name);
  if (found == topics_.end()) return;
  simulator_.unsubscribed(
      std::erase_if(found->second->subscribers, [&](const Fan& fan) { return fan.subscriber.wire == &wire; }));
}

Duration BinanceFront::tick_every(const Topic& topic) const {
  using namespace std::chrono_literals;
  const bool spot = market_.product() == Product::spot;
  switch (topic.stream.kind) {
    case StreamKind::kline:
      return spot ? topic.stream.interval->length == 1s ? 1s : 2s : Duration{250ms};
    case StreamKind::ticker:
    case StreamKind::mini_ticker:
      return spot ? 1s : 2s;
    case StreamKind::all_tickers:
    case StreamKind::all_mini_tickers:
      return 1s;
    case StreamKind::all_quotes:
      return 5s;
    default:
      return {};
  }
}

void BinanceFront::push_kline(Topic& topic, const Bar& bar, bool closed) {
  const Listing& listing = market_.listing(topic.stream.instrument);
  send(topic, 0, 0, [&](std::string& out, const Dialect& dialect) {
    append_kline(out, dialect, listing, *topic.stream.interval, bar, closed, simulator_.now());
  });
}

void BinanceFront::tick(Topic& topic) {
  if (topic.subscribers.empty()) {
    topic.ticking = false;
    topic.sent.reset();
    return;
  }
  const Duration every = tick_every(topic);
  const Time time = simulator_.now();
  const std::uint32_t instrument = topic.stream.instrument;
  const auto ticker = [&](std::string& out, const Dialect& dialect, std::uint32_t of, bool mini) {
    const auto [day, before] = market_.day(of, time);
    append_ticker(out, dialect, market_.listing(of), day, before, market_, of, time, mini);
  };
  switch (topic.stream.kind) {
    case StreamKind::kline: {
      const BarInterval& interval = *topic.stream.interval;
      const Time current = bar_start(time, interval);
      while (topic.sent && topic.sent->start < current) {
        const Time start = topic.sent->start;
        const auto over = market_.bars(instrument, interval, start, start + Duration{1}, time, 1, false);
        if (!over.empty()) push_kline(topic, over.front(), true);
        topic.sent->start = next_bar(start, interval);
        topic.sent->trades = 0;
      }
      if (const auto bar = market_.bar_at(instrument, interval, time)) {
        if (bar->trades != 0 && (!topic.sent || topic.sent->trades != bar->trades)) push_kline(topic, *bar, false);
        topic.sent = *bar;
      }
      break;
    }
    case StreamKind::ticker:
    case StreamKind::mini_ticker:
      if (market_.last(instrument))
        send(topic, 0, 0, [&](std::string& out, const Dialect& dialect) {
          ticker(out, dialect, instrument, topic.stream.kind == StreamKind::mini_ticker);
        });
      break;
    case StreamKind::all_tickers:
    case StreamKind::all_mini_tickers:
      send(topic, 0, 0, [&](std::string& out, const Dialect& dialect) {
        out += '[';
        for (std::uint32_t i = 0; i < market_.size(); ++i) {
          const auto& last = market_.last(i);
          if (!last || last->told <= time - every) continue;  // only those that changed
          if (out.back() == '}') out += ',';
          ticker(out, dialect, i, topic.stream.kind == StreamKind::all_mini_tickers);
        }
        if (dialect.product == Product::usdm && dialect.newer_fields) {
          if (out.back() == '}') out += ',';
          append_coin_row(out, dialect, time, topic.stream.kind == StreamKind::all_mini_tickers);
        }
        out += ']';
      });
      break;
    case StreamKind::all_quotes:
      for (std::uint32_t i = 0; i < market_.size(); ++i)
        if (const auto& quote = market_.quote(i))
          send(topic, 0, 0, [&](std::string& out, const Dialect& dialect) {
            append_quote(out, dialect, market_.listing(i), *quote);
          });
      break;
    default:
      break;
  }
  // At whole multiples, whenever it was subscribed.
  const Time next{(time.time_since_epoch() / every + 1) * every};
  simulator_.at(next, [this, &topic] { tick(topic); });
}

}  // namespace truetape::sim
