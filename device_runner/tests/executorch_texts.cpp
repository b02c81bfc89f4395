#include "engines/executorch/executorch_engine.h"
#include "tests/session_texts.h"

int main(int argc, char** argv) { return slm::test::WriteTexts<slm::ExecutorchEngine>(argc, argv); }
