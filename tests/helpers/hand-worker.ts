// A worker that a test drives by hand over the real bus, with the rights of a worker: it is asked as any worker is, and
// says the pieces, acts and ends that the test wants, when it wants them. Attach and cancel work as they should.

import type { Msg, NatsConnection } from '@nats-io/transport-node';
import { encode } from '../../bus/codec.ts';
import { type GenerateRequest, readControl, readGenerateRequest } from '../../bus/envelopes.ts';
import { natsPermissions } from '../../bus/permissions.ts';
import type { End, EndReason, Intent } from '../../bus/protocol.ts';
import { createSubjects } from '../../bus/subjects.ts';
import { connectTo } from '../../scripts/stack/connect.ts';
import type { LocalStack } from '../../scripts/stack/local-stack.ts';
import { OutgoingStream } from '../../tiers/outgoing-stream.ts';
import { idleBeat } from './idle-beat.ts';

const tier = 'gold';

/** One answer that the test gives. */
export class HandAnswer {
  readonly request: GenerateRequest;
  readonly stream: OutgoingStream;
  /** The gateway has told it to stop. */
  cancelled = false;

  constructor(request: GenerateRequest, stream: OutgoingStream) {
    this.request = request;
    this.stream = stream;
  }

  say(...pieces: string[]): this {
    for (const piece of pieces) this.stream.emitText(piece);
    return this;
  }

  /** `act` goes out as it is, also where it is none. */
  act(act: Partial<Intent> & { name: string }): this {
    this.stream.emitAct({ v: 1, args: {}, ttlMs: 5_000, ...act });
    return this;
  }

  end(reason: EndReason = 'stop'): void {
    const { s, n, attempt } = this.stream;
    const end: End = {
      t: 'end',
      s,
      n,
      reason,
      tier,
      source: 'live',
      attempts: attempt,
      model: 'by-hand',
      usage: { prompt: 1, cached: 0, completion: n },
      timings: { queueMs: 0, firstMs: 1, totalMs: 1 },
    };
    this.stream.end(end);
  }
}

export class HandWorker implements AsyncDisposable {
  /** Every request, in the order in which they came. */
  readonly answers: HandAnswer[] = [];
  /** Called for each request; answers nothing by itself. */
  onRequest: (answer: HandAnswer) => void = () => {};
  private readonly id: string;
  private readonly nats: NatsConnection;
  private readonly timer: NodeJS.Timeout;

  /** Resolves when the gateways can know of it. */
  static async start(stack: LocalStack, id = 'hand'): Promise<HandWorker> {
    const { prefix } = stack.config;
    const permissions = natsPermissions('worker', { prefix, id, tier });
    const address = await stack.nats.addUser({ name: id, permissions });
    const nats = await connectTo(address, `_INBOX_worker_${id}`);
    const worker = new HandWorker(nats, prefix, id);
    await nats.flush();
    return worker;
  }

  private constructor(nats: NatsConnection, prefix: string, id: string) {
    this.nats = nats;
    this.id = id;
    const subjects = createSubjects(prefix);
    const callback = (_: Error | null, message: Msg) => this.asked(message);
    nats.subscribe(subjects.generate(tier), { queue: subjects.generateQueue(tier), callback });
    nats.subscribe(subjects.workerGenerate(tier, id), { callback });
    nats.subscribe(subjects.workerControl(tier, id), { callback: (_, message) => this.told(message) });
    let seq = 0;
    const beat = () =>
      nats.publish(subjects.beat(tier, id), encode({ ...idleBeat, worker: id, seq: ++seq }, 'msgpack'));
    beat();
    this.timer = setInterval(beat, 50);
  }

  private asked(message: Msg): void {
    const request = readGenerateRequest(message.data);
    const { s, epoch, frameMs, said, attempt, encoding = 'msgpack' } = request;
    const target = { reply: message.reply!, encoding, attempt, prefixed: true };
    const stream = new OutgoingStream(this.nats, target, { s, epoch, frameMs, said });
    stream.accept({ v: 1, worker: this.id, attempt, queued: 0 });
    const answer = new HandAnswer(request, stream);
    this.answers.push(answer);
    this.onRequest(answer);
  }

  private told(message: Msg): void {
    const control = readControl(message.data);
    if (control.op === 'probe') return void message.respond();
    if (control.op === 'pin' || control.op === 'release') return;
    const answer = this.answers.findLast(
      ({ request }) => request.session === control.session && request.s === control.s,
    );
    if (!answer) return;
    if (control.op === 'cancel') {
      answer.cancelled = true;
      return answer.end('cancelled');
    }
    const { attempt, encoding, n, withKept } = control;
    const target = { reply: message.reply!, encoding, attempt, prefixed: true };
    answer.stream.attach(target, n, withKept, { v: 1, worker: this.id, attempt, queued: 0 });
  }

  /** Gone without a word, as a process that was killed. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.timer);
    await this.nats.close();
  }
}
