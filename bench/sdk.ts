// What the SDK costs a game in Node: time from the moment at which a frame's bytes arrive at the process (the socket's
// own `data` event) to the game's callback. Beside it a bare `ws` client that decodes with msgpackr and does nothing
// else, in turns, against the real gateway and a worker that plays recorded answers.
//   npm run bench -- sdk [--quick]

import type { Socket } from 'node:net';
import { parseArgs } from 'node:util';
import { Packr } from 'msgpackr';
import { WebSocket } from 'ws';
import { ParleyClient } from '../client/index.ts';
import { startStack } from '../scripts/stack/local-stack.ts';
import { paced } from './relay/latency.ts';
import { settings, tokensOf } from './relay/stage.ts';

const { quick } = parseArgs({ options: { quick: { type: 'boolean', default: false } } }).values;
const sockets = 50;
/** Of each socket: a model at thirty words a second. */
const piecesPerSecond = 40;
const rounds = quick ? 1 : 5;
const pieces = quick ? 80 : 200;

const say = (line: string) => void process.stderr.write(`${line}\n`);
const packr = new Packr({
  useRecords: false,
  mapsAsObjects: true,
  variableMapSize: true,
  int64AsType: 'number',
});

/** When bytes last arrived at the socket that is being read; all of it happens in one turn. */
let arrivedAt = 0;

/** A `ws` that notes when its bytes arrive, before it looks at them. */
class TimedSocket extends WebSocket {
  constructor(url: string | URL, protocols?: string | string[]) {
    super(url, protocols, { perMessageDeflate: false });
    this.once('upgrade', ({ socket }: { socket: Socket }) => {
      socket.prependListener('data', () => {
        arrivedAt = performance.now();
      });
    });
  }
}

/** A player who asks, and calls back at each piece. */
interface Player {
  /** Resolves at the end of the answer. */
  ask(maxTokens: number, onPiece: () => void): Promise<void>;
  close(): void;
}

const text = 'Tell me more.';

async function sdkPlayer(url: string, token: string, encoding: 'msgpack' | 'json'): Promise<Player> {
  const client = new ParleyClient({ url, token, encoding, WebSocket: TimedSocket });
  await client.connect();
  return {
    async ask(maxTokens, onPiece) {
      const answer = client.say({ npc: 'crier', text, maxTokens });
      answer.on('text', onPiece);
      await answer.end;
    },
    close: () => client.close(),
  };
}

async function barePlayer(url: string, token: string): Promise<Player> {
  const socket = new TimedSocket(url, 'parley.v1.msgpack');
  let s = 0;
  let onMessage: (message: { t: string }) => void = () => {};
  socket.on('message', (data: Buffer) => onMessage(packr.unpack(data)));
  await new Promise((resolve) => socket.once('open', resolve));
  socket.send(packr.pack({ t: 'hello', token }));
  await new Promise<void>((resolve) => {
    onMessage = ({ t }) => t === 'welcome' && resolve();
  });
  return {
    ask(maxTokens, onPiece) {
      socket.send(packr.pack({ t: 'say', s: ++s, npc: 'crier', text, maxTokens }));
      return new Promise((resolve, reject) => {
        onMessage = ({ t }) => {
          if (t === 'tok') onPiece();
          else if (t === 'end') resolve();
          else if (t === 'err') reject(new Error('the answer was lost'));
        };
      });
    },
    close: () => socket.close(),
  };
}

/** One answer for each player, their beginnings spread; the microseconds of each piece. */
async function round(players: readonly Player[]): Promise<number[]> {
  const micros: number[] = [];
  const onPiece = () => void micros.push((performance.now() - arrivedAt) * 1_000);
  await Promise.all(
    players.map(async (player, i) => {
      await new Promise((resolve) => setTimeout(resolve, (i * 1_000) / players.length));
      await player.ask(pieces, onPiece);
    }),
  );
  return micros;
}

function figures(micros: number[]) {
  const sorted = micros.sort((a, b) => a - b);
  const at = (share: number) => Number((sorted[Math.floor((sorted.length - 1) * share)]! / 1_000).toFixed(4));
  return { frames: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}

const { speed, firstMs } = paced(piecesPerSecond);
const engine = { RECORDED_ENDLESS: '1', RECORDED_SPEED: String(speed), RECORDED_FIRST_MS: String(firstMs) };
say('starting nats-server, redis-server, gateway, worker with recorded answers');
await using stack = await startStack({
  ephemeral: true,
  workerEntry: 'bench/recorded/worker.ts',
  env: { ...settings, ...engine },
  onLog: (line) => say(`  ${line}`),
});
const url = stack.ws();
const tokens = await tokensOf(stack, 3 * sockets);
const group = (make: (token: string) => Promise<Player>) =>
  Promise.all(tokens.splice(0, sockets).map((token) => make(token)));
const arms = {
  sdk: await group((token) => sdkPlayer(url, token, 'msgpack')),
  sdkJson: await group((token) => sdkPlayer(url, token, 'json')),
  bare: await group((token) => barePlayer(url, token)),
};
const names = Object.keys(arms) as (keyof typeof arms)[];
const heard: Record<keyof typeof arms, number[]> = { sdk: [], sdkJson: [], bare: [] };
for (let i = 0; i <= rounds; i++) {
  for (const name of i % 2 === 0 ? names : [...names].reverse()) {
    const micros = await round(arms[name]);
    if (i > 0) heard[name].push(...micros);
    const { frames, p50Ms, p99Ms } = figures(micros);
    say(
      `  ${i === 0 ? 'warm-up' : `round ${i}`}  ${name.padEnd(7)} ${frames} frames, p50 ${p50Ms} ms, p99 ${p99Ms} ms`,
    );
  }
}
for (const name of names) for (const player of arms[name]) player.close();

const sdk = figures(heard.sdk);
const json = figures(heard.sdkJson);
const bare = figures(heard.bare);
process.stdout.write(
  `${JSON.stringify({
    ...sdk,
    jsonP50Ms: json.p50Ms,
    jsonP99Ms: json.p99Ms,
    bareP50Ms: bare.p50Ms,
    bareP99Ms: bare.p99Ms,
    ratioP50: Number((sdk.p50Ms / bare.p50Ms).toFixed(2)),
    ratioP99: Number((sdk.p99Ms / bare.p99Ms).toFixed(2)),
  })}\n`,
);
