// Running a child that is killed, for tests.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace truetape::test {

struct Ended {
  std::string output;  // all that it wrote to its standard output
  int status = 0;      // as of waitpid
  bool killed() const { return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL; }
  bool well() const { return WIFEXITED(status) && WEXITSTATUS(status) == 0; }
};

// Starts the program with more environment, kills it after `life` or when `enough` says so, unless it ends before, and
// waits for it. `heard` is called with all output so far, from another thread.
inline Ended run_and_kill(const std::vector<std::string>& command, const std::vector<std::string>& more_environment,
                          std::chrono::microseconds life, const std::function<void(const std::string&)>& heard = {},
                          const std::atomic<bool>* enough = nullptr) {
  int out[2];
  if (pipe2(out, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  fcntl(out[0], F_SETPIPE_SZ, 1 << 20);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  std::vector<char*> argv, envp;
  for (const std::string& a : command) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  for (char** e = environ; *e != nullptr; ++e) envp.push_back(*e);
  for (const std::string& e : more_environment) envp.push_back(const_cast<char*>(e.c_str()));
  envp.push_back(nullptr);
  pid_t pid = 0;
  const int rc = posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  close(out[1]);
  if (rc != 0) throw std::runtime_error("cannot start " + command[0]);
  Ended ended;
  std::thread drain{[&] {
    char piece[4096];
    for (ssize_t n = 0; (n = read(out[0], piece, sizeof piece)) > 0;) {
      ended.output.append(piece, static_cast<std::size_t>(n));
      if (heard) heard(ended.output);
    }
  }};
  const auto until = std::chrono::steady_clock::now() + life;
  while (waitpid(pid, &ended.status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() >= until || (enough != nullptr && *enough)) {
      kill(pid, SIGKILL);
      waitpid(pid, &ended.status, 0);
      break;
    }
    std::this_thread::sleep_for(std::chrono::microseconds{200});
  }
  drain.join();
  close(out[0]);
  return ended;
}

}  // namespace truetape::test
