// Good messages, to be spoiled: what a client may send, and every envelope of the bus with the function that reads it.
// They are made by hand and not of the schemas, which are what is being tried.

import fc from 'fast-check';
import {
  readAccepted,
  readBeat,
  readControl,
  readDeliver,
  readGatewayControl,
  readGenerateRequest,
  readKept,
  readNpcSay,
} from '../../bus/envelopes.ts';
import { ids, maps, values, words } from './values.ts';

type Shape = Record<string, fc.Arbitrary<unknown>>;

/** A map with all of `needed` and any of `optional`. */
const map = (needed: Shape, optional: Shape = {}): fc.Arbitrary<Record<string, unknown>> =>
  fc.record(
    { ...needed, ...optional },
    { requiredKeys: Object.keys(needed), noNullPrototype: true },
  ) as fc.Arbitrary<Record<string, unknown>>;

const is = <T>(value: T) => fc.constant(value);
const count = fc.nat(10_000);
const some = words(60, 1);
const stream = fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 0x7fffffff }));
const npc = fc.oneof({ weight: 3, arbitrary: fc.constantFrom('mira', 'rosa', 'bram') }, ids);
const encoding = fc.constantFrom('json', 'msgpack');
const attempt = fc.integer({ min: 1, max: 65_535 });

/** Stands for a token of the player who sends it. */
export const tokenHere = '$token';

export const hellos = map(
  { t: is('hello'), token: is(tokenHere) },
  {
    resume: map(
      { session: ids, key: ids },
      { streams: fc.array(map({ s: fc.integer(), n: count }), { maxLength: 5 }) },
    ),
  },
);

const says = fc
  .tuple(
    map(
      { t: is('say'), s: stream, npc },
      {
        mode: is('alongside'),
        context: words(60),
        budgetMs: fc.integer({ min: 1, max: 3_600_000 }),
        maxTokens: fc.integer({ min: 1, max: 300 }),
      },
    ),
    fc.oneof(map({ text: some }), map({ topic: fc.oneof(fc.constantFrom('greeting', 'swords'), ids) })),
  )
  .map(([message, what]) => ({ ...message, ...what }));

/** What a client may send once it is welcomed. */
export const clientMessages = fc.oneof(
  { weight: 10, arbitrary: says },
  { weight: 2, arbitrary: map({ t: is('cancel'), s: fc.integer() }) },
  { weight: 2, arbitrary: map({ t: is('observe'), kind: ids }, { at: values, npc }) },
  { weight: 2, arbitrary: map({ t: is('job'), s: stream, kind: ids, input: values }) },
  { weight: 2, arbitrary: map({ t: is('refresh'), token: fc.oneof(is(tokenHere), some) }) },
  { weight: 2, arbitrary: map({ t: is('ping') }, { c: fc.oneof(fc.integer(), fc.maxSafeInteger()) }) },
  map({ t: is('bye') }),
);

const segments = fc.array(
  fc.oneof(
    map({ last: count, d: words(30) }),
    map({ last: count, act: map({ name: ids, args: maps, ttlMs: count }) }),
  ),
  { maxLength: 5 },
);
const reference = { session: ids, s: fc.integer() };
const versions = { v: fc.constantFrom(1, 2), epoch: count };

const generates = fc
  .tuple(
    map(
      { npc, player: ids },
      {
        ...versions,
        ...reference,
        context: words(60),
        maxTokens: fc.integer({ min: 1, max: 1_000_000 }),
        attempt,
        encoding,
        frameMs: count,
        memory: fc.boolean(),
        said: segments,
      },
    ),
    fc.oneof(map({ text: some }), map({ topic: ids })),
  )
  .map(([request, what]) => ({ ...request, ...what }));

const controls = fc.oneof(
  map(
    { op: is('cancel'), ...reference, attempt, commit: fc.boolean() },
    { ...versions, reason: fc.constantFrom('cancelled', 'deadline', 'lost') },
  ),
  map(
    { op: is('attach'), ...reference, attempt, n: count, encoding },
    { ...versions, withKept: fc.boolean() },
  ),
  map({ op: is('probe') }, { v: is(1) }),
  map({ op: is('pin'), npc, holder: ids, forMs: fc.integer({ min: 1, max: 300_000 }) }, { v: is(1) }),
  map({ op: is('release'), npc, holder: ids }, { v: is(1) }),
);

const beats = map(
  {
    worker: ids,
    tier: fc.constantFrom('gold', 'silver', 'bronze'),
    seq: count,
    model: words(30),
    engine: words(30),
    draining: fc.boolean(),
    active: count,
    queued: count,
    concurrency: count,
    queueLimit: count,
    prefillMsPerToken: fc.double({ min: 0, max: 1e6, noNaN: true }),
    decodeMsPerToken: fc.double({ min: 0, max: 1e6, noNaN: true }),
    resident: fc.array(ids, { maxLength: 5 }),
    pinned: fc.array(ids, { maxLength: 5 }),
    continues: fc.constantFrom('text', 'none'),
  },
  { v: is(1) },
);

const delivers = fc.oneof(
  map({ kind: is('push'), player: ids, message: maps }, { v: is(1) }),
  map(
    {
      kind: is('speech'),
      player: ids,
      npc,
      text: words(60),
      source: fc.constantFrom('live', 'authored'),
      model: words(20),
      tier: fc.constantFrom('gold', 'silver', 'none'),
    },
    { v: is(1) },
  ),
);

const npcSays = fc
  .tuple(
    map({ players: fc.array(ids, { minLength: 1, maxLength: 5 }) }, { v: is(1) }),
    fc.oneof(map({ line: some }), map({ about: some })),
  )
  .map(([request, what]) => ({ ...request, ...what }));

/** Fields that become a part of subjects and keys. */
export const idFields = ['npc', 'player', 'session', 'worker'];

/** Every envelope: its name, what reads it, and good ones. */
export const envelopes: [
  name: string,
  read: (payload: Uint8Array) => object,
  good: fc.Arbitrary<Record<string, unknown>>,
][] = [
  ['generate', readGenerateRequest, generates],
  ['control', readControl, controls],
  ['beat', readBeat, beats],
  ['accepted', readAccepted, map({ worker: ids, attempt, queued: count }, { v: is(1), ended: fc.boolean() })],
  ['kept', readKept, map({ segments }, { v: is(1) })],
  [
    'gateway control',
    readGatewayControl,
    map({ op: is('moved'), player: ids, session: ids, epoch: count }, { v: is(1) }),
  ],
  ['deliver', readDeliver, delivers],
  ['npc say', readNpcSay, npcSays],
];
