#include "serve/stream.h"

#include <simdjson.h>

#include <algorithm>

#include "codec/cells.h"
#include "codec/keys.h"

namespace truetape {
namespace {

using net::awaitable;
using namespace std::chrono_literals;

constexpr std::size_t kSnapshotCandles = 1000;      // the newest
constexpr std::size_t kSnapshotQueue = 256 * 1024;  // bytes that may wait before the next snapshot is made

std::vector<std::string_view> words(std::string_view list) {
  std::vector<std::string_view> out;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    if (end > 0) out.push_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return out;
}

auto refuse_with(std::string sentence) { return failure(Fault::malformed, Retry::never, std::move(sentence)); }

std::string count_key(const NewsCount& count) {
  std::string out;
  put_key(count, out);
  return out;
}

std::string error_text(const std::string& id, std::string_view detail) {
  std::string out = "{\"type\":\"error\",\"id\":" + (id.empty() ? std::string{"null"} : id) + ",\"detail\":";
  append_json(detail, out);
  return out + "}";
}

}  // namespace

Stream::Stream(Context& context)
    : context_{context},
      push_delay_{context.parts.metrics.histogram(
          "truetape_serve_push_seconds", "From a commit's rows being read to their leaving to stream clients")},
      receive_delay_{context.parts.metrics.histogram(
          "truetape_serve_receive_to_push_seconds",
          "From the receipt of a candle's last trade to the candle leaving to stream clients")} {}

Result<std::vector<ChannelKey>> Stream::channels_of(const std::vector<std::string_view>& channels,
                                                    const std::vector<std::string_view>& instruments) const {
  if (channels.empty()) return refuse_with("channels: is missing; name at least one, such as candles:1m");
  // Before anything is made of them: a short message can name very many pairs.
  if (channels.size() * std::max<std::size_t>(instruments.size(), 1) > context_.config.most_subscriptions)
    return refuse_with("at most " + std::to_string(context_.config.most_subscriptions) +
                       " subscriptions are allowed on a connection");
  std::vector<Instrument> known;
  for (const std::string_view text : instruments) {
    const auto instrument = Instrument::parse(text);
    if (!instrument)
      return refuse_with("instruments: \"" + std::string{text.substr(0, 80)} +
                         "\" is none; write VENUE:SYMBOL, such as binance:BTCUSDT");
    if (context_.recent.find(*instrument) == nullptr)
      return refuse_with("instruments: nothing is known of " + instrument->str() +
                         "; /api/v1/instruments lists what there is");
    known.push_back(*instrument);
  }
  std::vector<ChannelKey> out;
  for (const std::string_view text : channels) {
    auto key = parse_channel(text, context_.recent.intervals());
    if (!key) return tl::unexpected{key.error()};
    if (!of_instrument(key->kind)) {
      out.push_back(*key);
      continue;
    }
    if (known.empty())
      return refuse_with("instruments: is missing; " + std::string{text} + " is of instruments, such as " +
                         "binance:BTCUSDT");
    for (const Instrument& instrument : known) {
      key->instrument = instrument;
      out.push_back(*key);
    }
  }
  return out;
}

std::optional<net::ServerAnswer> Stream::refuse(const net::ServerRequest& request) {
  for (const auto& [name, value] : request.where.query)
    if (name != "channels" && name != "instruments" && name != "token")
      return net::problem(400, name.substr(0, 80) + ": is not known here; allowed: channels, instruments, token");
  const auto channels = request.where.find("channels");
  if (!channels) return std::nullopt;
  const auto asked = channels_of(words(*channels), words(request.where.find("instruments").value_or("")));
  if (!asked) return net::problem(400, asked.error().detail);
  return std::nullopt;
}

Result<Stream::Ask> Stream::parse(std::string_view message, std::string& id) const {
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  if (parser.parse(message.data(), message.size()).get(object) != simdjson::SUCCESS)
    return refuse_with("this is no JSON object");
  simdjson::dom::element found;
  if (object["id"].get(found) == simdjson::SUCCESS) {
    if (!found.is_string() && !found.is_int64() && !found.is_uint64())
      return refuse_with("id: must be a number or a text");
    id = simdjson::minify(found);
    if (id.size() > 100) {
      id.clear();
      return refuse_with("id: is longer than 100 bytes");
    }
  }
  Ask ask;
  ask.id = id;
  std::string_view op;
  if (object["op"].get(op) != simdjson::SUCCESS) return refuse_with("op: is missing; allowed: subscribe, unsubscribe");
  if (op != "subscribe" && op != "unsubscribe")
    return refuse_with("op: \"" + std::string{op.substr(0, 80)} + "\" is none; allowed: subscribe, unsubscribe");
  ask.subscribe = op == "subscribe";
  const auto list = [&](const char* name) -> Result<std::vector<std::string_view>> {
    std::vector<std::string_view> out;
    if (object[name].get(found) != simdjson::SUCCESS) return out;
    simdjson::dom::array array;
    if (found.get(array) != simdjson::SUCCESS) return refuse_with(std::string{name} + ": must be a list of texts");
    for (const simdjson::dom::element entry : array) {
      std::string_view text;
      if (entry.get(text) != simdjson::SUCCESS) return refuse_with(std::string{name} + ": must be a list of texts");
      out.push_back(text);
    }
    return out;
  };
  const auto channels = list("channels");
  if (!channels) return tl::unexpected{channels.error()};
  const auto instruments = list("instruments");
  if (!instruments) return tl::unexpected{instruments.error()};
  auto keys = channels_of(*channels, *instruments);
  if (!keys) return tl::unexpected{keys.error()};
  ask.channels = std::move(*keys);
  return ask;
}

awaitable<void> Stream::serve(net::RequestPtr request, std::shared_ptr<net::WebSocket> socket) {
  StreamClient::Render render;
  render.status = [this](const Instrument& instrument) { return status(instrument); };
  render.tail = [this](const ChannelKey& key, std::string_view rows) {
    return head_of(key) + std::string{rows} + "]}";
  };
  const auto client = std::make_shared<StreamClient>(context_.loop, socket, std::move(render), counts_);
  clients_.insert(client.get());
  // Whatever ends it: nobody sends to a client that has gone. (Not by a destructor: a frame that still waits when the
  // loop goes is destroyed after this object.)
  const auto gone = [&] {
    for (const ChannelKey& key : std::set{client->subscriptions}) leave(*client, key);
    clients_.erase(client.get());
  };
  try {
    co_await live(client, request);
  } catch (...) {
    gone();
    throw;
  }
  gone();
}

awaitable<void> Stream::live(std::shared_ptr<StreamClient> client, net::RequestPtr request) {
  const auto ack = [&](const std::string& id) {
    client->plain("{\"type\":\"ack\",\"id\":" + (id.empty() ? std::string{"null"} : id) +
                  ",\"subscriptions\":" + std::to_string(client->subscriptions.size()) + "}");
  };
  if (const auto channels = request->where.find("channels")) {
    auto asked = channels_of(words(*channels), words(request->where.find("instruments").value_or("")));
    if (asked) {
      client->subscriptions.insert(asked->begin(), asked->end());
      ack({});
      asked->assign(client->subscriptions.begin(), client->subscriptions.end());  // each once
      co_await follow(client, std::move(*asked));
    }
  }
  while (!client->socket().end()) {
    const auto message = co_await client->socket().receive();
    if (!message) break;
    std::string id;
    auto ask = parse(message->bytes, id);
    if (!ask) {
      client->plain(error_text(id, ask.error().detail));
      continue;
    }
    if (!ask->subscribe) {
      for (const ChannelKey& key : ask->channels) leave(*client, key);
      ack(id);
      continue;
    }
    std::vector<ChannelKey> fresh;
    for (const ChannelKey& key : std::set(ask->channels.begin(), ask->channels.end()))
      if (!client->subscriptions.contains(key)) fresh.push_back(key);
    if (client->subscriptions.size() + fresh.size() > context_.config.most_subscriptions) {
      client->plain(error_text(id, "at most " + std::to_string(context_.config.most_subscriptions) +
                                       " subscriptions are allowed on a connection"));
      continue;
    }
    client->subscriptions.insert(fresh.begin(), fresh.end());
    ack(id);
    co_await follow(client, std::move(fresh));
  }
}

// Snapshots, one after the other, no faster than the client takes them; behind each one its changes.
awaitable<void> Stream::follow(std::shared_ptr<StreamClient> client, std::vector<ChannelKey> channels) {
  for (const ChannelKey& key : channels) {
    co_await client->socket().queue_below(kSnapshotQueue);
    if (of_instrument(key.kind)) {
      InstrumentMemory& of = context_.recent.at(key.instrument);
      // Nothing waits between this and the snapshot: the memory could go again.
      if (const Status filled = co_await context_.filled(of); !filled) {
        client->subscriptions.erase(key);
        client->plain(error_text(
            {}, channel_name(key) + " of " + key.instrument.str() + " is not subscribed: " + filled.error().detail));
        continue;
      }
    }
    if (client->socket().end()) co_return;
    client->snapshot(snapshot(key));
    activate(*client, key);
  }
}

void Stream::activate(StreamClient& client, const ChannelKey& key) {
  auto [at, fresh] = channels_.try_emplace(key);
  if (fresh) at->second.head = head_of(key);
  at->second.clients.push_back(&client);
  if (!of_instrument(key.kind)) return;
  Told& told = told_[key.instrument];
  InstrumentMemory& of = context_.recent.at(key.instrument);
  ++of.followers;
  if (told.subscriptions++ == 0) {
    told.as_of = of.as_of();
    told.stale = of.stale;
  }
  if (key.kind == ChannelKind::candles) ++of.watched[*context_.recent.place(key.interval)];
}

void Stream::leave(StreamClient& client, const ChannelKey& key) {
  client.forget(key);
  const auto found = channels_.find(key);
  if (found == channels_.end() || std::erase(found->second.clients, &client) == 0) return;
  if (found->second.clients.empty()) channels_.erase(found);
  if (!of_instrument(key.kind)) return;
  if (const auto told = told_.find(key.instrument); told != told_.end() && --told->second.subscriptions == 0)
    told_.erase(told);
  --context_.recent.at(key.instrument).followers;
  if (key.kind == ChannelKind::candles)
    --context_.recent.at(key.instrument).watched[*context_.recent.place(key.interval)];
}

std::string Stream::head_of(const ChannelKey& key) const {
  std::string out = "\"channel\":\"" + channel_name(key) + "\",";
  if (of_instrument(key.kind)) {
    out += "\"instrument\":";
    append_json(key.instrument.text(), out);
    out += ',';
  }
  return out + "\"rows\":[";
}

std::string Stream::status(const Instrument& instrument) {
  InstrumentMemory& of = context_.recent.at(instrument);
  std::string out = "\"instrument\":";
  append_json(instrument.text(), out);
  out += ',';
  append_as_of(of.as_of(), context_.recent.judge(of, context_.loop.now()), out);
  return out + "}";
}

std::string Stream::snapshot(const ChannelKey& key) {
  std::string out = "\"channel\":\"" + channel_name(key) + "\",";
  bool first = true;
  const auto row = [&](const auto& value) {
    if (!std::exchange(first, false)) out += ',';
    context_.text.json(value, out);
  };
  if (!of_instrument(key.kind)) {
    out += "\"rows\":[";
    if (key.kind == ChannelKind::feeds) {
      out += ingest_json(context_.recent.control());
      for (const auto& [venue, report] : context_.recent.control().feeds) out += ',' + feed_json(report);
    } else if (key.kind == ChannelKind::news) {
      for (const News& headline : context_.recent.news().headlines()) row(headline);
    } else if (key.kind == ChannelKind::news_counts) {
      context_.recent.news().counts(key.interval, row);
    } else {
      std::map<Instrument, InstrumentMemory*> sorted;
      for (const auto& [instrument, of] : context_.recent.all()) sorted.emplace(instrument, of.get());
      for (const auto& [instrument, of] : sorted) {
        context_.recent.judge(*of, context_.loop.now());
        row(instrument_row(*of, context_.recent.control()));
      }
    }
    return out + "]}";
  }
  InstrumentMemory& of = context_.recent.at(key.instrument);
  const TapeMemory* memory = of.memory(of.tape);
  out += "\"instrument\":";
  append_json(key.instrument.text(), out);
  out += ',';
  append_as_of(of.as_of(), context_.recent.judge(of, context_.loop.now()), out);
  out += ",\"rows\":[";
  switch (key.kind) {
    case ChannelKind::candles: {
      const std::size_t place = *context_.recent.place(key.interval);
      context_.recent.roll(of, of.tape, place);
      if (memory != nullptr) {
        const auto& rows = memory->series[place].rows;
        const std::size_t count = std::min(rows.size(), kSnapshotCandles);
        for (const CandlePtr& candle : std::span{rows}.last(count)) {
          if (!std::exchange(first, false)) out += ',';
          out += *json_of(*candle, context_.text);
        }
      }
      break;
    }
    case ChannelKind::trades:
      if (memory != nullptr)
        for (const Trade& trade : memory->trades) row(trade);
      break;
    case ChannelKind::quotes:
      if (of.best) row(*of.best);
      if (of.ticker) row(*of.ticker);
      break;
    case ChannelKind::gaps: {
      std::vector<const Gap*> gaps;
      for (const auto& [id, gap] : of.gaps) gaps.push_back(&gap);
      std::ranges::sort(gaps, {}, [](const Gap* g) { return std::tuple{g->tape, g->from, g->era, g->first_id}; });
      for (const Gap* gap : gaps) row(*gap);
      break;
    }
    case ChannelKind::progress:
      for (const auto& tape : of.tapes)
        if (tape && tape->progress) row(*tape->progress);
      break;
    case ChannelKind::feeds:
    case ChannelKind::instruments:
    case ChannelKind::news:
    case ChannelKind::news_counts:
      break;
  }
  return out + "]}";
}

Stream::Channel* Stream::touched(const ChannelKey& key) {
  const auto found = channels_.find(key);
  if (found == channels_.end()) return nullptr;
  if (found->second.count == 0) touched_.push_back(&*found);
  return &found->second;
}

void Stream::add(Channel& channel, std::string key, std::shared_ptr<const std::string> json) {
  if (channel.count++ > 0) channel.joined += ',';
  channel.joined += *json;
  channel.rows.push_back({std::move(key), std::move(json)});
}

void Stream::push(const Changes& changes, std::chrono::steady_clock::time_point read) {
  if (channels_.empty()) return;
  const auto rendered = [&](const auto& row) {
    std::string out;
    context_.text.json(row, out);
    return std::make_shared<const std::string>(std::move(out));
  };
  const Timestamp now = context_.loop.clock().now();
  for (const CandlePtr& candle : changes.candles) {
    const Candle& row = candle->row;
    if (Channel* const channel = touched({ChannelKind::candles, row.interval, row.instrument})) {
      add(*channel, std::string{name(row.tape)} + std::to_string(to_ns(row.start)), json_of(*candle, context_.text));
      // Only what has just been received tells how long it took: not what is caught up with, nor history.
      if (row.status == CandleStatus::open && row.last_receive_time && now >= *row.last_receive_time &&
          now - *row.last_receive_time < 60s)
        receive_delay_.observe((now - *row.last_receive_time).count());
    }
  }
  // Each trade is text once, in its channel's.
  const Instrument* last = nullptr;
  Channel* of_last = nullptr;
  for (const Trade* trade : changes.trades) {
    if (last == nullptr || *last != trade->instrument) {
      last = &trade->instrument;
      of_last = touched({ChannelKind::trades, {}, trade->instrument});
    }
    if (of_last == nullptr) continue;
    if (of_last->count++ > 0) of_last->joined += ',';
    context_.text.json(*trade, of_last->joined);
  }
  for (const Quote* quote : changes.quotes)
    if (Channel* const channel = touched({ChannelKind::quotes, {}, quote->instrument}))
      add(*channel, std::string{name(quote->kind)}, rendered(*quote));
  for (const Gap& gap : changes.gaps)
    if (Channel* const channel = touched({ChannelKind::gaps, {}, gap.instrument}))
      add(*channel, std::string{name(gap.tape)} + std::to_string(gap.era) + "/" + std::to_string(gap.first_id),
          rendered(gap));
  for (const Progress& progress : changes.progress)
    if (Channel* const channel = touched({ChannelKind::progress, {}, progress.instrument}))
      add(*channel, std::string{name(progress.tape)}, rendered(progress));
  for (const News& headline : changes.news)
    if (Channel* const channel = touched({ChannelKind::news, {}, {}}))
      add(*channel, headline.venue + "/" + headline.id, rendered(headline));
  for (const NewsCount& count : changes.news_counts)
    if (Channel* const channel = touched({ChannelKind::news_counts, count.interval, {}}))
      add(*channel, count_key(count), rendered(count));
  if (!changes.instruments.empty())
    if (Channel* const channel = touched({ChannelKind::instruments, {}, {}}))
      for (const Instrument& instrument : changes.instruments) {
        InstrumentMemory& of = context_.recent.at(instrument);
        context_.recent.judge(of, context_.loop.now());
        add(*channel, instrument.str(), rendered(instrument_row(of, context_.recent.control())));
      }
  if (changes.ingest || !changes.feeds.empty())
    if (Channel* const channel = touched({ChannelKind::feeds, {}, {}})) {
      if (changes.ingest)
        add(*channel, "", std::make_shared<const std::string>(ingest_json(context_.recent.control())));
      for (const std::string& venue : changes.feeds)
        add(*channel, venue,
            std::make_shared<const std::string>(feed_json(context_.recent.control().feeds.find(venue)->second)));
    }
  const bool any = !touched_.empty();
  flush();
  if (any && read != std::chrono::steady_clock::time_point{})
    push_delay_.observe((std::chrono::steady_clock::now() - read) / std::chrono::nanoseconds{1});
}

void Stream::flush() {
  for (auto* const entry : touched_) {
    Channel& channel = entry->second;
    StreamUpdate update{&entry->first, channel.head + std::exchange(channel.joined, {}) + "]}", channel.rows,
                        std::exchange(channel.count, 0)};
    for (StreamClient* const client : channel.clients) client->update(update);
    channel.rows.clear();
  }
  touched_.clear();
}

void Stream::tell_status() {
  std::set<Instrument> moved;
  for (auto& [instrument, told] : told_) {
    InstrumentMemory& of = context_.recent.at(instrument);
    const bool stale = context_.recent.judge(of, context_.loop.now());
    const auto as_of = of.as_of();
    if (stale == told.stale && as_of == told.as_of) continue;
    told.stale = stale;
    told.as_of = as_of;
    moved.insert(instrument);
  }
  if (moved.empty()) return;
  std::map<Instrument, std::set<StreamClient*>> to;
  for (const auto& [key, channel] : channels_)
    if (moved.contains(key.instrument)) to[key.instrument].insert(channel.clients.begin(), channel.clients.end());
  for (const auto& [instrument, clients] : to) {
    const std::string tail = status(instrument);
    for (StreamClient* const client : clients) client->status(instrument, tail);
  }
}

}  // namespace truetape
