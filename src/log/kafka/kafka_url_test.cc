#include "log/kafka/kafka_url.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace truetape {
namespace {

TEST(KafkaUrl, NamesBrokersAndPrefix) {
  struct Case {
    const char *url, *brokers, *prefix;
  };
  for (const Case& c :
       {Case{"kafka://b1:9092,b2:9093/market", "b1:9092,b2:9093", "market"},
        Case{"kafka://localhost/m.1_x-2", "localhost:9092", "m.1_x-2"},
        Case{"kafka://[::1]:9094,[::2]/m", "[::1]:9094,[::2]:9092", "m"}, Case{"kafka://h:1/m?", "h:1", "m"}}) {
    const auto place = parse_kafka_url(c.url);
    ASSERT_TRUE(place) << c.url << ": " << place.error().detail;
    EXPECT_EQ(place->brokers, c.brokers);
    EXPECT_EQ(place->prefix, c.prefix);
    EXPECT_EQ(place->name(), std::string{"kafka://"} + c.brokers + "/" + c.prefix);
    EXPECT_EQ(place->topic("raw"), std::string{c.prefix} + ".raw");
    EXPECT_TRUE(place->properties.empty());
  }
}

TEST(KafkaUrl, PropertiesAreLibrdkafkasOwn) {
  const auto place = parse_kafka_url(
      "kafka://h/m?security.protocol=SASL_SSL&sasl.username=us%20er&&sasl.password=a%26b%3D&ssl.ca.location=/x/ca.pem");
  ASSERT_TRUE(place) << place.error().detail;
  const std::vector<std::pair<std::string, std::string>> expected{{"security.protocol", "SASL_SSL"},
                                                                  {"sasl.username", "us er"},
                                                                  {"sasl.password", "a&b="},
                                                                  {"ssl.ca.location", "/x/ca.pem"}};
  EXPECT_EQ(place->properties, expected);
  EXPECT_EQ(place->name(), "kafka://h:9092/m");
}

TEST(KafkaUrl, APasswordMayStandInAFile) {
  char directory[] = "/tmp/truetape_url_XXXXXX";
  ASSERT_NE(::mkdtemp(directory), nullptr);
  const std::string file = std::string{directory} + "/password";
  std::ofstream{file} << "se cret\nmore\n";
  const auto place = parse_kafka_url("kafka://h/m?sasl.password.file=" + file);
  ASSERT_TRUE(place) << place.error().detail;
  EXPECT_EQ(place->properties, (std::vector<std::pair<std::string, std::string>>{{"sasl.password", "se cret"}}));
  std::filesystem::remove_all(directory);
  const auto gone = parse_kafka_url("kafka://h/m?sasl.password.file=" + file);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().fault, Fault::not_found);
  EXPECT_NE(gone.error().detail.find(file), std::string::npos);
}

TEST(KafkaUrl, WhatIsWrongIsNamedWithoutASecret) {
  struct Case {
    const char *url, *names;
  };
  for (const Case& c :
       {Case{"market", "kafka://"}, Case{"kafka://h:9092", "prefix"}, Case{"kafka://h:9092/", "prefix"},
        Case{"kafka:///m", "HOST:PORT"}, Case{"kafka://h,/m", "HOST:PORT"}, Case{"kafka://h:0/m", "\"0\""},
        Case{"kafka://h:x/m", "\"x\""}, Case{"kafka://h:65536/m", "65536"}, Case{"kafka://:9092/m", "host"},
        Case{"kafka://u:p@h/m", "HOST:PORT"}, Case{"kafka://h/a/b", "\"a/b\""}, Case{"kafka://h/..", "dots"},
        Case{"kafka://h/m?sasl.password=verysecret&acks=0", "\"acks\""},
        Case{"kafka://h/m?enable.idempotence=false", "enable.idempotence"},
        Case{"kafka://h/m?debug", "\"debug\" has no value"}, Case{"kafka://h/m?debug=%4", "%"}}) {
    const auto place = parse_kafka_url(c.url);
    ASSERT_FALSE(place) << c.url;
    EXPECT_EQ(place.error().fault, Fault::malformed);
    EXPECT_NE(place.error().detail.find(c.names), std::string::npos) << place.error().detail;
    EXPECT_EQ(place.error().detail.find("verysecret"), std::string::npos) << place.error().detail;
  }
}

}  // namespace
}  // namespace truetape
