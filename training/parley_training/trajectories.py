"""Expert trajectories of villagers (training/trajectories/<id>.jsonl), split into steps for SRL (srl.py).

A trajectory is a goal, what the villager sees, and for each step what it thinks and does, the act by the
label that a worker offers it by (tiers/decide.ts). Here they are read, checked and made into prompts; nothing
is trained here.
"""

import json
import random
from dataclasses import dataclass
from pathlib import Path

import yaml

from .data import Example
from .failure import TrainingFailure

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "training" / "trajectories"
NPCS = ROOT / "npcs"


@dataclass(frozen=True)
class Step:
    """One step: its prompt with the expert's own answer, the expert's act, and whether it is never trained
    on."""

    example: Example
    act: str
    offered: tuple[str, ...]
    held_out: bool


def labels_of(character: dict) -> list[str]:
    """How a character's acts are known to the model ("give sword 30"), in the order of its file; for an
    argument with several values one for each. The same as tiers/decide.ts makes of them."""
    labels: list[str] = []
    for act in character["acts"]:
        values = [value if isinstance(value, list) else [value] for value in act.get("args", {}).values()]
        ways = [[]]
        for column in values:
            ways = [[*way, value] for way in ways for value in column]
        labels += [" ".join([act["verb"].replace("_", " "), *map(str, way)]) for way in ways]
    return list(dict.fromkeys(labels))


def read_steps(beginnings: dict[str, Example], folder: Path = FOLDER, npcs: Path = NPCS) -> list[Step]:
    """All steps of all trajectories of a folder. `beginnings` holds any rendered example of each character,
    for the system text and the examples that all of its prompts begin with. Throws a TrainingFailure that
    names every fault."""
    faults: list[str] = []
    steps: list[Step] = []
    seen: set[str] = set()
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise TrainingFailure(f"there are no trajectories in {folder}")
    for file in files:
        npc = file.stem
        if npc not in beginnings:
            faults.append(f"{file.name}: the training data have no example of {npc}")
            continue
        character = yaml.safe_load((npcs / f"{npc}.yaml").read_text("utf8"))
        labels = labels_of(character)
        for number, line in enumerate(file.read_text("utf8").splitlines(), 1):
            try:
                trajectory = json.loads(line)
                found = faults_of(trajectory, labels, seen)
                if not found:
                    steps += split(trajectory, character["name"], labels, beginnings[npc])
            except ValueError as error:
                found = [f"no JSON: {error}"]
            faults += [f"{file.name} line {number}: {fault}" for fault in found]
    if faults:
        raise TrainingFailure("trajectories with faults:\n  " + "\n  ".join(faults[:20]))
    return steps


def faults_of(trajectory: object, labels: list[str], seen: set[str]) -> list[str]:
    """What is wrong with one trajectory, each as a sentence; empty when nothing is. Adds its id to `seen`."""
    if not isinstance(trajectory, dict):
        return ["is no object"]
    name = trajectory.get("id")
    faults = [
        f"{name}: {key} must be a text that is not empty"
        for key in ("id", "goal", "observation")
        if not isinstance(trajectory.get(key), str) or not trajectory[key].strip()
    ]
    if name in seen:
        faults.append(f"{name} comes twice")
    seen.add(name)
    unknown = set(trajectory) - {"id", "goal", "observation", "steps", "heldOut"}
    faults += [f"{name}: {key} is no field of a trajectory" for key in sorted(unknown)]
    steps = trajectory.get("steps")
    if not isinstance(steps, list) or len(steps) < 2:
        return [*faults, f"{name}: needs two steps at least"]
    for at, step in enumerate(steps, 1):
        place = f"{name} step {at}"
        if not isinstance(step, dict) or not all(isinstance(step.get(key), str) for key in ("thought", "act")):
            faults.append(f"{place}: needs a thought and an act")
            continue
        if step["act"] not in labels:
            faults.append(f"{place}: {step['act']!r} is none of its acts: {', '.join(labels)}")
        if "\n" in step["thought"] or "{" in step["thought"]:
            faults.append(f"{place}: a thought is one line without braces")
        if (at > 1) != ("sees" in step):
            faults.append(f"{place}: every step but the first says what is seen then (sees)")
    return faults


def split(trajectory: dict, name: str, labels: list[str], beginning: Example) -> list[Step]:
    """A trajectory as steps: each prompt holds the goal, what is seen, and the expert's steps before this
    one, as in SRL (arXiv 2510.25992, section 3: step-wise training data)."""
    turns: list[tuple[str, str]] = []
    steps: list[Step] = []
    for at, step in enumerate(trajectory["steps"]):
        seen = f"Your goal: {trajectory['goal']} {trajectory['observation']}" if at == 0 else step["sees"]
        # The order tells nothing, and is the same in every run.
        offered = random.Random(f"{trajectory['id']} {at}").sample(labels, len(labels))
        player = f"({seen})\n\n{question(name, offered)}"
        answer = f"{step['thought']}\n{json.dumps({'do': step['act']}, separators=(',', ':'))}"
        example = Example(
            id=f"{trajectory['id']}/{at}",
            npc=beginning.npc,
            kind="plan",
            form="think",
            system=beginning.system,
            examples=beginning.examples,
            turns=tuple(turns),
            player=player,
            answer=answer,
        )
        steps.append(Step(example, step["act"], tuple(offered), trajectory.get("heldOut", False)))
        turns.append((player, answer))
    return steps


def question(name: str, offered: list[str]) -> str:
    """The question of tiers/decide.ts, with room for a thought before the answer."""
    return f'What does {name} do now? Choose one: {", ".join(offered)}. Think, then answer in JSON with "do".'
