#include "history_run.h"

namespace truetape::simulation {

void History::during(std::string_view kind, Time from, Time span, std::function<void()> begin,
                     std::function<void()> end) {
  agenda_.at(kStart + from, [this, kind, begin = std::move(begin)] {
    if (!faults_on_) return;
    trace_.event(kind, "begins");
    begin();
  });
  agenda_.at(kStart + from + span, [this, kind, end = std::move(end)] {
    trace_.event(kind, "ends");
    end();
  });
}

void History::plan_faults() {
  Random dice = random_.part();
  const auto when = [&] {
    return dice.between(3, duration_ / kSecond - 1) * kSecond + dice.between(0, 999) * kMillisecond;
  };
  const auto span = [&](Time most) { return dice.between(most / 10, most); };
  // Of each kind a history has often none: what they do together should be seen, and what each does alone too.
  const auto times = [&](std::uint64_t most) { return dice.one_in(2) ? 0 : 1 + dice.below(most); };
  const std::uint64_t many = options_.long_run ? 40 : 1;
  const auto plan = [&](std::uint64_t most, const std::function<void()>& one) {
    for (std::uint64_t n = times(most) * many; n > 0; --n) one();
  };
  Weather& w = venue_.weather;

  plan(4, [&] {
    const Time at = when(), pause = dice.between(0, 4) * kSecond;
    agenda_.at(kStart + at, [this, pause] {
      if (!faults_on_ || !life_) return;
      trace_.fault("process crash");
      end_life("crash");
      agenda_.at(now() + pause, [this] {
        if (down_) begin_life();
      });
    });
  });
  plan(4, [&] {
    const auto how = static_cast<Venue::Cut>(dice.below(3));
    const bool rest = dice.one_in(6);
    agenda_.at(kStart + when(), [this, how, rest] {
      if (faults_on_) venue_.cut(how, rest);
    });
  });
  const auto rate = [&](std::string_view kind, std::uint32_t Weather::*member, std::uint32_t most) {
    plan(2, [&] {
      const auto value = static_cast<std::uint32_t>(1 + dice.below(most));
      during(
          kind, when(), span(30 * kSecond), [&w, member, value] { w.*member = value; },
          [&w, member] { w.*member = 0; });
    });
  };
  rate("dropping", &Weather::dropped, 300);
  rate("doubling", &Weather::doubled, 300);
  rate("swapping", &Weather::swapped, 200);
  rate("corrupting", &Weather::corrupted, 150);
  const auto flag = [&](std::string_view kind, bool Weather::*member, Time most) {
    plan(2, [&] {
      during(
          kind, when(), span(most), [&w, member] { w.*member = true; }, [&w, member] { w.*member = false; });
    });
  };
  flag("silence", &Weather::silent, 20 * kSecond);
  flag("deafness", &Weather::deaf, 30 * kSecond);
  flag("rest refusing", &Weather::rest_refuses, 30 * kSecond);
  flag("rest hanging", &Weather::rest_hangs, 20 * kSecond);
  flag("refusing", &Weather::refuses_connections, 15 * kSecond);
  flag("refusing upgrades", &Weather::refuses_upgrades, 15 * kSecond);
  flag("refusing streams", &Weather::refuses_streams, 3 * kSecond);
  plan(2, [&] {
    const Time lag = dice.between(100, 6'000) * kMillisecond;
    during(
        "lag", when(), span(20 * kSecond),
        [this, &w, lag] {
          trace_.fault("lagging");
          w.lag = lag;
        },
        [&w] { w.lag = 0; });
  });
  plan(1, [&] {
    const Time lag = dice.between(1, 8) * kSecond;
    during(
        "rest lag", when(), span(30 * kSecond), [&w, lag] { w.rest_lag = lag; }, [&w] { w.rest_lag = 0; });
  });
  if (dice.one_in(4))
    w.rest_refuses = true, during(
                               "rest refusing", 0, span(20 * kSecond), [] {}, [&w] { w.rest_refuses = false; });

  plan(2, [&] {
    during(
        "store down", when(), span(20 * kSecond), [this] { store_weather_.down = true; },
        [this] { store_weather_.down = false; });
  });
  plan(1, [&] {
    during(
        "store full", when(), span(20 * kSecond), [this] { store_weather_.full = true; },
        [this] { store_weather_.full = false; });
  });
  plan(1, [&] {
    const auto value = static_cast<std::uint32_t>(1 + dice.below(200));
    during(
        "sink crashes", when(), span(30 * kSecond), [this, value] { store_weather_.crashes = value; },
        [this] { store_weather_.crashes = 0; });
  });
  plan(2, [&] {
    const auto value = static_cast<std::uint32_t>(1 + dice.below(40));
    const Time at = when(), length = span(30 * kSecond);
    log_troubles_.emplace_back(kStart + at, kStart + at + length);
    during(
        "log crashes", at, length, [this, value] { dice_->per_mille = value; }, [this] { dice_->per_mille = 0; });
  });
  plan(1, [&] {
    const Time at = when(), length = span(20 * kSecond);
    log_troubles_.emplace_back(kStart + at, kStart + at + length);
    during(
        "disk full", at, length,
        [this] {
          trace_.fault("disk full");
          log_->set_full(true);
        },
        [this] { log_->set_full(false); });
  });
  // Another owner takes the store for a moment.
  plan(2, [&] {
    agenda_.at(kStart + when(), [this] {
      if (!faults_on_ || store_weather_.down || adopt_) return;
      trace_.fault("store fenced");
      const bool was = std::exchange(store_weather_.crashes, 0U) != 0;
      const auto other = make_sink();
      if (other->open())
        for (const std::string_view topic : load_options_.topics)
          for (std::int32_t p = 0; p < log_->partitions(); ++p)
            if (const auto claimed = other->claim(topic, p); !claimed && claimed.error().retry == Retry::never)
              watch_->breach("another owner is refused: " + claimed.error().detail);
      if (was) store_weather_.crashes = 50;
    });
  });
  plan(3, [&] {
    agenda_.at(kStart + when(), [this] {
      if (faults_on_) trim();
    });
  });
  plan(1, [&] {
    const Time by = dice.between(-120, 120) * kSecond;
    agenda_.at(kStart + when(), [this, by] {
      if (!faults_on_) return;
      trace_.fault("clock jumped", std::to_string(by / kSecond));
      clocks_wrong_ = true;
      clock_.jump(Nanoseconds{by});
    });
  });
  if (!options_.long_run && dice.one_in(6)) {
    const bool rebuild = dice.one_in(2);
    agenda_.at(kStart + when(), [this, rebuild] {
      if (faults_on_) another_log(rebuild);
    });
  }
}

}  // namespace truetape::simulation
