// The topic `quarantine`: the item's own bytes as the value, the headers of its raw record kept, and what was wrong
// with it in headers named as Kafka Connect names those of its dead letters, so that existing tools read them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/raw.h"
#include "core/records.h"
#include "core/result.h"

namespace truetape {

// Names of the added headers. An original header that begins as one of ours is kept under `original` + its name.
namespace quarantine_header {
inline constexpr std::string_view connect = "__connect.errors.";
inline constexpr std::string_view topic = "__connect.errors.topic";               // "raw"
inline constexpr std::string_view partition = "__connect.errors.partition";       // of raw
inline constexpr std::string_view offset = "__connect.errors.offset";             // of raw
inline constexpr std::string_view connector = "__connect.errors.connector.name";  // "truetape"
inline constexpr std::string_view task = "__connect.errors.task.id";              // "process"
inline constexpr std::string_view stage = "__connect.errors.stage";               // VALUE_CONVERTER | TRANSFORMATION
inline constexpr std::string_view component = "__connect.errors.class.name";  // "truetape.decode" | "truetape.process"
inline constexpr std::string_view code = "__connect.errors.exception.class.name";        // "truetape." and the reason
inline constexpr std::string_view message = "__connect.errors.exception.message";        // the detail
inline constexpr std::string_view stacktrace = "__connect.errors.exception.stacktrace";  // empty
inline constexpr std::string_view ours = "truetape.";
inline constexpr std::string_view reason = "truetape.error.reason";
inline constexpr std::string_view detail = "truetape.error.detail";
inline constexpr std::string_view rule = "truetape.error.rule";
inline constexpr std::string_view rule_version = "truetape.error.rule_version";
inline constexpr std::string_view ordinal = "truetape.error.ordinal";            // item within the record
inline constexpr std::string_view id = "truetape.error.id";                      // the trade's; empty: not readable
inline constexpr std::string_view first_ms = "truetape.error.first_ms";          // receive time, Unix ms; absent: none
inline constexpr std::string_view receive_time = "truetape.error.receive_time";  // the same in ns
inline constexpr std::string_view attempts = "truetape.error.attempts";          // "1", and one more for each replay
inline constexpr std::string_view resolution = "truetape.error.resolution";      // replayed | dropped; absent: it waits
inline constexpr std::string_view instrument = "truetape.error.instrument";      // as the key
inline constexpr std::string_view original = "truetape.original.";
}  // namespace quarantine_header

using OwnedHeaders = std::vector<std::pair<std::string, std::string>>;

// The headers of the log record; its key is put_key(item), its value item.raw. Detail and id become valid UTF-8 (a byte
// that is none: U+FFFD); the original headers stay as they are.
OwnedHeaders quarantine_headers(const Quarantined& item);

// Back from the log's record. Fault::malformed names the header that is missing or cannot be read.
Result<Quarantined> read_quarantined(std::string_view value, std::span<const Header> headers);

std::string to_text(const QuarantinePlace& place);                             // "0/4711/3"
std::optional<QuarantinePlace> parse_quarantine_place(std::string_view text);  // also "0/4711": its first item

// A record for raw, of the item's own partition, without a key.
struct RawText {
  std::string value;
  OwnedHeaders headers;
};
// The item's bytes, to be judged again with the headers of the record that it came in. Fault::refused: not all of its
// bytes are there, or it came in a record of a kind that cannot be judged again.
Result<RawText> replay_record(const Quarantined& item);
// The item is given up; an id that is held becomes void. Fault::refused: the item is not of raw.
Result<RawText> drop_record(const Quarantined& item);

}  // namespace truetape
