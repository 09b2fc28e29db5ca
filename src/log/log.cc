#include "log/log.h"

#include "core/utf8.h"

namespace truetape {

Error too_large(const Output& output) {
  constexpr std::size_t kShown = 100;
  std::string key;
  append_utf8(output.record.key.substr(0, kShown), key);
  return {Fault::out_of_range, Retry::never,
          "An output is larger than 1 MiB; make it smaller: " + std::string{output.topic} + '/' +
              std::to_string(output.partition) + ", key \"" + key + (output.record.key.size() > kShown ? "…" : "") +
              "\", " + std::to_string(record_bytes(output.record)) + " bytes."};
}

}  // namespace truetape
