// The gateway's table of contents: reads the configuration, builds the parts, listens, stops in reverse.

import { randomUUID } from 'node:crypto';
import { WorkerDirectory } from '../bus/directory.ts';
import { History } from '../bus/history.ts';
import { connectBus } from '../bus/nats.ts';
import { connectRedis, disconnectRedis } from '../bus/redis.ts';
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
import { Placement } from './placement.ts';
import { Router } from './route.ts';
import { startServer } from './server.ts';
import { Sessions } from './sessions.ts';
import { loadUws } from './uws.ts';

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
  const directory = new WorkerDirectory({ connection, subjects, beatMs: config.beatMs, log });
  const history = new History({
    redis,
    keys: createKeys(config.prefix),
    turns: config.historyTurns,
    ttlS: config.historyTtlS,
  });
  const placement = new Placement({
    id,
    connection,
    connected: () => bus.connected,
    subjects,
    router: new Router(directory),
    history,
    counts,
    metrics,
    log,
    config,
  });
  bus.onReconnect(() => placement.reattachAll());

  let draining = false;
  const isDraining = () => draining;
  const sessions = new Sessions({ placement, characters: characters.current, config });
  const door = new Door({ authenticate, sessions, counts, metrics, log, draining: isDraining, config });
  const sweep = setInterval(() => {
    directory.forgetOld();
    placement.sweep((tier, worker) => directory.suspect(tier, worker));
    metrics.sessions.set(sessions.size);
    metrics.streams.set(placement.streams);
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
