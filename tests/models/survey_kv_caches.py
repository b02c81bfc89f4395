"""What the survey measured."""

# Survey Fig. 11 (b), digitised from the authors' figure: MiB of keys and values at a context of 2,048.
KV_CACHE_MIB = {
    "SmolLM-135M": 45.0,
    "Pythia-160M": 72.0,
    "OpenELM-270M": 31.5,
    "SmolLM-360M": 80.0,
    "OpenELM-450M": 45.5,
    "Qwen2-0.5B": 24.0,
    "Qwen1.5-0.5B": 192.0,
    "BLOOM-560M": 192.0,
    "OpenELM-1.1B": 84.5,
    "Pythia-1.4B": 384.0,
    "Phi-1": 384.0,
    "Phi-1.5": 384.0,
    "BLOOM-1B1": 288.0,
    "Qwen2-1.5B": 56.0,
    "SmolLM-1.7B": 384.0,
    "Qwen-1.8B": 384.0,
    "Qwen1.5-1.8B": 384.0,
    "Gemma-2B": 36.0,
    "Phi-2": 640.0,
    "Pythia-2.8B": 640.0,
    "StableLM-zephyr-3B": 640.0,
    "OpenELM-3B": 164.0,
}
