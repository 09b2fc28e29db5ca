#include "log/conformance/log_conformance.h"
#include "log/memory/memory_log.h"

namespace truetape::conformance {
namespace {

template <bool kHoles>
class MemoryUnderTest final : public LogUnderTest {
 public:
  explicit MemoryUnderTest(const LogSettings& s) {
    MemoryOptions options;
    options.partitions = s.partitions;
    options.step_records = s.step_records;
    options.step_bytes = s.step_bytes;
    options.append_buffer_bytes = s.append_buffer_bytes;
    options.offset_holes = kHoles;
    log_ = std::make_unique<MemoryLog>(options);
  }
  Log& log() override { return *log_; }
  void reopen() override { log_->crash(); }
  void set_full(bool full) override { log_->set_full(full); }
  void trim() override {
    for (const std::string_view name : topic::all)
      for (std::int32_t p = 0; p < log_->partitions(); ++p) log_->trim(name, p, INT64_MAX);
  }
  void forget_reader(std::string_view name) override { log_->forget_reader(name); }

 private:
  std::unique_ptr<MemoryLog> log_;
};

template <bool kHoles>
std::unique_ptr<LogUnderTest> make_memory(const LogSettings& settings) {
  return std::make_unique<MemoryUnderTest<kHoles>>(settings);
}

INSTANTIATE_TEST_SUITE_P(Memory, LogConformance, testing::Values(&make_memory<false>));

}  // namespace
}  // namespace truetape::conformance
