#include "serve/follow.h"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "codec/wire.h"

namespace truetape {
namespace {

using namespace std::chrono_literals;

// Candles first: it is the one that is waited on, since nearly every commit brings some.
constexpr std::array kTopics{topic::candles,     topic::trades,  topic::quotes, topic::gaps,       topic::progress,
                             topic::instruments, topic::control, topic::news,   topic::news_counts};
// Of what the store does not keep, or has not kept yet, only the recent past is worth reading: records of a partition.
constexpr std::int64_t kMostQuotes = 20'000, kMostTrades = 200'000, kMostNews = 5'000;
constexpr std::size_t kMostInFlight = 2;          // batches that the receiver has not taken
constexpr std::chrono::milliseconds kLook{5};     // how late other topics may be seen while no candle comes
constexpr std::chrono::milliseconds kPause{500};  // after an error

template <class T>
Status decode_into(const Record& record, std::vector<T>& rows) {
  auto value = wire::decode<T>(record.value);
  if (!value) return tl::unexpected{value.error()};
  rows.push_back(std::move(*value));
  return {};
}

Status decode(std::string_view topic, const Record& record, Followed& out) {
  if (topic == topic::candles) return decode_into(record, out.candles);
  if (topic == topic::trades) return decode_into(record, out.trades);
  if (topic == topic::quotes) return decode_into(record, out.quotes);
  if (topic == topic::gaps) return decode_into(record, out.gaps);
  if (topic == topic::progress) return decode_into(record, out.progress);
  if (topic == topic::instruments) return decode_into(record, out.references);
  if (topic == topic::news) return decode_into(record, out.news);
  if (topic == topic::news_counts) return decode_into(record, out.news_counts);
  auto control = parse_control(record.key, record.value);
  if (!control) return tl::unexpected{control.error()};
  if (*control) out.control.push_back(std::move(**control));
  return {};
}

}  // namespace

struct Follower::Impl {
  Impl(Log& l, const History& h, Give g, Trouble t)
      : log{l}, history{h}, give{std::move(g)}, trouble{std::move(t)}, thread{[this](std::stop_token stop) {
          run(stop);
        }} {}

  struct Source {
    std::string_view topic;
    std::unique_ptr<Reader> reader;
    std::vector<std::int64_t> next, target;  // by partition; target: what was there at the beginning
    bool caught_up = false;
  };
  // What was read of progress and waits for the candles that were there with it: who hears that all up to a time is
  // closed has their rows. Of topics that are read one after the other the later would else tell of what the earlier
  // did not bring yet.
  struct Held {
    Followed rows;
    std::vector<std::int64_t> candles;  // by partition: where candles ended when progress of it had been read
    bool any() const { return !rows.progress.empty(); }
  };
  // Shared with the closures that tell that a batch was taken: these may outlive this object.
  struct Flight {
    std::mutex mutex;
    std::condition_variable_any landed;
    std::size_t count = 0;
  };

  void run(std::stop_token stop) {
    ::pthread_setname_np(::pthread_self(), "follow");  // for who looks at the process's threads
    while (!stop.stop_requested()) {
      const Status ended = follow(stop);
      if (stop.stop_requested()) return;
      trouble(ended.error().detail);
      std::unique_lock lock{flight->mutex};
      flight->landed.wait_for(lock, stop, kPause, [] { return false; });
    }
  }

  // Until told to stop, or an error.
  Status follow(std::stop_token stop) {
    auto first = std::make_unique<Followed>();
    const bool stored = store_is_of_this_log();
    std::vector<Source> sources;
    for (const std::string_view topic : kTopics) {
      auto begun = begin(topic, stored, *first);
      if (!begun) return tl::unexpected{begun.error()};
      sources.push_back(std::move(*begun));
    }
    // After the positions: what the store gets meanwhile comes twice, which the order of rows sorts out.
    if (Status read = read_store(*first); !read) return read;
    first->read = std::chrono::steady_clock::now();
    const auto begun = first->begun;
    if (!hand_over(stop, std::move(first))) return {};
    raise_reached(begun);

    bool caught_up = false;
    Held held;
    while (!stop.stop_requested()) {
      auto batch = std::make_unique<Followed>();
      bool any = false;
      for (Source& source : sources) {
        const bool wait = &source == &sources.front() && caught_up;
        auto taken = source.topic == topic::progress ? take_progress(source, sources.front(), held, *batch)
                                                     : take(source, wait ? kLook : 0ms, *batch);
        if (!taken) return tl::unexpected{taken.error()};
        any |= *taken;
      }
      if (!caught_up) {
        caught_up = std::ranges::all_of(sources, &Source::caught_up) && !held.any();
        any |= caught_up;
      }
      batch->caught_up = caught_up;
      if (!any) continue;
      const auto positions = batch->positions;
      if (!hand_over(stop, std::move(batch))) return {};
      raise_reached(positions);
    }
    return {};
  }

  // Only what was handed over: an error of a later topic throws away what the earlier ones of its round gave.
  void raise_reached(const std::vector<Followed::Position>& positions) {
    for (const auto& position : positions) reached[{position.topic, position.partition}] = position.next;
  }

  bool store_is_of_this_log() const {
    const auto id = history.log_id();
    return id && *id == log.id();
  }

  Result<Source> begin(std::string_view topic, bool stored, Followed& first) {
    auto reader = log.reader(topic, "", Share::all);
    if (!reader) return tl::unexpected{reader.error()};
    const auto partitions = static_cast<std::size_t>(log.partitions());
    Source source{topic, std::move(*reader), std::vector<std::int64_t>(partitions),
                  std::vector<std::int64_t>(partitions), false};
    const auto assigned = source.reader->poll(0ms);
    if (!assigned) return tl::unexpected{assigned.error()};
    for (std::int32_t p = 0; p < log.partitions(); ++p) {
      const auto span = log.span(topic, p);
      if (!span) return tl::unexpected{span.error()};
      std::int64_t from = span->oldest;
      const bool news = topic == topic::news || topic == topic::news_counts;  // the stream's recent past, stored or not
      const bool kept = !news && topic != topic::quotes && topic != topic::control && topic != topic::instruments;
      if (kept && stored)
        if (const auto loaded = history.loaded(topic, p); loaded && *loaded)
          from = std::clamp(**loaded, span->oldest, span->end);
      // After an error it goes on where it was: nobody who follows is told a row twice.
      std::int64_t whole = from;  // from here on nothing would be missing
      if (const auto was = reached.find({topic, p}); was != reached.end() && was->second <= span->end) {
        whole = was->second;
        from = std::max(was->second, span->oldest);
      }
      if (topic == topic::quotes) from = std::max(from, span->end - kMostQuotes);
      if (news) from = std::max(from, span->end - kMostNews);
      if (topic == topic::trades) from = std::max(from, span->end - kMostTrades);
      Status sought = source.reader->seek(p, from);
      if (!sought && sought.error().fault == Fault::out_of_range) {  // retention has passed meanwhile
        const auto now = log.span(topic, p);
        if (!now) return tl::unexpected{now.error()};
        from = std::max(from, now->oldest);
        sought = source.reader->seek(p, std::nullopt);
      }
      if (!sought) return tl::unexpected{sought.error()};
      if (kept && from > whole && !topic::keeps_last(topic)) first.skipped.push_back({topic, p, from});
      source.next[static_cast<std::size_t>(p)] = from;
      source.target[static_cast<std::size_t>(p)] = span->end;
      first.begun.push_back({topic, p, from});
    }
    return source;
  }

  // What is small and wanted of every instrument. Candles and trades are read when somebody asks for an instrument.
  Status read_store(Followed& out) const {
    const auto there = [](const Status& done) { return done || done.error().fault == Fault::not_found; };
    if (auto known = history.known_instruments()) out.known = std::move(*known);
    if (Status done = history.instruments({}, [&](const Reference& r) { return out.references.push_back(r), true; });
        !there(done))
      return done;
    if (Status done = history.progress({}, [&](const Progress& p) { return out.progress.push_back(p), true; });
        !there(done))
      return done;
    // Where the log's topic no longer has an instrument's last.
    if (Status done = history.quotes({}, [&](const Quote& q) { return out.stored_quotes.push_back(q), true; });
        !there(done))
      return done;
    const Status done = history.gaps({}, [&](const Gap& g) {
      if (g.state != GapState::repaired && g.state != GapState::absent) out.gaps.push_back(g);
      return true;
    });
    return there(done) ? Status{} : done;
  }

  // Whether it brought anything.
  Result<bool> take(Source& source, std::chrono::milliseconds wait, Followed& out) {
    const auto step = source.reader->poll(wait);
    if (!step) return tl::unexpected{step.error()};
    std::int32_t last = -1;
    for (const Stored& stored : step->records) {
      if (Status done = decode(source.topic, stored.record, out); !done) {
        // One record that this version cannot read must not hide all others; load says the same and stops.
        trouble(std::string{source.topic} + "/" + std::to_string(stored.partition) + " offset " +
                std::to_string(stored.offset) + " is left out: " + done.error().detail);
      }
      source.next[static_cast<std::size_t>(stored.partition)] = stored.offset + 1;
      if (stored.partition != last) {
        last = stored.partition;
        out.positions.push_back({source.topic, last, 0});
      }
      out.positions.back().next = stored.offset + 1;
    }
    if (!source.caught_up)
      source.caught_up =
          step->records.empty() || std::ranges::equal(source.next, source.target, std::greater_equal<>{});
    if (!step->records.empty()) out.read = std::chrono::steady_clock::now();
    return !step->records.empty();
  }

  // Whether it, or candles, brought anything to hand over.
  Result<bool> take_progress(Source& progress, Source& candles, Held& held, Followed& out) {
    if (!held.any()) {
      held = {};
      if (const auto taken = take(progress, 0ms, held.rows); !taken) return taken;
      if (!held.any()) {  // positions of what could not be read
        std::ranges::move(held.rows.positions, std::back_inserter(out.positions));
        return !held.rows.positions.empty();
      }
      held.candles.resize(progress.next.size());
      for (const Followed::Position& read : held.rows.positions) {
        const auto span = log.span(topic::candles, read.partition);
        if (!span) return tl::unexpected{span.error()};
        held.candles[static_cast<std::size_t>(read.partition)] = span->end;
      }
    }
    const auto missing = [&] {
      for (std::size_t p = 0; p < held.candles.size(); ++p)
        if (candles.reader->position(static_cast<std::int32_t>(p)).value_or(0) < held.candles[p]) return true;
      return false;
    };
    bool any = false;
    if (missing()) {
      const auto taken = take(candles, 0ms, out);
      if (!taken) return taken;
      any = *taken;
      if (missing()) return any;  // the next look goes on
    }
    std::ranges::move(held.rows.progress, std::back_inserter(out.progress));
    std::ranges::move(held.rows.positions, std::back_inserter(out.positions));
    out.read = std::max(out.read, held.rows.read);
    held = {};
    return true;
  }

  // False: told to stop.
  bool hand_over(std::stop_token stop, std::unique_ptr<Followed> batch) {
    {
      std::unique_lock lock{flight->mutex};
      if (!flight->landed.wait(lock, stop, [&] { return flight->count < kMostInFlight; })) return false;
      ++flight->count;
    }
    give(std::move(batch), [flight = flight] {
      const std::lock_guard lock{flight->mutex};
      --flight->count;
      flight->landed.notify_all();
    });
    return true;
  }

  std::map<std::pair<std::string_view, std::int32_t>, std::int64_t> reached;  // of the thread
  Log& log;
  const History& history;
  const Give give;
  const Trouble trouble;
  const std::shared_ptr<Flight> flight = std::make_shared<Flight>();
  std::jthread thread;  // last: joined before what it uses goes
};

Follower::Follower(Log& log, const History& history, Give give, Trouble trouble)
    : impl_{std::make_unique<Impl>(log, history, std::move(give), std::move(trouble))} {}
Follower::~Follower() = default;

}  // namespace truetape
