// Looking up records by their keys (log/search.h). Internal to log/lmdb.
#pragma once

#include "log/lmdb/store.h"
#include "log/search.h"

namespace truetape::lmdb {

Result<std::int64_t> find_records(const Store& store, std::size_t topic, std::int32_t partition, std::int64_t from,
                                  std::int64_t to, const LogSearch::Wanted& wanted, const LogSearch::Found& found,
                                  SearchAllowance& allowance);
Result<std::int64_t> first_appended_from(const Store& store, std::size_t topic, std::int32_t partition, Timestamp time);

}  // namespace truetape::lmdb
