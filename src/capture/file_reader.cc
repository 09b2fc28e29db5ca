#include "capture/file_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <openssl/evp.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>

namespace truetape {
namespace {

constexpr std::size_t kBlock = 1 << 18;

// Why the operating system will not give the file, or nothing. Directories and devices are refused before libarchive
// speaks of "unrecognized formats".
Status readable(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found)
    return failure(Fault::not_found, Retry::never, path.string() + ": there is no such file");
  if (error) return failure(Fault::refused, Retry::never, path.string() + " cannot be looked at: " + error.message());
  if (status.type() == std::filesystem::file_type::directory)
    return failure(Fault::malformed, Retry::never, path.string() + " is a directory; name the files in it");
  std::FILE* const file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) {
    const int code = errno;
    return failure(code == EACCES ? Fault::refused : Fault::io, Retry::never,
                   path.string() + " cannot be opened: " + std::generic_category().message(code));
  }
  std::fclose(file);
  return {};
}

std::string without_packing(std::string name) {
  for (const std::string_view suffix : {".zst", ".gz", ".zip"})
    if (name.size() > suffix.size() && std::string_view{name}.ends_with(suffix))
      return name.substr(0, name.size() - suffix.size());
  return name;
}

}  // namespace

struct FileReader::State {
  std::filesystem::path path;
  archive* handle = nullptr;
  bool zip = false;
  bool done = false;
  std::array<char, kBlock> buffer;
  ~State() { archive_read_free(handle); }

  auto damaged() const {
    const char* const why = archive_error_string(handle);
    return failure(
        Fault::malformed, Retry::never,
        path.string() + " is damaged or no file that can be unpacked: " + (why == nullptr ? "unknown error" : why));
  }
};

FileReader::FileReader(std::unique_ptr<State> state) : state_{std::move(state)} {}
FileReader::FileReader(FileReader&&) noexcept = default;
FileReader& FileReader::operator=(FileReader&&) noexcept = default;
FileReader::~FileReader() = default;

Result<FileReader> FileReader::open(const std::filesystem::path& path) {
  if (Status ok = readable(path); !ok) return tl::unexpected{ok.error()};
  auto state = std::make_unique<State>();
  state->path = path;
  state->handle = archive_read_new();
  archive* const handle = state->handle;
  archive_read_support_filter_gzip(handle);
  archive_read_support_filter_zstd(handle);
  archive_read_support_format_zip(handle);
  archive_read_support_format_raw(handle);
  archive_read_support_format_empty(handle);
  if (archive_read_open_filename(handle, path.c_str(), kBlock) != ARCHIVE_OK) return state->damaged();
  archive_entry* entry = nullptr;
  const int found = archive_read_next_header(handle, &entry);
  std::string inner = without_packing(path.filename().string());
  if (found == ARCHIVE_EOF) {
    state->done = true;  // an empty file
  } else if (found != ARCHIVE_OK && found != ARCHIVE_WARN) {
    return state->damaged();
  } else if ((archive_format(handle) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_ZIP) {
    state->zip = true;
    if (const char* const name = archive_entry_pathname(entry); name != nullptr) inner = name;
  }
  FileReader reader{std::move(state)};
  reader.inner_name_ = std::move(inner);
  return reader;
}

Result<std::string_view> FileReader::read() {
  if (state_->done) return std::string_view{};
  const la_ssize_t size = archive_read_data(state_->handle, state_->buffer.data(), state_->buffer.size());
  if (size < 0) return state_->damaged();
  if (size > 0) return std::string_view{state_->buffer.data(), static_cast<std::size_t>(size)};
  state_->done = true;
  if (state_->zip) {
    archive_entry* entry = nullptr;
    const int next = archive_read_next_header(state_->handle, &entry);
    if (next == ARCHIVE_OK || next == ARCHIVE_WARN)
      return failure(Fault::malformed, Retry::never,
                     state_->path.string() + " has more than one file in it; unpack it and name them");
    if (next != ARCHIVE_EOF) return state_->damaged();
  }
  return std::string_view{};
}

std::uint64_t FileReader::position() const {
  const auto bytes = archive_filter_bytes(state_->handle, -1);
  return bytes < 0 ? 0 : static_cast<std::uint64_t>(bytes);
}

Result<bool> LineReader::next(Line& out) {
  held_.clear();
  std::uint64_t size = 0;
  for (;;) {
    if (block_.empty()) {
      auto block = file_.read();
      if (!block) return tl::unexpected{block.error()};
      block_ = *block;
      if (number_ == 0 && size == 0 && block_.starts_with("\xEF\xBB\xBF")) block_.remove_prefix(3);
      if (block_.empty()) {
        if (size == 0) return false;
        out = {held_, ++number_, size};
        break;
      }
    }
    const void* const found = std::memchr(block_.data(), '\n', block_.size());
    const std::size_t part =
        found == nullptr ? block_.size() : static_cast<std::size_t>(static_cast<const char*>(found) - block_.data());
    size += part;
    if (found != nullptr && held_.empty() && size == part) {
      out = {block_.substr(0, part), ++number_, size};
      block_.remove_prefix(part + 1);
      break;
    }
    if (held_.size() < longest_) held_.append(block_.substr(0, std::min(part, longest_ + 1 - held_.size())));
    block_.remove_prefix(found == nullptr ? part : part + 1);
    if (found != nullptr) {
      out = {held_, ++number_, size};
      break;
    }
  }
  if (size > longest_) out.text = out.text.substr(0, cut_to_);
  return true;
}

Result<std::string> sha256_of(const std::filesystem::path& path) {
  if (Status ok = readable(path); !ok) return tl::unexpected{ok.error()};
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{std::fopen(path.c_str(), "rb"), &std::fclose};
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
  if (!file || !context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1)
    return failure(Fault::io, Retry::never, path.string() + " cannot be hashed");
  std::array<char, kBlock> buffer;
  for (;;) {
    const std::size_t size = std::fread(buffer.data(), 1, buffer.size(), file.get());
    if (size == 0) break;
    EVP_DigestUpdate(context.get(), buffer.data(), size);
  }
  if (std::ferror(file.get()) != 0)
    return failure(Fault::io, Retry::after_backoff, path.string() + " cannot be read to its end");
  std::array<unsigned char, 32> hash;
  unsigned int length = 0;
  EVP_DigestFinal_ex(context.get(), hash.data(), &length);
  std::string out;
  for (const unsigned char byte : hash) {
    constexpr std::string_view kHex = "0123456789abcdef";
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
  return out;
}

}  // namespace truetape
