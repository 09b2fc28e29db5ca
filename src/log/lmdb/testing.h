// What the tests of the embedded log share. For tests only.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>

#include "log/lmdb/lmdb_log.h"

namespace truetape {

// A log of two partitions in a directory of its own, by a clock that stands; commits at once.
class LmdbTest : public testing::Test {
 protected:
  LmdbTest() {
    std::string name = (std::filesystem::temp_directory_path() / "truetape_lmdb_XXXXXX").string();
    directory_ = mkdtemp(name.data());
    options_.create = true;
    options_.partitions = 2;
    options_.spacing = std::chrono::milliseconds{0};
    options_.clock = &clock_;
  }
  ~LmdbTest() override {
    log_.reset();
    std::filesystem::remove_all(directory_);
  }
  // Anew, with the options as they are.
  void open() {
    log_.reset();
    auto opened = open_lmdb_log(directory_, options_);
    ASSERT_TRUE(opened) << opened.error().detail;
    log_ = std::move(*opened);
  }

  std::filesystem::path directory_;
  ManualClock clock_{timestamp_ns(1'700'000'000'000'000'000)};
  LmdbOptions options_;
  std::unique_ptr<LmdbLog> log_;
};

}  // namespace truetape
