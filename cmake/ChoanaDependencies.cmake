# Third parties, all from Debian 12. Their headers are system headers (imported targets); versions: docs/ARCHITECTURE.md.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(Eigen3 3.4 REQUIRED NO_MODULE)
find_package(OpenSSL 3 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(spdlog REQUIRED)          # the compiled library
find_package(nlohmann_json 3.11 REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(tl-expected REQUIRED)
find_package(Boost 1.74 REQUIRED)      # headers: Asio, Beast, Math
find_package(DCMTK REQUIRED)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)
pkg_check_modules(libzip REQUIRED IMPORTED_TARGET libzip)  # Debian's CMake file wants the tools too
pkg_check_modules(cairo REQUIRED IMPORTED_TARGET cairo)
pkg_check_modules(pangocairo REQUIRED IMPORTED_TARGET pangocairo)
find_package(prometheus-cpp REQUIRED COMPONENTS core)
find_package(SQLite3 REQUIRED)

# ONNX files are parsed by libonnx's messages (the library itself hides them).
find_package(Protobuf REQUIRED)
find_library(ONNX_PROTO onnx_proto REQUIRED)
find_path(ONNX_INCLUDE_DIR onnx/onnx_pb.h REQUIRED)
add_library(choana_onnx_proto INTERFACE)
add_library(choana::onnx_proto ALIAS choana_onnx_proto)
target_include_directories(choana_onnx_proto SYSTEM INTERFACE "${ONNX_INCLUDE_DIR}")
target_link_libraries(choana_onnx_proto INTERFACE "${ONNX_PROTO}" protobuf::libprotobuf)

# Debian's SOCI ships no CMake or pkg-config file.
find_path(SOCI_INCLUDE_DIR soci/soci.h REQUIRED)
find_library(SOCI_CORE soci_core REQUIRED)
find_library(SOCI_SQLITE3 soci_sqlite3 REQUIRED)
add_library(choana_soci INTERFACE)
add_library(choana::soci ALIAS choana_soci)
target_include_directories(choana_soci SYSTEM INTERFACE "${SOCI_INCLUDE_DIR}")
target_link_libraries(choana_soci INTERFACE "${SOCI_SQLITE3}" "${SOCI_CORE}" SQLite::SQLite3)

# Only what N4 and reading of image files need; ITK's use file registers IO factories, which we do explicitly.
find_package(ITK 5.2 REQUIRED COMPONENTS ITKCommon ITKBiasCorrection ITKImageGrid ITKIONRRD ITKIONIFTI ITKIOMeta
  ITKIOImageBase ITKThresholding ITKMetricsv4 ITKOptimizersv4 ITKTransform)

if(CHOANA_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()
