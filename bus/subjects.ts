// Every NATS subject and every Redis key of Parley is built and parsed here and nowhere else. Ids come from
// players, games and operators: they are encoded before they become a token, so that no name can listen to, or
// speak for, somebody else.

import { ParleyError } from '../runtime/errors.ts';
import type { StateScope } from './state.ts';

const plain = /^[A-Za-z0-9_-]+$/;
const maxIdBytes = 128;
const utf8 = new TextEncoder();

export type Tier = 'gold' | 'silver' | 'bronze';

/**
 * Makes one subject token of an id: each UTF-8 byte outside `[A-Za-z0-9_-]` becomes `=XX`, upper-case hex.
 * Throws ParleyError `bad_message` for an empty id, one over 128 bytes or one that is not valid Unicode.
 */
export function encodeId(id: string): string {
  if (plain.test(id) && id.length <= maxIdBytes) return id;
  if (id.length === 0) throw new ParleyError('bad_message', 'an id is empty');
  if (!id.isWellFormed()) throw new ParleyError('bad_message', 'an id has a lone surrogate');
  const bytes = utf8.encode(id);
  if (bytes.length > maxIdBytes)
    throw new ParleyError('bad_message', `an id has ${bytes.length} bytes, at most ${maxIdBytes} are taken`);
  let token = '';
  for (const byte of bytes) {
    const char = String.fromCharCode(byte);
    token += byte < 0x80 && plain.test(char) ? char : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return token;
}

/** The id that `encodeId` made `token` of. Throws ParleyError `bad_message` for a token it cannot have made. */
export function decodeId(token: string): string {
  if (plain.test(token)) return token;
  const bytes: number[] = [];
  for (let i = 0; i < token.length; i++) {
    if (token[i] !== '=') {
      bytes.push(token.charCodeAt(i));
      continue;
    }
    const hex = token.slice(i + 1, i + 3);
    if (!/^[0-9A-F]{2}$/.test(hex)) throw new ParleyError('bad_message', `not an encoded id: ${token}`);
    bytes.push(Number.parseInt(hex, 16));
    i += 2;
  }
  let id: string;
  try {
    id = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
  } catch (cause) {
    throw new ParleyError('bad_message', `not an encoded id: ${token}`, { cause });
  }
  // One id has one token: `=41` is not another spelling of `A`.
  if (id === '' || encodeId(id) !== token)
    throw new ParleyError('bad_message', `not an encoded id: ${token}`);
  return id;
}

/** Where a stream's frames go: which gateway, which session, which stream, which try. */
export interface OutAddress {
  readonly gateway: string;
  readonly session: string;
  readonly stream: number;
  readonly attempt: number;
}

/** The subjects of one deployment; `prefix` keeps several apart on one NATS. */
export function createSubjects(prefix: string) {
  const root = encodeId(prefix);
  const outRoot = `${root}.out.`;
  const statePattern = new RegExp(`^${root}\\.state\\.(player|npc|world)\\.([^.]+)$`);
  const beatPattern = new RegExp(`^${root}\\.(gold|silver|bronze)\\.beat\\.([^.]+)$`);

  return {
    /** Any worker of the tier, through its queue group. */
    generate: (tier: Tier) => `${root}.${tier}.generate`,
    /** The queue group of a tier's workers: the name of the tier. */
    generateQueue: (tier: Tier) => tier,
    workerGenerate: (tier: Tier, worker: string) => `${root}.${tier}.worker.${encodeId(worker)}.generate`,
    workerControl: (tier: Tier, worker: string) => `${root}.${tier}.worker.${encodeId(worker)}.control`,
    beat: (tier: Tier, worker: string) => `${root}.${tier}.beat.${encodeId(worker)}`,
    /** A push for a player whose socket this gateway holds. */
    gatewayDeliver: (gateway: string) => `${root}.gateway.${encodeId(gateway)}.deliver`,
    /** What other gateways tell this one: a session moved away. */
    gatewayControl: (gateway: string) => `${root}.gateway.${encodeId(gateway)}.control`,
    /** Anything for a player, from a backend to whichever gateway. */
    push: (player: string) => `${root}.player.${encodeId(player)}.push`,
    pushes: `${root}.player.*.push`,
    /** The player whom a push is for, or undefined. */
    parsePush: (subject: string) => parseMiddle(subject, `${root}.player.`, '.push'),
    /** Make a character speak, from a backend to whichever gateway. */
    npcSay: (npc: string) => `${root}.npc.${encodeId(npc)}.say`,
    npcSays: `${root}.npc.*.say`,
    parseNpcSay: (subject: string) => parseMiddle(subject, `${root}.npc.`, '.say'),
    /** What a player does, as the game tells it: from gateways and backends to whoever wants to know. */
    observed: (player: string) => `${root}.player.${encodeId(player)}.observed`,
    observations: `${root}.player.*.observed`,
    /** What a character wants to do where the game's server has the say: a request of a gateway to a backend. */
    act: (player: string) => `${root}.player.${encodeId(player)}.act`,
    acts: `${root}.player.*.act`,
    /** Facts of a player, a character or the world, from a backend to whichever gateway. */
    state: (scope: StateScope, id: string) => `${root}.state.${scope}.${encodeId(id)}`,
    states: `${root}.state.*.*`,
    /** What a state is of, or undefined. */
    parseState(subject: string): { scope: StateScope; id: string } | undefined {
      const match = statePattern.exec(subject);
      const id = match ? idOf(match[2]!) : undefined;
      return id === undefined ? undefined : { scope: match![1] as StateScope, id };
    },
    /** The queue group of the gateways for what any of them can do. */
    gatewayQueue: 'gateway',
    /** Every worker's heartbeat, of every tier. */
    beats: `${root}.*.beat.*`,
    /** Whose heartbeat came on this subject, or undefined. */
    parseBeat(subject: string): { tier: Tier; worker: string } | undefined {
      const match = beatPattern.exec(subject);
      const worker = match ? idOf(match[2]!) : undefined;
      return worker === undefined ? undefined : { tier: match![1] as Tier, worker };
    },
    /** Where a worker answers: the reply subject of `generate` and `attach`. */
    out: (to: OutAddress) =>
      `${outRoot}${encodeId(to.gateway)}.${encodeId(to.session)}.${to.stream}.${to.attempt}`,
    /** Everything for one gateway. */
    outAll: (gateway: string) => `${outRoot}${encodeId(gateway)}.>`,
    /** Whether a reply subject is a gateway's (then frames carry the prefix) and not a backend's inbox. */
    isOut: (subject: string) => subject.startsWith(outRoot),
    /** Whether a reply subject is one of ours at all: only `out` subjects may be answered among these. */
    isOurs: (subject: string) => subject.startsWith(`${root}.`),
    parseOut(subject: string): OutAddress | undefined {
      if (!subject.startsWith(outRoot)) return undefined;
      const [to = '', of = '', stream, attempt, ...rest] = subject.slice(outRoot.length).split('.');
      const [gateway, session] = [idOf(to), idOf(of)];
      if (gateway === undefined || session === undefined || rest.length > 0) return undefined;
      if (!/^-?\d{1,10}$/.test(stream ?? '') || !/^\d{1,5}$/.test(attempt ?? '')) return undefined;
      return { gateway, session, stream: Number(stream), attempt: Number(attempt) };
    },
  };
}

export type Subjects = ReturnType<typeof createSubjects>;

/** The id of a token that somebody else wrote; undefined for one that no id has. */
function idOf(token: string): string | undefined {
  try {
    return decodeId(token);
  } catch {
    return undefined;
  }
}

/** The id between two fixed parts of a subject. */
function parseMiddle(subject: string, before: string, after: string): string | undefined {
  if (!subject.startsWith(before) || !subject.endsWith(after)) return undefined;
  const token = subject.slice(before.length, -after.length);
  return idOf(token);
}

/** The Redis keys of one deployment. */
export function createKeys(prefix: string) {
  const root = encodeId(prefix);
  return {
    /** Turns of one player with one character. */
    history: (player: string, npc: string) => `${root}:history:${encodeId(player)}:${encodeId(npc)}`,
    /** The characters a player has spoken to, so that one command can forget the player. */
    historyIndex: (player: string) => `${root}:history:${encodeId(player)}`,
    /** A session: whose it is, where it is, who has its streams. */
    session: (session: string) => `${root}:session:${encodeId(session)}`,
    /** Where a player is, and the epoch of the newest `welcome`. */
    player: (player: string) => `${root}:player:${encodeId(player)}`,
    /** What all gateways together did in one second of a game-wide limit. */
    gameLimit: (operation: string, second: number) => `${root}:limit:${operation}:${second}`,
    /** Facts of a player, a character or the world; state.ts says what stands in it. */
    state: (scope: StateScope, id: string) => `${root}:state:${scope}:${encodeId(id)}`,
    /** Marks a turn as committed, so that it is committed once. */
    turn: (session: string, stream: number) => `${root}:history-turn:${encodeId(session)}:${stream}`,
  };
}

export type Keys = ReturnType<typeof createKeys>;
