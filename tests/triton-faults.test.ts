// A peer that speaks Triton's gRPC and means no good, or is broken: whatever it does, the stream ends with an error that
// has a name, and the engine serves again once the peer does. It stands in for no model; triton-engine.test.ts has one.

import {
  type handleUnaryCall,
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine, Prompt } from '../tiers/engine.ts';
import { protoFile, protoOptions } from '../tiers/gold/triton/client.ts';
import { bool, bytes, int32, type Tensor } from '../tiers/gold/triton/tensors.ts';
import { read, until } from './engine-contract.ts';
import { engineOn } from './helpers/triton.ts';

type Call = ServerDuplexStream<{ id: string }, object>;
type Behaviour = (call: Call, id: string) => void;

const response = (id: string, tensors: readonly Tensor[], final = false) => ({
  error_message: '',
  infer_response: {
    id,
    outputs: tensors.map(({ name, datatype, shape }) => ({ name, datatype, shape })),
    raw_output_contents: tensors.map(({ data }) => data),
    parameters: { triton_final_response: { bool_param: final } },
  },
});
const token = (id: string, value = 1) => response(id, [int32('output_ids', [value], [1, 1, 1])]);
const decent: Behaviour = (call, id) => {
  call.write(token(id));
  call.write(response(id, [], true));
};

/** Its vocabulary: the end of a turn, and the letters a to y. */
const letters = Array.from({ length: 25 }, (_, i) => String.fromCharCode(97 + i));

class Peer {
  behaviour: Behaviour = decent;
  decoupled = true;
  inputs = ['input_ids', 'input_lengths', 'request_output_len', 'streaming', 'end_id'];
  cancelled = 0;
  port = 0;
  readonly #server = new Server();

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    // biome-ignore lint/suspicious/noExplicitAny: a package definition has no types.
    const { inference } = loadPackageDefinition(loadSync(protoFile, protoOptions)) as any;
    type Unary = handleUnaryCall<{ name?: string; inputs?: { name: string; shape: number[] }[] }, object>;
    const unary = (answer: (name: string) => object): Unary => {
      return ({ request }, done) => done(null, answer(request.name ?? ''));
    };
    this.#server.addService(inference.GRPCInferenceService.service, {
      ServerLive: unary(() => ({ live: true })),
      ModelReady: unary(() => ({ ready: true })),
      RepositoryIndex: unary(() => ({ models: [{ name: 'tensorrt_llm' }, { name: 'tokenize' }] })),
      ModelConfig: (({ request }, done) => {
        if (!['tensorrt_llm', 'tokenize'].includes(request.name!))
          return done({ code: 5, details: `Request for unknown model: '${request.name}' is not found` });
        const named = (names: string[]) => names.map((name) => ({ name }));
        done(null, {
          config: {
            name: request.name,
            input: named(this.inputs),
            output: named(['output_ids']),
            model_transaction_policy: { decoupled: this.decoupled },
            parameters: { chat_template: { string_value: 'chatml' } },
          },
        });
      }) satisfies Unary,
      ModelInfer: (({ request }, done) => {
        const count = request.inputs?.find(({ name }) => name === 'text')?.shape[0];
        const tensors = count
          ? [int32('token_ids', Array(count).fill(1)), int32('token_counts', Array(count).fill(1))]
          : [bytes('token_bytes', ['', ...letters]), int32('control_ids', [0]), int32('end_ids', [0])];
        done(null, response('', tensors).infer_response);
      }) satisfies Unary,
      ModelStreamInfer: (call: Call) => {
        call.on('data', ({ id }) => this.behaviour(call, id));
        call.on('cancelled', () => this.cancelled++);
        call.on('error', () => {});
        call.on('end', () => call.end());
      },
    });
    this.port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(`127.0.0.1:${this.port}`, ServerCredentials.createInsecure(), (error, port) => {
        if (error) reject(error);
        else resolve(port);
      });
    });
  }

  stop(): void {
    this.#server.forceShutdown();
  }
}

const prompt: Prompt = { npc: 'mira', system: 'You are Mira.', examples: [], turns: [], player: 'Hello.' };
const never = new AbortController().signal;
const ask = (engine: Engine, signal = never, maxTokens = 5) =>
  read(engine.generate(prompt, { maxTokens, temperature: 0 }, signal));

describe('a peer that does not behave', () => {
  const peer = new Peer();
  let under: Awaited<ReturnType<typeof engineOn>>;
  beforeAll(async () => {
    await peer.start();
    under = await engineOn([peer], { firstTokenMs: 300, silentMs: 300 });
  });
  afterAll(async () => {
    await under?.engine.close();
    peer.stop();
  });

  const faulty: [string, Behaviour, string, string][] = [
    [
      'ends the stream in the middle',
      (call, id) => call.write(token(id), () => call.end()),
      'unreachable',
      'unavailable',
    ],
    ['never answers', () => {}, 'silent', 'unavailable'],
    ['falls silent in the middle', (call, id) => void call.write(token(id)), 'silent', 'unavailable'],
    [
      'floods',
      (call, id) =>
        void Array.from({ length: 500 }, () =>
          call.write(response(id, [int32('output_ids', [], [1, 1, 0])])),
        ),
      'flood',
      'internal',
    ],
    ['sends a token that there is not', (call, id) => void call.write(token(id, 77)), 'garbage', 'internal'],
    [
      'sends no content',
      (call) => void call.write({ error_message: '', infer_response: null }),
      'garbage',
      'internal',
    ],
    ['answers another request', (call) => void call.write(token('somebody')), 'garbage', 'internal'],
    [
      'sends another tensor',
      (call, id) => void call.write(response(id, [bool('hm', [true])])),
      'garbage',
      'internal',
    ],
    [
      'sends sizes that do not fit',
      (call, id) => void call.write(response(id, [{ ...int32('output_ids', [1]), shape: [1, 1, 9] }])),
      'garbage',
      'internal',
    ],
    [
      'sends an error message',
      (call) => void call.write({ error_message: 'out of memory' }),
      'refused',
      'internal',
    ],
    [
      'finds the prompt too long',
      (call) => void call.write({ error_message: 'Prompt length (900) exceeds maximum input length (512).' }),
      'prompt_too_long',
      'prompt_too_long',
    ],
  ];
  test.each(faulty)(
    '%s: the stream ends with an error of its own, and the engine goes on',
    async (_, behaviour, reason, kind) => {
      const { engine, faults } = under;
      await until(() => engine.stats().active === 0);
      const before = faults.length;
      peer.behaviour = behaviour;
      await expect(ask(engine)).rejects.toMatchObject({ name: 'EngineError', kind, reason });
      expect(faults.slice(before)).toContain(reason);
      expect(engine.stats().active).toBe(0);
      peer.behaviour = decent;
      // It has to prove itself first, where it was at fault.
      await expect
        .poll(
          () =>
            engine.health().then(
              () => true,
              () => false,
            ),
          { timeout: 20_000 },
        )
        .toBe(true);
      expect((await ask(engine)).text).toBe('a');
    },
  );

  test('who comes back after it was away serves again', async () => {
    const { engine } = under;
    peer.behaviour = (call, id) => void call.write(token(id));
    const running = ask(engine).then(
      () => 'ended',
      (error) => error.reason,
    );
    await until(() => engine.stats().active === 1);
    peer.stop();
    expect(await running).toMatch(/unreachable|silent/);
    await expect(ask(engine)).rejects.toMatchObject({ kind: 'unavailable' });
    const again = new Peer();
    again.port = peer.port;
    await again.start();
    try {
      await expect
        .poll(
          () =>
            ask(engine).then(
              (answer) => answer.text,
              () => '',
            ),
          { timeout: 30_000 },
        )
        .toBe('a');
    } finally {
      again.stop();
    }
  });
});

test('an abort cancels the call, and the peer hears of it', async () => {
  const peer = new Peer();
  await peer.start();
  peer.behaviour = (call, id) => void call.write(token(id));
  await using under = await engineOn([peer]);
  const abort = new AbortController();
  const answer = await read(
    under.engine.generate(prompt, { maxTokens: 50, temperature: 0 }, abort.signal),
    () => abort.abort(),
  );
  expect(answer).toMatchObject({ text: 'a', reason: 'aborted', usage: { completion: 1 } });
  await until(() => peer.cancelled === 1);
  peer.stop();
});

describe('two servers behind one worker', () => {
  test('one that is away is left out, and a request that it had not begun goes to the other', async () => {
    const [bad, good] = [new Peer(), new Peer()];
    await Promise.all([bad.start(), good.start()]);
    await using under = await engineOn([bad, good], { firstTokenMs: 400 });
    bad.behaviour = () => {};
    // Each character has a server of its own; among several there is one of either.
    for (let i = 0; i < 8; i++) {
      const chunks = under.engine.generate(
        { ...prompt, npc: `npc-${i}` },
        { maxTokens: 5, temperature: 0 },
        never,
      );
      expect((await read(chunks)).text).toBe('a');
    }
    bad.stop();
    good.stop();
  });
});

describe('a repository that cannot be used', () => {
  const start = async (change: (peer: Peer) => void, model = 'tensorrt_llm') => {
    const peer = new Peer();
    change(peer);
    await peer.start();
    try {
      await using under = await engineOn([peer], { model });
      return under.engine.name;
    } finally {
      peer.stop();
    }
  };

  test.each<[string, (peer: Peer) => void, string, RegExp]>([
    [
      'without the model',
      () => {},
      'mira',
      /has no model mira; it has tensorrt_llm, tokenize.*PARLEY_TRITON_MODEL/,
    ],
    [
      'that is not decoupled',
      (peer) => Object.assign(peer, { decoupled: false }),
      'tensorrt_llm',
      /not decoupled/,
    ],
    [
      'with other tensors',
      (peer) => Object.assign(peer, { inputs: ['pixels'] }),
      'tensorrt_llm',
      /neither input_ids.*pixels/,
    ],
  ])('%s is refused at the start, in words', async (_, change, model, words) => {
    await expect(start(change, model)).rejects.toMatchObject({
      kind: 'unavailable',
      reason: 'wrong_repository',
      message: expect.stringMatching(words),
    });
  });

  test('and a server that is not there', async () => {
    await expect(engineOn([{ address: '127.0.0.1:1' }], { readyMs: 0 })).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('127.0.0.1:1'),
    });
  });
});
