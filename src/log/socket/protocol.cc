#include "log/socket/protocol.h"

#include <array>
#include <concepts>

namespace truetape::log_socket {
namespace {

auto malformed(std::string_view what) {
  return failure(Fault::malformed, Retry::never,
                 "What came through the socket of the log is not what truetape says there: " + std::string{what} +
                     "; use the same truetape on both sides");
}

template <std::integral N>
void put_number(N number, std::string& out) {
  using U = std::make_unsigned_t<N>;
  for (std::size_t i = 0; i < sizeof(N); ++i)
    out += static_cast<char>(static_cast<std::uint64_t>(static_cast<U>(number)) >> (8 * i) & 0xff);
}

void put_text(std::string_view text, std::string& out) {
  put_number(static_cast<std::uint32_t>(text.size()), out);
  out += text;
}

// Reserves the head, and writes it when the body is there.
class Building {
 public:
  Building(Kind kind, std::string& out) : kind_{kind}, out_{out}, at_{out.size()} { out_.append(kHeadBytes, '\0'); }
  ~Building() {
    std::string head;
    put_number(static_cast<std::uint32_t>(out_.size() - at_ - kHeadBytes), head);
    head += static_cast<char>(kind_);
    out_.replace(at_, kHeadBytes, head);
  }
  Building(const Building&) = delete;

 private:
  Kind kind_;
  std::string& out_;
  std::size_t at_;
};

class Body {
 public:
  explicit Body(std::string_view bytes) : rest_{bytes} {}
  template <std::integral N>
  bool number(N& out) {
    if (rest_.size() < sizeof(N)) return false;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(N); ++i)
      value |= static_cast<std::uint64_t>(static_cast<unsigned char>(rest_[i])) << (8 * i);
    out = static_cast<N>(value);
    rest_.remove_prefix(sizeof(N));
    return true;
  }
  bool bytes(std::size_t size, std::string_view& out) {
    if (rest_.size() < size) return false;
    out = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }
  bool text(std::string& out) {
    std::uint32_t size = 0;
    std::string_view view;
    if (!number(size) || !bytes(size, view)) return false;
    out = view;
    return true;
  }
  bool end() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

// By place, so that the numbers on the wire do not follow the order of an enum.
constexpr std::array kFaults{Fault::malformed, Fault::not_found,    Fault::refused,
                             Fault::mismatch,  Fault::out_of_range, Fault::no_space,
                             Fault::corrupt,   Fault::unavailable,  Fault::io};
constexpr std::array kRetries{Retry::never, Retry::after_backoff, Retry::reconnect, Retry::rebuild};

template <class T, std::size_t N>
std::uint8_t place(const std::array<T, N>& all, T value) {
  for (std::size_t i = 0; i < N; ++i)
    if (all[i] == value) return static_cast<std::uint8_t>(i);
  return static_cast<std::uint8_t>(N);
}

}  // namespace

void Frames::add(std::string_view bytes) {
  if (at_ == bytes_.size()) {
    bytes_.clear();
    at_ = 0;
  } else if (at_ > kBatchBytes) {
    bytes_.erase(0, at_);
    at_ = 0;
  }
  bytes_ += bytes;
}

Result<std::optional<Frame>> Frames::next() {
  const std::string_view rest = std::string_view{bytes_}.substr(at_);
  Body head{rest};
  std::uint32_t size = 0;
  std::uint8_t kind = 0;
  if (!head.number(size)) return std::nullopt;
  if (size > kMaxBody) return malformed("a frame of " + std::to_string(size) + " bytes");
  if (!head.number(kind)) return std::nullopt;
  if (kind < static_cast<std::uint8_t>(Kind::hello) || kind > static_cast<std::uint8_t>(Kind::forgotten))
    return malformed("a frame of the unknown kind " + std::to_string(kind));
  if (kind != static_cast<std::uint8_t>(Kind::append) && size > kMaxTalk)
    return malformed("a frame of kind " + std::to_string(kind) + " with " + std::to_string(size) + " bytes");
  if (rest.size() < kHeadBytes + size) return std::nullopt;
  at_ += kHeadBytes + size;
  return Frame{static_cast<Kind>(kind), rest.substr(kHeadBytes, size)};
}

void put(const Hello& hello, std::string& out) {
  const Building frame{Kind::hello, out};
  out += kMagic;
  put_number(hello.version, out);
  put_text(hello.log_id, out);
  put_text(hello.alone, out);
}

Result<Hello> parse_hello(std::string_view bytes) {
  Body body{bytes};
  Hello hello;
  std::string_view magic;
  if (!body.bytes(kMagic.size(), magic) || magic != kMagic || !body.number(hello.version))
    return malformed("a greeting of another program");
  if (hello.version != kVersion) return hello;
  if (!body.text(hello.log_id) || !body.text(hello.alone) || !body.end()) return malformed("a greeting that is cut");
  return hello;
}

void put(const Welcome& welcome, std::string& out) {
  const Building frame{Kind::welcome, out};
  put_number(welcome.version, out);
  put_text(welcome.log_id, out);
  put_number(welcome.epoch, out);
  put_number(welcome.partitions, out);
}

Result<Welcome> parse_welcome(std::string_view bytes) {
  Body body{bytes};
  Welcome welcome;
  if (!body.number(welcome.version) || !body.text(welcome.log_id) || !body.number(welcome.epoch) ||
      !body.number(welcome.partitions) || !body.end() || welcome.partitions < 1)
    return malformed("a welcome that is none");
  return welcome;
}

void put(const Open& open, std::string& out) {
  const Building frame{Kind::open, out};
  put_number(open.channel, out);
  put_text(open.topic, out);
}

Result<Open> parse_open(std::string_view bytes) {
  Body body{bytes};
  Open open;
  if (!body.number(open.channel) || !body.text(open.topic) || !body.end()) return malformed("an opening that is none");
  return open;
}

void put(const Append& append, std::string& out) {
  const Building frame{Kind::append, out};
  put_number(append.channel, out);
  put_number(append.count, out);
  out += append.records;
}

Result<Append> parse_append(std::string_view bytes) {
  Body body{bytes};
  Append append;
  if (!body.number(append.channel) || !body.number(append.count)) return malformed("records that are cut");
  append.records = body.rest();
  return append;
}

void put(const Failed& failed, std::string& out) {
  const Building frame{Kind::failed, out};
  put_number(static_cast<std::uint8_t>(failed.ends ? 1 : 0), out);
  put_number(place(kFaults, failed.error.fault), out);
  put_number(place(kRetries, failed.error.retry), out);
  put_text(std::string_view{failed.error.detail}.substr(0, kMaxTalk / 2), out);
}

Result<Failed> parse_failed(std::string_view bytes) {
  Body body{bytes};
  std::uint8_t ends = 0, fault = 0, retry = 0;
  std::string detail;
  if (!body.number(ends) || !body.number(fault) || !body.number(retry) || !body.text(detail) || !body.end() ||
      ends > 1 || fault >= kFaults.size() || retry >= kRetries.size())
    return malformed("an error that is none");
  return Failed{ends == 1, {kFaults[fault], kRetries[retry], std::move(detail)}};
}

void put_forget(std::string_view name, std::string& out) {
  const Building frame{Kind::forget, out};
  put_text(name.substr(0, kMaxTalk / 2), out);
}

Result<std::string> parse_forget(std::string_view bytes) {
  Body body{bytes};
  std::string name;
  if (!body.text(name) || !body.end()) return malformed("the name of a reader that is cut");
  return name;
}

void put(Kind kind, std::uint8_t channel, std::string& out) {
  const Building frame{kind, out};
  put_number(channel, out);
}

Result<std::uint8_t> parse_channel(std::string_view bytes) {
  Body body{bytes};
  std::uint8_t channel = 0;
  if (!body.number(channel) || !body.end()) return malformed("a channel that is none");
  return channel;
}

void put_record(std::int32_t partition, const Record& record, std::string& out) {
  put_number(partition, out);
  put_number(static_cast<std::uint32_t>(record.key.size()), out);
  put_number(static_cast<std::uint32_t>(record.value.size()), out);
  put_number(static_cast<std::uint32_t>(record.headers.size()), out);
  for (const Header& h : record.headers) {
    put_number(static_cast<std::uint32_t>(h.name.size()), out);
    put_number(static_cast<std::uint32_t>(h.value.size()), out);
  }
  out += record.key;
  out += record.value;
  for (const Header& h : record.headers) {
    out += h.name;
    out += h.value;
  }
}

Result<bool> Records::next(std::int32_t& partition, Record& record) {
  if (left_ == 0) {
    if (!rest_.empty()) return malformed("more bytes than records");
    return false;
  }
  Body body{rest_};
  std::uint32_t key = 0, value = 0, headers = 0;
  if (!body.number(partition) || !body.number(key) || !body.number(value) || !body.number(headers))
    return malformed("a record that is cut");
  // Each header has its sizes: so many cannot be more than there are bytes.
  if (headers > body.rest().size() / 8) return malformed("a record with more headers than bytes");
  std::vector<std::pair<std::uint32_t, std::uint32_t>> sizes(headers);
  for (auto& [name, text] : sizes)
    if (!body.number(name) || !body.number(text)) return malformed("a header that is cut");
  record = {};
  headers_.clear();
  bool whole = body.bytes(key, record.key) && body.bytes(value, record.value);
  for (const auto& [name, text] : sizes) {
    Header header;
    whole = whole && body.bytes(name, header.name) && body.bytes(text, header.value);
    if (!whole) break;
    headers_.push_back(header);
  }
  if (!whole) return malformed("a record that is cut");
  record.headers = headers_;
  if (record_bytes(record) > kMaxRecordBytes)
    return failure(Fault::out_of_range, Retry::never,
                   "A record of " + std::to_string(record_bytes(record)) +
                       " bytes came through the socket of the log; 1 MiB is the most, so nothing of it was taken");
  rest_ = body.rest();
  --left_;
  return true;
}

}  // namespace truetape::log_socket
