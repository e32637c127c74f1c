// Players who mean harm, at a real gateway: thousands of messages and frames that no client should send, on many sockets
// at once. Each is answered as the protocol says, and a neighbour on the same gateway notices nothing.

import fc from 'fast-check';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { decode, encode, encodingOf } from '../bus/codec.ts';
import type { Encoding } from '../bus/protocol.ts';
import { createSubjects } from '../bus/subjects.ts';
import { closeCodes } from '../runtime/errors.ts';
import { connectTo } from '../scripts/stack/connect.ts';
import { attacks } from './fuzz/attacks.ts';
import { Crowd } from './fuzz/crowd.ts';
import { hostileMessages, hostileTokens, tokenOf } from './fuzz/hostile.ts';
import { envelopes } from './fuzz/messages.ts';
import { casesTried, holdAgainstServer, runs, seed, timeoutMs } from './fuzz/runs.ts';
import { byteEdits, edited, edits, maps, nested, spoiled } from './fuzz/values.ts';
import { useStack } from './helpers/stack.ts';

vi.setConfig({ testTimeout: timeoutMs });
// Limits that would stop a hostile player before the readers do are raised: they have tests of their own.
const stack = useStack({
  workers: 0,
  env: {
    PARLEY_MESSAGES_PER_SECOND: '10000',
    PARLEY_MESSAGE_BURST: '10000',
    PARLEY_SAYS_PER_SECOND: '10000',
    PARLEY_SAY_BURST: '10000',
    PARLEY_HANDSHAKES_PER_SECOND: '100000',
  },
});
const together = 16;
const encodings = fc.constantFrom<Encoding>('json', 'msgpack');
let crowd: Crowd;
let pid: number | undefined;

beforeAll(async () => {
  console.log(`fuzz: seed ${seed}`);
  crowd = new Crowd(stack, together);
  await crowd.begin();
  pid = stack.local.gateways[0]!.pid;
});
afterAll(() => console.log(`fuzz: seed ${seed}, ${casesTried()} cases tried`));

/** As many at once as there are sockets that do harm. */
const crowdsOf = <T>(one: fc.Arbitrary<T>) => fc.array(one, { minLength: together, maxLength: together });

test('each message is answered as the protocol says, and nobody else notices', async () => {
  const acts = fc.asyncProperty(crowdsOf(hostileMessages), (batch) => crowd.act(batch));
  await holdAgainstServer(acts, Math.ceil(runs / 4), together);
});

test('frames that no client should send do no harm, and nobody else notices', async () => {
  const acts = fc.asyncProperty(crowdsOf(attacks), (batch) => crowd.act(batch));
  await holdAgainstServer(acts, Math.ceil(runs / 12), together);
});

test('nobody comes in whom no key of the game vouches for', async () => {
  const { secret } = stack.local.key;
  const knocks = fc.asyncProperty(crowdsOf(fc.tuple(hostileTokens, encodings)), async (batch) => {
    await Promise.all(
      batch.map(async ([token, encoding]) => {
        const code = await crowd.knock(encoding, tokenOf(token, secret));
        if (code === undefined) expect(token.signedBy, JSON.stringify(token)).toBe('us');
        // 4409: the players of good tokens are one and the same.
        else expect([4400, 4401, 4409, 4413], JSON.stringify(token)).toContain(code);
      }),
    );
  });
  await holdAgainstServer(knocks, Math.ceil(runs / 50), together);
});

test('a backend is answered whatever it sends', async () => {
  await using nats = await connectTo(stack.local.natsUrl());
  const subjects = createSubjects(stack.local.config.prefix);
  const players = fc.constantFrom('nobody', ...crowd.players);
  const pushed = fc.oneof(
    fc.tuple(maps, encodings).map(([map, encoding]) => encode(map, encoding)),
    fc
      .tuple(maps, encodings, byteEdits)
      .map(([map, encoding, changes]) => spoiled(encode(map, encoding), changes)),
    fc.constantFrom(...[31, 32, 33, 4_000].map((levels) => encode(nested(levels), 'json'))),
  );
  const [, , npcSays] = envelopes.find(([name]) => name === 'npc say')!;
  const said = fc
    .tuple(npcSays, edits, encodings)
    .map(([map, changes, encoding]) => encode(edited(map, changes), encoding));
  const sent = fc.oneof(
    fc.tuple(players.map(subjects.push), pushed),
    fc.tuple(fc.constantFrom('mira', 'nobody').map(subjects.npcSay), said),
  );
  const requests = fc.asyncProperty(sent, async ([subject, payload]) => {
    const { data } = await nats.request(subject, payload, { timeout: 60_000 });
    const reply = decode(data, encodingOf(data));
    expect(reply.status ?? reply.players, JSON.stringify(reply)).toBeDefined();
    await crowd.neighboursAreWell();
  });
  await holdAgainstServer(requests, runs, 1);
});

test('what was refused is counted, and the log has no fault in it', async () => {
  crowd.end();
  const [errs, closes] = [Object.fromEntries(crowd.errs), Object.fromEntries(crowd.closes)];
  console.log(`fuzz: err ${JSON.stringify(errs)}, closed ${JSON.stringify(closes)}`);
  for (const [code, count] of crowd.errs) {
    const counted = await stack.metric('parley_gateway_refused_total', `code="${code}"`);
    expect(counted, code).toBeGreaterThanOrEqual(count);
  }
  for (const { code } of Object.values(closeCodes)) {
    const counted = await stack.metric('parley_gateway_closes_total', `code="${code}"`);
    expect(counted, String(code)).toBeGreaterThanOrEqual(crowd.closes.get(code) ?? 0);
  }
  // Not one of the answers is rare: where one is missing, the cases do not reach what they should.
  expect(Object.keys(errs)).toEqual(expect.arrayContaining(['bad_message', 'unknown_type', 'bad_token']));
  expect(Object.keys(closes)).toEqual(expect.arrayContaining(['1000', '1006', '4400', '4401', '4413']));

  expect(stack.local.gateways[0]!.pid).toBe(pid);
  expect((await fetch(`${stack.local.http()}/readyz`)).status).toBe(200);
  const faults = stack.logs.filter((line) => !line.startsWith('{') || JSON.parse(line).level >= 50);
  expect(faults).toEqual([]);
});
