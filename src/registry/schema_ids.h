// Where the ids in the frames of values on Kafka come from (log/kafka/schema_ids.h). `prefix` is what the topics' names
// begin with, with its dot: "market." for market.trades, whose subject is market.trades-value.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "codec/wire.h"
#include "core/clock.h"
#include "core/result.h"
#include "log/kafka/schema_ids.h"
#include "registry/registry.h"

namespace truetape {

// Confluent's TopicNameStrategy.
std::string subject_of(std::string_view prefix, const wire::SchemaInfo& schema);

// The local ids as they are: among ourselves no registry is needed.
std::unique_ptr<SchemaIds> own_schema_ids();

// What a file (ids_file.h) says; it must name all subjects of the prefix, and never one id for two of them. Other
// prefixes may stand beside them. No schema is compared: who wrote the file answers for it.
Result<std::unique_ptr<SchemaIds>> schema_ids_of_file(const std::filesystem::path& file, std::string_view prefix);

// Looks all subjects up now, registers none: Fault::not_found names those that are missing, Fault::mismatch those whose
// schema is another. From then on the registry is asked only about ids that are read and not known yet, once each, and
// compared with the schemas of this binary (avro::canonical_schema). That an id cannot be read is believed for a
// minute, and of at most kMostUnknown ids. While the registry does not answer, it is asked once a second at most, and
// no attempt begins later than a second after the call: whoever read the id asks again.
inline constexpr std::size_t kMostUnknown = 1000;
Result<std::unique_ptr<SchemaIds>> schema_ids_of_registry(std::unique_ptr<Registry> registry, std::string_view prefix,
                                                          const Clock& clock);  // the clock outlives it

}  // namespace truetape
