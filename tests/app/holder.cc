// Holds the log of a data directory as `truetape run` does, without a feed: process and load work, commands beside it
// write through the socket. usage: truetape_holder DIR [KEY=VALUE]... ; says "ready", and ends when its input does.
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "app/open.h"
#include "app/pipeline.h"
#include "log/socket/log_server.h"

int main(int argc, char** argv) {
  using namespace truetape;
  using namespace truetape::app;
  const auto fail = [](const std::string& sentence) {
    std::fprintf(stderr, "holder: %s\n", sentence.c_str());
    return 1;
  };
  const std::vector<std::string> arguments{argv + 1, argv + argc};
  if (arguments.empty()) return fail("name a data directory");
  try {
    Config config = load_config({}, std::span{arguments}.subspan(1)).config;
    config.data = arguments[0];
    start_logging(config);
    auto log = open_log_to_write(config);
    if (!log) return fail(log.error().detail);
    Pipeline pipeline{**log, config, false};
    if (const Status settled = pipeline.settle([](std::int64_t, std::int64_t) {}); !settled)
      return fail(settled.error().detail);
    if (const Status kept = keep_intervals(**log, config); !kept) return fail(kept.error().detail);
    LogServerOptions options;
    options.alone = std::chrono::milliseconds{200};
    options.tell = [](const std::string& sentence) { std::fprintf(stderr, "holder: %s\n", sentence.c_str()); };
    const auto server = LogServer::start(**log, config.socket_file(), options);
    if (!server) return fail(server.error().detail);
    std::puts("ready");
    std::fflush(stdout);
    char byte = 0;
    while (::read(STDIN_FILENO, &byte, 1) > 0) continue;
    return 0;
  } catch (const std::exception& e) {
    return fail(e.what());
  }
}
