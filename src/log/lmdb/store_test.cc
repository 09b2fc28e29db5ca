#include "log/lmdb/store.h"

#include <gtest/gtest.h>

namespace truetape::lmdb {
namespace {

TEST(Store, WhatIsKeptBackIsTheLeastOfAllThatReadersSaid) {
  const std::size_t trades = *topic::index(topic::trades);
  const struct {
    const char* name;
    std::optional<std::int64_t> stored, registering, said;
    std::int64_t kept_back;
  } cases[]{
      {"nobody", {}, {}, {}, INT64_MAX},      {"durable", 20, {}, {}, 20},       {"being registered", {}, 7, {}, 7},
      {"on its way forward", 20, {}, 30, 20}, {"on its way back", 20, {}, 3, 3},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    Store store;
    store.partitions = 1;
    store.committed = std::make_unique<std::atomic<std::int64_t>[]>(1);
    store.committed[0] = 5;
    const ReaderKey key{"reader", trades, 0};
    if (c.stored) store.stored[key] = *c.stored;
    if (c.registering) store.registering[key] = *c.registering;
    if (c.said) store.said[key] = *c.said;
    EXPECT_EQ(store.kept_back(trades, 0), c.kept_back);
    EXPECT_EQ(store.kept_back(kRaw, 0), 5) << "of raw the processing step's own";
  }
}

}  // namespace
}  // namespace truetape::lmdb
