// Files as a backup and a restore copy them: at a bounded rate, with their SHA-256, and safe on the disk at the end.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "core/result.h"

namespace truetape::app {

// Bytes a second on the average since it was made.
class Pace {
 public:
  explicit Pace(std::uint64_t bytes_a_second) : rate_{bytes_a_second} {}  // 0: as fast as it goes
  // Sleeps as long as more was copied than the rate allows.
  void copied(std::uint64_t bytes);
  std::uint64_t bytes() const { return bytes_; }

 private:
  const std::uint64_t rate_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::uint64_t bytes_ = 0;
};

struct Copied {
  std::uint64_t bytes = 0;
  std::string sha256;
};
// Everything that `write` puts into the descriptor that it gets, in a thread of its own, into a new file.
Result<Copied> write_file(const std::filesystem::path& to, Pace& pace, const std::function<Status(int fd)>& write);
// A whole file into a new one.
Result<Copied> copy_file(const std::filesystem::path& from, const std::filesystem::path& to, Pace& pace);
// Of a file that is there; it is synced too.
Result<Copied> seal_file(const std::filesystem::path& file);
// A small file, made whole.
Status write_text(const std::filesystem::path& file, std::string_view text);
Status sync_directory(const std::filesystem::path& directory);

// Fault::no_space, with how much is missing, if the disk of `directory` has no room for that many bytes.
Status expect_room(const std::filesystem::path& directory, std::uint64_t bytes);

// Nothing is in it, but for what a file system keeps in its own root.
bool holds_nothing(const std::filesystem::path& directory);

// A directory that is whole under the name `final` or says, by its marker, that it is not. Where there is none it is
// made beside, under the name partial_of(final), and renamed; where there is one that holds nothing (a disk's own root
// cannot be renamed) it is filled. The marker is there before anything else and goes last, so whatever instant a
// process is killed at, the next one removes what was left and begins anew. Removed if it does not come to the end.
// One process at a time.
class PartialDirectory {
 public:
  // `marker`: the file in it that says it is unfinished; `text`: of what. Refused where something else has the name,
  // `final` holds something else, or another process works there.
  static Result<PartialDirectory> make(const std::filesystem::path& final, const char* marker, std::string_view text);
  PartialDirectory(PartialDirectory&& from) noexcept;
  PartialDirectory& operator=(PartialDirectory&&) = delete;
  ~PartialDirectory();

  const std::filesystem::path& path() const { return path_; }
  // What a process that was killed had left; empty: nothing.
  const std::filesystem::path& replaced() const { return replaced_; }
  // All of it is synced by now, but for directories.
  Status finish();

 private:
  PartialDirectory() = default;
  std::filesystem::path path_, final_, replaced_;
  const char* marker_ = nullptr;
  int lock_ = -1;      // of the marker
  bool made_ = false;  // `path_` was not there before
};

}  // namespace truetape::app
