"""Training of Parley's characters: from rendered examples to a LoRA adapter that the llama engine loads.

Does not author examples (training/authoring, TypeScript) and does not talk to a running stack.
"""

import os

# Read by libraries as they are imported: no bars of progress in a log, nothing fetched, no warning after a fork.
for name, value in (("TQDM_DISABLE", "1"), ("HF_HUB_OFFLINE", "1"), ("TOKENIZERS_PARALLELISM", "false")):
    os.environ.setdefault(name, value)
