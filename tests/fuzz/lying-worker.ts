// A worker that was captured, or is broken, or of another release: it holds the rights of a worker and answers what it
// is asked with whatever a test says. Players of whom it knows get an honest answer, so that others can be compared.

import type { Msg, NatsConnection } from '@nats-io/transport-node';
import { encode } from '../../bus/codec.ts';
import { readGenerateRequest } from '../../bus/envelopes.ts';
import { frameKinds, writeFrame } from '../../bus/frames.ts';
import { natsPermissions } from '../../bus/permissions.ts';
import type { Encoding } from '../../bus/protocol.ts';
import { createSubjects, type Subjects } from '../../bus/subjects.ts';
import { connectTo } from '../../scripts/stack/connect.ts';
import type { LocalStack } from '../../scripts/stack/local-stack.ts';
import { idleBeat } from '../helpers/idle-beat.ts';

export const honestWords = ['An ', 'honest ', 'answer.'];

export interface Asked {
  readonly s: number;
  readonly attempt: number;
  readonly encoding: Encoding;
}

const id = 'liar';
const tier = 'gold';

export class LyingWorker implements AsyncDisposable {
  /** What it answers to everybody but the honest players; nothing at first. */
  answer: (asked: Asked) => readonly Uint8Array[] = () => [];
  /** Beats go on with this payload. */
  beat: Uint8Array;
  readonly goodBeat: Uint8Array;
  private readonly nats: NatsConnection;
  private readonly subjects: Subjects;
  private readonly honest: ReadonlySet<string>;
  private readonly timer: NodeJS.Timeout;

  static async start(stack: LocalStack, honest: readonly string[]): Promise<LyingWorker> {
    const { prefix } = stack.config;
    const permissions = natsPermissions('worker', { prefix, id, tier });
    const address = await stack.nats.addUser({ name: id, permissions });
    const nats = await connectTo(address, `_INBOX_worker_${id}`);
    return new LyingWorker(nats, createSubjects(prefix), new Set(honest));
  }

  private constructor(nats: NatsConnection, subjects: Subjects, honest: ReadonlySet<string>) {
    this.nats = nats;
    this.subjects = subjects;
    this.honest = honest;
    this.goodBeat = encode({ ...idleBeat, worker: id, seq: 0 }, 'msgpack');
    this.beat = this.goodBeat;
    const callback = (_: Error | null, message: Msg) => this.asked(message);
    nats.subscribe(subjects.generate(tier), { queue: subjects.generateQueue(tier), callback });
    nats.subscribe(subjects.workerGenerate(tier, id), { callback });
    nats.subscribe(subjects.workerControl(tier, id), { callback: (_, message) => void message.respond() });
    this.timer = setInterval(() => this.beatNow(), 100);
  }

  /** Sends a beat; resolves when the server has it. */
  async beatNow(): Promise<void> {
    this.nats.publish(this.subjects.beat(tier, id), this.beat);
    await this.nats.flush();
  }

  private asked(message: Msg): void {
    const { player, s, attempt, encoding = 'msgpack' } = readGenerateRequest(message.data);
    const asked = { s, attempt, encoding };
    const frames = this.honest.has(player) ? honestAnswer(asked) : this.answer(asked);
    for (const frame of frames) message.respond(frame);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.timer);
    await this.nats.close();
  }
}

/** What a worker answers: the acceptance, three pieces, the end. */
export function honestAnswer({ s, attempt, encoding }: Asked): Uint8Array[] {
  const accepted = encode({ v: 1, worker: id, attempt, queued: 0 }, 'msgpack');
  const end = {
    t: 'end',
    s,
    n: honestWords.length,
    reason: 'stop',
    tier,
    source: 'live',
    attempts: attempt,
    model: 'none',
    usage: { prompt: 1, cached: 0, completion: 3 },
    timings: { queueMs: 0, firstMs: 1, totalMs: 1 },
  };
  return [
    writeFrame(frameKinds.accepted, attempt, 0, 0, accepted),
    ...honestWords.map((d, i) =>
      writeFrame(frameKinds.tok, attempt, i + 1, i + 1, encode({ t: 'tok', s, n: i + 1, d }, encoding)),
    ),
    writeFrame(frameKinds.end, attempt, honestWords.length, honestWords.length, encode(end, encoding)),
  ];
}
