// Which record is being worked on, kept where the death of the process does not reach: one page of a shared mapping of
// DIR/process.attempt. The kernel keeps the page when the process is killed or crashes, so a note costs two stores and
// no system call. After a power cut it may be old or empty, which only forgets: power cuts are not the record's fault.
//
// Semantics section 8: a record at which the process ended uncleanly three times in a row is quarantined unprocessed.
// Only ends while that very record was worked on count; any other end in between begins the count anew, and so does a
// commit that has it, but no commit of other partitions or of what comes before it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "core/result.h"

namespace truetape {

class Attempts {
 public:
  static constexpr std::uint32_t kLimit = 3;

  // Opens or makes the file and judges how the process before ended. One process at a time (the log's lock sees to
  // that).
  static Result<std::unique_ptr<Attempts>> open(const std::filesystem::path& file);
  ~Attempts();  // leaves the note as it is: an object that goes while a record is noted counts as an unclean end
  Attempts(const Attempts&) = delete;
  Attempts& operator=(const Attempts&) = delete;

  // True: leave this record alone, it has ended the process kLimit times.
  bool is_deadly(std::int32_t partition, std::int64_t offset) const;
  // The process before died while it finished a batch of this partition, so no single record is known: finish after
  // each of its records until they are committed.
  bool careful(std::int32_t partition) const;

  void begin(std::int32_t partition, std::int64_t offset);  // working on this record
  void begin_finish(std::int32_t partition);                // working on what its batch makes as a whole
  void end();                                               // and done with it
  // All records of the partition below `next` are durable: suspicions of them, and of no other, are settled.
  void committed(std::int32_t partition, std::int64_t next);

 private:
  struct Page;
  explicit Attempts(Page* page) : page_{page} {}
  Page* page_;
};

}  // namespace truetape
