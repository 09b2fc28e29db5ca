#include "log/lmdb/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace truetape::lmdb {
namespace {

constexpr unsigned kMaxReaders = 512;

// What a meta page of LMDB 0.9 says, read without mapping the file.
struct MetaPage {
  std::uint64_t page_bytes, last_page, txn;
};
std::optional<MetaPage> read_meta_page(int fd, off_t at) {
  // 16 bytes of page header; then magic, version (4 each), address, map size (8 each), two tables of 48 bytes whose
  // first begins with the page size, last page and transaction (8 each). Of lmdb's mdb.c, MDB_meta, 64 bit.
  std::array<unsigned char, 16 + 24 + 96 + 16> b{};
  if (pread(fd, b.data(), b.size(), at) != static_cast<ssize_t>(b.size())) return std::nullopt;
  const auto u32 = [&](std::size_t i) {
    std::uint32_t v = 0;
    std::memcpy(&v, b.data() + i, 4);
    return v;
  };
  const auto u64 = [&](std::size_t i) {
    std::uint64_t v = 0;
    std::memcpy(&v, b.data() + i, 8);
    return v;
  };
  if (u32(16) != 0xBEEFC0DE) return std::nullopt;
  return MetaPage{u32(40), u64(136), u64(144)};
}

}  // namespace

Status sync_directory(const std::filesystem::path& directory) {
  const File file{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (file.fd() < 0 || fsync(file.fd()) != 0) return tl::unexpected{write_error_of(errno, "creating", directory)};
  return {};
}

Result<std::size_t> check_file(const std::filesystem::path& directory) {
  const std::string name = (directory / kDataFile).string();
  const File file{::open(name.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd() < 0) return tl::unexpected{error_of(errno, "opening", directory)};
  struct stat info {};
  if (fstat(file.fd(), &info) != 0) return tl::unexpected{error_of(errno, "opening", directory)};
  const auto damaged = [&](std::string_view what) {
    return failure(Fault::corrupt, Retry::never,
                   name + " " + std::string{what} + "; restore it from a copy, or move it away to begin a new log.");
  };
  const auto first = read_meta_page(file.fd(), 0);
  if (!first) return damaged("is not a log, or its first page is damaged");
  const std::uint64_t page = first->page_bytes;
  if (page < 256 || page > 65'536 || (page & (page - 1)) != 0) return damaged("has a damaged first page");
  const auto second = read_meta_page(file.fd(), static_cast<off_t>(page));
  if (!second || second->page_bytes != page) return damaged("has a damaged second page");
  const MetaPage& newest = first->txn > second->txn ? *first : *second;
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (newest.last_page >= (std::uint64_t{1} << 48) / page) return damaged("has a damaged meta page");
  if (size < (newest.last_page + 1) * page)
    return damaged("is cut off: it has " + std::to_string(size) + " bytes and should have at least " +
                   std::to_string((newest.last_page + 1) * page));
  return static_cast<std::size_t>(page);
}

Result<Env> open_env(const std::filesystem::path& directory, const char* file, unsigned tables, std::uint64_t map_bytes,
                     unsigned flags) {
  const std::string name = (directory / file).string();
  // The map is address space only; where a limit forbids so much (ulimit -v), take less.
  for (;; map_bytes /= 2) {
    MDB_env* raw = nullptr;
    if (const int rc = mdb_env_create(&raw)) return tl::unexpected{error_of(rc, "opening", directory)};
    Env env{raw};
    mdb_env_set_maxdbs(raw, tables);
    mdb_env_set_maxreaders(raw, kMaxReaders);
    int rc = mdb_env_set_mapsize(raw, map_bytes);
    // Never MDB_WRITEMAP (SIGBUS when the disk is full), MDB_NOSYNC or MDB_NOMETASYNC (lost commits).
    if (rc == 0) rc = mdb_env_open(raw, name.c_str(), MDB_NOSUBDIR | MDB_NOTLS | flags, kMode);
    if (rc == 0) return env;
    if (rc != ENOMEM || map_bytes < (std::uint64_t{1} << 30)) return tl::unexpected{error_of(rc, "opening", directory)};
  }
}

Result<File> take_writer_lock(const std::filesystem::path& directory) {
  const std::string name = (directory / kWriterLock).string();
  File file{::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kMode)};
  if (file.fd() < 0) return tl::unexpected{error_of(errno, "locking", directory)};
  if (flock(file.fd(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return tl::unexpected{error_of(errno, "locking", directory)};
    std::array<char, 24> who{};
    const ssize_t n = pread(file.fd(), who.data(), who.size() - 1, 0);
    const std::string process =
        n > 0 ? "process " + std::string{who.data(), static_cast<std::size_t>(n)} : "another process";
    return failure(Fault::refused, Retry::after_backoff,
                   "The log in " + directory.string() + " is being written by " + process +
                       "; wait until it has ended, or stop it. Reading needs no waiting.");
  }
  // Who holds it, for the other's message only: no harm if it cannot be written.
  const std::string pid = std::to_string(::getpid());
  if (ftruncate(file.fd(), 0) == 0) {
    [[maybe_unused]] const ssize_t written = pwrite(file.fd(), pid.data(), pid.size(), 0);
  }
  return file;
}

bool is_current(MDB_env* env, const std::filesystem::path& directory) {
  int fd = -1;
  struct stat mine {
  }, there{};
  if (mdb_env_get_fd(env, &fd) != 0 || fstat(fd, &mine) != 0) return true;
  return ::stat((directory / kDataFile).c_str(), &there) != 0 || mine.st_ino == there.st_ino;
}

}  // namespace truetape::lmdb
