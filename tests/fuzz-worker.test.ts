// A worker that lies: whatever it answers or says of itself, the gateway lives, hears the bus, and serves the players
// of others. What the liar's own players get is the liar's doing.

import fc from 'fast-check';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import WebSocket from 'ws';
import { encode } from '../bus/codec.ts';
import { frameKinds, writeFrame } from '../bus/frames.ts';
import type { Encoding } from '../bus/protocol.ts';
import { type Asked, honestAnswer, honestWords, LyingWorker } from './fuzz/lying-worker.ts';
import { envelopes } from './fuzz/messages.ts';
import { casesTried, holdAgainstServer, runs, seed, timeoutMs } from './fuzz/runs.ts';
import { type ByteEdit, byteEdits, type Edit, edited, edits, maps, spoiled } from './fuzz/values.ts';
import type { RawClient } from './helpers/raw-client.ts';
import { useStack } from './helpers/stack.ts';

vi.setConfig({ testTimeout: timeoutMs });
const stack = useStack({
  workers: 0,
  env: {
    PARLEY_SAYS_PER_SECOND: '10000',
    PARLEY_SAY_BURST: '10000',
    PARLEY_MESSAGES_PER_SECOND: '10000',
    PARLEY_MESSAGE_BURST: '10000',
    // Nobody waits long for what a liar never sends.
    PARLEY_ACCEPT_MS: '100',
    PARLEY_RESUME_GRACE_MS: '300',
  },
});
const together = 48;
let worker: LyingWorker;
let honest: RawClient;
let stream = 0;

beforeAll(async () => {
  console.log(`fuzz: seed ${seed}`);
  honest = await stack.join({ player: 'honest' });
  worker = await LyingWorker.start(stack.local, ['honest']);
  await worker.beatNow();
});
afterAll(async () => {
  await worker?.[Symbol.asyncDispose]();
  console.log(`fuzz: seed ${seed}, ${casesTried()} cases tried`);
});

/** A player of whom the liar does not lie is served to the last word. */
async function othersAreServed(): Promise<void> {
  worker.beat = worker.goodBeat;
  await worker.beatNow();
  stream += 1;
  honest.send({ t: 'say', s: stream, npc: 'mira', text: 'hello' });
  const end = await honest.terminal(stream);
  expect(end).toMatchObject({ t: 'end', source: 'live', reason: 'stop' });
  expect(honest.text(stream)).toBe(honestWords.join(''));
  honest.received.length = 0;
}

interface Lie {
  readonly encoding: Encoding;
  /** Which frames of an honest answer are changed, and how. */
  readonly changes: readonly { at: number; edits: readonly ByteEdit[] }[];
  readonly more: readonly {
    at: number;
    kind: number;
    attempt: number;
    first: number;
    last: number;
    body: Body;
  }[];
  /** Whether the victim, whose network goes in the middle, comes back for the rest. */
  readonly comesBack: boolean;
}
type Body = { map: Record<string, unknown>; encoding: Encoding; edits: readonly Edit[] } | Uint8Array;

const encodings = fc.constantFrom<Encoding>('json', 'msgpack');
const small = fc.oneof(fc.nat(5), fc.nat(5), fc.constantFrom(0xffffffff, 1_000));
const bodies: fc.Arbitrary<Body> = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.record({
    map: fc.oneof(maps, ...envelopes.slice(3, 5).map(([, , good]) => good)),
    encoding: encodings,
    edits: fc.oneof(fc.constant([]), edits),
  }),
);
const lies: fc.Arbitrary<Lie> = fc.record({
  encoding: encodings,
  changes: fc.array(fc.record({ at: fc.nat(4), edits: byteEdits }), { maxLength: 2 }),
  more: fc.array(
    fc.record({
      at: fc.nat(5),
      kind: fc.oneof(fc.constantFrom(...Object.values(frameKinds)), fc.nat(255)),
      attempt: fc.oneof(fc.constant(0), fc.constant(0), fc.integer({ min: -1, max: 1 })),
      first: small,
      last: small,
      body: bodies,
    }),
    { maxLength: 3 },
  ),
  comesBack: fc.boolean(),
});

function told({ changes, more }: Lie, asked: Asked): Uint8Array[] {
  const frames = honestAnswer(asked);
  for (const { at, edits } of changes) frames[at] = spoiled(frames[at]!, edits);
  for (const { at, kind, attempt, first, last, body } of more) {
    const bytes = body instanceof Uint8Array ? body : encode(edited(body.map, body.edits), body.encoding);
    const frame = writeFrame(frameKinds.tok, (asked.attempt + attempt) & 0xffff, first, last, bytes);
    frame[1] = kind;
    frames.splice(at, 0, frame);
  }
  return frames;
}

/** A victim asks once, is cut off, and comes back perhaps. Reads nothing: what it is sent may be anything. */
async function ask(lie: Lie): Promise<void> {
  const player = stack.newPlayer();
  const victim = await stack.join({ encoding: lie.encoding, player });
  victim.ws.removeAllListeners('message');
  const heard = new Promise<void>((resolve) =>
    victim.ws.once('message', () => resolve()).once('close', () => resolve()),
  );
  victim.send({ t: 'say', s: 1, npc: 'rosa', text: 'hello', budgetMs: 300 });
  await heard;
  victim.cut();
  if (!lie.comesBack) return;
  const { session, key } = victim.welcome;
  const again = new WebSocket(stack.local.ws(), `parley.v1.json`);
  await new Promise((resolve, reject) => again.once('open', resolve).once('error', reject));
  const token = await stack.local.token(player);
  again.send(JSON.stringify({ t: 'hello', token, resume: { session, key, streams: [{ s: 1, n: 0 }] } }));
  await new Promise<void>((resolve) => again.once('message', () => resolve()).once('close', () => resolve()));
  again.terminate();
}

test('whatever a worker answers, others are served', async () => {
  const asks = fc.asyncProperty(
    fc.array(lies, { minLength: together, maxLength: together }),
    async (batch) => {
      let next = 0;
      worker.answer = (asked) => told(batch[next++ % batch.length]!, asked);
      await Promise.all(batch.map(ask));
      await othersAreServed();
    },
  );
  await holdAgainstServer(asks, Math.ceil(runs / 60), together);
});

test('whatever a worker says of itself, others are served', async () => {
  const [, , goodBeats] = envelopes.find(([name]) => name === 'beat')!;
  const beats = fc.oneof(
    fc
      .tuple(goodBeats, edits, encodings)
      .map(([map, changes, encoding]) =>
        encode(edited({ ...map, worker: 'liar', tier: 'gold' }, changes), encoding),
      ),
    fc.uint8Array({ maxLength: 60 }),
  );
  const said = fc.asyncProperty(beats, async (beat) => {
    worker.beat = beat;
    await worker.beatNow();
    await othersAreServed();
  });
  await holdAgainstServer(said, Math.ceil(runs / 5), 1);
});

test('the log has no fault in it', async () => {
  expect((await fetch(`${stack.local.http()}/readyz`)).status).toBe(200);
  const faults = stack.logs.filter((line) => !line.startsWith('{') || JSON.parse(line).level >= 50);
  expect(faults).toEqual([]);
});
