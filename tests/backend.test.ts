// A backend programmer's way: one message to `parley.gold.generate`, plain frames back to the inbox.

import { createInbox, headers, type NatsConnection } from '@nats-io/transport-node';
import { Unpackr } from 'msgpackr';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encode } from '../bus/codec.ts';
import type { Err, ServerMessage } from '../bus/protocol.ts';
import { connectTo } from '../scripts/stack/connect.ts';
import { useStack } from './helpers/stack.ts';

const stack = useStack();
let nats: NatsConnection;
beforeAll(async () => {
  nats = await connectTo(stack.local.natsUrl());
});
afterAll(() => nats?.close());

/** Sends a payload and collects the messages until the terminal one. */
async function ask(payload: Uint8Array | string, header?: [string, string]): Promise<ServerMessage[]> {
  const reply = createInbox();
  const subscription = nats.subscribe(reply);
  const h = headers();
  if (header) h.set(...header);
  nats.publish('parley.gold.generate', payload, { reply, headers: h });
  const got: ServerMessage[] = [];
  for await (const message of subscription) {
    if (message.headers?.code === 503) throw new Error('no responders');
    const text = message.data[0] === 0x7b;
    got.push(text ? message.json() : new Unpackr({ useRecords: false }).unpack(message.data));
    if (['end', 'err'].includes(got.at(-1)!.t)) break;
  }
  subscription.unsubscribe();
  return got;
}

describe('generate', () => {
  test('in JSON streams plain JSON, s 0, numbered from 1, without accepted', async () => {
    const got = await ask('{"npc":"mira","player":"p1","text":"hello"}');
    expect(got.length).toBeGreaterThan(2);
    // Words, then perhaps what goes with them.
    got.slice(0, -1).forEach((m, i) => {
      expect(m).toMatchObject({
        t: i === 0 ? 'tok' : expect.stringMatching(/^(?:tok|act)$/),
        s: 0,
        n: i + 1,
      });
    });
    expect(got.at(-1)).toMatchObject({ t: 'end', s: 0, source: 'live', tier: 'gold', n: got.length - 1 });
  });

  test('in MessagePack streams MessagePack', async () => {
    const got = await ask(encode({ npc: 'mira', player: 'p1', text: 'hello', maxTokens: 3 }, 'msgpack'));
    expect(got.at(-1)).toMatchObject({ t: 'end', reason: 'length' });
  });

  test.each([
    ['bad_message', '{"npc":"mira"}', undefined],
    ['bad_message', '{not json', undefined],
    ['bad_message', '\x93', undefined],
    ['unknown_npc', '{"npc":"nobody","player":"p1","text":"hello"}', undefined],
    ['unknown_topic', '{"npc":"mira","player":"p1","topic":"nothing"}', undefined],
    ['expired', '{"npc":"mira","player":"p1","text":"hello"}', ['Parley-Budget-Ms', '0'] as [string, string]],
  ])('%s is said to the sender', async (code, payload, header) => {
    const got = await ask(payload, header);
    expect(got).toHaveLength(1);
    expect((got[0] as Err).code).toBe(code);
    expect(JSON.stringify(got[0])).not.toMatch(/nats|redis|127\.0\.0\.1|parley\.|\.ts/i);
  });
});
