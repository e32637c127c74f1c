import { readFileSync } from 'node:fs';
import { loadCharacters } from './npcs/characters.ts';
import { loadQuestions } from './evaluation/questions.ts';
import { judgeAll } from './evaluation/score.ts';
import { readConfig } from './runtime/config.ts';
import { Recollection } from './tiers/recollection/recollection.ts';
import { factsFor } from './evaluation/facts.ts';
const set = await loadCharacters('npcs'); const qs = await loadQuestions('evaluation/practice', set);
const E = new Map(readFileSync(process.argv[2]!, 'utf8').trim().split('\n').map((l) => JSON.parse(l)).map((e) => [e.id, e]));
const r = await Recollection.open({ npcs: 'npcs', setting: '' }); await r!.learn(set.characters);
const told = new Map((await factsFor(qs, set, r)).map((t) => [t.question.id, t]));
await r!.close();
for (const v of judgeAll(qs, E, { characters: set.characters, verbs: set.game.verbs })) { if (v.right) continue; const q = qs.find((x) => x.id === v.id)!; const t = told.get(v.id)!;
  console.log(v.id, q.kind, JSON.stringify(q.turns.slice(-2)), q.state ?? '', '\n   =>', E.get(v.id).said.slice(-2).join(' || '), '\n   facts', t.rightAt, t.facts.join(' / '), '\n   ', v.faults.map((f) => f.why + ':' + f.what.slice(0, 60)).join('; ')); }
