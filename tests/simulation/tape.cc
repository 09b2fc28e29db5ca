#include "tape.h"

#include <malloc.h>

#include <stdexcept>

namespace truetape::simulation {

using namespace std::chrono_literals;

void LogTape::take(MemoryLog& log) {
  id = log.id();
  epoch = log.epoch();
  for (const std::string_view topic : topic::all) {
    if (topic == topic::control || topic == topic::quotes || topic == topic::news || topic == topic::news_counts)
      continue;
    std::vector<Taken>& to = topics_[std::string{topic}];
    const auto reader = log.reader(topic, "", Share::all).value();
    for (std::vector<std::int32_t> assigned = reader->poll(0ms).value().assigned; const std::int32_t p : assigned)
      if (const auto sought = reader->seek(p, next_[{std::string{topic}, p}]); !sought)
        throw std::runtime_error{"the judge came too late: " + sought.error().detail};
    for (;;) {
      const auto step = reader->poll(0ms).value();
      if (step.records.empty()) break;
      for (const Stored& stored : step.records) {
        Taken& taken = to.emplace_back();
        taken.partition = stored.partition;
        taken.offset = stored.offset;
        taken.value = stored.record.value;
        for (const Header& h : stored.record.headers) taken.headers.emplace_back(h.name, h.value);
        next_[{std::string{topic}, stored.partition}] = stored.offset + 1;
      }
    }
  }
}

std::size_t LogTape::heap_bytes() const {
  constexpr std::size_t kOwn = 8;  // of the allocator, beside each piece
  const auto text = [](const std::string& s) {
    const bool inside =
        s.data() >= reinterpret_cast<const char*>(&s) && s.data() < reinterpret_cast<const char*>(&s + 1);
    return inside ? 0 : ::malloc_usable_size(const_cast<char*>(s.data())) + kOwn;
  };
  std::size_t out = 0;
  for (const auto& [topic, taken] : topics_) {
    out += taken.capacity() * sizeof(Taken);
    for (const Taken& one : taken) {
      out += text(one.value);
      if (one.headers.capacity() > 0)
        out += ::malloc_usable_size(const_cast<std::pair<std::string, std::string>*>(one.headers.data())) + kOwn;
      for (const auto& [name, value] : one.headers) out += text(name) + text(value);
    }
  }
  return out;
}

const std::vector<Taken>& LogTape::of(std::string_view topic) const {
  static const std::vector<Taken> nothing;
  const auto found = topics_.find(topic);
  return found == topics_.end() ? nothing : found->second;
}

}  // namespace truetape::simulation
