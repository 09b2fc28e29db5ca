// How one of our schemas stands in a registry.
#pragma once

#include <string_view>

#include "registry/registry.h"

namespace truetape {

struct Standing {
  enum class Is {
    registered,     // this very text
    but_for_words,  // the latest version means the same bytes; docs, defaults or layout of the text are others
    another,        // the subject is there, but not with this schema
    missing,        // there is no such subject
  };
  Is is = Is::missing;
  Registry::Version version;  // that ours is, or of `another` the latest

  bool ours() const { return is == Is::registered || is == Is::but_for_words; }
};
// Asks only; errors are those of the registry. Blocks as the registry does.
Result<Standing> standing(Registry& registry, std::string_view subject, std::string_view schema);

}  // namespace truetape
