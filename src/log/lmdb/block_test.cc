#include "log/lmdb/block.h"

#include <gtest/gtest.h>

#include <random>

#include "log/lmdb/crc32c.h"

namespace truetape {
namespace {

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    out += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    out += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

TEST(Crc32c, KnownValuesAndContinuation) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283U);
  EXPECT_EQ(crc32c(""), 0U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aaU);  // RFC 3720, B.4
  for (std::size_t cut = 0; cut <= 9; ++cut)
    EXPECT_EQ(crc32c(std::string_view{"123456789"}.substr(cut), crc32c(std::string_view{"123456789"}.substr(0, cut))),
              0xe3069283U);
}

// The example of docs/log-format.md, byte for byte.
TEST(Block, TheBytesOfTheDocumentedExample) {
  BlockBuilder builder;
  const std::array<Header, 2> first{{{"kind", "frame"}, {"seq", "1"}}};
  const std::array<Header, 2> second{{{"kind", "frame"}, {"seq", "2"}}};
  ASSERT_TRUE(builder.add({"binance:BTCUSDT", "{}", first}));
  ASSERT_TRUE(builder.add({"binance:BTCUSDT", "[]", second}));
  Block block = builder.seal(false);
  place(block, "raw/3", 7, 1'700'000'000'000'000'000);
  EXPECT_EQ(hex(block.bytes.view()),
            "01000000"
            "02000000"
            "04000000"
            "2f000000"
            "00002a36fe9c9717"
            "6fa7b3b1"
            "04"
            "0f"
            "62696e616e63653a42544355534454"
            "00"
            "04"
            "6b696e64"
            "05"
            "6672616d65"
            "02"
            "03"
            "736571"
            "01"
            "31"
            "02"
            "7b7d"
            "05"
            "01"
            "02"
            "01"
            "32"
            "02"
            "5b5d");
}

struct Kept {
  std::string key, value;
  std::vector<std::pair<std::string, std::string>> headers;
  friend bool operator==(const Kept&, const Kept&) = default;
};

TEST(Block, RandomRecordsComeBackPackedOrNot) {
  std::mt19937 random{1};
  const auto text = [&](std::size_t most) {
    std::string out(random() % (most + 1), 'x');
    for (char& c : out) c = static_cast<char>(random() % 4 == 0 ? random() % 256 : 'a');
    return out;
  };
  for (int round = 0; round < 300; ++round) {
    const bool lz4 = round % 2 == 0;
    std::vector<Kept> records;
    std::vector<std::string> keys{text(5), text(5)}, names{"a", "b", "", text(300)}, values{text(3), text(40), ""};
    BlockBuilder builder;
    while (records.size() < 1 + random() % 400) {
      Kept r{keys[random() % 2], text(random() % 20 == 0 ? 3000 : 30), {}};
      for (std::size_t n = random() % 5; n > 0; --n) r.headers.emplace_back(names[random() % 4], values[random() % 3]);
      std::vector<Header> headers;
      for (const auto& [name, value] : r.headers) headers.push_back({name, value});
      if (!builder.add({r.key, r.value, headers})) break;
      records.push_back(r);
    }
    Block block = builder.seal(lz4);
    EXPECT_TRUE(builder.empty());
    EXPECT_LE(block.bytes.size(), kBlockBytes);
    place(block, "raw/0", 1000, 5);
    const auto header = read_block_header(block.bytes.view(), "raw/0", 1000);
    ASSERT_TRUE(header);
    EXPECT_EQ(header->append_time_ns, 5);
    ASSERT_EQ(header->records, records.size());
    StepBuffer step;
    const auto from = 1000 + static_cast<std::int64_t>(random() % records.size());
    ASSERT_TRUE(step.add(block.bytes.view(), *header, "raw/0", 0, 1000, from));
    const auto got = step.finish();
    ASSERT_EQ(got.size(), records.size() - static_cast<std::size_t>(from - 1000));
    for (std::size_t i = 0; i < got.size(); ++i) {
      EXPECT_EQ(got[i].offset, from + static_cast<std::int64_t>(i));
      Kept kept{std::string{got[i].record.key}, std::string{got[i].record.value}, {}};
      for (const Header& h : got[i].record.headers) kept.headers.emplace_back(h.name, h.value);
      ASSERT_EQ(kept, records[static_cast<std::size_t>(from - 1000) + i]);
    }
  }
}

TEST(Block, OffsetsWithHolesComeBack) {
  std::mt19937 random{3};
  for (int round = 0; round < 200; ++round) {
    const bool lz4 = round % 2 == 0;
    BlockBuilder builder{true};
    std::vector<std::int64_t> offsets;
    auto next = static_cast<std::int64_t>(1'000'000'000'000 + random() % 100);
    for (std::size_t n = 1 + random() % 300; n > 0; --n) {
      offsets.push_back(next);
      const std::string value = std::to_string(next);
      ASSERT_TRUE(builder.add({"key" + std::to_string(next % 3), value, {}}, next));
      next += 1 + static_cast<std::int64_t>(random() % 3 == 0 ? random() : 0);
    }
    EXPECT_FALSE(builder.add({"key", "too far away", {}}, offsets.back() + (std::int64_t{1} << 33)));
    Block block = builder.seal(lz4);
    place(block, "gaps/0", offsets[0], 5);
    const auto header = read_block_header(block.bytes.view(), "gaps/0", offsets[0]);
    ASSERT_TRUE(header);
    EXPECT_EQ(header->version, kSparseBlockVersion);
    EXPECT_EQ(header->records, offsets.size());
    EXPECT_EQ(header->span, offsets.back() + 1 - offsets.front());
    const std::size_t skip = random() % offsets.size();
    const std::int64_t from = skip == 0 ? offsets[0] : offsets[skip - 1] + 1;  // may be in a hole
    StepBuffer step;
    ASSERT_TRUE(step.add(block.bytes.view(), *header, "gaps/0", 0, offsets[0], from));
    const auto got = step.finish();
    ASSERT_EQ(got.size(), offsets.size() - skip);
    for (std::size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(got[i].offset, offsets[skip + i]);
      ASSERT_EQ(got[i].record.value, std::to_string(got[i].offset));
    }
  }
}

// Whatever single byte changes, and wherever the block stands instead, it is found; and nothing is read out of bounds.
TEST(Block, AnyFlippedByteAndAnyOtherPlaceIsFound) {
  for (const auto& [lz4, sparse] : {std::pair{false, false}, {true, false}, {false, true}, {true, true}}) {
    BlockBuilder builder{sparse};
    const std::array<Header, 1> header{{{"kind", "frame"}}};
    for (int i = 0; i < 20; ++i) {
      const std::string value = "value value value " + std::to_string(i);
      ASSERT_TRUE(sparse ? builder.add({"key", value, header}, 7 + 3 * i) : builder.add({"key", value, header}));
    }
    Block block = builder.seal(lz4);
    place(block, "raw/3", 7, 9);
    const std::string good{block.bytes.view()};
    const auto sound = [](const std::string& bytes, std::string_view place, std::int64_t offset) {
      const auto h = read_block_header(bytes, place, offset);
      StepBuffer step;
      return h && step.add(bytes, *h, place, 3, offset, offset);
    };
    EXPECT_TRUE(sound(good, "raw/3", 7));
    EXPECT_FALSE(sound(good, "raw/4", 7));
    EXPECT_FALSE(sound(good, "raw/3", 8));
    for (std::size_t i = 0; i < good.size(); ++i)
      for (const int bit : {0, 3, 7}) {
        std::string bad = good;
        bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
        EXPECT_FALSE(sound(bad, "raw/3", 7)) << i;
      }
    for (std::size_t size = 0; size < good.size(); ++size)
      EXPECT_FALSE(sound(good.substr(0, size), "raw/3", 7)) << size;
  }
}

// A block with a right checksum over wrong records (a bug, not a disk) is an error too, never a wild read.
TEST(Block, NonsenseUnderARightChecksumIsAnError) {
  std::mt19937 random{2};
  int errors = 0;
  for (int round = 0; round < 5000; ++round) {
    const bool sparse = round % 2 == 0;
    const std::size_t begin = sparse ? kSparseHeaderBytes : kBlockHeaderBytes;
    BlockBuilder builder{sparse};
    const std::array<Header, 2> headers{{{"kind", "frame"}, {"seq", "1"}}};
    for (int i = 0; i < 3; ++i)
      ASSERT_TRUE(sparse ? builder.add({"key", "value", headers}, 5 * i) : builder.add({"key", "value", headers}));
    Block block = builder.seal(false);
    for (int n = 0; n < 3; ++n)
      block.bytes.data()[begin + random() % (block.bytes.size() - begin)] = static_cast<char>(random());
    block.payload_crc = crc32c(block.bytes.view().substr(begin));
    place(block, "raw/0", 0, 0);
    const auto header = read_block_header(block.bytes.view(), "raw/0", 0);
    ASSERT_TRUE(header);
    StepBuffer step;
    const Status read = step.add(block.bytes.view(), *header, "raw/0", 0, 0, 0);
    if (!read) {
      ++errors;
      EXPECT_EQ(read.error().fault, Fault::corrupt);
      EXPECT_EQ(step.size(), 0U);
    }
  }
  EXPECT_GT(errors, 1000);
}

}  // namespace
}  // namespace truetape
