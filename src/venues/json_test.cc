#include "venues/json.h"

#include <gtest/gtest.h>

namespace truetape::json {
namespace {

bool sound(std::string_view text) {
  Reader reader{text};
  Value value;
  if (!reader.value(value)) return false;
  reader.blanks();
  return reader.at_end();
}

TEST(Json, TakesWhatTheStandardTakes) {
  for (const std::string_view text :
       {"0", "-0", "1", "-1.5", "1e5", "1E+5", "1.25e-7", "true", "false", "null", "\"\"",
        R"("\"\\\/\b\f\n\r\t\u20ac\ud83d\ude00")", "[]", "{}", "[[],{}]", R"({"a":{"b":[1,2,{"c":null}]},"d":""})",
        " \t\r\n[ 1 , 2 ] \n", R"({"a":1,"a":2})", "\"\x7f\""})
    EXPECT_TRUE(sound(text)) << text;
}

TEST(Json, RefusesWhatTheStandardRefuses) {
  for (const std::string_view text :
       {"",           " ",         "01",      "-",           "+1",          ".5",          "1.",
        "1e",         "1e+",       "0x1",     "NaN",         "Infinity",    "-Infinity",   "True",
        "nul",        "\"",        "\"\\x\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"",
        "\"\n\"",     "[",         "]",       "[1",          "[1,",         "[1,]",        "[,1]",
        "[1 2]",      "{",         "}",       "{\"a\"",      "{\"a\":",     "{\"a\":1",    "{\"a\":1,",
        "{\"a\":1,}", "{a:1}",     "{1:1}",   "{\"a\" 1}",   "[1}",         "{\"a\":1]",   "1 2",
        "[]]",        "{\"a\":[}", "// x\n1", "'a'"})
    EXPECT_FALSE(sound(text)) << text;
}

TEST(Json, MembersAreFoundByKeyHoweverItIsWritten) {
  Object object;
  Problem problem;
  ASSERT_TRUE(object.read(R"({"p":"1.0","long":7,"\u0071":true,"lo\u006eger":null,"€":[1],"n":-2.5e3})", problem))
      << problem.what;
  EXPECT_EQ(object.get('p').type, Type::string);
  EXPECT_EQ(object.get('p').text, "1.0");
  EXPECT_EQ(object.get("p").text, "1.0");
  EXPECT_EQ(object.get("long").type, Type::integer);
  EXPECT_EQ(object.get('q').type, Type::boolean);
  EXPECT_EQ(object.get("longer").type, Type::null);
  EXPECT_EQ(object.get("€").type, Type::array);
  EXPECT_EQ(object.get("€").text, "[1]");
  EXPECT_EQ(object.get('n').type, Type::number);
  EXPECT_EQ(object.get('z').type, Type::none);
  EXPECT_EQ(object.get("none").type, Type::none);
}

TEST(Json, AKeyThatComesTwiceIsNamed) {
  for (const std::string_view text :
       {R"({"p":1,"p":1})", R"({"p":1,"\u0070":1})", R"({"long":1,"x":2,"lon\u0067":1})"}) {
    Object object;
    Problem problem;
    EXPECT_FALSE(object.read(text, problem)) << text;
    EXPECT_EQ(problem.reason, Reason::duplicate_key) << text;
  }
}

TEST(Json, EscapesAreUndone) {
  EXPECT_EQ(unescape(R"(a\"b\\c\/d\b\f\n\r\t)"), "a\"b\\c/d\b\f\n\r\t");
  EXPECT_EQ(unescape(R"(\u0041\u00e9\u20ac\ud83d\ude00)"), "Aé€😀");
}

TEST(Json, DepthIsBounded) {
  EXPECT_TRUE(sound(std::string(64, '[') + std::string(64, ']')));
  EXPECT_FALSE(sound(std::string(65, '[') + std::string(65, ']')));
}

}  // namespace
}  // namespace truetape::json
