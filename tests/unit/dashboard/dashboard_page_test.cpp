#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

namespace choana {
namespace {

std::string page() {
  std::ifstream in(std::string(CHOANA_SOURCE_DIR) + "/node/dashboard/dashboard.html", std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(DashboardPage, LoadsNothingFromElsewhere) {
  const std::string html = page();
  ASSERT_FALSE(html.empty());
  for (const char* forbidden : {"http://", "https://", "src=", "@import", "url(", "integrity="}) EXPECT_EQ(html.find(forbidden), std::string::npos) << forbidden;
}

// A name in a DICOM file must never become markup: text enters as text nodes only.
TEST(DashboardPage, NeverTurnsTextIntoMarkup) {
  const std::string html = page();
  for (const char* forbidden : {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "onclick=", "javascript:"})
    EXPECT_EQ(html.find(forbidden), std::string::npos) << forbidden;
}

TEST(DashboardPage, NamesEveryStateOfAStudy) {
  // DESIGN 5, job states.
  const std::string html = page();
  for (const char* state : {"collecting:", "ready:", "running:", "reporting:", "sending:", "delivered:", "not_analysed:", "failed:", "superseded:"})
    EXPECT_NE(html.find(state), std::string::npos) << state;
}

}  // namespace
}  // namespace choana
