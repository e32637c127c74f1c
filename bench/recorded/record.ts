// Makes answers.jsonl: asks the real model about sixty things, one at a time, and writes down what it said and when.
// Run on a quiet machine, after set-up:   node --import tsx bench/recorded/record.ts

import { writeFileSync } from 'node:fs';
import { loadCharacters } from '../../npcs/characters.ts';
import { readConfigOrExit } from '../../runtime/config.ts';
import { createLlamaEngine } from '../../tiers/llama-engine.ts';
import { buildPrompt, type PromptCharacter } from '../../tiers/prompt.ts';
import {
  type RecordedAnswer,
  type RecordedPiece,
  type RecordingHeader,
  recordingFile,
  storyteller,
} from './recording.ts';

/** Beside the topics of each character. */
const questions = [
  'Who are you?',
  'What do you need from me?',
  'I have a hundred gold. What should I buy?',
  'Is it safe to travel to the mine at night?',
  'Tell me what you know about the goblins.',
  'Where can I sleep tonight?',
  'I have found your brother!',
  'Do you trust the people of this village?',
  'Sing me a song about the old days.',
  'Farewell, and thank you for everything.',
];
/** For the storyteller, whose answers are long. */
const stories = ['river', 'mill', 'old tower', 'dragon', 'winter', 'king', 'well', 'wolves', 'fair', 'sea'];
const maxTokens = 120;

interface Speaker extends PromptCharacter {
  readonly asked: readonly string[];
}

const extra = (
  id: string,
  persona: string,
  examples: PromptCharacter['examples'],
  asked: string[],
): Speaker => ({
  id,
  persona,
  facts: [],
  reminders: 0,
  rules: [],
  wares: [],
  counts: [],
  examples,
  asked,
});
const same = ['🙂🙃', '日本語', '👩‍🚀🚀', 'żółć', '🧙🏽‍♀️🧙🏽‍♀️'].map((signs) => ({
  player: signs,
  npc: `${signs} ${signs} ${signs}`,
}));
const yes = ['Is it day?', 'Is it warm?'].map((player) => ({ player, npc: 'Yes.' }));
const others = [
  extra(
    storyteller,
    'You are an old miller. You tell long stories about the valley, the river and its people.',
    [{ player: 'Good day.', npc: 'Good day to you. The mill is busy and the river is high.' }],
    stories.flatMap((about) => [
      `Tell me a story about the ${about}.`,
      `What happened at the ${about} then?`,
    ]),
  ),
  // The shortest answers there are, and some that are no English.
  extra('curt', 'You answer yes.', yes, ['Yes or no?']),
  extra('signs', 'You answer with the same signs.', same, ['🧙🏽‍♀️']),
];

const config = readConfigOrExit();
const { characters } = await loadCharacters(config.npcs);
const villagers = [...characters.values()].map((c) => ({
  ...c,
  asked: [...Object.values(c.topics), ...questions],
}));
const engine = await createLlamaEngine(config);
const never = new AbortController().signal;
const answers: RecordedAnswer[] = [];
for (const speaker of [...villagers, ...others]) {
  const promptFor = (words: string) =>
    buildPrompt({ character: speaker, history: [], words, contextTokens: config.contextTokens, maxTokens });
  await engine.warm(promptFor(''), never);
  for (const [i, player] of speaker.asked.entries()) {
    const pieces: RecordedPiece[] = [];
    let at = performance.now();
    const options = { temperature: 0.8, repeatPenalty: 1.1, maxTokens, seed: i };
    for await (const chunk of engine.generate(promptFor(player), options, never)) {
      if (chunk.type === 'done') break;
      const now = performance.now();
      pieces.push([chunk.text, Math.round((now - at) * 10) / 10, chunk.tokens]);
      at = now;
    }
    const text = pieces.map(([piece]) => piece).join('');
    process.stderr.write(`${speaker.id}: ${player}\n  ${text}\n`);
    // A storyteller who is short of words is of no use to whoever needs a long answer.
    const tooShort = speaker.id === storyteller && pieces.length < 24;
    if (text !== '' && !tooShort) answers.push({ npc: speaker.id, player, pieces });
  }
}
const round = (value: number) => Math.round(value * 100) / 100;
const header: RecordingHeader = {
  model: engine.model,
  prefillMsPerToken: round(engine.stats().prefillMsPerToken),
};
await engine.close();
writeFileSync(recordingFile, `${[header, ...answers].map((line) => JSON.stringify(line)).join('\n')}\n`);
process.stderr.write(`${answers.length} answers, ${JSON.stringify(header)}\n`);
