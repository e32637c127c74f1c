// Sockets that do harm beside sockets that do none. Every hostile act is judged by what came of it, for the one who
// did it and for the neighbours, and everything that anybody was told is looked through.

import { hostname } from 'node:os';
import { expect } from 'vitest';
import type { Encoding, ServerMessage } from '../../bus/protocol.ts';
import { closeCodes, errorCodes } from '../../runtime/errors.ts';
import type { TestStack } from '../helpers/stack.ts';
import { type Attack, endsOfAttacks, framesOf } from './attacks.ts';
import { type HostileMessage, payloadOf, verdictOf } from './hostile.ts';
import { fragments, HostileSocket, opcodes } from './hostile-socket.ts';

const reasons = new Map<number, string>(Object.values(closeCodes).map(({ code, reason }) => [code, reason]));
/** What only operators may read. */
const ours = new RegExp(
  `nats|redis|uws|zod|127\\.0\\.0\\.1|localhost|${hostname()}|node_modules|\\.[cm]?[jt]s\\b|\\bat \\S+ \\(|Error:`,
  'i',
);

interface Member {
  readonly socket: HostileSocket;
  readonly token: string;
}

export class Crowd {
  /** What the members were told, counted: `err` codes and close codes. */
  readonly errs = new Map<string, number>();
  readonly closes = new Map<number, number>();
  /** Who means no harm. */
  readonly players: string[] = [];
  private readonly stack: TestStack;
  private readonly neighbours: HostileSocket[] = [];
  private readonly lanes: Map<Encoding, Member>[];

  constructor(stack: TestStack, size: number) {
    this.stack = stack;
    this.lanes = Array.from({ length: size }, () => new Map());
  }

  /** Lets in the players who mean no harm: one of each encoding. */
  async begin(): Promise<void> {
    for (const encoding of ['json', 'msgpack'] as const) {
      const { socket } = await this.join(encoding);
      const welcome = socket.received.find((m) => m.t === 'welcome');
      this.players.push(welcome!.player);
      this.neighbours.push(socket);
    }
  }

  /** Everybody acts at once, each on a socket of its own. Throws when something else came of it than must. */
  async act(acts: readonly (HostileMessage | Attack)[]): Promise<void> {
    await Promise.all(
      acts.map(async (act, i) => {
        const lane = this.lanes[i]!;
        await (act.sort === 'message' ? this.say(lane, act) : this.attack(lane, act));
        await this.neighboursAreWell();
      }),
    );
  }

  /** Comes with that token. Resolves with the close code, or undefined when it was let in. */
  async knock(encoding: Encoding, token: string): Promise<number | undefined> {
    const socket = await HostileSocket.open(this.stack.local.ws(), encoding);
    socket.send({ t: 'hello', token });
    const cameIn = await socket.goesOn();
    this.countClose(socket);
    this.lookThrough(socket);
    socket.cut();
    await this.neighboursAreWell();
    return cameIn ? undefined : socket.closed!.code;
  }

  async neighboursAreWell(): Promise<void> {
    for (const well of await Promise.all(this.neighbours.map((socket) => socket.goesOn()))) {
      expect(well, 'a neighbour gets its pong').toBe(true);
    }
  }

  end(): void {
    for (const socket of this.neighbours) this.lookThrough(socket);
    for (const { socket } of this.lanes.flatMap((lane) => [...lane.values()])) {
      this.lookThrough(socket);
      socket.cut();
    }
    for (const socket of this.neighbours) socket.cut();
  }

  private async say(lane: Map<Encoding, Member>, hostile: HostileMessage): Promise<void> {
    const { encoding, first, wrongKind } = hostile;
    const member = first ? await this.knocking(encoding) : await this.memberOf(lane, encoding);
    const { socket, token } = member;
    const payload = payloadOf(hostile, token);
    const verdict = verdictOf(hostile, payload, token, this.stack.local.config.maxFrameBytes);
    const before = socket.received.length;
    const opcode = wrongKind ? opcodes.text + opcodes.binary - socket.ownOpcode : socket.ownOpcode;
    socket.write(fragments(opcode, payload, hostile.cuts, hostile.pings));
    const goesOn = await socket.goesOn();
    this.countClose(socket);

    const what = `${encoding}${first ? ', first' : ''}: ${Buffer.from(payload).toString('latin1').slice(0, 400)}`;
    if (!goesOn)
      expect(verdict.closes, `${what} is closed with ${socket.closed!.code}`).toContain(socket.closed!.code);
    else if (!verdict.orGoesOn) expect(verdict.closes, `${what} goes on`).toBeUndefined();
    if (goesOn && verdict.err) {
      const codes = socket.received.slice(before).map((m) => m.t === 'err' && m.code);
      expect(codes, what).toContain(verdict.err);
    }
    this.leave(lane, member, first);
  }

  private async attack(lane: Map<Encoding, Member>, attack: Attack): Promise<void> {
    const member = await this.memberOf(lane, attack.encoding);
    const { socket } = member;
    const { name, bytes, outcome, code } = framesOf(attack);
    socket.write(bytes);
    if (outcome === 'waits') return this.leave(lane, member, true);
    const goesOn = await socket.goesOn();
    if (outcome !== 'either') expect(goesOn, name).toBe(outcome === 'on');
    if (!goesOn) {
      const got = socket.closed!.code;
      expect([...reasons.keys(), ...endsOfAttacks, code], `${name} is closed with ${got}`).toContain(got);
    }
    this.leave(lane, member, false);
  }

  /** Only where the client has sent no close of its own, whose code would come back. */
  private countClose({ closed }: HostileSocket): void {
    if (closed) this.closes.set(closed.code, (this.closes.get(closed.code) ?? 0) + 1);
  }

  private async memberOf(lane: Map<Encoding, Member>, encoding: Encoding): Promise<Member> {
    const known = lane.get(encoding);
    if (known && !known.socket.closed) return known;
    const member = await this.join(encoding);
    lane.set(encoding, member);
    return member;
  }

  private async join(encoding: Encoding): Promise<Member> {
    const token = await this.stack.local.token(this.stack.newPlayer());
    return { token, socket: await HostileSocket.join(this.stack.local.ws(), encoding, token) };
  }

  private async knocking(encoding: Encoding): Promise<Member> {
    const token = await this.stack.local.token(this.stack.newPlayer());
    return { token, socket: await HostileSocket.open(this.stack.local.ws(), encoding) };
  }

  /** A socket that is closed, or that nobody can use any more, has said its last. */
  private leave(lane: Map<Encoding, Member>, member: Member, cut: boolean): void {
    const { socket } = member;
    if (!cut && !socket.closed) return;
    this.lookThrough(socket);
    socket.cut();
    if (lane.get(socket.encoding) === member) lane.delete(socket.encoding);
  }

  private lookThrough({ received, closed }: HostileSocket): void {
    for (const message of received) {
      // What a backend sends is its own affair.
      if (message.t === 'push') continue;
      expect(JSON.stringify(withoutSecrets(message))).not.toMatch(ours);
      if (message.t !== 'err') continue;
      expect(Object.keys(errorCodes)).toContain(message.code);
      expect(message.message.startsWith(errorCodes[message.code as keyof typeof errorCodes].message)).toBe(
        true,
      );
      this.errs.set(message.code, (this.errs.get(message.code) ?? 0) + 1);
    }
    if (!closed) return;
    const reason = reasons.get(closed.code);
    // What the client closed with itself comes back without a reason, or with its own.
    if (reason !== undefined && closed.reason !== '') expect(closed.reason).toBe(reason);
    else expect(closed.reason).not.toMatch(ours);
  }
}

/** Random letters may spell anything. */
function withoutSecrets(message: ServerMessage): object {
  return message.t === 'welcome' ? { ...message, session: '', key: '' } : message;
}
