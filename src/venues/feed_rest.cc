#include "venues/feed_rest.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/utf8.h"
#include "net/url.h"
#include "venues/feed_errand.h"
#include "venues/feed_session.h"

namespace truetape::feeds {
namespace {

using Level = FeedEvent::Level;

constexpr int kFirstQuestions = 3;  // for the time, one after the other: the best counts
constexpr net::BackoffConfig kBackoff{std::chrono::seconds{1}, std::chrono::minutes{1}, 2};
constexpr Nanoseconds kLook = std::chrono::seconds{5};       // how often frames are compared with the venue's time
constexpr Nanoseconds kLongestBan = std::chrono::hours{72};  // as Binance documents it
constexpr Nanoseconds kAfterDoubt = std::chrono::seconds{30};
constexpr Nanoseconds kListSoon = std::chrono::minutes{1};  // long enough for what is wrong to pass
// What helps when answers stay nonsense.
constexpr const char* kIfItStays = "; it is asked again, and if it stays check rest_url and proxies on the way";

net::HttpClientConfig client_config(const Settings& config) {
  net::HttpClientConfig out;
  out.most_body = config.most_body;
  out.most_connections = 2;
  return out;
}
net::RateConfig budget_config(const Settings& config) {
  // Half is left to others behind this address, filling of gaps among them.
  return {.windows = config.rest_windows, .share_percent = 50};
}

bool is_json(std::string_view body) {
  const std::size_t first = body.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && (body[first] == '{' || body[first] == '[');
}

}  // namespace

std::string beginning(std::string_view body) {
  constexpr std::size_t kMost = 120;  // bytes
  std::string out;
  while (!body.empty()) {
    const Utf8 c = first_character(body);
    const bool control = c.code_point < ' ' || (c.code_point >= 0x7f && c.code_point < 0xa0);
    const std::string_view shown = control ? " " : c.valid ? body.substr(0, c.size) : kReplacement;
    if (out.size() + shown.size() > kMost) break;
    out += shown;
    body.remove_prefix(c.size);
  }
  return out;
}

Rest::Rest(Context& context)
    : context_{context},
      client_{context.connector, client_config(context.config)},
      budget_{budget_config(context.config)},
      wake_{context.loop},
      time_backoff_{kBackoff, context.random()},
      symbols_backoff_{kBackoff, context.random()},
      generation_{context.sink.generation()} {}

void Rest::want(const std::set<Instrument>& instruments, bool wildcards) {
  const bool more = !std::ranges::includes(wanted_, instruments) || (wildcards && !wildcards_);
  wanted_ = instruments;
  wildcards_ = wildcards;
  std::erase_if(unknown_, [this](const Instrument& i) { return !wanted_.contains(i); });
  std::erase_if(put_, [this](const auto& put) { return !wanted_.contains(put.first); });
  wake_.set();
  if (!more) return;
  ask_again();
}

void Rest::ask_lists() {
  ask_again();
  wake_.set();
}

void Rest::ask_again() {
  ++wants_;
  std::erase_if(lists_, [](const auto& list) { return list.second.good; });
  next_symbols_ = context_.loop.now();
}

void Rest::look_at_sink() {
  if (std::exchange(generation_, context_.sink.generation()) == context_.sink.generation()) return;
  put_.clear();
  const net::SteadyTime soon = context_.loop.now() + kListSoon;
  for (auto& [target, list] : lists_)
    if (list.good) list.due = std::min(list.due, soon);
  next_symbols_ = std::min(next_symbols_, soon);
  if (on_loss) on_loss();
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
    look_at_sink();
    if (context_.loop.now() >= next_time_) {
      const bool good = co_await ask_time();
      if (good) time_backoff_.reset();
      next_time_ = good ? context_.loop.now() + context_.config.time_every : again(time_backoff_);
    }
    if (!context_.stopping && context_.loop.now() >= next_symbols_) co_await ask_symbols();
    const net::SteadyTime now = context_.loop.now();
    if (context_.clock.doubtful()) next_time_ = std::min(next_time_, now + kAfterDoubt);
    const net::SteadyTime next = std::min(std::min(next_time_, next_symbols_), now + kLook);
    co_await pause(next - now);
  }
}

net::awaitable<bool> Rest::wait_for_budget(std::int64_t weight) {
  for (;;) {
    const Nanoseconds wait = budget_.wait(weight, context_.loop.now());
    if (wait <= Nanoseconds::zero()) break;
    co_await pause(wait);
    if (context_.stopping) co_return false;
  }
  budget_.spend(weight, context_.loop.now());
  co_return true;
}

net::HttpRequest Rest::request(const Question& question) const {
  net::HttpRequest out;
  out.method = question.method;
  out.url = context_.config.rest_url + question.target;
  out.headers = context_.dialect.headers(context_.config);
  return out;
}

void Rest::look_at_limits(const net::HttpAnswer& answer) {
  budget_.answered(answer.status, answer.headers, context_.loop.now(), context_.loop.clock().now());
  if (const auto wait = context_.dialect.blocked_for(answer, context_.clock.at(context_.loop.now())))
    budget_.block_until(context_.loop.now() + std::min(*wait, kLongestBan),
                        answer.status == 418 ? net::RateBudget::Block::banned : net::RateBudget::Block::limited);
}

net::awaitable<std::optional<net::HttpAnswer>> Rest::get(Question question) {
  if (!co_await wait_for_budget(question.weight)) co_return std::nullopt;
  net::HttpRequest asked = request(question);
  const std::string shown = net::place_of(asked.url);
  auto answer = co_await client_.send(std::move(asked));
  if (context_.stopping) co_return std::nullopt;
  refused_ = false;
  if (!answer) {
    context_.tell(Level::warning, {}, answer.error().detail);
    co_return std::nullopt;
  }
  look_at_limits(*answer);
  if (answer->status == 200) {
    if (is_json(answer->body)) co_return std::move(*answer);
    context_.tell(Level::warning, {},
                  shown + ": answered " +
                      (answer->headers.content_type().empty() ? "something" : answer->headers.content_type()) +
                      " that is no JSON (" + beginning(answer->body) + "); check rest_url and proxies on the way");
    co_return std::nullopt;
  }
  if (answer->status == 400) co_return std::move(*answer);  // about the question: whoever asked looks at it
  const std::string what = context_.dialect.advice(answer->status);
  refused_ = !what.empty() && answer->status != 429;  // too many questions are of the moment: the budget waits
  context_.tell(refused_ ? Level::error : Level::warning, {},
                shown + ": answered with status " + std::to_string(answer->status) + ": " + beginning(answer->body) +
                    (what.empty() ? "; it is asked again later" : "; " + what));
  co_return std::nullopt;
}

net::awaitable<tl::expected<Address, net::ConnectError>> Rest::address(Question question) {
  net::ConnectError error;
  error.fault = Fault::unavailable;
  error.retry = Retry::reconnect;
  error.stage = net::Stage::address;
  if (!co_await wait_for_budget(question.weight)) {
    error.detail = "stopped";
    co_return tl::unexpected{std::move(error)};
  }
  net::HttpRequest asked = request(question);
  const std::string shown = net::place_of(asked.url);
  auto answer = co_await client_.send(std::move(asked));
  if (!answer) {
    static_cast<Error&>(error) = answer.error();
    co_return tl::unexpected{std::move(error)};
  }
  look_at_limits(*answer);
  error.status = answer->status;
  error.headers = answer->headers;
  const auto refuse = [&](std::string detail) {
    error.detail = shown + ": " + std::move(detail);
    return tl::unexpected{std::move(error)};
  };
  if (answer->status != 200) {
    if (answer->status != 429 && !context_.dialect.advice(answer->status).empty()) error.retry = Retry::never;
    co_return refuse("answered with status " + std::to_string(answer->status) + ": " + beginning(answer->body));
  }
  auto address = context_.dialect.address(answer->body, context_.config);
  if (!address) {
    error.fault = address.error().fault;
    co_return refuse(address.error().detail);
  }
  co_return std::move(*address);
}

net::awaitable<bool> Rest::ask_time() {
  const auto question = context_.dialect.time_question();
  if (!question) co_return true;
  for (int i = answered_; i < kFirstQuestions; ++i) {
    const auto answer = co_await get(*question);
    if (!answer) co_return false;
    const net::SteadyTime steady = context_.loop.now();
    const Timestamp now = context_.loop.clock().now();
    const auto time = context_.dialect.time(answer->body);
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

// Asks for the lists that are due, and takes those that came, whatever became of the others.
net::awaitable<void> Rest::ask_symbols() {
  const std::set<Instrument> wanted = wanted_;
  const bool whole = wildcards_;
  listed_ = wants_;
  std::vector<Question> all;
  if (!wanted.empty() || whole) all = context_.dialect.symbol_questions(wanted, whole);
  std::erase_if(lists_,
                [&](const auto& list) { return std::ranges::find(all, list.first, &Question::target) == all.end(); });
  std::vector<Question> due;
  for (const Question& question : all) {
    const auto known = lists_.find(question.target);
    // What wildcards mean all lists tell together.
    if (whole || known == lists_.end() || known->second.due <= context_.loop.now()) due.push_back(question);
  }

  std::deque<List> answered;
  std::map<std::string, Outcome> outcomes;
  Outcome worst = Outcome::good;
  bool spoilt = false;
  std::vector<Question> questions = due;
  for (std::size_t i = 0; i < questions.size();) {
    const Outcome outcome = co_await ask_list(questions[i], !spoilt, answered);
    if (context_.stopping) co_return;
    if (outcome == Outcome::spoilt) {
      // One unknown symbol spoils the question for all: the whole list tells which one it is.
      questions = context_.dialect.symbol_questions(wanted, true);
      spoilt = true;
      answered.clear();
      worst = questions.empty() ? Outcome::failed : Outcome::good;
      i = 0;
      continue;
    }
    outcomes[questions[i++].target] = outcome;
    worst = std::max(worst, outcome);
  }
  if (whole && worst == Outcome::good) worst = co_await select(answered);
  if (context_.stopping) co_return;
  if (worst == Outcome::doubted) answered.clear();
  std::set<Instrument> found;
  for (const List& one : answered)
    if (!co_await take_symbols(one.list, one.received, found)) co_return;

  const auto came = [&](const Question& question) {
    if (spoilt || whole) return worst == Outcome::good;
    const auto outcome = outcomes.find(question.target);
    return outcome != outcomes.end() && outcome->second == Outcome::good;
  };
  const bool all_came = due.size() == all.size() && worst == Outcome::good;
  for (const Instrument& instrument : wanted) {
    if (found.contains(instrument))
      unknown_.erase(instrument);
    else if (all_came || std::ranges::all_of(context_.dialect.symbol_questions({instrument}, whole), came))
      tell_unknown(instrument);
  }

  bool failed = false;
  for (const Question& question : due)
    failed |= (spoilt || whole ? worst : outcomes[question.target]) == Outcome::failed;
  if (!failed) symbols_backoff_.reset();
  const Nanoseconds wait = failed ? symbols_backoff_.next() : Nanoseconds::zero();
  const bool current = listed_ == wants_;
  for (const Question& question : due) {
    const Outcome outcome = spoilt || whole ? worst : outcomes[question.target];
    if (outcome == Outcome::good && !current)
      lists_.erase(question.target);  // more is wanted meanwhile
    else
      lists_[question.target] = {after(outcome, wait), outcome == Outcome::good};
  }
  next_symbols_ = current ? after(Outcome::good, {}) : context_.loop.now();
  for (const auto& [target, list] : lists_) next_symbols_ = std::min(next_symbols_, list.due);
}

net::SteadyTime Rest::after(Outcome outcome, Nanoseconds failed) const {
  const Settings& config = context_.config;
  Nanoseconds wait = failed;
  if (outcome == Outcome::good) wait = wildcards_ ? config.wildcards_every : config.symbols_every;
  if (outcome == Outcome::doubted) wait = kListSoon;
  if (outcome == Outcome::refused) wait = config.refused_backoff.longest;
  return context_.loop.now() + wait;
}

// Good: the list is at the end of `out`.
net::awaitable<Rest::Outcome> Rest::ask_list(Question question, bool may_be_spoilt, std::deque<List>& out) {
  auto answer = co_await get(std::move(question));
  if (!answer) co_return refused_ ? Outcome::refused : Outcome::failed;
  if (may_be_spoilt && context_.dialect.ask_whole(answer->status, answer->body)) co_return Outcome::spoilt;
  if (answer->status != 200) {
    context_.tell(Level::warning, {}, "the venue refuses its symbol list: " + beginning(answer->body) + kIfItStays);
    co_return Outcome::failed;
  }
  List& kept = out.emplace_back(List{std::move(answer->body), answer->received});
  auto list = context_.dialect.symbols(kept.body);
  if (!list) {
    context_.tell(
        Level::warning, {},
        "the venue's symbol list cannot be read: " + list.error().detail + ": " + beginning(kept.body) + kIfItStays);
    out.pop_back();
    co_return Outcome::failed;
  }
  for (const auto& [window, limit] : list->limits) budget_.set_limit(window, limit);
  const bool believed = !list->entries.empty() || context_.dialect.lists_may_be_empty();
  if (!believed && !std::exchange(empty_told_, true))
    context_.tell(
        Level::warning, {},
        "the venue's symbol list is empty, which is not believed: what is wanted stays" + std::string{kIfItStays});
  if (!believed) {
    out.pop_back();
    co_return Outcome::failed;
  }
  empty_told_ = false;
  kept.list = std::move(*list);
  co_return Outcome::good;
}

void Rest::tell_unknown(const Instrument& instrument) {
  if (!wanted_.contains(instrument) || !unknown_.insert(instrument).second) return;
  context_.tell(
      Level::error, {},
      "the venue has no symbol " + std::string{instrument.symbol()} + ": nothing will come of it; check its spelling");
}

// The ranked quotes in which turnovers are known of less than half of what trades: the greatest would be those that
// happen to be told of.
std::set<std::string> Rest::thin_quotes(const std::vector<Offered>& offered) {
  std::set<std::string> out;
  for (const std::string& quote : ranked) {
    std::size_t trading = 0, known = 0;
    for (const Offered& one : offered) {
      if (one.quote != quote || !one.trades) continue;
      ++trading;
      known += one.turnover ? 1U : 0U;
    }
    if (known * 2 >= trading) continue;
    out.insert(quote);
    if (!few_told_.contains(quote))
      context_.tell(Level::warning, {},
                    "the venue's list of turnovers has only " + std::to_string(known) + " of the " +
                        std::to_string(trading) + " symbols that trade in " + quote +
                        ", which is not believed: what is wanted of these stays" + kIfItStays);
  }
  few_told_ = out;
  return out;
}

// Tells what the venue offers, and waits until that has become what is wanted. Not good: it is not believed, turnovers
// are not to be had, so that the greatest of some quotes stay what they were, or the feed ends.
net::awaitable<Rest::Outcome> Rest::select(const std::deque<List>& lists) {
  std::map<Instrument, double> turnovers;
  std::set<std::string> thin;
  Outcome outcome = Outcome::good;
  if (const auto question = context_.dialect.turnovers_question(); question && !ranked.empty()) {
    const auto answer = co_await get(*question);
    if (context_.stopping) co_return Outcome::failed;
    if (!answer) {
      outcome = refused_ ? Outcome::refused : Outcome::failed;
    } else if (auto read = context_.dialect.turnovers(answer->body); answer->status == 200 && read) {
      turnovers = std::move(*read);
    } else {
      outcome = Outcome::failed;
      context_.tell(Level::warning, {},
                    "the venue's list of turnovers cannot be read: " + beginning(answer->body) + kIfItStays);
    }
    if (outcome != Outcome::good) thin = ranked;
  }
  std::vector<Offered> offered;
  for (const List& one : lists)
    for (const Listed& entry : one.list.entries) {
      Offered& offer = offered.emplace_back(Offered{entry.instrument, entry.quote, std::nullopt, entry.trades});
      const auto turnover = turnovers.find(entry.instrument);
      if (turnover != turnovers.end() && std::isfinite(turnover->second) && turnover->second >= 0)
        offer.turnover = turnover->second;
    }
  if (outcome == Outcome::good) {
    thin = thin_quotes(offered);
    if (!thin.empty()) outcome = Outcome::failed;
  }
  if (on_list && !on_list(offered, thin)) co_return Outcome::doubted;
  while (!context_.stopping && wanted_ != context_.wanted) co_await pause(kLook);
  listed_ = wants_;
  co_return outcome;
}

net::awaitable<bool> Rest::take_symbols(const SymbolList& list, Timestamp received, std::set<Instrument>& found) {
  for (const Listed& entry : list.entries) {
    if (!wanted_.contains(entry.instrument)) continue;
    found.insert(entry.instrument);
    const std::size_t hash = std::hash<std::string_view>{}(entry.bytes);
    const auto before = put_.find(entry.instrument);
    if (before != put_.end() && before->second == hash) continue;
    while (!put_single(context_.sink, RawKind::reference, entry.instrument, entry.bytes, received)) {
      co_await context_.sink.room();
      if (context_.stopping) co_return false;
    }
    put_[entry.instrument] = hash;
    if (!entry.trades)
      context_.tell(Level::warning, {},
                    "the venue says of " + std::string{entry.instrument.symbol()} + " that its status is " +
                        (entry.status.empty() ? "unknown" : std::string{entry.status}) +
                        ": no trades will come until that changes");
  }
  co_return true;
}

}  // namespace truetape::feeds
