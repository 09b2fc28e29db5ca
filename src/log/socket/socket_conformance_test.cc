// The appenders of a connection keep the log's contract: the conformance suite on logs whose appenders are remote.
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <filesystem>
#include <stdexcept>

#include "log/conformance/log_conformance.h"
#include "log/lmdb/lmdb_log.h"
#include "log/memory/memory_log.h"
#include "log/socket/log_server.h"
#include "log/socket/remote_appender.h"

namespace truetape::conformance {
namespace {

class Memory {
 public:
  explicit Memory(const LogSettings& s) {
    MemoryOptions options;
    options.partitions = s.partitions;
    options.step_records = s.step_records;
    options.step_bytes = s.step_bytes;
    options.append_buffer_bytes = s.append_buffer_bytes;
    log_ = std::make_unique<MemoryLog>(options);
  }
  Log& log() { return *log_; }
  void reopen() { log_->crash(); }
  void set_full(bool full) { log_->set_full(full); }
  void trim() {
    for (const std::string_view name : topic::all)
      for (std::int32_t p = 0; p < log_->partitions(); ++p) log_->trim(name, p, INT64_MAX);
  }
  void forget_reader(std::string_view name) { log_->forget_reader(name); }

 private:
  std::unique_ptr<MemoryLog> log_;
};

class Lmdb {
 public:
  explicit Lmdb(const LogSettings& s) {
    options_.create = true;
    options_.partitions = s.partitions;
    options_.spacing = std::chrono::milliseconds{0};
    options_.commit_records = s.step_records;
    options_.step_bytes = s.step_bytes;
    options_.append_buffer_bytes = s.append_buffer_bytes;
    if (s.trimming) {
      options_.size_limit = 1;  // whatever may go, goes with the next commit
      options_.hard_limit = std::uint64_t{1} << 30;
    }
    char name[] = "/tmp/truetape_log_XXXXXX";
    directory_ = ::mkdtemp(name);
    open();
  }
  ~Lmdb() {
    set_full(false);
    log_.reset();
    std::filesystem::remove_all(directory_);
  }
  Log& log() { return *log_; }
  void reopen() {
    log_.reset();
    open();
  }
  // No file may grow beyond the log's present size.
  void set_full(bool full) {
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{};
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = full ? std::filesystem::file_size(directory_ / "log.mdb") : limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  void trim() {
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(log_->set_note("trim", "now"));
  }
  void forget_reader(std::string_view name) { ASSERT_TRUE(log_->forget_reader(name)); }

 private:
  void open() {
    auto opened = open_lmdb_log(directory_, options_);
    if (!opened) throw std::runtime_error(opened.error().detail);
    log_ = std::move(*opened);
  }
  std::filesystem::path directory_;
  LmdbOptions options_;
  std::unique_ptr<LmdbLog> log_;
};

// Reads from the log itself, appends through the socket.
class Beside final : public Log {
 public:
  Beside(Log& log, RemoteLog& remote) : log_{log}, remote_{remote} {}
  std::string_view id() const override { return remote_.id(); }
  std::int64_t epoch() const override { return remote_.epoch(); }
  std::int32_t partitions() const override { return remote_.partitions(); }
  Result<TopicSpan> span(std::string_view topic, std::int32_t partition) const override {
    return log_.span(topic, partition);
  }
  Result<std::int64_t> committed(std::int32_t partition) const override { return log_.committed(partition); }
  Result<std::unique_ptr<Appender>> appender(std::string_view topic) override { return remote_.appender(topic); }
  Result<std::unique_ptr<Task>> task() override { return log_.task(); }
  Result<std::unique_ptr<Reader>> reader(std::string_view topic, std::string_view name, Share share) override {
    return log_.reader(topic, name, share);
  }

 private:
  Log& log_;
  RemoteLog& remote_;
};

template <class Under>
class SocketUnderTest final : public LogUnderTest {
 public:
  explicit SocketUnderTest(const LogSettings& s) : under_{s}, buffer_{s.append_buffer_bytes} {
    char name[] = "/tmp/truetape_socket_XXXXXX";
    directory_ = ::mkdtemp(name);
    start();
  }
  ~SocketUnderTest() override {
    stop();
    std::filesystem::remove_all(directory_);
  }
  Log& log() override { return *beside_; }
  void reopen() override {
    stop();
    under_.reopen();
    start();
  }
  void set_full(bool full) override { under_.set_full(full); }
  void trim() override { under_.trim(); }
  void forget_reader(std::string_view name) override { under_.forget_reader(name); }

 private:
  void start() {
    const std::filesystem::path socket = directory_ / "log.sock";
    auto server = LogServer::start(under_.log(), socket);
    if (!server) throw std::runtime_error{server.error().detail};
    server_ = std::move(*server);
    ConnectOptions options;
    options.append_buffer_bytes = buffer_;
    auto remote = connect_log(socket, options);
    if (!remote) throw std::runtime_error{remote.error().detail};
    remote_ = std::move(*remote);
    beside_ = std::make_unique<Beside>(under_.log(), *remote_);
  }
  void stop() {
    beside_.reset();
    remote_.reset();
    server_.reset();
  }

  Under under_;
  std::size_t buffer_;
  std::filesystem::path directory_;
  std::unique_ptr<LogServer> server_;
  std::unique_ptr<RemoteLog> remote_;
  std::unique_ptr<Beside> beside_;
};

template <class Under>
std::unique_ptr<LogUnderTest> make(const LogSettings& settings) {
  return std::make_unique<SocketUnderTest<Under>>(settings);
}

INSTANTIATE_TEST_SUITE_P(SocketOnMemory, LogConformance, testing::Values(&make<Memory>));
INSTANTIATE_TEST_SUITE_P(SocketOnLmdb, LogConformance, testing::Values(&make<Lmdb>));

}  // namespace
}  // namespace truetape::conformance
