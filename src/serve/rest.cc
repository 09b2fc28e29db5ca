#include "serve/rest.h"

#include <algorithm>
#include <limits>
#include <map>

#include "codec/cells.h"
#include "serve/pages.h"
#include "serve/request.h"

namespace truetape {
namespace {

using net::awaitable;
using net::ServerAnswer;

constexpr std::uint64_t kPieceRows = 500;
constexpr std::size_t kPieceBytes = 256 * 1024;
constexpr std::size_t kMostWaiting = 8;  // explanations

struct AsOf {
  std::optional<Timestamp> time;
  bool stale = true;
};

// Of one tape its own: the other one may be further.
AsOf as_of(Context& context, InstrumentMemory& of, std::optional<Tape> tape = std::nullopt) {
  std::optional<Timestamp> time;
  if (!tape)
    time = of.as_of();
  else if (const TapeMemory* const memory = of.memory(*tape); memory != nullptr && memory->progress)
    time = memory->progress->frontier;
  return {time, context.recent.judge(of, context.loop.now())};
}

// Of all: the oldest, and stale if all are.
AsOf as_of_all(Context& context, std::optional<Tape> tape = std::nullopt) {
  AsOf out;
  bool first = true;
  for (const auto& [instrument, of] : context.recent.all()) {
    const AsOf one = as_of(context, *of, tape);
    out.stale &= one.stale;
    if (one.time) out.time = first ? one.time : std::min(out.time, one.time);
    if (one.time) first = false;
  }
  return out;
}

ServerAnswer head(Format format, const AsOf& as_of) {
  ServerAnswer answer;
  answer.headers.add("Content-Type", std::string{content_type(format)});
  answer.headers.add("Cache-Control", "no-store");
  answer.headers.add("Vary", "Accept");
  if (format == Format::json) return answer;
  answer.headers.add("Truetape-As-Of", as_of.time ? to_rfc3339(*as_of.time) : std::string{});
  answer.headers.add("Truetape-Stale", as_of.stale ? "true" : "false");
  return answer;
}

std::string json_begin(const AsOf& as_of) {
  std::string out = "{";
  append_as_of(as_of.time, as_of.stale, out);
  out += ",\"rows\":[";
  return out;
}
std::string json_end(const std::optional<std::string>& next) {
  return next ? "],\"next\":\"" + *next + "\"}\n" : std::string{"],\"next\":null}\n"};
}

// The same call with the cursor instead of the one it may have had.
std::string next_link(const net::ServerRequest& request, const std::string& cursor) {
  std::string query;
  for (const auto& [name, value] : request.where.query)
    if (name != "cursor" && name != "token")
      query += (query.empty() ? "?" : "&") + net::percent_encode(name) + "=" + net::percent_encode(value);
  query += (query.empty() ? "?cursor=" : "&cursor=") + cursor;
  return "<" + request.where.path + query + ">; rel=\"next\"";
}

ServerAnswer store_failed(const Error& error) {
  ServerAnswer answer = net::problem(503, error.detail);
  answer.headers.add("Retry-After", "1");
  return answer;
}
ServerAnswer unknown_instrument(const Instrument& instrument) {
  return net::problem(404, "nothing is known of " + instrument.str() + "; /api/v1/instruments lists what there is");
}
ServerAnswer not_acceptable() {
  return net::problem(406, "Accept: there is application/json, text/csv and application/x-ndjson");
}

// An answer that is read from the store piece by piece while the client takes it.
template <class T>
struct Walk {
  Context& context;
  PageQuery<T> query;
  Format format;
  std::uint64_t left;   // rows still to give
  Page<T> page;         // read, not given yet
  bool newest = false;  // nothing goes on behind it
  bool begun = false, ended = false;
  std::string before = {};  // goes out first
};

template <class T>
awaitable<Result<Page<T>>> next_page(Walk<T>& walk) {
  const History& history = walk.context.parts.history;
  // Named, like all closures that are waited for: GCC 12 destroys one that is made inside a co_await expression twice.
  const auto call = [&history, &walk, rows = std::min(walk.left, kPieceRows)] {
    return read_page<T>(history, walk.query, walk.format, rows, kPieceBytes);
  };
  co_return co_await walk.context.workers.run(call);
}

template <class T>
std::optional<std::string> cursor_of(const Page<T>& page) {
  if (!page.more || !page.last) return std::nullopt;
  return encode_cursor(place_text(*page.last));
}

template <class T>
awaitable<Result<std::string>> next_piece(std::shared_ptr<Walk<T>> walk) {
  if (walk->ended) co_return std::string{};
  if (walk->begun) {
    if (walk->page.last) walk->query.after = walk->page.last;
    auto page = co_await next_page(*walk);
    if (!page) co_return tl::unexpected{page.error()};
    walk->page = std::move(*page);
  }
  std::string out = std::exchange(walk->before, {});
  if (walk->format == Format::json && walk->begun && walk->page.count > 0) out += ',';
  walk->begun = true;
  out += std::exchange(walk->page.text, {});
  walk->left -= walk->page.count;
  if (!walk->page.more || walk->left == 0) {
    walk->ended = true;
    if (walk->format == Format::json) out += json_end(walk->newest ? std::nullopt : cursor_of(walk->page));
  }
  co_return out;
}

// The rows of `query` from the store and its overlay, at most `limit`.
template <class T>
awaitable<ServerAnswer> from_store(Context& context, net::RequestPtr request, PageQuery<T> query, AsOf as_of,
                                   Format format, std::uint64_t limit, bool newest) {
  const auto walk = std::make_shared<Walk<T>>(Walk<T>{context, std::move(query), format, limit, {}});
  const History& history = context.parts.history;
  walk->newest = newest;
  if (newest) {
    const auto find = [&history, walk, limit] { return newest_place<T>(history, walk->query, limit); };
    auto from = co_await context.workers.run(find);
    if (!from) co_return store_failed(from.error());
    walk->query.at_least = *from;
  }
  auto first = co_await next_page(*walk);
  if (!first) co_return store_failed(first.error());
  walk->page = std::move(*first);
  ServerAnswer answer = head(format, as_of);
  if (format == Format::json) walk->before = json_begin(as_of);
  if (format == Format::csv) walk->before = csv_header(columns<T>()) + '\n';
  const bool whole = !walk->page.more || walk->page.count == limit;
  if (format != Format::json) {
    // The header says whether there is more before the rows go out.
    Page<T> end;
    end.last = walk->page.last;
    end.more = walk->page.more;
    if (!whole && !newest) {
      const auto look = [&history, walk, limit] { return measure<T>(history, walk->query, limit); };
      auto measured = co_await context.workers.run(look);
      if (!measured) co_return store_failed(measured.error());
      end = std::move(*measured);
      // To that row, however many come before it meanwhile: who follows the link goes on behind it.
      if (end.more) {
        walk->query.until = end.last;
        walk->left = std::numeric_limits<std::uint64_t>::max();
      }
    }
    if (const auto next = newest ? std::nullopt : cursor_of(end))
      answer.headers.add("Link", next_link(*request, *next));
  }
  if (whole) {
    auto body = co_await next_piece(walk);
    if (!body) co_return store_failed(body.error());
    answer.body = std::move(*body);
  } else {
    answer.source = [walk] { return next_piece(walk); };
  }
  co_return answer;
}

// What a cursor says, if there is one. Empty optional inside: none.
template <class T>
Result<std::optional<typename Paged<T>::Place>> place_of(const RowQuery& query) {
  if (!query.cursor) return std::optional<typename Paged<T>::Place>{};
  auto place = parse_place<typename Paged<T>::Place>(*query.cursor);
  if (!place)
    return failure(Fault::malformed, Retry::never, "cursor: it is of another call; send it with the call it came from");
  return place;
}

Selection selection_of(const RowQuery& query) {
  Selection what;
  what.instrument = query.instrument;
  what.tape = query.tape;
  what.interval = query.interval;
  what.from = query.from;
  what.to = query.to;
  return what;
}

// Rows that are all in memory; `more` behind the last.
template <class T, class Append>
ServerAnswer from_memory(const net::ServerRequest& request, const AsOf& as_of, Format format, std::size_t count,
                         const std::optional<std::string>& next, Append append) {
  ServerAnswer answer = head(format, as_of);
  std::string& body = answer.body;
  if (format == Format::json) {
    body.reserve(128 + count * 640);
    body = json_begin(as_of);
  } else if (format == Format::csv) {
    body = csv_header(columns<T>()) + '\n';
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (format == Format::json && i > 0) body += ',';
    append(i, body);
    if (format == Format::ndjson) body += '\n';
  }
  if (format == Format::json)
    body += json_end(next);
  else if (next)
    answer.headers.add("Link", next_link(request, *next));
  return answer;
}

struct Asked {
  RowQuery query;
  Format format;
  InstrumentMemory* of = nullptr;
};
// What every call does first; the answer is the refusal.
tl::expected<Asked, ServerAnswer> asked(Context& context, const net::ServerRequest& request, Takes takes) {
  const auto format = accepted_format(request.headers);
  if (!format) return tl::unexpected{not_acceptable()};
  auto query = parse_query(request.where, takes, context.recent.intervals());
  if (!query) return tl::unexpected{net::problem(400, query.error().detail)};
  Asked out{std::move(*query), *format};
  if (out.query.instrument) {
    out.of = context.recent.find(*out.query.instrument);
    if (out.of == nullptr) return tl::unexpected{unknown_instrument(*out.query.instrument)};
  }
  return out;
}

const CandleSeries& series_of(const InstrumentMemory& of, Tape tape, std::size_t place) {
  static const CandleSeries none{{}, true, {}, {}};
  const TapeMemory* const memory = of.memory(tape);
  return memory == nullptr ? none : memory->series[place];
}

awaitable<ServerAnswer> candles(Context& context, net::RequestPtr request) {
  auto parsed = asked(context, *request,
                      {.tape = true, .interval = true, .times = true, .paging = true, .needs_instrument = true});
  if (!parsed) co_return std::move(parsed.error());
  const RowQuery query = std::move(parsed->query);
  InstrumentMemory& of = *parsed->of;
  if (const Status filled = co_await context.filled(of); !filled) co_return store_failed(filled.error());
  auto after = place_of<Candle>(query);
  if (!after) co_return net::problem(400, after.error().detail);
  const Tape tape = query.tape.value_or(of.tape);
  const std::size_t place = *context.recent.place(*query.interval);
  context.recent.roll(of, tape, place);
  const CandleSeries& series = series_of(of, tape, place);
  const AsOf now = as_of(context, of, tape);

  std::optional<Timestamp> from = query.from;
  if (*after) {
    const std::int64_t last = std::get<0>(**after);  // as the client sent it: any number
    const bool greatest = last == std::numeric_limits<std::int64_t>::max();
    from = std::max(from.value_or(Timestamp::min()), timestamp_ns(greatest ? last : last + 1));
  }
  const bool newest = !query.from && !*after;
  const auto starts = [](const CandlePtr& c, Timestamp s) { return c->row.start < s; };
  auto end = query.to
                 ? std::ranges::lower_bound(series.rows, *query.to, {}, [](const CandlePtr& c) { return c->row.start; })
                 : series.rows.end();
  auto begin = from ? std::lower_bound(series.rows.begin(), end, *from, starts) : series.rows.begin();
  const auto there = static_cast<std::uint64_t>(end - begin);
  const bool covered =
      series.from_beginning ||
      (newest ? there >= query.limit : !series.rows.empty() && *from >= series.rows.front()->row.start);
  if (covered) {
    std::optional<std::string> next;
    if (there > query.limit) {
      if (newest) {
        begin = end - static_cast<std::ptrdiff_t>(query.limit);
      } else {
        end = begin + static_cast<std::ptrdiff_t>(query.limit);
        next = encode_cursor(place_text(Paged<Candle>::place((*std::prev(end))->row)));
      }
    }
    co_return from_memory<Candle>(*request, now, parsed->format, static_cast<std::size_t>(end - begin), next,
                                  [&](std::size_t i, std::string& out) {
                                    const CandleRow& row = *begin[static_cast<std::ptrdiff_t>(i)];
                                    if (parsed->format == Format::csv)
                                      context.text.csv(row.row, out);
                                    else
                                      out += *json_of(row, context.text);
                                  });
  }
  PageQuery<Candle> page;
  page.what = selection_of(query);
  page.what.tape = tape;
  page.after = *after;
  for (auto row = begin; row != end; ++row) page.overlay.push_back((*row)->row);
  // Of this same moment: what memory does not have now, the store must have.
  if (const Status loaded = co_await context.loaded(topic::candles, of, of.gone.candles); !loaded)
    co_return store_failed(loaded.error());
  co_return co_await from_store(context, request, std::move(page), now, parsed->format, query.limit, newest);
}

awaitable<ServerAnswer> trades(Context& context, net::RequestPtr request) {
  auto parsed = asked(context, *request, {.tape = true, .times = true, .paging = true, .needs_instrument = true});
  if (!parsed) co_return std::move(parsed.error());
  const RowQuery query = std::move(parsed->query);
  InstrumentMemory& of = *parsed->of;
  if (const Status filled = co_await context.filled(of); !filled) co_return store_failed(filled.error());
  auto after = place_of<Trade>(query);
  if (!after) co_return net::problem(400, after.error().detail);
  const Tape tape = query.tape.value_or(of.tape);
  const TapeMemory* const memory = of.memory(tape);
  const AsOf now = as_of(context, of, tape);
  PageQuery<Trade> page;
  page.what = selection_of(query);
  page.what.tape = tape;
  page.after = *after;
  if (memory != nullptr)
    for (const Trade& trade : memory->trades)
      if ((!query.from || trade.event_time >= *query.from) && (!query.to || trade.event_time < *query.to))
        page.overlay.push_back(trade);
  const bool newest = !query.from && !*after;
  if (newest && !query.to &&
      (page.overlay.size() >= query.limit || memory == nullptr || memory->trades_from_beginning)) {
    const std::size_t count = std::min<std::size_t>(query.limit, page.overlay.size());
    const std::size_t first = page.overlay.size() - count;
    co_return from_memory<Trade>(*request, now, parsed->format, count, std::nullopt,
                                 [&](std::size_t i, std::string& out) {
                                   const Trade& row = page.overlay[first + i];
                                   if (parsed->format == Format::csv)
                                     context.text.csv(row, out);
                                   else
                                     context.text.json(row, out);
                                 });
  }
  // What memory does not have at this moment, the store must have, unless the answer begins behind that.
  const bool behind = memory != nullptr && !memory->trades.empty() &&
                      ((query.from && *query.from > memory->trades.front().event_time) ||
                       (*after && **after >= Paged<Trade>::place(memory->trades.front())));
  if (const Status there = co_await context.loaded(topic::trades, of, behind ? 0 : of.gone.trades); !there)
    co_return store_failed(there.error());
  co_return co_await from_store(context, request, std::move(page), now, parsed->format, query.limit, newest);
}

awaitable<ServerAnswer> gaps(Context& context, net::RequestPtr request) {
  auto parsed = asked(context, *request, {.tape = true, .times = true, .paging = true});
  if (!parsed) co_return std::move(parsed.error());
  const RowQuery query = std::move(parsed->query);
  auto after = place_of<Gap>(query);
  if (!after) co_return net::problem(400, after.error().detail);
  PageQuery<Gap> page;
  page.what = selection_of(query);
  page.after = *after;
  page.matches = [from = query.from, to = query.to](const Gap& gap) {
    return (!to || gap.from < *to) && (!from || !gap.to || *gap.to >= *from);
  };
  std::vector<std::pair<const InstrumentMemory*, std::int64_t>> needed;
  const auto add = [&](const InstrumentMemory& of) {
    for (const auto& [key, gap] : of.gaps)
      if (!query.tape || gap.tape == *query.tape) page.overlay.push_back(gap);
    if (of.gone.gaps > 0) needed.emplace_back(&of, of.gone.gaps);
  };
  if (parsed->of != nullptr)
    add(*parsed->of);
  else
    for (const auto& [instrument, of] : context.recent.all()) add(*of);
  std::ranges::sort(page.overlay, {}, Paged<Gap>::place);
  const AsOf now = parsed->of != nullptr ? as_of(context, *parsed->of, query.tape) : as_of_all(context, query.tape);
  for (const auto& [of, position] : needed)
    if (const Status there = co_await context.loaded(topic::gaps, *of, position); !there)
      co_return store_failed(there.error());
  const bool newest = query.instrument && !query.from && !*after;
  co_return co_await from_store(context, request, std::move(page), now, parsed->format, query.limit, newest);
}

awaitable<ServerAnswer> quarantine(Context& context, net::RequestPtr request) {
  auto parsed = asked(context, *request, {.times = true, .paging = true, .reasons = true});
  if (!parsed) co_return std::move(parsed.error());
  const RowQuery query = std::move(parsed->query);
  auto after = place_of<Quarantined>(query);
  if (!after) co_return net::problem(400, after.error().detail);
  PageQuery<Quarantined> page;
  page.what = selection_of(query);
  page.what.reason = query.reason;
  page.what.rule = query.rule;
  page.what.this_log = true;  // cursor and calls go by the place, which is one of its own log
  page.after = *after;
  const AsOf now = parsed->of != nullptr ? as_of(context, *parsed->of) : as_of_all(context);
  const bool newest = query.instrument && !query.from && !*after;
  co_return co_await from_store(context, request, std::move(page), now, parsed->format, query.limit, newest);
}

// Headlines need not speak of an instrument that is known here.
awaitable<ServerAnswer> news(Context& context, net::RequestPtr request) {
  const auto format = accepted_format(request->headers);
  if (!format) co_return not_acceptable();
  auto parsed = parse_query(request->where, {.instrument = false, .times = true, .paging = true, .news = true},
                            context.recent.intervals());
  if (!parsed) co_return net::problem(400, parsed.error().detail);
  const RowQuery query = std::move(*parsed);
  auto after = place_of<News>(query);
  if (!after) co_return net::problem(400, after.error().detail);
  PageQuery<News> page;
  page.what = selection_of(query);
  page.what.source = query.source;
  page.after = *after;
  const AsOf now = as_of_all(context);
  const bool newest = !query.from && !*after;
  co_return co_await from_store(context, request, std::move(page), now, *format, query.limit, newest);
}

awaitable<ServerAnswer> news_counts(Context& context, net::RequestPtr request) {
  constexpr Nanoseconds kUsual = std::chrono::hours{24}, kMost = std::chrono::hours{24 * 31};
  const auto format = accepted_format(request->headers);
  if (!format) co_return not_acceptable();
  auto parsed = parse_query(request->where, {.instrument = false, .interval = true, .times = true, .news = true},
                            NewsCount::kIntervals);
  if (!parsed) co_return net::problem(400, parsed.error().detail);
  const RowQuery query = std::move(*parsed);
  Selection what = selection_of(query);
  what.source = query.source;
  what.to = query.to.value_or(context.loop.clock().now());
  // Far from where nanoseconds end, so that they can be subtracted.
  const Timestamp first{}, last = first + std::chrono::hours{24 * 365 * 200};
  if (*what.to < first + kUsual || *what.to > last || (query.from && (*query.from < first || *query.from > last)))
    co_return net::problem(400, "from, to: between 1970-01-01 and 2169");
  what.from = query.from.value_or(*what.to - kUsual);
  if (*what.from >= *what.to) co_return net::problem(400, "from: lies in the future; headlines are counted until now");
  if (*what.to - *what.from > kMost) co_return net::problem(400, "from: at most 31 days can be counted at once");
  // Whole windows that meet what is asked for.
  what.from = window_start(*what.from, *what.interval);
  what.to = window_start(*what.to - Nanoseconds{1}, *what.interval) + *what.interval;
  const AsOf now = as_of_all(context);
  const History& history = context.parts.history;
  const auto call = [&history, what]() -> Result<std::vector<NewsCount>> {
    std::vector<NewsCount> rows;
    const Status read = history.news_counts(what, [&](const NewsCount& row) { return rows.push_back(row), true; });
    if (!read && read.error().fault != Fault::not_found) return tl::unexpected{read.error()};
    return rows;
  };
  const auto rows = co_await context.workers.run(call);
  if (!rows) co_return store_failed(rows.error());
  co_return from_memory<NewsCount>(*request, now, *format, rows->size(), std::nullopt,
                                   [&](std::size_t i, std::string& out) {
                                     if (*format == Format::csv)
                                       context.text.csv((*rows)[i], out);
                                     else
                                       context.text.json((*rows)[i], out);
                                   });
}

// Of one instrument or of all in the order of their names: rows that memory has.
template <class T, class Rows>
awaitable<ServerAnswer> of_instruments(Context& context, net::RequestPtr request, Rows rows_of) {
  auto parsed = asked(context, *request, {});
  if (!parsed) co_return std::move(parsed.error());
  std::vector<T> rows;
  if (parsed->of != nullptr) {
    rows_of(*parsed->of, rows);
  } else {
    std::map<Instrument, InstrumentMemory*> sorted;
    for (const auto& [instrument, of] : context.recent.all()) sorted.emplace(instrument, of.get());
    for (const auto& [instrument, of] : sorted) rows_of(*of, rows);
  }
  const AsOf now = parsed->of != nullptr ? as_of(context, *parsed->of) : as_of_all(context);
  co_return from_memory<T>(*request, now, parsed->format, rows.size(), std::nullopt,
                           [&](std::size_t i, std::string& out) {
                             if (parsed->format == Format::csv)
                               context.text.csv(rows[i], out);
                             else
                               context.text.json(rows[i], out);
                           });
}

awaitable<ServerAnswer> instruments(Context& context, net::RequestPtr request) {
  return of_instruments<InstrumentRow>(context, std::move(request),
                                       [&context](InstrumentMemory& of, std::vector<InstrumentRow>& rows) {
                                         context.recent.judge(of, context.loop.now());
                                         rows.push_back(instrument_row(of, context.recent.control()));
                                       });
}
awaitable<ServerAnswer> quotes(Context& context, net::RequestPtr request) {
  return of_instruments<Quote>(context, std::move(request), [](InstrumentMemory& of, std::vector<Quote>& rows) {
    if (of.best) rows.push_back(*of.best);
    if (of.ticker) rows.push_back(*of.ticker);
  });
}
awaitable<ServerAnswer> progress(Context& context, net::RequestPtr request) {
  return of_instruments<Progress>(context, std::move(request), [](InstrumentMemory& of, std::vector<Progress>& rows) {
    for (const auto& memory : of.tapes)
      if (memory && memory->progress) rows.push_back(*memory->progress);
  });
}

awaitable<ServerAnswer> reconciled(Context& context, net::RequestPtr request) {
  auto parsed = asked(context, *request,
                      {.tape = true, .interval = true, .times = true, .paging = true, .needs_instrument = true});
  if (!parsed) co_return std::move(parsed.error());
  const RowQuery query = std::move(parsed->query);
  std::optional<Timestamp> after;
  if (query.cursor) {
    after = parse_time(*query.cursor);
    if (!after) co_return net::problem(400, "cursor: it is of another call; send it with the call it came from");
  }
  const Tape tape = query.tape.value_or(parsed->of->tape);
  const AsOf now = as_of(context, *parsed->of, tape);
  const Timestamp from = after ? *after + *query.interval : query.from.value_or(Timestamp::min());
  const Timestamp to = query.to.value_or(Timestamp::max());
  const bool newest = !query.from && !after;
  std::vector<ReconciledWindow> rows;
  if (context.parts.reconciled) {
    const std::uint64_t most = query.limit + 1;  // one more tells whether there are more
    const auto read = [&context, &query, tape, from, to, most, newest] {
      return Result<std::vector<ReconciledWindow>>{
          context.parts.reconciled(*query.instrument, tape, *query.interval, from, to, most, newest)};
    };
    auto found = co_await context.workers.run(read);
    if (!found) co_return store_failed(found.error());
    rows = std::move(*found);
  }
  std::optional<std::string> next;
  if (rows.size() > query.limit) {
    if (newest) {
      rows.erase(rows.begin(), rows.end() - static_cast<std::ptrdiff_t>(query.limit));
    } else {
      rows.resize(static_cast<std::size_t>(query.limit));
      next = encode_cursor(to_rfc3339(rows.back().start));
    }
  }
  co_return from_memory<ReconciledWindow>(*request, now, parsed->format, rows.size(), next,
                                          [&](std::size_t i, std::string& out) {
                                            if (parsed->format == Format::csv)
                                              context.text.csv(rows[i], out);
                                            else
                                              context.text.json(rows[i], out);
                                          });
}

// Where the prices of a pair on two venues were apart since the start.
awaitable<ServerAnswer> cross(Context& context, net::RequestPtr request) {
  auto parsed = asked(context, *request, {});
  if (!parsed) co_return std::move(parsed.error());
  std::vector<Deviation> rows = context.cross.rows();
  if (parsed->query.instrument)
    std::erase_if(rows, [&](const Deviation& row) {
      return row.a != *parsed->query.instrument && row.b != *parsed->query.instrument;
    });
  co_return from_memory<Deviation>(*request, as_of_all(context), parsed->format, rows.size(), std::nullopt,
                                   [&](std::size_t i, std::string& out) {
                                     if (parsed->format == Format::csv)
                                       context.text.csv(rows[i], out);
                                     else
                                       context.text.json(rows[i], out);
                                   });
}

// One object, not rows: of the log's and the store's own, so not before load has what the page has seen.
awaitable<ServerAnswer> explain(Context& context, net::RequestPtr request) {
  if (!context.parts.explain) co_return net::problem(404, "this server explains no candles");
  auto parsed = asked(context, *request, {.tape = true, .interval = true, .start = true, .needs_instrument = true});
  if (!parsed) co_return std::move(parsed.error());
  if (parsed->format != Format::json) co_return net::problem(406, "Accept: an explanation is application/json");
  const RowQuery& query = parsed->query;
  const WindowQuestion window{.instrument = *query.instrument,
                              .interval = *query.interval,
                              .start = *query.start,
                              .tape = query.tape ? *query.tape : parsed->of->tape};
  if (context.explainer.waiting() >= kMostWaiting) {
    ServerAnswer busy = net::problem(503, "other explanations are being made, one at a time; ask again");
    busy.headers.add("Retry-After", "1");
    co_return busy;
  }
  const auto call = [&context, window] { return context.parts.explain(window); };
  auto told = co_await context.explainer.run(call);
  if (!told) {
    const Error& error = told.error();
    if (error.fault == Fault::malformed) co_return net::problem(400, error.detail);
    if (error.fault == Fault::not_found) co_return net::problem(404, error.detail);
    co_return store_failed(error);
  }
  ServerAnswer answer = head(Format::json, {});
  answer.body = std::move(*told);
  answer.body += '\n';
  co_return answer;
}

}  // namespace

std::optional<awaitable<ServerAnswer>> rest_call(Context& context, const net::RequestPtr& request) {
  const std::string_view path = request->where.path;
  if (path == "/api/v1/candles") return candles(context, request);
  if (path == "/api/v1/trades") return trades(context, request);
  if (path == "/api/v1/quotes") return quotes(context, request);
  if (path == "/api/v1/gaps") return gaps(context, request);
  if (path == "/api/v1/quarantine") return quarantine(context, request);
  if (path == "/api/v1/news") return news(context, request);
  if (path == "/api/v1/news/counts") return news_counts(context, request);
  if (path == "/api/v1/progress") return progress(context, request);
  if (path == "/api/v1/instruments") return instruments(context, request);
  if (path == "/api/v1/reconciled") return reconciled(context, request);
  if (path == "/api/v1/explain") return explain(context, request);
  if (path == "/api/v1/cross") return cross(context, request);
  return std::nullopt;
}

}  // namespace truetape
