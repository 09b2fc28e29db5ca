#include "roles/attempts.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>

namespace truetape {
namespace {

constexpr std::size_t kBytes = 4096;
constexpr std::uint64_t kMagic = 0x31'74'70'6d'74'74'61'70;  // "pattmpt1"
enum Phase : std::uint32_t { kIdle, kRecord, kFinish };
// Of whom to be careful: nobody, everybody (all that an older version knew), or partition n as n + 2.
constexpr std::uint32_t kNobody = 0, kEverybody = 1;
constexpr std::uint32_t careful_of(std::int32_t partition) { return static_cast<std::uint32_t>(partition) + 2; }
constexpr std::size_t kMostLeft = 100;

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
  // What follows is 0 in a file of an older version, which leaves it as it is.
  std::uint32_t finishing;  // careful_of() of the batch that is being finished
  std::uint32_t left_count;
  struct Place {
    std::int64_t offset;
    std::int32_t partition;
  };
  std::array<Place, kMostLeft> left;  // records that were deadly before the suspect came, and are not committed yet

  void leave(std::int32_t of, std::int64_t at) {
    if (left_count >= kMostLeft) {  // the oldest goes
      std::ranges::rotate(left, left.begin() + 1);
      left_count = kMostLeft - 1;
    }
    left[left_count] = {at, of};
    ++left_count;
  }
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
  static_assert(sizeof(Page) <= kBytes);
  if (page->left_count > kMostLeft) page->left_count = 0;  // a power cut may leave anything
  const std::uint32_t phase = page->phase.load();
  if (phase == kRecord) {
    const bool again =
        page->suspect_ends != 0 && page->suspect_partition == page->partition && page->suspect_offset == page->offset;
    // A step may hold more than one such record: the one before is not tried again.
    if (!again && page->suspect_ends >= kLimit) page->leave(page->suspect_partition, page->suspect_offset);
    page->suspect_ends = again ? page->suspect_ends + 1 : 1;
    page->suspect_partition = page->partition;
    page->suspect_offset = page->offset;
  } else if (page->suspect_ends < kLimit) {
    page->suspect_ends = 0;
  }
  if (phase == kFinish) {
    const bool others = page->careful != 0 && page->careful != page->finishing;  // two partitions take turns in it
    page->careful = page->finishing == 0 || others ? kEverybody : page->finishing;
  }
  page->finishing = 0;
  page->phase.store(kIdle);
  return std::unique_ptr<Attempts>{new Attempts{page}};
}

Attempts::~Attempts() { ::munmap(page_, kBytes); }

bool Attempts::is_deadly(std::int32_t partition, std::int64_t offset) const {
  if (page_->suspect_ends >= kLimit && page_->suspect_partition == partition && page_->suspect_offset == offset)
    return true;
  return std::ranges::any_of(
      page_->left.begin(), page_->left.begin() + page_->left_count,
      [&](const Page::Place& left) { return left.partition == partition && left.offset == offset; });
}

bool Attempts::careful(std::int32_t partition) const {
  return page_->careful == kEverybody || page_->careful == careful_of(partition);
}

void Attempts::begin(std::int32_t partition, std::int64_t offset) {
  page_->partition = partition;
  page_->offset = offset;
  page_->phase.store(kRecord, std::memory_order_release);
}

void Attempts::begin_finish(std::int32_t partition) {
  page_->finishing = careful_of(partition);
  page_->phase.store(kFinish, std::memory_order_release);
}

void Attempts::end() { page_->phase.store(kIdle, std::memory_order_release); }

void Attempts::committed(std::int32_t partition, std::int64_t next) {
  if (careful(partition)) page_->careful = kNobody;
  if (page_->suspect_partition == partition && page_->suspect_offset < next) page_->suspect_ends = 0;
  const auto end =
      std::remove_if(page_->left.begin(), page_->left.begin() + page_->left_count,
                     [&](const Page::Place& left) { return left.partition == partition && left.offset < next; });
  page_->left_count = static_cast<std::uint32_t>(end - page_->left.begin());
}

}  // namespace truetape
