"""Reinforcement learning on a tiny model: that packed sampling and scoring are exact, that a reward which can
be learnt rises and one by chance does not, that groups without a difference are left out, and that a run goes
on where it was."""

import argparse
import json
import statistics

import pytest
import torch
from parley_training import lora, rlvr_run
from parley_training.data import Example, Tokens, tokenize
from parley_training.failure import TrainingFailure
from parley_training.rlvr_rollouts import NAME, roll_out
from parley_training.rlvr_trainer import Pace, Problems, cheapest_parts
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def tokenizer():
    """One token a byte."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<|im_start|>", "<|im_end|>", *letters])}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>"],
        chat_template=TEMPLATE,
    )


@pytest.fixture
def prompts(tokenizer):
    """Six prompts of one character that begin alike."""
    return tokenize([example(number) for number in range(6)], tokenizer)


def example(number: int, npc: str = "mira") -> Example:
    return Example(f"x/{number}", npc, "fact", "speech", "You sell swords.", (("Hi.", "Hello."),), (), "Go" * number + "?", "No.")


def make_model(tokenizer):
    """A model of two layers and shared keys with a new adapter that does something."""
    torch.manual_seed(1)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            eos_token_id=tokenizer.eos_token_id,
            initializer_range=0.3,
            attn_implementation=NAME,
        )
    )
    model.requires_grad_(False)
    adapted = lora.add_lora(model, rank=4, alpha=8, dropout=0.0, targets=list(lora.TARGETS))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return adapted


def options(**changed: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    rlvr_run.add_arguments(parser, "rlvr", 12)
    given = {"prompts": 2, "answers": 6, "tokens": 8, "rate": 2e-2, "kl": 0.0, "seed": 3} | changed
    return argparse.Namespace(**(vars(parser.parse_args([])) | given))


def trainer_of(tokenizer, prompts, folder, score, **changed):
    chosen = options(**changed)
    model = make_model(tokenizer)
    problems = Problems(prompts, score, {"worth": 1.0})
    pace = Pace("test", 60, chosen.stop_after)
    return rlvr_run.make_trainer(model, tokenizer, problems, chosen, folder, "cpu", pace), pace


def plain(_: int, text: str) -> dict[str, float]:
    """The share of an answer that is plain ASCII: a tiny model learns that soon."""
    return {"worth": sum(" " <= letter <= "~" for letter in text) / max(1, len(text))}


def test_sampled_answers_are_those_of_plain_generation(tokenizer, prompts):
    model = make_model(tokenizer).eval()
    found = roll_out(
        model, prompts, count=2, most=12, temperature=0, end=tokenizer.eos_token_id, dice=None
    )
    for tokens, answers in zip(prompts, found, strict=True):
        ids = list(tokens.ids[: tokens.answer])
        for _ in range(12):
            with torch.no_grad():
                ids.append(int(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
            if ids[-1] == tokenizer.eos_token_id:
                break
        assert answers == [ids[tokens.answer :]] * 2


def test_sampling_draws_as_the_chances_are(tokenizer, prompts):
    model = make_model(tokenizer).eval()
    ids = torch.tensor([prompts[0].ids[: prompts[0].answer]])
    with torch.no_grad():
        chances = model(input_ids=ids, use_cache=False).logits[0, -1].softmax(-1)
    dice = torch.Generator().manual_seed(5)
    found = roll_out(
        model, prompts[:1], count=4000, most=1, temperature=1, end=tokenizer.eos_token_id, dice=dice
    )
    counts = torch.bincount(torch.tensor([answer[0] for answer in found[0]]), minlength=len(chances)) / 4000
    assert torch.allclose(counts, chances, atol=0.02)


@pytest.mark.parametrize(("chosen", "packs"), [([0, 1, 2], 1), ([5, 0, 5], 1), ([0, 5, 0, 5, 5, 5, 0, 0, 5], 2)])
def test_log_probabilities_of_packs_are_those_of_separate_sequences(tokenizer, prompts, tmp_path, chosen, packs):
    if packs == 2:
        # As a step of a long trajectory: much that only the answers to one prompt share.
        prompts = tokenize([example(number * 40) for number in range(6)], tokenizer)
    prompts = [prompts[number] for number in chosen]
    trainer, _ = trainer_of(tokenizer, prompts, tmp_path, plain)
    answers = ([[5, 9, 70], [8], [33, 34, 35, 1]] * 3)[: len(prompts)]
    assert len(cheapest_parts([Tokens(p.example, p.ids[: p.answer] + (5,), p.answer) for p in prompts])) == packs
    lengths = [tokens.answer for tokens in prompts]
    ids = torch.zeros(len(prompts), max(lengths) + 4, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, (tokens, answer) in enumerate(zip(prompts, answers, strict=True)):
        first = max(lengths) - tokens.answer
        whole = [*tokens.ids[: tokens.answer], *answer]
        ids[row, first : first + len(whole)] = torch.tensor(whole)
        mask[row, first : first + len(whole)] = 1
    found, entropies, _ = trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, 4, compute_entropy=True)
    for row, (tokens, answer) in enumerate(zip(prompts, answers, strict=True)):
        whole = torch.tensor([[*tokens.ids[: tokens.answer], *answer]])
        with torch.no_grad():
            logits = trainer.model(input_ids=whole, use_cache=False).logits[0, tokens.answer - 1 : -1]
        expected = logits.log_softmax(-1)
        said = expected.gather(1, torch.tensor(answer)[:, None])[:, 0]
        assert torch.allclose(found[row, : len(answer)], said, atol=1e-4)
        assert torch.allclose(entropies[row, : len(answer)], -(expected.exp() * expected).sum(-1), atol=1e-3)
        assert not found[row, len(answer) :].any()


def test_advantages_are_relative_to_the_group(tokenizer, prompts, tmp_path):
    trainer, _ = trainer_of(tokenizer, prompts, tmp_path, plain)
    batch = trainer._generate_and_score_completions([{"prompt": ""} for _ in range(12)])
    for at, group in enumerate(trainer.chosen):
        totals = torch.tensor(group.totals)
        expected = (totals - totals.mean()) / (totals.std() + 1e-4)
        assert torch.allclose(batch["advantages"][at * 6 : at * 6 + 6], expected, atol=1e-4)
        assert abs(float(expected.sum())) < 1e-3


def test_a_reward_that_can_be_learnt_rises_and_one_by_chance_does_not(tokenizer, prompts, tmp_path):
    def run(rewards: str) -> tuple[float, float]:
        trainer, pace = trainer_of(tokenizer, prompts, tmp_path / rewards, plain, rewards=rewards, steps=24)
        trainer.train()
        worth = [line["worth"] for line in pace.history]
        return statistics.fmean(worth[:4]), statistics.fmean(worth[-4:])

    before, after = run("true")
    assert after > before + 0.25
    before_by_chance, after_by_chance = run("random")
    assert before_by_chance == pytest.approx(before, abs=0.1)
    assert after_by_chance < before_by_chance + 0.1


def test_groups_that_do_not_differ_are_left_out(tokenizer, prompts, tmp_path):
    def only_two(number: int, text: str) -> dict[str, float]:
        return {"worth": plain(number, text)["worth"] if number in (1, 4) else 0.5}

    trainer, _ = trainer_of(tokenizer, prompts, tmp_path, only_two, tries=3)
    for step in range(3):
        assert {group.problem for group in trainer.choose(step)} == {1, 4}


def test_distance_to_the_start_is_zero_at_first_and_grows(tokenizer, prompts, tmp_path):
    trainer, pace = trainer_of(tokenizer, prompts, tmp_path, plain, kl=0.01, steps=8)
    trainer.train()
    distances = [line["kl"] for line in pace.history]
    assert distances[0] == pytest.approx(0, abs=1e-5)
    assert distances[-1] > 1e-4


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(tokenizer, prompts, tmp_path):
    def weights(trainer):
        return {name: p.clone() for name, p in trainer.model.named_parameters() if p.requires_grad}

    whole, _ = trainer_of(tokenizer, prompts, tmp_path / "whole", plain, steps=8, kl=0.01)
    whole.train()
    first, _ = trainer_of(tokenizer, prompts, tmp_path / "cut", plain, steps=8, kl=0.01, stop_after=3)
    first.train()
    assert first.state.global_step == 3
    second, pace = trainer_of(tokenizer, prompts, tmp_path / "cut", plain, steps=8, kl=0.01)
    second.train(resume_from_checkpoint=str(tmp_path / "cut" / "checkpoints" / "checkpoint-3"))
    assert second.state.global_step == 8
    assert len(pace.history) == 8
    expected = weights(whole)
    for name, found in weights(second).items():
        assert torch.allclose(found, expected[name], atol=1e-5), name


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    folder = tmp_path / "checkpoints"
    assert rlvr_run.find_checkpoint("rlvr", tmp_path, {"seed": 1, "rate": 0.1}, False) is None
    (folder / "checkpoint-5").mkdir()
    (folder / "checkpoint-5" / "trainer_state.json").write_text("{}", "utf8")
    assert rlvr_run.find_checkpoint("rlvr", tmp_path, {"seed": 1, "rate": 0.1}, True).name == "checkpoint-5"
    with pytest.raises(TrainingFailure, match="another rate"):
        rlvr_run.find_checkpoint("rlvr", tmp_path, {"seed": 1, "rate": 0.2}, True)
    # A new run forgets what was there, folders and all.
    assert rlvr_run.find_checkpoint("rlvr", tmp_path, {"seed": 1, "rate": 0.2}, False) is None
    assert json.loads((folder / "settings.json").read_text("utf8")) == {"seed": 1, "rate": 0.2}
    assert not (folder / "checkpoint-5").exists()
