// The door for facts: what a backend tells of a player, a character or the world is merged into what is known, in
// Redis, by whichever gateway hears it. Workers read it for prompts (bus/state.ts); nothing of it is kept here.

import type { Msg, NatsConnection } from '@nats-io/nats-core';
import { z } from 'zod';
import { decode, encodingOf } from '../bus/codec.ts';
import { firstIssue } from '../bus/protocol.ts';
import { type Redis, runScript, script } from '../bus/redis.ts';
import { stateFields, worldId } from '../bus/state.ts';
import type { Keys, Subjects } from '../bus/subjects.ts';
import type { Config } from '../runtime/config.ts';
import { ParleyError } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';
import type { GatewayMetrics } from '../runtime/metrics.ts';
import { answerBackends } from './backend-answer.ts';

export interface StateDoorParts {
  readonly connection: NatsConnection;
  readonly subjects: Subjects;
  readonly redis: Redis;
  readonly keys: Keys;
  readonly metrics: GatewayMetrics;
  readonly log: Log;
  readonly config: Pick<Config, 'stateTtlS'>;
}

/** Of one player, character or world. */
const maxFacts = 64;

/** Names to values; `null` takes the fact away. */
const told = z
  .record(
    z
      .string()
      .regex(/^[a-z][a-z0-9_]{0,39}$/, 'a name is a letter and at most 39 more, digits or _, lower-case'),
    z.union([
      z
        .string()
        .max(200)
        .refine((s) => s.isWellFormed(), 'is not valid Unicode'),
      z.number(),
      z.boolean(),
      z.null(),
    ]),
  )
  .refine((facts) => Object.keys(facts).length <= maxFacts, `more than ${maxFacts} facts`);

// Each fact stands in a field of its own, as JSON, so that the script need not read JSON (Redis would round numbers);
// the readers' field is put together of them. The version only goes up when something is different.
// KEYS: state. ARGV: ttl s, most facts, name, JSON or '' to take it away, …
const mergeScript = script(`
local had = redis.call('HGETALL', KEYS[1])
local facts, count, version = {}, 0, 0
for i = 1, #had, 2 do
  if had[i] == '${stateFields.version}' then version = tonumber(had[i + 1])
  elseif string.sub(had[i], 1, 2) == 'f:' then
    facts[string.sub(had[i], 3)] = had[i + 1]
    count = count + 1
  end
end
local set, gone = {}, {}
for i = 3, #ARGV, 2 do
  local name, value = ARGV[i], ARGV[i + 1]
  if value == '' then
    if facts[name] then
      facts[name] = nil
      count = count - 1
      gone[#gone + 1] = 'f:' .. name
    end
  elseif facts[name] ~= value then
    if not facts[name] then count = count + 1 end
    facts[name] = value
    set[#set + 1] = 'f:' .. name
    set[#set + 1] = value
  end
end
if count > tonumber(ARGV[2]) then return -1 end
if #set + #gone > 0 then
  version = version + 1
  local names, parts = {}, {}
  for name in pairs(facts) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do parts[i] = '"' .. name .. '":' .. facts[name] end
  if #gone > 0 then redis.call('HDEL', KEYS[1], unpack(gone)) end
  if #set > 0 then redis.call('HSET', KEYS[1], unpack(set)) end
  redis.call('HSET', KEYS[1], '${stateFields.version}', version, '${stateFields.facts}', '{' .. table.concat(parts, ',') .. '}')
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return version`);

export class StateDoor {
  private readonly parts: StateDoorParts;

  constructor(parts: StateDoorParts) {
    this.parts = parts;
    const { connection, subjects, metrics, log } = parts;
    const refused = () => metrics.states.inc({ result: 'refused' });
    answerBackends(subjects.states, subjects.gatewayQueue, (message) => this.tell(message), {
      connection,
      log,
      refused,
    });
  }

  private async tell({ subject, data }: Msg): Promise<{ version: number }> {
    const { subjects, redis, keys, metrics, log, config } = this.parts;
    const of = subjects.parseState(subject);
    if (!of) throw new ParleyError('bad_message', 'the subject names no player, npc or world');
    if (of.scope === 'world' && of.id !== worldId)
      throw new ParleyError('bad_message', `the world is one: ${subjects.state('world', worldId)}`);
    const facts = told.safeParse(decode(data, encodingOf(data)));
    if (!facts.success) throw new ParleyError('bad_message', firstIssue(facts.error));
    const pairs = Object.entries(facts.data).flatMap(([name, value]) => [
      name,
      value === null ? '' : JSON.stringify(value),
    ]);
    let version: number;
    try {
      const args = [config.stateTtlS, maxFacts, ...pairs];
      version = Number(await runScript(redis, mergeScript, [keys.state(of.scope, of.id)], args));
    } catch (cause) {
      log.warn({ err: cause }, 'facts cannot be written to Redis');
      throw new ParleyError('internal', 'facts cannot be kept now', { cause });
    }
    if (version < 0) throw new ParleyError('bad_message', `more than ${maxFacts} facts together`);
    metrics.states.inc({ result: 'told' });
    return { version };
  }
}
