// The role that holds the venues' connections: what they receive goes into the topic `raw`, unchanged. It does what the
// topic `control` says (codec/control.h): a feed for each venue of which something is wanted, unless ingest is stopped;
// and tells there how they stand.
//
// One Loop and its thread only. Nothing here waits for the log: while it has no room the feeds do not read their
// sockets. An appender that fails is opened anew, and what it may have lost ends the evidence of its sessions.
//
//   IngestRole role{options, {.log = log, .connector = *connector, ...}};
//   loop.spawn(role.run());
//   ... role.stop(); run() returns when the feeds have ended and what they had received is durable.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "codec/control.h"
#include "log/log.h"
#include "metrics/metrics.h"
#include "net/connector.h"
#include "net/loop.h"
#include "roles/ingest_log.h"
#include "venues/feed.h"

namespace truetape {

struct IngestOptions {
  std::map<std::string, FeedOptions, std::less<>> feeds = {};  // by venue; one that is not here has the defaults
  std::uint64_t seed = 0;                                      // of jitter and session ids: another in each process
  Nanoseconds look = std::chrono::milliseconds{100};           // how often control and the log are looked at
  Nanoseconds report_every = std::chrono::minutes{1};          // a changed state is told sooner, at most once a second
  Nanoseconds flush_limit = std::chrono::seconds{10};          // at the end, for what was received to become durable
};

// Borrowed; outlive the role.
struct IngestParts {
  Log& log;
  net::Connector& connector;
  Metrics* metrics = nullptr;                    // what to count into (docs/metrics.md)
  std::function<void(const FeedEvent&)> tell{};  // for a person
  // For tests; else the venues' own.
  std::function<Result<std::unique_ptr<Feed>>(std::string_view, const FeedOptions&, FeedParts)> make_feed{};
};

class IngestRole {
 public:
  IngestRole(IngestOptions options, IngestParts parts);
  ~IngestRole();  // run() has returned, or was never called
  IngestRole(const IngestRole&) = delete;
  IngestRole& operator=(const IngestRole&) = delete;

  // Once. Until stop(). True: all that was received is durable; false: not within the limit, and it was told.
  net::awaitable<bool> run();
  void stop();

 private:
  class Venue;

  void tell(FeedEvent::Level level, const std::string& text) const;
  // What control says now.
  void learn();
  // Starts, changes and ends feeds accordingly.
  void follow();
  void start(Venue& venue, const std::set<Instrument>& wanted);
  static void end(Venue& venue);
  net::awaitable<void> attend(Venue& venue);
  void report();
  bool any_runs() const;
  net::awaitable<bool> flush(Nanoseconds limit);

  const IngestOptions options_;
  const IngestParts parts_;
  net::Loop& loop_;
  net::Event wake_;
  LastingAppender raw_, reports_;
  ControlFollower control_;
  std::uint64_t feeds_made_ = 0;
  std::map<std::string, std::unique_ptr<Venue>, std::less<>> venues_;
  std::map<std::string, std::set<Instrument>, std::less<>> wanted_;  // by venue, as far as ingest is started
  std::uint64_t learnt_ = 0;                                         // the version of control that this is
  std::uint64_t stops_ = 0;                                          // of it
  bool durable_ = false;                                             // all of raw, as of the last look
  bool stopping_ = false;
};

}  // namespace truetape
