#include "dicom-fixtures/synthetic/plane_section.h"

#include <cmath>
#include <map>
#include <utility>

namespace choana::fixtures {

std::vector<SectionLoop> plane_section(const VolumeGeometry& grid, int k, const Vector3& centre, double reach_mm,
                                       const std::function<double(const Vector3&)>& distance) {
  constexpr double step_mm = 0.6;
  const Vector3 index = grid.patient_to_index(centre);
  const double away_mm = std::abs(index[2] - k) * grid.spacing_mm()[2];
  if (away_mm >= reach_mm) return {};
  const double half_mm = std::sqrt(reach_mm * reach_mm - away_mm * away_mm) + 2 * step_mm;
  const int nodes = 2 * static_cast<int>(std::ceil(half_mm / step_mm)) + 1;
  const Vector3 middle = grid.index_to_patient({index[0], index[1], static_cast<double>(k)});
  const Vector3 row = grid.axis(0), column = grid.axis(1);
  const auto at = [&](double x, double y) { return middle + ((x - nodes / 2) * step_mm) * row + ((y - nodes / 2) * step_mm) * column; };
  std::vector<double> value(static_cast<std::size_t>(nodes) * static_cast<std::size_t>(nodes));
  const auto f = [&](int x, int y) -> double& { return value[static_cast<std::size_t>(y) * static_cast<std::size_t>(nodes) + static_cast<std::size_t>(x)]; };
  for (int y = 0; y < nodes; ++y)
    for (int x = 0; x < nodes; ++x) {
      f(x, y) = distance(at(x, y));
      if (f(x, y) == 0) f(x, y) = 1e-12;
    }

  // Every crossed edge has one segment that leaves it with the inside on the left, so following the map closes the loops.
  struct Crossing {
    double x, y;
  };
  std::map<long, long> next;
  std::map<long, Crossing> crossing;
  const auto edge = [&](int x, int y, bool vertical) {
    const long id = 2 * (static_cast<long>(y) * nodes + x) + (vertical ? 1 : 0);
    const double a = f(x, y), b = vertical ? f(x, y + 1) : f(x + 1, y), t = a / (a - b);
    crossing[id] = vertical ? Crossing{static_cast<double>(x), y + t} : Crossing{x + t, static_cast<double>(y)};
    return id;
  };
  for (int y = 0; y + 1 < nodes; ++y)
    for (int x = 0; x + 1 < nodes; ++x) {
      const int code = (f(x, y) < 0) + 2 * (f(x + 1, y) < 0) + 4 * (f(x + 1, y + 1) < 0) + 8 * (f(x, y + 1) < 0);
      if (code == 0 || code == 15) continue;
      enum Side { top, right, bottom, left };  // y grows downwards
      const auto id = [&](Side side) {
        switch (side) {
          case top: return edge(x, y, false);
          case right: return edge(x + 1, y, true);
          case bottom: return edge(x, y + 1, false);
          case left: return edge(x, y, true);
        }
        return 0L;
      };
      const auto join = [&](Side from, Side to) { next[id(from)] = id(to); };
      switch (code) {
        case 1: join(top, left); break;
        case 2: join(right, top); break;
        case 3: join(right, left); break;
        case 4: join(bottom, right); break;
        case 5: join(top, left); join(bottom, right); break;
        case 6: join(bottom, top); break;
        case 7: join(bottom, left); break;
        case 8: join(left, bottom); break;
        case 9: join(top, bottom); break;
        case 10: join(right, top); join(left, bottom); break;
        case 11: join(right, bottom); break;
        case 12: join(left, right); break;
        case 13: join(top, right); break;
        case 14: join(left, top); break;
        default: break;
      }
    }
  std::vector<SectionLoop> loops;
  while (!next.empty()) {
    SectionLoop loop;
    std::vector<Crossing> points;
    long id = next.begin()->first;
    for (auto found = next.find(id); found != next.end(); found = next.find(id)) {
      const Crossing c = crossing[id];
      id = found->second;
      next.erase(found);
      // Marching squares leaves slivers; a hand leaves points about half a millimetre apart at least.
      if (!points.empty() && std::hypot(c.x - points.back().x, c.y - points.back().y) < 0.5) continue;
      points.push_back(c);
    }
    if (points.size() < 3) continue;
    for (std::size_t n = 0; n < points.size(); ++n) {
      const Crossing &a = points[n], &b = points[(n + 1) % points.size()];
      loop.area_mm2 += 0.5 * step_mm * step_mm * (a.x * b.y - b.x * a.y);
      loop.points_mm.push_back(at(a.x, a.y));
    }
    loop.area_mm2 = std::abs(loop.area_mm2);
    if (loop.area_mm2 > 0.5) loops.push_back(std::move(loop));
  }
  return loops;
}

}  // namespace choana::fixtures
