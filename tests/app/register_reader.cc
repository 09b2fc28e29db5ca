// register_reader DIR NAME: a reader of raw that registers in the log in DIR and never comes back, for readers_test.py.
#include <cstdio>

#include "log/lmdb/lmdb_log.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto log = truetape::open_lmdb_log(argv[1], {});
  if (!log) return std::fprintf(stderr, "%s\n", log.error().detail.c_str()), 1;
  const auto reader = (*log)->reader(truetape::topic::raw, argv[2], truetape::Share::all);
  if (!reader) return std::fprintf(stderr, "%s\n", reader.error().detail.c_str()), 1;
  return 0;
}
