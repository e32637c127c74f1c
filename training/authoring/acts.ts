// Whether what an answer does is what its words promise, by the project's own grammar of speech and act: a character must
// not learn to say yes and give nothing, or the other way round.

import type { Character } from '../../npcs/characters.ts';
import type { AuthoredAct } from '../../npcs/exchange.ts';
import type { Authored } from '../../npcs/read-exchanges.ts';
import { faultOf, type Game } from '../../npcs/verbs.ts';
import { type Candidate, choicesOf } from '../../tiers/decide.ts';

/** Faults of the acts of one exchange: of verbs, arguments, and of what goes with which words. */
export function faultsOfActs({ rows, at }: Authored, character: Character, game: Game): readonly string[] {
  const faults = new Set<string>();
  for (const { turns, does, context, row } of rows) {
    const place = rows.length > 1 ? `${at} row ${row + 1}` : at;
    for (const [i, turn] of turns.entries()) {
      const told = turns.length > 1 ? `${place}: turn ${i + 1}` : place;
      const unsound = unsoundActs(turn.does, game);
      for (const fault of unsound) faults.add(`${told}: does: ${fault}`);
      if (unsound.length > 0) continue;
      for (const words of turn.wordings) {
        const fault = faultOfSpeech(character, game, words, turn.answer, turn.does);
        if (fault) faults.add(`${told}: does: ${fault}`);
      }
    }
    if (context === undefined || turns.length > 0) continue;
    const unsound = unsoundActs(does, game);
    const fault = unsound[0] ?? faultOfThought(character, game, context, does);
    if (fault) faults.add(`${place}: does: ${fault}`);
  }
  return [...faults];
}

function unsoundActs(does: readonly AuthoredAct[], { verbs }: Game): string[] {
  return does.flatMap(({ verb: name, args }) => {
    const verb = verbs.get(name);
    if (!verb) return [`there is no verb ${name}; there are ${[...verbs.keys()].join(', ')}`];
    const fault = faultOf(verb, args);
    return fault ? [`${name}: ${fault}`] : [];
  });
}

function faultOfSpeech(
  character: Character,
  game: Game,
  words: string,
  speech: string,
  does: readonly AuthoredAct[],
): string | undefined {
  const choices = choicesOf({ character, words, speech, done: [] }, game);
  const left = [...does];
  for (const { candidates } of choices.filter(({ isFree }) => !isFree)) {
    const at = left.findIndex((act) => candidates.some((way) => isWay(act, way)));
    if (at < 0)
      return `${quoted(speech)} after ${quoted(words)} promises "${candidates[0]!.label}" ${jsonOf(candidates[0]!)}, which is not there`;
    left.splice(at, 1);
  }
  // What the model may choose of its own accord, one at most.
  const offered = choices.find(({ isFree }) => isFree)?.candidates ?? [];
  const at = left.findIndex((act) => offered.some((way) => isWay(act, way)));
  if (at >= 0) left.splice(at, 1);
  const [extra] = left;
  return (
    extra &&
    `${quoted(speech)} after ${quoted(words)} goes with no ${extra.verb} ${JSON.stringify(extra.args)}`
  );
}

function faultOfThought(
  character: Character,
  game: Game,
  context: string,
  does: readonly AuthoredAct[],
): string | undefined {
  const [choice] = choicesOf({ character, words: context, done: [] }, game);
  if (!choice) return 'in this situation nothing is in question, so nobody is asked';
  const labels = choice.candidates.map((way) => `"${way.label}" ${jsonOf(way)}`).join(', ');
  if (does.length > 1) return 'a thought does one thing at most';
  const [act] = does;
  if (!act) return choice.isFree ? undefined : `something has to be chosen here: ${labels}`;
  if (choice.candidates.some((way) => isWay(act, way))) return undefined;
  return `${act.verb} ${JSON.stringify(act.args)} is not in question here; these are: ${labels}`;
}

/** Whether an act is this way of doing one, with sound values for what the way leaves open. */
export function isWay(act: AuthoredAct, { verb, fixed, open }: Candidate): boolean {
  return (
    act.verb === verb.name &&
    Object.entries(fixed).every(([key, value]) => act.args[key] === value) &&
    Object.keys(open).every((key) => Object.hasOwn(act.args, key)) &&
    Object.keys(act.args).every((key) => Object.hasOwn(fixed, key) || Object.hasOwn(open, key))
  );
}

const quoted = (text: string) => JSON.stringify(text);
const jsonOf = ({ verb, fixed }: Candidate) => JSON.stringify({ verb: verb.name, args: fixed });
