#include "cli/measure_mode.h"

#include <algorithm>
#include <cmath>

#include "engine/affinity.h"
#include "engine/provenance.h"
#include "records/json.h"

namespace slm {
namespace {

constexpr std::string_view kSchema = "slm-roofline/1";

int64_t Whole(double rate) { return std::llround(rate); }

}  // namespace

void MeasureMode::AddFlags(Flags& flags) {
  flags.Text("--run-id", run.run_id, "ID", "goes into the output");
  flags.IntegerList("--thread-counts", roofline.threads,
                    "thread counts to measure; by default powers of two up to the CPUs, and all of them");
  flags.Integer("--buffer-mb", buffer_mb, 1, 1 << 16, "mebibytes to read, more than the caches hold");
  flags.Integer("--passes", roofline.passes, 1, 1 << 10, "how often each is measured; the best counts");
}

Status MeasureMode::Run(Engine&, RecordSink& out, StopToken stop) const {
  RooflineOptions options = roofline;
  options.buffer_bytes = buffer_mb << 20;
  if (options.threads.empty()) options.threads = ThreadCounts(AvailableCpus());
  for (const int64_t threads : options.threads) {
    SessionOptions checked;
    checked.threads = threads;
    checked.names.threads = "--thread-counts";
    if (threads < 1) return {ErrorKind::kUsage, "--thread-counts: at least 1 thread"};
    if (Status status = checked.Check(); !status.ok()) return status;
  }
  const kernels::KernelSet& set = kernels::FastestKernels();
  std::vector<RooflinePoint> points;
  if (Status status = MeasureRoofline(set, options, stop, points); !status.ok()) return status;
  std::vector<std::string> measured;
  for (const RooflinePoint& point : points) {
    measured.push_back(JsonObject()
                           .Add("threads", point.threads)
                           .Add("read_bytes_per_second", Whole(point.read_bytes_per_second))
                           .Add("int8_ops_per_second", Whole(point.int8_ops_per_second))
                           .Add("float_ops_per_second", Whole(point.float_ops_per_second))
                           .text());
  }
  JsonObject record;
  record.Add("schema", kSchema)
      .Add("run_id", run.run_id)
      .Add("runner_version", RunnerVersion())
      .Add("abi", Abi())
      .Add("kernels", std::string("own:") + set.name)
      .Add("cpus", AvailableCpus())
      .Add("buffer_bytes", options.buffer_bytes)
      .Add("passes", options.passes)
      .Raw("points", JsonArray(measured));
  return out.Write(record.text() + "\n");
}

}  // namespace slm
