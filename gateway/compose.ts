// Builds a gateway from its parts, by hand and in one place. The order is the order of dependence; what is added to
// the lifecycle stops in reverse.

import { WorkerDirectory } from '../bus/directory.ts';
import { History } from '../bus/history.ts';
import { connectBus } from '../bus/nats.ts';
import { connectRedis, disconnectRedis } from '../bus/redis.ts';
import { SessionStore } from '../bus/session-store.ts';
import { createKeys, createSubjects } from '../bus/subjects.ts';
import { openCharacters } from '../npcs/open-characters.ts';
import type { Config } from '../runtime/config.ts';
import type { Lifecycle } from '../runtime/lifecycle.ts';
import type { Log } from '../runtime/log.ts';
import { createGatewayMetrics, createRegistry, createRelayCounts } from '../runtime/metrics.ts';
import { createAuthenticate } from './authenticate.ts';
import { BackendDoor } from './backend-door.ts';
import { Claims } from './claims.ts';
import { Door } from './door.ts';
import { drain } from './drain.ts';
import { GameLimit } from './game-limit.ts';
import { HandshakeLimits } from './handshake-limits.ts';
import { buildPage } from './page.ts';
import { Peers } from './peers.ts';
import { Pins } from './pins.ts';
import { Placement } from './placement.ts';
import { Router } from './route.ts';
import { type Server, startServer } from './server.ts';
import type { Socket } from './session.ts';
import { Sessions } from './sessions.ts';
import { StateDoor } from './state-door.ts';
import { loadUws } from './uws.ts';
import { Watch } from './watch.ts';
import { Welcome } from './welcome.ts';

/** Resolves when the gateway listens. */
export async function startGateway(config: Config, id: string, log: Log, life: Lifecycle): Promise<Server> {
  const uws = loadUws();
  log.info({ build: uws.build, version: uws.version }, 'uWebSockets.js');
  const registry = createRegistry({ gateway: id });
  const counts = createRelayCounts();
  const metrics = createGatewayMetrics(registry, counts);
  metrics.uws.set({ build: uws.build, version: uws.version }, 1);
  const every = (name: string, ms: number, work: () => void) =>
    life.add(name, setInterval(work, ms), clearInterval);

  const authenticate = await createAuthenticate(config);
  const npcs = life.add('characters', await openCharacters(config.npcs, { log, metrics }), (c) => c.stop());
  const characters = npcs.current;
  const redisUp = (up: boolean) => metrics.redis.set(Number(up));
  const redisOptions = { url: config.redisUrl, name: `gateway-${id}`, log, onState: redisUp };
  const redis = life.add('redis', await connectRedis(redisOptions), disconnectRedis);
  const natsUp = (up: boolean) => metrics.nats.set(Number(up));
  const busOptions = { url: config.natsUrl, role: 'gateway' as const, id, log, onState: natsUp };
  const bus = life.add('nats', await connectBus(busOptions), (b) => b.close());

  const { connection } = bus;
  const connected = () => bus.connected;
  const subjects = createSubjects(config.prefix);
  const keys = createKeys(config.prefix);
  const shared = { id, connection, connected, subjects, characters, counts, metrics, log, config };
  const history = new History({ redis, keys, turns: config.historyTurns, ttlS: config.historyTtlS });
  const store = new SessionStore({ redis, keys });

  // Where the workers are, and which streams they have.
  const directory: WorkerDirectory = new WorkerDirectory({
    ...shared,
    beatMs: config.beatMs,
    onHeardAgain: (tier, worker) => watch.heardAgain(tier, worker),
  });
  const router = new Router(directory);
  const placement: Placement = new Placement({
    ...shared,
    router,
    verbs: npcs.verbs,
    history,
    store,
    remember: (stream) => sessions.remember(stream),
  });
  const watch: Watch = new Watch({ ...shared, directory, placement });
  bus.onReconnect(() => {
    watch.reconnected();
    // Whoever moved away meanwhile could not be heard of.
    sessions.renew({ all: false });
  });

  // Who is here, and what they may do.
  const peers: Peers = new Peers({ ...shared, onMoved: (m) => sessions.moved(m.player, m.session, m.epoch) });
  const closeReplaced = (socket: Socket) => door.closeSocket(socket, 'replaced');
  const sessions: Sessions = new Sessions({ ...shared, store, placement, closeReplaced });
  const claims = new Claims({ ...shared, store, sessions, peers });
  const welcome = new Welcome({ ...shared, placement, closeReplaced });
  redis.on('ready', () => sessions.renew({ all: true }));
  new BackendDoor({ ...shared, store, sessions });
  new StateDoor({ ...shared, redis, keys });
  const gameLimit = new GameLimit({ perSecond: config.gameSaysPerSecond, redis, keys, log });
  const handshakes = new HandshakeLimits(config);
  const pins = new Pins({ ...shared, router });
  let leaving = false;
  const draining = () => leaving;
  const door: Door = new Door({
    ...shared,
    authenticate,
    sessions,
    claims,
    welcome,
    handshakes,
    gameLimit,
    pins,
    draining,
  });

  every('game limit', 1_000, () => void gameLimit.settle());
  every('renewal', 1_000, () => sessions.renewDue());
  every('sweep', config.beatMs, () => {
    directory.forgetOld();
    watch.sweep();
    placement.sweep();
    door.sweep();
    pins.sweep((session) => sessions.of(session.player) === session);
    handshakes.sweep();
    metrics.sessions.set(sessions.size);
    metrics.streams.set(placement.running.size);
    for (const tier of ['gold', 'silver'] as const)
      metrics.workers.set({ tier }, directory.available(tier).length);
  });

  const notReady = () => [...(bus.connected ? [] : ['nats']), ...(leaving ? ['draining'] : [])];
  const degraded = () => (redis.status === 'ready' ? [] : ['redis']);
  const http = {
    registry,
    characters,
    verbs: npcs.verbs,
    page: await buildPage(),
    notReady,
    degraded,
    config,
  };
  const server = life.add('server', await startServer({ uws, door, draining, http, log, config }), (s) =>
    s.close(),
  );
  life.add('sessions', sessions, async () => {
    leaving = true;
    server.stopListening();
    await drain({ door, sessions, placement, drainMs: config.drainMs, log });
  });
  return server;
}
