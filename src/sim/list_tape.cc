// What the readers of recordings share.
#include "capture/file_reader.h"
#include "core/digits.h"
#include "sim/tape.h"

namespace truetape::sim {
namespace {

constexpr std::size_t kLongestLine = 8 << 20;

class ListTape final : public Tape {
 public:
  ListTape(Product product, std::vector<Listing> listings, std::vector<TapeEvent> events, std::string description)
      : product_{product},
        listings_{std::move(listings)},
        events_{std::move(events)},
        description_{std::move(description)} {}
  Product product() const override { return product_; }
  const std::vector<Listing>& listings() const override { return listings_; }
  Time begin() const override { return events_.front().at; }
  std::string description() const override { return description_; }
  bool next(TapeEvent& out) override {
    if (at_ == events_.size()) return false;
    out = events_[at_++];
    return true;
  }

 private:
  Product product_;
  std::vector<Listing> listings_;
  std::vector<TapeEvent> events_;
  std::string description_;
  std::size_t at_ = 0;
};

}  // namespace

std::unique_ptr<Tape> make_list_tape(Product product, std::vector<Listing> listings, std::vector<TapeEvent> events,
                                     std::string description) {
  return std::make_unique<ListTape>(product, std::move(listings), std::move(events), std::move(description));
}

Status each_frame(const std::filesystem::path& file, CaptureCounts& counts,
                  const std::function<void(std::string_view frame, std::int64_t received_ns)>& call) {
  auto reader = FileReader::open(file);
  if (!reader) return tl::unexpected{reader.error()};
  LineReader lines{*reader, kLongestLine, 1024};
  Line line;
  auto more = lines.next(line);
  for (; more && *more; more = lines.next(line)) {
    ++counts.lines;
    std::string_view text = line.text;
    std::int64_t received = 0;
    bool good = line.size == text.size();
    if (good && !text.empty() && text.front() >= '0' && text.front() <= '9') {
      const std::size_t blank = std::min(text.find(' '), text.size());
      const auto number = digits::natural(text.substr(0, blank));
      good = number.has_value() && blank < text.size();
      if (good) {
        received = *number;
        text.remove_prefix(blank + 1);
      }
    }
    if (good)
      call(text, received);
    else
      ++counts.unreadable;
  }
  if (!more) return tl::unexpected{more.error()};
  return {};
}

}  // namespace truetape::sim
