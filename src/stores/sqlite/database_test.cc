#include "stores/sqlite/database.h"

#include <gmock/gmock.h>

#include <cerrno>

namespace truetape::sqlite {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Errors, AFullDiskAndAFailingOneAreToldApartWhereTheSystemDoes) {
  const auto advice = [](int code, int system_errno) { return std::string{meaning_of(code, system_errno).advice}; };
  EXPECT_THAT(advice(SQLITE_FULL, 0), HasSubstr("full, or the size limit of the store"));
  for (const int code : {SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC, SQLITE_IOERR_TRUNCATE}) {
    EXPECT_THAT(advice(code, ENOSPC), AllOf(HasSubstr("disk is full"), Not(HasSubstr("fail"))));
    EXPECT_EQ(meaning_of(code, ENOSPC).fault, Fault::no_space);
    EXPECT_THAT(advice(code, EDQUOT), HasSubstr("quota"));
    EXPECT_EQ(meaning_of(code, EDQUOT).fault, Fault::no_space);
    EXPECT_THAT(advice(code, EIO), AllOf(HasSubstr("full or failing; free space"), HasSubstr("system's log")));
    EXPECT_EQ(meaning_of(code, EIO).fault, Fault::io);
  }
  EXPECT_THAT(advice(SQLITE_IOERR_READ, EIO), AllOf(HasSubstr("disk fails"), Not(HasSubstr("full"))));
  EXPECT_EQ(meaning_of(SQLITE_IOERR_READ, EIO).fault, Fault::io);
}

}  // namespace
}  // namespace truetape::sqlite
