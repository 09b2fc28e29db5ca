#include "codec/avro_schema.h"

#include <gmock/gmock.h>

#include <set>

#include "codec/schema_testing.h"
#include "codec/wire.h"

namespace truetape::avro {
namespace {

using testing::HasSubstr;

TEST(CanonicalSchema, IsTheParsingCanonicalFormOfTheSpecification) {
  struct Case {
    const char *given, *form;
  };
  for (
      const Case& c : {
          // [PRIMITIVES]
          Case{R"("long")", R"("long")"},
          Case{R"({"type": "long"})", R"("long")"},
          Case{R"({"type": {"type": "long", "doc": "x"}})", R"("long")"},
          Case{R"( [ ] )", "[]"},
          Case{R"([ "null" , {"type":"boolean"} ])", R"(["null","boolean"])"},
          // [FULLNAMES]
          Case{R"({"fields":[], "type":"record", "name":"trade", "namespace":"a.b"})",
               R"({"name":"a.b.trade","type":"record","fields":[]})"},
          Case{R"({"fields":[], "type":"record", "name":"c.trade", "namespace":"a.b"})",
               R"({"name":"c.trade","type":"record","fields":[]})"},
          Case{
              R"({"type":"record","name":"a.Outer","fields":[
                     {"name":"x","type":{"type":"enum","name":"Side","symbols":["buy","sell"]}},
                     {"name":"y","type":["null","Side"]}, {"name":"z","type":"a.Side"}, {"name":"self","type":"Outer"}]})",
              R"({"name":"a.Outer","type":"record","fields":[)"
              R"({"name":"x","type":{"name":"a.Side","type":"enum","symbols":["buy","sell"]}},)"
              R"({"name":"y","type":["null","a.Side"]},{"name":"z","type":"a.Side"},{"name":"self","type":"a.Outer"}]})"},
          // [STRIP], [ORDER], [WHITESPACE]
          Case{R"({"aliases":["old"], "doc":"of \"all\"", "symbols":["A", "B"], "default":"A",
                    "name":"e", "type":"enum"})",
               R"({"name":"e","type":"enum","symbols":["A","B"]})"},
          Case{R"({"type":"record","name":"r","fields":[
                     {"order":"descending","doc":"Hello","type":"int","name":"f","default":1,"aliases":[]}]})",
               R"({"name":"r","type":"record","fields":[{"name":"f","type":"int"}]})"},
          Case{R"({"values":"string","type":"map"})", R"({"type":"map","values":"string"})"},
          Case{R"({"items":{"type":"null"},"type":"array"})", R"({"type":"array","items":"null"})"},
          // [STRINGS]
          Case{"{\"type\":\"enum\",\"name\":\"\\u0065\",\"symbols\":[\"\\u0041\"]}",
               R"({"name":"e","type":"enum","symbols":["A"]})"},
      }) {
    const auto form = canonical_schema(c.given);
    ASSERT_TRUE(form) << c.given << ": " << form.error().detail;
    EXPECT_EQ(*form, c.form);
    EXPECT_EQ(canonical_schema(*form), *form) << "a form is its own form";
  }
}

TEST(CanonicalSchema, KnowsANameWithoutNamespaceInsideOneThatHasIt) {
  const auto form = canonical_schema(R"({"type":"record","name":"a.Outer","fields":[
      {"name":"x","type":{"type":"fixed","name":"Id","namespace":"","size":"008"}}]})");
  ASSERT_TRUE(form) << form.error().detail;
  EXPECT_EQ(*form, R"({"name":"a.Outer","type":"record","fields":[)"
                   R"({"name":"x","type":{"name":"Id","type":"fixed","size":8}}]})");
}

TEST(CanonicalSchema, KeepsLogicalTypesSinceTheyAreOtherValues) {
  struct Case {
    const char *given, *form;
  };
  for (const Case& c : {
           Case{R"({"logicalType":"timestamp-nanos","type":"long"})",
                R"({"type":"long","logicalType":"timestamp-nanos"})"},
           Case{R"({"scale":18,"precision":38,"type":"bytes","logicalType":"decimal"})",
                R"({"type":"bytes","logicalType":"decimal","precision":38,"scale":18})"},
           Case{R"({"precision":38,"type":"bytes","logicalType":"decimal"})",
                R"({"type":"bytes","logicalType":"decimal","precision":38,"scale":0})"},
           Case{R"({"type":"fixed","name":"d","size":16,"logicalType":"decimal","precision":38})",
                R"({"name":"d","type":"fixed","logicalType":"decimal","precision":38,"scale":0,"size":16})"},
       }) {
    const auto form = canonical_schema(c.given);
    ASSERT_TRUE(form) << form.error().detail;
    EXPECT_EQ(*form, c.form);
  }
}

TEST(CanonicalSchema, RefusesWhatIsNoSchemaAndNamesThePlace) {
  struct Case {
    std::string given, why;
  };
  std::string deep = "\"int\"";
  for (int i = 0; i < 100; ++i) deep = R"({"type":"array","items":)" + deep + "}";
  for (const Case& c : {
           Case{"", "no JSON"},
           Case{"{\"type\":", "no JSON"},
           Case{"17", "$ is neither"},
           Case{"{}", "$ has no \"type\""},
           Case{R"("Trade")", "$ names the type \"Trade\""},
           Case{R"({"type":"record","fields":[]})", "$ has no \"name\""},
           Case{R"({"type":"record","name":"r"})", "$ has no \"fields\""},
           Case{R"({"type":"record","name":"r","fields":{}})", "$.fields is no list"},
           Case{R"({"type":"record","name":"r","fields":[{"type":"int"}]})", "$.fields[0] has no \"name\""},
           Case{R"({"type":"record","name":"r","fields":[{"name":"a","type":"int"},{"name":"b"}]})",
                "$.fields[1] has no \"type\""},
           Case{R"({"type":"record","name":"r","fields":[{"name":"a","type":["null",7]}]})",
                "$.fields[0].type[1] is neither"},
           Case{R"({"type":"enum","name":"e","symbols":[1]})", "$.symbols[0] is no text"},
           Case{R"({"type":"fixed","name":"f","size":"1x"})", "$.size is no number"},
           Case{R"({"type":"array"})", "$ has no \"items\""},
           Case{R"([{"type":"enum","name":"e","symbols":[]},{"type":"enum","name":"e","symbols":[]}])",
                "$[1] defines \"e\" again"},
           Case{R"({"type":"bytes","logicalType":"decimal"})", "without \"precision\""},
           Case{deep, "too deeply"},
       }) {
    const auto form = canonical_schema(c.given);
    ASSERT_FALSE(form) << c.given << " became " << *form;
    EXPECT_EQ(form.error().fault, Fault::malformed);
    EXPECT_THAT(form.error().detail, HasSubstr(c.why)) << c.given;
  }
}

TEST(CanonicalSchema, OfOursIsTheSameWithOtherDocsAndDiffersWithEveryOtherChange) {
  std::set<std::string> forms;
  for (const wire::SchemaInfo& schema : wire::schemas()) {
    const auto form = canonical_schema(schema.json);
    ASSERT_TRUE(form) << schema.subject << ": " << form.error().detail;
    EXPECT_TRUE(forms.insert(*form).second) << schema.subject << " is the same as another";
    EXPECT_THAT(*form, testing::Not(HasSubstr("\"doc\"")));
    const std::string text{schema.json};
    EXPECT_EQ(canonical_schema(told_anew(text)), *form);
    for (const auto& [from, to] : {std::pair{"\"string\"", "\"bytes\""},
                                   {"timestamp-nanos", "timestamp-micros"},
                                   {"\"scale\": 18", "\"scale\": 8"},
                                   {"\"name\": \"", "\"name\": \"X"}}) {
      const std::string changed = replaced(text, from, to);
      if (changed == text) continue;
      const auto other = canonical_schema(changed);
      EXPECT_TRUE(!other || *other != *form) << schema.subject << ": " << from << " -> " << to;
    }
  }
}

}  // namespace
}  // namespace truetape::avro
