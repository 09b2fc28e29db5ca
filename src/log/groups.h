// How readers of one name divide the partitions of a topic. Pure bookkeeping, shared by the logs of one process; the
// owner holds its own lock around every call.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace truetape {

// A partition is given to its new member only after the old one has heard of the loss, so never two at once.
class ReaderGroup {
 public:
  using Member = const void*;

  explicit ReaderGroup(std::int32_t partitions) : owner_(static_cast<std::size_t>(partitions), nullptr) {}

  void join(Member member) { members_.push_back(member); }
  void leave(Member member) {
    std::erase(members_, member);
    std::replace(owner_.begin(), owner_.end(), member, Member{nullptr});
  }
  bool empty() const { return members_.empty(); }
  bool owns(Member member, std::int32_t partition) const {
    return owner_[static_cast<std::size_t>(partition)] == member;
  }

  // True if settle() would change anything for this member.
  bool unsettled(Member member) const {
    for (std::size_t p = 0; p < owner_.size(); ++p)
      if ((owner_[p] == member && wanted(p) != member) || (owner_[p] == nullptr && wanted(p) == member)) return true;
    return false;
  }
  // Takes from the member what belongs to another now, and gives it what is free and its own.
  void settle(Member member, std::vector<std::int32_t>& revoked, std::vector<std::int32_t>& assigned) {
    for (std::size_t p = 0; p < owner_.size(); ++p) {
      if (owner_[p] == member && wanted(p) != member) {
        owner_[p] = nullptr;
        revoked.push_back(static_cast<std::int32_t>(p));
      } else if (owner_[p] == nullptr && wanted(p) == member) {
        owner_[p] = member;
        assigned.push_back(static_cast<std::int32_t>(p));
      }
    }
  }

 private:
  // Round robin by the order of joining.
  Member wanted(std::size_t partition) const {
    return members_.empty() ? nullptr : members_[partition % members_.size()];
  }

  std::vector<Member> members_;
  std::vector<Member> owner_;  // by partition; nullptr: nobody's
};

}  // namespace truetape
