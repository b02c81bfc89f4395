#include "engines/onnxruntime/onnxruntime_engine.h"
#include "tests/session_texts.h"

int main(int argc, char** argv) { return slm::test::WriteTexts<slm::OnnxRuntimeEngine>(argc, argv); }
