#include "log/identity.h"

#include <sys/random.h>

#include <array>
#include <stdexcept>

namespace truetape {

std::string random_uuid() {
  std::array<unsigned char, 16> b{};
  if (getrandom(b.data(), b.size(), 0) != static_cast<ssize_t>(b.size())) throw std::runtime_error("no random numbers");
  b[6] = static_cast<unsigned char>((b[6] & 0x0f) | 0x40);
  b[8] = static_cast<unsigned char>((b[8] & 0x3f) | 0x80);
  std::string out;
  for (std::size_t i = 0; i < b.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    out += "0123456789abcdef"[b[i] >> 4];
    out += "0123456789abcdef"[b[i] & 15];
  }
  return out;
}

}  // namespace truetape
