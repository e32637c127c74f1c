// The names of all metrics, in one place; Prometheus' conventions (seconds, bytes, _total). Counters on the path
// of every token are plain numbers that are copied when somebody scrapes.

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

const ttftBuckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const tokenBuckets = [0.001, 0.0025, 0.005, 0.01, 0.016, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** A registry with the process's own figures (memory, event loop lag, descriptors). */
export function createRegistry(labels: Record<string, string>): Registry {
  const registry = new Registry();
  registry.setDefaultLabels(labels);
  collectDefaultMetrics({ register: registry });
  return registry;
}

/** Numbers that the hot path raises; read by the scrape. */
export interface RelayCounts {
  frames: number;
  bytes: number;
  stale: number;
  duplicate: number;
  gaps: number;
  /** `send` said 0 while nothing was buffered: an upstream fault of some uWebSockets.js builds. */
  sendZeroUnbuffered: number;
  /** Sockets that were full, so that the gateway stopped sending to them. */
  pauses: number;
}

export function createRelayCounts(): RelayCounts {
  return { frames: 0, bytes: 0, stale: 0, duplicate: 0, gaps: 0, sendZeroUnbuffered: 0, pauses: 0 };
}

/** What gateways and workers both have. */
function createSharedMetrics(registers: Registry[]) {
  return {
    nats: new Gauge({ name: 'parley_nats_connected', help: '1 while connected to NATS', registers }),
    redis: new Gauge({ name: 'parley_redis_connected', help: '1 while connected to Redis', registers }),
    characters: new Gauge({ name: 'parley_characters', help: 'Characters loaded', registers }),
    characterFaults: new Counter({
      name: 'parley_character_faults_total',
      help: 'Broken character files that were not taken over',
      registers,
    }),
  };
}

export function createGatewayMetrics(register: Registry, relay: RelayCounts) {
  const registers = [register];
  const copied = (name: string, help: string, read: () => number) =>
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  copied('parley_gateway_frames_total', 'Frames forwarded to clients', () => relay.frames);
  copied('parley_gateway_frame_bytes_total', 'Bytes of forwarded frames', () => relay.bytes);
  copied(
    'parley_gateway_frames_stale_total',
    'Frames of a given-up attempt or of no stream',
    () => relay.stale,
  );
  copied('parley_gateway_frames_duplicate_total', 'Frames that had been seen', () => relay.duplicate);
  copied('parley_gateway_frame_gaps_total', 'Gaps seen in the pieces of a stream', () => relay.gaps);
  copied(
    'parley_gateway_send_zero_unbuffered_total',
    'send returned 0 while nothing is buffered',
    () => relay.sendZeroUnbuffered,
  );
  copied('parley_gateway_pauses_total', 'Sockets that were full for a while', () => relay.pauses);
  return {
    uws: new Gauge({
      name: 'parley_gateway_uws_info',
      help: 'The uWebSockets.js build that runs',
      labelNames: ['build', 'version'],
      registers,
    }),
    sockets: new Gauge({ name: 'parley_gateway_sockets', help: 'Open sockets', registers }),
    sessions: new Gauge({
      name: 'parley_gateway_sessions',
      help: 'Sessions, with or without a socket',
      registers,
    }),
    streams: new Gauge({ name: 'parley_gateway_streams', help: 'Running streams', registers }),
    messages: new Counter({
      name: 'parley_gateway_messages_total',
      help: 'Messages from clients by kind',
      labelNames: ['t'],
      registers,
    }),
    refused: new Counter({
      name: 'parley_gateway_refused_total',
      help: 'Messages answered with err, by code',
      labelNames: ['code'],
      registers,
    }),
    closes: new Counter({
      name: 'parley_gateway_closes_total',
      help: 'Sockets closed by the gateway, by close code',
      labelNames: ['code'],
      registers,
    }),
    ends: new Counter({
      name: 'parley_gateway_stream_ends_total',
      help: 'Streams ended, by outcome (an err code or live/authored with the reason where the gateway wrote it)',
      labelNames: ['outcome'],
      registers,
    }),
    attempts: new Counter({
      name: 'parley_gateway_attempts_total',
      help: 'Tries to place a stream, by result',
      labelNames: ['result'],
      registers,
    }),
    failOvers: new Counter({
      name: 'parley_gateway_fail_overs_total',
      help: 'Streams that another worker went on with in mid-sentence',
      registers,
    }),
    resumes: new Counter({
      name: 'parley_gateway_resumed_streams_total',
      help: 'Streams named by a player who came back, by what became of them',
      labelNames: ['state'],
      registers,
    }),
    probes: new Counter({
      name: 'parley_gateway_probes_total',
      help: 'Probes of workers that missed beats, by answer',
      labelNames: ['result'],
      registers,
    }),
    pushes: new Counter({
      name: 'parley_gateway_pushes_total',
      help: 'Pushes of backends, by what the sender heard',
      labelNames: ['result'],
      registers,
    }),
    acts: new Counter({
      name: 'parley_gateway_acts_total',
      help: 'Acts of characters: passed (by the client), agreed or refused by the game server, or why nobody was asked',
      labelNames: ['result'],
      registers,
    }),
    observations: new Counter({
      name: 'parley_gateway_observations_total',
      help: 'What players did, as their games told it, by what became of it',
      labelNames: ['result'],
      registers,
    }),
    pins: new Counter({
      name: 'parley_gateway_pins_total',
      help: 'Leases asked for characters near whom players stand: pinned, renewed, kv_full, unknown_npc, failed (the worker), no_worker, unanswered; and released',
      labelNames: ['result'],
      registers,
    }),
    near: new Gauge({
      name: 'parley_gateway_near_characters',
      help: 'Characters near whom a player of this gateway stands',
      registers,
    }),
    states: new Counter({
      name: 'parley_gateway_states_total',
      help: 'Facts told by backends, by result',
      labelNames: ['result'],
      registers,
    }),
    acceptSeconds: new Histogram({
      name: 'parley_gateway_accept_seconds',
      help: 'From say to accepted',
      buckets: tokenBuckets,
      registers,
    }),
    firstPieceSeconds: new Histogram({
      name: 'parley_gateway_first_piece_seconds',
      help: 'From say to the first piece',
      buckets: ttftBuckets,
      registers,
    }),
    workers: new Gauge({
      name: 'parley_gateway_workers',
      help: 'Workers whose heartbeat is fresh',
      labelNames: ['tier'],
      registers,
    }),
    ...createSharedMetrics(registers),
  };
}
export type GatewayMetrics = ReturnType<typeof createGatewayMetrics>;

/** What the triton engine knows of its servers. */
function createTritonMetrics(registers: Registry[]) {
  const up = new Gauge({
    name: 'parley_triton_up',
    help: '1 while a Triton server serves',
    labelNames: ['server'],
    registers,
  });
  const kvUse = new Gauge({
    name: 'parley_triton_kv_use_ratio',
    help: 'Part of the KV cache of a Triton server that is in use, 0 to 1',
    labelNames: ['server'],
    registers,
  });
  const faults = new Counter({
    name: 'parley_triton_faults_total',
    help: 'What went wrong with Triton servers: unreachable, not_ready, wrong_repository, garbage, flood, silent, refused, prompt_too_long',
    labelNames: ['reason'],
    registers,
  });
  const probes = new Counter({
    name: 'parley_triton_probes_total',
    help: 'One-token probes of Triton servers that were quiet or had failed, by result',
    labelNames: ['result'],
    registers,
  });
  return {
    onState(server: string, isUp: boolean, figures: { kvUse: number }): void {
      up.set({ server }, Number(isUp));
      kvUse.set({ server }, figures.kvUse);
    },
    onFault: (reason: string) => faults.inc({ reason }),
    onProbe: (result: string) => probes.inc({ result }),
  };
}

/** What the cache of an engine holds, and for whom. */
function createKvMetrics(registers: Registry[]) {
  const resident = new Gauge({
    name: 'parley_worker_kv_resident_characters',
    help: 'Characters whose prefix is in the KV cache',
    registers,
  });
  const pinned = new Gauge({
    name: 'parley_worker_kv_pinned_characters',
    help: 'Characters that a lease keeps there',
    registers,
  });
  const pinRoom = new Gauge({
    name: 'parley_worker_kv_pin_room',
    help: 'What leases may hold (budget) and do hold (held), in sequences or blocks',
    labelNames: ['of', 'unit'],
    registers,
  });
  const evictions = new Counter({
    name: 'parley_worker_kv_evictions_total',
    help: 'Characters that lost their last copy in the KV cache, by whether they had a lease',
    labelNames: ['leased'],
    registers,
  });
  const found = new Counter({
    name: 'parley_worker_kv_prefix_total',
    help: 'Answers by where the prefix of the character was: memory, disk, computed',
    labelNames: ['where'],
    registers,
  });
  const copy = <L extends string>(
    counter: Counter<L>,
    label: L,
    values: Readonly<Record<string, number>>,
  ) => {
    counter.reset();
    for (const [name, value] of Object.entries(values)) counter.inc({ [label]: name } as never, value);
  };
  /** Copies the figures of an engine; to be called now and then. */
  return (stats: {
    readonly resident: readonly string[];
    readonly pinned: readonly string[];
    readonly kv?: {
      readonly unit: string;
      readonly budget: number;
      readonly held: number;
      readonly evicted: { readonly leased: number; readonly unleased: number };
      readonly found: Readonly<Record<string, number>>;
    };
  }): void => {
    resident.set(stats.resident.length);
    pinned.set(stats.pinned.length);
    if (!stats.kv) return;
    const { unit, budget, held, evicted } = stats.kv;
    pinRoom.set({ of: 'budget', unit }, budget);
    pinRoom.set({ of: 'held', unit }, held);
    copy(evictions, 'leased', { yes: evicted.leased, no: evicted.unleased });
    copy(found, 'where', stats.kv.found);
  };
}

/** What guessing ahead brings, by where the guesses come from: lookup-2 to -4 (so many tokens stood there before), model, triton. */
function createSpeculationMetrics(registers: Registry[]) {
  const guessed = new Counter({
    name: 'parley_worker_guessed_tokens_total',
    help: 'Tokens guessed ahead, by whether the model chose them too (accepted, rejected) and by the source of the guess',
    labelNames: ['result', 'source'],
    registers,
  });
  const draftSeconds = new Histogram({
    name: 'parley_worker_draft_seconds',
    help: 'Time to make a guess',
    labelNames: ['source'],
    buckets: [0.000_1, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25],
    registers,
  });
  const speedUp = new Gauge({
    name: 'parley_worker_speculation_speedup',
    help: 'Tokens a second with guesses as they are made, over those of steps without any, of late',
    registers,
  });
  return (
    step: { kind: string; drafted: number; accepted: number; draftMs: number; steps?: number },
    now: number,
  ) => {
    const { kind: source, drafted, accepted, draftMs, steps = 1 } = step;
    guessed.inc({ result: 'accepted', source }, accepted * steps);
    guessed.inc({ result: 'rejected', source }, (drafted - accepted) * steps);
    draftSeconds.observe({ source }, draftMs / 1_000);
    speedUp.set(now);
  };
}

export function createWorkerMetrics(register: Registry) {
  const registers = [register];
  const adapterInfo = new Gauge({
    name: 'parley_worker_adapter_info',
    help: 'The adapter that serves (name none: the model alone) and where it comes from',
    labelNames: ['name', 'version', 'source'],
    registers,
  });
  const adapterSwaps = new Counter({
    name: 'parley_worker_adapter_swaps_total',
    help: 'Adapters taken up while streams ran (swapped) and those that could not be used (failed)',
    labelNames: ['result'],
    registers,
  });
  return {
    triton: createTritonMetrics(registers),
    onKv: createKvMetrics(registers),
    onSpeculation: createSpeculationMetrics(registers),
    pins: new Counter({
      name: 'parley_worker_pins_total',
      help: 'Pins that gateways asked for: pinned, renewed, released, kv_full, unknown_npc, failed; warmed: computed on the spot',
      labelNames: ['result'],
      registers,
    }),
    recalls: new Counter({
      name: 'parley_worker_recalls_total',
      help: 'Words that were looked up among what was written: near, refused (unlike all of it), nothing (nothing holds now)',
      labelNames: ['result'],
      registers,
    }),
    readAhead: new Counter({
      name: 'parley_worker_read_ahead_total',
      help: 'Conversations after an answer: goes_on (the next prompt begins as this one did), read (it does not, and was read ahead), given_up (the player spoke first), failed',
      labelNames: ['result'],
      registers,
    }),
    /** Which adapter serves now, and how that came about. */
    onAdapter(
      result: 'loaded' | 'swapped' | 'failed',
      inService: { name: string; version: string; source: string } | undefined,
    ): void {
      if (result !== 'loaded') adapterSwaps.inc({ result });
      const { name, version, source } = inService ?? { name: 'none', version: '', source: '' };
      adapterInfo.reset();
      adapterInfo.set({ name, version, source }, 1);
    },
    requests: new Counter({
      name: 'parley_worker_requests_total',
      help: 'Requests that arrived, by what became of them at the door',
      labelNames: ['result'],
      registers,
    }),
    streams: new Counter({
      name: 'parley_worker_streams_total',
      help: 'Streams ended, by reason or err code',
      labelNames: ['outcome'],
      registers,
    }),
    active: new Gauge({ name: 'parley_worker_active', help: 'Streams that decode now', registers }),
    queued: new Gauge({ name: 'parley_worker_queued', help: 'Requests that wait', registers }),
    held: new Gauge({
      name: 'parley_worker_held_streams',
      help: 'Streams kept for players who come back',
      registers,
    }),
    heldBytes: new Gauge({ name: 'parley_worker_held_bytes', help: 'Bytes of kept pieces', registers }),
    tokens: new Counter({
      name: 'parley_worker_tokens_total',
      help: 'Tokens by kind: prompt (prefilled), cached, completion',
      labelNames: ['kind'],
      registers,
    }),
    probes: new Counter({
      name: 'parley_worker_model_probes_total',
      help: 'Requests for one token to a model that was quiet or unwell, by result',
      labelNames: ['result'],
      registers,
    }),
    queueSeconds: new Histogram({
      name: 'parley_worker_queue_seconds',
      help: 'Wait for a free place',
      buckets: ttftBuckets,
      registers,
    }),
    firstPieceSeconds: new Histogram({
      name: 'parley_worker_first_piece_seconds',
      help: 'From arrival to the first piece',
      buckets: ttftBuckets,
      registers,
    }),
    tokenSeconds: new Histogram({
      name: 'parley_worker_token_seconds',
      help: 'Between two pieces',
      buckets: tokenBuckets,
      registers,
    }),
    commits: new Counter({
      name: 'parley_worker_history_commits_total',
      help: 'Turns written to history, by result',
      labelNames: ['result'],
      registers,
    }),
    acts: new Counter({
      name: 'parley_worker_acts_total',
      help: 'What characters decided to do: sent, none, dropped (broke the schema), failed (the model could not be asked)',
      labelNames: ['result'],
      registers,
    }),
    ...createSharedMetrics(registers),
  };
}
export type WorkerMetrics = ReturnType<typeof createWorkerMetrics>;
