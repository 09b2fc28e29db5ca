#include "roles/attempts.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

namespace truetape {
namespace {

constexpr std::size_t kBytes = 4096;
constexpr std::uint64_t kMagic = 0x31'74'70'6d'74'74'61'70;  // "pattmpt1"
enum Phase : std::uint32_t { kIdle, kRecord, kFinish };

}  // namespace

// Lies in the mapping. Phase is written last on the way in and first on the way out.
struct Attempts::Page {
  std::uint64_t magic;
  std::atomic<std::uint32_t> phase;
  std::int32_t partition;
  std::int64_t offset;
  std::int64_t suspect_offset;
  std::int32_t suspect_partition;
  std::uint32_t suspect_ends;
  std::uint32_t careful;
};

Result<std::unique_ptr<Attempts>> Attempts::open(const std::filesystem::path& file) {
  const auto fail = [&file](std::string_view doing) {
    const int code = errno;
    return failure(code == ENOSPC || code == EDQUOT ? Fault::no_space : Fault::io,
                   code == ENOSPC || code == EDQUOT ? Retry::after_backoff : Retry::never,
                   file.string() + ": " + std::string{doing} + " failed (" + std::strerror(code) +
                       "); check that the directory is writable and has room");
  };
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return fail("opening");
  // Allocated for good, so that writing to the mapping never finds a full disk.
  if (const int code = ::posix_fallocate(fd, 0, kBytes); code != 0) {
    errno = code;
    auto failed = fail("allocating");
    ::close(fd);
    return failed;
  }
  void* memory = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) {
    auto failed = fail("mapping");
    ::close(fd);
    return failed;
  }
  ::close(fd);
  Page* page = static_cast<Page*>(memory);
  if (page->magic != kMagic) {
    std::memset(memory, 0, sizeof(Page));
    page->magic = kMagic;
  }
  const std::uint32_t phase = page->phase.load();
  if (phase == kRecord) {
    const bool again =
        page->suspect_ends != 0 && page->suspect_partition == page->partition && page->suspect_offset == page->offset;
    page->suspect_ends = again ? page->suspect_ends + 1 : 1;
    page->suspect_partition = page->partition;
    page->suspect_offset = page->offset;
  } else if (page->suspect_ends < kLimit) {
    page->suspect_ends = 0;
  }
  if (phase == kFinish) page->careful = 1;
  page->phase.store(kIdle);
  return std::unique_ptr<Attempts>{new Attempts{page}};
}

Attempts::~Attempts() { ::munmap(page_, kBytes); }

bool Attempts::is_deadly(std::int32_t partition, std::int64_t offset) const {
  return page_->suspect_ends >= kLimit && page_->suspect_partition == partition && page_->suspect_offset == offset;
}

bool Attempts::careful() const { return page_->careful != 0; }

void Attempts::begin(std::int32_t partition, std::int64_t offset) {
  page_->partition = partition;
  page_->offset = offset;
  page_->phase.store(kRecord, std::memory_order_release);
}

void Attempts::begin_finish() { page_->phase.store(kFinish, std::memory_order_release); }

void Attempts::end() { page_->phase.store(kIdle, std::memory_order_release); }

void Attempts::committed() {
  page_->careful = 0;
  page_->suspect_ends = 0;
}

}  // namespace truetape
