#include "node/http_api.h"

#ifdef CHOANA_HAS_DASHBOARD
namespace choana::embedded {
extern const std::string_view dashboard_html;
}  // namespace choana::embedded
#endif

namespace choana {

std::string_view dashboard_page() {
#ifdef CHOANA_HAS_DASHBOARD
  return embedded::dashboard_html;
#else
  return {};
#endif
}

}  // namespace choana
