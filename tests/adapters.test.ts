// Adapters of the model: which one a worker takes, and that another one is taken up while players are spoken to. The
// real model in a real stack; the adapters are small and have learnt nothing, but each makes the model say other words.

import { createHash } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { End } from '../bus/protocol.ts';
import { readConfig } from '../runtime/config.ts';
import { repository } from '../scripts/stack/servers.ts';
import { Adapters } from '../tiers/adapters.ts';
import { defaultModelFile } from '../tiers/llama/load-model.ts';
import { createLlamaEngine } from '../tiers/llama-engine.ts';
import { coldPrompt, read } from './engine-contract.ts';
import { type LoraOptions, loraFile } from './helpers/lora-file.ts';
import { isTerminal, type RawClient } from './helpers/raw-client.ts';
import { sumMetric, useStack } from './helpers/stack.ts';

const cache = join(readConfig().home, 'cache');
const model = join(cache, 'models', defaultModelFile);
const modelName = defaultModelFile.replace('.gguf', '');
/** Nothing here takes long on a machine that has nothing else to do. */
const slow = 150_000;
const otherModel = 'f'.repeat(64);
const homes: string[] = [];
let base = '';

beforeAll(() => {
  base = sha256(readFileSync(model));
});
afterAll(() => {
  for (const home of homes) rmSync(home, { recursive: true, force: true });
});

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A PARLEY_HOME of its own that shares what set-up fetched. */
function newHome(): string {
  const home = mkdtempSync(join(tmpdir(), 'parley-adapters-'));
  homes.push(home);
  mkdirSync(join(home, 'cache'));
  for (const name of readdirSync(cache)) {
    if (!['states', 'hashes.json'].includes(name)) symlinkSync(join(cache, name), join(home, 'cache', name));
  }
  return home;
}

interface Written extends Partial<LoraOptions> {
  readonly name: string;
  readonly version?: string;
  /** What the manifest says of the file and of the model, where it does not tell the truth. */
  readonly sha256?: string;
  readonly madeFor?: string;
  readonly bytes?: Buffer;
}

/** Puts an adapter with its manifest into a folder; the manifest comes last and whole. */
function write(folder: string, manifest: string, adapter: Written): void {
  const { name, version = '1', scale = 0, inputs } = adapter;
  mkdirSync(folder, { recursive: true });
  const bytes = adapter.bytes ?? loraFile({ scale, inputs, base });
  const file = `${name}-${version}.gguf`;
  writeFileSync(join(folder, file), bytes);
  const told = {
    name,
    version,
    file,
    sha256: adapter.sha256 ?? sha256(bytes),
    base: { file: defaultModelFile, sha256: adapter.madeFor ?? base },
    kind: 'sft',
  };
  writeFileSync(join(folder, `${manifest}.new`), JSON.stringify(told));
  renameSync(join(folder, `${manifest}.new`), join(folder, manifest));
}

const promote = (home: string, adapter: Written) => write(join(home, 'adapters'), 'champion.json', adapter);

describe('a worker that serves', () => {
  const home = newHome();
  const npcs = join(home, 'npcs');
  mkdirSync(npcs);
  for (const name of ['game.yaml', 'mira.yaml', 'bram.yaml']) {
    copyFileSync(join(repository, 'npcs', name), join(npcs, name));
  }
  const stack = useStack({
    env: {
      PARLEY_HOME: home,
      PARLEY_NPCS: npcs,
      PARLEY_CONCURRENCY: '8',
      PARLEY_SEQUENCES: '9',
      PARLEY_CONTEXT_TOKENS: '1024',
      PARLEY_ADAPTER: '',
      // A busy machine may be slow; that is not what is looked at here.
      PARLEY_BUDGET_MS: String(slow),
      PARLEY_ACCEPT_MS: '10000',
      PARLEY_BEAT_MS: '5000',
      PARLEY_STALL_MS: '60000',
    },
  });
  const champion = { name: 'gold', version: '1', scale: 0.3 };
  const challenger = { name: 'gold', version: '2', scale: -0.3 };

  async function metric(name: string, labels = ''): Promise<number> {
    const port = stack.local.workers[0]!.listening.metricsPort;
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    return sumMetric(text, `parley_worker_adapter_${name}`, labels);
  }

  /** Waits until a metric says so. */
  async function until(wanted: number, name: string, labels: string): Promise<void> {
    const late = Date.now() + slow;
    while ((await metric(name, labels)) !== wanted) {
      if (Date.now() > late) throw new Error(`waited ${slow} ms for ${name} ${labels} to be ${wanted}`);
      await sleep(50);
    }
  }

  /** Promotes; resolves when the worker serves with it. */
  async function swap(to: Written): Promise<void> {
    promote(home, to);
    await until(1, 'info', `name="${to.name}",version="${to.version}",source="champion"`);
  }

  async function ask(client: RawClient, s: number, maxTokens = 12): Promise<{ text: string; model: string }> {
    client.send({ t: 'say', s, npc: 'mira', text: 'What do you sell?', maxTokens });
    await client.until(() => client.of(s).some(isTerminal), 'the answer', slow);
    const end = await client.terminal(s);
    expect(end).toMatchObject({ t: 'end', source: 'live' });
    return { text: client.text(s), model: (end as End).model };
  }

  test(
    'takes up what is promoted while eight streams run, and loses nothing of them',
    async () => {
      const talkers = await Promise.all(Array.from({ length: 8 }, () => stack.join()));
      let done = false;
      const streams = talkers.map(async (client, i) => {
        const npc = ['mira', 'bram'][i % 2]!;
        let s = 0;
        while (!done) {
          s++;
          client.send({ t: 'say', s, npc, text: `Tell me a long tale of ${i} wolves.`, maxTokens: 12 });
          await client.until(() => client.of(s).some(isTerminal), `the end of stream ${s}`, slow);
        }
        return s;
      });
      try {
        for (const to of [champion, challenger, champion]) await swap(to);
      } finally {
        done = true;
        await Promise.allSettled(streams);
      }
      const counts = await Promise.all(streams);
      const models = new Set<string>();
      for (const [i, client] of talkers.entries()) {
        for (let s = 1; s <= counts[i]!; s++) {
          const [end, ...more] = client.of(s).filter((m) => m.t === 'end' || m.t === 'err');
          expect(end).toMatchObject({ t: 'end', source: 'live', attempts: 1 });
          expect(more).toEqual([]);
          expect(client.of(s).at(-1)).toBe(end);
          // Throws where a piece is missing or comes twice.
          expect(client.text(s)).not.toBe('');
          models.add((end as End).model);
        }
      }
      expect([...models].sort()).toEqual([modelName, `${modelName}+gold-1`, `${modelName}+gold-2`]);
      expect(await metric('swaps_total', 'result="swapped"')).toBe(3);
      expect(await metric('swaps_total', 'result="failed"')).toBe(0);
    },
    3 * slow,
  );

  test(
    'says with each adapter what that one says, and needs no more memory with every swap',
    async () => {
      const said = new Map<string, string>();
      const megabytes: number[] = [];
      for (let round = 0; round < 5; round++) {
        for (const to of [challenger, champion]) {
          await swap(to);
          if (round < 2) {
            // A player with a past would be answered otherwise.
            const { text, model } = await ask(await stack.join(), 1);
            expect(model).toBe(`${modelName}+gold-${to.version}`);
            expect(text).toBe(said.get(model) ?? text);
            said.set(model, text);
          }
          megabytes.push(await residentMegabytes(stack.local.workers[0]!.pid!));
        }
      }
      expect(new Set(said.values()).size).toBe(2);
      process.stdout.write(`worker at each swap, MB: ${megabytes.join(' ')}\n`);
      // While two serve there are two; then one goes. Each that was forgotten would leave some 200 MB.
      const most = Math.max(...megabytes.slice(0, 2)) + 150;
      while ((await residentMegabytes(stack.local.workers[0]!.pid!)) > most) await sleep(100);
    },
    3 * slow,
  );

  test(
    'keeps the adapter that it has when the next one is no good, and says so',
    async () => {
      await swap(challenger);
      const failed = await metric('swaps_total', 'result="failed"');
      const whole = loraFile({ scale: 1, base });
      const broken: Written[] = [
        { name: 'other', madeFor: otherModel },
        { name: 'changed', sha256: otherModel },
        { name: 'half', bytes: whole.subarray(0, whole.length / 2) },
        { name: 'wide', inputs: 640 },
      ];
      for (const [i, to] of broken.entries()) {
        promote(home, to);
        await until(failed + i + 1, 'swaps_total', 'result="failed"');
        expect((await ask(await stack.join(), 1)).model).toBe(`${modelName}+gold-2`);
      }
      const log = stack.logs.join('\n');
      for (const words of ['other-1 was made for', 'is not the file of its manifest', 'half-1', 'wide-1']) {
        expect(log).toContain(words);
      }
    },
    slow,
  );

  test(
    'goes back to the model alone when there is no champion any more',
    async () => {
      await swap(challenger);
      rmSync(join(home, 'adapters', 'champion.json'));
      await until(1, 'info', 'name="none"');
      expect((await ask(await stack.join(), 1)).model).toBe(modelName);
    },
    slow,
  );
});

describe('which adapter is taken', () => {
  const options = (home: string) => ({ home, setting: '', model, npcs: join(home, 'npcs') });

  test('the one beside the characters, if it was made for the model', async () => {
    const home = newHome();
    const folder = join(home, 'npcs', 'adapters');
    expect(await new Adapters(options(home)).shipped()).toBeUndefined();
    write(folder, 'a-big-one.json', { name: 'big', madeFor: otherModel });
    expect(await new Adapters(options(home)).shipped()).toBeUndefined();
    write(folder, 'small.json', { name: 'small' });
    expect(await new Adapters(options(home)).shipped()).toMatchObject({ name: 'small', source: 'shipped' });
  });

  test('a worker starts without a champion that is no good, and with the shipped one instead', async () => {
    const home = newHome();
    promote(home, { name: 'other', madeFor: otherModel });
    write(join(home, 'npcs', 'adapters'), 'small.json', { name: 'small', scale: 0.3 });
    const heard: string[] = [];
    const engine = await createLlamaEngine({
      home,
      npcs: join(home, 'npcs'),
      model,
      adapter: '',
      threads: 1,
      contextTokens: 512,
      concurrency: 1,
      sequences: 2,
      prefillChunkTokens: 8,
      onAdapter: (result, inService) => heard.push(`${result} ${inService?.name}`),
    });
    try {
      expect(engine.model).toBe(`${modelName}+small-1`);
      expect(heard).toEqual(['failed undefined', 'loaded small']);
      const never = new AbortController().signal;
      const answer = await read(
        engine.generate(coldPrompt('Hello.', 1), { maxTokens: 4, temperature: 0 }, never),
      );
      expect(answer.text).not.toBe('');
    } finally {
      await engine.close();
    }
  });

  test('a file that is named is refused by name when it is for another model or no adapter', async () => {
    const home = newHome();
    const named = (bytes: Buffer | string) => {
      const file = join(home, 'named.gguf');
      writeFileSync(file, bytes);
      return new Adapters({ home, setting: file, model }).named();
    };
    await expect(named(loraFile({ scale: 1, base: otherModel }))).rejects.toThrow(
      /named.gguf was made for another/,
    );
    await expect(named('not a model')).rejects.toThrow(/named.gguf is no GGUF file/);
    await expect(new Adapters({ home, setting: model, model }).named()).rejects.toThrow(/is no LoRA adapter/);
    expect(await named(loraFile({ scale: 1, base }))).toMatchObject({ name: 'named', source: 'setting' });
    expect(await named(loraFile({ scale: 1 }))).toMatchObject({ name: 'named' });
    expect(await new Adapters({ home, setting: 'none', model }).named()).toBeUndefined();
  });

  test('a manifest with faults is refused with all of them', async () => {
    const home = newHome();
    mkdirSync(join(home, 'adapters'));
    const champion = async (text: string) => {
      writeFileSync(join(home, 'adapters', 'champion.json'), text);
      return new Adapters(options(home)).champion();
    };
    await expect(champion('{')).rejects.toThrow(/no JSON/);
    await expect(champion('{"name":"a/b"}')).rejects.toThrow(/name: .*version: .*file: .*sha256: .*base: /);
  });
});

async function residentMegabytes(pid: number): Promise<number> {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024);
}
