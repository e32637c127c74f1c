// The client library against a real stack: it talks in both encodings, stops when told, comes back by itself over a
// network that a test can cut, redirect or make lose a frame, and says in typed errors what cannot be mended.

import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { History } from '../bus/history.ts';
import { createKeys } from '../bus/subjects.ts';
import {
  type ClientEvents,
  type ClientOptions,
  ClosedError,
  ParleyClient,
  type Stream,
  StreamError,
} from '../client/index.ts';
import { eventually } from './helpers/processes.ts';
import { rejection } from './helpers/rejection.ts';
import { useStack } from './helpers/stack.ts';

const stack = useStack({ gateways: 2, workers: 1, env: { PARLEY_PING_MS: '1000', PARLEY_MAX_STREAMS: '2' } });
const tale = { npc: 'mira', text: 'Tell me a long tale of the mine and of your brother.', maxTokens: 200 };

const clients: ParleyClient[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

/** The network between a client and the edge, with its faults. */
class Network {
  /** Where connections end up, whatever their URL says: what a load balancer does. */
  gateway = 0;
  /** From now on nothing passes, and nobody is told. */
  silent = false;
  /** Whether to lose this frame on its way to the client. */
  loses: (frame: string) => boolean = () => false;
  /** What becomes of a frame on its way to the edge. */
  changes: (frame: string) => string = (frame) => frame;
  readonly sockets: WebSocket[] = [];
  readonly WebSocket: new (
    url: string,
    protocols?: string | string[],
  ) => WebSocket;

  constructor() {
    const network = this;
    this.WebSocket = class extends WebSocket {
      readonly isSilent = () => network.silent && network.sockets.at(-1) === this;

      constructor(_url: string, protocols?: string | string[]) {
        super(stack.local.ws(network.gateway), protocols);
        network.sockets.push(this);
      }

      override emit(event: string | symbol, ...args: unknown[]): boolean {
        if (event === 'message' && (this.isSilent() || network.loses(String(args[0])))) return true;
        return super.emit(event, ...args);
      }

      override send(data: unknown, ...rest: unknown[]): void {
        if (this.isSilent()) return;
        super.send(typeof data === 'string' ? network.changes(data) : (data as Buffer), ...(rest as []));
      }
    };
  }

  /** The cable is pulled: no close frame. */
  cut(): void {
    this.sockets.at(-1)!.terminate();
  }
}

interface Made {
  client: ParleyClient;
  network: Network;
  player: string;
}

/** A client that is not connected yet. */
async function make(options: Partial<ClientOptions> & { player?: string } = {}): Promise<Made> {
  const { player = stack.newPlayer(), ...rest } = options;
  const network = new Network();
  const token = await stack.local.token(player);
  const { WebSocket } = network;
  const client = new ParleyClient({ url: stack.local.ws(), token, WebSocket, ...rest });
  clients.push(client);
  return { client, network, player };
}

async function connect(options: Parameters<typeof make>[0] = {}): Promise<Made> {
  const made = await make(options);
  await made.client.connect();
  return made;
}

function next<K extends keyof ClientEvents>(client: ParleyClient, event: K): Promise<ClientEvents[K]> {
  return new Promise((resolve) => {
    const stop = client.on(event, (value) => {
      stop();
      resolve(value);
    });
  });
}

const firstWords = (stream: Stream) => new Promise<string>((resolve) => stream.on('text', resolve));

describe('say', () => {
  test.each(['json', 'msgpack'] as const)(
    'gives the words as they come and how it ended, in %s',
    async (encoding) => {
      const { client } = await connect({ encoding });
      const stream = client.say({ npc: 'mira', text: 'Good day.' });
      const words: string[] = [];
      for await (const piece of stream) words.push(piece);
      expect(words.length).toBeGreaterThan(1);
      expect(words.join('')).toBe(stream.text);
      const end = await stream.end;
      expect(end).toMatchObject({ source: 'live', tier: 'gold' });
      expect(['stop', 'length']).toContain(end.reason);
      const { asked, first, ended } = stream.times;
      expect(asked).toBeLessThan(first!);
      expect(first).toBeLessThan(ended!);
    },
  );

  test('takes a topic, and several characters answer at once', async () => {
    const { client } = await connect();
    const swords = client.say({ npc: 'mira', topic: 'swords', maxTokens: 40 });
    const rosa = client.say({ npc: 'rosa', text: 'Good evening.', maxTokens: 10 });
    const ends = await Promise.all([swords.end, rosa.end]);
    expect(ends.map((end) => end.source)).toEqual(['live', 'live']);
    expect(swords.text).toMatch(/30|thirty/i);
  });

  test('a second one to the same character cancels the first, unless it runs alongside', async () => {
    const { client } = await connect();
    const first = client.say(tale);
    await firstWords(first);
    const second = client.say({ npc: 'mira', text: 'Stop. What is a shield?', maxTokens: 60 });
    expect(await first.end).toMatchObject({ reason: 'cancelled' });
    const third = client.say({ npc: 'mira', text: 'And armour?', mode: 'alongside', maxTokens: 4 });
    expect((await second.end).reason).not.toBe('cancelled');
    expect((await third.end).reason).not.toBe('cancelled');
  });

  test('before connect is a mistake of the program', async () => {
    const { client } = await make();
    expect(() => client.say({ npc: 'mira', text: 'Hello' })).toThrow('connect');
  });
});

describe('an answer stops', () => {
  test('by cancel, and keeps what was said', async () => {
    const { client } = await connect();
    const stream = client.say(tale);
    await firstWords(stream);
    stream.cancel();
    stream.cancel();
    expect(await stream.end).toMatchObject({ reason: 'cancelled', source: 'live' });
    expect(stream.text).not.toBe('');
  });

  test('when its loop is left', async () => {
    const { client } = await connect();
    const stream = client.say(tale);
    for await (const _ of stream) break;
    expect(await stream.end).toMatchObject({ reason: 'cancelled' });
  });

  test('by an AbortSignal, also one that was aborted before', async () => {
    const { client } = await connect();
    const abort = new AbortController();
    const stream = client.say({ ...tale, signal: abort.signal });
    await firstWords(stream);
    abort.abort();
    expect(await stream.end).toMatchObject({ reason: 'cancelled' });
    const never = client.say({ ...tale, signal: abort.signal });
    expect(await never.end).toMatchObject({ reason: 'cancelled', n: 0, attempts: 0 });
  });
});

describe('what is refused', () => {
  test('is an error of its own, and the session goes on', async () => {
    const { client } = await connect();
    const nobody = client.say({ npc: 'nobody', text: 'Hello' });
    const error = (await rejection(nobody.end)) as StreamError;
    expect(error).toBeInstanceOf(StreamError);
    expect(error).toMatchObject({ code: 'unknown_npc', retry: false, partial: false, s: nobody.s });
    await expect(async () => {
      for await (const _ of nobody);
    }).rejects.toBe(error);
    expect((await client.say({ npc: 'mira', text: 'Hello', maxTokens: 4 }).end).source).toBe('live');
  });

  test('says whether to try again', async () => {
    const { client } = await connect();
    const streams = ['mira', 'rosa', 'bram'].map((npc) => client.say({ npc, text: 'Good evening.' }));
    expect(await rejection(streams[2]!.end)).toMatchObject({ code: 'too_many_streams', retry: true });
    await Promise.all([streams[0]!.end, streams[1]!.end]);
  });
});

describe('after the connection is lost', () => {
  let redis: Redis;
  beforeAll(() => {
    redis = new Redis(stack.local.redisUrl('worker'));
  });
  afterAll(() => redis?.disconnect());

  /** What the character said by its own account, once the turn is committed. */
  function remembered(player: string): Promise<string> {
    const history = new History({ redis, keys: createKeys('parley'), turns: 10, ttlS: 60 });
    return eventually('the turn', async () => (await history.read(player, 'mira')).at(-1)?.npc);
  }

  test.each(['json', 'msgpack'] as const)('an answer goes on where it was, in %s', async (encoding) => {
    const { client, network, player } = await connect({ encoding });
    const heard: string[] = [];
    client.on('disconnected', () => heard.push('disconnected'));
    client.on('reconnecting', ({ attempt }) => heard.push(`reconnecting ${attempt}`));
    const stream = client.say(tale);
    await firstWords(stream);
    const back = next(client, 'welcome');
    network.cut();
    expect((await back).resumed).toBe(true);
    expect((await stream.end).source).toBe('live');
    expect(stream.text).toBe(await remembered(player));
    expect(heard).toEqual(['disconnected', 'reconnecting 1']);
    expect(client.state).toBe('online');
  });

  test('a frame that went missing is fetched', async () => {
    const { client, network, player } = await connect({ encoding: 'json' });
    let lost = '';
    network.loses = (frame) => {
      if (lost !== '' || !frame.includes('"n":2')) return false;
      lost = frame;
      return true;
    };
    const stream = client.say(tale);
    await stream.end;
    expect(lost).not.toBe('');
    expect(stream.text).toBe(await remembered(player));
  });

  test('words that were said meanwhile go out, and one that was cancelled meanwhile does not', async () => {
    const { client, network } = await connect();
    const lost = next(client, 'disconnected');
    network.cut();
    await lost;
    const unwanted = client.say(tale);
    const wanted = client.say({ npc: 'mira', text: 'Hello', maxTokens: 4 });
    unwanted.cancel();
    expect(await unwanted.end).toMatchObject({ reason: 'cancelled', attempts: 0 });
    expect((await wanted.end).source).toBe('live');
  });

  test('words that may not have arrived are answered once', async () => {
    const { client, network, player } = await connect();
    network.silent = true;
    const stream = client.say({ npc: 'mira', text: 'Hello', maxTokens: 4 });
    network.cut();
    network.silent = false;
    expect((await stream.end).source).toBe('live');
    expect(stream.text).toBe(await remembered(player));
  });

  test('at another gateway an answer goes on too', async () => {
    const { client, network, player } = await connect();
    const stream = client.say(tale);
    await firstWords(stream);
    const back = next(client, 'welcome');
    network.gateway = 1;
    network.cut();
    expect((await back).resumed).toBe(true);
    expect((await stream.end).source).toBe('live');
    expect(stream.text).toBe(await remembered(player));
  });

  test('a session that is gone ends its answers as lost, and says so', async () => {
    const { client, network } = await connect({ encoding: 'json' });
    const stream = client.say(tale);
    await firstWords(stream);
    const back = next(client, 'welcome');
    network.changes = (frame) => frame.replace(/"key":"[^"]+"/, '"key":"of no session"');
    network.cut();
    expect((await back).resumed).toBe(false);
    expect(await rejection(stream.end)).toMatchObject({ code: 'lost', partial: true, retry: true });
    expect((await client.say({ npc: 'mira', text: 'Hello', maxTokens: 4 }).end).source).toBe('live');
  });

  test('a token that runs out is renewed, and the session goes on', async () => {
    const player = stack.newPlayer();
    const hours = [4 / 3600, 1];
    const { client } = await connect({ token: () => stack.local.token(player, hours.shift()) });
    const back = next(client, 'welcome');
    expect(await next(client, 'disconnected')).toMatchObject({ code: 4401 });
    expect((await back).resumed).toBe(true);
    expect(hours).toEqual([]);
  });

  test('a network that swallows everything is noticed', async () => {
    const { client, network } = await connect();
    network.silent = true;
    const back = next(client, 'welcome');
    expect(await next(client, 'disconnected')).toMatchObject({ reason: 'no answer to a ping' });
    network.silent = false;
    expect((await back).resumed).toBe(true);
  });
});

describe('the connection is closed for good', () => {
  test('by a newer one of the same player', async () => {
    const { client, player } = await connect();
    const closed = next(client, 'closed');
    const stream = client.say(tale);
    const newer = await connect({ player });
    expect((await closed).error).toMatchObject({ code: 4409, retry: 'no' });
    expect(await rejection(stream.end)).toBeInstanceOf(ClosedError);
    expect(client.state).toBe('closed');
    expect(newer.client.state).toBe('online');
  });

  test('by a token that is refused, when there is no other', async () => {
    const { client } = await make({ token: 'no.such.token' });
    expect(await rejection(client.connect())).toMatchObject({ code: 4401, retry: 'fresh-token' });
  });

  test('but a fresh token is asked for, once', async () => {
    const player = stack.newPlayer();
    const tokens = ['no.such.token', await stack.local.token(player)];
    const lucky = await make({ token: () => tokens.shift() ?? 'none left' });
    expect((await lucky.client.connect()).player).toBe(player);
    let asked = 0;
    const unlucky = await make({ token: () => `no.such.token.${++asked}` });
    expect(await rejection(unlucky.client.connect())).toMatchObject({ code: 4401 });
    expect(asked).toBe(2);
  });

  test('by a login that fails, with its cause', async () => {
    const cause = new Error('the login service is down');
    const { client } = await make({ token: () => Promise.reject(cause) });
    expect(await rejection(client.connect())).toMatchObject({ cause });
  });

  test('when nobody answers and the tries are used up', async () => {
    const { client } = await make({
      url: 'ws://127.0.0.1:1/v1/ws',
      WebSocket,
      reconnect: { minMs: 1, attempts: 2 },
    });
    const delays: number[] = [];
    client.on('reconnecting', ({ attempt }) => delays.push(attempt));
    expect(await rejection(client.connect())).toMatchObject({ code: 1006, retry: 'yes' });
    expect(delays).toEqual([1, 2]);
  });

  test('by close, which says goodbye', async () => {
    const goodbyes = () => stack.metric('parley_gateway_messages_total', 't="bye"');
    const { client } = await connect();
    const stream = client.say(tale);
    await firstWords(stream);
    const before = await goodbyes();
    const closed = next(client, 'closed');
    client.close();
    expect(await closed).toMatchObject({ code: 1000 });
    expect(await rejection(stream.end)).toMatchObject({ code: 1000 });
    expect(await rejection(client.say(tale).end)).toBeInstanceOf(ClosedError);
    await eventually('a goodbye at the gateway', async () => (await goodbyes()) > before);
  });
});

// Last: it takes a gateway away.
test('a gateway that stops hands its players on', async () => {
  const { client, network } = await connect();
  network.gateway = 1;
  const back = next(client, 'welcome');
  const stopped = stack.local.gateways[0]!.stop();
  expect(await back).toMatchObject({ resumed: true });
  expect((await client.say({ npc: 'mira', text: 'Hello', maxTokens: 4 }).end).source).toBe('live');
  await stopped;
});
