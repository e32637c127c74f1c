// Says by name whom or what words mean by "he", "her", "it" or "there": who or what was spoken of last and is called so. Goes by
// rules over the names that the game's author lists, knows no grammar, and is now and then wrong: what it makes is looked up
// beside the words themselves and never told to a model.

import type { SpokenOf } from '../../npcs/spoken-of.ts';

interface Pronoun {
  readonly pattern: RegExp;
  readonly as: SpokenOf['as'];
  /** What follows where it owns something. */
  readonly owns?: RegExp;
  /** What stands before the name. */
  readonly to?: string;
}

/** Words that stand for a name, in the order in which they are looked for; one of them is replaced. */
const pronouns: readonly Pronoun[] = [
  { pattern: /\bhis\b/i, as: 'he', owns: /^/ },
  { pattern: /\b(?:he|him)\b/i, as: 'he' },
  // "Her name", but "where is her now"; after "her" these are no noun.
  {
    pattern: /\bhers?\b/i,
    as: 'she',
    owns: /^\W*(?!\W|(?:is|was|to|at|in|on|for|and|or|if|now|then|here|there|again|too|from|with|about|by|when|why|today|yet|please|pls|anywhere|somewhere)\b)\w/i,
  },
  { pattern: /\bshe\b/i, as: 'she' },
  { pattern: /\btheir\b/i, as: 'they', owns: /^/ },
  { pattern: /\b(?:they|them)\b/i, as: 'they' },
  { pattern: /\bits?\b/i, as: 'it' },
  { pattern: /\b(?:that|this) place\b/i, as: 'it' },
  // "Is that far?", "where is that", and not "that one" or "is that all".
  {
    pattern:
      /(?<=\b(?:is|was|wheres|whats|about|to|from|of|near|in|at|do) )(?:that|this)\b(?= (?:far|near|safe|close|dangerous|open|good|big|old)\b|\W*$)/i,
    as: 'it',
  },
  // "How do I get there", and not "who is there" or "is there an inn".
  {
    pattern:
      /(?<!\b(?:is|are|am|was|were|be|isnt|over|out|up|down|who|hello|hi|hey) )\bthere\b(?! (?:is|are|was|were)\b)/i,
    as: 'it',
    to: 'to ',
  },
];

/** By list, which lives as long as the game's file is not edited. */
const patterns = new WeakMap<readonly SpokenOf[], readonly RegExp[]>();

/**
 * The words with a name in the place of what stands for it; undefined where nothing does, or nobody was spoken of.
 * `before`: what was said, newest first.
 */
export function byName(
  words: string,
  before: readonly string[],
  spokenOf: readonly SpokenOf[],
): string | undefined {
  if (spokenOf.length === 0) return undefined;
  for (const { pattern, as, owns, to = '' } of pronouns) {
    const found = pattern.exec(words);
    const name = found && lastNamed(before, as, spokenOf);
    if (!name) continue;
    const rest = words.slice(found.index + found[0].length);
    return `${words.slice(0, found.index)}${to}${name}${owns?.test(rest) ? "'s" : ''}${rest}`;
  }
  return undefined;
}

/** Of those who are spoken of so, the one who was named last. */
function lastNamed(
  before: readonly string[],
  as: SpokenOf['as'],
  spokenOf: readonly SpokenOf[],
): string | undefined {
  const all = patternsOf(spokenOf);
  for (const text of before) {
    let last = -1;
    let name: string | undefined;
    for (const [i, one] of spokenOf.entries()) {
      if (one.as !== as) continue;
      for (const { index } of text.matchAll(all[i]!))
        if (index > last) {
          last = index;
          name = one.name;
        }
    }
    if (name !== undefined) return name;
  }
  return undefined;
}

function patternsOf(spokenOf: readonly SpokenOf[]): readonly RegExp[] {
  const known = patterns.get(spokenOf);
  if (known) return known;
  const made = spokenOf.map(({ name, called }) => {
    const all = [name.replace(/^the /i, ''), ...called].sort((a, b) => b.length - a.length);
    return new RegExp(`\\b(?:${all.map((word) => word.replace(/[^\w ]/g, '\\$&')).join('|')})\\b`, 'gi');
  });
  patterns.set(spokenOf, made);
  return made;
}
