#include "core/utf8.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace truetape {
namespace {

std::string made(std::string_view bytes) {
  std::string out;
  append_utf8(bytes, out);
  return out;
}

// The table of well-formed sequences of RFC 3629, section 4, at its ends; alone and behind more than a word of ASCII.
TEST(Utf8, TheEdgesOfTheTable) {
  for (const std::string_view good :
       {std::string_view{"\0", 1}, std::string_view{"\x7f"}, std::string_view{"\xc2\x80"}, std::string_view{"\xdf\xbf"},
        std::string_view{"\xe0\xa0\x80"}, std::string_view{"\xec\xbf\xbf"}, std::string_view{"\xed\x80\x80"},
        std::string_view{"\xed\x9f\xbf"}, std::string_view{"\xee\x80\x80"}, std::string_view{"\xef\xbf\xbf"},
        std::string_view{"\xf0\x90\x80\x80"}, std::string_view{"\xf3\xbf\xbf\xbf"},
        std::string_view{"\xf4\x8f\xbf\xbf"}}) {
    for (const std::string& text : {std::string{good}, "nine bytes" + std::string{good} + "and more"}) {
      EXPECT_TRUE(is_utf8(text)) << text;
      EXPECT_EQ(made(text), text);
    }
  }
}

TEST(Utf8, EachByteOfWhatIsNoneBecomesAReplacement) {
  const std::string r{kReplacement};
  for (const auto& [bad, becomes] :
       std::vector<std::pair<std::string, std::string>>{{"\x80", r},
                                                        {"\xbf", r},
                                                        {"\xc0\x80", r + r},  // an overlong form
                                                        {"\xc1\xbf", r + r},
                                                        {"\xc2", r},  // cut
                                                        {"\xc2\x41", r + "A"},
                                                        {"\xe0\x9f\xbf", r + r + r},  // overlong
                                                        {"\xe1\x80", r + r},
                                                        {"\xed\xa0\x80", r + r + r},  // a surrogate
                                                        {"\xed\xbf\xbf", r + r + r},
                                                        {"\xf0\x8f\xbf\xbf", r + r + r + r},
                                                        {"\xf4\x90\x80\x80", r + r + r + r},  // above U+10FFFF
                                                        {"\xf0\x90\x80", r + r + r},
                                                        {"\xf5", r},
                                                        {"\xff\xfe", r + r}}) {
    for (const std::string& before : {std::string{}, std::string{"nine bytes"}}) {
      EXPECT_FALSE(is_utf8(before + bad)) << becomes;
      EXPECT_EQ(made(before + bad + "z"), before + becomes + "z");
      EXPECT_TRUE(is_utf8(made(before + bad)));
    }
  }
}

}  // namespace
}  // namespace truetape
