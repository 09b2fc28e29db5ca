// The log of a data directory while another process (`truetape run`) holds it: what is written goes through that
// process's socket, what is read comes from the log's own files.
#pragma once

#include <memory>
#include <string>

#include "app/config.h"
#include "core/result.h"
#include "log/lmdb/lmdb_log.h"
#include "log/log.h"
#include "log/socket/remote_appender.h"

namespace truetape::app {

class BesideLog final : public Log {
 public:
  // After open_log_to_write() answered `locked`. `alone`: what one command does at a time, or empty. Where nobody
  // listens at the socket the answer is `locked` again; else the sentence of the process that does. Refused too where
  // the configuration says another number of partitions.
  static Result<std::unique_ptr<BesideLog>> open(const Config& config, std::string alone, const Error& locked);

  // Of open_log_to_write(): another process holds the log.
  static bool is_locked(const Error& error);

  std::string_view id() const override { return files_->id(); }
  std::int64_t epoch() const override { return files_->epoch(); }
  std::int32_t partitions() const override { return files_->partitions(); }
  Result<TopicSpan> span(std::string_view topic, std::int32_t partition) const override {
    return files_->span(topic, partition);
  }
  Result<std::int64_t> committed(std::int32_t partition) const override { return files_->committed(partition); }
  Result<std::unique_ptr<Appender>> appender(std::string_view topic) override { return remote_->appender(topic); }
  Result<std::unique_ptr<Task>> task() override { return files_->task(); }  // refused: it is read-only
  Result<std::unique_ptr<Reader>> reader(std::string_view topic, std::string_view name, Share share) override {
    return files_->reader(topic, name, share);
  }

  const LmdbLog& files() const { return *files_; }
  Status forget_reader(std::string_view name) { return remote_->forget_reader(name); }
  // An error: the other process has ended, or broke the connection off.
  Status health() const { return remote_->health(); }

 private:
  BesideLog(std::unique_ptr<LmdbLog> files, std::unique_ptr<RemoteLog> remote)
      : files_{std::move(files)}, remote_{std::move(remote)} {}
  std::unique_ptr<LmdbLog> files_;
  std::unique_ptr<RemoteLog> remote_;
};

}  // namespace truetape::app
