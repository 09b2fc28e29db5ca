#include "codec/wire.h"

#include <array>

#include "codec/schemas_text.h"

namespace truetape::wire {
namespace {

constexpr char kMagic = 0;

constexpr SchemaInfo info(SchemaId id, std::string_view topic, std::string_view subject, std::string_view json) {
  return {static_cast<std::uint32_t>(id), 1, topic, subject, json};
}
constexpr std::array<SchemaInfo, 9> kSchemas{{
    info(SchemaId::trade, "trades", "trades-value", schema_text::trade),
    info(SchemaId::quote, "quotes", "quotes-value", schema_text::quote),
    info(SchemaId::candle, "candles", "candles-value", schema_text::candle),
    info(SchemaId::news, "news", "news-value", schema_text::news),
    info(SchemaId::gap, "gaps", "gaps-value", schema_text::gap),
    info(SchemaId::late, "late", "late-value", schema_text::late),
    info(SchemaId::progress, "progress", "progress-value", schema_text::progress),
    info(SchemaId::instrument, "instruments", "instruments-value", schema_text::instrument),
    info(SchemaId::news_count, "news_counts", "news_counts-value", schema_text::news_count),
}};

template <class T>
struct Of;
template <>
struct Of<Trade> {
  static constexpr SchemaId id = SchemaId::trade;
  static constexpr auto decode = avro::decode_trade;
};
template <>
struct Of<Quote> {
  static constexpr SchemaId id = SchemaId::quote;
  static constexpr auto decode = avro::decode_quote;
};
template <>
struct Of<Candle> {
  static constexpr SchemaId id = SchemaId::candle;
  static constexpr auto decode = avro::decode_candle;
};
template <>
struct Of<News> {
  static constexpr SchemaId id = SchemaId::news;
  static constexpr auto decode = avro::decode_news;
};
template <>
struct Of<Gap> {
  static constexpr SchemaId id = SchemaId::gap;
  static constexpr auto decode = avro::decode_gap;
};
template <>
struct Of<LateWindow> {
  static constexpr SchemaId id = SchemaId::late;
  static constexpr auto decode = avro::decode_late_window;
};
template <>
struct Of<Progress> {
  static constexpr SchemaId id = SchemaId::progress;
  static constexpr auto decode = avro::decode_progress;
};
template <>
struct Of<Reference> {
  static constexpr SchemaId id = SchemaId::instrument;
  static constexpr auto decode = avro::decode_reference;
};
template <>
struct Of<NewsCount> {
  static constexpr SchemaId id = SchemaId::news_count;
  static constexpr auto decode = avro::decode_news_count;
};

}  // namespace

std::span<const SchemaInfo> schemas() { return kSchemas; }

void put_frame(std::uint32_t schema_id, std::string& out) {
  const char frame[kFrameBytes] = {kMagic, static_cast<char>(schema_id >> 24), static_cast<char>(schema_id >> 16),
                                   static_cast<char>(schema_id >> 8), static_cast<char>(schema_id)};
  out.append(frame, sizeof frame);
}

Result<Frame> read_frame(std::string_view value) {
  if (value.size() < kFrameBytes)
    return failure(
        Fault::malformed, Retry::never,
        "The value has " + std::to_string(value.size()) +
            " bytes, too few for the frame (0x00, 4 bytes of schema id) that every value of this topic begins with.");
  if (value[0] != kMagic)
    return failure(Fault::malformed, Retry::never,
                   "The value begins with byte " + std::to_string(static_cast<unsigned char>(value[0])) +
                       " instead of 0: it is not framed Avro, or the bytes are damaged.");
  std::uint32_t id = 0;
  for (std::size_t i = 1; i < kFrameBytes; ++i) id = id << 8 | static_cast<unsigned char>(value[i]);
  return Frame{id, value.substr(kFrameBytes)};
}

template <class T>
void encode(const T& value, std::string& out) {
  put_frame(static_cast<std::uint32_t>(Of<T>::id), out);
  avro::encode(value, out);
}

template <class T>
Result<T> decode(std::string_view value) {
  const auto frame = read_frame(value);
  if (!frame) return tl::unexpected{frame.error()};
  constexpr auto kId = static_cast<std::uint32_t>(Of<T>::id);
  if (frame->schema_id != kId)
    return failure(Fault::mismatch, Retry::never,
                   "The value was written with schema id " + std::to_string(frame->schema_id) +
                       "; this program reads schema id " + std::to_string(kId) + " in topic " +
                       std::string{kSchemas[kId - 1].topic} + ": use a newer version, or the bytes are damaged.");
  return Of<T>::decode(frame->body);
}

#define TRUETAPE_WIRE(T)                        \
  template void encode(const T&, std::string&); \
  template Result<T> decode(std::string_view);
TRUETAPE_WIRE(Trade)
TRUETAPE_WIRE(Quote)
TRUETAPE_WIRE(Candle)
TRUETAPE_WIRE(News)
TRUETAPE_WIRE(Gap)
TRUETAPE_WIRE(LateWindow)
TRUETAPE_WIRE(Progress)
TRUETAPE_WIRE(Reference)
TRUETAPE_WIRE(NewsCount)
#undef TRUETAPE_WIRE

}  // namespace truetape::wire
