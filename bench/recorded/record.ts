// Makes answers.jsonl: asks the real model about sixty things, one at a time, and writes down what it said and when.
// Run on a quiet machine, after set-up:   node --import tsx bench/recorded/record.ts

import { writeFileSync } from 'node:fs';
import { loadCharacters } from '../../npcs/characters.ts';
import { readConfigOrExit } from '../../runtime/config.ts';
import { createLlamaEngine } from '../../tiers/llama-engine.ts';
import { buildPrompt } from '../../tiers/prompt.ts';
import { type RecordedAnswer, type RecordedPiece, type RecordingHeader, recordingFile } from './recording.ts';

/** Beside the topics of each character. */
const lines = [
  'Who are you?',
  'What do you need from me?',
  'I have a hundred gold. What should I buy?',
  'Is it safe to travel to the mine at night?',
  'Tell me what you know about the goblins.',
  'Where can I sleep tonight?',
  'I have found your brother!',
  'What would you do in my place?',
  'Do you trust the people of this village?',
  'Sing me a song about the old days.',
  'Why is everybody so afraid?',
  'Farewell, and thank you for everything.',
  'Explain to me, step by step, how I get from here to the mine and what I should take with me.',
  'Tell me a long story about this village.',
];
const maxTokens = 96;

const config = readConfigOrExit();
const { characters } = await loadCharacters(config.npcs);
const engine = await createLlamaEngine(config);
const never = new AbortController().signal;
const answers: RecordedAnswer[] = [];
for (const character of characters.values()) {
  const promptFor = (words: string) =>
    buildPrompt({ character, history: [], words, contextTokens: config.contextTokens, maxTokens });
  await engine.warm(promptFor(''), never);
  for (const [i, player] of [...Object.values(character.topics), ...lines].entries()) {
    const pieces: RecordedPiece[] = [];
    let at = performance.now();
    const options = { ...character.sampling, temperature: 0.8, maxTokens, seed: i };
    for await (const chunk of engine.generate(promptFor(player), options, never)) {
      if (chunk.type === 'done') {
        if (chunk.reason !== 'aborted' && pieces.length > 0)
          answers.push({ npc: character.id, player, reason: chunk.reason, pieces });
        break;
      }
      const now = performance.now();
      pieces.push([chunk.text, Math.round((now - at) * 10) / 10, chunk.tokens]);
      at = now;
    }
    process.stderr.write(`${character.id}: ${player}\n  ${pieces.map(([text]) => text).join('')}\n`);
  }
}
const gaps = answers.flatMap(({ pieces }) => pieces.slice(1)).map(([, ms, tokens]) => ms / tokens);
const round = (value: number) => Math.round(value * 100) / 100;
const header: RecordingHeader = {
  model: engine.model,
  prefillMsPerToken: round(engine.stats().prefillMsPerToken),
  decodeMsPerToken: round(gaps.reduce((sum, ms) => sum + ms, 0) / gaps.length),
};
await engine.close();
writeFileSync(recordingFile, `${[header, ...answers].map((line) => JSON.stringify(line)).join('\n')}\n`);
process.stderr.write(`${answers.length} answers, ${gaps.length} pieces, ${JSON.stringify(header)}\n`);
