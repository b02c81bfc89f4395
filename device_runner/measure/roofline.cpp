#include "measure/roofline.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <functional>
#include <future>
#include <memory>
#include <new>
#include <system_error>
#include <thread>

#include "engine/clock.h"

namespace slm {
namespace {

// One matrix for each thread, small enough for its own cache.
constexpr int64_t kMatrixRows = 256;
constexpr int64_t kMatrixColumns = 512;
constexpr int64_t kActivationRows = 32;
constexpr int64_t kGroupColumns = 32;
// A pass repeats its work until it takes so long: shorter ones are the clock's and the scheduler's.
constexpr int64_t kMinimumPassNs = 20'000'000;
constexpr int64_t kNsPerS = 1'000'000'000;

// Everything that a thread multiplies with; values do not matter to the speed.
class Operands {
 public:
  Operands() : layout_{kMatrixRows, kMatrixColumns, 8, kGroupColumns, false} {
    const auto rows = static_cast<size_t>(kMatrixRows), columns = static_cast<size_t>(kMatrixColumns);
    const std::vector<uint8_t> values(rows * columns, 131);
    const std::vector<float> scales(rows * static_cast<size_t>(layout_.groups()), 0.01F);
    packed_.reset(new (std::align_val_t{64}) std::byte[static_cast<size_t>(layout_.bytes())]);
    kernels::Pack(layout_, {values.data(), scales.data(), nullptr, nullptr}, packed_.get());
    const auto tokens = static_cast<size_t>(kActivationRows);
    floats_.assign(tokens * columns, 0.5F);
    output_.resize(tokens * rows);
    bytes_.resize(tokens * static_cast<size_t>(layout_.padded_columns()));
    const size_t blocks = tokens * static_cast<size_t>(layout_.blocks());
    scales_.resize(blocks);
    starts_.resize(blocks);
    sums_.resize(blocks);
  }

  void Quantize(const kernels::KernelSet& set) { set.quantize(layout_, floats_.data(), Rows()); }

  int64_t MultiplyBytes(const kernels::KernelSet& set) {
    const kernels::Product product{layout_, packed_.get(), nullptr, output_.data()};
    set.multiply(product, Rows(), 0, layout_.tiles());
    return 2 * kActivationRows * kMatrixRows * kMatrixColumns;
  }

  int64_t MultiplyFloats(const kernels::KernelSet& set) {
    constexpr int64_t kTimes = 4096;
    return set.multiply_add(floats_.data(), kTimes);
  }

 private:
  struct Freed {
    void operator()(std::byte* memory) const { ::operator delete[](memory, std::align_val_t{64}); }
  };

  kernels::QuantizedRows Rows() {
    return {kActivationRows, bytes_.data(), scales_.data(), starts_.data(), sums_.data()};
  }

  kernels::WeightLayout layout_;
  std::unique_ptr<std::byte[], Freed> packed_;
  std::vector<float> floats_;
  std::vector<float> output_;
  std::vector<int8_t> bytes_;
  std::vector<float> scales_;
  std::vector<int32_t> starts_;
  std::vector<float> sums_;
};

// Eight sums at once, so that additions do not wait for each other.
uint64_t Read(const uint64_t* words, size_t count) {
  std::array<uint64_t, 8> sums{};
  for (size_t index = 0; index + sums.size() <= count; index += sums.size()) {
    for (size_t lane = 0; lane < sums.size(); ++lane) sums[lane] += words[index + lane];
  }
  uint64_t sum = 0;
  for (const uint64_t lane : sums) sum += lane;
  return sum;
}

// `work(thread)` does a share of the work and returns how much that was. All begin at the same time.
double BestRate(int64_t passes, kernels::ParallelFor& threads, const std::function<int64_t(int64_t)>& work) {
  const auto count = static_cast<size_t>(threads.threads());
  double best = 0;
  for (int64_t pass = 0; pass < passes; ++pass) {
    std::vector<int64_t> done(count, 0);
    std::atomic<size_t> ready{0};
    std::atomic<int64_t> started_ns{0};
    threads.Run(threads.threads(), [&](int64_t thread) {
      if (ready.fetch_add(1) + 1 == count) started_ns.store(MonotonicNs());
      while (started_ns.load() == 0) std::this_thread::yield();
      int64_t mine = 0;
      do {
        mine += work(thread);
      } while (MonotonicNs() - started_ns.load() < kMinimumPassNs);
      done[static_cast<size_t>(thread)] = mine;
    });
    const int64_t ns = std::max<int64_t>(MonotonicNs() - started_ns.load(), 1);
    int64_t all = 0;
    for (const int64_t mine : done) all += mine;
    best = std::max(best, static_cast<double>(all) * kNsPerS / static_cast<double>(ns));
  }
  return best;
}

RooflinePoint Measure(const kernels::KernelSet& set, const RooflineOptions& options, int64_t threads,
                      const std::vector<uint64_t>& buffer) {
  MeasuringThreads workers(static_cast<int>(threads));
  std::vector<std::unique_ptr<Operands>> operands;
  for (int64_t thread = 0; thread < threads; ++thread) {
    operands.push_back(std::make_unique<Operands>());
    operands.back()->Quantize(set);
  }
  const auto own = [&](int64_t thread) -> Operands& { return *operands[static_cast<size_t>(thread)]; };
  const size_t share = buffer.size() / static_cast<size_t>(threads);
  std::atomic<uint64_t> sum{0};
  RooflinePoint point;
  point.threads = threads;
  point.read_bytes_per_second = BestRate(options.passes, workers, [&](int64_t thread) {
    sum += Read(buffer.data() + static_cast<size_t>(thread) * share, share);
    return static_cast<int64_t>(share * sizeof(uint64_t));
  });
  point.int8_ops_per_second =
      BestRate(options.passes, workers, [&](int64_t thread) { return own(thread).MultiplyBytes(set); });
  point.float_ops_per_second =
      BestRate(options.passes, workers, [&](int64_t thread) { return own(thread).MultiplyFloats(set); });
  return point;
}

}  // namespace

void MeasuringThreads::Run(int64_t tasks, kernels::TaskRef body) {
  std::promise<bool> decided;
  const std::shared_future<bool> begin = decided.get_future().share();
  std::vector<std::thread> others;
  const auto join_all = [&] {
    for (std::thread& other : others) other.join();
  };
  try {
    for (int64_t task = 1; task < tasks; ++task) {
      others.emplace_back([begin, body, task] {
        if (begin.get()) body(task);
      });
    }
  } catch (const std::system_error&) {
    // Tasks may wait for each other, so where one is missing none begins.
    decided.set_value(false);
    join_all();
    throw;
  }
  decided.set_value(true);
  if (tasks > 0) body(0);
  join_all();
}

std::vector<int64_t> ThreadCounts(int64_t cpus) {
  std::vector<int64_t> counts;
  for (int64_t count = 1; count < cpus; count *= 2) counts.push_back(count);
  counts.push_back(std::max<int64_t>(cpus, 1));
  return counts;
}

Status MeasureRoofline(const kernels::KernelSet& set, const RooflineOptions& options, StopToken stop,
                       std::vector<RooflinePoint>& points) {
  try {
    // Written, so that every page is memory of its own.
    const std::vector<uint64_t> buffer(static_cast<size_t>(options.buffer_bytes) / sizeof(uint64_t), 1);
    for (const int64_t threads : options.threads) {
      if (Status status = stop.Check(); !status.ok()) return status;
      points.push_back(Measure(set, options, threads, buffer));
    }
  } catch (const std::bad_alloc&) {
    return {ErrorKind::kRunFailed, "no memory for a buffer of " + std::to_string(options.buffer_bytes) +
                                       " bytes; ask for a smaller one with --buffer-mb"};
  } catch (const std::system_error& error) {
    return {ErrorKind::kThreads, std::string("threads cannot be started: ") + error.what()};
  }
  return {};
}

}  // namespace slm
