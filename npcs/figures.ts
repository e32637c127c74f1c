// Words and whole numbers of a text, in digits or words, from left to right. Knows no character and no ware.

/** Lower-case words and numbers; an apostrophe does not part a word. */
export function wordsOf(text: string): readonly string[] {
  return (
    text
      .toLowerCase()
      .replace(/['\u2019]/g, '')
      .match(/[\p{L}\p{N}]+/gu) ?? []
  );
}

/** What is left when case, punctuation and blanks do not count. */
export function normal(text: string): string {
  return wordsOf(text).join(' ');
}

const scores: Readonly<Record<string, number>> = { two: 40, three: 60, four: 80 };

/** "A dozen", "two score" as a number; of plain words (`normal`). */
export function dozensCounted(text: string): string {
  return text
    .replace(/\bhalf a dozen\b/g, '6')
    .replace(/\b(?:a )?dozen\b/g, '12')
    .replace(/\b(two|three|four) score\b/g, (_, many: string) => String(scores[many]))
    .replace(/\b(?:a|one) score\b/g, '20');
}

const small =
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'.split(
    ' ',
  );
const tens = 'twenty thirty forty fifty sixty seventy eighty ninety'.split(' ');

/** A number and the words around it. */
export interface Figure {
  readonly value: number;
  /** Of a number in words or digits; empty at the ends of the text. */
  readonly before: string;
  readonly after: string;
}

/** The whole numbers of a text from left to right, up to 999 in words. "One" alone is mostly no number, and is none here. */
export function figures(text: string): readonly Figure[] {
  const words = wordsOf(text);
  const found: Figure[] = [];
  for (let i = 0; i < words.length; ) {
    const { value, length } = numberAt(words, i);
    if (length > 0 && !(length === 1 && words[i] === 'one' && !coin.test(words[i + 1] ?? '')))
      found.push({ value, before: words[i - 1] ?? '', after: words[i + length] ?? '' });
    i += Math.max(1, length);
  }
  return found;
}

/** What gold is counted in. */
export const coin = /^(?:gold|golds|coins?|pieces?)$/;

/** The number that begins with the word at `at`, and how many words it takes: none when there is none. */
export function numberAt(words: readonly string[], at: number): { value: number; length: number } {
  const word = words[at]!;
  if (/^\d{1,7}$/.test(word)) return { value: Number(word), length: 1 };
  const below = belowHundred(words, at);
  const hundred =
    (below.length > 0 ? words[at + below.length] : word === 'a' ? words[at + 1] : word) === 'hundred';
  if (!hundred) return below;
  const start = below.length > 0 ? below.length + 1 : word === 'a' ? 2 : 1;
  const and = words[at + start] === 'and' ? 1 : 0;
  const rest = belowHundred(words, at + start + and);
  const count = below.length > 0 ? below.value : 1;
  return rest.length > 0
    ? { value: count * 100 + rest.value, length: start + and + rest.length }
    : { value: count * 100, length: start };
}

function belowHundred(words: readonly string[], at: number): { value: number; length: number } {
  const ten = tens.indexOf(words[at] ?? '');
  const one = small.indexOf(words[at + (ten < 0 ? 0 : 1)] ?? '');
  if (ten < 0) return one < 0 ? { value: 0, length: 0 } : { value: one, length: 1 };
  const more = one >= 1 && one <= 9;
  return { value: (ten + 2) * 10 + (more ? one : 0), length: more ? 2 : 1 };
}
