#include "venues/binance/feed_rest.h"

#include <algorithm>
#include <charconv>

#include "net/url.h"
#include "venues/feed_session.h"
#include "venues/json.h"

namespace truetape::binance {
namespace {

using json::Object;
using json::Type;
using json::Value;
using Level = FeedEvent::Level;

constexpr std::size_t kMostByName = 100;  // symbols in one question, for the length of its URL
constexpr int kFirstQuestions = 3;        // for the time, one after the other: the best counts
constexpr net::BackoffConfig kBackoff{std::chrono::seconds{1}, std::chrono::minutes{1}, 2};
constexpr Nanoseconds kLook = std::chrono::seconds{5};       // how often frames are compared with the venue's time
constexpr Nanoseconds kLongestBan = std::chrono::hours{72};  // as the venue documents it
constexpr Nanoseconds kAfterDoubt = std::chrono::seconds{30};
// What helps when answers stay nonsense.
constexpr const char* kIfItStays = "; it is asked again, and if it stays check rest_url and proxies on the way";

net::HttpClientConfig client_config(const FeedConfig& config) {
  net::HttpClientConfig out;
  out.most_body = config.most_symbols_body;
  out.most_connections = 2;
  return out;
}
net::RateConfig budget_config(const FeedConfig& config) {
  const net::RateWindow minute{std::chrono::minutes{1}, config.weight, false, "X-MBX-USED-WEIGHT-1M"};
  // Half is left to others behind this address, filling of gaps among them.
  return {.windows = {minute}, .share_percent = 50};
}

std::optional<std::int64_t> integer(const Value& value) {
  if (value.type != Type::integer) return std::nullopt;
  std::int64_t out = 0;
  const auto [end, ec] = std::from_chars(value.text.data(), value.text.data() + value.text.size(), out);
  return ec == std::errc{} && end == value.text.data() + value.text.size() ? std::optional{out} : std::nullopt;
}

// Calls `each` with every element of an array that has been checked.
template <class Each>
void for_elements(std::string_view array, Each each) {
  json::Reader reader{array};
  reader.take('[');
  reader.blanks();
  while (!reader.at_end() && reader.peek() != ']') {
    Value element;
    if (!reader.value(element)) return;
    each(element);
    reader.blanks();
    reader.take(',');
    reader.blanks();
  }
}

std::string beginning(std::string_view body) {
  std::string out{body.substr(0, 120)};
  for (char& c : out)
    if (c < ' ' && c >= 0) c = ' ';
  return out;
}

// {"code":-1121,"msg":"Invalid symbol."}
std::optional<std::int64_t> error_code(std::string_view body) {
  Object object;
  json::Problem problem;
  return object.read(body, problem) ? integer(object.get("code")) : std::nullopt;
}

// "… IP banned until 1659146400000. …": where no Retry-After is sent, as on USD-M.
std::optional<Timestamp> ban_end(int status, std::string_view body) {
  constexpr std::string_view kMark = "banned until ";
  if (status != 418 && status != 429) return std::nullopt;
  const std::size_t at = body.find(kMark);
  if (at == std::string_view::npos) return std::nullopt;
  std::int64_t ms = 0;
  const char* const begin = body.data() + at + kMark.size();
  if (std::from_chars(begin, body.data() + body.size(), ms).ec != std::errc{}) return std::nullopt;
  return from_epoch(ms, TimeUnit::ms);
}

}  // namespace

Rest::Rest(FeedContext& context)
    : context_{context},
      client_{context.connector, client_config(context.config)},
      budget_{budget_config(context.config)},
      wake_{context.loop},
      time_backoff_{kBackoff, context.random()},
      symbols_backoff_{kBackoff, context.random()} {}

void Rest::want(const std::set<Instrument>& instruments) {
  const bool more = !std::ranges::includes(wanted_, instruments);
  wanted_ = instruments;
  std::erase_if(unknown_, [this](const Instrument& i) { return !wanted_.contains(i); });
  std::erase_if(put_, [this](const auto& put) { return !wanted_.contains(put.first); });
  if (!more) return;
  ++wants_;
  next_symbols_ = context_.loop.now();
  wake_.set();
}

void Rest::stop() {
  client_.close();
  wake_.set();
}

net::awaitable<void> Rest::pause(Nanoseconds span) {
  wake_.reset();
  if (context_.stopping || span <= Nanoseconds::zero()) co_return;
  co_await wake_.wait_for(span);
}

net::SteadyTime Rest::again(net::Backoff& backoff) {
  return context_.loop.now() + (refused_ ? context_.config.refused_backoff.longest : backoff.next());
}

net::awaitable<void> Rest::run() {
  next_time_ = context_.loop.now();
  while (!context_.stopping) {
    if (context_.loop.now() >= next_time_) {
      const bool good = co_await ask_time();
      if (good) time_backoff_.reset();
      next_time_ = good ? context_.loop.now() + context_.config.time_every : again(time_backoff_);
    }
    if (!context_.stopping && context_.loop.now() >= next_symbols_) {
      const std::uint64_t wants = wants_;
      const bool good = co_await ask_symbols();
      if (good) symbols_backoff_.reset();
      if (!good)
        next_symbols_ = again(symbols_backoff_);
      else if (wants == wants_)
        next_symbols_ = context_.loop.now() + context_.config.symbols_every;
    }
    const net::SteadyTime now = context_.loop.now();
    if (context_.clock.doubtful()) next_time_ = std::min(next_time_, now + kAfterDoubt);
    const net::SteadyTime next = std::min(std::min(next_time_, next_symbols_), now + kLook);
    co_await pause(next - now);
  }
}

net::awaitable<std::optional<net::HttpAnswer>> Rest::get(std::string target, std::int64_t weight) {
  for (;;) {
    const Nanoseconds wait = budget_.wait(weight, context_.loop.now());
    if (wait <= Nanoseconds::zero()) break;
    co_await pause(wait);
    if (context_.stopping) co_return std::nullopt;
  }
  budget_.spend(weight, context_.loop.now());
  net::HttpRequest request;
  request.url = context_.config.rest_url + context_.config.rest_path + target;
  auto answer = co_await client_.send(request);
  if (context_.stopping) co_return std::nullopt;
  refused_ = false;
  if (!answer) {
    context_.tell(Level::warning, {}, answer.error().detail);
    co_return std::nullopt;
  }
  budget_.answered(answer->status, answer->headers, context_.loop.now(), context_.loop.clock().now());
  if (const auto until = ban_end(answer->status, answer->body)) {
    const auto venue_now = context_.clock.at(context_.loop.now());
    const Nanoseconds wait = *until - venue_now.value_or(answer->received);
    budget_.block_until(context_.loop.now() + std::min(wait, kLongestBan), net::RateBudget::Block::banned);
  }
  if (answer->status == 200) {
    const std::size_t first = answer->body.find_first_not_of(" \t\r\n");
    if (first != std::string::npos && answer->body[first] == '{') co_return std::move(*answer);
    context_.tell(Level::warning, {},
                  request.url + ": answered " +
                      (answer->headers.content_type().empty() ? "something" : answer->headers.content_type()) +
                      " that is no JSON (" + beginning(answer->body) + "); check rest_url and proxies on the way");
    co_return std::nullopt;
  }
  if (answer->status == 400) co_return std::move(*answer);  // about the question: whoever asked looks at it
  const std::string what = advice(answer->status);
  refused_ = !what.empty();
  context_.tell(refused_ ? Level::error : Level::warning, {},
                request.url + ": answered with status " + std::to_string(answer->status) + ": " +
                    beginning(answer->body) + (what.empty() ? "; it is asked again later" : "; " + what));
  co_return std::nullopt;
}

net::awaitable<bool> Rest::ask_time() {
  for (int i = answered_; i < kFirstQuestions; ++i) {
    const auto answer = co_await get("/time", 1);
    if (!answer) co_return false;
    const net::SteadyTime steady = context_.loop.now();
    const Timestamp now = context_.loop.clock().now();
    Object object;
    json::Problem problem;
    const auto server = object.read(answer->body, problem) ? integer(object.get("serverTime")) : std::nullopt;
    const auto time = server ? from_epoch(*server, TimeUnit::ms) : std::nullopt;
    if (answer->status != 200 || !time) {
      context_.tell(Level::warning, {}, "the venue does not tell its time: " + beginning(answer->body) + kIfItStays);
      co_return false;
    }
    context_.clock.answered(*time, answer->sent, answer->received, steady - (now - answer->received));
  }
  answered_ = kFirstQuestions - 1;  // from now on one question at a time
  co_return true;
}

// ---- the symbol list

net::awaitable<bool> Rest::ask_symbols() {
  const std::set<Instrument> wanted = wanted_;
  if (wanted.empty()) co_return true;
  std::string target = "/exchangeInfo";
  const bool by_name = context_.config.symbols_by_name && wanted.size() <= kMostByName;
  if (by_name) {
    std::string list = "[";
    for (const Instrument& instrument : wanted)
      list += (list.size() > 1 ? ",\"" : "\"") + std::string{instrument.symbol()} + '"';
    target += "?symbols=" + net::percent_encode(list + "]");
  }
  auto answer = co_await get(target, context_.config.symbols_weight);
  if (!answer) co_return false;
  if (answer->status == 400 && by_name) {
    // One unknown symbol spoils the question for all: the whole list tells which one it is.
    const std::int64_t code = error_code(answer->body).value_or(0);
    if (code == -1121 || code == -1100 || code == -1102) {
      answer = co_await get("/exchangeInfo", context_.config.symbols_weight);
      if (!answer) co_return false;
    }
  }
  if (answer->status != 200) {
    context_.tell(Level::warning, {}, "the venue refuses its symbol list: " + beginning(answer->body) + kIfItStays);
    co_return false;
  }
  const auto found = co_await take_symbols(std::move(answer->body), answer->received);
  if (!found) co_return false;
  for (const Instrument& instrument : wanted) {
    if (found->contains(instrument)) {
      unknown_.erase(instrument);
    } else if (wanted_.contains(instrument) && unknown_.insert(instrument).second) {
      context_.tell(Level::error, {},
                    "the venue has no symbol " + std::string{instrument.symbol()} +
                        ": nothing will come of it; check its spelling");
    }
  }
  co_return true;
}

net::awaitable<std::optional<std::set<Instrument>>> Rest::take_symbols(std::string body, Timestamp received) {
  Object object;
  json::Problem problem;
  if (!object.read(body, problem) || object.get("symbols").type != Type::array) {
    context_.tell(Level::warning, {}, "the venue's symbol list cannot be read: " + beginning(body) + kIfItStays);
    co_return std::nullopt;
  }
  if (object.get("rateLimits").type == Type::array) take_limits(object.get("rateLimits").text);
  struct Entry {
    Instrument instrument;
    std::string_view bytes;
    std::string status;
  };
  std::vector<Entry> entries;
  std::set<Instrument> found;
  for_elements(object.get("symbols").text, [&](const Value& element) {
    Object symbol;
    if (element.type != Type::object || !symbol.read(element.text, problem)) return;
    const Value name = symbol.get("symbol"), status = symbol.get("status");
    if (name.type != Type::string) return;
    const auto instrument =
        instrument_of(context_.config.product, name.escaped ? json::unescape(name.text) : std::string{name.text});
    if (!instrument || !wanted_.contains(*instrument)) return;
    found.insert(*instrument);
    entries.push_back({*instrument, element.text, std::string{status.text}});
  });
  for (const Entry& entry : entries) {
    const std::size_t hash = std::hash<std::string_view>{}(entry.bytes);
    const auto before = put_.find(entry.instrument);
    if (before != put_.end() && before->second == hash) continue;
    while (!put_single(context_.sink, RawKind::reference, entry.instrument, entry.bytes, received)) {
      co_await context_.sink.room();
      if (context_.stopping) co_return std::nullopt;
    }
    put_[entry.instrument] = hash;
    if (entry.status != "TRADING")
      context_.tell(Level::warning, {},
                    "the venue says of " + std::string{entry.instrument.symbol()} + " that its status is " +
                        (entry.status.empty() ? "unknown" : entry.status) +
                        ": no trades will come until it is TRADING");
  }
  co_return found;
}

// [{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000}, …]: the live values count.
void Rest::take_limits(std::string_view limits) {
  for_elements(limits, [this](const Value& element) {
    Object limit;
    json::Problem problem;
    if (element.type != Type::object || !limit.read(element.text, problem)) return;
    const auto value = integer(limit.get("limit"));
    if (limit.get("rateLimitType").text == "REQUEST_WEIGHT" && limit.get("interval").text == "MINUTE" &&
        integer(limit.get("intervalNum")) == 1 && value && *value > 0)
      budget_.set_limit(0, *value);
  });
}

}  // namespace truetape::binance
