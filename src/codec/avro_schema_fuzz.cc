// Anything as the text of a schema: it is refused with a reason, or has a canonical form, which is a schema again.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "codec/avro_schema.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto require = [](bool held) {
    if (!held) std::abort();
  };
  const auto form = truetape::avro::canonical_schema({reinterpret_cast<const char*>(data), size});
  if (!form) {
    require(!form.error().detail.empty());
    return 0;
  }
  require(form->find('\n') == std::string::npos);
  // A name without namespace inside one that has a namespace cannot be told in this form, so the second may be refused
  // or be another; from there on it stays.
  if (const auto again = truetape::avro::canonical_schema(*form)) {
    const auto third = truetape::avro::canonical_schema(*again);
    require(third && *third == *again);
  }
  return 0;
}
