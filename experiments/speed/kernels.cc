// kernels MODULE.pb: compiles a program of XLA for an H100, without one; XLA_FLAGS says where to write what came out.

#include <fstream>
#include <iostream>
#include <sstream>

#include "xla/backends/gpu/target_config/target_config.h"
#include "xla/debug_options_flags.h"
#include "xla/hlo/ir/hlo_module.h"
#include "xla/service/compiler.h"
#include "xla/service/gpu_topology.h"
#include "xla/stream_executor/platform_manager.h"

absl::Status Compile(const std::string& serialized) {
  xla::HloModuleProto proto;
  if (!proto.ParseFromString(serialized)) return absl::InvalidArgumentError("not a program of XLA");
  auto config = xla::HloModule::CreateModuleConfigFromProto(proto, xla::GetDebugOptionsFromFlags());
  if (!config.ok()) return config.status();
  config->set_replica_count(1);
  config->set_num_partitions(1);
  auto module = xla::HloModule::CreateFromProto(proto, *config);
  if (!module.ok()) return module.status();
  auto described = xla::gpu::GetGpuTargetConfig(xla::gpu::GpuModel::H100_SXM);
  if (!described.ok()) return described.status();
  auto target = xla::gpu::GpuTargetConfig::FromProto(*described);
  if (!target.ok()) return target.status();
  auto cuda = stream_executor::PlatformManager::PlatformWithName("CUDA", /*initialize_platform=*/false);
  if (!cuda.ok()) return cuda.status();
  auto compiler = xla::Compiler::GetForPlatform((*cuda)->id());
  if (!compiler.ok()) return compiler.status();
  xla::AotCompilationOptions options((*compiler)->PlatformId());
  options.set_gpu_topology(xla::GetSingleDeviceGpuTopology("", *target));
  return (*compiler)->CompileAheadOfTime(std::move(*module), options).status();
}

int main(int, char** arguments) {
  std::ifstream file(arguments[1], std::ios::binary);
  std::stringstream serialized;
  serialized << file.rdbuf();
  absl::Status status = Compile(serialized.str());
  if (!status.ok()) std::cerr << status << "\n";
  return status.ok() ? 0 : 1;
}
