// A sink that remembers, for tests of feeds.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "venues/feed.h"

namespace truetape {

struct PutRecord {
  std::int32_t partition = 0;
  std::string key, bytes;
  std::map<std::string, std::string, std::less<>> headers;

  std::string operator[](std::string_view header_name) const {
    const auto found = headers.find(header_name);
    return found == headers.end() ? "-" : found->second;
  }
  std::string kind() const { return (*this)[header::kind]; }
};

class MemorySink final : public RawSink {
 public:
  MemorySink(net::Loop& loop, std::int32_t partitions) : loop_{loop}, partitions_{partitions}, has_room_{loop} {
    has_room_.set();
  }
  std::int32_t partitions() const override { return partitions_; }
  bool put(std::int32_t partition, std::string_view key, std::string_view bytes,
           std::span<const Header> headers) override {
    if (!has_room_.is_set() || (room_for_ && *room_for_ == 0)) {
      has_room_.reset();
      ++refused;
      return false;
    }
    if (room_for_) --*room_for_;
    PutRecord record{partition, std::string{key}, std::string{bytes}, {}};
    for (const Header& h : headers) record.headers.emplace(h.name, h.value);
    records.push_back(std::move(record));
    return true;
  }
  net::awaitable<void> room() override { return has_room_.wait(); }
  std::uint64_t generation() const override { return generation_; }

  // From now on there is room for so many records; nullopt: for any number.
  void set_room(std::optional<std::size_t> records_left) {
    room_for_ = records_left;
    if (!room_for_ || *room_for_ > 0)
      has_room_.set();
    else
      has_room_.reset();
  }
  // Loses what was put.
  void lose() { ++generation_; }

  std::vector<PutRecord> of_kind(std::string_view kind) const {
    std::vector<PutRecord> out;
    for (const PutRecord& r : records)
      if (r.kind() == kind) out.push_back(r);
    return out;
  }

  std::vector<PutRecord> records;
  int refused = 0;

 private:
  net::Loop& loop_;
  std::int32_t partitions_;
  net::Event has_room_;
  std::optional<std::size_t> room_for_;
  std::uint64_t generation_ = 1;
};

}  // namespace truetape
