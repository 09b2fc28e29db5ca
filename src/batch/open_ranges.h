// Which files are being imported: their ranges are announced in `raw` by `begin` and stay open until `end`. An import
// that is killed cannot end its own, and a range that stays open keeps holes from being named. So each file is noted
// in the topic `control` before its range begins and after it has ended, and the next import, of whatever files, ends
// what it finds left over. One process imports at a time, so nothing that is open at the start is still at work.
// `truetape backfill --from` announces the time that it fills in the same way; what it left is ended by the next one,
// by the next import, and by the next start of `truetape run`.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/instrument.h"
#include "core/result.h"
#include "core/time.h"
#include "log/log.h"

namespace truetape {

// Of a file with this hash, for this instrument; the same at begin and end, whatever the file is called.
std::string range_name(std::string_view file_hash, const Instrument& instrument);

class OpenRanges {
 public:
  struct File {
    std::string hash, name;  // SHA-256; the path as it was given
    std::vector<Instrument> instruments;
  };
  // The time from `from` on of an instrument that a REST interface is asked for, noted as a file is.
  static File rest(const Instrument& instrument, Timestamp from);
  static bool is_rest(const File& file);

  // Reads what earlier imports left open. `log` is borrowed.
  static Result<OpenRanges> read(Log& log);

  // What to do when the log has no room: success tries again.
  using NoRoom = std::function<Status(const Error&)>;
  // Durable when it returns; call it before the range begins. A file that is open already is taken over.
  Status begin(const File& file, const NoRoom& no_room);
  // After the range's end is durable.
  Status end(const std::string& hash, const NoRoom& no_room);
  // Open since before this object was made, and neither taken over nor ended since.
  std::vector<File> left() const;

 private:
  struct Entry {
    File file;
    bool left;
  };
  explicit OpenRanges(std::unique_ptr<Appender> control) : control_{std::move(control)} {}
  Status note(const File& file, bool open, const NoRoom& no_room);

  std::unique_ptr<Appender> control_;
  std::map<std::string, Entry, std::less<>> open_;  // by hash
};

// Ends what earlier processes left open and `which` chooses: in `raw`, and once that is durable in `control`. Nobody
// may be at work on it. Waits up to `patience` while the log has no room, for each topic. Answers what was ended; after
// an error the rest is still noted for the next one.
Result<std::vector<OpenRanges::File>> end_left(Log& log, Timestamp now, std::chrono::milliseconds patience,
                                               const std::function<bool(const OpenRanges::File&)>& which);

}  // namespace truetape
