// Blocks: the records that one commit added to one topic-partition, up to 64 KB as one LMDB value. Byte for byte in
// docs/log-format.md.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "log/log.h"

namespace truetape {

// Header of a block, little-endian, packed. In version 1 the offsets of its records follow each other. Compaction
// writes version 2, which has holes: a longer header, and before each record how many offsets are missing.
inline constexpr std::size_t kBlockHeaderBytes = 28;
inline constexpr std::size_t kSparseHeaderBytes = 36;
inline constexpr std::uint8_t kBlockVersion = 1;
inline constexpr std::uint8_t kSparseBlockVersion = 2;
inline constexpr std::uint8_t kBlockLz4 = 1;
// With LMDB's own 16 bytes a full block fills sixteen 4 KB pages. A longer record has a block of its own.
inline constexpr std::size_t kBlockBytes = 65'536 - 16;
inline constexpr std::size_t kMaxBlockRecords = 8192;
inline constexpr std::size_t kMaxBlockBytes = std::size_t{4} << 20;

// Bytes that grow without being zeroed first. Moved, never copied.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& from) noexcept
      : data_{std::exchange(from.data_, nullptr)},
        size_{std::exchange(from.size_, 0)},
        capacity_{std::exchange(from.capacity_, 0)} {}
  Buffer& operator=(Buffer&& from) noexcept {
    std::swap(data_, from.data_);
    std::swap(size_, from.size_);
    std::swap(capacity_, from.capacity_);
    return *this;
  }
  ~Buffer() { std::free(data_); }
  char* data() { return data_; }
  const char* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::string_view view() const { return {data_, size_}; }
  void set_size(std::size_t size) { size_ = size; }
  void reserve(std::size_t bytes);  // throws std::bad_alloc

 private:
  char* data_ = nullptr;
  std::size_t size_ = 0, capacity_ = 0;
};

// A finished block without its place; place() gives it one.
struct Block {
  Buffer bytes;  // header and payload
  std::uint32_t records = 0;
  std::uint32_t payload_crc = 0;
};

// The block's name in the file: "raw/3".
std::string place_name(std::string_view topic, std::int32_t partition);

// Writes append time and checksum into the block's header: it is to stand at `first_offset` of `place`.
void place(Block& block, std::string_view place, std::int64_t first_offset, std::int64_t append_time_ns);

// Builds blocks. One thread.
class BlockBuilder {
 public:
  explicit BlockBuilder(bool sparse = false) : sparse_{sparse} {}
  bool empty() const { return records_ == 0; }
  std::uint32_t records() const { return records_; }
  std::size_t bytes() const { return records_ == 0 ? 0 : buffer_.size(); }
  // False: no room; seal() and add again. An empty builder takes any record of up to kMaxRecordBytes.
  bool add(const Record& record);
  // The same of a sparse builder, which keeps the record's offset: greater than the one before.
  bool add(const Record& record, std::int64_t offset);
  // The block so far; the builder is empty then and goes on with `spare`'s memory.
  Block seal(bool lz4, Buffer spare = {});

 private:
  // A header name of this block, and its last value: where both stand in the buffer.
  struct Word {
    std::uint32_t name, name_size, value, value_size;
  };
  bool put(const Record& record, std::uint32_t missing);
  char* put_header(char* to, const Header& header, std::size_t guess);

  const bool sparse_;
  Buffer buffer_;
  std::vector<Word> words_;
  std::uint32_t records_ = 0, headers_ = 0;
  std::uint32_t key_ = 0, key_size_ = 0;
  std::int64_t first_offset_ = 0, next_offset_ = 0;  // of a sparse block
  bool has_key_ = false;
};

// What a block says of itself. Read before the checksum is proven.
struct BlockHeader {
  std::uint8_t version, flags;
  std::uint32_t records, headers, payload_bytes;
  std::int64_t append_time_ns;
  std::uint32_t crc;
  std::int64_t span;  // from the first record's offset to behind the last one's; without holes, `records`
  std::size_t header_bytes() const { return version == kSparseBlockVersion ? kSparseHeaderBytes : kBlockHeaderBytes; }
};
Result<BlockHeader> read_block_header(std::string_view block, std::string_view place, std::int64_t first_offset);

// Looks through blocks for records of wanted keys: reads the keys where they stand and skips the rest. One thread.
class KeyFinder {
 public:
  // Has the block such a record? Not decoded if it does not hold `part`, which each such key has. Proves no checksum:
  // who goes on with the block does, by StepBuffer::add.
  Result<bool> has(std::string_view block, const BlockHeader& header, std::string_view place, std::int64_t first_offset,
                   std::string_view part, const std::function<bool(std::string_view key)>& wanted);

 private:
  Buffer unpacked_;
};

// Records of several blocks, decoded, with their bytes. Reused from step to step: it owns what its records show.
class StepBuffer {
 public:
  void clear();
  // Checks and decodes one block: its records from offset `from` on. The block's bytes are copied.
  Status add(std::string_view block, const BlockHeader& header, std::string_view place, std::int32_t partition,
             std::int64_t first_offset, std::int64_t from);
  std::size_t size() const { return records_.size(); }
  std::size_t bytes() const { return bytes_; }
  Appended oldest() const { return oldest_; }  // append time of what was added
  // All records; call once after the last add().
  std::span<const Stored> finish();

 private:
  Status decode(std::string_view payload, const BlockHeader& header, std::string_view place, std::int32_t partition,
                std::int64_t first_offset, std::int64_t from);
  char* take(std::size_t bytes);

  struct Word {
    std::string_view name, value;
  };
  std::vector<Stored> records_;
  std::vector<std::size_t> first_header_;  // by record
  std::vector<Header> headers_;
  std::vector<Word> words_;
  std::vector<Buffer> chunks_;  // copies of the payloads
  std::size_t chunk_ = 0, used_ = 0, bytes_ = 0;
  Appended oldest_;
};

}  // namespace truetape
