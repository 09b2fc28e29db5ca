#include "log/lmdb/store.h"

#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "log/lmdb/block.h"
#include "log/lmdb/crc32c.h"

namespace truetape::lmdb {

Error error_of(int code, std::string_view doing, const std::filesystem::path& directory) {
  const std::string where = "the log in " + directory.string();
  const std::string what = std::string{mdb_strerror(code)};
  if (code == MDB_MAP_FULL)
    return {Fault::no_space, Retry::after_backoff,
            "No room while " + std::string{doing} + " " + where +
                ": its map is full; raise log.size, or let readers that hold old "
                "records catch up (truetape import --data DIR --finish)."};
  const auto no_room = [&](std::string_view advice) {
    return Error{Fault::no_space, Retry::after_backoff,
                 "No room while " + std::string{doing} + " " + where + " (" + what + "): " + std::string{advice} +
                     ", it then goes on by itself."};
  };
  if (code == ENOSPC) return no_room("its disk is full; free space on it");
  if (code == EDQUOT) return no_room("your quota of its disk is used up; free space of yours or have the quota raised");
  if (code == EFBIG) return no_room("log.mdb has reached the largest size that the system allows; raise that limit");
  if (code == EIO)
    return {Fault::io, Retry::rebuild,
            "The disk failed while " + std::string{doing} + " " + where + " (" + what +
                "); look at the system's log, then open the log again."};
  if (code == EACCES || code == EPERM || code == EROFS)
    return {Fault::refused, Retry::never,
            "No rights for " + std::string{doing} + " " + where + " (" + what +
                "); run as its owner or change its rights."};
  if (code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND || code == MDB_INVALID || code == MDB_BAD_TXN)
    return {Fault::corrupt, Retry::never,
            "Damage found while " + std::string{doing} + " " + where + " (" + what +
                "); restore the directory from a copy."};
  if (code == MDB_VERSION_MISMATCH)
    return {Fault::mismatch, Retry::never,
            where + " was written by another version of LMDB (" + what + "); use the binary that made it."};
  if (code == MDB_READERS_FULL)
    return {Fault::unavailable, Retry::after_backoff, "Too many readers of " + where + "; close some and try again."};
  return {Fault::io, Retry::rebuild,
          "An error while " + std::string{doing} + " " + where + " (" + what + "); open the log again."};
}

Error write_error_of(int code, std::string_view doing, const std::filesystem::path& directory) {
  if (code != EIO) return error_of(code, doing, directory);
  return {Fault::no_space, Retry::after_backoff,
          "An error while " + std::string{doing} + " the log in " + directory.string() + " (" + mdb_strerror(code) +
              "): its disk is full or failing; free space on it and it goes on, or, if there is space, look at the "
              "system's log and replace the disk."};
}

OffsetKey::OffsetKey(std::int64_t offset) {
  auto rest = static_cast<std::uint64_t>(offset);
  for (int i = 7; i >= 0; --i, rest >>= 8) bytes[i] = static_cast<unsigned char>(rest & 0xff);
}

std::optional<std::int64_t> read_offset(const MDB_val& val) {
  if (val.mv_size != 8) return std::nullopt;
  std::uint64_t out = 0;
  for (const char c : view(val)) out = out << 8 | static_cast<unsigned char>(c);
  if (out > INT64_MAX) return std::nullopt;
  return static_cast<std::int64_t>(out);
}

int put_sealed(MDB_txn* txn, MDB_dbi dbi, std::string_view key, std::string_view value, unsigned flags) {
  MDB_val k = val_of(key);
  MDB_val v{value.size() + kSealBytes, nullptr};
  if (const int rc = mdb_put(txn, dbi, &k, &v, flags | MDB_RESERVE)) return rc;
  const std::uint32_t seal = crc32c(key, crc32c(value));
  char* to = static_cast<char*>(v.mv_data);
  if (!value.empty()) std::memcpy(to, value.data(), value.size());
  std::memcpy(to + value.size(), &seal, kSealBytes);
  return 0;
}

std::optional<std::string_view> Store::unsealed(const MDB_val& key, const MDB_val& value) const {
  if (value.mv_size < kSealBytes || !inside(key) || !inside(value)) return std::nullopt;
  const std::string_view out = view(value).substr(0, value.mv_size - kSealBytes);
  std::uint32_t seal = 0;
  std::memcpy(&seal, out.data() + out.size(), kSealBytes);
  if (seal != crc32c(view(key), crc32c(out))) return std::nullopt;
  return out;
}

std::string partition_key(std::int32_t partition) {
  std::string out(4, '\0');
  for (int i = 3; i >= 0; --i, partition >>= 8) out[static_cast<std::size_t>(i)] = static_cast<char>(partition & 0xff);
  return out;
}

std::string reader_key(std::string_view name, std::string_view topic, std::int32_t partition) {
  std::string out{name};
  out += '\0';
  out += topic;
  out += '\0';
  out += partition_key(partition);
  return out;
}

namespace {

std::optional<ReaderKey> parse_reader_key(std::string_view key) {
  const std::size_t first = key.find('\0');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = key.find('\0', first + 1);
  if (second == std::string_view::npos || key.size() != second + 5) return std::nullopt;
  const auto topic = topic::index(key.substr(first + 1, second - first - 1));
  if (!topic) return std::nullopt;
  std::int32_t partition = 0;
  for (const char c : key.substr(second + 1)) partition = partition << 8 | static_cast<unsigned char>(c);
  return ReaderKey{std::string{key.substr(0, first)}, *topic, partition};
}

}  // namespace

File::~File() {
  if (fd_ >= 0) ::close(fd_);
}

Error Store::bad_partition(std::string_view topic, std::int32_t partition) const {
  return {Fault::out_of_range, Retry::never,
          "There is no partition " + std::to_string(partition) + " of '" + std::string{topic} + "': the log in " +
              directory.string() + " has " + std::to_string(partitions) + "."};
}

Result<BlockHeader> Store::header_of(const MDB_val& value, std::size_t at, std::int64_t first_offset) const {
  return read_block_header(inside(value) ? view(value) : std::string_view{}, names[at], first_offset);
}

Result<Store::Begin> Store::begin_in(MDB_txn* txn, std::size_t at) const {
  if (!begins_dbi) return Begin{};
  MDB_val key = val_of(names[at]), value;
  const int rc = mdb_get(txn, *begins_dbi, &key, &value);
  if (rc == MDB_NOTFOUND) return Begin{};
  if (rc != 0) return tl::unexpected{fail(rc, "reading")};
  const auto bytes = unsealed(key, value);
  const auto offset = bytes && bytes->size() == 16 ? read_offset(val_of(bytes->substr(0, 8))) : std::nullopt;
  const auto from = offset ? read_offset(val_of(bytes->substr(8))) : std::nullopt;
  if (!from)
    return failure(Fault::corrupt, Retry::never,
                   "Where " + names[at] + " in " + directory.string() +
                       " begins cannot be read; restore the directory from a copy.");
  return Begin{*offset, *from};
}

Result<TopicSpan> Store::span_in(MDB_txn* txn, std::size_t at) const {
  if (!blocks[at]) return TopicSpan{0, 0};
  const auto begin = begin_in(txn, at);
  if (!begin) return tl::unexpected{begin.error()};
  MDB_cursor* cursor = nullptr;
  if (const int rc = mdb_cursor_open(txn, *blocks[at], &cursor)) return tl::unexpected{fail(rc, "reading")};
  const std::unique_ptr<MDB_cursor, void (*)(MDB_cursor*)> closer{cursor, mdb_cursor_close};
  MDB_val key, value;
  int rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
  if (rc == MDB_NOTFOUND) return TopicSpan{begin->offset, begin->offset};
  if (rc != 0) return tl::unexpected{fail(rc, "reading")};
  const auto first = read_offset(key);
  rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
  if (rc != 0) return tl::unexpected{fail(rc, "reading")};
  const auto last = read_offset(key);
  if (!first || !last)
    return failure(
        Fault::corrupt, Retry::never,
        "A key of " + names[at] + " in " + directory.string() + " is no offset; restore the directory from a copy.");
  const auto header = header_of(value, at, *last);
  if (!header) return tl::unexpected{header.error()};
  // Blocks of before the last rebuild may still wait for their deletion.
  return TopicSpan{std::max(*first, begin->offset), *last + header->span};
}

Status Store::load(MDB_txn* txn) {
  for (std::size_t i = 0; i < places(); ++i) {
    const auto span = span_in(txn, i);
    if (!span) return tl::unexpected{span.error()};
    oldest[i].store(span->oldest);
    end[i].store(span->end);
    const auto begin = begin_in(txn, i);
    if (!begin) return tl::unexpected{begin.error()};
    since[i].store(begin->first);
    anew[i].store(begin->offset);
  }
  const auto each = [&](MDB_dbi dbi, auto&& take) -> Status {
    MDB_cursor* cursor = nullptr;
    if (const int rc = mdb_cursor_open(txn, dbi, &cursor)) return tl::unexpected{fail(rc, "reading")};
    const std::unique_ptr<MDB_cursor, void (*)(MDB_cursor*)> closer{cursor, mdb_cursor_close};
    MDB_val key, value;
    int rc = 0;
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
      const auto bytes = unsealed(key, value);
      const auto next = bytes ? read_offset(val_of(*bytes)) : std::nullopt;
      if (!next || !take(view(key), *next))
        return failure(Fault::corrupt, Retry::never,
                       "A position in " + directory.string() + " cannot be read; restore the directory from a copy.");
    }
    if (rc != MDB_NOTFOUND) return tl::unexpected{fail(rc, "reading")};
    return {};
  };
  if (Status read = each(committed_dbi,
                         [&](std::string_view key, std::int64_t next) {
                           if (key.size() != 4) return false;
                           std::int32_t p = 0;
                           for (const char c : key) p = p << 8 | static_cast<unsigned char>(c);
                           if (!has(p)) return false;
                           committed[static_cast<std::size_t>(p)].store(next);
                           return true;
                         });
      !read)
    return read;
  const std::lock_guard lock{mutex};
  stored.clear();
  return each(readers_dbi, [&](std::string_view key, std::int64_t next) {
    if (auto at = parse_reader_key(key)) stored.insert_or_assign(std::move(*at), next);
    return true;  // of a topic that a newer binary knows: it stays
  });
}

bool Store::refresh() {
  MDB_envinfo info{};
  mdb_env_info(env, &info);
  {
    const std::lock_guard lock{mutex};
    if (info.me_last_txnid == last_txn) return false;
  }
  Snapshot snapshot;
  if (!snapshot.begin(*this)) return false;  // the look at the records tells why
  if (!load(snapshot.txn())) return true;
  const std::lock_guard lock{mutex};
  last_txn = mdb_txn_id(snapshot.txn());
  ++commits;
  changed.notify_all();
  return true;
}

std::int64_t Store::kept_back(std::size_t topic, std::int32_t partition) const {
  std::int64_t least = topic == kRaw ? committed[static_cast<std::size_t>(partition)].load() : INT64_MAX;
  for (const auto* positions : {&stored, &registering, &said})
    for (const auto& [at, next] : *positions)
      if (std::get<1>(at) == topic && std::get<2>(at) == partition) least = std::min(least, next);
  return least;
}

Snapshot::~Snapshot() {
  if (txn_ != nullptr) mdb_txn_abort(txn_);
}

Status Snapshot::begin(const Store& store) {
  const int rc = txn_ == nullptr ? mdb_txn_begin(store.env, nullptr, MDB_RDONLY, &txn_) : mdb_txn_renew(txn_);
  if (rc != 0) return tl::unexpected{store.fail(rc, "reading")};
  open_ = true;
  struct stat file {};
  if (fstat(store.fd, &file) == 0) store.file_bytes.store(static_cast<std::uint64_t>(file.st_size));
  return {};
}

void Snapshot::end() {
  if (open_) mdb_txn_reset(txn_);
  open_ = false;
}

Result<BlockAt> block_at(const Store& store, std::size_t place, const MDB_val& key, const MDB_val& value) {
  const auto first = read_offset(key);
  if (!first)
    return failure(Fault::corrupt, Retry::never,
                   "A key of " + store.names[place] + " is no offset; restore the log from a copy.");
  const auto header = store.header_of(value, place, *first);
  if (!header) return tl::unexpected{header.error()};
  return BlockAt{*first, *header};
}

Result<bool> find_block(const Store& store, MDB_cursor* cursor, std::size_t place, std::int64_t offset, MDB_val& key,
                        MDB_val& value) {
  OffsetKey wanted{offset};
  key = wanted.val();
  int rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
  if (rc == 0 && read_offset(key) == offset) return true;
  const bool behind_all = rc == MDB_NOTFOUND;
  if (rc != 0 && !behind_all) return tl::unexpected{store.fail(rc, "reading")};
  // The block before may reach up to the offset.
  rc = mdb_cursor_get(cursor, &key, &value, behind_all ? MDB_LAST : MDB_PREV);
  if (rc == MDB_NOTFOUND) {
    if (behind_all) return false;
    rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    if (rc != 0) return tl::unexpected{store.fail(rc, "reading")};
    return true;
  }
  if (rc != 0) return tl::unexpected{store.fail(rc, "reading")};
  const auto block = block_at(store, place, key, value);
  if (!block) return tl::unexpected{block.error()};
  if (block->first + block->header.span > offset) return true;
  if (behind_all) return false;
  rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
  if (rc != 0) return tl::unexpected{store.fail(rc, "reading")};
  return true;
}

}  // namespace truetape::lmdb
