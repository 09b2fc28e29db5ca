// The fault dice of the memory log: where a call crashes, and what of the unflushed survives. Deterministic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>

namespace truetape {

enum class LogCall : std::uint8_t { append, flush, task_poll, commit, reader_poll, seek, stored };
// Before or after the call took effect. The caller sees the same error (append: false) and cannot tell.
enum class Crash : std::uint8_t { none, before, after };

// Called under the log's lock, in the order of the calls.
class FaultDice {
 public:
  virtual ~FaultDice() = default;
  virtual Crash roll(LogCall call) = 0;
  // Of the `waiting` >= 1 unflushed records of one partition the first so many become durable: at a crash, and when
  // somebody polls before the flush.
  virtual std::size_t surviving(std::size_t waiting) = 0;
};

// Each call crashes with probability per_mille / 1000, half of them before and half after the effect.
class RandomFaults final : public FaultDice {
 public:
  RandomFaults(std::uint64_t seed, std::uint32_t per_mille) : random_{seed}, per_mille_{per_mille} {}
  Crash roll(LogCall) override {
    const std::uint64_t r = random_();
    if (r % 1000 >= per_mille_) return Crash::none;
    return (r >> 32) % 2 == 0 ? Crash::before : Crash::after;
  }
  std::size_t surviving(std::size_t waiting) override { return static_cast<std::size_t>(random_() % (waiting + 1)); }
  void stop() { per_mille_ = 0; }  // for the quiet end of a history

 private:
  std::mt19937_64 random_;
  std::uint32_t per_mille_;
};

// Crashes once, at the call with this number (from 0); counts all calls.
class CrashAt final : public FaultDice {
 public:
  CrashAt(std::uint64_t call, Crash crash, std::uint64_t seed = 1) : at_{call}, crash_{crash}, random_{seed} {}
  Crash roll(LogCall call) override {
    if (calls_++ != at_) return Crash::none;
    hit_ = call;
    crashed_ = true;
    return crash_;
  }
  std::size_t surviving(std::size_t waiting) override { return static_cast<std::size_t>(random_() % (waiting + 1)); }
  std::uint64_t calls() const { return calls_; }
  bool crashed() const { return crashed_; }
  LogCall hit() const { return hit_; }

 private:
  std::uint64_t at_, calls_ = 0;
  Crash crash_;
  bool crashed_ = false;
  LogCall hit_ = LogCall::append;
  std::mt19937_64 random_;
};

}  // namespace truetape
