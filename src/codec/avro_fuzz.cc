// Anything as the value of a record: it is refused, or what was read encodes to bytes that are read as the same. The
// first byte chooses the topic, so that each gets its share.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <type_traits>

#include "codec/canonical.h"
#include "codec/keys.h"
#include "codec/quarantine.h"
#include "codec/rows.h"
#include "codec/wire.h"

namespace truetape {
namespace {

void require(bool held) {
  if (!held) std::abort();
}

template <class T>
void framed(std::string_view bytes) {
  const auto value = wire::decode<T>(bytes);
  if (!value) return require(!value.error().detail.empty());
  std::string again;
  wire::encode(*value, again);
  const auto back = wire::decode<T>(again);
  require(back && *back == *value);
  std::string key;
  put_key(*value, key);
  if constexpr (std::is_same_v<T, Candle> || std::is_same_v<T, Trade>) {
    std::string text;
    append_canonical(*value, text);
    RowCells cells;
    put_cells(*value, cells);
    append_csv_row(cells, text);
    append_json_row(columns<T>(), cells, text);
  }
}

void quarantine(std::string_view bytes) {
  Quarantined item;
  item.raw = bytes;
  item.detail = bytes;
  item.headers.emplace_back(std::string{bytes.substr(0, bytes.size() / 2)},
                            std::string{bytes.substr(bytes.size() / 2)});
  const OwnedHeaders owned = quarantine_headers(item);
  std::vector<Header> headers;
  for (const auto& [header_name, value] : owned) headers.push_back({header_name, value});
  const auto back = read_quarantined(item.raw, headers);
  require(back && back->headers == item.headers && back->raw == item.raw);
  // And each header in turn replaced by the bytes.
  for (auto& header : headers) {
    const std::string_view before = header.value;
    header.value = bytes;
    (void)read_quarantined(item.raw, headers);
    header.value = before;
  }
  RowCells cells;
  put_cells(item, cells);
  std::string text;
  append_csv_row(cells, text);
  append_json_row(columns<Quarantined>(), cells, text);
  (void)parse_window_key(bytes);
  (void)parse_gap_key(bytes);
}

}  // namespace
}  // namespace truetape

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace truetape;
  if (size == 0) return 0;
  const std::string_view bytes{reinterpret_cast<const char*>(data) + 1, size - 1};
  // The frame is given, so that the fuzzer's time goes into the bodies; topic 0 takes the bytes as they are.
  const auto body = [&](wire::SchemaId id) {
    std::string framed_bytes;
    wire::put_frame(static_cast<std::uint32_t>(id), framed_bytes);
    return framed_bytes.append(bytes);
  };
  switch (data[0] % 11) {
    case 0:
      framed<Trade>(bytes);
      break;
    case 1:
      framed<Trade>(body(wire::SchemaId::trade));
      break;
    case 2:
      framed<Quote>(body(wire::SchemaId::quote));
      break;
    case 3:
      framed<Candle>(body(wire::SchemaId::candle));
      break;
    case 4:
      framed<News>(body(wire::SchemaId::news));
      break;
    case 5:
      framed<Gap>(body(wire::SchemaId::gap));
      break;
    case 6:
      framed<LateWindow>(body(wire::SchemaId::late));
      break;
    case 7:
      framed<Progress>(body(wire::SchemaId::progress));
      break;
    case 8:
      framed<Reference>(body(wire::SchemaId::instrument));
      break;
    case 9:
      framed<NewsCount>(body(wire::SchemaId::news_count));
      break;
    default:
      quarantine(bytes);
  }
  return 0;
}
