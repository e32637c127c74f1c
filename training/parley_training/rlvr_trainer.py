"""Group-relative policy optimisation of a LoRA adapter, for SRL and RLVR alike: TRL's GRPOTrainer with two
parts of our own.

Answers are sampled and scored in packs with one shared beginning (rlvr_rollouts.py, forward.py), and groups
of answers that are all worth the same are left out before a step is spent on them. Loss, advantages, KL and
the loop are TRL's. Rewards come from outside.
"""

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from datasets import Dataset
from peft import PeftModel
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from .data import Tokens
from .forward import pack_hidden
from .packing import common_prefix, make_pack
from .rewards import drawn
from .rlvr_rollouts import autocast, roll_out

# TRL warns that its hook for rollouts may change; the lock pins it, and the tests hold what we need of it.
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

Score = Callable[[int, str], dict[str, float | None]]
"""The parts of the reward of an answer to the problem of this number; None for a part that says nothing of
it."""
EVERY_SECONDS = 15
"""Between two lines of progress."""
SPREAD = 1e-3
"""Groups whose rewards deviate less than this teach nothing (the filter of SRL and of DAPO's dynamic
sampling)."""


@dataclass(frozen=True)
class Problems:
    """What is practised: prompts as tokens, and what an answer to each is worth. `weights` are those of the
    parts."""

    prompts: list[Tokens]
    score: Score
    weights: dict[str, float]

    @cached_property
    def by_npc(self) -> dict[str, list[int]]:
        """The numbers of each character's problems: their prompts begin alike."""
        found: dict[str, list[int]] = {}
        for number, tokens in enumerate(self.prompts):
            found.setdefault(tokens.example.npc, []).append(number)
        return found

    def total(self, parts: dict[str, float | None]) -> float:
        """The reward of an answer: its parts by their weights."""
        return sum(self.weights[name] * value for name, value in parts.items() if value is not None)


@dataclass(frozen=True)
class Group:
    """The answers to one problem. `parts` of each answer and its `totals`."""

    problem: int
    answers: list[list[int]]
    parts: list[dict[str, float | None]]
    totals: list[float]

    @property
    def spread(self) -> float:
        """The standard deviation of the rewards."""
        return float(torch.tensor(self.totals).std()) if len(self.totals) > 1 else 0.0


class GroupTrainer(GRPOTrainer):
    """Each step takes several problems of one character, by chance from the seed and the step's number, so
    that a run that was resumed takes the same. `by_chance` replaces the rewards by drawn ones and leaves
    everything else as it is."""

    def __init__(
        self,
        model: PeftModel,
        args: GRPOConfig,
        problems: Problems,
        *,
        prompts_per_step: int,
        tries: int,
        by_chance: bool,
        **rest: object,
    ) -> None:
        self.problems = problems
        self.prompts_per_step = prompts_per_step
        self.tries = tries
        self.by_chance = by_chance
        self.chosen: list[Group] = []
        super().__init__(
            model=model,
            args=args,
            reward_funcs=[self._reward],
            # Which problems a step takes is decided in `choose`; the loop only has to know how many.
            train_dataset=Dataset.from_dict({"prompt": [""] * (prompts_per_step * args.max_steps)}),
            rollout_func=self._answers,
            **rest,
        )

    def choose(self, step: int) -> list[Group]:
        """The groups of a step: those whose answers differ in worth first, and others only where these do not
        suffice after as many tries as are allowed."""
        dice = random.Random(f"{self.args.seed} {step}")
        prompts = self.problems.prompts
        pool = self.problems.by_npc[prompts[dice.randrange(len(prompts))].example.npc]
        numbers = dice.sample(pool, min(len(pool), self.prompts_per_step * self.tries))
        numbers += [dice.choice(pool) for _ in range(self.prompts_per_step - len(numbers))]
        kept: list[Group] = []
        flat: list[Group] = []
        for start in range(0, len(numbers), self.prompts_per_step):
            part = numbers[start : start + self.prompts_per_step]
            for group in self.answer(self.problems, part, dice.randrange(2**32), self.num_generations):
                (kept if group.spread > SPREAD else flat).append(group)
            if len(kept) >= self.prompts_per_step:
                break
        self._metrics["train"]["groups"].append(len(kept) / (len(kept) + len(flat)))
        return (kept + flat)[: self.prompts_per_step]

    def answer(self, problems: Problems, numbers: list[int], seed: int | None, count: int) -> list[Group]:
        """Answers to these problems of one character and what they are worth; without a seed the likeliest
        answers."""
        self.model.eval()
        found = roll_out(
            self.accelerator.unwrap_model(self.model),
            [problems.prompts[number] for number in numbers],
            count=count,
            most=self.max_completion_length,
            temperature=0 if seed is None else self.temperature,
            end=self._tokenizer.eos_token_id,
            dice=None if seed is None else torch.Generator().manual_seed(seed),
        )
        self.model.train()
        groups: list[Group] = []
        for number, answers in zip(numbers, found, strict=True):
            texts = self._tokenizer.batch_decode(answers, skip_special_tokens=True)
            parts = [problems.score(number, text) for text in texts]
            groups.append(Group(number, answers, parts, [problems.total(part) for part in parts]))
        return groups

    def _generate_and_score_completions(self, inputs):  # noqa: ANN001, ANN202
        self.chosen = self.choose(self.state.global_step)
        totals = torch.tensor([group.totals for group in self.chosen])
        self._metrics["train"]["worth"].append(float(totals.mean()))
        self._metrics["train"]["spread"].append(float(totals.std(1).mean()))
        for name in self.problems.weights:
            found = [part.get(name) for group in self.chosen for part in group.parts]
            values = [value for value in found if value is not None]
            if values:
                self._metrics["train"][f"worth/{name}"].append(sum(values) / len(values))
        return super()._generate_and_score_completions(inputs)

    def _answers(self, prompts: list[str], trainer: GRPOTrainer) -> dict[str, list]:
        answers = [answer for group in self.chosen for answer in group.answers]
        prompts_ids = [self.problems.prompts[group.problem] for group in self.chosen for _ in group.answers]
        return {
            "prompt_ids": [list(tokens.ids[: tokens.answer]) for tokens in prompts_ids],
            "completion_ids": answers,
            "logprobs": None,
        }

    def _reward(self, completions: list[str], **_: object) -> list[float]:
        if self.by_chance:
            step = self.state.global_step
            return [drawn(self.args.seed, step, number) for number in range(len(completions))]
        return [total for group in self.chosen for total in group.totals]

    def _get_per_token_logps_and_entropies(  # noqa: ANN202
        self,
        model,  # noqa: ANN001
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **_: object,
    ):
        """Log probabilities and entropies (rows, logits_to_keep) of the answers, computed in packs."""
        mask = attention_mask[:, -logits_to_keep:].bool()
        example = self.problems.prompts[0].example
        rows = [
            Tokens(example, tuple(ids[there.bool()].tolist()), int(there.sum()) - int(answered.sum()))
            for ids, there, answered in zip(input_ids, attention_mask, mask, strict=True)
        ]
        adapted = self.accelerator.unwrap_model(model)
        order: list[int] = []
        found: list[torch.Tensor] = []
        entropies: list[torch.Tensor] = []
        for part in cheapest_parts(rows):
            pack = make_pack([rows[row] for row in part], common_prefix([rows[row] for row in part]))
            with autocast(adapted):
                logits = adapted.get_base_model().lm_head(pack_hidden(adapted, pack))
            chances = (logits.float() / self.temperature).log_softmax(-1)
            said = chances.gather(1, pack.targets.to(chances.device)[:, None])[:, 0]
            blank = torch.zeros(len(part), logits_to_keep, device=chances.device)
            found.append(blank.masked_scatter(mask[part], said))
            if compute_entropy:
                with torch.no_grad():
                    entropies.append(blank.masked_scatter(mask[part], -(chances.exp() * chances).sum(-1)))
            order += part
        back = torch.tensor(order, device=mask.device).argsort()
        return torch.cat(found)[back], torch.cat(entropies)[back] if compute_entropy else None, None

    def worth(self, problems: Problems, rows: int = 16) -> dict[str, float]:
        """What the likeliest answers to all problems are worth in the mean: `total`, and each part."""
        sums: dict[str, list[float]] = {"total": []}
        for numbers in problems.by_npc.values():
            for start in range(0, len(numbers), rows):
                for group in self.answer(problems, numbers[start : start + rows], None, 1):
                    sums["total"] += group.totals
                    for name, value in group.parts[0].items():
                        if value is not None:
                            sums.setdefault(name, []).append(value)
        return {name: round(sum(values) / len(values), 4) for name, values in sums.items() if values}


def cheapest_parts(rows: list[Tokens]) -> list[list[int]]:
    """Which rows to compute together, by their numbers: all of them, which shares what all begin with, or
    those of each prompt, which shares the prompt; whichever takes fewer tokens. Long prompts with short
    answers want the latter."""

    def cost(part: list[int]) -> int:
        prefix = common_prefix([rows[row] for row in part])
        return prefix + sum(len(rows[row].ids) - prefix for row in part)

    prompts: dict[tuple[int, ...], list[int]] = {}
    for number, tokens in enumerate(rows):
        prompts.setdefault(tokens.ids[: tokens.answer], []).append(number)
    whole, parts = [list(range(len(rows)))], list(prompts.values())
    return parts if sum(map(cost, parts)) < cost(whole[0]) else whole


class Pace(TrainerCallback):
    """Prints a line now and then, saves every few minutes, and stops early when that is asked for."""

    def __init__(self, name: str, save_minutes: float, stop_after: int | None) -> None:
        self.name = name
        self.seconds = save_minutes * 60
        self.stop_after = stop_after
        self.started = self.saved = self.printed = time.monotonic()
        self.first = 0
        self.history: list[dict[str, float]] = []

    def on_train_begin(self, args, state, control, **_):  # noqa: ANN001, ANN201, ANN003
        """Called by the trainer, also when it goes on from a checkpoint."""
        self.started = self.saved = time.monotonic()
        self.first = state.global_step
        self.history = [line for line in state.log_history if "worth" in line]

    def on_step_end(self, args, state, control, **_):  # noqa: ANN001, ANN201, ANN003
        """Called by the trainer after every step."""
        step = state.global_step
        if time.monotonic() - self.saved > self.seconds or step == self.stop_after:
            control.should_save = True
            self.saved = time.monotonic()
        if step == self.stop_after:
            control.should_training_stop = True
        return control

    def on_log(self, args, state, control, logs=None, **_):  # noqa: ANN001, ANN201, ANN003
        """Called by the trainer after every step with its figures."""
        if not logs or "worth" not in logs:
            return
        self.history.append(logs)
        now, step = time.monotonic(), state.global_step
        if now - self.printed < EVERY_SECONDS and step < state.max_steps:
            return
        self.printed = now
        left = (now - self.started) / max(1, step - self.first) * (state.max_steps - step)
        print(
            f"{self.name}: step {step} of {state.max_steps}, reward {logs['worth']:.3f} +- "
            f"{logs['spread']:.3f} in a group, KL {logs.get('kl') or 0:.4f}, "
            f"{logs['completions/mean_length']:.0f} tokens an answer, "
            f"{logs['groups']:.0%} of the groups differ, {left / 60:.1f} min left",
            flush=True,
        )
