// The one conformance suite of the log contract (log/log.h). An implementation makes it its own with
//   INSTANTIATE_TEST_SUITE_P(Memory, LogConformance, testing::Values(&make_my_log));
// and links truetape::log_conformance.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "log/log.h"

namespace truetape::conformance {

struct LogSettings {
  std::int32_t partitions = 4;
  std::size_t step_records = 8192;
  std::size_t step_bytes = std::size_t{8} << 20;
  std::size_t append_buffer_bytes = std::size_t{2} << 20;
  bool trimming = false;  // trim() will be called
};

// A log of the implementation, alone in its place.
class LogUnderTest {
 public:
  virtual ~LogUnderTest() = default;
  virtual Log& log() = 0;
  // As if the process had died and the log was opened again. All objects of the log are destroyed before.
  virtual void reopen() = 0;
  // From now on nothing can be written, or it can again. Some commits may still fit. What that is called:
  virtual void set_full(bool full) = 0;
  virtual Fault full_fault() const { return Fault::no_space; }
  // Can what is committed be read meanwhile?
  virtual bool readable_when_full() const { return true; }
  // Does retention wait for the Task and for readers with a name?
  virtual bool waits_for_readers() const { return true; }
  // Retention deletes all that it may; what was committed last stays.
  virtual void trim() = 0;
  virtual void forget_reader(std::string_view name) = 0;
};

using MakeLog = std::unique_ptr<LogUnderTest> (*)(const LogSettings&);

class LogConformance : public testing::TestWithParam<MakeLog> {
 protected:
  std::unique_ptr<LogUnderTest> make(const LogSettings& settings = {}) const { return GetParam()(settings); }
};

}  // namespace truetape::conformance
