// What every store must do (stores/sink.h, stores/history.h). A store's own test program compiles the .cc files of
// this folder and names itself with INSTANTIATE_TEST_SUITE_P(its name, SinkConformance,
// ::testing::Values(StoreUnderTest{…})).
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "stores/history.h"
#include "stores/sink.h"

namespace truetape {

struct SinkSettings {
  std::string log_id = "11111111-1111-4111-8111-111111111111";
  bool adopt = false;
  int busy_ms = 50;
  std::uint64_t max_bytes = 0;  // 0: no limit
};

// All makers take a directory of the test's own, in which the store lives.
struct StoreUnderTest {
  std::string name;
  std::function<std::unique_ptr<Sink>(const std::filesystem::path&, const SinkSettings&)> sink;
  std::function<std::unique_ptr<History>(const std::filesystem::path&)> history;
  // Holds the store against all writers until the returned object goes.
  std::function<std::shared_ptr<void>(const std::filesystem::path&)> lock;
  // Makes the store one of a newer schema version than the program knows.
  std::function<void(const std::filesystem::path&)> make_newer;
};

class SinkConformance : public ::testing::TestWithParam<StoreUnderTest> {
 protected:
  SinkConformance();
  ~SinkConformance() override;

  std::unique_ptr<Sink> open_sink(const SinkSettings& settings = {});  // opened, with a failure noted
  std::unique_ptr<History> history() { return GetParam().history(directory_); }

  std::filesystem::path directory_;
};

}  // namespace truetape
