#include "app/official.h"

#include <algorithm>

#include "capture/file_reader.h"
#include "core/utf8.h"
#include "net/backoff.h"
#include "net/http_client.h"
#include "net/rate_budget.h"
#include "net/url.h"

namespace truetape::app {
namespace {

constexpr std::size_t kMostBytes = 512 * 1024 * 1024;  // of one file, unpacked
constexpr int kAttempts = 4;                           // of one page
constexpr int kShare = 25;                             // percent of the venue's weights
constexpr Nanoseconds kSettle = std::chrono::seconds{5};
constexpr Nanoseconds kLongestWait = std::chrono::minutes{5};

Result<std::string> text_of(const std::filesystem::path& path) {
  auto file = FileReader::open(path);
  if (!file) return tl::unexpected{file.error()};
  std::string text;
  for (;;) {
    const auto bytes = file->read();
    if (!bytes) return tl::unexpected{bytes.error()};
    if (bytes->empty()) return text;
    if (text.size() + bytes->size() > kMostBytes)
      return failure(Fault::out_of_range, Retry::never,
                     path.string() + ": has more than 512 MB of candles; give the venue's daily or monthly files");
    text += *bytes;
  }
}

std::string beginning(std::string_view body) {
  std::string out;
  append_utf8(body.substr(0, 120), out);
  for (char& c : out)
    if (c >= 0 && c < ' ') c = ' ';
  return out;
}

std::string seconds_text(Nanoseconds wait) {
  return std::to_string(std::chrono::ceil<std::chrono::seconds>(wait).count()) + " s";
}

// Asks one venue on one loop.
class Asker {
 public:
  Asker(const Klines& venue, const VenueQuestion& question, net::Loop& loop, net::Connector& connector)
      : venue_{venue},
        question_{question},
        loop_{loop},
        client_{connector, {}},
        budget_{{.windows = {{std::chrono::minutes{1}, venue.weight_limit, false, std::string{venue.used_header}}},
                 .share_percent = kShare}},
        backoff_{{std::chrono::seconds{1}, std::chrono::seconds{10}, 2}, 1},
        origin_{question.rest_url.empty() ? std::string{venue.rest_url} : question.rest_url} {
    while (origin_.ends_with('/')) origin_.pop_back();
    place_ = net::place_of(origin_);
    while (place_.ends_with('/')) place_.pop_back();
  }

  net::awaitable<Result<std::vector<OfficialCandle>>> ask() {
    const auto told = co_await get(std::string{venue_.time_target}, 1);
    if (!told) co_return tl::unexpected{told.error()};
    const auto now = venue_.time(*told);
    if (!now) co_return tl::unexpected{wrong(now.error())};
    const Interval interval = question_.interval;
    const Timestamp to = std::min(question_.to, window_start(*now - kSettle, interval));
    std::vector<OfficialCandle> out;
    for (Timestamp from = window_start(question_.from, interval); from < to;) {
      const Timestamp end = std::min(to, from + interval * static_cast<std::int64_t>(venue_.most));
      const auto body = co_await get(venue_.target(question_.instrument, interval, from, end), venue_.weight);
      if (!body) co_return tl::unexpected{body.error()};
      const auto page = venue_.read(*body, interval);
      if (!page) co_return tl::unexpected{wrong(page.error())};
      if (!page->empty() && (page->front().start < from || page->back().start >= end))
        co_return failure(Fault::malformed, Retry::never,
                          place_ + ": was asked for windows from " + to_rfc3339(from) + " to " + to_rfc3339(end) +
                              " and answers others, from " + to_rfc3339(page->front().start) + " on");
      out.insert(out.end(), page->begin(), page->end());
      from = end;
    }
    co_return out;
  }

 private:
  Error wrong(const Error& error) const {
    return {error.fault, error.retry,
            place_ + ": " + error.detail +
                (error.fault == Fault::refused ? ""
                                               : "; check feed." + std::string{question_.instrument.venue()} +
                                                     ".rest_url and proxies on the way")};
  }

  // Why an answer of this status ends the question; empty: it may be asked again.
  std::string refusal(const net::HttpAnswer& answer, Nanoseconds blocked) const {
    const std::string said =
        place_ + ": answered with status " + std::to_string(answer.status) + " (" + beginning(answer.body) + "): ";
    switch (answer.status) {
      case 418:
        return said + "the venue has banned this address for " + seconds_text(blocked) +
               "; try again then, or compare with files: --official";
      case 451:
        return said + "the venue does not serve this place; compare with its archive files instead: --official";
      case 403:
        return said +
               "a firewall of the venue or of a proxy on the way refuses us; try again later or elsewhere, or "
               "compare with files: --official";
      case 429:
        return blocked > kLongestWait ? said + "it must not be asked for " + seconds_text(blocked) : "";
      default:
        return answer.status >= 500 ? ""
                                    : said + "check feed." + std::string{question_.instrument.venue()} + ".rest_url";
    }
  }

  net::awaitable<Result<std::string>> get(std::string target, std::int64_t weight) {
    std::string last;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      if (attempt > 0 && question_.tell) question_.tell(last);
      for (;;) {
        const Nanoseconds wait = budget_.wait(weight, loop_.now());
        if (wait <= Nanoseconds::zero()) break;
        co_await loop_.sleep(wait);
      }
      budget_.spend(weight, loop_.now());
      net::HttpRequest request;
      request.url = origin_ + target;
      auto answer = co_await client_.send(std::move(request));
      if (!answer) {
        last = answer.error().detail;
        if (answer.error().retry == Retry::never) break;
        co_await loop_.sleep(backoff_.next());
        continue;
      }
      budget_.answered(answer->status, answer->headers, loop_.now(), answer->received);
      if (answer->status == 200 || answer->status == 400) co_return std::move(answer->body);
      const Nanoseconds blocked = std::max(Nanoseconds{budget_.blocked_until() - loop_.now()}, Nanoseconds::zero());
      if (const std::string ends = refusal(*answer, blocked); !ends.empty())
        co_return failure(Fault::refused, Retry::never, ends);
      last = place_ + ": answered with status " + std::to_string(answer->status) + ", asking again in " +
             seconds_text(answer->status == 429 ? blocked : Nanoseconds{std::chrono::seconds{1}});
      if (answer->status != 429) co_await loop_.sleep(backoff_.next());
    }
    co_return failure(Fault::unavailable, Retry::after_backoff, "the venue's candles cannot be had: " + last);
  }

  const Klines& venue_;
  const VenueQuestion& question_;
  net::Loop& loop_;
  net::HttpClient client_;
  net::RateBudget budget_;
  net::Backoff backoff_;
  std::string origin_;
  std::string place_;  // the same for sentences: without user and password
};

}  // namespace

Result<std::vector<OfficialCandle>> official_of_files(const Klines& venue, Interval interval,
                                                      std::span<const std::filesystem::path> files) {
  std::vector<OfficialCandle> out;
  for (const auto& path : files) {
    const auto text = text_of(path);
    if (!text) return tl::unexpected{text.error()};
    const auto read = venue.read(*text, interval);
    if (!read) return failure(read.error().fault, Retry::never, path.string() + ": " + read.error().detail);
    out.insert(out.end(), read->begin(), read->end());
  }
  if (files.size() < 2) return out;
  std::ranges::sort(out, {}, &OfficialCandle::start);
  const auto twice = std::ranges::adjacent_find(out, {}, &OfficialCandle::start);
  if (twice != out.end())
    return failure(Fault::malformed, Retry::never,
                   "the window of " + to_rfc3339(twice->start) + " is in two of the files; give each window once");
  return out;
}

Result<std::vector<OfficialCandle>> official_of_venue(const Klines& venue, const VenueQuestion& question,
                                                      const Clock& clock) {
  net::Loop loop{clock};
  auto connector = net::Connector::make(loop, {.ca_file = question.ca_file, .proxy = question.proxy});
  if (!connector) return tl::unexpected{connector.error()};
  Asker asker{venue, question, loop, **connector};
  Result<std::vector<OfficialCandle>> out;
  loop.spawn([&]() -> net::awaitable<void> {
    out = co_await asker.ask();
    loop.stop();
  });
  loop.run();
  return out;
}

}  // namespace truetape::app
