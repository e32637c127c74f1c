// One generation over ModelStreamInfer, on a call of its own: aborting the signal cancels the call, and with it the
// generation. Ends cleanly only by Triton's own final mark; everything else is a fault.

import { asFault, type StreamResponse, type TritonClient } from './client.ts';
import { refusal, TritonFault } from './fault.ts';
import { type InferRequest, Outputs } from './tensors.ts';

export interface StreamLimits {
  /** Milliseconds until the first answer, and between two: the prompt has to be computed first. */
  readonly firstMs: number;
  readonly silentMs: number;
  /** Answers that may come; more of them is a flood. */
  readonly answers: number;
}

/** Answers that may wait for a slow reader before the server is held up (HTTP/2 flow control). */
const mostWaiting = 64;

/**
 * Yields the outputs of each answer. Throws TritonFault, or the reason of the abort. Whoever leaves the loop ends the
 * generation.
 */
export async function* streamInfer(
  client: TritonClient,
  request: InferRequest,
  { firstMs, silentMs, answers }: StreamLimits,
  signal: AbortSignal,
): AsyncGenerator<Outputs> {
  signal.throwIfAborted();
  const call = client.stream();
  const waiting: StreamResponse[] = [];
  let over: { error?: unknown } | undefined;
  let wake = () => {};
  let heard = performance.now();
  let first = true;
  const end = (error?: unknown) => {
    over ??= { error };
    wake();
  };
  call.on('data', (response: StreamResponse) => {
    heard = performance.now();
    waiting.push(response);
    if (waiting.length >= mostWaiting) call.pause();
    wake();
  });
  call.on('error', (error) => end(asFault(error, client.address)));
  call.on('end', () =>
    end(new TritonFault('unreachable', `Triton at ${client.address} ended the stream in the middle.`)),
  );
  const onAbort = () => end(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const watch = setInterval(
    () => {
      // A stream that waits for its own reader is not silent.
      if (waiting.length > 0 || performance.now() - heard < (first ? firstMs : silentMs)) return;
      const ms = Math.round(performance.now() - heard);
      end(new TritonFault('silent', `Triton at ${client.address} has sent nothing for ${ms} ms.`));
    },
    Math.max(10, Math.min(firstMs, silentMs) / 4),
  );
  let finished = false;
  try {
    call.write(request);
    for (let count = 0; ; ) {
      signal.throwIfAborted();
      const response = waiting.shift();
      if (response === undefined) {
        if (over) throw over.error;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      if (waiting.length === 0 && call.isPaused()) call.resume();
      if (response.error_message !== '') throw refusal(response.error_message);
      const answer = response.infer_response;
      if (!answer)
        throw new TritonFault('garbage', `Triton at ${client.address} sent an answer without content.`);
      if (answer.id !== request.id)
        throw new TritonFault(
          'garbage',
          `Triton at ${client.address} answered another request (${answer.id}).`,
        );
      const outputs = new Outputs(answer);
      if (!outputs.isEmpty) {
        first = false;
        if (++count > answers)
          throw new TritonFault(
            'flood',
            `Triton at ${client.address} sent more than ${answers} answers to one request.`,
          );
        yield outputs;
      }
      if (answer.parameters.triton_final_response?.bool_param === true) {
        finished = true;
        return;
      }
    }
  } finally {
    clearInterval(watch);
    signal.removeEventListener('abort', onAbort);
    call.removeAllListeners('data');
    if (finished) {
      call.end();
      call.resume(); // so that it hears its status and is gone
    } else {
      call.cancel();
    }
  }
}
