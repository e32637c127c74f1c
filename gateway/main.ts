// The gateway's table of contents: reads the configuration, builds the parts, listens, stops in reverse.

import { randomUUID } from 'node:crypto';
import { WorkerDirectory } from '../bus/directory.ts';
import { History } from '../bus/history.ts';
import { connectBus } from '../bus/nats.ts';
import { connectRedis, disconnectRedis } from '../bus/redis.ts';
import { SessionStore } from '../bus/session-store.ts';
import { createKeys, createSubjects } from '../bus/subjects.ts';
import { openCharacters } from '../npcs/open-characters.ts';
import { readConfigOrExit } from '../runtime/config.ts';
import { run } from '../runtime/lifecycle.ts';
import { createLog } from '../runtime/log.ts';
import { createGatewayMetrics, createRegistry, createRelayCounts } from '../runtime/metrics.ts';
import { createAuthenticate } from './authenticate.ts';
import { Door } from './door.ts';
import { drain } from './drain.ts';
import { buildPage } from './page.ts';
import { Peers } from './peers.ts';
import { Placement } from './placement.ts';
import { Router } from './route.ts';
import { startServer } from './server.ts';
import { renewMs, Sessions } from './sessions.ts';
import { loadUws } from './uws.ts';
import { Watch } from './watch.ts';

const config = readConfigOrExit();
const id = config.id || `gw-${randomUUID().slice(0, 8)}`;
const log = createLog(`gateway ${id}`, config.logLevel);

await run(log, async (life) => {
  const uws = loadUws();
  log.info({ build: uws.build, version: uws.version }, 'uWebSockets.js');
  const registry = createRegistry({ gateway: id });
  const counts = createRelayCounts();
  const metrics = createGatewayMetrics(registry, counts);
  metrics.uws.set({ build: uws.build, version: uws.version }, 1);

  const authenticate = await createAuthenticate(config);
  const characters = life.add('characters', await openCharacters(config.npcs, { log, metrics }), (c) =>
    c.stop(),
  );
  const redis = life.add(
    'redis',
    await connectRedis({
      url: config.redisUrl,
      name: `gateway-${id}`,
      log,
      onState: (up) => metrics.redis.set(Number(up)),
    }),
    disconnectRedis,
  );
  const bus = life.add(
    'nats',
    await connectBus({
      url: config.natsUrl,
      role: 'gateway',
      id,
      log,
      onState: (up) => metrics.nats.set(Number(up)),
    }),
    (b) => b.close(),
  );
  const { connection } = bus;
  const subjects = createSubjects(config.prefix);
  const connected = () => bus.connected;
  const keys = createKeys(config.prefix);
  const history = new History({ redis, keys, turns: config.historyTurns, ttlS: config.historyTtlS });
  const directory = new WorkerDirectory({
    connection,
    subjects,
    beatMs: config.beatMs,
    log,
    onHeardAgain: (tier, worker) => watch.heardAgain(tier, worker),
  });
  const placement = new Placement({
    id,
    connection,
    connected,
    subjects,
    router: new Router(directory),
    history,
    counts,
    metrics,
    log,
    config,
    remember: (stream) => sessions.remember(stream),
  });
  const watch = new Watch({ connection, connected, subjects, directory, placement, metrics, log, config });
  bus.onReconnect(() => watch.reconnected());
  const peers = new Peers({
    id,
    connection,
    subjects,
    log,
    onMoved: ({ player, session, epoch }) => sessions.moved(player, session, epoch),
  });
  const sessions: Sessions = new Sessions({
    id,
    store: new SessionStore({ redis, keys }),
    placement,
    peers,
    characters: characters.current,
    counts,
    metrics,
    log,
    config,
    closeReplaced: (socket) => door.closeSocket(socket, 'replaced'),
  });

  let draining = false;
  const isDraining = () => draining;
  const door: Door = new Door({ authenticate, sessions, metrics, log, draining: isDraining, config });
  redis.on('ready', () => sessions.renew({ all: true }));
  life.add(
    'renewal',
    setInterval(() => sessions.renew({ all: false }), renewMs),
    clearInterval,
  );
  const sweep = setInterval(() => {
    directory.forgetOld();
    watch.sweep();
    placement.sweep();
    door.sweep();
    metrics.sessions.set(sessions.size);
    metrics.streams.set(placement.running.size);
    for (const tier of ['gold', 'silver'] as const)
      metrics.workers.set({ tier }, directory.available(tier).length);
  }, config.beatMs);
  life.add('sweep', sweep, clearInterval);

  const notReady = () => [...(bus.connected ? [] : ['nats']), ...(draining ? ['draining'] : [])];
  const degraded = () => (redis.status === 'ready' ? [] : ['redis']);
  const http = {
    registry,
    characters: characters.current,
    page: await buildPage(),
    notReady,
    degraded,
    config,
  };
  const server = await startServer({ uws, door, draining: isDraining, http, config });
  life.add('server', server, (s) => s.close());
  life.add('sessions', sessions, async () => {
    draining = true;
    server.stopListening();
    await drain({ door, sessions, placement, drainMs: config.drainMs, log });
  });
  log.info({ host: config.host, port: server.port }, 'listening');
  process.stdout.write(`${JSON.stringify({ event: 'listening', id, port: server.port })}\n`);
});
