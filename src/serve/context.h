// What the parts of serve share: the memory, the store behind its threads, the configuration. Loop's thread only.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "net/loop.h"
#include "net/workers.h"
#include "serve/recent.h"
#include "serve/render.h"
#include "serve/serve.h"

namespace truetape {

struct Context {
  Context(net::Loop& l, const ServeConfig& c, ServeParts p);

  // Waits until what the store has of the instrument's recent past is in memory. An error: the store cannot be read, or
  // does not yet have what memory has let go.
  net::awaitable<Status> filled(InstrumentMemory& of);
  // Waits until the store has the topic of the instrument's partition up to `needed`: a place of InstrumentMemory::gone
  // at the moment when the memory was looked at. An error: not within 3 s.
  net::awaitable<Status> loaded(std::string_view topic, const InstrumentMemory& of, std::int64_t needed);

  net::Loop& loop;
  const ServeConfig config;
  const ServeParts parts;
  Recent recent;
  CrossWatch cross;
  RowText text;
  // Not the loop's order alone: a call that asks much of the store must not keep the small ones waiting.
  net::Workers workers;
  net::Workers explainer;  // of one thread: what reads much of the log must not keep the store's readers waiting

 private:
  struct Filling {
    explicit Filling(net::Loop& loop) : done{loop} {}
    net::Event done;
    Status status;
  };
  net::awaitable<Status> fill(InstrumentMemory& of);
  std::map<std::pair<std::string_view, std::int32_t>, std::int64_t> loaded_;  // as was seen last
  std::map<Instrument, std::shared_ptr<Filling>> filling_;
};

}  // namespace truetape
