"""What answers are worth, by good ones, bad ones and those that try to cheat, judged by the real judge
(training/judge.ts)."""

import json

import pytest
from parley_training import rewards
from parley_training.data import Example
from parley_training.failure import TrainingFailure
from parley_training.rewards import Judge

FACTS = "A sword costs 30 gold.\nA shield costs 20 gold.\nRepairs cost 5 gold.\nRosa keeps the inn, the Copper Kettle."
QUESTION = 'What does Mira do now? Choose one: go to gate, emote nod, nothing. Answer in JSON with "do".'


@pytest.fixture(scope="module")
def judge():
    with Judge() as one:
        yield one


def ask(player: str, answer: str, kind: str = "fact", npc: str = "mira", form: str = "speech") -> Example:
    return Example("x/0", npc, kind, form, FACTS, (), (), player, answer)


PRICE = ask("What is a sword?\n\nFact: A sword costs 30 gold.", "30 gold for a sword.")
SUM = ask(
    "I have 25 gold, is that enough for a sword?\n\nFact: You have 25 gold, traveller. A sword costs 30 gold.",
    "No, a sword is 30 gold. You are 5 short.",
    "sum",
)
BUY = ask("One sword, please.\n\nFact: You have 50 gold, traveller.", "Here is your sword, that is 30 gold.", "buy")
POOR = ask("One sword, please.\n\nFact: You have 10 gold, traveller.", "No, you are 20 gold short for a sword.", "buy")
UNKNOWN = ask("Who is the king of Spain?", "I do not know any king of Spain, traveller.", "unknown")
INN = ask("Where can I sleep?\n\nFact: Rosa keeps the inn, the Copper Kettle.", "Rosa keeps the inn, go there.")


def worth(example: Example, text: str, judge: Judge) -> float:
    parts = {name: part(example, text) for name, part in rewards.verifiable(judge).items()}
    return sum(rewards.WEIGHTS[name] * value for name, value in parts.items() if value is not None)


@pytest.mark.parametrize("example", [PRICE, SUM, BUY, POOR, UNKNOWN, INN])
def test_the_expected_answer_is_worth_most(example, judge):
    assert worth(example, example.answer, judge) == pytest.approx(5)


@pytest.mark.parametrize(
    ("example", "text"),
    [
        (PRICE, "A sword is 30 gold, traveller."),
        (SUM, "Not enough, traveller: a sword costs 30 gold, so you are 5 gold short."),
        (BUY, "Take this sword, 30 gold."),
        (UNKNOWN, "I never heard of that."),
    ],
)
def test_other_good_answers_are_worth_nearly_as_much(example, text, judge):
    assert worth(example, text, judge) > 4


@pytest.mark.parametrize(
    ("example", "text"),
    [
        (PRICE, "A sword costs 20 gold."),
        (PRICE, "I do not know what a sword costs."),
        (SUM, "Yes, 25 gold is enough for a sword."),
        (SUM, "No, a sword is 30 gold. You are 7 short."),
        (BUY, "A shield is 20 gold."),
        (BUY, "No, I will not sell it."),
        (POOR, "Here is your sword, that is 30 gold."),
        (UNKNOWN, "The king of Spain is Alfonso."),
        (INN, "Tam is dead."),
    ],
)
def test_wrong_answers_are_worth_less_than_half(example, text, judge):
    assert worth(example, text, judge) < 2.5


@pytest.mark.parametrize("example", [PRICE, SUM, BUY, POOR, UNKNOWN, INN])
@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "   ",
        FACTS,
        FACTS.replace("\n", " "),
        "A sword costs 30 gold. A shield costs 20 gold. Repairs cost 5 gold.",
        "A sword costs 30 gold. A shield costs 20 gold.",
        "gold gold gold gold sword sword sword.",
        "30 gold for a sword. 30 gold for a sword.",
        "I am an AI language model, a sword is 30 gold.",
        "30 gold for a sword, 20 for a shield, 5 for a repair, 4 for a room, 2 for stew, 1 for ale, yes, no, all of it "
        "and more of everything that there is in the village.",
        "30 gold \u2694\ufe0f.",
        "30\ngold for a sword.",
        '{"do":"give sword 30"}',
    ],
)
def test_cheating_is_worth_nothing(example, text, judge):
    assert worth(example, text, judge) == 0


def test_a_list_of_prices_is_worth_less_than_the_price(judge):
    listed = "A sword is 30 gold, a shield is 20 gold and a repair is 5 gold."
    assert rewards.form(PRICE, listed, judge) == 1
    assert rewards.facts(PRICE, listed, judge) <= 0.2


def test_the_players_words_handed_back_are_worth_nothing(judge):
    assert worth(UNKNOWN, "Who is the king of Spain?", judge) == 0


def test_every_promise_of_an_act_counts(judge):
    assert rewards.agreement(BUY, "Here is your sword.", judge) == 1
    assert rewards.agreement(BUY, "A sword is 30 gold.", judge) == 0
    # Giving the shield as well is more than was asked for.
    assert rewards.agreement(BUY, "Here is your sword, and here is your shield.", judge) == 0
    assert rewards.agreement(POOR, "Here is your sword.", judge) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"do":"emote nod"}', 1.0),
        ('{ "do": "emote nod" }', 1.0),
        ('{"do":"go to gate"}', 0.4),
        ('{"do":"nothing"}', 0.4),
        ('{"do":"fly away"}', 0.2),
        ('{"do":"go to gate, emote nod, nothing"}', 0.2),
        ('{"do":"emote nod","and":"go to gate"}', 0.0),
        ('{"do":["emote nod","go to gate","nothing"]}', 0.0),
        ('I nod. {"do":"emote nod"}', 0.0),
        ('{"do":"emote nod"} {"do":"go to gate"}', 0.0),
        ('{"do":"emote nod"', 0.0),
        ("emote nod", 0.0),
        ("[]", 0.0),
        ("", 0.0),
    ],
)
def test_acts_are_worth_what_they_choose(text, expected, judge):
    asked = ask(f"(It is day.)\n\n{QUESTION}", '{"do":"emote nod"}', form="think")
    assert rewards.choice(asked, text) == expected
    assert worth(asked, text, judge) == pytest.approx(5 * expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"do":"give sword 30"}', 1.0),
        ('They paid, so it is theirs.\n{"do":"give sword 30"}', 1.0),
        ('A thought of any length, even with the words give sword 30.\n{"do":"give sword 30"}', 1.0),
        # difflib by hand: "give s" and " " and "0" of 13 and 14 letters match, or more; less than all, more than none.
        ('{"do":"give shield 20"}', pytest.approx(2 * 9 / 27)),
        ('{"do":"zzz"}', 0.0),
        ("give sword 30", -1.0),
        ('{"do":"give sword 30"} and more', -1.0),
        ('{"do":""}', -1.0),
        ('{"act":"give sword 30"}', -1.0),
        ('{"do":"give sword 30"', -1.0),
        ("", -1.0),
    ],
)
def test_similarity_is_that_of_the_act_alone(text, expected):
    assert rewards.similarity(text, "give sword 30") == expected


def test_similarity_grows_with_what_is_right():
    near, far = (rewards.similarity(json.dumps({"do": act}), "go to gate") for act in ("go to forge", "emote nod"))
    assert 1 > near > far > 0


def test_rewards_by_chance_do_not_depend_on_the_text_and_come_again():
    first = [rewards.drawn(7, 3, number) for number in range(400)]
    assert first == [rewards.drawn(7, 3, number) for number in range(400)]
    assert first != [rewards.drawn(8, 3, number) for number in range(400)]
    assert sum(first) / 400 == pytest.approx(0.5, abs=0.06)


def test_an_unknown_character_is_named(judge):
    with pytest.raises(TrainingFailure, match="gandalf"):
        judge(ask("Hello.", "Hello.", npc="gandalf"), "Hello.")
