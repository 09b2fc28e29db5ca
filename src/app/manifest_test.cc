#include "app/manifest.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace truetape::app {
namespace {

class ManifestTest : public testing::Test {
 protected:
  ManifestTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "truetape-manifest-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error{"no temporary directory"};
    directory_ = pattern;
  }
  ~ManifestTest() override { std::filesystem::remove_all(directory_); }
  Result<Manifest> written(const std::string& text) const {
    std::ofstream{directory_ / kManifest, std::ios::binary} << text;
    return read_manifest(directory_);
  }
  static Manifest full() {
    Manifest out;
    out.program = "0.1.0";
    out.time = *parse_rfc3339("2024-08-09T00:00:01.25Z");
    out.log_id = "an \"id\"";
    out.epoch = 1'723'161'600;
    out.partitions = 8;
    out.log_format = 2;
    out.state_version = 1;
    out.store_schema = 3;
    out.positions = {{"raw", 0, 5, 20, 19}, {"trades", 3, 0, 7, 7}};
    out.files = {{"log/log.mdb", 4096, std::string(64, 'a')}, {"store.db", 1, std::string(64, 'b')}};
    return out;
  }
  std::filesystem::path directory_;
};

TEST_F(ManifestTest, IsReadAsItWasWritten) {
  const Manifest manifest = full();
  EXPECT_EQ(written(manifest_text(manifest)).value(), manifest);
  Manifest least = full();
  least.positions.clear();
  least.files.resize(1);
  EXPECT_EQ(written(manifest_text(least)).value(), least);
}

TEST_F(ManifestTest, WhatIsNoneIsRefused) {
  EXPECT_EQ(read_manifest(directory_).error().fault, Fault::not_found);
  const std::string text = manifest_text(full());
  const auto with = [&](const std::string& what, const std::string& instead) {
    std::string out = text;
    const std::size_t at = out.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return out.replace(at, what.size(), instead);
  };
  EXPECT_EQ(written(with("\"format\": 1", "\"format\": 2")).error().fault, Fault::mismatch);
  for (const std::string& bad :
       {std::string{}, text.substr(0, text.size() / 2), with("store.db", "../store.db"), with("store.db", "/store.db"),
        with("store.db", "reconcile/a/b.json"), with("log/log.mdb", "log/log.md"), with("4096", "-1"),
        with("raw", "rawer"), with("\"epoch\"", "\"epic\""), with("00:00:01.250Z", "x")})
    EXPECT_EQ(written(bad).error().fault, Fault::corrupt) << bad;
}

TEST_F(ManifestTest, ThePartialDirectoryStandsBeside) {
  EXPECT_EQ(partial_of("/a/b"), "/a/b.partial");
  EXPECT_EQ(partial_of("b/"), "b.partial");
}

}  // namespace
}  // namespace truetape::app
