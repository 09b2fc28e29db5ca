// Bytes and lines of captured files: plain, or packed as gzip, zstd or a zip with one file in it. Streaming, in bounded
// memory. Each object belongs to one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "core/result.h"

namespace truetape {

class FileReader {
 public:
  // not_found, refused, malformed (a zip with more than one file) …: the sentence names the file.
  static Result<FileReader> open(const std::filesystem::path& path);
  FileReader(FileReader&&) noexcept;
  FileReader& operator=(FileReader&&) noexcept;
  ~FileReader();

  // The next bytes; empty: the end. The view lives until the next call. Damage of the packed file is Fault::malformed.
  Result<std::string_view> read();
  // The name without .gz, .zst, .zip; of a zip the name of the file in it: "trades.csv".
  const std::string& inner_name() const { return inner_name_; }
  std::uint64_t position() const;  // bytes read of the file as it lies on disk: for progress

 private:
  struct State;
  explicit FileReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
  std::string inner_name_;
};

struct Line {
  std::string_view text;     // without the line feed, with a carriage return if there is one; lives until the next call
  std::uint64_t number = 0;  // from 1
  std::uint64_t size = 0;    // bytes that the line has; more than text.size(): it was cut
};

// Lines in order. The byte order mark of UTF-8 at the beginning is left out.
class LineReader {
 public:
  // A line of more than `longest` bytes is cut to `cut_to`, so that no line can take all memory.
  LineReader(FileReader& file, std::size_t longest, std::size_t cut_to)
      : file_{file}, longest_{longest}, cut_to_{cut_to} {}
  Result<bool> next(Line& out);  // false: the end

 private:
  FileReader& file_;
  std::size_t longest_, cut_to_;
  std::string_view block_;
  std::string held_;  // the beginning of a line that goes on in the next block
  std::uint64_t number_ = 0;
};

// SHA-256 of the file as it lies on disk, 64 hexadecimal digits.
Result<std::string> sha256_of(const std::filesystem::path& path);

}  // namespace truetape
