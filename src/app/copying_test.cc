#include "app/copying.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

namespace truetape::app {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMark = "copy.unfinished";

class Copying : public testing::Test {
 protected:
  Copying() {
    std::string pattern = (fs::temp_directory_path() / "truetape-copying-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error{"no temporary directory"};
    directory_ = pattern;
  }
  ~Copying() override { fs::remove_all(directory_); }
  static std::string text(const fs::path& file) {
    std::ostringstream out;
    out << std::ifstream{file, std::ios::binary}.rdbuf();
    return out.str();
  }
  fs::path directory_;
};

// Of 3,000,000 times "x".
constexpr const char* kManyX = "e55b8bdf621ddaa8f462c74745db9680d3bb7536a9cf854f8d6668b34a287890";

TEST_F(Copying, AFileIsCopiedWholeWithItsChecksum) {
  const std::string bytes(3'000'000, 'x');
  ASSERT_TRUE(write_text(directory_ / "from", bytes));
  Pace pace{0};
  const auto sealed = seal_file(directory_ / "from").value();
  EXPECT_EQ(sealed.bytes, bytes.size());
  EXPECT_EQ(sealed.sha256, kManyX);
  const auto copied = copy_file(directory_ / "from", directory_ / "to", pace).value();
  EXPECT_EQ(std::pair(copied.bytes, copied.sha256), std::pair(sealed.bytes, sealed.sha256));
  EXPECT_EQ(text(directory_ / "to"), bytes);
  EXPECT_EQ(pace.bytes(), bytes.size());
  const auto written = write_file(directory_ / "piped", pace, [&](int fd) -> Status {
    for (std::size_t at = 0; at < bytes.size();) {
      const ssize_t n = ::write(fd, bytes.data() + at, bytes.size() - at);
      if (n <= 0) return failure(Fault::io, Retry::never, "broken");
      at += static_cast<std::size_t>(n);
    }
    return {};
  });
  EXPECT_EQ(written.value().sha256, sealed.sha256);
  EXPECT_EQ(copy_file(directory_ / "from", directory_ / "to", pace).error().fault, Fault::io) << "it is there";
  EXPECT_EQ(copy_file(directory_ / "none", directory_ / "x", pace).error().fault, Fault::io);
  EXPECT_EQ(write_file(directory_ / "failed", pace,
                       [](int) -> Status { return failure(Fault::corrupt, Retry::never, "damaged"); })
                .error()
                .detail,
            "damaged");
}

TEST_F(Copying, WhatDoesNotFitIsToldBefore) {
  EXPECT_TRUE(expect_room(directory_, 1));
  const auto refused = expect_room(directory_, std::uint64_t{1} << 62);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::no_space);
  EXPECT_TRUE(refused.error().detail.starts_with("there is no room in " + directory_.string() + ": up to "))
      << refused.error().detail;
}

TEST_F(Copying, ADirectoryAppearsWholeOrNotAtAll) {
  const fs::path target = directory_ / "target", partial = directory_ / "target.partial";
  {
    const auto given_up = PartialDirectory::make(target, kMark, "something\n");
    ASSERT_TRUE(given_up);
    EXPECT_EQ(given_up->replaced(), fs::path{});
    EXPECT_EQ(given_up->path(), partial);
    EXPECT_EQ(text(partial / kMark), "something\n");
    const auto second = PartialDirectory::make(target, kMark, "");
    ASSERT_FALSE(second) << "one at a time";
    EXPECT_TRUE(second.error().detail.starts_with("another process is writing "));
  }
  EXPECT_FALSE(fs::exists(partial));
}

// Every state that a process that was killed may leave, in the order in which it comes to them.
TEST_F(Copying, WhateverAKillLeavesIsBegunAnew) {
  const fs::path target = directory_ / "target", partial = directory_ / "target.partial";
  const struct {
    const char* state;
    std::vector<std::string> files;  // a name that ends in "/" is a directory
    const char* replaced;
  } cases[]{
      {"nothing", {}, ""},
      {"only the directory", {"target.partial/"}, ""},
      {"the marker, not written yet", {"target.partial/", "target.partial/copy.unfinished"}, "target.partial"},
      {"half of it",
       {"target.partial/", "target.partial/log/", "target.partial/log/half", "target.partial/copy.unfinished"},
       "target.partial"},
      {"under its name", {"target/", "target/file", "target/log/", "target/copy.unfinished"}, "target"},
      {"being removed", {"target/", "target/copy.unfinished"}, "target"},
      {"an empty directory to be filled", {"target/"}, ""},
      {"a disk of its own", {"target/", "target/lost+found/"}, ""},
      {"half of that",
       {"target/", "target/lost+found/", "target/log/", "target/log/half", "target/copy.unfinished"},
       "target"},
      {"left beside a directory that was made later",
       {"target/", "target.partial/", "target.partial/log/", "target.partial/copy.unfinished"},
       "target.partial"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.state);
    for (const bool finished : {false, true}) {
      SCOPED_TRACE(finished ? "finished" : "given up");
      fs::remove_all(target);
      fs::remove_all(partial);
      for (const std::string& name : c.files) {
        if (name.ends_with('/'))
          fs::create_directory(directory_ / name);
        else
          ASSERT_TRUE(write_text(directory_ / name, ""));
      }
      const bool lost = fs::exists(target / "lost+found");
      {
        auto made = PartialDirectory::make(target, kMark, "something\n");
        ASSERT_TRUE(made) << made.error().detail;
        EXPECT_EQ(made->replaced(), *c.replaced == '\0' ? fs::path{} : directory_ / c.replaced);
        EXPECT_EQ(made->path(), fs::exists(target) ? target : partial);
        EXPECT_EQ(text(made->path() / kMark), "something\n");
        EXPECT_FALSE(fs::exists(made->path() / "log"));
        fs::create_directory(made->path() / "log");
        ASSERT_TRUE(write_text(made->path() / "log/file", "whole"));
        if (finished) {
          ASSERT_TRUE(made->finish());
        }
      }
      EXPECT_FALSE(fs::exists(partial));
      EXPECT_FALSE(fs::exists(target / kMark));
      EXPECT_EQ(fs::exists(target / "lost+found"), lost);
      EXPECT_EQ(text(target / "log/file"), finished ? "whole" : "");
      EXPECT_TRUE(finished || !fs::exists(target) || holds_nothing(target));
    }
  }
}

// A rename that fails finds the marker in its place still: until then nothing may look whole.
TEST_F(Copying, TheMarkerGoesAfterTheRename) {
  const fs::path target = directory_ / "target";
  auto made = PartialDirectory::make(target, kMark, "something\n");
  ASSERT_TRUE(made);
  fs::create_directory(target);
  ASSERT_TRUE(write_text(target / "mine", "mine"));
  ASSERT_FALSE(made->finish());
  EXPECT_EQ(text(directory_ / "target.partial" / kMark), "something\n");
  EXPECT_EQ(text(target / "mine"), "mine");
}

TEST_F(Copying, AnothersDirectoryStays) {
  fs::create_directory(directory_ / "target.partial");
  ASSERT_TRUE(write_text(directory_ / "target.partial/mine", "mine"));
  EXPECT_EQ(PartialDirectory::make(directory_ / "target", kMark, "").error().fault, Fault::refused);
  EXPECT_EQ(text(directory_ / "target.partial/mine"), "mine");
  fs::create_directory(directory_ / "full");
  ASSERT_TRUE(write_text(directory_ / "full/mine", "mine"));
  EXPECT_EQ(PartialDirectory::make(directory_ / "full", kMark, "").error().fault, Fault::refused);
  EXPECT_EQ(text(directory_ / "full/mine"), "mine");
}

}  // namespace
}  // namespace truetape::app
