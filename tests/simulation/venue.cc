#include "venue.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace truetape::simulation {
namespace {

std::string fixed(std::int64_t units, int decimals) {
  std::string digits = std::to_string(units);
  while (digits.size() <= static_cast<std::size_t>(decimals)) digits.insert(digits.begin(), '0');
  digits.insert(digits.end() - decimals, '.');
  return digits;
}

// RFC 6455 4.2.2
std::string accept_of(std::string_view key) {
  const std::string text = std::string{key} + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, EVP_MAX_MD_SIZE> sum{};
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), sum.data(), &size, EVP_sha1(), nullptr);
  std::array<unsigned char, 64> out{};
  const int length = EVP_EncodeBlock(out.data(), sum.data(), static_cast<int>(size));
  return {reinterpret_cast<const char*>(out.data()), static_cast<std::size_t>(length)};
}

// A frame of a server: whole, not masked.
std::string websocket_frame(unsigned opcode, std::string_view payload) {
  std::string out;
  out.reserve(payload.size() + 4);
  out += static_cast<char>(0x80U | opcode);
  if (payload.size() < 126) {
    out += static_cast<char>(payload.size());
  } else {
    out += static_cast<char>(126);
    out += static_cast<char>(payload.size() >> 8);
    out += static_cast<char>(payload.size() & 0xff);
  }
  return out += payload;
}
constexpr unsigned kText = 1, kClose = 8, kPing = 9, kPong = 10;

std::string http(int status, std::string_view body) {
  return "HTTP/1.1 " + std::to_string(status) +
         " X\r\nContent-Type: application/json;charset=UTF-8\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + std::string{body};
}

// The value of a field of a request's head, whatever the case of its name.
std::string_view field(std::string_view head, std::string_view name) {
  for (std::size_t at = head.find("\r\n"); at != std::string_view::npos; at = head.find("\r\n", at + 2)) {
    const std::string_view line = head.substr(at + 2);
    if (line.size() <= name.size() || line[name.size()] != ':') continue;
    const bool same = std::ranges::equal(line.substr(0, name.size()), name, [](char a, char b) {
      return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
    });
    if (!same) continue;
    std::string_view value = line.substr(name.size() + 1, line.find("\r\n") - name.size() - 1);
    while (value.starts_with(' ')) value.remove_prefix(1);
    return value;
  }
  return {};
}

}  // namespace

std::string frame_of(const Listing& listing, const Print& print, std::int64_t sent_ms) {
  const std::string price = print.marker ? "0" : fixed(print.price, 2);
  const std::string quantity = print.marker ? "0" : fixed(print.quantity, 3);
  std::string out = R"({"stream":")" + listing.stream + R"(","data":{"e":"trade","E":)" + std::to_string(sent_ms);
  if (listing.product == Product::usdm) out += R"(,"T":)" + std::to_string(print.time_ms);
  out += R"(,"s":")" + listing.symbol + R"(","t":)" + std::to_string(print.id) + R"(,"p":")" + price + R"(","q":")" +
         quantity + '"';
  if (listing.product == Product::spot) out += R"(,"T":)" + std::to_string(print.time_ms);
  if (listing.product == Product::usdm) out += print.marker ? R"(,"X":"NA")" : R"(,"X":"MARKET")";
  out += print.buyer_is_maker ? R"(,"m":true)" : R"(,"m":false)";
  if (listing.product == Product::spot) out += R"(,"M":true)";
  return out + "}}";
}

std::size_t hash_of(std::string_view payload) { return std::hash<std::string_view>{}(payload); }

// One connection's far end.
struct Venue::Line {
  std::size_t number = 0;
  Product product = Product::spot;
  std::shared_ptr<net::MemoryWire> wire;
  std::string in;
  bool websocket = false, muted = false, gone = false;
  std::set<std::string, std::less<>> streams;
  Time last = 0;             // when what was sent last arrives: nothing overtakes it
  std::optional<Told> late;  // a frame that the next one overtakes

  std::string name() const { return "line " + std::to_string(number); }
};

Venue::Venue(Agenda& agenda, Trace& trace, Random random, std::function<Time()> now)
    : agenda_{agenda}, trace_{trace}, random_{std::move(random)}, now_{std::move(now)} {}

Venue::~Venue() {
  for (const LinePtr& line : lines_) {
    line->wire->on_bytes = nullptr;
    line->wire->on_close = nullptr;
    line->wire->reset();
  }
}

Listing& Venue::list(Product product, std::string symbol, std::uint64_t first_id) {
  auto listing = std::make_unique<Listing>();
  listing->product = product;
  listing->instrument = (product == Product::spot ? "binance:" : "binance-usdm:") + symbol;
  listing->stream = symbol + "@trade";
  for (char& c : listing->stream) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  listing->symbol = std::move(symbol);
  Print before;  // of the time before the history: nobody hears of it
  before.id = first_id;
  before.time_ms = now_ms() - 1'000;
  before.price = 5'000'000 + random_.between(0, 1'000'000);
  before.quantity = 1'000;
  listing->prints.push_back(before);
  listings_.push_back(std::move(listing));
  return *listings_.back();
}

std::shared_ptr<net::MemoryWire> Venue::connect(std::string_view host) {
  if (weather.refuses_connections) {
    trace_.fault("connect refused", host);
    return nullptr;
  }
  const auto line = std::make_shared<Line>();
  line->number = ended_.size();
  ended_.emplace_back();
  line->product = host.starts_with("usdm") ? Product::usdm : Product::spot;
  line->wire = std::make_shared<net::MemoryWire>();
  line->last = now_();
  const std::weak_ptr<Line> weak = line;
  line->wire->on_bytes = [this, weak](std::string_view bytes) {
    const LinePtr to = weak.lock();
    if (!to || to->muted || to->gone) return;
    agenda_.at(now_() + latency(), [this, to, text = std::string{bytes}] {
      if (to->muted || to->gone) return;
      to->in += text;
      receive(to);
    });
  };
  line->wire->on_close = [this, weak] {
    const LinePtr closed = weak.lock();
    if (!closed) return;
    end(*closed);
    closed->gone = true;
  };
  std::erase_if(lines_, [](const LinePtr& old) { return old->gone; });
  lines_.push_back(line);
  trace_.event("connect", line->name());
  return line->wire;
}

Time Venue::latency() { return random_.between(2 * kMillisecond, 60 * kMillisecond); }

void Venue::send(const LinePtr& line, std::string bytes, Time extra, std::function<void()> done) {
  line->last = std::max(line->last, now_() + latency() + weather.lag + extra);
  agenda_.at(line->last, [line, text = std::move(bytes), done = std::move(done)] {
    if (line->muted || line->gone) return;
    line->wire->deliver(text);
    if (done) done();
  });
}

void Venue::end(Line& line) {
  if (auto& ended = ended_.at(line.number); !ended) ended = now_();
}

void Venue::receive(const LinePtr& line) {
  while (!line->gone && (line->websocket ? receive_frame(line) : receive_http(line))) {
  }
}

bool Venue::receive_http(const LinePtr& line) {
  const std::size_t end = line->in.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  const std::string head = line->in.substr(0, end + 2);
  line->in.erase(0, end + 4);
  const std::size_t blank = head.find(' ');
  const std::string target = head.substr(blank + 1, head.find(' ', blank + 1) - blank - 1);
  const std::string_view key = field(head, "Sec-WebSocket-Key");
  if (key.empty()) {
    answer_rest(line, target);
    return true;
  }
  if (weather.refuses_upgrades) {
    const int status = random_.one_in(2) ? 503 : 429;
    trace_.fault("upgrade refused", line->name());
    send(line, http(status, R"({"code":-1003,"msg":"Too many requests."})"));
    return true;
  }
  line->websocket = true;
  trace_.event("upgraded", line->name());
  send(line, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
                 accept_of(key) + "\r\n\r\n");
  return true;
}

void Venue::answer_rest(const LinePtr& line, std::string_view target) {
  if (weather.rest_hangs) return trace_.fault("rest hangs", target.substr(0, target.find('?')));
  if (weather.rest_refuses) {
    trace_.fault("rest refused", target.substr(0, target.find('?')));
    switch (random_.below(4)) {
      case 0:
        return send(line, http(500, R"({"code":-1000,"msg":"An unknown error occurred."})"), weather.rest_lag);
      case 1:
        return send(line, http(429, R"({"code":-1003,"msg":"Too many requests."})"), weather.rest_lag);
      case 2:
        return send(line, http(200, "<html>maintenance</html>"), weather.rest_lag);
      default:
        return send(line, http(200, R"({"symbols":[{"symbol":)"), weather.rest_lag);
    }
  }
  if (weather.rest_lag > 0) trace_.fault("rest lags", target.substr(0, target.find('?')));
  if (target.ends_with("/time"))
    return send(line, http(200, R"({"serverTime":)" + std::to_string(now_ms()) + "}"), weather.rest_lag);
  std::string body = R"({"timezone":"UTC","rateLimits":[],"symbols":[)";
  bool first = true;
  for (const auto& listing : listings_) {
    if (listing->product != line->product) continue;
    body +=
        (first ? "" : ",") + (R"({"symbol":")" + listing->symbol) +
        R"(","status":"TRADING","baseAsset":"B","quoteAsset":"Q","filters":[{"filterType":"LOT_SIZE","stepSize":"0.001"},)" +
        R"({"filterType":"PRICE_FILTER","tickSize":"0.01"}]})";
    first = false;
  }
  send(line, http(200, body + "]}"), weather.rest_lag);
}

// One frame of a client, whole and masked. False: not all of it is here.
bool Venue::receive_frame(const LinePtr& line) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(line->in[i]); };
  if (line->in.size() < 6) return false;
  std::size_t size = byte(1) & 0x7fU, head = 2;
  if (size == 126) {
    if (line->in.size() < 8) return false;
    size = static_cast<std::size_t>(byte(2)) << 8 | byte(3);
    head = 4;
  }
  if (line->in.size() < head + 4 + size) return false;
  const unsigned opcode = byte(0) & 0xfU;
  std::string payload(size, '\0');
  for (std::size_t i = 0; i < size; ++i) payload[i] = static_cast<char>(byte(head + 4 + i) ^ byte(head + i % 4));
  line->in.erase(0, head + 4 + size);
  if (opcode == kPing) {
    if (weather.deaf || weather.silent)
      trace_.fault("ping unanswered", line->name());
    else
      send(line, websocket_frame(kPong, payload));
  } else if (opcode == kText) {
    asked(line, payload);
  } else if (opcode == kClose) {
    trace_.event("closed", line->name());
    end(*line);
    send(line, websocket_frame(kClose, payload));
    agenda_.at(line->last, [line] { line->wire->end(); });
  }
  return true;
}

// {"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1}
void Venue::asked(const LinePtr& line, std::string_view text) {
  const std::size_t id_at = text.rfind(R"("id":)") + 5;
  const std::string id{text.substr(id_at, text.find('}', id_at) - id_at)};
  const bool subscribe = text.find("UNSUBSCRIBE") == std::string_view::npos;
  trace_.event(subscribe ? "subscribe" : "unsubscribe", line->name() + " " + std::string{text});
  if (weather.refuses_streams) {
    trace_.fault("stream refused", line->name());
    return send(line, websocket_frame(kText, R"({"error":{"code":2,"msg":"Invalid request"},"id":)" + id + "}"));
  }
  for (std::size_t at = text.find("[\"") + 1; at < text.size() && text[at] == '"';) {
    const std::size_t end = text.find('"', at + 1);
    const std::string name{text.substr(at + 1, end - at - 1)};
    if (subscribe)
      line->streams.insert(name);
    else
      line->streams.erase(name);
    at = end + 1;
    if (text[at] == ',') ++at;
  }
  send(line, websocket_frame(kText, R"({"result":null,"id":)" + id + "}"));
}

void Venue::trade(Listing& listing, bool withheld) {
  const Print& before = listing.prints.back();
  Print print;
  print.id = before.id + 1;
  print.time_ms = std::max(before.time_ms, now_ms() - random_.between(0, 3));
  print.marker = listing.product == Product::usdm && random_.one_in(20);
  print.price = std::max<std::int64_t>(1, before.price + random_.between(-300, 300));
  print.quantity = random_.between(1, 5'000);
  print.buyer_is_maker = random_.one_in(2);
  listing.prints.push_back(print);
  if (trace_.prints())
    trace_.event("trade", listing.instrument + " " + std::to_string(print.id) + (withheld ? " withheld" : ""));
  if (withheld) return trace_.fault("withheld", listing.instrument + " " + std::to_string(print.id));
  if (weather.silent) return trace_.fault("silence", listing.instrument + " " + std::to_string(print.id));
  const std::string frame = frame_of(listing, print, now_ms());
  for (const LinePtr& line : lines_) {
    if (line->gone || !line->websocket || line->product != listing.product || !line->streams.contains(listing.stream))
      continue;
    const auto told = [&] { return line->name() + " " + listing.instrument + " " + std::to_string(print.id); };
    if (random_.per_mille(weather.dropped)) {
      trace_.fault("dropped", told());
      continue;
    }
    Told now{frame, &listing, print.id};
    if (random_.per_mille(weather.corrupted)) {
      now.frame = corrupted(std::move(now.frame));
      trace_.fault("corrupted", told());
    }
    if (random_.per_mille(weather.swapped) && !line->late) {
      trace_.fault("swapped", told());
      line->late = std::move(now);
      // It comes some time, even if no other does.
      agenda_.at(now_() + random_.between(kMillisecond, 3 * kSecond), [this, line] {
        if (line->late) tell(line, *std::exchange(line->late, {}));
      });
      continue;
    }
    tell(line, now);
    if (random_.per_mille(weather.doubled)) {
      trace_.fault("doubled", told());
      tell(line, now);
    }
    if (line->late && random_.one_in(2)) tell(line, *std::exchange(line->late, {}));
  }
}

void Venue::tell(const LinePtr& line, const Told& told) {
  const Delivered note{0, line->number, hash_of(told.frame), told.listing, told.id};
  send(line, websocket_frame(kText, told.frame), 0, [this, note] {
    delivered_.push_back(note);
    delivered_.back().at = now_();
  });
}

// Damage that can be seen: never another price that looks as good as the true one.
std::string Venue::corrupted(std::string frame) {
  const auto replace = [&frame](std::string_view mark, std::string_view value) {
    const std::size_t at = frame.find(mark) + mark.size();
    const std::size_t end = frame.find_first_of(",\"}", at);
    frame.replace(at, end - at, value);
  };
  switch (random_.below(6)) {
    case 0:
      frame.resize(1 + random_.below(frame.size() - 1));
      break;
    case 1:
      replace(R"("p":")", "abc");
      break;
    case 2:
      replace(R"("q":")", "-1.000");
      break;
    case 3:
      replace(R"("T":)", std::to_string(now_ms() + 10LL * 365 * 86'400'000));
      break;
    case 4:
      frame[frame.find(R"("T":)") + 1] = 'Z';
      break;
    default: {
      std::vector<std::size_t> marks;
      for (std::size_t i = frame.find("\"data\""); i < frame.size(); ++i)
        if (std::string_view{"{}\":,"}.find(frame[i]) != std::string_view::npos) marks.push_back(i);
      frame[marks[random_.below(marks.size())]] = '#';
    }
  }
  return frame;
}

void Venue::ping_all() {
  if (weather.silent) return;
  for (const LinePtr& line : lines_)
    if (!line->gone && line->websocket) send(line, websocket_frame(kPing, std::to_string(now_ms())));
}

bool Venue::cut(Cut how, bool rest) {
  std::vector<LinePtr> live;
  for (const LinePtr& line : lines_)
    if (!line->gone && !line->muted && line->websocket != rest) live.push_back(line);
  if (live.empty()) return false;
  const LinePtr line = live[random_.below(live.size())];
  end(*line);
  switch (how) {
    case Cut::end:
      trace_.fault("cut", line->name());
      line->muted = true;
      agenda_.at(std::max(line->last, now_()), [line] { line->wire->end(); });
      break;
    case Cut::reset:
      trace_.fault("reset", line->name());
      line->gone = true;
      line->wire->reset();
      break;
    case Cut::mute:
      trace_.fault("cable pulled", line->name());
      line->muted = true;
  }
  return true;
}

void Venue::drop_all() {
  for (const LinePtr& line : lines_) {
    end(*line);
    line->gone = true;
    line->wire->reset();
  }
}

std::size_t Venue::subscribers(const Listing& listing) const {
  return static_cast<std::size_t>(std::ranges::count_if(lines_, [&](const LinePtr& line) {
    return !line->gone && !line->muted && line->product == listing.product && line->streams.contains(listing.stream);
  }));
}

}  // namespace truetape::simulation
