// A row program against double, on threads of the test's own.
#include "rows/program.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "../check.h"
#include "engine/clock.h"

namespace slm::rows {
namespace {

class Threads final : public kernels::ParallelFor {
 public:
  explicit Threads(int count) : count_(count) {}
  int threads() const override { return count_; }
  void Run(int64_t tasks, kernels::TaskRef body) override {
    std::atomic<int64_t> next = 0;
    const auto work = [&] {
      for (int64_t task = next++; task < tasks; task = next++) body(task);
    };
    std::vector<std::thread> others;
    for (int thread = 1; thread < count_; ++thread) others.emplace_back(work);
    work();
    for (std::thread& other : others) other.join();
  }

 private:
  int count_;
};

constexpr int64_t kMaximumRows = 80;
constexpr int64_t kWidth = 64;
constexpr int64_t kOutputs = 48;

struct Case {
  Graph graph;
  std::vector<float> weights;
};

uint32_t Add(Graph& graph, std::vector<int64_t> shape, Type type = Type::kFloat32) {
  Value value;
  value.type = type;
  value.shape = std::move(shape);
  graph.values.push_back(std::move(value));
  return static_cast<uint32_t>(graph.values.size() - 1);
}

// The halves of x swapped, times sigmoid(x), then a product with weights of 8 bits.
Case MakeCase() {
  Case made;
  Graph& graph = made.graph;
  const uint32_t input = Add(graph, {1, kMaximumRows, kWidth});
  const uint32_t right = Add(graph, {1, kMaximumRows, kWidth / 2});
  const uint32_t left = Add(graph, {1, kMaximumRows, kWidth / 2});
  const uint32_t swapped = Add(graph, {1, kMaximumRows, kWidth});
  const uint32_t gate = Add(graph, {1, kMaximumRows, kWidth});
  const uint32_t gated = Add(graph, {1, kMaximumRows, kWidth});
  const uint32_t quantized = Add(graph, {1, kMaximumRows, kWidth}, Type::kDynamicInt8);
  const uint32_t filter = Add(graph, {kOutputs, kWidth}, Type::kChannelInt8);
  const uint32_t output = Add(graph, {1, kMaximumRows, kOutputs});
  Value& weights = graph.values[filter];
  std::mt19937 random(7);
  std::uniform_int_distribution<int> byte(-127, 127);
  weights.group_columns = kWidth;
  const auto bytes = std::make_shared<std::vector<uint8_t>>();
  for (int64_t row = 0; row < kOutputs; ++row) {
    weights.scales.push_back(0.01F + 0.001F * static_cast<float>(row));
    for (int64_t column = 0; column < kWidth; ++column) {
      const int value = byte(random);
      bytes->push_back(static_cast<uint8_t>(value));
      made.weights.push_back(weights.scales.back() * static_cast<float>(value));
    }
  }
  weights.data = {*bytes, bytes};
  graph.operations = {{Operator::kSlice, {input}, right, {0, 0, kWidth / 2}},
                      {Operator::kSlice, {input}, left, {0, 0, 0}},
                      {Operator::kConcatenate, {right, left}, swapped, {}},
                      {Operator::kSigmoid, {input}, gate, {}},
                      {Operator::kMultiply, {swapped, gate}, gated, {}},
                      {Operator::kQuantize, {gated}, quantized, {}},
                      {Operator::kFullyConnected, {quantized, filter, kNoValue}, output, {}}};
  graph.inputs = {{input, 0}};
  graph.outputs = {{output, 1}};
  return made;
}

std::vector<float> RandomRows() {
  std::mt19937 random(8);
  std::normal_distribution<float> normal;
  std::vector<float> rows(kMaximumRows * kWidth);
  for (float& value : rows) value = normal(random);
  return rows;
}

std::vector<float> RunProgram(int thread_count, int64_t rows, std::vector<float> input) {
  Threads threads(thread_count);
  const auto resources = std::make_shared<Resources>();
  resources->kernels = kernels::AvailableKernels().front();
  resources->threads = &threads;
  Program program(MakeCase().graph, resources);
  CHECK(program.maximum_rows() == kMaximumRows);
  CHECK(program.width(0) == kWidth && program.width(1) == kOutputs);
  std::vector<float> output(static_cast<size_t>(rows * kOutputs));
  float* const arguments[] = {input.data(), output.data()};
  program.Run(arguments, rows);
  return output;
}

// A byte is off by half a step at most; a step is the largest magnitude of 32 columns / 127.
TEST(AProgramComputesWhatItsGraphSays) {
  const Case made = MakeCase();
  const std::vector<float> input = RandomRows();
  const std::vector<float> output = RunProgram(2, kMaximumRows, input);
  for (int64_t row = 0; row < kMaximumRows; ++row) {
    std::vector<double> gated(kWidth);
    double steps[2] = {};
    for (int64_t column = 0; column < kWidth; ++column) {
      const auto at = [&](int64_t index) {
        return static_cast<double>(input[static_cast<size_t>(row * kWidth + index)]);
      };
      const double value = at((column + kWidth / 2) % kWidth) / (1.0 + std::exp(-at(column)));
      gated[static_cast<size_t>(column)] = value;
      double& step = steps[column / 32];
      step = std::max(step, std::fabs(value) / 127);
    }
    for (int64_t column = 0; column < kOutputs; ++column) {
      double expected = 0;
      double bound = 1e-5;
      for (int64_t k = 0; k < kWidth; ++k) {
        const auto weight = static_cast<double>(made.weights[static_cast<size_t>(column * kWidth + k)]);
        expected += weight * gated[static_cast<size_t>(k)];
        bound += std::fabs(weight) * steps[k / 32] * 0.501;
      }
      const auto got = static_cast<double>(output[static_cast<size_t>(row * kOutputs + column)]);
      CHECK(std::fabs(got - expected) <= bound);
    }
  }
}

// Every operator on elements beside the product that makes a graph worth a program.
TEST(OperatorsOnElementsComputeWhatTheirNamesSay) {
  using Function = double (*)(double, double);
  struct Named {
    Operator kind;
    int operands;
    Function value;
  };
  const std::vector<Named> operators = {
      {Operator::kAdd, 2, [](double a, double b) { return a + b; }},
      {Operator::kSubtract, 2, [](double a, double b) { return a - b; }},
      {Operator::kMultiply, 2, [](double a, double b) { return a * b; }},
      {Operator::kDivide, 2, [](double a, double b) { return a / b; }},
      {Operator::kMaximum, 2, [](double a, double b) { return std::max(a, b); }},
      {Operator::kSigmoid, 1, [](double a, double) { return 1 / (1 + std::exp(-a)); }},
      {Operator::kSquare, 1, [](double a, double) { return a * a; }},
      {Operator::kReciprocalSquareRoot, 1, [](double a, double) { return 1 / std::sqrt(a); }},
      {Operator::kGelu, 1, [](double a, double) { return a * 0.5 * (1 + std::erf(a / std::sqrt(2.0))); }},
      {Operator::kTanh, 1, [](double a, double) { return std::tanh(a); }},
  };
  Graph graph = MakeCase().graph;
  const uint32_t left = graph.inputs[0].value;
  const uint32_t right = Add(graph, {1, kMaximumRows, kWidth});
  graph.inputs.push_back({right, 2});
  for (const Named& one : operators) {
    const uint32_t output = Add(graph, {1, kMaximumRows, kWidth});
    // Of the second input where one operand is read: positive, for the root.
    const auto inputs = one.operands == 2                             ? std::vector<uint32_t>{left, right}
                        : one.kind == Operator::kReciprocalSquareRoot ? std::vector<uint32_t>{right}
                                                                      : std::vector<uint32_t>{left};
    graph.operations.push_back({one.kind, inputs, output, {}});
    graph.outputs.push_back({output, static_cast<uint32_t>(3 + (&one - operators.data()))});
  }
  Threads threads(2);
  const auto resources = std::make_shared<Resources>();
  resources->kernels = kernels::AvailableKernels().front();
  resources->threads = &threads;
  Program program(std::move(graph), resources);
  std::vector<float> given = RandomRows();
  std::vector<float> positive = RandomRows();
  for (float& value : positive) value = std::fabs(value) + 0.1F;
  std::vector<float> product(kMaximumRows * kOutputs);
  std::vector<std::vector<float>> outputs(operators.size(), std::vector<float>(kMaximumRows * kWidth));
  std::vector<float*> arguments = {given.data(), product.data(), positive.data()};
  for (std::vector<float>& output : outputs) arguments.push_back(output.data());
  program.Run(arguments, kMaximumRows);
  for (size_t index = 0; index < operators.size(); ++index) {
    const Named& one = operators[index];
    const bool of_positive = one.kind == Operator::kReciprocalSquareRoot;
    for (size_t at = 0; at < given.size(); ++at) {
      const double expected = one.value(static_cast<double>(of_positive ? positive[at] : given[at]),
                                        static_cast<double>(positive[at]));
      const auto got = static_cast<double>(outputs[index][at]);
      CHECK(std::fabs(got - expected) <= 1e-6 + 4e-6 * std::fabs(expected));
    }
  }
}

// Few rows share products, many are cut into blocks: a row must not notice.
// One step for each operation but the conversion, which the product does.
TEST(EachStepHasItsTimeAndItsOperation) {
  for (const int thread_count : {1, 2}) {
    Threads threads(thread_count);
    const auto resources = std::make_shared<Resources>();
    resources->kernels = kernels::AvailableKernels().front();
    resources->threads = &threads;
    Program program(MakeCase().graph, resources);
    CHECK(program.origins() == std::vector<uint32_t>({0, 1, 2, 2, 3, 4, 6}));
    std::vector<float> input = RandomRows();
    std::vector<float> output(kMaximumRows * kOutputs);
    float* const arguments[] = {input.data(), output.data()};
    std::vector<int64_t> step_ns;
    // Of several runs, as anything may come between two steps of one; threads that begin late leave nothing
    // over.
    double best = 0;
    for (int run = 0; run < 20; ++run) {
      const Stopwatch watch;
      program.Run(arguments, kMaximumRows, &step_ns);
      const int64_t whole = watch.ns();
      CHECK(step_ns.size() == program.origins().size());
      const int64_t sum = std::accumulate(step_ns.begin(), step_ns.end(), int64_t{0});
      CHECK(sum > 0 && sum <= whole);
      best = std::max(best, static_cast<double>(sum) / static_cast<double>(whole));
    }
    CHECK(best > 0.5);
    CHECK(output == RunProgram(thread_count, kMaximumRows, input));
  }
}

TEST(NeitherThreadsNorOtherRowsChangeARow) {
  const std::vector<float> input = RandomRows();
  const std::vector<float> all = RunProgram(1, kMaximumRows, input);
  for (const int threads : {1, 2, 3}) {
    for (const int64_t rows : {int64_t{1}, int64_t{7}, int64_t{40}, kMaximumRows}) {
      const std::vector<float> some = RunProgram(threads, rows, input);
      CHECK(std::memcmp(some.data(), all.data(), some.size() * sizeof(float)) == 0);
    }
  }
}

TEST(WhatIsNotCoveredIsTold) {
  const auto covered = [](Graph graph) {
    Threads threads(1);
    const auto resources = std::make_shared<Resources>();
    resources->kernels = kernels::AvailableKernels().front();
    resources->threads = &threads;
    try {
      Program program(std::move(graph), resources);
    } catch (const NotCovered&) {
      return false;
    }
    return true;
  };
  CHECK(covered(MakeCase().graph));
  CHECK(!covered({}));
  Graph without_products = MakeCase().graph;
  without_products.operations.pop_back();
  CHECK(!covered(without_products));
  Graph other_rows = MakeCase().graph;
  other_rows.values[4].shape[1] = 3;
  CHECK(!covered(other_rows));
  Graph never_computed = MakeCase().graph;
  never_computed.operations.erase(never_computed.operations.begin() + 3);
  CHECK(!covered(never_computed));
  Graph beyond_the_end = MakeCase().graph;
  beyond_the_end.operations[0].offsets.back() = kWidth / 2 + 1;
  CHECK(!covered(beyond_the_end));
}

}  // namespace
}  // namespace slm::rows
