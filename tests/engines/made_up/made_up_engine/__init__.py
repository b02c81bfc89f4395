"""An engine that another package brings: eight bits in groups of 64, and no runner."""

from toolkit.engines.spec import Capabilities, EngineSpec, Processor

ENGINE = EngineSpec(
    name="made-up",
    title="Made Up",
    short_name="mu",
    artifact_word="madeup",
    mark="square",
    package="made_up_engine",
    extra=None,
    converting_extras=(),
    packages=("made_up_engine",),
    model_file="model.mu",
    capabilities=Capabilities(linears={"fp32": (), "8w": (64,)}, embeddings=("fp32", "8w")),
    processor=Processor("cpu", "MadeUpCpu"),
    lowering="made_up_engine.lowering:LOWERING",
    decoder="made_up_engine.session:open_model",
    official_runtime="made-up run",
    environment={"MADE_UP_QUIET": "1"},
)
NUMBER = 3
