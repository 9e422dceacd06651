/// A sender that costs next to nothing: pre-encoded PDUs, stop and wait, one thread an association.
/// `send_raw PORT CALLED_AE ASSOCIATIONS OBJECTS_EACH [OBJECT_BYTES]`: prints instances per second and the median and 99th
/// percentile of the response time in milliseconds.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/data_set_bytes.h"
#include "tests/support/raw_peer.h"

using namespace choana;
using Clock = std::chrono::steady_clock;

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: send_raw PORT CALLED_AE ASSOCIATIONS OBJECTS_EACH [OBJECT_BYTES]\n");
    return 2;
  }
  const int port = std::atoi(argv[1]);
  const std::string called = argv[2];
  const int associations = std::atoi(argv[3]);
  const int objects = std::atoi(argv[4]);
  const auto bytes = static_cast<std::uint32_t>(argc > 5 ? std::atoi(argv[5]) : 131072);
  std::vector<std::vector<double>> times(static_cast<std::size_t>(associations));
  std::vector<int> failures(static_cast<std::size_t>(associations));
  std::vector<std::thread> threads;
  const auto start = Clock::now();
  for (int a = 0; a < associations; ++a) {
    threads.emplace_back([&, a] {
      auto& mine = times[static_cast<std::size_t>(a)];
      auto& failed = failures[static_cast<std::size_t>(a)];
      test::RawPeer peer(port);
      peer.send(encode(test::association_request({{1, "1.2.840.10008.5.1.4.1.1.4", {"1.2.840.10008.1.2.1"}}}, called, "BENCH")));
      const auto answer = peer.receive();
      const auto accept = answer && answer->type == 2 ? scp::decode_associate_accept(answer->body) : Result<scp::AssociateAccept>{};
      if (!answer || answer->type != 2 || !accept) {
        failed = objects;
        return;
      }
      const scp::Bytes pixels(bytes, 7);
      const std::uint32_t maximum = accept->user.maximum_length.value_or(0);
      for (int i = 0; i < objects; ++i) {
        test::InstanceIdentity id;
        id.sop_instance = "1.2.3." + std::to_string(a) + "." + std::to_string(i);
        id.series = "1.2.4." + std::to_string(a);
        auto message = scp::encode_data(1, true, encode(test::store_request(id.sop_class, id.sop_instance)), maximum);
        auto data_set = test::mr_head(id);
        data_set.number(0x00280010, 256).number(0x00280011, 256).head(0x7FE00010, "OW", bytes).raw(pixels);
        const auto data = scp::encode_data(1, false, data_set.bytes(), maximum);
        message.insert(message.end(), data.begin(), data.end());
        const auto begin = Clock::now();
        peer.send(message);
        const auto response = test::receive_command(peer);
        mine.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
        if (!response || response->status != 0) ++failed;
      }
      peer.send(scp::encode_release_request());
      peer.receive();
    });
  }
  for (auto& thread : threads) thread.join();
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  std::vector<double> all;
  int failed = 0;
  for (int a = 0; a < associations; ++a) {
    all.insert(all.end(), times[static_cast<std::size_t>(a)].begin(), times[static_cast<std::size_t>(a)].end());
    failed += failures[static_cast<std::size_t>(a)];
  }
  std::sort(all.begin(), all.end());
  const auto at = [&](double part) { return all.empty() ? 0 : all[static_cast<std::size_t>(part * static_cast<double>(all.size() - 1))]; };
  std::printf("%.0f %.3f %.3f %d\n", static_cast<double>(all.size()) / seconds, at(0.5), at(0.99), failed);
  return failed == 0 ? 0 : 1;
}
