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

}  // namespace
}  // namespace truetape::app
