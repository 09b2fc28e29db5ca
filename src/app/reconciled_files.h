// What `truetape reconcile` found, kept as files in DIR/reconcile for the page (docs/reconcile.md); `data` is DIR. The
// same comparison again takes the place of the one before.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "codec/reconciled.h"

namespace truetape::app {

// Whole or not at all, durable; then the files whose windows are all among those of this one are deleted. Any thread,
// any process.
Status keep_reconciliation(const std::filesystem::path& data, const Reconciliation& result);

// For who asks again and again: a file is parsed when it is new or was replaced. Any thread.
class ReconciledFiles {
 public:
  // A file that cannot be read is told once, and passed over.
  using Trouble = std::function<void(const std::string&)>;
  ReconciledFiles(std::filesystem::path data, Trouble trouble);

  // What the files say of the windows in [from, to), in order; the newest result counts for each window. At most
  // `most`, the first ones, or the last if `newest`. No directory: nothing.
  std::vector<ReconciledWindow> windows(const Instrument& instrument, Tape tape, Interval interval, Timestamp from,
                                        Timestamp to, std::uint64_t most, bool newest);
  std::uint64_t parsed() const;  // files, so far

 private:
  using ResultPtr = std::shared_ptr<const Reconciliation>;
  struct Known {
    std::filesystem::file_time_type written;
    std::uintmax_t size = 0;
    ResultPtr result;  // null: it cannot be read
    std::size_t bytes = 0;
    std::uint64_t used = 0;
  };
  // The results that speak of [from, to), the oldest first.
  std::vector<ResultPtr> results(const std::string& series, Timestamp from, Timestamp to);
  bool list(const std::string& series, Timestamp from, Timestamp to, std::vector<ResultPtr>& out);
  void forget_some();

  static constexpr std::size_t kMostBytes = std::size_t{64} << 20;  // what is kept of files, about

  const std::filesystem::path directory_;
  const Trouble trouble_;
  mutable std::mutex mutex_;
  std::map<std::string, Known> known_;  // by the file's name
  std::size_t bytes_ = 0;
  std::uint64_t uses_ = 0, parsed_ = 0;
};

}  // namespace truetape::app
