// Google Benchmark over the kernels. Every kernel's content is checked first; wrong content ends the program with 1.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <exception>

#include "bench/kernels.h"

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  try {
    for (const auto& [what, check] :
         {std::pair{"decode", &truetape::bench::check_decode}, std::pair{"kucoin", &truetape::bench::check_kucoin},
          std::pair{"heart", &truetape::bench::check_heart}, std::pair{"codec", &truetape::bench::check_codec}}) {
      const std::string wrong = check();
      if (wrong.empty()) continue;
      std::fprintf(stderr, "bench: wrong content, nothing is measured: %s: %s\n", what, wrong.c_str());
      return 1;
    }
    benchmark::RunSpecifiedBenchmarks();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench: %s\n", e.what());
    return 1;
  }
  return 0;
}
