// The ImportWay of a log on Kafka: what is appended is processed by workers and loaded by loaders, wherever they run.
#pragma once

#include <memory>

#include "app/config.h"
#include "app/import_way.h"
#include "core/result.h"

namespace truetape::app {

// `config` is borrowed.
Result<std::unique_ptr<ImportWay>> import_on_kafka(const Config& config, const WayOptions& options);

}  // namespace truetape::app
