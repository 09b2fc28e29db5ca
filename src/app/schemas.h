// Schema ids on Kafka and the registry that gives them, as the configuration names both (docs/kafka.md).
#pragma once

#include <memory>
#include <string>

#include "app/config.h"
#include "core/clock.h"
#include "core/result.h"
#include "registry/registry.h"
#include "registry/schema_ids.h"

namespace truetape::app {

// What subjects begin with, with its dot: "market." for the topics market.trades and so on. Throws ConfigError where
// no prefix was said.
std::string subject_prefix(const Config& config);

// The registry of kafka.registry, which must be set; not asked yet. `wait`: for one call (RegistryConfig).
Result<std::unique_ptr<Registry>> open_registry(const Config& config, Nanoseconds wait);

// For who writes or reads the log on Kafka: of kafka.schema_ids where that is set, else of kafka.registry, which is
// asked now, else the local ids as they are. The clock outlives them.
Result<std::unique_ptr<SchemaIds>> open_schema_ids(const Config& config, const Clock& clock);

}  // namespace truetape::app
