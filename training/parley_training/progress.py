"""Lines of progress: loss, speed and the time that is left. Prints; decides nothing."""

import time

from transformers import TrainerCallback


class Progress(TrainerCallback):
    """Prints a line now and then. `tokens` are those of every pack in order, `packs_per_step` of which make a step."""

    def __init__(self, name: str, tokens: list[int], packs_per_step: int, every_seconds: float = 15) -> None:
        self.name = name
        self.work = [
            sum(tokens[i : i + packs_per_step]) for i in range(0, len(tokens), packs_per_step)
        ]
        self.every = every_seconds
        self.started = self.printed = 0.0
        self.first = 0

    def on_train_begin(self, args, state, control, **_):  # noqa: ANN001, ANN201, ANN003
        """Called by the trainer, also when it goes on from a checkpoint."""
        self.started = time.monotonic()
        self.first = state.global_step

    def on_log(self, args, state, control, logs=None, **_):  # noqa: ANN001, ANN201, ANN003
        """Called by the trainer every few steps with the mean loss since the last time."""
        now = time.monotonic()
        step = state.global_step
        if not logs or "loss" not in logs or (now - self.printed < self.every and step < state.max_steps):
            return
        self.printed = now
        speed = sum(self.work[self.first : step]) / (now - self.started)
        left = sum(self.work[step:]) / speed
        print(
            f"{self.name}: step {step} of {state.max_steps}, loss {float(logs['loss']):.3f}, {speed:.0f} tokens/s, "
            f"{left / 60:.1f} min left",
            flush=True,
        )
