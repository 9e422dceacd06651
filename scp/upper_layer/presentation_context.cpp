#include "scp/upper_layer/presentation_context.h"

#include <algorithm>
#include <set>

#include "core/unique_identifier.h"

namespace choana::scp {
namespace {

bool contains(const std::vector<std::string>& list, std::string_view text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

std::string choose_transfer_syntax(const std::vector<std::string>& proposed, const std::vector<std::string>& offered) {
  for (const std::string_view preferred : {explicit_little_endian, implicit_little_endian}) {
    if (contains(proposed, preferred) && contains(offered, preferred)) return std::string(preferred);
  }
  for (const std::string& syntax : proposed) {
    if (contains(offered, syntax)) return syntax;
  }
  return {};
}

const OfferedClass* find_offered(const std::vector<OfferedClass>& offered, std::string_view uid) {
  const auto found = std::find_if(offered.begin(), offered.end(), [uid](const OfferedClass& c) { return c.sop_class_uid == uid; });
  return found == offered.end() ? nullptr : &*found;
}

// PS3.4 table B.3-2: level 2 (all elements kept), signature level unspecified, no coercion.
Bytes storage_extended_negotiation() { return {2, 0, 0, 0, 0, 0}; }

}  // namespace

Negotiation negotiate(const AssociateRequest& request, const std::vector<OfferedClass>& offered, std::uint32_t maximum_length) {
  Negotiation result;
  std::set<std::string_view> accepted_classes;
  for (const ProposedContext& context : request.contexts) {
    // A refused context carries a transfer syntax too; its value is not significant (PS3.8 table 9-18).
    AnsweredContext answer{context.id, ContextResult::acceptance,
                           std::string(context.transfer_syntaxes.empty() ? implicit_little_endian : std::string_view(context.transfer_syntaxes.front()))};
    if (const OfferedClass* service = find_offered(offered, context.abstract_syntax); service == nullptr) {
      answer.result = ContextResult::abstract_syntax_not_supported;
    } else if (std::string chosen = choose_transfer_syntax(context.transfer_syntaxes, service->transfer_syntaxes); chosen.empty()) {
      answer.result = ContextResult::transfer_syntaxes_not_supported;
    } else {
      answer.transfer_syntax = chosen;
      result.accepted.push_back({context.id, context.abstract_syntax, std::move(chosen)});
      accepted_classes.insert(service->sop_class_uid);
    }
    // What goes back is bounded by what a UID may be, whatever came.
    if (answer.transfer_syntax.size() > 64) answer.transfer_syntax = std::string(implicit_little_endian);
    result.answers.push_back(std::move(answer));
  }

  result.user.maximum_length = maximum_length;
  result.user.implementation_class_uid = implementation_class_uid();
  result.user.implementation_version_name = std::string(implementation_version_name);
  if (request.user.asynchronous_window) result.user.asynchronous_window = AsynchronousWindow{1, 1};
  std::set<std::string_view> roles_answered;
  for (const RoleSelection& role : request.user.roles) {
    if (!accepted_classes.contains(role.sop_class_uid) || !roles_answered.insert(role.sop_class_uid).second) continue;
    const OfferedClass* service = find_offered(offered, role.sop_class_uid);
    result.user.roles.push_back({role.sop_class_uid, role.scu, role.scp && service->peer_may_be_scp});
  }
  std::set<std::string_view> extensions_answered;
  for (const ExtendedNegotiation& extended : request.user.extended_negotiations) {
    if (!accepted_classes.contains(extended.sop_class_uid) || !extensions_answered.insert(extended.sop_class_uid).second) continue;
    if (find_offered(offered, extended.sop_class_uid)->is_storage) {
      result.user.extended_negotiations.push_back({extended.sop_class_uid, storage_extended_negotiation()});
    }
  }
  return result;
}

const std::string& implementation_class_uid() {
  static const std::string uid = derive_uid("implementation", "choana");
  return uid;
}

}  // namespace choana::scp
