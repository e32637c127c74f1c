"""The villagers' trajectories: sound, legal acts, and split into steps that hold what came before and never
what comes."""

import json
from collections import Counter

import pytest
import yaml
from parley_training import rewards, trajectories
from parley_training.data import Example
from parley_training.failure import TrainingFailure
from parley_training.trajectories import NPCS, labels_of, read_steps

CHARACTERS = ("bram", "edda", "mira", "rosa", "tobin", "yorick")
BEGINNINGS = {
    npc: Example(f"{npc}-f01/0", npc, "fact", "speech", f"You are {npc}.", (("Hi.", "Hello."),), (), "Hi.", "Hello.")
    for npc in CHARACTERS
}
GOOD = {
    "id": "mira-x01",
    "goal": "Sell a sword.",
    "observation": "It is day.",
    "steps": [
        {"thought": "Show it.", "act": "open shop"},
        {"sees": "They pay 30 gold.", "thought": "It is theirs.", "act": "give sword 30"},
        {"sees": "They leave.", "thought": "Goodbye.", "act": "emote wave"},
    ],
}


def test_there_are_enough_of_each_character_and_a_part_is_held_out():
    steps = read_steps(BEGINNINGS)
    ids = {step.example.id.split("/")[0]: step.held_out for step in steps}
    assert len(ids) >= 60
    assert set(Counter(name.split("-")[0] for name in ids)) == set(CHARACTERS)
    assert min(Counter(name.split("-")[0] for name, held in ids.items() if held).values()) >= 2
    assert 0.1 < sum(ids.values()) / len(ids) < 0.25


def test_no_goal_and_no_situation_comes_twice():
    texts = [step.example.player.split("\n")[0] for step in read_steps(BEGINNINGS) if not step.example.turns]
    assert len(set(texts)) == len(texts)


def test_a_step_holds_the_goal_and_the_steps_before_it_and_not_its_own_act(tmp_path):
    (tmp_path / "mira.jsonl").write_text(json.dumps(GOOD) + "\n", "utf8")
    first, second, third = read_steps(BEGINNINGS, tmp_path)
    assert (first.act, second.act, third.act) == ("open shop", "give sword 30", "emote wave")
    assert first.example.turns == ()
    assert first.example.player.startswith("(Your goal: Sell a sword. It is day.)\n\nWhat does Mira do now?")
    assert third.example.turns == (
        (first.example.player, 'Show it.\n{"do":"open shop"}'),
        (second.example.player, 'It is theirs.\n{"do":"give sword 30"}'),
    )
    assert third.example.player.startswith("(They leave.)\n\n")
    assert "Goodbye" not in third.example.player
    assert third.example.system == BEGINNINGS["mira"].system
    # The expert's own answer is worth most, and its act is among those that are offered.
    for step in (first, second, third):
        assert rewards.similarity(step.example.answer, step.act) == 1
        assert step.act in rewards.offered_in(step.example.player) == list(step.offered)


def test_labels_are_those_of_the_worker():
    labels = labels_of(yaml.safe_load((NPCS / "mira.yaml").read_text("utf8")))
    assert {"give sword 30", "open shop", "emote nod", "emote wave", "go to inn", "go to well"} <= set(labels)
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"goal": " "}, "goal must be a text"),
        ({"steps": GOOD["steps"][:1]}, "two steps at least"),
        ({"colour": "red"}, "colour is no field"),
        ({"steps": [GOOD["steps"][0], {**GOOD["steps"][1], "act": "give crown"}]}, "step 2: 'give crown' is none"),
        ({"steps": [GOOD["steps"][0], {"thought": "x", "act": "emote wave"}]}, "what is seen then"),
        ({"steps": [GOOD["steps"][0], {**GOOD["steps"][1], "thought": "x\n{}"}]}, "one line without braces"),
    ],
)
def test_faults_are_named(change, words, tmp_path):
    (tmp_path / "mira.jsonl").write_text(json.dumps(GOOD | change) + "\n", "utf8")
    with pytest.raises(TrainingFailure, match=words):
        read_steps(BEGINNINGS, tmp_path)


def test_an_id_comes_once_and_a_file_belongs_to_a_character(tmp_path):
    (tmp_path / "mira.jsonl").write_text((json.dumps(GOOD) + "\n") * 2, "utf8")
    (tmp_path / "gandalf.jsonl").write_text(json.dumps(GOOD) + "\n", "utf8")
    with pytest.raises(TrainingFailure, match="(?s)no example of gandalf.*mira-x01 comes twice"):
        read_steps(BEGINNINGS, tmp_path)
    assert trajectories.FOLDER.is_dir()
