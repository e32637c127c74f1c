// The backend's way to a player: pushes, and characters that speak of their own accord. Any gateway takes them (queue
// group), finds in Redis which one holds the player, and the sender hears delivered, offline or unknown. No
// subscription for each player.

import { createInbox, errors, type Msg, type NatsConnection } from '@nats-io/nats-core';
import { decode, encode, encodingOf } from '../bus/codec.ts';
import {
  type Deliver,
  type GenerateRequestInput,
  type NpcSay,
  readDeliver,
  readNpcSay,
} from '../bus/envelopes.ts';
import { inboxPrefix } from '../bus/permissions.ts';
import type { End } from '../bus/protocol.ts';
import type { SessionStore } from '../bus/session-store.ts';
import type { Subjects } from '../bus/subjects.ts';
import { authoredLine, type Character } from '../npcs/characters.ts';
import { ParleyError } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';
import type { GatewayMetrics } from '../runtime/metrics.ts';
import { answerBackends } from './backend-answer.ts';
import type { Sessions } from './sessions.ts';

/** `unknown`: no session of that player is known, or nobody can be asked. */
export type PushStatus = 'delivered' | 'offline' | 'unknown';

export interface BackendDoorParts {
  readonly id: string;
  readonly connection: NatsConnection;
  readonly subjects: Subjects;
  readonly store: SessionStore;
  readonly sessions: Sessions;
  readonly characters: () => ReadonlyMap<string, Character>;
  readonly metrics: GatewayMetrics;
  readonly log: Log;
}

const deliverMs = 1_000;
const speechMs = 20_000;

type Speech = { text: string; source: 'live' | 'authored'; tier: 'gold' | 'silver' | 'none'; model: string };

export class BackendDoor {
  private readonly parts: BackendDoorParts;

  constructor(parts: BackendDoorParts) {
    this.parts = parts;
    const { connection, subjects, id } = parts;
    const refused = () => parts.metrics.pushes.inc({ result: 'refused' });
    const listen = (subject: string, take: (message: Msg) => Promise<object>, queue?: string) =>
      answerBackends(subject, queue, take, { connection, log: parts.log, refused });
    listen(subjects.pushes, (m) => this.push(m), subjects.gatewayQueue);
    listen(subjects.npcSays, (m) => this.say(m), subjects.gatewayQueue);
    listen(subjects.gatewayDeliver(id), async (m) => ({ status: this.deliverHere(readDeliver(m.data)) }));
  }

  private async push(message: Msg): Promise<{ status: PushStatus }> {
    const player = this.parts.subjects.parsePush(message.subject);
    if (player === undefined) throw new ParleyError('bad_message', 'the subject names no player');
    const data = decode(message.data, encodingOf(message.data));
    const status = await this.deliver({ v: 1, kind: 'push', player, message: data });
    this.parts.metrics.pushes.inc({ result: status });
    return { status };
  }

  /** One line, spoken once, heard by all who are named. */
  private async say(
    message: Msg,
  ): Promise<{ players: Record<string, PushStatus>; text: string; source: string }> {
    const npc = this.parts.subjects.parseNpcSay(message.subject);
    const character = npc === undefined ? undefined : this.parts.characters().get(npc);
    if (npc === undefined || !character)
      throw new ParleyError('unknown_npc', `no character ${JSON.stringify(npc)}`);
    const wanted = readNpcSay(message.data);
    const speech = await this.compose(character, wanted);
    const players = [...new Set(wanted.players)];
    const statuses = await Promise.all(
      players.map((player) => this.deliver({ v: 1, kind: 'speech', player, npc, ...speech })),
    );
    for (const result of statuses) this.parts.metrics.pushes.inc({ result });
    return {
      players: Object.fromEntries(players.map((player, i) => [player, statuses[i]!])),
      text: speech.text,
      source: speech.source,
    };
  }

  /** To whichever gateway holds the player. */
  private async deliver(what: Deliver): Promise<PushStatus> {
    const { sessions, store, connection, subjects, id } = this.parts;
    if (sessions.of(what.player)?.socket) return this.deliverHere(what);
    let holder: string | undefined;
    try {
      if (store.available) holder = await store.holder(what.player);
    } catch (error) {
      this.parts.log.warn({ err: error }, 'where a player is cannot be looked up');
    }
    if (holder === undefined) return sessions.of(what.player) ? 'offline' : 'unknown';
    if (holder === id) return this.deliverHere(what);
    try {
      const reply = await connection.request(subjects.gatewayDeliver(holder), encode(what, 'msgpack'), {
        timeout: deliverMs,
      });
      return (decode(reply.data, 'msgpack') as { status: PushStatus }).status;
    } catch (error) {
      // That gateway is gone: the player is on the way to another one.
      return error instanceof errors.TimeoutError ? 'unknown' : 'offline';
    }
  }

  private deliverHere(what: Deliver): PushStatus {
    const { sessions, characters } = this.parts;
    const session = sessions.of(what.player);
    if (!session) return 'unknown';
    if (what.kind === 'push') {
      if (!session.socket) return 'offline';
      session.send({ t: 'push', data: what.message });
      return 'delivered';
    }
    const character = characters().get(what.npc);
    if (!character) return 'unknown';
    // Kept as a stream of the session: a player in a tunnel hears it on coming back.
    sessions.speak(session, character, what.text, what);
    return session.socket ? 'delivered' : 'offline';
  }

  /** The words: as given, or put into the character's own by a model, or the authored line when none can. */
  private async compose(character: Character, { line, about }: NpcSay): Promise<Speech> {
    if (line !== undefined) return { text: line, source: 'authored', tier: 'none', model: '' };
    const authored: Speech = {
      text: authoredLine(character, about!),
      source: 'authored',
      tier: 'none',
      model: '',
    };
    const { connection, subjects, id, log } = this.parts;
    const request: GenerateRequestInput = {
      v: 1,
      npc: character.id,
      player: `npc-${character.id}`,
      text: about,
      memory: false,
    };
    const reply = createInbox(inboxPrefix('gateway', id));
    const subscription = connection.subscribe(reply, { timeout: speechMs });
    try {
      connection.publish(subjects.generate(character.tiers[0]!), encode(request, 'json'), { reply });
      let text = '';
      for await (const { data, headers } of subscription) {
        if (headers?.code === 503) return authored;
        const frame = decode(data, 'json');
        if (frame.t === 'tok') text += frame.d;
        if (frame.t === 'err') return authored;
        if (frame.t !== 'end') continue;
        const { tier, model } = frame as unknown as End;
        return { text, source: 'live', tier: tier === 'silver' ? 'silver' : 'gold', model };
      }
    } catch (error) {
      log.warn({ err: error, npc: character.id }, 'a character could not speak of its own accord');
    } finally {
      subscription.unsubscribe();
    }
    return authored;
  }
}
