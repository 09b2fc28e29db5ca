// The load driver of `./dev bench live`: a client of the simulator and of `truetape run` at once. One process, so that
// both sides of a latency are times of one clock, taken by the same code right after a read from the network.
//
//   load follow --venue ws://HOST:PORT --serve http://HOST:PORT --symbols A,B --channel candles:1m --warm S --for S
//       From the receipt of a trade's frame, on a connection of our own to the venue, to the receipt of the first
//       candle that holds the trade. Each trade counts once.
//   load rest --serve http://HOST:PORT --path '/api/v1/…' --connections N --for S --expect N
//       The same request again and again, one at a time on each connection, raw sockets, no HTTP library: its own cost
//       is small. Each answer must have `expect` rows.
//   load first --serve http://HOST:PORT --instrument I --channel C --limit S
//       Tries to connect until it can, and prints the time (Unix ns) of the first row that is `open`.
//
// Each prints one JSON object; exit code 1 and a sentence if what came was wrong.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "net/connector.h"
#include "net/url.h"
#include "net/websocket_client.h"

namespace truetape::bench {
namespace {

[[noreturn]] void die(const std::string& sentence) {
  std::fprintf(stderr, "load: %s\n", sentence.c_str());
  std::exit(1);
}

class Options {
 public:
  Options(int count, char** words) {
    for (int i = 2; i + 1 < count; i += 2) options_[words[i]] = words[i + 1];
  }
  std::string text(const std::string& name, const std::string& otherwise = {}) const {
    const auto found = options_.find("--" + name);
    if (found == options_.end() && otherwise.empty()) die("--" + name + " is missing");
    return found == options_.end() ? otherwise : found->second;
  }
  double number(const std::string& name, double otherwise) const {
    return std::strtod(text(name, std::to_string(otherwise)).c_str(), nullptr);
  }

 private:
  std::map<std::string, std::string> options_;
};

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}
Nanoseconds span(double seconds) { return Nanoseconds{static_cast<std::int64_t>(seconds * 1e9)}; }

// Milliseconds at the q-th part of all; sorts.
double quantile(std::vector<float>& values, double q) {
  if (values.empty()) return std::nan("");
  const auto at = static_cast<std::size_t>(q * static_cast<double>(values.size() - 1));
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(at));
  return static_cast<double>(values[at]);
}
void print_quantiles(std::vector<float>& values) {
  std::printf("\"p50_ms\":%.4f,\"p90_ms\":%.4f,\"p99_ms\":%.4f,\"p999_ms\":%.4f,\"max_ms\":%.4f", quantile(values, 0.5),
              quantile(values, 0.9), quantile(values, 0.99), quantile(values, 0.999), quantile(values, 1));
}

// The number behind `key`, which ends with the colon; nullopt: not there, or null.
std::optional<std::uint64_t> number_after(std::string_view text, std::string_view key, std::size_t from = 0) {
  const std::size_t at = text.find(key, from);
  if (at == std::string_view::npos) return std::nullopt;
  const char* begin = text.data() + at + key.size();
  while (begin != text.data() + text.size() && *begin == ' ') ++begin;
  std::uint64_t number = 0;
  if (std::from_chars(begin, text.data() + text.size(), number).ec != std::errc{}) return std::nullopt;
  return number;
}
std::string_view text_after(std::string_view text, std::string_view key) {  // key: "\"s\":\""
  const std::size_t at = text.find(key);
  if (at == std::string_view::npos) return {};
  const std::size_t begin = at + key.size();
  return text.substr(begin, text.find('"', begin) - begin);
}

// ---- follow

struct Symbol {
  std::deque<std::pair<std::uint64_t, Timestamp>> waiting;  // trades that no candle has held yet
  std::uint64_t newest = 0;                                 // id of the last trade from the venue
  std::uint64_t held = 0;                                   // the greatest last_id of a candle
  Timestamp held_since{};
};

class Follow {
 public:
  explicit Follow(const Options& options) : options_{options} {}

  int run() {
    auto connector = net::Connector::make(loop_, {});
    if (!connector) die(connector.error().detail);
    connector_ = std::move(*connector);
    std::string names;
    for (const std::string& symbol : symbols()) {
      names += (names.empty() ? "" : ",") + ("binance:" + symbol);
      state_[symbol];
    }
    names_ = names;
    loop_.spawn(venue());
    loop_.spawn(serve());
    loop_.spawn(clock());
    loop_.run();

    std::uint64_t uncovered = 0;
    for (const auto& [symbol, state] : state_) uncovered += state.waiting.size();
    if (latencies_.empty())
      die("no candle held any trade; is anything wanted, and does run follow the same simulator?");
    const double seconds = std::chrono::duration<double>(clock_.steady() - began_).count();
    std::printf(
        "{\"trades\":%zu,\"uncovered\":%llu,\"ahead\":%llu,\"updates\":%llu,\"bytes\":%llu,\"skipped\":%llu,"
        "\"seconds\":%.3f,\"own_cpu\":%.3f,",
        latencies_.size(), static_cast<unsigned long long>(uncovered), static_cast<unsigned long long>(ahead_),
        static_cast<unsigned long long>(updates_), static_cast<unsigned long long>(bytes_),
        static_cast<unsigned long long>(skipped_), seconds, (cpu_seconds() - cpu_) / seconds);
    print_quantiles(latencies_);
    std::puts("}");
    return 0;
  }

 private:
  std::vector<std::string> symbols() const {
    std::vector<std::string> out;
    const std::string all = options_.text("symbols");
    for (std::size_t at = 0; at < all.size();) {
      const std::size_t comma = std::min(all.find(',', at), all.size());
      out.push_back(all.substr(at, comma - at));
      at = comma + 1;
    }
    return out;
  }

  net::awaitable<void> clock() {
    co_await loop_.sleep(span(options_.number("warm", 3)));
    latencies_.clear();
    ahead_ = updates_ = bytes_ = skipped_ = 0;
    latencies_.reserve(2'000'000);
    began_ = clock_.steady();
    cpu_ = cpu_seconds();
    measuring_ = true;
    co_await loop_.sleep(span(options_.number("for", 20)));
    loop_.stop();
  }

  net::awaitable<std::unique_ptr<net::WebSocket>> open(std::string url) {
    net::WebSocketRequest request;
    request.url = std::move(url);
    request.config.most_message = 64 << 20;
    auto socket = co_await net::connect_websocket(*connector_, request);
    if (!socket) die(socket.error().detail);
    co_return std::move(*socket);
  }

  net::awaitable<void> venue() {
    std::string url = options_.text("venue") + "/stream?streams=";
    for (const std::string& symbol : symbols()) {
      if (url.back() != '=') url += '/';
      for (const char c : symbol) url += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      url += "@trade";
    }
    const auto socket = co_await open(url);
    for (;;) {
      const auto message = co_await socket->receive();
      if (!message) die("the venue ended: " + message.error().detail);
      const auto symbol = state_.find(text_after(message->bytes, "\"s\":\""));
      const auto id = number_after(message->bytes, "\"t\":");
      if (symbol == state_.end() || !id) die("a frame that is no trade of ours: " + std::string{message->bytes});
      Symbol& state = symbol->second;
      state.newest = *id;
      if (*id <= state.held) {  // the candle was faster than this connection
        ++ahead_;
        latencies_.push_back(0);
      } else {
        state.waiting.emplace_back(*id, message->receive_time);
      }
    }
  }

  net::awaitable<void> serve() {
    const std::string channel = options_.text("channel");
    const std::string base = options_.text("serve");
    const auto socket =
        co_await open("ws" + base.substr(4) + "/api/v1/stream?channels=" + channel + "&instruments=" + names_);
    std::uint64_t seq = 0;
    for (;;) {
      const auto message = co_await socket->receive();
      if (!message) die("serve ended: " + message.error().detail);
      const std::string_view text = message->bytes;
      const std::string_view type = text_after(text, "\"type\":\"");
      if (type == "ack") continue;
      if (type == "error") die(std::string{text});
      const auto number = number_after(text, "\"seq\":");
      if (!number || *number != seq + 1)
        die("seq " + std::to_string(seq) + " is followed by " + std::string{text.substr(0, 200)});
      seq = *number;
      bytes_ += text.size();
      if (type == "skipped") ++skipped_;
      if (type != "update" && type != "snapshot") continue;
      ++updates_;
      std::string_view instrument = text_after(text, "\"instrument\":\"");
      instrument.remove_prefix(std::min(instrument.size(), std::string_view{"binance:"}.size()));
      const auto found = state_.find(instrument);
      if (found == state_.end()) die("nobody asked for " + std::string{text.substr(0, 200)});
      Symbol& state = found->second;
      std::uint64_t last = 0;
      for (std::size_t at = text.find("\"last_id\":"); at != std::string_view::npos;
           at = text.find("\"last_id\":", at + 1))
        last = std::max(last, number_after(text, "\"last_id\":", at).value_or(0));
      if (last <= state.held) continue;
      state.held = last;
      while (!state.waiting.empty() && state.waiting.front().first <= last) {
        if (measuring_)
          latencies_.push_back(
              std::chrono::duration<float, std::milli>(message->receive_time - state.waiting.front().second).count());
        state.waiting.pop_front();
      }
    }
  }

  const Options& options_;
  const SystemClock clock_;
  net::Loop loop_{clock_};
  std::unique_ptr<net::Connector> connector_;
  std::string names_;
  std::map<std::string, Symbol, std::less<>> state_;
  std::vector<float> latencies_;
  bool measuring_ = false;
  std::uint64_t ahead_ = 0, updates_ = 0, bytes_ = 0, skipped_ = 0;
  std::chrono::steady_clock::time_point began_{};
  double cpu_ = 0;
};

// ---- rest

int connect_to(const net::Url& url) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(url.port);
  if (inet_pton(AF_INET, url.host.c_str(), &address.sin_addr) != 1) die(url.host + " is no IPv4 address");
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ::close(socket);
    return -1;
  }
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return socket;
}

net::Url address_of(const Options& options) {
  auto url = net::parse_url(options.text("serve"));
  if (!url) die(url.error().detail);
  return *url;
}

int rest(const Options& options) {
  struct Caller {
    int socket = -1;
    std::chrono::steady_clock::time_point sent;
    std::string answer;
  };
  const net::Url url = address_of(options);
  const std::string request =
      "GET " + options.text("path") + " HTTP/1.1\r\nHost: " + url.host + "\r\nAccept: application/json\r\n\r\n";
  const auto expect = static_cast<std::ptrdiff_t>(options.number("expect", 12));
  std::vector<Caller> callers(static_cast<std::size_t>(options.number("connections", 8)));
  std::vector<pollfd> polls;
  const auto now = [] { return std::chrono::steady_clock::now(); };
  const auto ask = [&](Caller& caller) {
    caller.answer.clear();
    caller.sent = now();
    if (::send(caller.socket, request.data(), request.size(), MSG_NOSIGNAL) != std::ssize(request))
      die("a request was not taken");
  };
  for (Caller& caller : callers) {
    if ((caller.socket = connect_to(url)) < 0) die("nobody listens at " + url.host);
    polls.push_back({.fd = caller.socket, .events = POLLIN, .revents = 0});
  }
  for (Caller& caller : callers) ask(caller);

  std::vector<float> latencies;
  latencies.reserve(4'000'000);
  const auto warm = now() + span(options.number("warm", 1));
  const auto end = warm + span(options.number("for", 5));
  double cpu = 0;
  auto began = warm;
  bool measuring = false;
  std::size_t bytes = 0;
  std::string buffer(256 * 1024, '\0');
  for (auto time = now(); time < end; time = now()) {
    if (!measuring && time >= warm) {
      measuring = true;
      cpu = cpu_seconds();
      began = time;
    }
    if (::poll(polls.data(), polls.size(), 100) < 0) die("poll failed");
    for (std::size_t i = 0; i < polls.size(); ++i) {
      if (polls[i].revents == 0) continue;
      Caller& caller = callers[i];
      const ssize_t got = ::recv(caller.socket, buffer.data(), buffer.size(), 0);
      if (got <= 0) die("the server closed a connection, after " + std::to_string(latencies.size()) + " answers");
      caller.answer.append(buffer, 0, static_cast<std::size_t>(got));
      const std::size_t head = caller.answer.find("\r\n\r\n");
      if (head == std::string::npos) continue;
      if (!caller.answer.starts_with("HTTP/1.1 200 ")) die("not 200: " + caller.answer.substr(0, 500));
      std::string header = caller.answer.substr(0, head);
      std::ranges::transform(header, header.begin(),
                             [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
      const auto length = number_after(header, "content-length:");
      if (!length) die("no Content-Length: " + header);
      if (caller.answer.size() < head + 4 + *length) continue;
      if (measuring) latencies.push_back(std::chrono::duration<float, std::milli>(now() - caller.sent).count());
      bytes = caller.answer.size();
      std::ptrdiff_t rows = 0;
      for (std::size_t at = caller.answer.find("\"start\":"); at != std::string::npos;
           at = caller.answer.find("\"start\":", at + 1))
        ++rows;
      if (rows != expect) die("an answer has " + std::to_string(rows) + " rows: " + caller.answer.substr(0, 2000));
      ask(caller);
    }
  }
  const double seconds = std::chrono::duration<double>(now() - began).count();
  std::printf("{\"requests\":%zu,\"per_second\":%.1f,\"bytes\":%zu,\"seconds\":%.3f,\"own_cpu\":%.3f,",
              latencies.size(), static_cast<double>(latencies.size()) / seconds, bytes, seconds,
              (cpu_seconds() - cpu) / seconds);
  print_quantiles(latencies);
  std::puts("}");
  for (const Caller& caller : callers) ::close(caller.socket);
  return 0;
}

// ---- first

class First {
 public:
  explicit First(const Options& options)
      : options_{options}, end_{clock_.steady() + span(options.number("limit", 30))} {}

  int run() {
    const net::Url url = address_of(options_);
    for (int socket = -1; socket < 0; ::usleep(1000)) {
      if ((socket = connect_to(url)) >= 0) ::close(socket);
      if (clock_.steady() > end_) die("nobody listens at " + options_.text("serve"));
    }
    const Timestamp listens = clock_.now();
    auto connector = net::Connector::make(loop_, {});
    if (!connector) die(connector.error().detail);
    connector_ = std::move(*connector);
    loop_.spawn(try_again());
    net::Timer limit{loop_};
    limit.after(end_ - clock_.steady(), [&] { loop_.stop(); });
    loop_.run();
    if (!seen_) die("no open candle came in time; last: " + last_);
    std::printf("{\"listens_ns\":%lld,\"open_ns\":%lld}\n", static_cast<long long>(to_ns(listens)),
                static_cast<long long>(to_ns(*seen_)));
    return 0;
  }

 private:
  net::awaitable<void> try_again() {
    while (!seen_) {
      co_await attempt();
      co_await loop_.sleep(std::chrono::milliseconds{2});
    }
    loop_.stop();
  }
  // Until the first open candle, or the end of the connection; 503 while the recent past is being read.
  net::awaitable<void> attempt() {
    net::WebSocketRequest request;
    request.url = "ws" + options_.text("serve").substr(4) + "/api/v1/stream?channels=" + options_.text("channel") +
                  "&instruments=" + options_.text("instrument");
    const auto socket = co_await net::connect_websocket(*connector_, request);
    if (!socket) {
      last_ = socket.error().detail;
      co_return;
    }
    while (!seen_) {
      const auto message = co_await (*socket)->receive();
      last_ = message ? std::string{message->bytes} : message.error().detail;
      if (!message) co_return;
      if (last_.find("\"status\":\"open\"") != std::string::npos) seen_ = message->receive_time;
    }
  }

  const Options& options_;
  const SystemClock clock_;
  const std::chrono::steady_clock::time_point end_;
  net::Loop loop_{clock_};
  std::unique_ptr<net::Connector> connector_;
  std::optional<Timestamp> seen_;
  std::string last_ = "nothing came";
};

}  // namespace
}  // namespace truetape::bench

int main(int count, char** words) {
  const std::string_view what = count > 1 ? words[1] : "";
  const truetape::bench::Options options{count, words};
  if (what == "follow") return truetape::bench::Follow{options}.run();
  if (what == "rest") return truetape::bench::rest(options);
  if (what == "first") return truetape::bench::First{options}.run();
  std::fputs("usage: load follow | rest | first …; the head of bench/live/load.cc tells the options\n", stderr);
  return 2;
}
