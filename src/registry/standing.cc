#include "registry/standing.h"

#include "codec/avro_schema.h"

namespace truetape {

Result<Standing> standing(Registry& registry, std::string_view subject, std::string_view schema) {
  using enum Standing::Is;
  auto looked_up = registry.look_up(subject, schema);
  if (!looked_up) return tl::unexpected{looked_up.error()};
  if (looked_up->found) return Standing{.is = registered, .version = std::move(*looked_up->found)};
  if (!looked_up->subject) return Standing{};
  auto latest = registry.latest(subject);
  if (!latest) return tl::unexpected{latest.error()};
  if (!*latest) return Standing{};
  const auto theirs = avro::canonical_schema((*latest)->schema), ours = avro::canonical_schema(schema);
  const bool same = theirs && ours && *theirs == *ours;
  return Standing{.is = same ? but_for_words : another, .version = std::move(**latest)};
}

}  // namespace truetape
