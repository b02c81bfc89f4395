// The recurrence against its formula in double.
#include "kernels/recurrence/recurrence.h"

#include <cmath>
#include <random>
#include <vector>

#include "tests/check.h"

namespace slm::kernels {
namespace {

size_t Size(int64_t count) { return static_cast<size_t>(count); }

class OneAfterTheOther final : public ParallelFor {
 public:
  int threads() const override { return 3; }
  void Run(int64_t tasks, TaskRef body) override {
    for (int64_t task = tasks; task-- > 0;) body(task);
  }
};

struct Shape {
  int64_t tokens, heads, queries_per_head, columns, width;
  bool row_decays;
};

struct Operands {
  explicit Operands(const Shape& shape) {
    std::mt19937 random(7);
    std::normal_distribution<float> normal(0.0F, 0.3F);
    std::uniform_real_distribution<float> fraction(0.0F, 1.0F);
    const auto fill = [&](std::vector<float>& floats, int64_t count, auto& distribution) {
      floats.resize(Size(count));
      for (float& value : floats) value = distribution(random);
    };
    const int64_t rows = shape.heads * shape.tokens;
    fill(queries, rows * shape.queries_per_head * shape.columns, normal);
    fill(keys, rows * shape.columns, normal);
    fill(values, rows * shape.width, normal);
    fill(decays, rows * (shape.row_decays ? shape.columns : 1), fraction);
    fill(betas, rows, fraction);
    fill(states, shape.heads * shape.columns * shape.width, normal);
    output.assign(Size(rows * shape.queries_per_head * shape.width), NAN);
  }

  std::vector<float> queries, keys, values, decays, betas, states, output;
};

void Run(const Shape& shape, Operands& operands) {
  Recurrence call;
  call.tokens = shape.tokens;
  call.heads = shape.heads;
  call.queries_per_head = shape.queries_per_head;
  call.columns = shape.columns;
  call.width = shape.width;
  call.row_decays = shape.row_decays;
  call.queries = operands.queries.data();
  call.keys = operands.keys.data();
  call.values = operands.values.data();
  call.decays = operands.decays.data();
  call.betas = operands.betas.data();
  call.states = operands.states.data();
  call.output = operands.output.data();
  OneAfterTheOther threads;
  Recur(call, threads);
}

// Largest difference of outputs and states from the formula.
double Difference(const Shape& shape, const Operands& from, const Operands& done) {
  double largest = 0.0;
  for (int64_t head = 0; head < shape.heads; ++head) {
    const int64_t size = shape.columns * shape.width;
    std::vector<double> state(from.states.begin() + head * size, from.states.begin() + (head + 1) * size);
    for (int64_t token = 0; token < shape.tokens; ++token) {
      const int64_t at = head * shape.tokens + token;
      std::vector<double> added(Size(shape.width));
      for (int64_t column = 0; column < shape.width; ++column) {
        double seen = 0.0;
        for (int64_t row = 0; row < shape.columns; ++row) {
          double& kept = state[Size(row * shape.width + column)];
          kept *= from.decays[Size(shape.row_decays ? at * shape.columns + row : at)];
          seen += from.keys[Size(at * shape.columns + row)] * kept;
        }
        added[Size(column)] = (from.values[Size(at * shape.width + column)] - seen) * from.betas[Size(at)];
      }
      for (int64_t row = 0; row < shape.columns; ++row) {
        for (int64_t column = 0; column < shape.width; ++column) {
          state[Size(row * shape.width + column)] +=
              from.keys[Size(at * shape.columns + row)] * added[Size(column)];
        }
      }
      for (int64_t reader = 0; reader < shape.queries_per_head; ++reader) {
        const int64_t place = (head * shape.queries_per_head + reader) * shape.tokens + token;
        for (int64_t column = 0; column < shape.width; ++column) {
          double read = 0.0;
          for (int64_t row = 0; row < shape.columns; ++row) {
            read += from.queries[Size(place * shape.columns + row)] * state[Size(row * shape.width + column)];
          }
          const double difference = std::abs(read - done.output[Size(place * shape.width + column)]);
          largest = difference <= largest ? largest : difference;
        }
      }
    }
    for (int64_t index = 0; index < size; ++index) {
      const double difference = std::abs(state[Size(index)] - done.states[Size(head * size + index)]);
      largest = difference <= largest ? largest : difference;
    }
  }
  return largest;
}

TEST(OutputsAndStatesEqualTheFormula) {
  for (const Shape& shape :
       {Shape{1, 1, 1, 1, 1, false}, Shape{9, 3, 1, 16, 8, false}, Shape{40, 5, 2, 7, 3, true},
        Shape{33, 100, 1, 16, 1, true}, Shape{70, 2, 3, 32, 48, false}}) {
    const Operands from(shape);
    Operands done(shape);
    Run(shape, done);
    CHECK(Difference(shape, from, done) < 2e-5);
  }
}

TEST(ATinyBetaAddsTheValueItself) {
  // How a recurrence without the delta rule is said in its terms (toolkit/export/executorch/recurrences.py).
  const Shape shape{1, 1, 1, 4, 2, false};
  Operands done(shape);
  const Operands from(shape);
  done.betas[0] = std::ldexp(1.0F, -40);
  for (float& value : done.values) value = std::ldexp(value, 40);
  Run(shape, done);
  for (int64_t index = 0; index < 8; ++index) {
    const float kept = from.states[Size(index)] * from.decays[0];
    const float added = from.keys[Size(index / 2)] * from.values[Size(index % 2)];
    CHECK(std::abs(done.states[Size(index)] - (kept + added)) < 1e-6F);
  }
}

}  // namespace
}  // namespace slm::kernels
