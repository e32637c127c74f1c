// How an answer is worded, whatever it says: its length and signs, whether it goes round in circles or hands the
// question back, whether it stays in character, what it promises. Each function names the fault or finds none.

import { wordsOf } from '../npcs/figures.ts';

export const mostWords = 40;
export const mostSentences = 2;

/** With plain quotes and single blanks: what patterns are matched against. */
export function plain(text: string): string {
  return text
    .replace(/[\u2018\u2019]/g, "'")
    .replace(/[\u201c\u201d]/g, '"')
    .replace(/\s+/g, ' ')
    .trim();
}

function sentencesOf(text: string): string[] {
  return text.match(/[^.!?]+[.!?]*/g)?.filter((sentence) => wordsOf(sentence).length > 0) ?? [];
}

/** Too long, several lines, letters that are not English, signs of a markup. */
export function styleFault(text: string): string | undefined {
  if (text.trim() === '') return 'empty';
  if (/[\r\n]/.test(text.trim())) return 'several lines';
  const count = wordsOf(text).length;
  if (count > mostWords) return `${count} words`;
  // "No." and "Aye, traveller!" are no sentences of their own.
  const sentences = sentencesOf(text).filter((sentence) => wordsOf(sentence).length > 2).length;
  if (sentences > mostSentences) return `${sentences} sentences`;
  const strange = /[^\p{ASCII}\u2013\u2014\u2018\u2019\u201c\u201d\u2026]/u.exec(text)?.[0];
  if (strange) return `the letter ${strange}`;
  const markup = /<\/?[a-z|]|\|>|\*|```|[{}[\]]|^#|\bhttps?:/i.exec(text)?.[0];
  if (markup) return `the sign ${markup}`;
  return undefined;
}

/** Four words, or a whole sentence, that come twice; one word three times running. */
export function loopFault(text: string): string | undefined {
  const words = wordsOf(text);
  const seen = new Set<string>();
  for (let i = 0; i + 4 <= words.length; i++) {
    const four = words.slice(i, i + 4).join(' ');
    if (seen.has(four)) return `"${four}" twice`;
    seen.add(four);
  }
  for (let i = 2; i < words.length; i++) {
    if (words[i] === words[i - 1] && words[i] === words[i - 2]) return `"${words[i]}" again and again`;
  }
  const sentences = sentencesOf(text).map((sentence) => wordsOf(sentence).join(' '));
  const twice = sentences.find((sentence, i) => sentences.indexOf(sentence) !== i);
  return twice === undefined ? undefined : `"${twice}" twice`;
}

const persons = new Set(['i', 'im', 'ive', 'ill', 'me', 'my', 'mine', 'you', 'your', 'youre']);

const asks = new Set(
  'what who where when why how which whose do does did is are was can could will would should has have'.split(
    ' ',
  ),
);
/** Of the words of an answer, those of a run of the question that make it the question. */
const fewestEchoed = 4;
const mostEchoed = 0.7;

/**
 * The player's own words handed back: an answer that is mostly one run of the question which asks ("Do you keep a
 * dog, traveller") or speaks of an "I" or "you" that now means somebody else, and one that ends in the question. ("A
 * sword costs 30 gold", to one who asked whether it does, is an answer.)
 */
export function echoFault(text: string, asked: string): string | undefined {
  const answer = wordsOf(text);
  const run = longestRun(answer, wordsOf(asked));
  if (run.length < fewestEchoed) return undefined;
  const isQuestion = /\?$/.test(plain(text));
  const isMost = isQuestion || run.length >= mostEchoed * answer.length;
  const asksAgain = asks.has(run[0]!) || run.some((word) => persons.has(word));
  const endsInIt = isQuestion && answer.slice(-run.length).join(' ') === run.join(' ');
  return (isMost && asksAgain) || endsInIt ? `"${run.join(' ')}"` : undefined;
}

/** The longest run of words that is in both. */
function longestRun(one: readonly string[], other: readonly string[]): readonly string[] {
  let best: readonly string[] = [];
  for (let i = 0; i < one.length; i++) {
    for (let j = 0; j < other.length; j++) {
      let n = 0;
      while (i + n < one.length && j + n < other.length && one[i + n] === other[j + n]) n++;
      if (n > best.length) best = one.slice(i, i + n);
    }
  }
  return best;
}

/** What nobody in the village has heard of: that it is a model, and how such things are spoken to. */
const outside: readonly RegExp[] = [
  /\ba\.?i\.?(?![\p{L}'])/iu,
  /\bartificial intelligence\b/i,
  /\b(?:language )?models?\b/i,
  /\bchat ?bots?\b/i,
  /\b(?:virtual |digital )?assistants?\b/i,
  /\bprompts?\b/i,
  /\b(?:open ?ai|chatgpt|gpt|llms?|hugging ?face|smollm|qwen|llama)\b/i,
  /\b(?:programmed|software|neural|algorithms?|training data|role-?play(?:ing)?)\b/i,
];

/** Talk of models, another speaker's label, the persona recited, or the name of another villager as its own. */
export function characterFault(
  text: string,
  { name, others }: { name: string; others: readonly string[] },
): string | undefined {
  const said = plain(text);
  for (const pattern of outside) {
    const found = pattern.exec(said)?.[0];
    if (found) return `"${found}"`;
  }
  const label = /^(?:player|traveller|npc|user|system|assistant|you|me|[A-Z][a-z]+):/i.exec(said)?.[0];
  if (label) return `the label "${label}"`;
  const recited = new RegExp(`\\byou are ${name}\\b`, 'i').exec(said)?.[0];
  if (recited) return `"${recited}"`;
  const wrong = others.find((other) => new RegExp(`\\b(?:i am|i'm|my name is) ${other}\\b`, 'i').test(said));
  return wrong === undefined ? undefined : `says it is ${wrong}`;
}

/** Words that every English sentence of some length has one of, and that are no words of its neighbours. */
const english =
  /\b(?:the|and|you|your|is|are|my|of|to|this|that|what|with|here|have|only|know|speak|it|i'm|don't|costs?|from|friend|traveller|not|but|they|she|nobody|never|tongue|words?|gold)\b/i;

/** A long answer without one common English word is in another tongue. */
export function tongueFault(text: string): string | undefined {
  return wordsOf(text).length >= 5 && !english.test(plain(text)) ? 'another tongue' : undefined;
}

const handsOver =
  /\b(?:here(?:'s| is| are| you go| you are)|there you (?:go|are)|take (?:this|these|the|your|it|a|an|one)|(?:it is|it's|is) (?:yours|open))\b/i;
const takesBack = /\?|\b(?:if|no|not|never|cannot|unless|once|when|would|could|but first)\b|n't\b/i;
const refuses = /^no\b|\b(?:cannot|can't|won't|will not|not enough|too little|short)\b/i;

/** Whether some sentence hands something over, by plain English and not by the words that the engine looks for. */
export function promises(text: string): boolean {
  return sentencesOf(plain(text)).some((sentence) => handsOver.test(sentence) && !takesBack.test(sentence));
}

/** Whether the answer as a whole says no, and nowhere hands anything over. */
export function denies(text: string): boolean {
  return refuses.test(plain(text)) && !promises(text);
}
