#include "app/open.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "codec/wire.h"

namespace truetape::app {
namespace {

auto nothing_yet(const Config& config) {
  return failure(Fault::not_found, Retry::never,
                 "there is nothing in " + config.data + " yet; import something first: truetape import --data " +
                     config.data + " FILE");
}

LmdbOptions options_of(const Config& config) {
  LmdbOptions options;
  options.partitions = config.partitions;
  options.spacing = std::chrono::ceil<std::chrono::milliseconds>(config.commit_spacing);
  options.size_limit = config.log_size;
  for (std::size_t i = 0; i < topic::all.size(); ++i) {
    options.max_age[i] = std::chrono::floor<std::chrono::seconds>(topic::all[i] == topic::raw ? config.retain_raw
                                                                                              : config.retain_results);
    options.lz4[i] =
        (',' + config.compressed_topics + ',').find(',' + std::string{topic::all[i]} + ',') != std::string::npos;
  }
  return options;
}

}  // namespace

Result<std::unique_ptr<LmdbLog>> open_log_to_write(const Config& config) {
  std::error_code error;
  std::filesystem::create_directories(config.log_directory(), error);
  if (error)
    return failure(Fault::refused, Retry::never,
                   "the data directory " + config.data + " cannot be made: " + error.message() +
                       "; check the path and its rights");
  LmdbOptions options = options_of(config);
  options.create = true;
  options.commit_records = 32'768;  // an import is behind until it ends: larger commits, fewer syncs
  options.append_buffer_bytes = std::size_t{8} << 20;  // an importer waits when it is full: more only costs memory
  auto log = open_lmdb_log(config.log_directory(), options);
  if (!log) return log;
  for (const wire::SchemaInfo& schema : wire::schemas()) {
    const std::string name = "schema." + std::to_string(schema.id);
    const auto there = (*log)->note(name);
    if (!there) return tl::unexpected{there.error()};
    if (*there && **there != schema.json)
      return failure(Fault::mismatch, Retry::never,
                     "the log in " + config.data + " has another schema under " + name +
                         " than this version of truetape; it was written by an incompatible build");
    if (!*there)
      if (const Status noted = (*log)->set_note(name, schema.json); !noted) return tl::unexpected{noted.error()};
  }
  return log;
}

Result<std::unique_ptr<LmdbLog>> open_log_to_read(const Config& config) {
  std::error_code error;
  if (!std::filesystem::exists(config.log_directory(), error)) {
    if (error) return failure(Fault::refused, Retry::never, config.data + " cannot be read: " + error.message());
    return nothing_yet(config);
  }
  LmdbOptions options;
  options.read_only = true;
  return open_lmdb_log(config.log_directory(), options);
}

Status expect_store(const Config& config) {
  std::error_code error;
  const bool there = std::filesystem::exists(config.store_file(), error);
  if (error) return failure(Fault::refused, Retry::never, config.data + " cannot be read: " + error.message());
  if (!there) return nothing_yet(config);
  return {};
}

void start_logging(const Config& config) {
  auto logger = spdlog::get("truetape");
  if (!logger) logger = spdlog::stderr_color_mt("truetape");
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
  logger->set_level(spdlog::level::from_str(config.log_level == "error" ? "err" : config.log_level));
  spdlog::set_default_logger(logger);
}

}  // namespace truetape::app
