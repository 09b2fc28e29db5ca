// What is spoken on the socket of a running process (log_server.h, remote_appender.h). Pure: bytes in, values out.
//
// Both sides send frames: the length of what follows (4 bytes), the kind (1 byte), the body. Numbers are little-endian,
// a text is its length (4 bytes) and its bytes. The client speaks first, and each of its frames is answered by one:
//
//   hello    magic, version, log id (or empty), what the client does alone ("import", or empty)  -> welcome
//   open     channel (1 byte), topic                                                             -> opened
//   append   channel, count, records                                                             -> durable or waiting
//   again    channel: what became of the last append?                                            -> durable or waiting
//   close    channel; what is not durable is dropped                                             -> closed
//   ping                                                                                         -> pong
//   forget   the name of a registered reader, which keeps nothing back any more                  -> forgotten
//
// instead of which `failed` may come: fault, retry, a sentence, and whether the connection ends with it. A record is
// its partition, the sizes of key and value and the number of headers (4 bytes each), the sizes of each header's name
// and value, then all bytes in this order. Frames `failed` and `hello` up to the version keep their form for ever.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "log/log.h"

namespace truetape::log_socket {

inline constexpr std::string_view kMagic = "truetape";
inline constexpr std::uint16_t kVersion = 1;
inline constexpr std::size_t kHeadBytes = 5;
// An append is sent when it holds so much; a single larger record goes alone.
inline constexpr std::size_t kBatchBytes = std::size_t{1} << 20;
inline constexpr std::size_t kMaxBody = kMaxRecordBytes + kBatchBytes;  // of append
inline constexpr std::size_t kMaxTalk = std::size_t{8} << 10;           // body of every other frame
inline constexpr std::uint8_t kNoChannel = 255;
inline constexpr std::size_t kMostChannels = 4;  // open at a time on one connection

enum class Kind : std::uint8_t {
  hello = 1,
  welcome,
  open,
  opened,
  append,
  durable,
  waiting,
  again,
  close,
  closed,
  ping,
  pong,
  failed,
  forget,
  forgotten,
};

struct Frame {
  Kind kind;
  std::string_view body;  // until the next call of what gave it
};

// Puts frames together from bytes however they come. Memory grows with what came, never with what was announced.
class Frames {
 public:
  void add(std::string_view bytes);
  // The next whole frame; nullopt: more bytes are needed. An unknown kind or a length above the limit is
  // Fault::malformed, for good.
  Result<std::optional<Frame>> next();
  // Something of a frame is there, but not all.
  bool half() const { return at_ < bytes_.size(); }

 private:
  std::string bytes_;
  std::size_t at_ = 0;
};

struct Hello {
  std::uint16_t version = kVersion;
  std::string log_id, alone;
};
struct Welcome {
  std::uint16_t version = kVersion;
  std::string log_id;
  std::int64_t epoch = 0;
  std::int32_t partitions = 0;
};
struct Open {
  std::uint8_t channel = 0;
  std::string topic;
};
struct Append {
  std::uint8_t channel = 0;
  std::uint32_t count = 0;
  std::string_view records;
};
struct Failed {
  bool ends = false;
  Error error;
};

// Whole frames, appended to `out`.
void put(const Hello& hello, std::string& out);
void put(const Welcome& welcome, std::string& out);
void put(const Open& open, std::string& out);
void put(const Append& append, std::string& out);
void put(const Failed& failed, std::string& out);
void put_forget(std::string_view name, std::string& out);
void put(Kind kind, std::uint8_t channel,
         std::string& out);  // opened, durable, waiting, again, close, closed, ping, pong, forgotten

// Bodies; Fault::malformed if it is not one. A Hello of another version is read as far as its version.
Result<Hello> parse_hello(std::string_view body);
Result<Welcome> parse_welcome(std::string_view body);
Result<Open> parse_open(std::string_view body);
Result<Append> parse_append(std::string_view body);
Result<Failed> parse_failed(std::string_view body);
Result<std::string> parse_forget(std::string_view body);
Result<std::uint8_t> parse_channel(std::string_view body);

// One record's bytes, for Append::records. At most 16 more than record_bytes().
void put_record(std::int32_t partition, const Record& record, std::string& out);

// Walks through Append::records.
class Records {
 public:
  explicit Records(const Append& append) : rest_{append.records}, left_{append.count} {}
  // False: that was the last. The record lives until the next call, its bytes as long as the frame's.
  // Fault::malformed where the bytes do not fit together, Fault::out_of_range for a record above kMaxRecordBytes.
  Result<bool> next(std::int32_t& partition, Record& record);
  // What has not been walked through yet, and how many records that is.
  std::string_view bytes() const { return rest_; }
  std::uint32_t left() const { return left_; }

 private:
  std::string_view rest_;
  std::uint32_t left_;
  std::vector<Header> headers_;
};

}  // namespace truetape::log_socket
