// What a conversation shows: words as they come on standard output, everything else on standard error, so that a
// pipe gets the words alone; or one line of JSON an event.

import { styleText } from 'node:util';
import type { End, Stream } from '../../client/index.ts';

export interface Screen {
  /** The next words of an answer. */
  words(text: string): void;
  answered(stream: Stream, end: End): void;
  failed(error: Error): void;
  note(text: string): void;
}

function figuresOf({ times }: Stream, end: End) {
  const { asked, first, ended } = times;
  const decodeMs = first !== undefined && ended !== undefined ? ended - first : 0;
  // The clock starts when the first token is there.
  const counted = end.usage.completion - 1;
  return {
    firstMs: first === undefined ? undefined : Math.round(first - asked),
    tokensPerSecond: decodeMs > 0 && counted > 0 ? Math.round((counted * 10_000) / decodeMs) / 10 : undefined,
    reason: end.reason,
    source: end.source,
    tier: end.tier,
    model: end.model,
  };
}

export function textScreen(): Screen {
  const { stdout, stderr } = process;
  /** Whether a line of words stands open. */
  let open = false;
  const beside = (text: string, dim: boolean) => {
    if (open) stdout.write('\n');
    open = false;
    // Where a prompt may stand, it gives way.
    const clear = stderr.isTTY && stdout.isTTY ? '\r\x1b[K' : '';
    stderr.write(`${clear}${dim && stderr.isTTY ? styleText('dim', text) : text}\n`);
  };
  return {
    words(text) {
      // A model may begin with a space.
      const shown = printable(open ? text : text.trimStart());
      open ||= shown !== '';
      stdout.write(shown);
    },
    answered(stream, end) {
      const { firstMs, tokensPerSecond, reason, source, tier, model } = figuresOf(stream, end);
      const parts = [
        firstMs === undefined ? 'no words' : `first token ${firstMs} ms`,
        tokensPerSecond === undefined ? '' : `${tokensPerSecond} tokens/s`,
        reason === 'stop' ? '' : reason,
        source,
        tier === 'none' ? '' : tier,
        model,
      ];
      beside(parts.filter((part) => part !== '').join(' · '), true);
    },
    failed: (error) => beside(error.message, false),
    note: (text) => beside(text, true),
  };
}

export function jsonScreen(): Screen {
  const write = (event: string, fields: object) =>
    void process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
  return {
    words: (text) => write('words', { text }),
    answered: (stream, end) => write('end', { text: stream.text, ...figuresOf(stream, end) }),
    failed: (error) => write('error', { code: (error as { code?: unknown }).code, message: error.message }),
    note: (text) => write('note', { text }),
  };
}

/** What a model says must not steer the terminal: control characters are replaced. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, '\ufffd');
}
