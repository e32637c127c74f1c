// Every setting of every process: name, type, default, bounds and the reason for it, in one table.
// runtime/config.ts reads the environment by it; `.env.example` is printed from it.

import { homedir } from 'node:os';
import { join } from 'node:path';

export interface Setting<T> {
  readonly env: string;
  readonly group: 'shared' | 'gateway' | 'worker';
  readonly fallback: T;
  readonly secret?: boolean;
  readonly doc: string;
  /** How the value is written, for messages and the manual: "milliseconds, 10 to 5000". */
  readonly form: string;
  /** Throws an Error whose message completes "PARLEY_X must be …". */
  parse(raw: string): T;
}

type Common = Pick<Setting<unknown>, 'env' | 'group' | 'doc'> & { secret?: boolean };

function text(s: Common & { fallback: string; form?: string; pattern?: RegExp }): Setting<string> {
  const form = s.form ?? 'text';
  return {
    ...s,
    form,
    parse(raw) {
      if (s.pattern && !s.pattern.test(raw)) throw new Error(form);
      return raw;
    },
  };
}

function number(
  s: Common & { fallback: number; min: number; max: number; unit?: string; fraction?: boolean },
): Setting<number> {
  const kind = s.fraction ? 'a number' : 'a whole number';
  const form = `${kind} from ${s.min} to ${s.max}${s.unit ? ` (${s.unit})` : ''}`;
  return {
    ...s,
    form,
    parse(raw) {
      const value = raw.trim() === '' ? Number.NaN : Number(raw);
      if (!Number.isFinite(value) || value < s.min || value > s.max) throw new Error(form);
      if (!s.fraction && !Number.isInteger(value)) throw new Error(form);
      return value;
    },
  };
}

function flag(s: Common & { fallback: boolean }): Setting<boolean> {
  const form = '1 or 0';
  return {
    ...s,
    form,
    parse(raw) {
      if (raw === '1' || raw === 'true') return true;
      if (raw === '0' || raw === 'false') return false;
      throw new Error(form);
    },
  };
}

function choice<const T extends string>(s: Common & { fallback: T; of: readonly T[] }): Setting<T> {
  const form = `one of ${s.of.join(', ')}`;
  return {
    ...s,
    form,
    parse(raw) {
      if (!(s.of as readonly string[]).includes(raw)) throw new Error(form);
      return raw as T;
    },
  };
}

const url = /^[a-z]+:\/\/\S+$/;
const id = /^[A-Za-z0-9_-]{1,64}$/;

export const settings = {
  // ---- every process ----
  home: text({
    env: 'PARLEY_HOME',
    group: 'shared',
    fallback: join(homedir(), '.parley'),
    form: 'a folder',
    doc: 'Cache (servers, model, prefilled personas) and data (keys, Redis files, state of the local stack).',
  }),
  prefix: text({
    env: 'PARLEY_PREFIX',
    group: 'shared',
    fallback: 'parley',
    pattern: id,
    form: 'up to 64 letters, digits, - and _',
    doc: 'Stands before every NATS subject and every Redis key, so that several games can share one NATS and one Redis.',
  }),
  id: text({
    env: 'PARLEY_ID',
    group: 'shared',
    fallback: '',
    pattern: id,
    form: 'up to 64 letters, digits, - and _',
    doc: 'Name of this process on the bus; it must match its NATS user. Empty: a random one.',
  }),
  natsUrl: text({
    env: 'PARLEY_NATS_URL',
    group: 'shared',
    fallback: '',
    pattern: url,
    secret: true,
    form: 'a URL such as nats://user:password@127.0.0.1:4222, several with commas',
    doc: 'The bus. Empty: `npm start` runs a server of its own; a gateway or worker started by hand needs it.',
  }),
  redisUrl: text({
    env: 'PARLEY_REDIS_URL',
    group: 'shared',
    fallback: '',
    pattern: url,
    secret: true,
    form: 'a URL such as redis://user:password@127.0.0.1:6379',
    doc: 'History and sessions. Empty: `npm start` runs a server of its own.',
  }),
  npcs: text({
    env: 'PARLEY_NPCS',
    group: 'shared',
    fallback: 'npcs',
    form: 'a folder',
    doc: 'Folder of the characters, one YAML file each. Read at start and again whenever a file changes.',
  }),
  logLevel: choice({
    env: 'PARLEY_LOG_LEVEL',
    group: 'shared',
    fallback: 'info',
    of: ['debug', 'info', 'warn', 'error', 'silent'],
    doc: 'Log lines are JSON on standard error. Player text is never logged, at no level.',
  }),
  metricsPort: number({
    env: 'PARLEY_METRICS_PORT',
    group: 'shared',
    fallback: 0,
    min: 0,
    max: 65_535,
    doc: 'Where a worker serves /metrics, /healthz and /readyz. 0: a free port, named in the log. (A gateway serves them on PARLEY_PORT.)',
  }),
  historyTurns: number({
    env: 'PARLEY_HISTORY_TURNS',
    group: 'shared',
    fallback: 64,
    min: 0,
    max: 1000,
    unit: 'turns',
    doc: 'Turns kept for each player and character. The prompt uses the newest that fit. 0 keeps none: characters forget at once.',
  }),
  historyTtlS: number({
    env: 'PARLEY_HISTORY_TTL_S',
    group: 'shared',
    fallback: 604_800,
    min: 1,
    max: 31_536_000,
    unit: 'seconds',
    doc: 'How long a conversation is remembered after its last turn.',
  }),
  beatMs: number({
    env: 'PARLEY_BEAT_MS',
    group: 'shared',
    fallback: 500,
    min: 50,
    max: 10_000,
    unit: 'milliseconds',
    doc: 'How often a worker says what it carries. A worker that misses three beats gets nothing new. Must be the same everywhere.',
  }),

  // ---- gateway ----
  host: text({
    env: 'PARLEY_HOST',
    group: 'gateway',
    fallback: '127.0.0.1',
    form: 'an address',
    doc: 'Where the gateway listens. 0.0.0.0 for all interfaces.',
  }),
  port: number({
    env: 'PARLEY_PORT',
    group: 'gateway',
    fallback: 8080,
    min: 0,
    max: 65_535,
    doc: 'Port of the gateway: WebSocket, page, health and metrics. 0 or a port that is taken: `npm start` picks a free one and says so in its ready line.',
  }),
  jwtSecret: text({
    env: 'PARLEY_JWT_SECRET',
    group: 'gateway',
    fallback: '',
    secret: true,
    pattern: /^.{32,}$/s,
    form: 'at least 32 characters',
    doc: 'Shared secret of HS256 tokens. `npm start` makes one and keeps it in PARLEY_HOME.',
  }),
  jwtPublicKey: text({
    env: 'PARLEY_JWT_PUBLIC_KEY',
    group: 'gateway',
    fallback: '',
    form: 'a file',
    doc: 'Public key (PEM, SPKI) of RS256, ES256 or EdDSA tokens.',
  }),
  jwksUrl: text({
    env: 'PARLEY_JWKS_URL',
    group: 'gateway',
    fallback: '',
    pattern: /^https?:\/\/\S+$/,
    form: 'an http(s) URL',
    doc: 'Key set of the identity provider, fetched when a token names a key that is not known yet.',
  }),
  jwtAudience: text({
    env: 'PARLEY_JWT_AUDIENCE',
    group: 'gateway',
    fallback: 'parley',
    doc: 'The `aud` that a token must carry.',
  }),
  jwtIssuer: text({
    env: 'PARLEY_JWT_ISSUER',
    group: 'gateway',
    fallback: '',
    doc: 'The `iss` that a token must carry. Empty: any.',
  }),
  devTokens: flag({
    env: 'PARLEY_DEV_TOKENS',
    group: 'gateway',
    fallback: false,
    doc: 'Serves POST /dev/token, which gives anybody a token for any player, for the page under /. `npm start` turns it on; never do so where strangers can reach the port.',
  }),
  acceptMs: number({
    env: 'PARLEY_ACCEPT_MS',
    group: 'gateway',
    fallback: 250,
    min: 10,
    max: 10_000,
    unit: 'milliseconds',
    doc: 'How long a worker has to accept a request before it goes to another one.',
  }),
  actMs: number({
    env: 'PARLEY_ACT_MS',
    group: 'gateway',
    fallback: 500,
    min: 10,
    max: 10_000,
    unit: 'milliseconds',
    doc: "How long the game's server has to agree to what a character wants to do (verbs with authority `server`). Without an answer by then it is not done.",
  }),
  pinLeaseMs: number({
    env: 'PARLEY_PIN_LEASE_MS',
    group: 'gateway',
    fallback: 15_000,
    min: 1_000,
    max: 300_000,
    unit: 'milliseconds',
    doc: 'How long a worker keeps the character near whom a player stands (observe `near`, or who was spoken to) without hearing again of it. The gateway renews the lease after a third of that, once for all its players.',
  }),
  stateTtlS: number({
    env: 'PARLEY_STATE_TTL_S',
    group: 'gateway',
    fallback: 604_800,
    min: 1,
    max: 31_536_000,
    unit: 'seconds',
    doc: 'How long the facts that a backend told on parley.state are kept after the last time.',
  }),
  maxAttempts: number({
    env: 'PARLEY_MAX_ATTEMPTS',
    group: 'gateway',
    fallback: 3,
    min: 1,
    max: 10,
    doc: 'How many workers are asked before the player gets the authored line of the character.',
  }),
  budgetMs: number({
    env: 'PARLEY_BUDGET_MS',
    group: 'gateway',
    fallback: 20_000,
    min: 100,
    max: 600_000,
    unit: 'milliseconds',
    doc: 'Time for a whole answer when `say` names none, and the most that it may name. When it is over, the answer ends with reason `deadline`.',
  }),
  maxTokens: number({
    env: 'PARLEY_MAX_TOKENS',
    group: 'gateway',
    fallback: 256,
    min: 1,
    max: 8192,
    unit: 'tokens',
    doc: 'The most that a `say` may ask for. What a character uses by default stands in its YAML.',
  }),
  helloMs: number({
    env: 'PARLEY_HELLO_MS',
    group: 'gateway',
    fallback: 5_000,
    min: 100,
    max: 60_000,
    unit: 'milliseconds',
    doc: 'A socket that has not said `hello` by then is closed with 4408.',
  }),
  pingMs: number({
    env: 'PARLEY_PING_MS',
    group: 'gateway',
    fallback: 25_000,
    min: 1_000,
    max: 110_000,
    unit: 'milliseconds',
    doc: 'A client should send `ping` when it has sent nothing for this long. A socket that is silent for twice as long (8 s at least) is closed.',
  }),
  frameMs: number({
    env: 'PARLEY_FRAME_MS',
    group: 'gateway',
    fallback: 0,
    min: 0,
    max: 1_000,
    unit: 'milliseconds',
    doc: 'How long a worker may gather text before it sends a `tok`. 0: every piece at once.',
  }),
  maxFrameBytes: number({
    env: 'PARLEY_MAX_FRAME_BYTES',
    group: 'gateway',
    fallback: 16_384,
    min: 256,
    max: 1_048_576,
    unit: 'bytes',
    doc: 'A larger frame from a client closes its socket with 4413.',
  }),
  maxTextChars: number({
    env: 'PARLEY_MAX_TEXT_CHARS',
    group: 'gateway',
    fallback: 2_000,
    min: 1,
    max: 100_000,
    unit: 'characters',
    doc: 'The longest `text` of a `say`.',
  }),
  maxContextChars: number({
    env: 'PARLEY_MAX_CONTEXT_CHARS',
    group: 'gateway',
    fallback: 500,
    min: 0,
    max: 100_000,
    unit: 'characters',
    doc: 'The longest `context` of a `say`. 0: none is taken.',
  }),
  saysPerSecond: number({
    env: 'PARLEY_SAYS_PER_SECOND',
    group: 'gateway',
    fallback: 5,
    min: 0.01,
    max: 10_000,
    unit: 'says a second',
    fraction: true,
    doc: 'How often one player may speak in the long run. Above it `err` with `rate_limited` and `retryMs`. Travels with the session.',
  }),
  sayBurst: number({
    env: 'PARLEY_SAY_BURST',
    group: 'gateway',
    fallback: 20,
    min: 1,
    max: 10_000,
    unit: 'says',
    doc: 'How many times a player may speak at once before that rate counts.',
  }),
  thinksPerSecond: number({
    env: 'PARLEY_THINKS_PER_SECOND',
    group: 'gateway',
    fallback: 10,
    min: 0.01,
    max: 10_000,
    unit: 'thinks a second',
    fraction: true,
    doc: 'How often the game of one player may ask characters what to do (`say` with mode `think`) in the long run. Says are counted apart, so that thinking never keeps a player from speaking.',
  }),
  thinkBurst: number({
    env: 'PARLEY_THINK_BURST',
    group: 'gateway',
    fallback: 20,
    min: 1,
    max: 10_000,
    unit: 'thinks',
    doc: 'How many of these may come at once before that rate counts.',
  }),
  gameSaysPerSecond: number({
    env: 'PARLEY_GAME_SAYS_PER_SECOND',
    group: 'gateway',
    fallback: 0,
    min: 0,
    max: 10_000_000,
    unit: 'says a second',
    doc: 'Says and thinks of all players of the game together, shared between the gateways through Redis. Thinks are refused from half of it on. 0: no limit.',
  }),
  handshakesPerSecond: number({
    env: 'PARLEY_HANDSHAKES_PER_SECOND',
    group: 'gateway',
    fallback: 5_000,
    min: 1,
    max: 1_000_000,
    unit: 'a second',
    doc: 'New sessions that this gateway takes. Above it 4429. A resume with a valid key does not count.',
  }),
  addressHandshakesPerSecond: number({
    env: 'PARLEY_ADDRESS_HANDSHAKES_PER_SECOND',
    group: 'gateway',
    fallback: 0,
    min: 0,
    max: 1_000_000,
    unit: 'a second',
    doc: 'The same for each address, with a burst of ten seconds. 0: no limit, which is right where many players come through one address and PARLEY_TRUST_PROXY is off.',
  }),
  trustProxy: flag({
    env: 'PARLEY_TRUST_PROXY',
    group: 'gateway',
    fallback: false,
    doc: 'Takes the address of a player from the last entry of X-Forwarded-For. Only behind a proxy that sets it.',
  }),
  origins: text({
    env: 'PARLEY_ORIGINS',
    group: 'gateway',
    fallback: '',
    form: 'origins such as https://game.example, several with commas',
    doc: 'Pages that may connect; others are closed with 4403. Clients that are no browser send no origin and are not concerned. Empty: any page.',
  }),
  tlsCert: text({
    env: 'PARLEY_TLS_CERT',
    group: 'gateway',
    fallback: '',
    form: 'a file',
    doc: 'Certificate chain (PEM). With PARLEY_TLS_KEY the gateway speaks TLS; both files are read again when they change, and open sockets stay.',
  }),
  tlsKey: text({
    env: 'PARLEY_TLS_KEY',
    group: 'gateway',
    fallback: '',
    form: 'a file',
    doc: 'Private key (PEM) of that certificate.',
  }),
  maxStreams: number({
    env: 'PARLEY_MAX_STREAMS',
    group: 'gateway',
    fallback: 8,
    min: 1,
    max: 1_000,
    doc: 'Streams that one session may have running. Thinks are counted apart, up to the same number.',
  }),
  messagesPerSecond: number({
    env: 'PARLEY_MESSAGES_PER_SECOND',
    group: 'gateway',
    fallback: 20,
    min: 1,
    max: 10_000,
    unit: 'messages a second',
    doc: 'What a session may send. Above it `err` with `rate_limited`; who goes on regardless is closed with 4429.',
  }),
  messageBurst: number({
    env: 'PARLEY_MESSAGE_BURST',
    group: 'gateway',
    fallback: 40,
    min: 1,
    max: 10_000,
    unit: 'messages',
    doc: 'How many messages may come at once before that rate counts.',
  }),
  maxBackpressureBytes: number({
    env: 'PARLEY_MAX_BACKPRESSURE_BYTES',
    group: 'gateway',
    fallback: 1_048_576,
    min: 16_384,
    max: 1_073_741_824,
    unit: 'bytes',
    doc: 'Bytes that may wait for a slow client before its socket is closed with 4504 (it may come back and resume).',
  }),
  pauseBytes: number({
    env: 'PARLEY_PAUSE_BYTES',
    group: 'gateway',
    fallback: 65_536,
    min: 1_024,
    max: 1_073_741_824,
    unit: 'bytes',
    doc: 'Unsent bytes above which a socket gets nothing more until it has drained; then it gets what it missed, merged.',
  }),
  maxKeptBytes: number({
    env: 'PARLEY_MAX_KEPT_BYTES',
    group: 'gateway',
    fallback: 262_144,
    min: 1_024,
    max: 1_073_741_824,
    unit: 'bytes',
    doc: 'What is kept of one running stream, so that another worker can go on with it. A longer answer cannot be continued after its worker died.',
  }),
  stallMs: number({
    env: 'PARLEY_STALL_MS',
    group: 'gateway',
    fallback: 2_000,
    min: 100,
    max: 600_000,
    unit: 'milliseconds',
    doc: 'How long a stream may be silent while its worker answers no probe, before another worker goes on with it.',
  }),
  resumeGraceMs: number({
    env: 'PARLEY_RESUME_GRACE_MS',
    group: 'gateway',
    fallback: 15_000,
    min: 0,
    max: 600_000,
    unit: 'milliseconds',
    doc: 'How long running streams go on after the socket was lost without a goodbye. 0: they are cancelled at once.',
  }),
  drainMs: number({
    env: 'PARLEY_DRAIN_MS',
    group: 'shared',
    fallback: 10_000,
    min: 0,
    max: 600_000,
    unit: 'milliseconds',
    doc: 'How long running streams may go on after SIGTERM.',
  }),

  // ---- worker ----
  tier: choice({
    env: 'PARLEY_TIER',
    group: 'worker',
    fallback: 'gold',
    of: ['gold', 'silver'],
    doc: 'The tier, and so the subject, that this worker serves.',
  }),
  engine: choice({
    env: 'PARLEY_ENGINE',
    group: 'worker',
    fallback: 'llama',
    of: ['llama', 'triton'],
    doc: 'What generates: llama is llama.cpp in the worker itself; triton is TensorRT-LLM behind a Triton server (tiers/gold/README.md).',
  }),
  tritonUrls: text({
    env: 'PARLEY_TRITON_URLS',
    group: 'worker',
    fallback: '',
    pattern: /^[^\s,:/]+:\d+(,[^\s,:/]+:\d+)*$/,
    form: 'host:port of the gRPC service, several with commas',
    doc: 'The Triton servers of the triton engine. One that does not serve is left out until it does. Empty: `npm start -- --gold triton` runs one of its own.',
  }),
  tritonMetricsUrls: text({
    env: 'PARLEY_TRITON_METRICS_URLS',
    group: 'worker',
    fallback: '',
    pattern: /^https?:\/\/[^\s,]+(,https?:\/\/[^\s,]+)*$/,
    form: 'http(s) URLs in the order of PARLEY_TRITON_URLS, with commas',
    doc: 'Their metrics pages (http://host:8002/metrics), for KV cache and load. Empty: neither is known, and readiness is by the model alone.',
  }),
  tritonModel: text({
    env: 'PARLEY_TRITON_MODEL',
    group: 'worker',
    fallback: 'tensorrt_llm',
    doc: 'The model of their repository: tensorrt_llm (token ids, with KV retention; needs the model tokenize beside it) or tensorrt_llm_bls or ensemble (text). Which form it has is read from its configuration.',
  }),
  tritonTokenize: text({
    env: 'PARLEY_TRITON_TOKENIZE',
    group: 'worker',
    fallback: 'tokenize',
    doc: "The model of their repository that is the model's own tokenizer, for a model that takes token ids.",
  }),
  tritonTemplate: text({
    env: 'PARLEY_TRITON_TEMPLATE',
    group: 'worker',
    fallback: '',
    form: 'chatml or llama3',
    pattern: /^(chatml|llama3)$/,
    doc: 'Chat template. Empty: the one that the model, or tokenize beside it, names as its parameter chat_template.',
  }),
  tritonAdapters: text({
    env: 'PARLEY_TRITON_ADAPTERS',
    group: 'worker',
    fallback: '',
    form: 'a .json file',
    doc: 'LoRA adapters by character for TensorRT-LLM (tiers/gold/README.md has the form). Read again when it changes. Empty: none.',
  }),
  tritonFirstTokenMs: number({
    env: 'PARLEY_TRITON_FIRST_TOKEN_MS',
    group: 'worker',
    fallback: 30_000,
    min: 10,
    max: 600_000,
    unit: 'milliseconds',
    doc: 'How long a Triton server may take for the first token; longer, and it counts as silent and is left out until it has answered a probe.',
  }),
  tritonSilentMs: number({
    env: 'PARLEY_TRITON_SILENT_MS',
    group: 'worker',
    fallback: 5_000,
    min: 10,
    max: 600_000,
    unit: 'milliseconds',
    doc: 'The same between two tokens.',
  }),
  tritonReadyMs: number({
    env: 'PARLEY_TRITON_READY_MS',
    group: 'worker',
    fallback: 120_000,
    min: 0,
    max: 3_600_000,
    unit: 'milliseconds',
    doc: 'How long a worker waits at its start until one of them serves.',
  }),
  hangMs: number({
    env: 'PARLEY_HANG_MS',
    group: 'worker',
    fallback: 30_000,
    min: 0,
    max: 3_600_000,
    unit: 'milliseconds',
    doc: 'A model that leaves a request for one token without an answer for so long, and does nothing else meanwhile, hangs: the worker says so and ends, to be started again. Also how long the first token after the start may take. 0: it may take for ever.',
  }),
  concurrency: number({
    env: 'PARLEY_CONCURRENCY',
    group: 'worker',
    fallback: 4,
    min: 1,
    max: 256,
    unit: 'streams',
    doc: 'Streams that decode at once. More of them, and each is slower.',
  }),
  queueLimit: number({
    env: 'PARLEY_QUEUE_LIMIT',
    group: 'worker',
    fallback: 16,
    min: 0,
    max: 10_000,
    unit: 'requests',
    doc: 'Requests that may wait for a free place; above it the worker refuses and the gateway asks another. 0: none waits.',
  }),
  holdMs: number({
    env: 'PARLEY_HOLD_MS',
    group: 'worker',
    fallback: 60_000,
    min: 0,
    max: 3_600_000,
    unit: 'milliseconds',
    doc: 'How long a worker keeps the pieces of a stream after its end, for players who come back.',
  }),
  holdBytes: number({
    env: 'PARLEY_HOLD_BYTES',
    group: 'worker',
    fallback: 67_108_864,
    min: 65_536,
    max: 17_179_869_184,
    unit: 'bytes',
    doc: 'Bound of what is kept that way; the streams that ended first go first.',
  }),
  holdStreams: number({
    env: 'PARLEY_HOLD_STREAMS',
    group: 'worker',
    fallback: 10_000,
    min: 1,
    max: 10_000_000,
    unit: 'streams',
    doc: 'Bound of how many are kept that way.',
  }),
  workerBudgetMs: number({
    env: 'PARLEY_WORKER_BUDGET_MS',
    group: 'worker',
    fallback: 60_000,
    min: 100,
    max: 600_000,
    unit: 'milliseconds',
    doc: 'Time for a request that names none (a backend that publishes without Parley-Budget-Ms).',
  }),
  model: text({
    env: 'PARLEY_MODEL',
    group: 'worker',
    fallback: '',
    form: 'a .gguf file, or hf:user/repo:quantization',
    doc: 'The model of the llama engine. Empty: the small one that set-up fetched (SmolLM2-135M-Instruct). Bigger is better: any chat model as GGUF.',
  }),
  adapter: text({
    env: 'PARLEY_ADAPTER',
    group: 'worker',
    fallback: '',
    form: 'a .gguf file, or none',
    doc: 'LoRA adapter for that model. Empty: the champion of the registry (npm run promote; taken up while streams run), else the one beside the characters (adapters/ in PARLEY_NPCS) if it was made for this model. `none`: the model alone.',
  }),
  recall: text({
    env: 'PARLEY_RECALL',
    group: 'worker',
    fallback: '',
    form: 'a .gguf file, or none',
    doc: 'Encoder by which characters recall what their authors wrote (exchanges/ in PARLEY_NPCS) for words that are near in meaning. Empty: the one beside the characters (recall/ in PARLEY_NPCS). `none`: the words themselves bring up facts.',
  }),
  speculation: choice({
    env: 'PARLEY_SPECULATION',
    group: 'worker',
    fallback: 'auto',
    of: ['auto', 'on', 'off'],
    doc: 'Guessing ahead: several tokens are guessed and verified together. auto: where it was measured to gain (tiers/gold/README.md); on: always, for measurements; off: never.',
  }),
  speculationTokens: number({
    env: 'PARLEY_SPECULATION_TOKENS',
    group: 'worker',
    fallback: 4,
    min: 1,
    max: 16,
    unit: 'tokens',
    doc: 'How many are guessed at once at most.',
  }),
  draftModel: text({
    env: 'PARLEY_DRAFT_MODEL',
    group: 'worker',
    fallback: '',
    form: 'a .gguf file',
    doc: 'A smaller model with the same vocabulary that guesses for the model of the llama engine. Empty: guesses come out of the prompt alone.',
  }),
  threads: number({
    env: 'PARLEY_THREADS',
    group: 'worker',
    fallback: 1,
    min: 1,
    max: 256,
    unit: 'threads',
    doc: 'Threads of the llama engine. On a small shared machine 1 is steadier than 2.',
  }),
  sequences: number({
    env: 'PARLEY_SEQUENCES',
    group: 'worker',
    fallback: 8,
    min: 1,
    max: 256,
    doc: 'KV sequences in memory. Each is kept for one conversation; above PARLEY_CONCURRENCY they are cache.',
  }),
  kvPinShare: number({
    env: 'PARLEY_KV_PIN_SHARE',
    group: 'worker',
    fallback: 0.5,
    min: 0,
    max: 1,
    fraction: true,
    doc: 'Part of the KV cache that pinned characters (players stand near them) may hold: of PARLEY_SEQUENCES, less those that streams need, or of the blocks of the Triton servers. Above it a pin is refused (kv_full). 0: nobody is pinned.',
  }),
  contextTokens: number({
    env: 'PARLEY_CONTEXT_TOKENS',
    group: 'worker',
    fallback: 2_048,
    min: 256,
    max: 131_072,
    unit: 'tokens',
    doc: 'Length of each sequence: persona, history and answer together.',
  }),
  historyTokens: number({
    env: 'PARLEY_HISTORY_TOKENS',
    group: 'worker',
    fallback: 768,
    min: 0,
    max: 131_072,
    unit: 'tokens',
    doc: 'What a conversation may take of PARLEY_CONTEXT_TOKENS, about. A long one is read again when its beginning is dropped, or when others had its place in the cache: seconds on a CPU.',
  }),
  prefillChunkTokens: number({
    env: 'PARLEY_PREFILL_CHUNK',
    group: 'worker',
    fallback: 8,
    min: 1,
    max: 2_048,
    unit: 'tokens',
    doc: 'Prompt tokens that are prefilled in one go while other streams decode. Larger: a prompt is ready sooner, but the others wait longer for their next token and a cancel is heard later.',
  }),
} satisfies Record<string, Setting<unknown>>;
