#include "node/received_instance_json.h"

#include <nlohmann/json.hpp>

namespace choana {
namespace {

using Json = nlohmann::json;

// One list of the fields serves both directions: a field cannot be written and forgotten when reading.
template <typename Instance, typename Visit>
void visit_fields(Instance& i, Visit visit) {
  visit("receive_id", i.receive_id);
  visit("spool_file", i.spool_file);
  visit("sop_class_uid", i.sop_class_uid);
  visit("sop_instance_uid", i.sop_instance_uid);
  visit("study_instance_uid", i.study_instance_uid);
  visit("series_instance_uid", i.series_instance_uid);
  visit("patient_key", i.patient_key);
  visit("transfer_syntax_uid", i.transfer_syntax_uid);
  visit("calling_ae_title", i.calling_ae_title);
  visit("called_ae_title", i.called_ae_title);
  visit("peer_address", i.peer_address);
  visit("sha256", i.sha256);
  visit("size_bytes", i.size_bytes);
  visit("received_at_ms", i.received_at_ms);
  visit("association_id", i.association_id);
  visit("series_number", i.series_number);
  visit("instance_number", i.instance_number);
  visit("references", i.referenced_sop_instance_uids);
  visit("references_complete", i.references_complete);
  auto& a = i.acquisition;
  visit("modality", a.modality);
  visit("series_description", a.series_description);
  visit("protocol_name", a.protocol_name);
  visit("sequence_name", a.sequence_name);
  visit("body_part", a.body_part);
  visit("manufacturer", a.manufacturer);
  visit("manufacturer_model_name", a.manufacturer_model_name);
  visit("software_versions", a.software_versions);
  visit("patient_position", a.patient_position);
  visit("image_type", a.image_type);
  visit("scanning_sequence", a.scanning_sequence);
  visit("sequence_variant", a.sequence_variant);
  visit("scan_options", a.scan_options);
  visit("acquisition_date", a.acquisition_date);
  visit("acquisition_time", a.acquisition_time);
  visit("contrast_agent", a.contrast_agent);
  visit("repetition_time_ms", a.repetition_time_ms);
  visit("echo_time_ms", a.echo_time_ms);
  visit("inversion_time_ms", a.inversion_time_ms);
  visit("flip_angle_deg", a.flip_angle_deg);
  visit("field_strength_t", a.field_strength_t);
  visit("b_value_s_per_mm2", a.b_value_s_per_mm2);
  visit("slice_thickness_mm", a.slice_thickness_mm);
  visit("temporal_position", a.temporal_position);
  visit("acquisition_number", a.acquisition_number);
  visit("echo_number", a.echo_number);
  visit("lossy_compressed", a.lossy_compressed);
}

struct Writer {
  Json& json;

  template <typename T>
  void operator()(const char* key, const std::optional<T>& value) const {
    if (value) json[key] = *value;
  }
  template <typename T>
  void operator()(const char* key, const T& value) const {
    if (value != T{}) json[key] = value;
  }
};

struct Reader {
  const Json& json;

  template <typename T>
  void operator()(const char* key, std::optional<T>& value) const {
    if (const auto at = json.find(key); at != json.end()) value = at->template get<T>();
  }
  template <typename T>
  void operator()(const char* key, T& value) const {
    const auto at = json.find(key);
    value = at != json.end() ? at->template get<T>() : T{};
  }
};

}  // namespace

std::string to_json(const ReceivedInstance& instance) {
  Json json = Json::object();
  visit_fields(instance, Writer{json});
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<ReceivedInstance> received_instance_from_json(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    ReceivedInstance instance;
    visit_fields(instance, Reader{json});
    return instance;
  } catch (const Json::exception& error) {
    return fail(ErrorCode::invalid_argument, "read_instance_record", std::string("An instance record of the job store is damaged: ") + error.what());
  }
}

}  // namespace choana
