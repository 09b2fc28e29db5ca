// CRC-32C (Castagnoli), as in iSCSI, ext4, Kafka: crc32c("123456789") = 0xe3069283.
#pragma once

#include <cstdint>
#include <string_view>

namespace truetape {

// Continues from `crc`, the result for the bytes before (0 at the beginning).
std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc = 0);

}  // namespace truetape
