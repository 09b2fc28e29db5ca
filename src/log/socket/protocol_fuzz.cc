// Whatever comes through the socket, in whatever pieces: frames are the same however the bytes are cut, every view lies
// within its frame, and a record that is read is written again as it was.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "log/socket/protocol.h"

namespace {

using namespace truetape;
using namespace truetape::log_socket;

void require(bool holds) {
  if (!holds) std::abort();
}

bool within(std::string_view part, std::string_view whole) {
  return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void read_body(Kind kind, std::string_view body) {
  (void)parse_channel(body);
  (void)parse_welcome(body);
  (void)parse_open(body);
  (void)parse_forget(body);
  if (const auto hello = parse_hello(body); hello && hello->version == kVersion) {
    std::string again;
    put(*hello, again);
    require(std::string_view{again}.substr(kHeadBytes) == body);
  }
  if (const auto failed = parse_failed(body)) require(failed->error.detail.size() <= body.size());
  if (kind != Kind::append) return;
  const auto append = parse_append(body);
  if (!append) return;
  Records records{*append};
  Record record;
  std::string again;
  std::int32_t partition = 0;
  for (;;) {
    const auto more = records.next(partition, record);
    if (!more) return;
    if (!*more) break;
    require(record_bytes(record) <= kMaxRecordBytes);
    require(within(record.key, body) && within(record.value, body));
    for (const Header& h : record.headers) require(within(h.name, body) && within(h.value, body));
    put_record(partition, record, again);
  }
  require(again == append->records);
}

// "kind:body" of each frame, and at the end whether it was refused.
std::vector<std::string> frames_of(std::string_view bytes, std::size_t piece) {
  std::vector<std::string> out;
  Frames frames;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    frames.add(bytes.substr(at, piece));
    for (;;) {
      const auto frame = frames.next();
      if (!frame) {
        out.emplace_back("refused");
        return out;
      }
      if (!*frame) break;
      out.push_back(std::to_string(static_cast<int>((*frame)->kind)) + ':' + std::string{(*frame)->body});
      read_body((*frame)->kind, (*frame)->body);
    }
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes{reinterpret_cast<const char*>(data) + 1, size - 1};
  require(frames_of(bytes, std::size_t{1} + data[0]) == frames_of(bytes, size));
  read_body(Kind::append, bytes);
  return 0;
}
