#include "log/lmdb/block.h"

#include <lz4.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "log/lmdb/crc32c.h"

namespace truetape {
namespace {

static_assert(std::endian::native == std::endian::little, "the log's blocks are little-endian");

constexpr std::size_t kVarintBytes = 5;  // of a 32-bit number
constexpr std::size_t kChunkBytes = std::size_t{1} << 20;

char* put_varint(char* to, std::uint32_t value) {
  while (value >= 0x80) {
    *to++ = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  *to++ = static_cast<char>(value);
  return to;
}

char* put_bytes(char* to, std::string_view bytes) {
  if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  return to + bytes.size();
}

template <class T>
void store(char* to, T value) {
  std::memcpy(to, &value, sizeof value);
}
template <class T>
T load(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// Over all of the header but the checksum itself, which is at 24.
std::uint32_t checksum(std::string_view header, std::string_view place, std::int64_t first_offset,
                       std::uint32_t payload_crc) {
  std::uint32_t crc = crc32c(header.substr(0, 24), payload_crc);
  if (header.size() > kBlockHeaderBytes) crc = crc32c(header.substr(kBlockHeaderBytes), crc);
  char offset[8];
  auto rest = static_cast<std::uint64_t>(first_offset);
  for (int i = 7; i >= 0; --i, rest >>= 8) offset[i] = static_cast<char>(rest & 0xff);
  crc = crc32c({offset, 8}, crc);
  return crc32c(place, crc);
}

Error damaged(std::string_view place, std::int64_t offset, std::string_view what) {
  return {Fault::corrupt, Retry::never,
          "The block at offset " + std::to_string(offset) + " of " + std::string{place} + " is damaged (" +
              std::string{what} +
              "); restore the log from a copy, or import its sources anew into a fresh data directory."};
}

// Reads within bounds; `ok` turns false and stays so.
struct Cursor {
  const char *at, *end;
  bool ok = true;

  std::uint32_t varint() {
    std::uint32_t value = 0;
    for (unsigned shift = 0; shift < 32 && at != end; shift += 7) {
      const auto byte = static_cast<unsigned char>(*at++);
      value |= static_cast<std::uint32_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    ok = false;
    return 0;
  }
  std::string_view bytes(std::size_t size) {
    if (size > static_cast<std::size_t>(end - at)) {
      ok = false;
      return {};
    }
    const std::string_view out{at, size};
    at += size;
    return out;
  }
};

}  // namespace

void Buffer::reserve(std::size_t bytes) {
  if (bytes <= capacity_) return;
  const std::size_t grown = std::max(bytes, capacity_ * 2);
  void* moved = std::realloc(data_, grown);
  if (moved == nullptr) throw std::bad_alloc{};
  data_ = static_cast<char*>(moved);
  capacity_ = grown;
}

std::string place_name(std::string_view topic, std::int32_t partition) {
  return std::string{topic} + "/" + std::to_string(partition);
}

void place(Block& block, std::string_view place, std::int64_t first_offset, std::int64_t append_time_ns) {
  char* header = block.bytes.data();
  store(header + 16, append_time_ns);
  const std::size_t bytes =
      static_cast<std::uint8_t>(header[0]) == kSparseBlockVersion ? kSparseHeaderBytes : kBlockHeaderBytes;
  store(header + 24, checksum({header, bytes}, place, first_offset, block.payload_crc));
}

bool BlockBuilder::add(const Record& record) { return put(record, 0); }

bool BlockBuilder::add(const Record& record, std::int64_t offset) {
  const std::int64_t missing = records_ == 0 ? 0 : offset - next_offset_;
  if (missing > UINT32_MAX || !put(record, static_cast<std::uint32_t>(missing))) return false;
  if (records_ == 1) first_offset_ = offset;
  next_offset_ = offset + 1;
  return true;
}

bool BlockBuilder::put(const Record& record, std::uint32_t missing) {
  const std::size_t header_bytes = sparse_ ? kSparseHeaderBytes : kBlockHeaderBytes;
  std::size_t most = record.key.size() + record.value.size() + 4 * kVarintBytes;
  for (const Header& h : record.headers) most += h.name.size() + h.value.size() + 3 * kVarintBytes;
  if (records_ == 0) {
    buffer_.set_size(header_bytes);
    buffer_.reserve(std::max(header_bytes + most, std::size_t{2048}));
  } else if (buffer_.size() + most > kBlockBytes || records_ == kMaxBlockRecords) {
    return false;
  }
  buffer_.reserve(buffer_.size() + most);

  char* to = buffer_.data() + buffer_.size();
  const bool same_key = has_key_ && record.key == std::string_view{buffer_.data() + key_, key_size_};
  if (sparse_) to = put_varint(to, missing);
  to = put_varint(to, static_cast<std::uint32_t>(record.headers.size()) << 1 | (same_key ? 1U : 0U));
  if (!same_key) {
    to = put_varint(to, static_cast<std::uint32_t>(record.key.size()));
    key_ = static_cast<std::uint32_t>(to - buffer_.data());
    key_size_ = static_cast<std::uint32_t>(record.key.size());
    has_key_ = true;
    to = put_bytes(to, record.key);
  }
  for (std::size_t i = 0; i < record.headers.size(); ++i) to = put_header(to, record.headers[i], i);
  to = put_varint(to, static_cast<std::uint32_t>(record.value.size()));
  to = put_bytes(to, record.value);
  buffer_.set_size(static_cast<std::size_t>(to - buffer_.data()));
  ++records_;
  headers_ += static_cast<std::uint32_t>(record.headers.size());
  return true;
}

// `guess`: headers mostly come in the same order, so the name is mostly the word of that number.
char* BlockBuilder::put_header(char* to, const Header& header, std::size_t guess) {
  const auto text = [this](std::uint32_t at, std::uint32_t size) {
    return std::string_view{buffer_.data() + at, size};
  };
  const auto is = [&](std::size_t i) { return text(words_[i].name, words_[i].name_size) == header.name; };
  std::size_t i = guess;
  if (i >= words_.size() || !is(i))
    for (i = 0; i < words_.size() && !is(i);) ++i;
  const bool fresh = i == words_.size();
  const bool same_value = !fresh && text(words_[i].value, words_[i].value_size) == header.value;
  to = put_varint(to, static_cast<std::uint32_t>(i) << 1 | (same_value ? 1U : 0U));
  const auto position = [this](const char* at) { return static_cast<std::uint32_t>(at - buffer_.data()); };
  if (fresh) {
    to = put_varint(to, static_cast<std::uint32_t>(header.name.size()));
    words_.push_back({position(to), static_cast<std::uint32_t>(header.name.size()), 0, 0});
    to = put_bytes(to, header.name);
  }
  if (!same_value) {
    to = put_varint(to, static_cast<std::uint32_t>(header.value.size()));
    words_[i].value = position(to);
    words_[i].value_size = static_cast<std::uint32_t>(header.value.size());
    to = put_bytes(to, header.value);
  }
  return to;
}

Block BlockBuilder::seal(bool lz4, Buffer spare) {
  const std::size_t header_bytes = sparse_ ? kSparseHeaderBytes : kBlockHeaderBytes;
  const std::size_t payload = buffer_.size() - header_bytes;
  bool packed = false;
  if (lz4) {
    const int bound = LZ4_compressBound(static_cast<int>(payload));
    spare.reserve(header_bytes + static_cast<std::size_t>(bound));
    const int size = LZ4_compress_default(buffer_.data() + header_bytes, spare.data() + header_bytes,
                                          static_cast<int>(payload), bound);
    if (size > 0 && static_cast<std::size_t>(size) < payload) {  // else it stands as it is
      packed = true;
      spare.set_size(header_bytes + static_cast<std::size_t>(size));
    }
  }
  Block out;
  out.bytes = std::move(packed ? spare : buffer_);
  if (!packed) buffer_ = std::move(spare);
  char* header = out.bytes.data();
  std::memset(header, 0, header_bytes);
  header[0] = static_cast<char>(sparse_ ? kSparseBlockVersion : kBlockVersion);
  header[1] = static_cast<char>(packed ? kBlockLz4 : 0);
  store(header + 4, records_);
  store(header + 8, headers_);
  store(header + 12, static_cast<std::uint32_t>(payload));
  if (sparse_) store(header + 28, next_offset_ - first_offset_);
  out.records = records_;
  out.payload_crc = crc32c(out.bytes.view().substr(header_bytes));
  words_.clear();
  records_ = headers_ = 0;
  has_key_ = false;
  return out;
}

Result<BlockHeader> read_block_header(std::string_view block, std::string_view place, std::int64_t first_offset) {
  if (block.size() < kBlockHeaderBytes || block.size() > kMaxBlockBytes)
    return tl::unexpected{damaged(place, first_offset, "its size is " + std::to_string(block.size()) + " bytes")};
  BlockHeader out{};
  out.version = static_cast<std::uint8_t>(block[0]);
  out.flags = static_cast<std::uint8_t>(block[1]);
  out.records = load<std::uint32_t>(block.data() + 4);
  out.headers = load<std::uint32_t>(block.data() + 8);
  out.payload_bytes = load<std::uint32_t>(block.data() + 12);
  out.append_time_ns = load<std::int64_t>(block.data() + 16);
  out.crc = load<std::uint32_t>(block.data() + 24);
  if (out.version != kBlockVersion && out.version != kSparseBlockVersion)
    return tl::unexpected{damaged(place, first_offset, "its version is not known")};
  out.span = out.records;
  if (out.version == kSparseBlockVersion) {
    if (block.size() < kSparseHeaderBytes) return tl::unexpected{damaged(place, first_offset, "it is cut off")};
    out.span = load<std::int64_t>(block.data() + 28);
    if (out.span < out.records || out.span > INT64_MAX - first_offset)
      return tl::unexpected{damaged(place, first_offset, "its counts are not possible")};
  }
  if (out.records == 0 || out.records > kMaxBlockRecords || out.payload_bytes > kMaxBlockBytes ||
      out.headers > out.payload_bytes)
    return tl::unexpected{damaged(place, first_offset, "its counts are not possible")};
  return out;
}

namespace {

// Looks for the first and the last byte of the part at once, sixteen places at a time: about as fast as memory is read,
// four times as fast as decoding.
bool holds(std::string_view text, std::string_view part) {
  if (part.empty()) return true;
  std::size_t at = 0;
#ifdef __SSE2__
  const __m128i first = _mm_set1_epi8(part.front()), last = _mm_set1_epi8(part.back());
  const auto load = [](const char* from) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)); };
  for (; at + part.size() + 15 <= text.size(); at += 16) {
    const char* const here = text.data() + at;
    auto places = static_cast<unsigned>(_mm_movemask_epi8(
        _mm_and_si128(_mm_cmpeq_epi8(load(here), first), _mm_cmpeq_epi8(load(here + part.size() - 1), last))));
    for (; places != 0; places &= places - 1)
      if (std::memcmp(here + std::countr_zero(places), part.data(), part.size()) == 0) return true;
  }
#endif
  return text.substr(at).find(part) != std::string_view::npos;
}

}  // namespace

Result<bool> KeyFinder::has(std::string_view block, const BlockHeader& header, std::string_view place,
                            std::int64_t first_offset, std::string_view part,
                            const std::function<bool(std::string_view key)>& wanted) {
  std::string_view payload = block.substr(header.header_bytes());
  if ((header.flags & kBlockLz4) != 0) {
    unpacked_.reserve(header.payload_bytes);
    const int size = LZ4_decompress_safe(payload.data(), unpacked_.data(), static_cast<int>(payload.size()),
                                         static_cast<int>(header.payload_bytes));
    if (size < 0 || static_cast<std::uint32_t>(size) != header.payload_bytes)
      return tl::unexpected{damaged(place, first_offset, "it does not unpack")};
    payload = {unpacked_.data(), header.payload_bytes};
  }
  if (!holds(payload, part)) return false;
  Cursor in{payload.data(), payload.data() + payload.size()};
  std::uint32_t words = 0;  // header names of this block so far
  for (std::uint32_t i = 0; i < header.records && in.ok; ++i) {
    if (header.version == kSparseBlockVersion) in.varint();
    const std::uint32_t head = in.varint();
    if ((head & 1) == 0) {
      const std::string_view key = in.bytes(in.varint());
      if (in.ok && wanted(key)) return true;
    }
    for (std::uint32_t h = head >> 1; h > 0 && in.ok; --h) {
      const std::uint32_t word = in.varint();
      if ((word & 1) != 0) continue;
      if (word >> 1 == words) {
        in.bytes(in.varint());
        ++words;
      }
      in.bytes(in.varint());
    }
    in.bytes(in.varint());
  }
  if (!in.ok) return tl::unexpected{damaged(place, first_offset, "its records do not decode")};
  return false;
}

void StepBuffer::clear() {
  records_.clear();
  first_header_.clear();
  headers_.clear();
  chunk_ = used_ = bytes_ = 0;
  oldest_.reset();
}

char* StepBuffer::take(std::size_t bytes) {
  while (true) {
    if (chunk_ == chunks_.size()) chunks_.emplace_back();
    Buffer& chunk = chunks_[chunk_];
    if (used_ == 0) chunk.reserve(std::max(bytes, kChunkBytes));
    if (used_ == 0 || used_ + bytes <= kChunkBytes) break;
    ++chunk_;
    used_ = 0;
  }
  char* out = chunks_[chunk_].data() + used_;
  used_ += bytes;
  bytes_ += bytes;
  return out;
}

Status StepBuffer::add(std::string_view block, const BlockHeader& header, std::string_view place,
                       std::int32_t partition, std::int64_t first_offset, std::int64_t from) {
  const std::string_view payload = block.substr(header.header_bytes());
  if (checksum(block.substr(0, header.header_bytes()), place, first_offset, crc32c(payload)) != header.crc)
    return tl::unexpected{damaged(place, first_offset, "its checksum is wrong")};
  char* copy = take(header.payload_bytes);
  if ((header.flags & kBlockLz4) != 0) {
    const int size = LZ4_decompress_safe(payload.data(), copy, static_cast<int>(payload.size()),
                                         static_cast<int>(header.payload_bytes));
    if (size < 0 || static_cast<std::uint32_t>(size) != header.payload_bytes)
      return tl::unexpected{damaged(place, first_offset, "it does not unpack")};
  } else {
    if (payload.size() != header.payload_bytes)
      return tl::unexpected{damaged(place, first_offset, "its size is wrong")};
    std::memcpy(copy, payload.data(), payload.size());
  }
  const std::size_t records = records_.size(), headers = headers_.size();
  Status decoded = decode({copy, header.payload_bytes}, header, place, partition, first_offset, from);
  if (!decoded) {
    records_.resize(records);
    first_header_.resize(records);
    headers_.resize(headers);
  } else if (const Timestamp taken = timestamp_ns(header.append_time_ns); !oldest_ || taken < *oldest_) {
    oldest_ = taken;
  }
  return decoded;
}

Status StepBuffer::decode(std::string_view payload, const BlockHeader& header, std::string_view place,
                          std::int32_t partition, std::int64_t first_offset, std::int64_t from) {
  Cursor in{payload.data(), payload.data() + payload.size()};
  words_.clear();
  std::string_view key;
  const bool sparse = header.version == kSparseBlockVersion;
  std::int64_t offset = first_offset;
  for (std::uint32_t i = 0; i < header.records && in.ok; ++i, ++offset) {
    if (sparse) offset += in.varint();
    const std::uint32_t head = in.varint();
    if ((head & 1) == 0) key = in.bytes(in.varint());
    const std::size_t first_header = headers_.size();
    for (std::uint32_t h = head >> 1; h > 0 && in.ok; --h) {
      const std::uint32_t word = in.varint();
      const std::size_t number = word >> 1;
      if (number == words_.size() && (word & 1) == 0) {
        const std::string_view name = in.bytes(in.varint());
        words_.push_back({name, {}});
      }
      if (number >= words_.size()) in.ok = false;
      if (!in.ok) break;
      if ((word & 1) == 0) words_[number].value = in.bytes(in.varint());
      headers_.push_back({words_[number].name, words_[number].value});
    }
    const std::string_view value = in.bytes(in.varint());
    if (offset < from || !in.ok) {
      headers_.resize(first_header);
      continue;
    }
    first_header_.push_back(first_header);
    records_.push_back({{key, value, {}}, partition, offset});
  }
  if (!in.ok || in.at != in.end || offset != first_offset + header.span)
    return tl::unexpected{damaged(place, first_offset, "its records do not decode")};
  return {};
}

std::span<const Stored> StepBuffer::finish() {
  for (std::size_t i = 0; i < records_.size(); ++i) {
    const std::size_t first = first_header_[i];
    const std::size_t end = i + 1 < records_.size() ? first_header_[i + 1] : headers_.size();
    records_[i].record.headers = {headers_.data() + first, end - first};
  }
  return records_;
}

}  // namespace truetape
