// An ordered set that keeps a sum over every part of its order, so that a question about a range costs the logarithm of
// the size. A treap: what would be its random priorities are hashes of the keys, so equal sets have equal trees.
// Key: operator<, spread() (a number to hash). Sum: constructible from a key, join(sum of what comes after it).
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

namespace truetape::market {

template <class Key, class Sum>
class SumTree {
 public:
  struct Node {
    explicit Node(const Key& k) : key{k}, sum{k} {}
    Key key;
    Sum sum;  // of the whole subtree
    std::unique_ptr<Node> left, right;
  };

  bool empty() const { return !root_; }
  const Node* root() const { return root_.get(); }
  // Adds the key, or puts it in the place of an equal one.
  void put(const Key& key) { put(root_, key); }
  void erase(const Key& key) { erase(root_, key); }
  // Calls `stop(key)` for the keys of the subtrees that `enter(sum)` lets through, the last first, until it is true.
  template <class Enter, class Stop>
  bool any(const Enter& enter, const Stop& stop) const {
    return any(root_.get(), enter, stop);
  }
  // The same, the first first.
  template <class Enter, class Stop>
  bool any_ascending(const Enter& enter, const Stop& stop) const {
    return any_ascending(root_.get(), enter, stop);
  }
  const Key& least() const {  // requires that it is not empty
    const Node* at = root_.get();
    while (at->left) at = at->left.get();
    return at->key;
  }
  // Nodes looked at since the beginning; for tests that hold a bound on the work per item.
  std::uint64_t steps() const { return steps_; }
  void step() const { ++steps_; }

 private:
  using Link = std::unique_ptr<Node>;

  static std::uint64_t priority(const Node& node) {
    std::uint64_t h = node.key.spread() * 0x9e3779b97f4a7c15;
    h = (h ^ h >> 32) * 0xff51afd7ed558ccd;
    return h ^ h >> 29;
  }
  static void renew(Node& at) {
    Sum own{at.key};
    if (!at.left) {
      at.sum = own;
    } else {
      at.sum = at.left->sum;
      at.sum.join(own);
    }
    if (at.right) at.sum.join(at.right->sum);
  }
  void put(Link& at, const Key& key) {
    ++steps_;
    if (!at) {
      at = std::make_unique<Node>(key);
      return;
    }
    if (key < at->key) {
      put(at->left, key);
      if (priority(*at->left) > priority(*at)) turn(at, &Node::left, &Node::right);
    } else if (at->key < key) {
      put(at->right, key);
      if (priority(*at->right) > priority(*at)) turn(at, &Node::right, &Node::left);
    } else {
      at->key = key;
    }
    renew(*at);
  }
  // The child on side `a` comes up.
  static void turn(Link& at, Link Node::*a, Link Node::*b) {
    Link child = std::move((*at).*a);
    (*at).*a = std::move((*child).*b);
    renew(*at);
    (*child).*b = std::move(at);
    at = std::move(child);
  }
  void erase(Link& at, const Key& key) {
    ++steps_;
    if (!at) return;
    if (key < at->key) {
      erase(at->left, key);
    } else if (at->key < key) {
      erase(at->right, key);
    } else {
      at = merged(std::move(at->left), std::move(at->right));
      return;
    }
    renew(*at);
  }
  static Link merged(Link a, Link b) {
    if (!a || !b) return a ? std::move(a) : std::move(b);
    if (priority(*a) > priority(*b)) {
      a->right = merged(std::move(a->right), std::move(b));
      renew(*a);
      return a;
    }
    b->left = merged(std::move(a), std::move(b->left));
    renew(*b);
    return b;
  }
  template <class Enter, class Stop>
  bool any(const Node* at, const Enter& enter, const Stop& stop) const {
    if (!at) return false;
    ++steps_;
    if (!enter(at->sum)) return false;
    return any(at->right.get(), enter, stop) || stop(at->key) || any(at->left.get(), enter, stop);
  }
  template <class Enter, class Stop>
  bool any_ascending(const Node* at, const Enter& enter, const Stop& stop) const {
    if (!at) return false;
    ++steps_;
    if (!enter(at->sum)) return false;
    return any_ascending(at->left.get(), enter, stop) || stop(at->key) || any_ascending(at->right.get(), enter, stop);
  }

  Link root_;
  mutable std::uint64_t steps_ = 0;
};

}  // namespace truetape::market
