"""What an answer is worth, found out by a program: for SRL how near an act is to the expert's, for RLVR what
can be verified.

Whether words contradict facts is judged by training/judge.ts, the checks that authored exchanges pass; here
its findings become points. Every reward is a pure function of the prompt, the expected answer and the text.
Trains nothing.
"""

import difflib
import json
import random
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from .data import Example
from .failure import TrainingFailure

ROOT = Path(__file__).resolve().parents[2]
BROKEN = -1.0
"""SRL's reward for an answer whose form is wrong (arXiv 2510.25992, section 3)."""
WEIGHTS = {"form": 1.0, "facts": 3.0, "agreement": 1.0, "choice": 5.0}
"""Of the parts of RLVR's reward: a speech has the first three, an act or a thought the last; 5 is the most of
either."""
FEWEST_WORDS = 2
"""A full stop alone contradicts nothing; no authored answer has fewer words."""
TOLD_KINDS = ("fact", "dialogue", "sum", "buy")
"""Kinds whose answers are told by facts, so that the words of these facts have to come."""
DENIED_KINDS = ("sum", "buy", "unknown", "safety", "language")
"""Kinds where yes is not no."""


class Judge:
    """The program training/judge.ts, asked line by line. Use it as a context manager: it is a process of its
    own."""

    def __init__(self) -> None:
        node = shutil.which("node")
        if node is None:
            raise TrainingFailure("rewards are judged by Node.js, which is not on the PATH. See README.md")
        self._known: dict[str, dict] = {}
        self._process = subprocess.Popen(
            [node, "--import", "tsx", str(ROOT / "training" / "judge.ts")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf8",
        )

    def __enter__(self) -> "Judge":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def __call__(self, example: Example, answer: str) -> dict:
        """The verdict on an answer to an example's prompt; its fields are those of `Verdict` in judge.ts.
        Throws a TrainingFailure when the judge has ended or knows no such character."""
        line = json.dumps(
            {
                "npc": example.npc,
                "kind": example.kind,
                "turns": [{"player": player, "npc": npc} for player, npc in example.turns],
                "player": example.player,
                "answer": answer,
            }
        )
        if line not in self._known:
            try:
                self._process.stdin.write(line + "\n")
                self._process.stdin.flush()
                verdict = json.loads(self._process.stdout.readline())
            except (OSError, ValueError) as error:
                raise TrainingFailure("training/judge.ts has ended; its last words stand above") from error
            if "error" in verdict:
                raise TrainingFailure(f"training/judge.ts: {verdict['error']}")
            self._known[line] = verdict
        return self._known[line]


def act_in(text: str) -> str | None:
    """The act of an answer that may think before it: the JSON object at its end, as a text ("give sword 30"),
    or None when there is none or it has no "do"."""
    found = re.search(r"\{[^{}]*\}\s*$", text)
    if not found:
        return None
    try:
        act = json.loads(found.group())
    except ValueError:
        return None
    if not isinstance(act.get("do"), str) or not act["do"].strip():
        return None
    return " ".join(str(value) for value in act.values())


def similarity(text: str, expert: str) -> float:
    """SRL's reward: the ratio of difflib.SequenceMatcher (twice the matching characters over all) of the act
    in `text` and the expert's act, from 0 to 1; -1 when the form is wrong. What is thought before the act
    counts for nothing."""
    act = act_in(text)
    return BROKEN if act is None else difflib.SequenceMatcher(None, act, expert, autojunk=False).ratio()


def form(example: Example, text: str, judge: Judge) -> float:
    """1 for a speech that a character may say whatever its content: short, plain letters, whole sentences,
    nothing of computers, nothing twice, no copy of several facts or of the player's words; else 0."""
    verdict = judge(example, text)
    few = len(_plain(text).split()) < FEWEST_WORDS
    copied = copied_facts(example.system, text) > 1 or echoes(example, text)
    wrong = few or copied or repeats(text) or verdict["style"]
    return 0.0 if wrong else 1.0


def facts(example: Example, text: str, judge: Judge) -> float:
    """From 0 to 1, for a speech whose form is right: nothing may contradict the facts; the amounts of the
    expected answer have to come and no others; where it denies, so must this; of the facts' words that it
    has, the more the better."""
    if form(example, text, judge) == 0:
        return 0.0
    said, expected = judge(example, text), judge(example, example.answer)
    if said["facts"]:
        return 0.0
    if example.kind in DENIED_KINDS and said["denies"] != expected["denies"]:
        return 0.0
    return amounts(said, expected) * told(example, said, expected)


def amounts(said: dict, expected: dict) -> float:
    """The share of the expected amounts that came. Amounts that nobody asked for take most of it: a list of
    all prices would hold every right one."""
    wanted, got = set(expected["amounts"]), set(said["amounts"])
    share = len(wanted & got) / len(wanted) if wanted else 1.0
    return share * (0.2 if got - wanted - set(said["heard"]) else 1.0)


def told(example: Example, said: dict, expected: dict) -> float:
    """From 0.3 to 1 by the share of the facts' words that came, where an answer is told by facts."""
    wanted = set(expected["told"]) - {str(amount) for amount in expected["amounts"]}
    if example.kind not in TOLD_KINDS or not wanted:
        return 1.0
    return 1.0 - 0.7 * len(wanted - set(said["told"])) / len(wanted)


def agreement(example: Example, text: str, judge: Judge) -> float:
    """1 when a speech whose form is right promises the acts that the expected answer promises and no others;
    else 0."""
    if form(example, text, judge) == 0:
        return 0.0
    return 1.0 if judge(example, text)["due"] == judge(example, example.answer)["due"] else 0.0


def choice(example: Example, text: str) -> float:
    """For an act or a thought: 1 for the expected one, 0.4 for another that was offered, 0.2 for JSON of the
    right form that chooses nothing offered, 0 for anything else. Nothing may stand around the JSON: the
    engine's grammar lets nothing."""
    try:
        answer = json.loads(text)
    except ValueError:
        return 0.0
    expected = json.loads(example.answer)
    if not isinstance(answer, dict) or set(answer) != set(expected) or not isinstance(answer["do"], str):
        return 0.0
    if answer == expected:
        return 1.0
    return 0.4 if answer["do"] in offered_in(example.player) else 0.2


def offered_in(player: str) -> list[str]:
    """The acts that a question offers."""
    found = re.search(r"Choose one: (.*?)\. (?:Think|Answer)", player, re.DOTALL)
    return found.group(1).split(", ") if found else []


def repeats(text: str) -> bool:
    """Whether four words in a row or a sentence come twice, or a word three times running."""
    words = re.findall(r"[a-z0-9']+", text.lower())
    runs = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
    sentences = [_plain(part) for part in re.split(r"[.!?]+", text) if part.strip()]
    thrice = any(words[i] == words[i + 1] == words[i + 2] for i in range(len(words) - 2))
    return thrice or len(set(runs)) < len(runs) or len(set(sentences)) < len(sentences)


def copied_facts(system: str, text: str) -> int:
    """How many lines of the system text stand word for word in an answer."""
    plain = _plain(text)
    return sum(1 for line in system.split("\n") if _plain(line) and _plain(line) in plain)


def echoes(example: Example, text: str) -> bool:
    """Whether an answer is nothing but the player's own words, or part of them."""
    said = _plain(text)
    return len(said.split()) > 2 and f" {said} " in f" {_plain(example.player.split(chr(10), 1)[0])} "


def verifiable(judge: Judge) -> dict[str, Callable[[Example, str], float | None]]:
    """The parts of RLVR's reward by name; None where a part says nothing of an example's form."""
    return {
        "form": lambda example, text: form(example, text, judge) if example.form == "speech" else None,
        "facts": lambda example, text: facts(example, text, judge) if example.form == "speech" else None,
        "agreement": lambda example, text: agreement(example, text, judge) if example.form == "speech" else None,
        "choice": lambda example, text: choice(example, text) if example.form != "speech" else None,
    }


def drawn(seed: int, step: int, number: int) -> float:
    """The control's reward of a rollout, from 0 to 1: by chance, the same in every run, whatever the text."""
    return random.Random(f"{seed} {step} {number}").random()


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))
