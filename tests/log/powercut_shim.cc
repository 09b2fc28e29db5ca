// A power cut for tests, as a preload library: everything that the program writes below one directory goes where it
// always goes, and a shadow directory receives only what the program has synced, at the moment it syncs. Kill the
// program at any instant: the shadow is what a disk would hold after the power failed. Used for the log (LMDB) and for
// whole data directories (SQLite with WAL too).
//
//   LD_PRELOAD=…/powercut_shim.so TRUETAPE_POWERCUT_DIR=/data TRUETAPE_POWERCUT_SHADOW=/shadow program …
//
//   TRUETAPE_POWERCUT_DIR        absolute path of the directory; without it the shim does nothing
//   TRUETAPE_POWERCUT_SHADOW     absolute path, outside of DIR. If it does not exist it is made as a copy of DIR: what
//   is
//                                there at the start is durable.
//   TRUETAPE_POWERCUT_WRITEBACK  0..100, default 0: so many per cent of the 4 KB pages of each unsynced write reach the
//                                shadow at once, as a kernel may write back whenever it likes (torn files)
//   TRUETAPE_POWERCUT_SEED       of these dice, default 1
//   TRUETAPE_POWERCUT_AT         the program kills itself (SIGKILL) before its n-th operation below DIR, counted from
//   1;
//                                operations are writes, truncations, allocations, syncs, and each 64 KB that a sync
//                                copies
//   TRUETAPE_POWERCUT_FULL       path of a file, outside of DIR. While it exists the disk is full: writes beyond a
//   file's
//                                end and allocations fail with ENOSPC; if the file's first letter is 'w' every write
//                                does, if it is 's' syncs fail with EIO instead (a delayed allocation that failed)
//
// The model: data and size of a file become durable by fsync, fdatasync, O_SYNC or O_DSYNC on it, or msync; a name
// (create, rename, unlink) by fsync of its directory, as POSIX says; a new subdirectory at once. The real sync is left
// out. Not modelled: stdio and C++ streams, memory-mapped writes without msync, two processes that write one file.
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace {

namespace fs = std::filesystem;

template <class F>
F* real(F*, const char* name) {
  return reinterpret_cast<F*>(dlsym(RTLD_NEXT, name));
}
#define REAL(function)                                   \
  ([] {                                                  \
    static auto* const f = real(&::function, #function); \
    return f;                                            \
  }())

constexpr off_t kPage = 4096, kPiece = 65'536;

struct Object {
  std::string shadow;            // where its durable bytes are kept
  std::map<off_t, off_t> dirty;  // begin, end; not overlapping
  void mark(off_t begin, off_t end) {
    auto it = dirty.upper_bound(begin);
    if (it != dirty.begin() && std::prev(it)->second >= begin) --it;
    while (it != dirty.end() && it->first <= end) {
      begin = std::min(begin, it->first);
      end = std::max(end, it->second);
      it = dirty.erase(it);
    }
    dirty[begin] = end;
  }
};

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "powercut shim: %s\n", why.c_str());
  abort();
}

// While the shim itself works, what it calls goes to the real functions.
thread_local bool inside = false;
struct Inside {
  Inside() { inside = true; }
  ~Inside() { inside = false; }
};

class Shim {
 public:
  // nullptr: not wanted, or the shim's own call.
  static Shim* active() {
    if (inside) return nullptr;
    const Inside now;
    static Shim* const shim = new Shim;  // never destroyed: others write until the very end
    return shim->directory_.empty() ? nullptr : shim;
  }

  // After the program opened a file for writing. `fresh`: it did not exist before.
  void opened(int fd, bool fresh) {
    const Inside now;
    const std::lock_guard lock{mutex_};
    const auto key = key_of(fd);
    const std::string path = path_of(fd);
    if (!key || !below(path)) return;
    if (fresh) {
      objects_[*key] = {};
      objects_[*key].shadow = shadow_ + "/.unnamed-" + std::to_string(getpid()) + "-" + std::to_string(++serial_);
    } else if (!objects_.contains(*key)) {
      objects_[*key].shadow = shadow_ + path.substr(directory_.size());
    }
  }
  static bool exists(int at, const char* path) {
    struct stat info {};
    return fstatat(at, path, &info, 0) == 0;
  }

  template <class Write>
  ssize_t write(int fd, off_t at, std::size_t size, Write real_write) {
    const Inside now;
    std::unique_lock lock{mutex_};
    Object* object = object_of(fd);
    if (object == nullptr) {
      lock.unlock();  // a full pipe waits for another thread, which may be writing a file
      return real_write();
    }
    const int flags = fcntl(fd, F_GETFL);
    const off_t before = size_of(fd);
    if (at < 0) at = (flags & O_APPEND) != 0 ? before : lseek(fd, 0, SEEK_CUR);
    operation();
    const char full = full_now();
    if (full == 'w' || (full == 'g' && at + static_cast<off_t>(size) > before)) {
      errno = ENOSPC;
      return -1;
    }
    const ssize_t n = real_write();
    if (n <= 0) return n;
    if ((flags & (O_DSYNC | O_SYNC)) != 0) {
      object->mark(at, at + n);
      sync(fd, *object);
      return n;
    }
    // Page by page: written back at once, or waiting for a sync.
    object->mark(at, at + n);
    for (off_t p = at; writeback_ > 0 && p < at + n; p = (p / kPage + 1) * kPage)
      if (static_cast<int>(random_() % 100) < writeback_)
        copy(fd, *object, p, std::min(at + n, (p / kPage + 1) * kPage));
    return n;
  }
  template <class Change>
  int change(int fd, bool grows, Change real_change, int full_answer) {
    const Inside now;
    const std::lock_guard lock{mutex_};
    if (object_of(fd) == nullptr) return real_change();
    operation();
    if (grows && full_now() != 0 && full_now() != 's') {
      errno = ENOSPC;
      return full_answer;
    }
    return real_change();
  }
  // False: not ours.
  bool synced(int fd, int& answer) {
    const Inside now;
    const std::lock_guard lock{mutex_};
    struct stat info {};
    if (fstat(fd, &info) != 0) return false;
    const std::string path = path_of(fd);
    if (S_ISDIR(info.st_mode) && below(path)) {
      operation();
      sync_names(path);
      answer = 0;
      return true;
    }
    Object* object = object_of(fd);
    if (object == nullptr) return false;
    operation();
    answer = 0;
    if (full_now() == 's') {
      errno = EIO;
      answer = -1;
      return true;
    }
    sync(fd, *object);
    return true;
  }
  void synced_memory(void* address, std::size_t length);

 private:
  using Key = std::pair<dev_t, ino_t>;

  Shim() {
    const char* directory = std::getenv("TRUETAPE_POWERCUT_DIR");
    const char* shadow = std::getenv("TRUETAPE_POWERCUT_SHADOW");
    if (directory == nullptr || shadow == nullptr) return;
    fs::create_directories(directory);
    directory_ = fs::canonical(directory).string();
    shadow_ = shadow;
    if (!fs::exists(shadow_)) fs::copy(directory_, shadow_, fs::copy_options::recursive);
    writeback_ = number("TRUETAPE_POWERCUT_WRITEBACK", 0);
    random_.seed(static_cast<unsigned>(number("TRUETAPE_POWERCUT_SEED", 1)));
    at_ = number("TRUETAPE_POWERCUT_AT", 0);
    if (const char* full = std::getenv("TRUETAPE_POWERCUT_FULL")) full_ = full;
  }
  static int number(const char* name, int otherwise) {
    const char* text = std::getenv(name);
    return text != nullptr ? std::atoi(text) : otherwise;
  }
  static std::optional<Key> key_of(int fd) {
    struct stat info {};
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
    return Key{info.st_dev, info.st_ino};
  }
  static std::string path_of(int fd) {
    char link[64], path[PATH_MAX];
    std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t n = readlink(link, path, sizeof path);
    return n > 0 ? std::string(path, static_cast<std::size_t>(n)) : std::string{};
  }
  static off_t size_of(int fd) {
    struct stat info {};
    return fstat(fd, &info) == 0 ? info.st_size : 0;
  }
  bool below(const std::string& path) const {
    return path.size() >= directory_.size() && path.compare(0, directory_.size(), directory_) == 0 &&
           (path.size() == directory_.size() || path[directory_.size()] == '/');
  }
  Object* object_of(int fd) {
    const auto key = key_of(fd);
    if (!key) return nullptr;
    const auto found = objects_.find(*key);
    return found == objects_.end() ? nullptr : &found->second;
  }
  void operation() {
    if (++operations_ == at_) {
      kill(getpid(), SIGKILL);
      pause();
    }
  }
  // 0: there is room; g: files cannot grow; w: nothing can be written; s: syncs fail.
  char full_now() const {
    if (full_.empty()) return 0;
    const int fd = REAL(open)(full_.c_str(), O_RDONLY);
    if (fd < 0) return 0;
    char what = 'g';
    if (read(fd, &what, 1) != 1 || (what != 'w' && what != 's')) what = 'g';
    close(fd);
    return what;
  }

  static int open_shadow(const Object& object) {
    fs::create_directories(fs::path{object.shadow}.parent_path());
    const int fd = REAL(open)(object.shadow.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) give_up("cannot write " + object.shadow);
    return fd;
  }
  static void copy(int fd, const Object& object, off_t begin, off_t end) {
    const int from = REAL(open)(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDONLY | O_CLOEXEC);
    const int to = open_shadow(object);
    if (from < 0) give_up("cannot read again what was written to " + object.shadow);
    std::vector<char> piece(static_cast<std::size_t>(end - begin));
    const ssize_t n = pread(from, piece.data(), piece.size(), begin);
    if (n > 0 && REAL(pwrite)(to, piece.data(), static_cast<std::size_t>(n), begin) != n)
      give_up("cannot write " + object.shadow);
    close(from);
    close(to);
  }
  void sync(int fd, Object& object) {
    const int to = open_shadow(object);
    const off_t size = size_of(fd);
    if (REAL(ftruncate)(to, size) != 0) give_up("cannot resize " + object.shadow);
    close(to);
    for (const auto& [begin, end] : object.dirty)
      for (off_t p = begin; p < std::min(end, size); p += kPiece) {
        if (p > begin) operation();
        copy(fd, object, p, std::min({end, size, p + kPiece}));
      }
    object.dirty.clear();
  }
  // The directory's names become durable: the shadow's are made equal.
  void sync_names(const std::string& directory) {
    const std::string shadow = shadow_ + directory.substr(directory_.size());
    fs::create_directories(shadow);
    for (const auto& entry : fs::directory_iterator{directory}) {
      struct stat info {};
      if (stat(entry.path().c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
      const std::string name = shadow + "/" + entry.path().filename().string();
      const auto found = objects_.find({info.st_dev, info.st_ino});
      if (found != objects_.end() && found->second.shadow != name) {
        if (!fs::exists(found->second.shadow)) close(open_shadow(found->second));
        fs::rename(found->second.shadow, name);
        found->second.shadow = name;
      } else if (!fs::exists(name)) {
        close(open_shadow({name, {}}));
      }
    }
    std::vector<fs::path> gone;
    for (const auto& entry : fs::directory_iterator{shadow}) {
      const std::string name = entry.path().filename().string();
      if (entry.is_regular_file() && name.rfind(".unnamed-", 0) != 0 && !fs::exists(directory + "/" + name))
        gone.push_back(entry.path());
    }
    for (const fs::path& path : gone) fs::remove(path);
  }

  std::mutex mutex_;
  std::string directory_, shadow_, full_;
  int writeback_ = 0;
  std::mt19937 random_;
  std::int64_t at_ = 0, operations_ = 0;
  int serial_ = 0;
  std::map<Key, Object> objects_;
};

// Finds the file behind the mapping; marks and syncs it.
void Shim::synced_memory(void* address, std::size_t length) {
  const Inside now;
  FILE* maps = std::fopen("/proc/self/maps", "r");
  if (maps == nullptr) return;
  char line[PATH_MAX + 128];
  while (std::fgets(line, sizeof line, maps) != nullptr) {
    unsigned long begin = 0, end = 0, offset = 0;
    int name = 0;
    if (std::sscanf(line, "%lx-%lx %*s %lx %*s %*s %n", &begin, &end, &offset, &name) < 3 || name == 0) continue;
    const auto at = reinterpret_cast<unsigned long>(address);
    if (at < begin || at >= end) continue;
    std::string path{line + name};
    if (!path.empty() && path.back() == '\n') path.pop_back();
    const int fd = REAL(open)(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
      const std::lock_guard lock{mutex_};
      if (Object* object = object_of(fd)) {
        operation();
        const auto from = static_cast<off_t>(at - begin + offset);
        object->mark(from, from + static_cast<off_t>(length));
        sync(fd, *object);
      }
      close(fd);
    }
    break;
  }
  std::fclose(maps);
}

constexpr bool writes(int flags) { return (flags & O_ACCMODE) != O_RDONLY; }

template <class Open>
int open_file(int at, const char* path, int flags, Open real_open) {
  Shim* const shim = writes(flags) ? Shim::active() : nullptr;
  if (shim == nullptr) return real_open();
  const bool fresh = !Shim::exists(at, path);
  const int fd = real_open();
  const int error = errno;
  if (fd >= 0) shim->opened(fd, fresh);
  errno = error;
  return fd;
}

std::size_t total(const iovec* parts, int count) {
  std::size_t out = 0;
  for (int i = 0; i < count; ++i) out += parts[i].iov_len;
  return out;
}

template <class Sync>
int sync_file(int fd, Sync real_sync) {
  Shim* const shim = Shim::active();
  int answer = 0;
  if (shim != nullptr && shim->synced(fd, answer)) return answer;
  return real_sync();
}

}  // namespace

extern "C" {

#define MODE_OF(flags)                                  \
  mode_t mode = 0;                                      \
  if (((flags) & (O_CREAT | O_TMPFILE)) != 0) {         \
    va_list arguments;                                  \
    va_start(arguments, flags);                         \
    mode = static_cast<mode_t>(va_arg(arguments, int)); \
    va_end(arguments);                                  \
  }

int open(const char* path, int flags, ...) {
  MODE_OF(flags)
  return open_file(AT_FDCWD, path, flags, [&] { return REAL(open)(path, flags, mode); });
}
int open64(const char* path, int flags, ...) {
  MODE_OF(flags)
  return open_file(AT_FDCWD, path, flags, [&] { return REAL(open64)(path, flags, mode); });
}
int __open_2(const char* path, int flags) {
  return open_file(AT_FDCWD, path, flags, [&] { return REAL(open)(path, flags, 0); });
}
int __open64_2(const char* path, int flags) {
  return open_file(AT_FDCWD, path, flags, [&] { return REAL(open64)(path, flags, 0); });
}
int openat(int at, const char* path, int flags, ...) {
  MODE_OF(flags)
  return open_file(at, path, flags, [&] { return REAL(openat)(at, path, flags, mode); });
}
int openat64(int at, const char* path, int flags, ...) {
  MODE_OF(flags)
  return open_file(at, path, flags, [&] { return REAL(openat64)(at, path, flags, mode); });
}
int creat(const char* path, mode_t mode) {
  return open_file(AT_FDCWD, path, O_WRONLY, [&] { return REAL(creat)(path, mode); });
}

#define IF_ACTIVE(call, otherwise)       \
  Shim* const shim = Shim::active();     \
  if (shim == nullptr) return otherwise; \
  return call

ssize_t write(int fd, const void* data, size_t size) {
  IF_ACTIVE(shim->write(fd, -1, size, [&] { return REAL(write)(fd, data, size); }), REAL(write)(fd, data, size));
}
ssize_t pwrite(int fd, const void* data, size_t size, off_t at) {
  IF_ACTIVE(shim->write(fd, at, size, [&] { return REAL(pwrite)(fd, data, size, at); }),
            REAL(pwrite)(fd, data, size, at));
}
ssize_t pwrite64(int fd, const void* data, size_t size, off64_t at) {
  IF_ACTIVE(shim->write(fd, at, size, [&] { return REAL(pwrite64)(fd, data, size, at); }),
            REAL(pwrite64)(fd, data, size, at));
}
ssize_t writev(int fd, const iovec* parts, int count) {
  IF_ACTIVE(shim->write(fd, -1, total(parts, count), [&] { return REAL(writev)(fd, parts, count); }),
            REAL(writev)(fd, parts, count));
}
ssize_t pwritev(int fd, const iovec* parts, int count, off_t at) {
  IF_ACTIVE(shim->write(fd, at, total(parts, count), [&] { return REAL(pwritev)(fd, parts, count, at); }),
            REAL(pwritev)(fd, parts, count, at));
}
ssize_t pwritev64(int fd, const iovec* parts, int count, off64_t at) {
  IF_ACTIVE(shim->write(fd, at, total(parts, count), [&] { return REAL(pwritev64)(fd, parts, count, at); }),
            REAL(pwritev64)(fd, parts, count, at));
}
int ftruncate(int fd, off_t size) noexcept {
  IF_ACTIVE(shim->change(
                fd, false, [&] { return REAL(ftruncate)(fd, size); }, -1),
            REAL(ftruncate)(fd, size));
}
int ftruncate64(int fd, off64_t size) noexcept {
  IF_ACTIVE(shim->change(
                fd, false, [&] { return REAL(ftruncate64)(fd, size); }, -1),
            REAL(ftruncate64)(fd, size));
}
int fallocate(int fd, int mode, off_t at, off_t size) {
  IF_ACTIVE(shim->change(
                fd, true, [&] { return REAL(fallocate)(fd, mode, at, size); }, -1),
            REAL(fallocate)(fd, mode, at, size));
}
int fallocate64(int fd, int mode, off64_t at, off64_t size) {
  IF_ACTIVE(shim->change(
                fd, true, [&] { return REAL(fallocate64)(fd, mode, at, size); }, -1),
            REAL(fallocate64)(fd, mode, at, size));
}
int posix_fallocate(int fd, off_t at, off_t size) {
  IF_ACTIVE(shim->change(
                fd, true, [&] { return REAL(posix_fallocate)(fd, at, size); }, ENOSPC),
            REAL(posix_fallocate)(fd, at, size));
}
int posix_fallocate64(int fd, off64_t at, off64_t size) {
  IF_ACTIVE(shim->change(
                fd, true, [&] { return REAL(posix_fallocate64)(fd, at, size); }, ENOSPC),
            REAL(posix_fallocate64)(fd, at, size));
}
int fsync(int fd) {
  return sync_file(fd, [&] { return REAL(fsync)(fd); });
}
int fdatasync(int fd) {
  return sync_file(fd, [&] { return REAL(fdatasync)(fd); });
}
int msync(void* address, size_t length, int flags) {
  const int answer = REAL(msync)(address, length, flags);
  Shim* const shim = Shim::active();
  if (answer == 0 && shim != nullptr && (flags & MS_SYNC) != 0) shim->synced_memory(address, length);
  return answer;
}

}  // extern "C"
