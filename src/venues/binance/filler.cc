#include "venues/binance/filler.h"

#include <algorithm>
#include <array>
#include <limits>

#include "core/digits.h"
#include "net/http_client.h"
#include "net/rate_budget.h"
#include "net/url.h"
#include "venues/binance/feed.h"
#include "venues/binance/page.h"
#include "venues/feed_session.h"
#include "venues/json.h"

namespace truetape::binance {
namespace {

using Level = FeedEvent::Level;
using What = FillAnswer::What;

constexpr std::string_view kUsed = "X-MBX-USED-WEIGHT-1M";
constexpr Nanoseconds kLongestBan = std::chrono::hours{72};  // as the venue documents it
constexpr Nanoseconds kLongWait = std::chrono::minutes{1};   // what is longer is told; our share never makes it so long
constexpr Nanoseconds kTimeEvery = std::chrono::minutes{10};
// A question without an end begins so far back that it shows known trades, also where some ids are not shown at all.
constexpr std::uint64_t kTailMargin = 20;
constexpr std::uint64_t kNoEnd = std::numeric_limits<std::uint64_t>::max();
constexpr int kMostWider = 2;  // times that the margin grows tenfold: forced orders may come in long runs
constexpr Nanoseconds kKeylessFor = std::chrono::minutes{5};  // then it is asked whether that is still so

net::HttpClientConfig client_config(const FillerConfig& config) {
  net::HttpClientConfig out;
  out.most_body = config.most_body;
  out.most_connections = 1;
  return out;
}

net::RateConfig budget_config(const FillerConfig& config) {
  const net::RateWindow minute{std::chrono::minutes{1}, config.weight, false, std::string{kUsed}};
  return {.windows = {minute}, .share_percent = config.share};
}

// {"code":-1121,"msg":"Invalid symbol."}; 0: it tells none.
std::int64_t error_code(std::string_view body) {
  json::Object object;
  json::Problem problem;
  if (!object.read(body, problem)) return 0;
  std::string_view text = object.get("code").text;
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const std::int64_t number = digits::natural(text).value_or(0);
  return negative ? -number : number;
}

// In one line.
std::string beginning(std::string_view body) {
  std::string out{body.substr(0, 120)};
  for (char& c : out)
    if (c < ' ' && c >= 0) c = ' ';
  return out;
}

// What of the ranges lies in [first, last].
std::vector<FillRange> clipped(const std::vector<FillRange>& ranges, std::uint64_t first, std::uint64_t last) {
  std::vector<FillRange> out;
  for (const FillRange& r : ranges)
    if (r.last >= first && r.first <= last) out.push_back({std::max(r.first, first), std::min(r.last, last)});
  return out;
}

// Of a rising page, from the id `expect` on: which ids it shows that the venue never had, and which it merely lacks.
void look_between(const Page& page, std::uint64_t expect, std::vector<FillRange>& absent,
                  std::vector<FillRange>& missing) {
  if (page.ids.front() > expect) missing.push_back({expect, page.ids.front() - 1});
  for (std::size_t i = 1, gap = 0; i < page.ids.size(); ++i) {
    const std::uint64_t a = page.ids[i - 1] + 1, b = page.ids[i] - 1;
    if (a > b) continue;
    if (gap < page.absent.size() && page.absent[gap].first == a) {
      absent.push_back({a, b});
      ++gap;
    } else if (b >= expect) {
      missing.push_back({std::max(a, expect), b});
    }
  }
}

class BinanceFiller final : public Filler {
 public:
  BinanceFiller(FillerConfig config, FeedParts parts)
      : config_{std::move(config)},
        parts_{std::move(parts)},
        loop_{parts_.connector->loop()},
        sink_{*parts_.sink},
        client_{*parts_.connector, client_config(config_)},
        budget_{budget_config(config_)},
        dialect_{make_dialect(config_.product)},
        stopped_{loop_},
        backoff_{config_.backoff, config_.seed} {}

  std::string_view venue() const override { return venue_name(config_.product); }
  std::uint64_t page(Tape tape) const override { return call(tape).most - 1 - config_.margin; }
  std::uint64_t unit(Tape tape) const override { return config_.unit_pages * page(tape); }
  FillCounts counts() const override { return counts_; }

  void stop() override {
    stopping_ = true;
    client_.close();
    stopped_.set();
  }

  net::awaitable<FillAnswer> fill(FillQuestion question) override;
  net::awaitable<Result<std::optional<std::uint64_t>>> first_id_at(Instrument instrument, Tape tape,
                                                                   Timestamp time) override;

 private:
  struct Reply {
    What what = What::trouble;  // given: `body` is a good answer's
    std::string body = {}, text = {};
    Timestamp sent = {}, received = {};
  };
  std::uint64_t margin(int again) const {
    std::uint64_t out = config_.margin;
    for (int i = 0; i < std::min(again, kMostWider); ++i) out *= 10;
    return out;
  }
  const PageCall& call(Tape tape) const { return tape == Tape::agg ? config_.aggregates : config_.trades; }
  std::string url(std::string_view path, const std::string& query) const {
    return config_.url + std::string{path} + (query.empty() ? "" : "?" + query);
  }
  // One request, once the budget allows it.
  net::awaitable<Reply> ask(std::string url, std::int64_t weight);
  // The same until it is no trouble, a few times.
  net::awaitable<Reply> ask_again(std::string url, std::int64_t weight, std::optional<Tape> page);
  Reply judge(const std::string& url, const net::HttpAnswer& answer);
  // nullopt: learnt, or known still.
  net::awaitable<std::optional<FillAnswer>> learn_time(bool now);
  // False: the filler ends.
  net::awaitable<bool> put(const FillQuestion& question, std::string_view bytes);
  net::awaitable<bool> put_page(const FillQuestion& question, const std::string& body, const Page& page,
                                FillAnswer& out);
  net::awaitable<FillAnswer> fill_recent(FillQuestion question, FillAnswer before);

  const FillerConfig config_;
  const FeedParts parts_;
  net::Loop& loop_;
  RawSink& sink_;
  net::HttpClient client_;
  net::RateBudget budget_;
  const std::unique_ptr<const feeds::Dialect> dialect_;  // how the venue tells its time and its bans
  net::Event stopped_;
  net::Backoff backoff_;
  FillCounts counts_;
  std::optional<Nanoseconds> offset_;    // the venue's clock minus ours
  std::optional<Timestamp> venue_time_;  // that has come, as it was told last
  net::SteadyTime time_at_{};
  net::SteadyTime told_wait_{};  // the end of the long wait that was told last
  // What the venue says to who has no key; until then it is not asked for more than that allows.
  std::string keyless_;
  net::SteadyTime keyless_until_{};
  bool stopping_ = false;
};

net::awaitable<BinanceFiller::Reply> BinanceFiller::ask(std::string url, std::int64_t weight) {
  for (;;) {
    if (stopping_) co_return Reply{.what = What::stopped};
    const Nanoseconds wait = budget_.wait(weight, loop_.now());
    if (wait <= Nanoseconds::zero()) break;
    if (wait == Nanoseconds::max())
      co_return Reply{.what = What::unable,
                      .text = "a call of weight " + std::to_string(weight) + " is more than the " +
                              std::to_string(config_.share) +
                              " % of the venue's limit that are ours; set backfill.share higher"};
    if (wait > kLongWait && loop_.now() + wait > told_wait_ + kLongWait) {
      told_wait_ = loop_.now() + wait;
      if (parts_.tell)
        parts_.tell({Level::warning,
                     {},
                     std::string{venue()} + ": the venue wants no requests of ours until " +
                         to_rfc3339(std::chrono::ceil<std::chrono::seconds>(loop_.clock().now() + wait)) +
                         "; until then nothing is asked for"});
    }
    co_await stopped_.wait_for(wait);
  }
  budget_.spend(weight, loop_.now());
  ++counts_.requests;
  net::HttpRequest request;
  request.url = std::move(url);
  if (!config_.api_key.empty()) request.headers.add("X-MBX-APIKEY", config_.api_key);
  auto answer = co_await client_.send(request);
  if (stopping_) co_return Reply{.what = What::stopped};
  if (!answer) {
    ++counts_.failed;
    co_return Reply{.what = What::trouble, .text = answer.error().detail};
  }
  budget_.answered(answer->status, answer->headers, loop_.now(), loop_.clock().now());
  const Timestamp venue_now = answer->received + offset_.value_or(Nanoseconds{});
  if (const auto wait = dialect_->blocked_for(*answer, venue_now))
    budget_.block_until(loop_.now() + std::min(*wait, kLongestBan), net::RateBudget::Block::banned);
  Reply reply = judge(request.url, *answer);
  reply.sent = answer->sent;
  reply.received = answer->received;
  if (reply.what == What::given) reply.body = std::move(answer->body);
  co_return reply;
}

BinanceFiller::Reply BinanceFiller::judge(const std::string& url, const net::HttpAnswer& answer) {
  const std::string said =
      net::place_of(url) + ": answered with status " + std::to_string(answer.status) + ": " + beginning(answer.body);
  const auto reply = [&](What what, std::string advice) { return Reply{.what = what, .text = said + advice}; };
  const std::int64_t code = error_code(answer.body);
  if (answer.status == 200) return {.what = What::given};
  if (answer.status == 429 || answer.status == 418 || code == -1003) {
    ++counts_.limited;
    return reply(What::trouble, "; it is asked again when the venue allows it");
  }
  if (answer.status >= 500 || answer.status == 408 || answer.status < 400) {
    ++counts_.failed;
    return reply(What::trouble, "");
  }
  ++counts_.refused;
  if (answer.status == 401 || code == -2014 || code == -2015)
    return reply(What::unable, "; it wants " + std::string{config_.api_key.empty() ? "an" : "another"} +
                                   " API key: set feed." + std::string{venue()} +
                                   ".api_key, or import the venue's archive files");
  if (answer.status == 404)
    return reply(What::unable, "; this address does not have that call: set feed." + std::string{venue()} +
                                   ".fill_url to one that does, or import the venue's archive files");
  if (const std::string what = dialect_->advice(answer.status); !what.empty()) return reply(What::unable, "; " + what);
  if (code == -1121) return reply(What::refused, "; check the instrument's spelling");
  return reply(What::refused, "");
}

net::awaitable<BinanceFiller::Reply> BinanceFiller::ask_again(std::string url, std::int64_t weight,
                                                              std::optional<Tape> page) {
  for (int attempt = 1;; ++attempt) {
    Reply reply = co_await ask(url, weight);
    if (reply.what == What::given && page) {
      const Page read = read_page(reply.body, *page);
      if (!read.problem.empty()) {
        ++counts_.unusable;
        reply.what = What::trouble;
        reply.text = net::place_of(url) + ": the answer is no page of trades: " + read.problem + " (" +
                     beginning(reply.body) + "); check rest_url and proxies on the way";
      }
    }
    if (reply.what != What::trouble) {
      if (reply.what == What::given) backoff_.reset();
      co_return reply;
    }
    if (attempt >= config_.attempts) co_return reply;
    const Nanoseconds wait = backoff_.next();
    const bool ended = co_await stopped_.wait_for(wait);
    if (ended) co_return Reply{.what = What::stopped};
  }
}

net::awaitable<std::optional<FillAnswer>> BinanceFiller::learn_time(bool now) {
  if (!now && offset_ && loop_.now() < time_at_ + kTimeEvery) co_return std::nullopt;
  const Reply reply = co_await ask_again(url("/time", {}), 1, std::nullopt);
  if (reply.what != What::given) {
    FillAnswer out;
    out.what = reply.what == What::refused ? What::trouble : reply.what;  // it was not about the trades
    out.text = reply.text;
    co_return out;
  }
  const auto time = dialect_->time(reply.body);
  if (!time) {
    ++counts_.unusable;
    FillAnswer out;
    out.text = "the venue does not tell its time: " + beginning(reply.body);
    co_return out;
  }
  offset_ = *time - (reply.sent + (reply.received - reply.sent) / 2);
  venue_time_ = *time - config_.as_of_margin;
  time_at_ = loop_.now();
  co_return std::nullopt;
}

net::awaitable<bool> BinanceFiller::put(const FillQuestion& question, std::string_view bytes) {
  const std::string offset = std::to_string(offset_.value_or(Nanoseconds{}).count());
  const std::array<Header, 2> more{Header{header::tape, truetape::name(question.tape)},
                                   Header{header::clock_offset, offset}};
  while (!put_single(sink_, RawKind::backfill, question.instrument, bytes, loop_.clock().now(), more)) {
    if (stopping_) co_return false;
    co_await sink_.room();
    if (stopping_) co_return false;
  }
  co_return true;
}

// A page whose ids do not rise proves nothing about neighbours: its trades are put one by one.
net::awaitable<bool> BinanceFiller::put_page(const FillQuestion& question, const std::string& body, const Page& page,
                                             FillAnswer& out) {
  if (page.rising) {
    const bool taken = co_await put(question, body);
    if (!taken) co_return false;
  } else {
    ++counts_.disordered;
    if (parts_.tell)
      parts_.tell({Level::warning,
                   {},
                   std::string{venue()} + ": a page of trades of " + std::string{question.instrument.symbol()} +
                       " is not in the order of its ids; its trades are taken one by one, and nothing is concluded "
                       "from what stands beside what"});
    for (const std::string_view element : page.elements) {
      if (!element.starts_with('{')) continue;
      const bool taken = co_await put(question, element);
      if (!taken) co_return false;
    }
  }
  ++out.pages;
  ++counts_.pages;
  out.trades += page.ids.size();
  counts_.trades += page.ids.size();
  co_return true;
}

net::awaitable<FillAnswer> BinanceFiller::fill(FillQuestion question) {
  FillAnswer out;
  const auto early = co_await learn_time(!question.last_id.has_value());
  if (early) co_return *early;
  if (!question.last_id) out.as_of = venue_time_;
  const PageCall& how = call(question.tape);
  const std::uint64_t first = question.first_id;
  const std::uint64_t last = question.last_id.value_or(std::numeric_limits<std::int64_t>::max());
  std::uint64_t from = first - std::min(first, question.last_id ? margin(question.again) : kTailMargin);
  std::uint64_t expect = first;  // all below is dealt with
  std::optional<std::uint64_t> newest;
  bool sound = true;  // every element of every page could be read, and stood in its place
  std::vector<FillRange> missing, absent;
  std::optional<std::uint64_t> none_to;
  const auto lacks = [&](std::uint64_t a, std::uint64_t b) {
    if (a <= b) missing.push_back({a, b});
  };
  // A question without an end is over after a while, and asked anew.
  for (std::size_t pages = 0; question.last_id || pages < config_.unit_pages; ++pages) {
    const std::uint64_t wanted = std::min<std::uint64_t>(how.most, last - from + 2);
    if (question.tape == Tape::trade && loop_.now() < keyless_until_) {
      out.what = What::unable;
      out.text = keyless_;
      co_return co_await fill_recent(question, out);
    }
    const Reply reply =
        co_await ask_again(url(how.path, "symbol=" + net::percent_encode(question.instrument.symbol()) +
                                             "&fromId=" + std::to_string(from) + "&limit=" + std::to_string(wanted)),
                           how.weight, question.tape);
    if (reply.what != What::given) {
      out.what = reply.what;
      out.text = reply.text;
      out.missing = clipped({{expect, last}}, first, last);
      if (reply.what != What::unable || question.tape != Tape::trade) co_return out;
      if (config_.api_key.empty()) {
        keyless_ = reply.text;
        keyless_until_ = loop_.now() + kKeylessFor;
      }
      co_return co_await fill_recent(question, out);
    }
    const Page page = read_page(reply.body, question.tape);
    const bool in_order = page.rising && page.ids.size() == page.elements.size();
    if (page.ids.empty() || std::ranges::min(page.ids) > last) {
      if (in_order && question.last_id) none_to = page.ids.empty() ? kNoEnd : page.ids.front() - 1;
      break;
    }
    const bool taken = co_await put_page(question, reply.body, page, out);
    if (!taken) {
      out.what = What::stopped;
      co_return out;
    }
    sound = sound && in_order;
    if (page.rising) look_between(page, expect, absent, missing);
    const std::uint64_t top = *std::ranges::max_element(page.ids);
    if (!page.rising) lacks(expect, top);
    newest = std::max(newest.value_or(0), top);
    expect = std::max(expect, top + 1);
    if (expect > last) break;
    if (page.elements.size() < wanted) {
      if (in_order && question.last_id) none_to = kNoEnd;
      break;
    }
    if (top <= from) break;
    from = top;
  }
  out.absent = clipped(absent, first, last);
  out.newest = newest;
  if (question.last_id) lacks(expect, last);
  out.missing = clipped(missing, first, last);
  out.none_to = none_to;
  if (!question.last_id && expect == first) {
    // That nothing comes after an id is only said by a list that ends with it: one that ends before it lags.
    if (newest && out.missing.empty() && sound && *newest + 1 == first)
      out.what = What::nothing;
    else
      out.missing = {{first, first}};
  }
  if (out.what == What::trouble) out.what = out.missing.empty() ? What::given : What::part;
  co_return out;
}

// Without a key, or where the call is not there: what was told last can be had all the same, and a young hole lies in
// it.
net::awaitable<FillAnswer> BinanceFiller::fill_recent(FillQuestion question, FillAnswer before) {
  const PageCall& how = config_.recent;
  const Reply reply = co_await ask_again(url(how.path, "symbol=" + net::percent_encode(question.instrument.symbol()) +
                                                           "&limit=" + std::to_string(how.most)),
                                         how.weight, Tape::trade);
  if (reply.what != What::given) {  // of it, not of the key
    if (reply.what != What::unable) before.what = reply.what;
    if (!reply.text.empty()) before.text = reply.text;
    co_return before;
  }
  const Page page = read_page(reply.body, Tape::trade);
  const std::uint64_t last = question.last_id.value_or(question.first_id);
  if (page.ids.empty() || !page.rising) {
    before.what = What::trouble;
    before.text = url(how.path, {}) + ": its newest trades are none, or not in the order of their ids";
    co_return before;
  }
  if (page.ids.back() < question.first_id) {  // it lags behind what the stream told, or nothing came since
    const bool ends_there = page.ids.back() + 1 == question.first_id && page.ids.size() == page.elements.size();
    before.what = !question.last_id && ends_there ? What::nothing : What::trouble;
    before.text = url(how.path, {}) + ": its newest trades end before id " + std::to_string(question.first_id);
    co_return before;
  }
  before.what = What::too_old;
  if (page.ids.front() > last) co_return before;
  FillAnswer out;
  const bool taken = co_await put_page(question, reply.body, page, out);
  if (!taken) {
    out.what = What::stopped;
    co_return out;
  }
  std::vector<FillRange> absent, missing;
  look_between(page, question.first_id, absent, missing);
  if (page.ids.back() < last) missing.push_back({page.ids.back() + 1, last});
  out.absent = clipped(absent, question.first_id, last);
  out.missing = clipped(missing, question.first_id, last);
  out.newest = page.ids.back();
  if (page.ids.front() <= question.first_id) {
    out.what = out.missing.empty() ? What::given : What::part;
    co_return out;
  }
  before.pages += out.pages;
  before.trades += out.trades;
  before.absent = std::move(out.absent);
  before.missing = std::move(out.missing);
  co_return before;
}

net::awaitable<Result<std::optional<std::uint64_t>>> BinanceFiller::first_id_at(Instrument instrument, Tape tape,
                                                                                Timestamp time) {
  const std::string target =
      url(config_.aggregates.path, "symbol=" + net::percent_encode(instrument.symbol()) +
                                       "&startTime=" + std::to_string(to_ns(time) / 1'000'000) + "&limit=1");
  const Reply reply = co_await ask_again(target, config_.aggregates.weight, Tape::agg);
  if (reply.what != What::given)
    co_return failure(Fault::unavailable, Retry::never, reply.text.empty() ? "it was stopped" : reply.text);
  const Page page = read_page(reply.body, Tape::agg);
  if (page.elements.empty()) co_return std::optional<std::uint64_t>{};
  json::Object object;
  json::Problem problem;
  const bool read = object.read(page.elements.front(), problem);
  const auto number = [&](char key) -> std::optional<std::uint64_t> {
    const json::Value value = read ? object.get(key) : json::Value{};
    if (value.type != json::Type::integer) return std::nullopt;
    const auto id = digits::natural(value.text);
    return id ? std::optional{static_cast<std::uint64_t>(*id)} : std::nullopt;
  };
  const auto id = number(tape == Tape::agg ? 'a' : 'f');
  const auto at = number('T');
  // Beyond its reach the venue may answer with something else than was asked for.
  const auto told = at ? from_epoch(static_cast<std::int64_t>(*at), TimeUnit::ms) : std::nullopt;
  if (!id || !told || *told + std::chrono::milliseconds{1} <= time)
    co_return failure(
        Fault::malformed, Retry::never,
        "the venue does not tell which trade was the first from " + to_rfc3339(time) + " on: " + beginning(reply.body));
  co_return id;
}

}  // namespace

FillerConfig filler_config(Product product, const FillOptions& options) {
  FillerConfig out;
  out.product = product;
  std::string url = options.url;
  while (url.ends_with('/')) url.pop_back();
  out.api_key = options.api_key;
  out.share = options.share;
  out.seed = options.seed;
  if (product == Product::spot) {
    // Not the feed's data-api.binance.vision: that has no historicalTrades.
    out.url = url.empty() ? "https://api.binance.com" : url;
    out.trades = {"/historicalTrades", 1000, 25};
    out.aggregates = {"/aggTrades", 1000, 4};
    out.recent = {"/trades", 1000, 25};
  } else {
    out.url = url.empty() ? std::string{rest_url(product)} : url;
    out.trades = {"/historicalTrades", 500, 200};
    out.aggregates = {"/aggTrades", 1000, 20};
    out.recent = {"/trades", 1000, 5};
    out.weight = 2400;
    out.unit_pages = 4;
    out.margin = 20;
  }
  out.url += rest_path(product);
  return out;
}

std::unique_ptr<Filler> make_filler(FillerConfig config, FeedParts parts) {
  return std::make_unique<BinanceFiller>(std::move(config), std::move(parts));
}

}  // namespace truetape::binance
