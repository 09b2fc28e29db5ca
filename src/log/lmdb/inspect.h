// Looking at the whole log, for `log ls`, `log cat`, `log stats`, `log verify` and `readers ls`. Internal to log/lmdb.
#pragma once

#include "log/lmdb/store.h"

namespace truetape::lmdb {

Result<std::vector<LmdbLog::Place>> list_places(const Store& store);
Status scan_place(const std::shared_ptr<Store>& store, std::size_t topic, std::int32_t partition, std::int64_t from,
                  std::int64_t to, const std::function<bool(const Stored&)>& each);
Result<LmdbLog::Verified> verify_all(const Store& store);
Result<std::optional<std::string>> read_note(const Store& store, std::string_view name);
std::uint64_t measure_used(const Store& store);  // 0 if it cannot be read
Result<LmdbLog::Usage> read_usage(const Store& store);
Result<std::vector<LmdbLog::Hold>> read_holds(const Store& store);
// Why the log is above its size limit: who holds most of it, and what to do. "the reader 'x' holds …".
std::string who_holds(const Store& store);

}  // namespace truetape::lmdb
