// All that a log ever held, taken down before retention deletes it: what the judge reads.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "log/memory/memory_log.h"

namespace truetape::simulation {

struct Taken {
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  std::string value;
  std::vector<std::pair<std::string, std::string>> headers;
};

class LogTape {
 public:
  // What is new. The log's dice must not crash meanwhile.
  void take(MemoryLog& log);
  const std::vector<Taken>& of(std::string_view topic) const;

  std::size_t heap_bytes() const;  // that the tape itself holds

  std::string id;
  std::int64_t epoch = 0;
  // By topic and partition: a store that came after another log's end has only what is below. Others: all.
  std::map<std::pair<std::string, std::int32_t>, std::int64_t> loaded;
  bool replaced = false;  // another log came after it
  bool copied = false;    // whose raw begins with all of this one's

 private:
  std::map<std::string, std::vector<Taken>, std::less<>> topics_;
  std::map<std::pair<std::string, std::int32_t>, std::int64_t> next_;
};

}  // namespace truetape::simulation
