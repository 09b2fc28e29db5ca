#include <signal.h>
#include <sys/resource.h>

#include <filesystem>

#include "log/conformance/log_conformance.h"
#include "log/lmdb/lmdb_log.h"

namespace truetape::conformance {
namespace {

class LmdbUnderTest final : public LogUnderTest {
 public:
  explicit LmdbUnderTest(const LogSettings& s) {
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
    directory_ = mkdtemp(name);
    open();
  }
  ~LmdbUnderTest() override {
    set_full(false);
    log_.reset();
    std::filesystem::remove_all(directory_);
  }
  Log& log() override { return *log_; }
  void reopen() override {
    log_.reset();
    open();
  }
  // No file may grow beyond the log's present size.
  void set_full(bool full) override {
    signal(SIGXFSZ, SIG_IGN);
    rlimit limit{};
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = full ? std::filesystem::file_size(directory_ / "log.mdb") : limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  void trim() override {
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(log_->set_note("trim", "now"));
  }
  void forget_reader(std::string_view name) override { ASSERT_TRUE(log_->forget_reader(name)); }

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

std::unique_ptr<LogUnderTest> make_lmdb(const LogSettings& settings) {
  return std::make_unique<LmdbUnderTest>(settings);
}

INSTANTIATE_TEST_SUITE_P(Lmdb, LogConformance, testing::Values(&make_lmdb));

}  // namespace
}  // namespace truetape::conformance
