#include "life.h"

#include <stdexcept>

#include "batch/decoders.h"

namespace truetape::simulation {

using namespace std::chrono_literals;

Life::Life(LifeParts parts, IngestOptions ingest, LoadOptions load)
    : parts_{std::move(parts)}, load_options_{std::move(load)}, log_{parts_.log, parts_.watch} {
  ingest_ = std::make_unique<IngestRole>(
      std::move(ingest), IngestParts{.log = log_, .connector = parts_.connector, .tell = [this](const FeedEvent& e) {
                                       if (!dead_) parts_.trace.event("feed " + e.connection, e.text);
                                     }});
  parts_.loop.spawn([this]() -> net::awaitable<void> {
    co_await ingest_->run();
    ended_ = true;
  });
}

Life::~Life() { die(); }

void Life::die() {
  if (std::exchange(dead_, true)) return;
  log_.die();
  ingest_->stop();
  // Whoever plays the far ends has reset them, so nothing is left to wait for but time-outs.
  for (int i = 0; i < 100 && !ended_; ++i) parts_.loop.advance(i < 5 ? 0s : 1s);
  if (!ended_) throw std::runtime_error{"ingest does not end"};
  parts_.loop.advance(0s);
  ingest_.reset();
  process_.reset();
  load_.reset();
}

void Life::stop() { ingest_->stop(); }

void Life::process(Time now) {
  process_.turn(
      now, parts_.trace, parts_.watch,
      [this] { return ProcessRole::open(log_, parts_.rules, all_decoders(), {.linger = 0ms, .catch_up = 1'000}); },
      [this](ProcessRole& role) {
        Status done = role.step();
        add(counts, role.take_counts());
        return done;
      });
}

void Life::load(Time now, bool flush) {
  load_.turn(
      now, parts_.trace, parts_.watch,
      [this] { return LoadRole::open(log_, parts_.make_sink(), parts_.loop.clock(), load_options_); },
      [&](LoadRole& role) {
        has_loaded_ = true;
        const std::uint64_t before = role.counts().records;
        Status done = role.step(0ms);
        if (done && flush) done = role.flush();
        // An offset without a record lies behind the last one in some logs, so the lag need not come to 0.
        idle_loads_ = done && flush && role.counts().records == before ? idle_loads_ + 1 : 0;
        if (const SinkCounts now_is = role.sink_counts(); now_is.contradictions > 0)
          parts_.watch.breach("the store complains: " + now_is.last_contradiction);
        return done;
      });
}

bool Life::drained() const {
  if (process_.role() == nullptr || load_.role() == nullptr || idle_loads_ < 2) return false;
  const auto behind = process_.role()->lag();
  return behind && *behind == 0;
}

}  // namespace truetape::simulation
