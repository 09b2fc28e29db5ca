// The events of a history: printed if wanted, hashed always, so that two runs of one seed can be compared; and how
// often each kind of fault and outcome happened.
#pragma once

#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <string_view>

#include "agenda.h"

namespace truetape::simulation {

using Tally = std::map<std::string, std::uint64_t, std::less<>>;

class Trace {
 public:
  Trace(bool print, Time start) : print_{print}, start_{start} {}

  void set_now(Time now) { now_ = now; }
  // One event: a word, and what there is to say of it.
  void event(std::string_view what, std::string_view detail = {}) {
    mix(static_cast<std::uint64_t>(now_));
    mix(what);
    mix(detail);
    if (!print_) return;
    const Time since = now_ - start_;
    std::printf("%9lld.%06lld  %-14s %s\n", static_cast<long long>(since / kSecond),
                static_cast<long long>(since % kSecond / kMicrosecond), std::string{what}.c_str(),
                std::string{detail}.c_str());
  }
  // An injected fault: counted, and an event.
  void fault(std::string_view kind, std::string_view detail = {}) {
    count(faults_, kind);
    event(kind, detail);
  }
  void outcome(std::string_view kind, std::uint64_t times = 1) { count(outcomes_, kind, times); }

  bool prints() const { return print_; }
  std::uint64_t hash() const { return hash_; }
  const Tally& faults() const { return faults_; }
  const Tally& outcomes() const { return outcomes_; }

 private:
  static void count(Tally& in, std::string_view kind, std::uint64_t times = 1) {
    const auto found = in.find(kind);
    if (found == in.end())
      in.emplace(kind, times);
    else
      found->second += times;
  }
  // FNV-1a
  void mix(std::string_view bytes) {
    for (const char c : bytes) hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    hash_ = (hash_ ^ 0xff) * 0x100000001b3ULL;
  }
  void mix(std::uint64_t number) { hash_ = (hash_ ^ number) * 0x100000001b3ULL; }

  const bool print_;
  const Time start_;
  Time now_ = 0;
  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
  Tally faults_, outcomes_;
};

}  // namespace truetape::simulation
