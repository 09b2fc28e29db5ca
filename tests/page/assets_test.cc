// The page as it stands in the binary: all that it asks for is there, and it asks nobody else.
#include "serve/assets.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

namespace truetape {
namespace {

const std::string kWeb = std::string{TRUETAPE_SOURCE_DIR} + "/web/";
const std::string kChart = "/page/lightweight-charts.js";

std::string file(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  EXPECT_TRUE(in) << path;
  return {std::istreambuf_iterator<char>{in}, {}};
}

const Asset* find(std::string_view path) {
  const auto all = page_assets();
  const auto found = std::ranges::find(all, path, &Asset::path);
  return found == all.end() ? nullptr : &*found;
}

TEST(PageAssets, BytesAreThoseOfTheFiles) {
  for (const Asset& asset : page_assets()) {
    std::string source = kWeb + "index.html";
    if (asset.path == kChart)
      source = kWeb + "node_modules/lightweight-charts/dist/lightweight-charts.standalone.production.mjs";
    else if (asset.path != "/")
      source = kWeb + std::string{asset.path.substr(std::string_view{"/page/"}.size())};
    EXPECT_TRUE(asset.bytes == file(source)) << asset.path << " is not " << source;
  }
}

TEST(PageAssets, PathsAreInOrderAndEtagsTellContentsApart) {
  const auto all = page_assets();
  EXPECT_EQ(std::ranges::adjacent_find(all, std::greater_equal{}, &Asset::path), all.end()) << "twice or unsorted";
  std::set<std::string_view> etags;
  for (const Asset& asset : all) {
    EXPECT_TRUE(std::regex_match(std::string{asset.etag}, std::regex{"\"[0-9a-f]{32}\""})) << asset.etag;
    EXPECT_TRUE(etags.insert(asset.etag).second) << asset.path;
  }
}

TEST(PageAssets, TypesAreThoseThatABrowserDemands) {
  for (const auto& [path, type] : {std::pair{"/", "text/html; charset=utf-8"},
                                   {"/page/style.css", "text/css; charset=utf-8"},
                                   {"/page/app.js", "text/javascript; charset=utf-8"},
                                   {"/page/lightweight-charts.js", "text/javascript; charset=utf-8"},
                                   {"/page/icon.svg", "image/svg+xml"}}) {
    const Asset* const asset = find(path);
    ASSERT_NE(asset, nullptr) << path;
    EXPECT_EQ(asset->content_type, type) << path;
  }
}

// A module that is not listed in assets.cmake would be a page that does not start.
TEST(PageAssets, WhateverIsAskedForIsThere) {
  std::size_t asked = 0;
  for (const Asset& asset : page_assets()) {
    if (asset.path == kChart) continue;
    const std::string bytes{asset.bytes};
    const std::regex reference{R"re((?:src|href)="(/page/[^"]*)"|(?:from|import) *"\./([^"]*)")re"};
    for (std::sregex_iterator at{bytes.begin(), bytes.end(), reference}, end; at != end; ++at, ++asked) {
      const std::string path = (*at)[1].matched ? (*at)[1].str() : "/page/" + (*at)[2].str();
      EXPECT_NE(find(path), nullptr) << asset.path << " asks for " << path;
    }
  }
  EXPECT_GT(asked, 20U);
}

TEST(PageAssets, EveryFileOfThePageIsListed) {
  for (const auto& entry : std::filesystem::directory_iterator{kWeb}) {
    const std::string extension = entry.path().extension();
    if (extension != ".js" && extension != ".css" && extension != ".svg") continue;
    EXPECT_NE(find("/page/" + entry.path().filename().string()), nullptr) << entry.path() << " is not in assets.cmake";
  }
}

TEST(PageAssets, NothingComesFromAnotherHost) {
  for (const Asset& asset : page_assets()) {
    if (asset.path == kChart) continue;
    std::string bytes{asset.bytes};
    // Names that are no requests: the attribution that the chart library's licence asks for, and SVG's own name.
    for (const std::string name : {"https://www.tradingview.com/", "http://www.w3.org/2000/svg"})
      for (auto at = bytes.find(name); at != std::string::npos; at = bytes.find(name)) bytes.erase(at, name.size());
    EXPECT_EQ(bytes.find("http://"), std::string::npos) << asset.path;
    EXPECT_EQ(bytes.find("https://"), std::string::npos) << asset.path;
  }
  EXPECT_NE(find("/")->bytes.find("href=\"https://www.tradingview.com/\""), std::string_view::npos);
  EXPECT_EQ(kPagePolicy.find("unsafe"), std::string_view::npos);
  EXPECT_EQ(kPagePolicy.find("default-src 'none'"), 0U);
}

}  // namespace
}  // namespace truetape
