#include "app/open.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "codec/wire.h"

namespace truetape::app {
namespace {

class OpenTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "truetape-open-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    config_.data = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(config_.data); }

  // The log's schema of candles with one text in place of another, as another version of the program had it.
  void change_schema(std::string_view from, std::string_view to) {
    auto log = open_log_to_write(config_);
    ASSERT_TRUE(log) << log.error().detail;
    const std::string name = "schema." + std::to_string(static_cast<unsigned>(wire::SchemaId::candle));
    std::string json = (*log)->note(name).value().value();
    const std::size_t at = json.find(from);
    ASSERT_NE(at, std::string::npos);
    ASSERT_TRUE((*log)->set_note(name, json.replace(at, from.size(), to)));
  }

  Config config_;
};

TEST_F(OpenTest, ALogWhoseSchemasSayTheSameInOtherWordsIsGoneOnWith) {
  change_schema("Unix seconds at which", R"(A \"time\" at which)");
  const auto log = open_log_to_write(config_);
  EXPECT_TRUE(log) << log.error().detail;
}

TEST_F(OpenTest, ALogOfOtherSchemasIsRefused) {
  change_schema("\"name\": \"epoch\", \"type\": \"long\"", "\"name\": \"epoch\", \"type\": \"int\"");
  const auto log = open_log_to_write(config_);
  ASSERT_FALSE(log);
  EXPECT_NE(log.error().detail.find("another schema under schema."), std::string::npos) << log.error().detail;
}

// A writer that is told nothing deletes by what the log remembers.
TEST_F(OpenTest, AWriterThatIsNotToldWhatToKeepGoesByWhatTheLogRemembers) {
  const auto told = [&](std::vector<std::string> sets) {
    Config config = load_config({}, sets).config;
    config.data = config_.data;
    return config;
  };
  { ASSERT_TRUE(open_log_to_write(told({"log.size=8MB", "log.retain.raw=90d"}))); }
  {
    const auto log = open_log_to_write(config_);
    ASSERT_TRUE(log) << log.error().detail;
    auto raw = (*log)->appender(topic::raw).value();
    auto task = (*log)->task().value();
    const std::string value(1'000'000, 'x');
    for (int i = 0; i < 12; ++i) {
      ASSERT_TRUE(raw->append(0, {"key", value, {}}));
      ASSERT_TRUE(raw->flush(std::chrono::seconds{60}).value());
      for (bool done = false; !done;) {
        const auto step = task->poll(std::chrono::milliseconds{20});
        ASSERT_TRUE(step) << step.error().detail;
        if (step->records.empty()) continue;
        ASSERT_TRUE(task->commit({}, {}));
        done = true;
      }
    }
    for (int i = 0; i < 3; ++i) ASSERT_TRUE((*log)->set_note("commit", "another"));
    EXPECT_GT((*log)->span(topic::raw, 0)->oldest, 0);
    EXPECT_LE((*log)->used_bytes(), 8'000'000U);
  }
  { ASSERT_TRUE(open_log_to_write(told({"log.size=40MB", "log.retain.results=3h"}))); }
  const auto log = open_log_to_read(config_);
  ASSERT_TRUE(log) << log.error().detail;
  const auto age = [](const LmdbOptions& options, std::string_view name) {
    return options.max_age[*topic::index(name)];
  };
  const LmdbOptions remembered = log_options(config_, **log).value();
  EXPECT_EQ(remembered.size_limit, 40'000'000U);
  EXPECT_EQ(age(remembered, topic::raw), std::chrono::hours{24 * 90});
  EXPECT_EQ(age(remembered, topic::trades), std::chrono::hours{3});
  // Who says something looks at that; who only reads changes nothing.
  const LmdbOptions said = log_options(told({"log.size=50MB"}), **log).value();
  EXPECT_EQ(said.size_limit, 50'000'000U);
  EXPECT_EQ(age(said, topic::raw), std::chrono::hours{24 * 90});
  EXPECT_EQ((*log)->note("log.size").value(), "40MB");
}

TEST_F(OpenTest, WhatALogRemembersAndNobodyKnowsIsRefusedUntilItIsSaid) {
  {
    const auto log = open_log_to_write(config_);
    ASSERT_TRUE(log) << log.error().detail;
    EXPECT_EQ((*log)->note("log.size").value(), std::nullopt) << "a default is not remembered";
    ASSERT_TRUE((*log)->set_note("log.size", "as much as fits"));
  }
  const auto refused = open_log_to_write(config_);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().detail.find("--set log.size=VALUE, from \"8MB\""), std::string::npos)
      << refused.error().detail;
  Config config = load_config({}, std::vector<std::string>{"log.size=1GB"}).config;
  config.data = config_.data;
  ASSERT_TRUE(open_log_to_write(config));
  EXPECT_TRUE(open_log_to_write(config_));
}

}  // namespace
}  // namespace truetape::app
