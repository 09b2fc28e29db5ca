// A topic's value as it stands in the log: Confluent's wire format, 0x00, the schema's id in 4 bytes (big-endian), the
// Avro body. In the embedded log the ids are the local numbers of schemas(); on Kafka those that the registry gave,
// which is why the frame is a layer of its own.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "codec/avro.h"
#include "core/records.h"
#include "core/result.h"

namespace truetape::wire {

inline constexpr std::size_t kFrameBytes = 5;

// Local ids. Never given anew: a changed schema is a new version with a new id.
enum class SchemaId : std::uint32_t { trade = 1, quote, candle, news, gap, late, progress, instrument, news_count };

// Lower ids stand for schemas of truetape, now or later.
inline constexpr std::uint32_t kOwnIds = 1000;

// A writer schema that this binary knows, for the log to store beside its data and for a registry.
struct SchemaInfo {
  std::uint32_t id;
  std::uint32_t version;
  std::string_view topic;
  std::string_view subject;  // Confluent's TopicNameStrategy: "trades-value"
  std::string_view json;     // the text of schemas/*.avsc
};
std::span<const SchemaInfo> schemas();

void put_frame(std::uint32_t schema_id, std::string& out);
struct Frame {
  std::uint32_t schema_id;
  std::string_view body;  // of the value that was given
};
// Fault::malformed: shorter than a frame or another magic byte.
Result<Frame> read_frame(std::string_view value);

// Appends frame and body under the local id.
template <class T>
void encode(const T& value, std::string& out);
// The value of a record of the embedded log. Fault::mismatch: a schema id that this binary does not know for this type.
template <class T>
Result<T> decode(std::string_view value);

extern template void encode(const Trade&, std::string&);
extern template void encode(const Quote&, std::string&);
extern template void encode(const Candle&, std::string&);
extern template void encode(const News&, std::string&);
extern template void encode(const Gap&, std::string&);
extern template void encode(const LateWindow&, std::string&);
extern template void encode(const Progress&, std::string&);
extern template void encode(const Reference&, std::string&);
extern template void encode(const NewsCount&, std::string&);
extern template Result<Trade> decode(std::string_view);
extern template Result<Quote> decode(std::string_view);
extern template Result<Candle> decode(std::string_view);
extern template Result<News> decode(std::string_view);
extern template Result<Gap> decode(std::string_view);
extern template Result<LateWindow> decode(std::string_view);
extern template Result<Progress> decode(std::string_view);
extern template Result<Reference> decode(std::string_view);
extern template Result<NewsCount> decode(std::string_view);

}  // namespace truetape::wire
