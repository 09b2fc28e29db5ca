#include "app/schemas.h"

#include <cstdlib>

#include "net/proxy.h"

namespace truetape::app {

std::string subject_prefix(const Config& config) {
  if (config.registry.prefix.empty())
    throw ConfigError{"no prefix of the topics: name it with --prefix, as in --prefix market for market.trades"};
  return config.registry.prefix + '.';
}

Result<std::unique_ptr<Registry>> open_registry(const Config& config, Nanoseconds wait) {
  auto proxy = net::proxy_from_environment([](const char* name) -> const char* { return std::getenv(name); });
  if (!proxy) return tl::unexpected{proxy.error()};
  RegistryConfig registry;
  registry.url = config.registry.url;
  registry.password = config.registry.password;
  registry.connect.ca_file = config.registry.ca_file;
  registry.connect.proxy = std::move(*proxy);
  registry.wait = wait;
  return Registry::make(std::move(registry));
}

Result<std::unique_ptr<SchemaIds>> open_schema_ids(const Config& config, const Clock& clock) {
  if (!config.registry.ids_file.empty()) return schema_ids_of_file(config.registry.ids_file, subject_prefix(config));
  if (config.registry.url.empty()) return own_schema_ids();
  auto registry = open_registry(config, RegistryConfig{}.wait);
  if (!registry) return tl::unexpected{registry.error()};
  return schema_ids_of_registry(std::move(*registry), subject_prefix(config), clock);
}

}  // namespace truetape::app
