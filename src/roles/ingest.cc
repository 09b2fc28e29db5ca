#include "roles/ingest.h"

#include <utility>

#include "roles/ingest_venue.h"

namespace truetape {
namespace {

using Level = FeedEvent::Level;

constexpr Nanoseconds kFlushLook = std::chrono::milliseconds{2};

}  // namespace

IngestRole::IngestRole(IngestOptions options, IngestParts parts)
    : options_{std::move(options)},
      parts_{std::move(parts)},
      loop_{parts_.connector.loop()},
      wake_{loop_},
      raw_{parts_.log, topic::raw, loop_, options_.seed, [this](Level level, const std::string& t) { tell(level, t); }},
      reports_{parts_.log, topic::control, loop_, options_.seed + 1,
               [this](Level level, const std::string& t) { tell(level, t); }},
      control_{parts_.log, loop_, options_.seed + 2, [this](Level level, const std::string& t) { tell(level, t); }} {}

IngestRole::~IngestRole() = default;

void IngestRole::tell(Level level, const std::string& text) const {
  if (parts_.tell) parts_.tell({level, {}, text});
}

void IngestRole::stop() {
  stopping_ = true;
  wake_.set();
}

bool IngestRole::any_runs() const {
  for (const auto& [name, venue] : venues_)
    if (venue->feed) return true;
  return false;
}

net::awaitable<void> IngestRole::attend(Venue& venue) {
  co_await venue.feed->run();
  venue.ended = true;
  wake_.set();
}

void IngestRole::start(Venue& venue, const std::set<Instrument>& wanted) {
  FeedOptions options;
  if (const auto own = options_.feeds.find(venue.name); own != options_.feeds.end()) options = own->second;
  options.seed = options_.seed + 0x9E3779B97F4A7C15ULL * ++feeds_made_;
  auto sink = std::make_unique<VenueSink>(
      raw_, parts_.log.partitions(), loop_, venue.meters.get(),
      [this, &venue](Level level, const std::string& text) { tell(level, venue.name + ": " + text); });
  FeedParts parts{&parts_.connector, sink.get(), parts_.tell};
  auto feed = parts_.make_feed ? parts_.make_feed(venue.name, options, std::move(parts))
                               : make_feed(venue.name, options, std::move(parts));
  venue.wanted = wanted;
  if (!feed) {
    // The same next time: told once, and again when something else is wanted of it.
    venue.refused = feed.error().detail;
    return tell(Level::error, venue.refused + "; nothing will come of what is wanted there");
  }
  venue.refused.clear();
  venue.sink = std::move(sink);
  venue.feed = std::move(*feed);
  venue.stopping = venue.ended = false;
  venue.frames_ = venue.bytes_ = venue.connects_ = venue.failures_ = 0;
  venue.feed->want(wanted);
  loop_.spawn(attend(venue));
}

void IngestRole::end(Venue& venue) {
  if (!venue.feed || std::exchange(venue.stopping, true)) return;
  venue.feed->stop();
  venue.sink->release();
}

void IngestRole::learn() {
  const bool first = learnt_ == 0;
  if (std::exchange(learnt_, control_.version()) == control_.version()) return;
  const ControlState& state = control_.state();
  const auto know = [this](const std::string& name) {
    if (!venues_.contains(name)) venues_.emplace(name, std::make_unique<Venue>(name, parts_.metrics));
  };
  wanted_.clear();
  if (state.started)
    for (const Instrument& instrument : state.wanted) wanted_[std::string{instrument.venue()}].insert(instrument);
  for (const auto& [name, instruments] : wanted_) know(name);
  // Stopped and started since the last look: all is made anew, as it would have been with a look between.
  if (std::exchange(stops_, state.stops) != state.stops && !first)
    for (const auto& [name, venue] : venues_) {
      venue->refused.clear();
      end(*venue);
    }
  if (!first) return;
  // What a process that was killed has left there does not run now.
  for (const auto& [name, report] : state.feeds)
    if (report.running) know(name);
}

void IngestRole::follow() {
  for (auto& [name, venue] : venues_) {
    if (venue->feed && venue->ended) {
      venue->count();
      venue->feed.reset();
      venue->sink.reset();
    }
    const auto now = wanted_.find(name);
    if (now == wanted_.end() || stopping_) {
      venue->refused.clear();
      venue->wanted.clear();
      end(*venue);
    } else if (!venue->feed) {
      if (venue->refused.empty() || venue->wanted != now->second) start(*venue, now->second);
    } else if (!venue->stopping && venue->wanted != now->second) {
      venue->wanted = now->second;
      venue->feed->want(now->second);
    }  // else it ends, and begins anew afterwards
  }
}

void IngestRole::report() {
  const net::SteadyTime steady = loop_.now();
  const Timestamp now = loop_.clock().now();
  const bool all_ended = !any_runs();
  for (auto& [name, venue] : venues_) {
    venue->count();
    // That a feed has ended is said when what it received is safe, as far as that can be told while others go on.
    if (!venue->feed && all_ended && !durable_) continue;
    auto report = venue->report(now, steady, options_.report_every, venue->feed != nullptr);
    if (!report) continue;
    const ControlText text = control_text(*report);
    if (reports_.append(kControlPartition, {text.key, text.value, {}})) venue->said(std::move(*report), steady);
  }
  reports_.look();
}

// Until all is durable, at most so long.
net::awaitable<bool> IngestRole::flush(Nanoseconds limit) {
  const net::SteadyTime until = loop_.now() + limit;
  for (;;) {
    const bool raw = raw_.look(), reports = reports_.look();
    if (raw && reports) co_return true;
    if (loop_.now() >= until) co_return false;
    co_await loop_.sleep(kFlushLook);
  }
}

net::awaitable<bool> IngestRole::run() {
  Gauge* const generation =
      parts_.metrics == nullptr
          ? nullptr
          : &parts_.metrics->gauge("truetape_ingest_generation",
                                   "Rises when records may have been lost on their way into the log; the sessions that "
                                   "had put them end.");
  for (;;) {
    durable_ = raw_.look();
    if (control_.look()) learn();
    follow();
    report();
    if (generation != nullptr) generation->set(static_cast<std::int64_t>(raw_.generation()));
    if (stopping_ && !any_runs()) break;
    wake_.reset();
    co_await wake_.wait_for(options_.look);
  }
  const bool received = co_await flush(options_.flush_limit);
  durable_ = received;
  report();
  const bool told = co_await flush(received ? options_.flush_limit : Nanoseconds::zero());
  if (!received)
    tell(Level::error,
         "what was received last could not be written within " +
             std::to_string(std::chrono::duration_cast<std::chrono::seconds>(options_.flush_limit).count()) +
             " s, and is lost: a gap will say so");
  co_return received&& told;
}

}  // namespace truetape
