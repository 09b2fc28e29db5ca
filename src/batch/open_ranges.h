// Which files are being imported: their ranges are announced in `raw` by `begin` and stay open until `end`. An import
// that is killed cannot end its own, and a range that stays open keeps holes from being named. So each file is noted
// in the topic `control` before its range begins and after it has ended, and the next import, of whatever files, ends
// what it finds left over. One process imports at a time, so nothing that is open at the start is still at work.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/instrument.h"
#include "core/result.h"
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

}  // namespace truetape
