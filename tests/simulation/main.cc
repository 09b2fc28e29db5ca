// Runs histories (README.md).
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include <exception>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "history.h"

namespace {

using namespace truetape::simulation;

constexpr const char* kUsage =
    R"(usage: simulation [--seed N] [--from N] [--count N] [--trace] [--hours] [--state FILE] [--seconds N]
                  [--until-failure]

  --seed N       one history: N
  --from N       the first seed (1)
  --count N      how many seeds (200)
  --trace        print the events of each history
  --hours        histories of 8 h of virtual time with retention
  --state FILE   keep what was done there, and go on from it: the same command again does the rest
  --until-failure stop after the first history that failed
  --seconds N    stop after that time; with --state the rest can be done later
Exit code: 0 all good, 1 a history failed or a kind of fault or outcome never happened, 2 usage.
)";

// From this many histories on each kind must have been seen.
constexpr std::uint64_t kAllKinds = 2'000;

struct Done {
  std::uint64_t histories = 0;
  std::vector<std::uint64_t> failed;
  Tally faults, outcomes;
};

// Lines of a kind, a number and a name: "seed 73 failed" is "failed 73".
std::string to_text(const Done& done, std::uint64_t from) {
  std::string out = "from " + std::to_string(from) + "\nhistories " + std::to_string(done.histories) + "\n";
  for (const std::uint64_t seed : done.failed) out += "failed " + std::to_string(seed) + "\n";
  for (const auto& [name, times] : done.faults) out += "fault " + std::to_string(times) + " " + name + "\n";
  for (const auto& [name, times] : done.outcomes) out += "outcome " + std::to_string(times) + " " + name + "\n";
  return out;
}
Done read_state(const std::string& file, std::uint64_t from) {
  Done out;
  std::ifstream in{file};
  for (std::string line; std::getline(in, line);) {
    std::istringstream words{line};
    std::string kind, name;
    std::uint64_t number = 0;
    words >> kind >> number;
    std::getline(words >> std::ws, name);
    if (kind == "from" && number != from)
      throw std::runtime_error{file + " was begun with --from " + std::to_string(number) +
                               "; say the same, or take another file"};
    if (kind == "histories") out.histories = number;
    if (kind == "failed") out.failed.push_back(number);
    if (kind == "fault") out.faults[name] = number;
    if (kind == "outcome") out.outcomes[name] = number;
  }
  return out;
}
void write_state(const std::string& file, const std::string& text) {
  {
    std::ofstream out{file + ".new", std::ios::trunc};
    out << text;
    if (!out.flush()) throw std::runtime_error{"cannot write " + file + ".new"};
  }
  std::filesystem::rename(file + ".new", file);
}

void add(Tally& to, const Tally& more) {
  for (const auto& [name, times] : more) to[name] += times;
}

void print(const char* what, const Tally& tally) {
  std::printf("%s:", what);
  const char* before = " ";
  for (const auto& [name, times] : tally) {
    std::printf("%s%s %llu", before, name.c_str(), static_cast<unsigned long long>(times));
    before = ", ";
  }
  std::printf("\n");
}

int run(int argc, char** argv) {
  HistoryOptions options;
  std::uint64_t from = 1, count = 200;
  std::string state;
  bool until_failure = false;
  std::optional<std::chrono::seconds> limit;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const auto number = [&]() -> std::uint64_t {
      char* end = nullptr;
      const char* const text = i + 1 < argc ? argv[++i] : "";
      const std::uint64_t out = std::strtoull(text, &end, 10);
      if (end == text || *end != '\0') throw std::invalid_argument{name + " needs a number"};
      return out;
    };
    if (name == "--seed") {
      from = number();
      count = 1;
    } else if (name == "--from") {
      from = number();
    } else if (name == "--count") {
      count = number();
    } else if (name == "--seconds") {
      limit = std::chrono::seconds{number()};
    } else if (name == "--trace") {
      options.trace = true;
    } else if (name == "--until-failure") {
      until_failure = true;
    } else if (name == "--hours") {
      options.long_run = true;
    } else if (name == "--state" && i + 1 < argc) {
      state = argv[++i];
    } else {
      throw std::invalid_argument{"there is no option " + name};
    }
  }

  Done done = state.empty() ? Done{} : read_state(state, from);
  const auto began = std::chrono::steady_clock::now();
  const auto began_cpu = std::clock();
  const std::uint64_t before = done.histories;
  while (done.histories < count) {
    if (until_failure && !done.failed.empty()) break;
    if (limit && std::chrono::steady_clock::now() - began >= *limit) break;
    options.seed = from + done.histories;
    HistoryResult result;
    try {
      result = run_history(options);
    } catch (const std::exception& e) {
      result.complaints.push_back(e.what());
    }
    ++done.histories;
    add(done.faults, result.faults);
    add(done.outcomes, result.outcomes);
    if (!result.complaints.empty()) {
      done.failed.push_back(options.seed);
      std::printf("seed %llu failed; again: simulation --seed %llu%s --trace\n",
                  static_cast<unsigned long long>(options.seed), static_cast<unsigned long long>(options.seed),
                  options.long_run ? " --hours" : "");
      for (const std::string& complaint : result.complaints) std::printf("  %s\n", complaint.c_str());
      std::fflush(stdout);
    }
    if (count == 1) std::printf("hash of the events: %016llx\n", static_cast<unsigned long long>(result.hash));
    if (!state.empty() && (done.histories % 100 == 0 || done.histories == count || !result.complaints.empty()))
      write_state(state, to_text(done, from));
  }
  if (!state.empty()) write_state(state, to_text(done, from));

  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  const double cpu = static_cast<double>(std::clock() - began_cpu) / CLOCKS_PER_SEC;
  std::uint64_t faults = 0;
  for (const auto& [name, times] : done.faults) faults += times;
  std::printf("%llu histories, %zu failed, %llu faults\n", static_cast<unsigned long long>(done.histories),
              done.failed.size(), static_cast<unsigned long long>(faults));
  print("faults", done.faults);
  print("outcomes", done.outcomes);
  if (const auto now = static_cast<double>(done.histories - before); now > 0)
    std::printf("%.0f histories a minute, %.1f ms of processor time each\n", now / wall * 60, cpu / now * 1e3);
  bool good = done.failed.empty();
  for (const std::uint64_t seed : done.failed)
    std::printf("failed: seed %llu\n", static_cast<unsigned long long>(seed));
  if (done.histories >= kAllKinds && !options.long_run) {
    for (const auto& [what, expected, seen] : {std::tuple{"fault", expected_faults(), &done.faults},
                                               std::tuple{"outcome", expected_outcomes(), &done.outcomes}})
      for (const std::string& name : expected)
        if (!seen->contains(name)) {
          std::printf("the %s '%s' never happened\n", what, name.c_str());
          good = false;
        }
  }
  if (done.histories < count) std::printf("%llu are left\n", static_cast<unsigned long long>(count - done.histories));
  return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::invalid_argument& e) {
    std::fprintf(stderr, "simulation: %s\n%s", e.what(), kUsage);
    return 2;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "simulation: %s\n", e.what());
    return 1;
  }
}
