// PROTOCOL.md and asyncapi.yaml say what the code does: their tables, kinds, bounds and worked bytes are compared
// with it, so that neither can fall behind. Runs no server.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { decode, encode } from '../bus/codec.ts';
import {
  type ClientMessage,
  clientMessageKinds,
  type EndReason,
  parseClientMessage,
  type ServerMessage,
  type StreamState,
  subprotocols,
} from '../bus/protocol.ts';
import { createSubjects } from '../bus/subjects.ts';
import { type Verb, verbsOf } from '../npcs/verbs.ts';
import { closeCodes, errorCodes } from '../runtime/errors.ts';
import { settings } from '../runtime/settings.ts';

const file = (name: string) => readFileSync(new URL(`../${name}`, import.meta.url), 'utf8');
const specification = file('PROTOCOL.md');

/** Rows of the Markdown table that follows `<!-- table: name -->`, without its head. */
function table(name: string): string[][] {
  const after = specification.split(`<!-- table: ${name} -->\n`)[1];
  if (after === undefined) throw new Error(`PROTOCOL.md has no table ${name}`);
  const lines = after.split('\n');
  return lines.slice(2, lines.indexOf('')).map((line) => line.slice(2, -2).split(' | '));
}

// The compiler sees to it that these lists are complete.
const serverKinds = Object.keys({
  welcome: 0,
  tok: 0,
  act: 0,
  end: 0,
  err: 0,
  push: 0,
  job: 0,
  reconnect: 0,
  pong: 0,
} satisfies Record<ServerMessage['t'], 0>);
const endReasons = Object.keys({
  stop: 0,
  length: 0,
  cancelled: 0,
  deadline: 0,
  filtered: 0,
} satisfies Record<EndReason, 0>);
const streamStates = Object.keys({
  resumed: 0,
  ended: 0,
  unknown: 0,
  lost: 0,
} satisfies Record<StreamState['state'], 0>);

describe('PROTOCOL.md', () => {
  test('has the close codes of the code', () => {
    const rows = Object.values(closeCodes).map((c) => [String(c.code), c.reason, c.retry, c.when]);
    expect(table('closeCodes')).toEqual(rows);
  });

  test('has the error codes of the code', () => {
    const rows = Object.entries(errorCodes).map(([name, e]) => [
      `\`${name}\``,
      e.message,
      e.retry ? 'yes' : 'no',
      e.when,
    ]);
    expect(table('errorCodes')).toEqual(rows);
  });

  test('has the default limits of the settings', () => {
    const defaults = table('limits').map((row) => row[1]);
    expect(defaults).toEqual([
      `${settings.maxFrameBytes.fallback} bytes`,
      `${settings.maxTextChars.fallback} characters`,
      `${settings.maxContextChars.fallback} characters`,
      `${settings.maxStreams.fallback}`,
      `${settings.messagesPerSecond.fallback}, with a burst of ${settings.messageBurst.fallback}`,
      `${settings.saysPerSecond.fallback}, with a burst of ${settings.sayBurst.fallback}`,
      `${settings.thinksPerSecond.fallback}, with a burst of ${settings.thinkBurst.fallback}`,
      '1, with a burst of 5',
      `${settings.helloMs.fallback} ms`,
      '2',
      `${settings.resumeGraceMs.fallback} ms`,
    ]);
    expect(specification).toContain(`\`pingMs\` (${settings.pingMs.fallback} ms)`);
    expect(specification).toContain(`${settings.actMs.fallback} ms (\`PARLEY_ACT_MS\`)`);
    expect(specification).toContain(`They last ${settings.stateTtlS.fallback / 86_400} days`);
    expect(specification).toContain(`bound (${settings.budgetMs.fallback} by default)`);
    expect(specification).toContain(`bound (${settings.maxTokens.fallback} by default)`);
    expect(specification).toContain(`whole answer; ${settings.workerBudgetMs.fallback} without it`);
  });

  test('has the verbs of every game', () => {
    const argument = ([name, { type, optional }]: [string, Verb['args'][string]]) =>
      `\`${name}\` (${type}${optional ? ', optional' : ''})`;
    const rows = [...verbsOf().values()].map(({ name, args, ttlMs, authority, description }) => [
      `\`${name}\``,
      Object.entries(args).map(argument).join(', ') || 'none',
      String(ttlMs),
      authority,
      description,
    ]);
    expect(table('verbs')).toEqual(rows);
    for (const kind of verbsOf().get('emote')!.args.kind!.enum!)
      expect(specification).toContain(`\`${kind}\``);
  });

  test.each([...clientMessageKinds, ...serverKinds])('describes `%s`', (kind) => {
    expect(specification).toContain(`\`${kind}\``);
  });

  test.each([...endReasons, ...streamStates])('explains the value `%s`', (value) => {
    expect(specification).toContain(`\`${value}\``);
  });

  test.each(Object.keys(subprotocols))('names the subprotocol %s', (name) => {
    expect(specification).toContain(`\`${name}\``);
  });

  test('has bytes that are what it says they are', () => {
    const examples = [...specification.matchAll(/`(\{"t":[^`]+\})`[^\n]*:\n\n```hex\n([0-9a-f ]+)\n```/g)];
    expect(examples).toHaveLength(2);
    for (const [, json, hex] of examples) {
      const bytes = Uint8Array.from(hex!.split(' '), (byte) => Number.parseInt(byte, 16));
      expect(decode(bytes, 'msgpack')).toEqual(JSON.parse(json!));
    }
    expect(
      Buffer.from(encode({ t: 'ping', c: 1 }, 'msgpack'))
        .toString('hex')
        .match(/../g)
        ?.join(' '),
    ).toBe(examples[0]![2]);
  });

  test('shows client messages that the edge takes', () => {
    const lines = specification.split('\n').flatMap((line) => /^> (\{.*\})$/.exec(line)?.[1] ?? []);
    expect(lines.length).toBeGreaterThanOrEqual(4);
    for (const line of lines) expect(() => parseClientMessage(JSON.parse(line)), line).not.toThrow();
  });
});

interface Schema {
  const?: unknown;
  enum?: string[];
  minimum?: number;
  maximum?: number;
  maxLength?: number;
  required?: string[];
  properties?: Record<string, Schema>;
  items?: Schema;
  $ref?: string;
}
interface Described {
  payload: Schema;
}
interface AsyncApi {
  asyncapi: string;
  channels: Record<string, { address: string | null; messages: Record<string, { $ref: string }> }>;
  operations: Record<string, { action: string; messages: { $ref: string }[] }>;
  components: { messages: Record<string, Described>; schemas: Record<string, Schema> };
}

const api = parse(file('asyncapi.yaml')) as AsyncApi & Record<string, unknown>;
const { messages } = api.components;

/** Follows a local reference; throws where it leads nowhere. */
function resolve(ref: string): unknown {
  let value: unknown = api;
  for (const key of ref.replace(/^#\//, '').split('/')) {
    value = (value as Record<string, unknown> | undefined)?.[key];
  }
  if (value === undefined) throw new Error(`${ref} leads nowhere`);
  if (typeof value === 'object' && value !== null && '$ref' in value) return resolve(value.$ref as string);
  return value;
}

function kindsOf(operation: string): unknown[] {
  return api.operations[operation]!.messages.map(
    ({ $ref }) => (resolve($ref) as Described).payload.properties!.t!.const,
  );
}

/** A message with every required field, as the schema describes it. */
function example(schema: Schema): unknown {
  if (schema.$ref) return example(resolve(schema.$ref) as Schema);
  if ('const' in schema) return schema.const;
  if (schema.properties) {
    const fields = (schema.required ?? []).map((name) => [name, example(schema.properties![name]!)]);
    return Object.fromEntries(fields);
  }
  if (schema.maxLength !== undefined) return 'x';
  if (schema.minimum !== undefined || (schema as { type?: string }).type === 'integer') return 1;
  return {};
}

describe('asyncapi.yaml', () => {
  test('is AsyncAPI 3.0 whose references all lead somewhere', () => {
    expect(api.asyncapi).toBe('3.0.0');
    for (const [, ref] of file('asyncapi.yaml').matchAll(/\$ref: '([^']+)'/g)) {
      expect(() => resolve(ref!)).not.toThrow();
    }
  });

  test('has the messages of the protocol, in the right direction', () => {
    expect(kindsOf('fromPlayer').sort()).toEqual([...clientMessageKinds].sort());
    expect(kindsOf('toPlayer').sort()).toEqual(serverKinds.sort());
    expect(Object.keys(api.channels.player!.messages)).toHaveLength(
      clientMessageKinds.size + serverKinds.length,
    );
  });

  test('has the subjects of the code', () => {
    const subjects = createSubjects('parley');
    const addresses = Object.values(api.channels).map(({ address }) =>
      address?.replaceAll(/\{[^}]+\}/g, 'x'),
    );
    for (const subject of [
      subjects.act('x'),
      subjects.observed('x'),
      subjects.state('player', 'x').replace('player', 'x'),
    ]) {
      expect(addresses).toContain(subject);
    }
  });

  test('requires of a client what the edge requires', () => {
    for (const { payload } of Object.values(messages)) {
      const kind = payload.properties?.t?.const as ClientMessage['t'] | undefined;
      if (!kind || !clientMessageKinds.has(kind) || payload === messages.jobUpdate!.payload) continue;
      const whole = example(payload) as Record<string, unknown>;
      if (kind === 'say') whole.text = 'x';
      expect(() => parseClientMessage(whole), kind).not.toThrow();
      for (const field of payload.required!) {
        const { [field]: _, ...without } = whole;
        // `input` of a job may be anything, which includes nothing.
        if (field !== 'input') expect(() => parseClientMessage(without), `${kind}.${field}`).toThrow();
      }
    }
  });

  test('has the error codes, reasons, states and bounds of the code', () => {
    expect(messages.err!.payload.properties!.code!.enum).toEqual(Object.keys(errorCodes));
    expect(messages.end!.payload.properties!.reason!.enum).toEqual(endReasons);
    const states = messages.welcome!.payload.properties!.streams!.items!.properties!.state!;
    expect(states.enum).toEqual(streamStates);
    const say = messages.say!.payload.properties!;
    expect(say.text!.maxLength).toBe(settings.maxTextChars.fallback);
    expect(say.context!.maxLength).toBe(settings.maxContextChars.fallback);
    const base = { t: 'say', s: 1, npc: 'x', text: 'x' };
    for (const field of ['budgetMs', 'maxTokens'] as const) {
      const { minimum, maximum } = say[field]!;
      for (const good of [minimum!, maximum!]) {
        expect(() => parseClientMessage({ ...base, [field]: good })).not.toThrow();
      }
      for (const bad of [minimum! - 1, maximum! + 1]) {
        expect(() => parseClientMessage({ ...base, [field]: bad })).toThrow();
      }
    }
    for (const mode of say.mode!.enum!) {
      const words = mode === 'think' ? { context: 'x', text: undefined } : {};
      expect(() => parseClientMessage({ ...base, mode, ...words })).not.toThrow();
    }
    const { minimum: least, maximum: most } = api.components.schemas.generation!;
    for (const good of [least!, most!]) expect(() => parseClientMessage({ ...base, g: good })).not.toThrow();
    for (const bad of [least! - 1, most! + 1])
      expect(() => parseClientMessage({ ...base, g: bad })).toThrow();
    const { minimum, maximum } = api.components.schemas.streamNumber!;
    for (const bad of [minimum! - 1, maximum! + 1]) {
      expect(() => parseClientMessage({ ...base, s: bad })).toThrow();
    }
  });
});
