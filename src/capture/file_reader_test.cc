#include "capture/file_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <random>

namespace truetape {
namespace {

class FileReaderTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "truetape-capture-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& file, std::string_view bytes) {
    std::ofstream{folder_ / file, std::ios::binary} << bytes;
    return folder_ / file;
  }
  std::string slurp(const std::filesystem::path& path) {
    std::ifstream in{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
  }
  // Packs `parts` (name, bytes) as zip, or the first one's bytes as one gzip or zstd stream.
  std::filesystem::path pack(const std::string& file, std::vector<std::pair<std::string, std::string>> parts) {
    archive* out = archive_write_new();
    const bool zip = file.ends_with(".zip");
    if (zip) {
      archive_write_set_format_zip(out);
    } else {
      archive_write_set_format_raw(out);
      EXPECT_EQ(file.ends_with(".gz") ? archive_write_add_filter_gzip(out) : archive_write_add_filter_zstd(out),
                ARCHIVE_OK);
    }
    EXPECT_EQ(archive_write_open_filename(out, (folder_ / file).c_str()), ARCHIVE_OK);
    for (const auto& [name, bytes] : parts) {
      archive_entry* entry = archive_entry_new();
      archive_entry_set_pathname(entry, name.c_str());
      archive_entry_set_filetype(entry, AE_IFREG);
      archive_entry_set_size(entry, static_cast<la_int64_t>(bytes.size()));
      archive_write_header(out, entry);
      archive_write_data(out, bytes.data(), bytes.size());
      archive_entry_free(entry);
    }
    archive_write_free(out);
    return folder_ / file;
  }
  std::string read(const std::filesystem::path& path) {
    auto file = FileReader::open(path);
    if (!file) return "error: " + file.error().detail;
    std::string out;
    for (;;) {
      const auto block = file->read();
      if (!block) return "error: " + block.error().detail;
      if (block->empty()) return out;
      out += *block;
    }
  }
  std::vector<std::string> lines(const std::filesystem::path& path, std::size_t longest = 1000,
                                 std::size_t cut_to = 10) {
    auto file = FileReader::open(path);
    EXPECT_TRUE(file) << file.error().detail;
    LineReader reader{*file, longest, cut_to};
    std::vector<std::string> out;
    Line line;
    for (;;) {
      const auto more = reader.next(line);
      EXPECT_TRUE(more);
      if (!more || !*more) return out;
      EXPECT_EQ(line.number, out.size() + 1);
      out.push_back(std::string{line.text} + (line.size > line.text.size() ? "|" + std::to_string(line.size) : ""));
    }
  }

  std::filesystem::path folder_;
};

std::string noise(std::size_t size) {
  std::mt19937_64 dice{5};
  std::string out;
  while (out.size() < size) out += std::to_string(dice()) + '\n';
  return out;
}

TEST_F(FileReaderTest, PackedFilesReadAsTheyWere) {
  const std::string bytes = noise(1'000'000);
  EXPECT_EQ(read(write("a.csv", bytes)), bytes);
  EXPECT_EQ(read(pack("a.csv.gz", {{"x", bytes}})), bytes);
  EXPECT_EQ(read(pack("a.csv.zst", {{"x", bytes}})), bytes);
  EXPECT_EQ(read(pack("a.zip", {{"BTCUSDT-trades-2024-07-18.csv", bytes}})), bytes);
  EXPECT_EQ(FileReader::open(folder_ / "a.csv.zst")->inner_name(), "a.csv");
  EXPECT_EQ(FileReader::open(folder_ / "a.csv.gz")->inner_name(), "a.csv");
  EXPECT_EQ(FileReader::open(folder_ / "a.csv")->inner_name(), "a.csv");
  EXPECT_EQ(FileReader::open(folder_ / "a.zip")->inner_name(), "BTCUSDT-trades-2024-07-18.csv");
  EXPECT_EQ(read(write("empty.csv", "")), "");
}

TEST_F(FileReaderTest, JoinedStreamsAreOneFile) {
  const std::string one = slurp(pack("1.zst", {{"x", "a\n"}})), two = slurp(pack("2.zst", {{"x", "b\n"}}));
  EXPECT_EQ(read(write("both.zst", one + two)), "a\nb\n");
}

TEST_F(FileReaderTest, DamageIsSaid) {
  const std::string bytes = noise(1'000'000);
  for (const std::string name : {"a.csv.gz", "a.csv.zst", "a.zip"}) {
    const std::string packed = slurp(pack(name, {{"x", bytes}}));
    const std::string cut = read(write("cut-" + name, std::string_view{packed}.substr(0, packed.size() / 2)));
    EXPECT_TRUE(cut.starts_with("error: ")) << name << ": " << cut.size();
    EXPECT_NE(cut.find("cut-" + name + " is damaged"), std::string::npos) << cut.substr(0, 200);
  }
  std::string flipped = slurp(folder_ / "a.zip");  // zip has a checksum of the content
  flipped[flipped.size() / 2] = static_cast<char>(flipped[flipped.size() / 2] ^ 0x40);
  EXPECT_TRUE(read(write("flipped.zip", flipped)).starts_with("error: "));
}

TEST_F(FileReaderTest, WhatCannotBeOpenedIsSaid) {
  const auto said = [&](const std::filesystem::path& path) { return read(path).substr(7 + folder_.string().size()); };
  EXPECT_EQ(said(folder_ / "none.csv"), "/none.csv: there is no such file");
  EXPECT_EQ(said(folder_), " is a directory; name the files in it");
  EXPECT_EQ(FileReader::open(folder_ / "none.csv").error().fault, Fault::not_found);
  EXPECT_EQ(said(pack("two.zip", {{"a", "1"}, {"b", "2"}})),
            "/two.zip has more than one file in it; unpack it and name them");
  const auto closed = write("closed.csv", "x");
  std::filesystem::permissions(closed, std::filesystem::perms::none);
  if (::geteuid() != 0) {
    EXPECT_EQ(FileReader::open(closed).error().fault, Fault::refused);
  }
}

TEST_F(FileReaderTest, LinesEndWithLineFeedsOrTheFile) {
  EXPECT_EQ(lines(write("a", "one\ntwo\r\n\nfour")), (std::vector<std::string>{"one", "two\r", "", "four"}));
  EXPECT_EQ(lines(write("b", "one\n")), (std::vector<std::string>{"one"}));
  EXPECT_EQ(lines(write("c", "")), (std::vector<std::string>{}));
  EXPECT_EQ(lines(write("d", "\xEF\xBB\xBFone\n\xEF\xBB\xBFtwo")),
            (std::vector<std::string>{"one", "\xEF\xBB\xBFtwo"}));
}

TEST_F(FileReaderTest, LongLinesAreCutAndSaidSo) {
  const std::string long_line(1'000'000, 'x');
  EXPECT_EQ(lines(write("a", "one\n" + long_line + "\nthree\n" + std::string(1000, 'y') + "\n")),
            (std::vector<std::string>{"one", "xxxxxxxxxx|1000000", "three", std::string(1000, 'y')}));
}

TEST_F(FileReaderTest, LinesAcrossBlocksAreWhole) {
  std::string bytes;
  std::vector<std::string> expected;
  for (int i = 0; i < 20'000; ++i) {
    expected.push_back(std::string(static_cast<std::size_t>(i % 97), 'a') + std::to_string(i));
    bytes += expected.back() + '\n';
  }
  EXPECT_EQ(lines(write("a", bytes)), expected);
  EXPECT_EQ(lines(pack("a.zst", {{"x", bytes}})), expected);
}

TEST_F(FileReaderTest, HashIsOfTheFileAsItLies) {
  EXPECT_EQ(*sha256_of(write("a", "abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_of(folder_ / "none").error().fault, Fault::not_found);
}

}  // namespace
}  // namespace truetape
