#include "app/hand_fill.h"

#include <array>
#include <cstdlib>

#include "app/backfill_thread.h"
#include "app/import_report.h"
#include "app/lines.h"
#include "batch/open_ranges.h"
#include "net/connector.h"
#include "net/proxy.h"
#include "roles/ingest_venue.h"
#include "venues/feed_session.h"

namespace truetape::app {
namespace {

using What = FillAnswer::What;

constexpr Nanoseconds kLook = std::chrono::milliseconds{20};
constexpr Nanoseconds kFlushLimit = std::chrono::seconds{30};
constexpr int kMostTroubles = 3;  // in a row; each of them is several attempts

class HandFill {
 public:
  HandFill(const Config& config, const HandQuestion& question, const HandParts& parts)
      : config_{config},
        question_{question},
        parts_{parts},
        raw_{parts.log, topic::raw, loop_, any_seed(),
             [](FeedEvent::Level level, const std::string& text) { tell(level, text); }},
        sink_{raw_, parts.log.partitions(), loop_, nullptr,
              [](FeedEvent::Level level, const std::string& text) { tell(level, text); }} {}

  Result<HandAnswer> run() {
    auto proxy = net::proxy_from_environment([](const char* name) -> const char* { return std::getenv(name); });
    if (!proxy) return tl::unexpected{proxy.error()};
    auto connector = net::Connector::make(loop_, {.ca_file = config_.ca_file, .proxy = std::move(*proxy)});
    if (!connector) return tl::unexpected{connector.error()};
    FeedParts feed{connector->get(), &sink_, [](const FeedEvent& event) { tell(event.level, event.text); }};
    auto filler =
        make_filler(question_.instrument.venue(), fill_options(config_, question_.instrument.venue()), std::move(feed));
    if (!filler) return tl::unexpected{filler.error()};
    filler_ = std::move(*filler);
    loop_.spawn([this]() -> net::awaitable<void> {
      co_await attend();
      ended_ = true;
    });
    loop_.spawn([this]() -> net::awaitable<void> {
      co_await look();
      loop_.stop();
    });
    loop_.run();
    filler_.reset();
    if (error_) return tl::unexpected{*error_};
    return out_;
  }

 private:
  static void tell(FeedEvent::Level level, const std::string& text) {
    constexpr std::array kLevels{Level::info, Level::warning, Level::error};
    say(kLevels[static_cast<std::size_t>(level)], "backfill", text);
  }
  void fail(Fault fault, std::string detail) {
    if (!error_) error_ = Error{fault, Retry::never, std::move(detail)};
  }

  // The appender, the signal, the end.
  net::awaitable<void> look() {
    bool told = false;
    while (!ended_) {
      raw_.look();
      if (parts_.interrupted && !told) {
        told = true;
        filler_->stop();
        sink_.release();
      }
      co_await loop_.sleep(kLook);
    }
    const net::SteadyTime until = loop_.now() + kFlushLimit;
    while (!raw_.look()) {
      if (loop_.now() >= until) {
        fail(Fault::unavailable, "what was received last could not be written into the log; ask again for the same");
        co_return;
      }
      co_await loop_.sleep(kLook);
    }
  }

  // `always`: also when it was interrupted, for a while.
  net::awaitable<bool> put(RawKind kind, std::vector<Header> more, bool always = false) {
    const net::SteadyTime until = loop_.now() + kFlushLimit;
    while (!put_single(sink_, kind, question_.instrument, {}, loop_.clock().now(), more)) {
      if (parts_.interrupted && (!always || loop_.now() >= until)) co_return false;
      if (parts_.interrupted)
        co_await loop_.sleep(kLook);
      else
        co_await sink_.room();
    }
    co_return true;
  }

  net::awaitable<void> attend() {
    const auto first = co_await filler_->first_id_at(question_.instrument, question_.tape, question_.from);
    if (!first) {
      fail(Fault::unavailable, first.error().detail);
      co_return;
    }
    if (!*first) co_return;
    std::optional<std::uint64_t> last;
    if (question_.to) {
      const auto behind = co_await filler_->first_id_at(question_.instrument, question_.tape, *question_.to);
      if (!behind) {
        fail(Fault::unavailable, behind.error().detail);
        co_return;
      }
      if (*behind && **behind <= **first) co_return;
      if (*behind) last = **behind - 1;
    }
    out_.ids = FillRange{**first, last.value_or(**first)};
    // A range: holes at its edges, and between what has come and what is about to, are named when it ends.
    auto ranges = OpenRanges::read(parts_.log);
    if (!ranges) {
      fail(ranges.error().fault, ranges.error().detail);
      co_return;
    }
    const OpenRanges::File range = OpenRanges::rest(question_.instrument, question_.from);
    const OpenRanges::NoRoom no_room = [](const Error& error) -> Status { return tl::unexpected{error}; };
    if (const Status begun = ranges->begin(range, no_room); !begun) {
      fail(begun.error().fault, begun.error().detail);
      co_return;
    }
    const std::string name = range_name(range.hash, question_.instrument);
    const std::string tape{truetape::name(question_.tape)};
    const std::string from = std::to_string(to_ns(question_.from));
    const std::string to = question_.to ? std::to_string(to_ns(*question_.to)) : std::string{};
    const std::vector<Header> of_tape{{header::tape, tape}};
    std::vector<Header> of_range{{header::range, name}, {header::from, from}};
    if (question_.to) of_range.push_back({header::to, to});
    const std::uint64_t generation = raw_.generation();
    bool good = co_await put(RawKind::config, of_tape);
    if (good) good = co_await put(RawKind::begin, of_range);
    if (good) co_await fill(**first, last);
    const bool closed = co_await put(RawKind::end, of_range, true);
    const net::SteadyTime until = loop_.now() + kFlushLimit;
    bool durable = false;
    while (closed && !(durable = raw_.look()) && loop_.now() < until) co_await loop_.sleep(kLook);
    if (!durable || raw_.generation() != generation) {
      // The note of the open range stays: the next filling, import or start of `truetape run` ends it.
      fail(Fault::unavailable, "not all that was received could be written into the log; ask again for the same");
      co_return;
    }
    if (const Status ended = ranges->end(range.hash, no_room); !ended) fail(ended.error().fault, ended.error().detail);
  }

  net::awaitable<void> fill(std::uint64_t from, std::optional<std::uint64_t> last) {
    int troubles = 0;
    while (!last || from <= *last) {
      FillQuestion piece;
      piece.instrument = question_.instrument;
      piece.tape = question_.tape;
      piece.first_id = from;
      if (last) piece.last_id = std::min(*last, from + filler_->unit(piece.tape) - 1);
      const FillAnswer answer = co_await filler_->fill(piece);
      out_.pages += answer.pages;
      out_.trades += answer.trades;
      for (const FillRange& r : answer.absent) out_.absent += r.last - r.first + 1;
      if (answer.what == What::stopped || parts_.interrupted) {
        out_.stopped = true;
        co_return;
      }
      if (answer.what == What::trouble && ++troubles < kMostTroubles) continue;
      if (answer.what == What::trouble || answer.what == What::unable || answer.what == What::too_old ||
          answer.what == What::refused) {
        fail(Fault::unavailable, answer.text);
        co_return;
      }
      troubles = 0;
      if (!last && answer.newest) out_.ids->last = *answer.newest;
      for (const FillRange& r : answer.missing) {
        if (!out_.missing.empty() && out_.missing.back().last + 1 == r.first)
          out_.missing.back().last = r.last;
        else
          out_.missing.push_back(r);
      }
      // Without an end: up to a page that is not full.
      if (!last && (answer.what == What::nothing || !answer.newest || *answer.newest < from ||
                    answer.trades < answer.pages * filler_->page(piece.tape)))
        co_return;
      from = last ? *piece.last_id + 1 : *answer.newest + 1;
      if (parts_.progress) parts_.progress(out_, from);
    }
  }

  const Config& config_;
  const HandQuestion& question_;
  const HandParts& parts_;
  const SystemClock clock_{};
  net::Loop loop_{clock_};
  LastingAppender raw_;
  VenueSink sink_;
  std::unique_ptr<Filler> filler_;
  HandAnswer out_;
  std::optional<Error> error_;
  bool ended_ = false;
};

}  // namespace

Result<HandAnswer> fill_by_hand(const Config& config, const HandQuestion& question, const HandParts& parts) {
  // Before anything is asked, which may fail: what another filling left open keeps holes from being named. One process
  // fills at a time.
  const SystemClock clock;
  const auto ended =
      end_left(parts.log, clock.now(), std::chrono::duration_cast<std::chrono::milliseconds>(kFlushLimit),
               OpenRanges::is_rest);  // an import may be at work
  if (!ended) return tl::unexpected{ended.error()};
  for (const OpenRanges::File& file : *ended) say(Level::info, "backfill", ended_sentence(file.name));
  return HandFill{config, question, parts}.run();
}

}  // namespace truetape::app
