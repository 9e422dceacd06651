#pragma once

#include "core/coded_concept.h"

/// Coded entries that reports use more than once or that readers key on: DICOM PS3.16 Annex D and CIDs, and ours.
/// Viewers compare meanings literally, so they are never varied.
namespace choana::reporting::codes {

inline constexpr const char* private_scheme = "99CHOANA";

/// A coded entry of our own scheme. A value is never given another sense.
inline CodedConcept ours(const char* value, const char* meaning) { return {value, private_scheme, meaning}; }

// Titles and containers
inline const CodedConcept oncology_measurement_report{"126001", "DCM", "Oncology Measurement Report"};
inline const CodedConcept imaging_measurement_report{"126000", "DCM", "Imaging Measurement Report"};
inline const CodedConcept imaging_measurements{"126010", "DCM", "Imaging Measurements"};
inline const CodedConcept qualitative_evaluations{"C0034375", "UMLS", "Qualitative Evaluations"};
inline const CodedConcept image_library{"111028", "DCM", "Image Library"};
inline const CodedConcept image_library_group{"126200", "DCM", "Image Library Group"};
inline const CodedConcept measurement_group{"125007", "DCM", "Measurement Group"};

// Context
inline const CodedConcept language{"121049", "DCM", "Language of Content Item and Descendants"};
inline const CodedConcept observer_type{"121005", "DCM", "Observer Type"};
inline const CodedConcept device{"121007", "DCM", "Device"};
inline const CodedConcept device_observer_uid{"121012", "DCM", "Device Observer UID"};
inline const CodedConcept device_observer_name{"121013", "DCM", "Device Observer Name"};
inline const CodedConcept device_observer_manufacturer{"121014", "DCM", "Device Observer Manufacturer"};
inline const CodedConcept device_observer_model_name{"121015", "DCM", "Device Observer Model Name"};
inline const CodedConcept device_observer_serial_number{"121016", "DCM", "Device Observer Serial Number"};
inline const CodedConcept procedure_reported{"121058", "DCM", "Procedure reported"};
inline const CodedConcept mri_unspecified_body_region{"25056-3", "LN", "MRI unspecified body region"};
inline const CodedConcept imaging_procedure{"363679005", "SCT", "Imaging procedure"};
inline const CodedConcept narrative_summary{"111412", "DCM", "Narrative Summary"};
inline const CodedConcept comment{"121106", "DCM", "Comment"};
inline const CodedConcept algorithm_name{"111001", "DCM", "Algorithm Name"};
inline const CodedConcept algorithm_version{"111003", "DCM", "Algorithm Version"};
inline const CodedConcept algorithm_parameters{"111002", "DCM", "Algorithm Parameters"};
inline const CodedConcept algorithm_manufacturer{"122405", "DCM", "Algorithm Manufacturer"};

// Image library
inline const CodedConcept modality{"121139", "DCM", "Modality"};
inline const CodedConcept magnetic_resonance{"MR", "DCM", "Magnetic Resonance"};
inline const CodedConcept series_instance_uid{"112002", "DCM", "Series Instance UID"};
inline const CodedConcept frame_of_reference_uid{"112227", "DCM", "Frame of Reference UID"};
inline const CodedConcept acquisition_date{"126201", "DCM", "Acquisition Date"};
inline const CodedConcept acquisition_time{"126202", "DCM", "Acquisition Time"};
inline const CodedConcept pixel_data_rows{"110910", "DCM", "Pixel Data Rows"};
inline const CodedConcept pixel_data_columns{"110911", "DCM", "Pixel Data Columns"};
inline const CodedConcept horizontal_pixel_spacing{"111026", "DCM", "Horizontal Pixel Spacing"};
inline const CodedConcept vertical_pixel_spacing{"111066", "DCM", "Vertical Pixel Spacing"};
inline const CodedConcept spacing_between_slices{"112226", "DCM", "Spacing between slices"};
inline const CodedConcept slice_thickness{"112225", "DCM", "Slice Thickness"};
inline const CodedConcept source_of_measurement{"121112", "DCM", "Source of Measurement"};

// Measurement groups
inline const CodedConcept tracking_identifier{"112039", "DCM", "Tracking Identifier"};
inline const CodedConcept tracking_unique_identifier{"112040", "DCM", "Tracking Unique Identifier"};
inline const CodedConcept finding{"121071", "DCM", "Finding"};
inline const CodedConcept finding_site{"363698007", "SCT", "Finding Site"};
inline const CodedConcept referenced_segment{"121191", "DCM", "Referenced Segment"};
inline const CodedConcept source_series_for_segmentation{"121232", "DCM", "Source series for segmentation"};
inline const CodedConcept illustration_of_roi{"121200", "DCM", "Illustration of ROI"};
inline const CodedConcept image_region{"111030", "DCM", "Image Region"};
inline const CodedConcept visual_explanation{"130401", "DCM", "Visual explanation"};
inline const CodedConcept threshold_value{"122411", "DCM", "Threshold Value"};
inline const CodedConcept derivation{"121401", "DCM", "Derivation"};
inline const CodedConcept estimated{"414135002", "SCT", "Estimated"};
inline const CodedConcept equivalent_meaning{"121050", "DCM", "Equivalent Meaning of Concept Name"};
inline const CodedConcept volume{"118565006", "SCT", "Volume"};
inline const CodedConcept high_risk{"15508007", "SCT", "High risk"};
inline const CodedConcept moderate_risk{"25594002", "SCT", "Moderate risk"};
inline const CodedConcept low_risk{"75976002", "SCT", "Low risk"};

// Findings and anatomy
inline const CodedConcept gtv{"228791009", "SCT", "GTV"};
inline const CodedConcept gtv_primary{"130052", "DCM", "GTV Primary"};
inline const CodedConcept gtv_nodal{"130051", "DCM", "GTV Nodal"};
inline const CodedConcept nasopharynx{"71836000", "SCT", "nasopharynx"};
inline const CodedConcept cervical_lymph_node{"81105003", "SCT", "cervical lymph node"};
inline const CodedConcept retropharyngeal_lymph_node{"25683005", "SCT", "retropharyngeal lymph node"};
inline const CodedConcept lymph_node_of_head_and_neck{"312501005", "SCT", "lymph node of head and neck"};
inline const CodedConcept laterality{"272741003", "SCT", "Laterality"};
inline const CodedConcept left{"7771000", "SCT", "Left"};
inline const CodedConcept right{"24028007", "SCT", "Right"};
inline const CodedConcept morphologically_abnormal_structure{"49755003", "SCT", "Morphologically Abnormal Structure"};
inline const CodedConcept neoplasm_primary{"372087000", "SCT", "Neoplasm, Primary"};
inline const CodedConcept neoplasm_secondary{"14799000", "SCT", "Neoplasm, Secondary"};
inline const CodedConcept mass{"4147007", "SCT", "Mass"};

// Ours
inline const CodedConcept sequence_role = ours("SEQ_ROLE", "MR sequence role");
inline const CodedConcept image_filter = ours("IMG_FILTER", "Image filter");
inline const CodedConcept sub_band = ours("SUBBAND", "Wavelet sub-band");
inline const CodedConcept wavelet_level = ours("WAV_LEVEL", "Wavelet decomposition level");
inline const CodedConcept log_sigma = ours("LOG_SIGMA", "LoG sigma");
inline const CodedConcept lbp_map = ours("LBP_MAP", "Local binary pattern map");
inline const CodedConcept features_not_computed = ours("FEAT_OMIT", "Features not computed");
inline const CodedConcept extraction_profile = ours("PROFILE", "Extraction profile");
inline const CodedConcept region_provenance = ours("ROI_LEDGER", "Region provenance");
inline const CodedConcept volume_fraction = ours("VOL_FRACTION", "Volume fraction of lesion");
inline const CodedConcept habitat_method = ours("HAB_METHOD", "How the habitats were found");
inline const CodedConcept habitat_mean = ours("HAB_MEANS", "Mean of the clustered features");
inline const CodedConcept interval_low = ours("CI95_LO", "95% confidence interval, lower limit");
inline const CodedConcept interval_high = ours("CI95_HI", "95% confidence interval, upper limit");
inline const CodedConcept robust_low = ours("ROBUST_LO", "Robustness interval (region perturbed), lower limit");
inline const CodedConcept robust_high = ours("ROBUST_HI", "Robustness interval (region perturbed), upper limit");
inline const CodedConcept robust_note = ours("ROBUST_NOTE", "Robustness to delineation");
inline const CodedConcept survival_function = ours("SURV_CURVE", "Predicted survival function");
inline const CodedConcept risk_group = ours("RISK_GROUP", "Predicted risk group");
inline const CodedConcept predicted_group = ours("PRED_GROUP", "Predicted group");
inline const CodedConcept model_performance = ours("MODEL_PERF", "Model performance");
inline const CodedConcept intended_use = ours("MODEL_USE", "Intended use of the model");
inline const CodedConcept applicability = ours("OOD_NOTE", "Applicability check");
inline const CodedConcept shap_table = ours("SHAP_TABLE", "Top contributions");
inline const CodedConcept shap_base = ours("SHAP_BASE", "SHAP base value");
inline const CodedConcept shap = ours("SHAP", "SHAP contribution");
inline const CodedConcept shap_feature = ours("SHAP_FEAT", "Contributing feature");
inline const CodedConcept shap_rest = ours("SHAP_REST", "SHAP contribution of all other features");
inline const CodedConcept shap_sum = ours("SHAP_SUM", "Model output in explained space");
inline const CodedConcept limitation = ours("LIMITATION", "Limitation of this result");
inline const CodedConcept replaced_result = ours("REPLACES", "Replaced result");
inline const CodedConcept not_analysed_reason = ours("NOT_ANALYSED", "Reason why the study was not analysed");
inline const CodedConcept key_slice_probability = ours("KEY_PROB", "Predicted probability");

}  // namespace choana::reporting::codes
