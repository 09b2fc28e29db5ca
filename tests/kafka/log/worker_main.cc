// A worker of the counting world as a process, to be stopped and killed: kafka_log_worker BROKERS PREFIX NAME [HOLD].
// It builds itself anew after each error, says one line of each commit ("committed") and error ("error: …"), and exits
// with 3 at a fault of the log, which it says. HOLD: after so many commits it says "holds" and stops itself (SIGSTOP),
// once, with a step in hand.
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "counting_worker.h"
#include "log/kafka/kafka_log.h"

int main(int argc, char** argv) {
  using namespace truetape;
  if (argc < 4) return 2;
  KafkaOptions options;
  options.place = {argv[1], argv[2], {}};
  options.worker = argv[3];
  options.session_timeout = options.transaction_timeout = std::chrono::seconds{6};
  int hold = argc > 4 ? std::atoi(argv[4]) : -1;
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  for (;;) {
    const auto survive = [](const Error& error) {
      std::printf("error: %s\n", error.detail.c_str());
      std::this_thread::sleep_for(std::chrono::milliseconds{100});
    };
    auto log = open_kafka_log(options);
    if (!log) {
      survive(log.error());
      continue;
    }
    auto worker = kafka::testing::CountingWorker::open(**log);
    if (!worker) {
      survive(worker.error());
      continue;
    }
    for (std::optional<Error> error; !error;) {
      error = (*worker)->poll(std::chrono::milliseconds{20});
      for (const std::string& fault : (*worker)->faults()) {
        std::printf("fault: %s\n", fault.c_str());
        return 3;
      }
      const bool in_hand = !error && (*worker)->in_hand();
      if (in_hand && (*worker)->commits() == hold) {
        hold = -1;
        std::puts("holds");
        ::raise(SIGSTOP);
      }
      if (in_hand) error = (*worker)->commit();
      if (error)
        survive(*error);
      else if (in_hand)
        std::puts("committed");
    }
  }
}
