#include "processing/deep_features/pillow_resize.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "core/sha256.h"

namespace choana::processing {
namespace {

std::vector<std::uint8_t> pattern(int columns, int rows) {
  std::vector<std::uint8_t> pixels;
  for (int y = 0; y < rows; ++y)
    for (int x = 0; x < columns; ++x) pixels.push_back(static_cast<std::uint8_t>((x * x * 7 + y * 13 + x * y * 3 + (x * 5) / (y + 1)) % 256));
  return pixels;
}

template <typename Pixel>
std::string digest(const std::vector<Pixel>& pixels) {
  return sha256_hex(std::string_view(reinterpret_cast<const char*>(pixels.data()), pixels.size() * sizeof(Pixel)));
}

struct Case {
  int columns, rows, new_columns, new_rows;
  ResizeFilter filter;
  std::string eight_bits, floats;  // SHA-256 of the pixels that Pillow 13.0.0 (Image.resize, modes L and F) gives for the same pattern
};

TEST(PillowResize, GivesPillowsPixelsToTheLastBit) {
  const Case cases[] = {
      {37, 29, 16, 16, ResizeFilter::bilinear, "ad4914c8b0e64e29b09629c0c641a8c645b031a9f8bd20db6881caa6059a042a", "8bc6cd14f9195977983513a94d635f9e4fe155829c57ea8ab24e382829a4c817"},
      {37, 29, 16, 16, ResizeFilter::bicubic, "53496ba49c84ed467fdbe4eb7630f979118fb7b2b576aeb299bbec63795ee847", "57c291d1ae93c3d8ef204923df4c5c444b955460a53c98d719090fce4d7afcb7"},
      {37, 29, 80, 61, ResizeFilter::bilinear, "652e6ae6dab194cb6a054f535a4f452d805fe35b97831124a5ac0f5bad0e7904", "e0173a0dcb370adda1a10c3465b1ad68050c94600c753fae627689442a9fb28e"},
      {37, 29, 80, 61, ResizeFilter::bicubic, "668d0ff2e2d691f693e810122c9f45b8e3ebad42c32a29d03000e43b6a29743d", "f13e7f33bb1f4ded6dd7d75388526003098f9ac5a72cc45cc13f4fa283419186"},
      {50, 40, 224, 224, ResizeFilter::bilinear, "2a88e7ff3895d9ef479b9c352d46be969877e6c67615faf11dcb5e338329abc3", "b8fef3441801139a2d8be71480bbb353a93910d7064d7d8e89f429a51f3cdcbf"},
      {50, 40, 224, 224, ResizeFilter::bicubic, "eee72a6566d5e83cd9a9952695d1262867bf49ba00428619d858dcdccf3d84eb", "72c58ab80863d1cb96eb033ef31648f30d16660a23a3f1bdfd859c4468405fdb"},
      {300, 200, 224, 224, ResizeFilter::bilinear, "a7e44f04363ea2de9cd9e1073f937fc6d23eee2fbda2761cdfa6bb2e3c8f57b4", "5a5ec0372e7a7d9cf064cbf6ef71a03893d68d720423b4dace55a34e53f808e3"},
      {300, 200, 224, 224, ResizeFilter::bicubic, "62c77756a75c1c973fd4ce8ca28449db9fc2d2a71748e42e1ac890249c10ca8c", "3a03e590736f6f65d8b0d61ab7c9330801ce3292e667209b49d5d1c44e7c57b2"},
      {64, 64, 64, 31, ResizeFilter::bilinear, "89374dc9130e536c1cfd6e4e99a27cf67e9775a5e0efae0921b15558849d70fb", "bcaedce238e6929c84b9bdb8b9230e4fc0bbbe5db9e17ef5d55059d778dd2609"},
      {64, 64, 64, 31, ResizeFilter::bicubic, "38aeb3a94a52bce8a1d3fec33905f541225423fca6a40a5a8bbe8ab2b8506618", "fdd596a2e79317e05b13ed1dc6b7816bd7988b32482e88e22f99e2fd3bfbb224"},
      {13, 7, 5, 7, ResizeFilter::bilinear, "d8e509eb01549481c1143512815403d93987a5c636a9527a6c45986ee6647fa8", "b312f3ca5acfeafb97361a2b29e446ec61b4c393b4f9a7ee38ef210e247e9f9d"},
      {13, 7, 5, 7, ResizeFilter::bicubic, "46203ae7847d064781d42235bc6ca0bcb120acff3817c6a8373296f11ccba557", "84af0d73234ddbdd9f2630457fa76c12247e408715e09cee47845d0540227a9b"},
      {5, 3, 17, 11, ResizeFilter::bilinear, "862cdb9769bd9ae7bd1ca59b4b574bacd6a5590b3f87b6e8466795ab73218681", "c76250d418d96a5a7051054531232e73f5065b96d84dfea5ce246dd07d4cfa27"},
      {5, 3, 17, 11, ResizeFilter::bicubic, "6065845a1cf8f77430f46cb8dff3c32add54802624ca0fbb818c08059a308474", "ec489cdd7408c8f97a6c65e2d04ef4301789844d0893139fe2cdd963f0558770"},
  };
  for (const Case& c : cases) {
    const auto pixels = pattern(c.columns, c.rows);
    std::vector<float> floats;
    for (const std::uint8_t pixel : pixels) floats.push_back(static_cast<float>(pixel) / 7.0F - 11.0F);
    EXPECT_EQ(digest(resize_like_pillow(std::span<const std::uint8_t>(pixels), c.columns, c.rows, c.new_columns, c.new_rows, c.filter)), c.eight_bits)
        << c.columns << " x " << c.rows << " to " << c.new_columns << " x " << c.new_rows;
    EXPECT_EQ(digest(resize_like_pillow(std::span<const float>(floats), c.columns, c.rows, c.new_columns, c.new_rows, c.filter)), c.floats)
        << c.columns << " x " << c.rows << " to " << c.new_columns << " x " << c.new_rows;
  }
}

}  // namespace
}  // namespace choana::processing
