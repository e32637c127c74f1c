// What a worker keeps for players who come back, asked for over NATS as a gateway would: whole or from any piece,
// merged, in either encoding, and only within its bounds.

import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decode, encode, encodingOf } from '../bus/codec.ts';
import { readAccepted, readKept } from '../bus/envelopes.ts';
import { frameBody, frameFirst, frameKind, frameKinds, frameLast } from '../bus/frames.ts';
import type { Encoding, Tok } from '../bus/protocol.ts';
import { createSubjects } from '../bus/subjects.ts';
import { connectTo } from '../scripts/stack/connect.ts';
import { useStack } from './helpers/stack.ts';

// One gateway's user is free for the test: the gateway itself is not started.
const stack = useStack({ gateways: 1, env: { PARLEY_HOLD_STREAMS: '2' } });
const subjects = createSubjects('parley');
let nats: NatsConnection;
beforeAll(async () => {
  await stack.local.gateways[0]!.stop();
  nats = await connectTo(stack.local.natsUrl('gw1'), '_INBOX_gateway_gw1');
});
afterAll(() => nats?.close());

/** Sends a request or a command for a stream and collects its frames until `done`. */
async function frames(
  session: string,
  s: number,
  subject: string,
  message: object,
  done: (kind: number) => boolean = (kind) => kind === frameKinds.end || kind === frameKinds.err,
): Promise<Uint8Array[]> {
  const reply = subjects.out({ gateway: 'gw1', session, stream: s, attempt: 1 });
  const subscription = nats.subscribe(subjects.outAll('gw1'));
  nats.publish(subject, encode(message, 'msgpack'), { reply });
  const got: Uint8Array[] = [];
  for await (const { data } of subscription) {
    got.push(data);
    if (done(frameKind(data))) break;
  }
  return got;
}

const say = (session: string, s: number, maxTokens = 12) =>
  frames(session, s, subjects.generate('gold'), {
    npc: 'mira',
    player: 'h1',
    text: 'Tell me about this village.', // no act goes with that
    session,
    s,
    attempt: 1,
    epoch: 1,
    encoding: 'json',
    maxTokens,
    memory: false,
  });
const attach = (
  session: string,
  s: number,
  n: number,
  more: { encoding?: Encoding; withKept?: boolean; epoch?: number } = {},
) =>
  frames(session, s, subjects.workerControl('gold', 'gold1'), {
    op: 'attach',
    session,
    s,
    attempt: 1,
    n,
    epoch: 2,
    encoding: 'msgpack',
    ...more,
  });

const kinds = (list: Uint8Array[]) => list.map(frameKind);
const textOf = (list: Uint8Array[]) =>
  list
    .filter((f) => frameKind(f) === frameKinds.tok)
    .map((f) => (decode(frameBody(f), encodingOf(frameBody(f))) as unknown as Tok).d)
    .join('');

describe('attach after the end', () => {
  test('gives everything after any piece, as one merged frame, in the encoding that is asked for', async () => {
    const live = await say('S1', 1);
    const toks = live.filter((f) => frameKind(f) === frameKinds.tok);
    expect(toks.length).toBeGreaterThan(2);
    for (const [i, tok] of toks.entries()) expect([frameFirst(tok), frameLast(tok)]).toEqual([i + 1, i + 1]);
    for (let n = 0; n <= toks.length; n++) {
      const again = await attach('S1', 1, n);
      expect(readAccepted(frameBody(again[0]!))).toMatchObject({ worker: 'gold1', ended: true });
      const rest = n === toks.length ? [] : [frameKinds.tok];
      expect(kinds(again)).toEqual([frameKinds.accepted, ...rest, frameKinds.end]);
      expect(textOf(again)).toBe(textOf(toks.slice(n)));
      if (n < toks.length)
        expect([frameFirst(again[1]!), frameLast(again[1]!)]).toEqual([n + 1, toks.length]);
    }
    const json = await attach('S1', 1, 1, { encoding: 'json', withKept: true });
    expect(kinds(json)).toEqual([frameKinds.accepted, frameKinds.kept, frameKinds.tok, frameKinds.end]);
    expect(readKept(frameBody(json[1]!)).segments).toEqual([{ last: 1, d: textOf(toks.slice(0, 1)) }]);
    expect(encodingOf(frameBody(json[2]!))).toBe('json');
  });

  test('of a piece that never was, a stream that is unknown, or one that others pushed out: refused as lost', async () => {
    await say('S2', 1, 3);
    const lost = async (session: string, s: number, n: number) => {
      const [frame] = await attach(session, s, n);
      return decode(frameBody(frame!), 'msgpack').code;
    };
    expect(await lost('S2', 1, 99)).toBe('lost');
    expect(await lost('nobody', 1, 0)).toBe('lost');
    expect((await attach('S2', 1, 0)).length).toBeGreaterThan(1);
    for (let s = 2; s <= 4; s++) await say('S2', s, 2);
    expect(await lost('S2', 1, 0)).toBe('lost');
    expect((await attach('S2', 4, 0)).length).toBeGreaterThan(1);
  });
});

describe('commands', () => {
  test('of an older epoch are ignored', async () => {
    const first = say('S3', 1, 60);
    const control = subjects.workerControl('gold', 'gold1');
    const send = (epoch: number) =>
      nats.publish(
        control,
        encode({ op: 'cancel', session: 'S3', s: 1, attempt: 1, epoch, commit: false }, 'msgpack'),
      );
    send(0);
    const end = decode(frameBody((await first).at(-1)!), 'json');
    expect(end.reason).not.toBe('cancelled');
  });

  test('that say what another worker has said go on after it, and count on', async () => {
    const said = [
      { last: 3, d: 'My brother' },
      { last: 4, d: ' Tam' },
    ];
    const got = await frames('S4', 1, subjects.generate('gold'), {
      npc: 'mira',
      player: 'h1',
      text: 'Tell me about this village.', // no act goes with that
      session: 'S4',
      s: 1,
      attempt: 1,
      encoding: 'json',
      maxTokens: 12,
      memory: false,
      said,
    });
    const [tok] = got.filter((f) => frameKind(f) === frameKinds.tok);
    expect(frameFirst(tok!)).toBe(5);
    const whole = await attach('S4', 1, 3, { withKept: true });
    expect(readKept(frameBody(whole[1]!)).segments).toEqual([said[0]]);
    expect(textOf(whole).startsWith(' Tam')).toBe(true);
    // Between the pieces of what came merged nobody can go on.
    const [refused] = await attach('S4', 1, 2);
    expect(decode(frameBody(refused!), 'msgpack').code).toBe('lost');
  });
});
