// What `truetape reconcile` found, kept as files in DIR/reconcile for the page (docs/reconcile.md); `data` is DIR. The
// same comparison again takes the place of the one before. Any thread, any process.
#pragma once

#include <filesystem>
#include <vector>

#include "codec/reconciled.h"

namespace truetape::app {

// Whole or not at all, durable.
Status keep_reconciliation(const std::filesystem::path& data, const Reconciliation& result);

// What the files say of the windows in [from, to), in order; the newest result counts for each window. A file that
// cannot be read is told by `trouble` and passed over. No directory: nothing.
std::vector<ReconciledWindow> reconciled_windows(const std::filesystem::path& data, const Instrument& instrument,
                                                 Tape tape, Interval interval, Timestamp from, Timestamp to,
                                                 const std::function<void(const std::string&)>& trouble);

}  // namespace truetape::app
