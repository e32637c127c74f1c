// The two encodings of every message, on the socket and on the bus: MessagePack, and JSON for people. Decodes
// hostile bytes: whatever comes in, the answer is a plain object or a ParleyError.

import { type Options, Packr, Unpackr } from 'msgpackr';
import { ParleyError } from '../runtime/errors.ts';
import type { Encoding } from './protocol.ts';

// Plain MessagePack: no record extension, no structured clones. What is stated here is what any other
// implementation writes and reads.
// `skipValues` is missing from the library's types: a field that is undefined is left out, as in JSON.
const packr = new Packr({ useRecords: false, variableMapSize: true, skipValues: [undefined] } as Options);
// `copyBuffers`: the memory of a client's frame is uWS's again as soon as the handler returns.
const unpackr = new Unpackr({
  useRecords: false,
  mapsAsObjects: true,
  int64AsType: 'number',
  copyBuffers: true,
});
const utf8 = new TextDecoder('utf-8', { fatal: true });
const toUtf8 = new TextEncoder();

/**
 * Levels of maps and arrays: more than any message has. Deeper input is refused in both encodings before anything is
 * built of it. Encoding recurses: what could be read and not be written again would fail far from the door.
 */
export const maxDepth = 32;

/** Encodes a message. The result is not shared with later calls. */
export function encode(message: object, encoding: Encoding): Uint8Array {
  return encoding === 'json' ? toUtf8.encode(JSON.stringify(message)) : packr.pack(message);
}

/**
 * Decodes one message, which must be a map, and fill `bytes` exactly. Throws ParleyError `bad_message`.
 */
export function decode(bytes: Uint8Array, encoding: Encoding): Record<string, unknown> {
  let value: unknown;
  try {
    if (encoding === 'json') {
      checkJsonDepth(bytes);
      value = JSON.parse(utf8.decode(bytes));
    } else {
      checkMessagePack(bytes);
      value = unpackr.unpack(bytes);
    }
  } catch (cause) {
    if (cause instanceof ParleyError) throw cause;
    throw new ParleyError('bad_message', `not ${encoding === 'json' ? 'JSON' : 'MessagePack'}`, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Uint8Array) {
    throw new ParleyError('bad_message', 'a message is a map');
  }
  return value as Record<string, unknown>;
}

/** Payloads on the bus say by their first byte what they are: `{` is JSON, everything else MessagePack. */
export function encodingOf(payload: Uint8Array): Encoding {
  return payload[0] === 0x7b ? 'json' : 'msgpack';
}

/** Counts brackets outside strings. Says nothing of bytes that are no JSON: the parser does. */
function checkJsonDepth(bytes: Uint8Array): void {
  const [quote, backslash] = [0x22, 0x5c];
  let depth = 0;
  let inString = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (inString) {
      if (byte === backslash) at++;
      else if (byte === quote) inString = false;
    } else if (byte === quote) inString = true;
    // `[` and `{`, `]` and `}`: in ASCII they differ from each other in this one bit.
    else if ((byte | 0x20) === 0x7b) {
      if (++depth > maxDepth) throw new ParleyError('bad_message', 'not JSON: nested too deeply');
    } else if ((byte | 0x20) === 0x7d) depth--;
  }
}

/**
 * Walks MessagePack without building anything: every length must fit into the bytes that are there, nesting is
 * bounded, extension types (which could name classes) and bytes after the value are refused. So the decoder never
 * reserves memory that the sender did not pay for.
 * Source: the MessagePack specification, "Formats".
 */
function checkMessagePack(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  // How many values are still to come at each open level.
  const open: number[] = [1];
  while (open.length > 0) {
    const level = open.length - 1;
    if (open[level] === 0) {
      open.pop();
      continue;
    }
    open[level]!--;
    if (at >= bytes.length) throw malformed('cut off');
    const head = bytes[at++]!;
    let skip = 0;
    let children = 0;
    // What is open now are the levels around this value; an empty map or array is a level too.
    const isContainer = (head >= 0x80 && head <= 0x9f) || (head >= 0xdc && head <= 0xdf);
    if (isContainer && open.length > maxDepth) throw malformed('nested too deeply');
    if (head <= 0x7f || head >= 0xe0) continue;
    else if (head <= 0x8f) children = (head & 0x0f) * 2;
    else if (head <= 0x9f) children = head & 0x0f;
    else if (head <= 0xbf) skip = head & 0x1f;
    else {
      switch (head) {
        case 0xc0:
        case 0xc2:
        case 0xc3:
          break;
        case 0xc4:
        case 0xd9:
          skip = 1 + need(view, at, 1);
          break;
        case 0xc5:
        case 0xda:
          skip = 2 + need(view, at, 2);
          break;
        case 0xc6:
        case 0xdb:
          skip = 4 + need(view, at, 4);
          break;
        case 0xcc:
        case 0xd0:
          skip = 1;
          break;
        case 0xcd:
        case 0xd1:
          skip = 2;
          break;
        case 0xca:
        case 0xce:
        case 0xd2:
          skip = 4;
          break;
        case 0xcb:
        case 0xcf:
        case 0xd3:
          skip = 8;
          break;
        case 0xdc:
          children = need(view, at, 2);
          skip = 2;
          break;
        case 0xdd:
          children = need(view, at, 4);
          skip = 4;
          break;
        case 0xde:
          children = need(view, at, 2) * 2;
          skip = 2;
          break;
        case 0xdf:
          children = need(view, at, 4) * 2;
          skip = 4;
          break;
        default:
          throw malformed('an extension type');
      }
    }
    at += skip;
    // A value takes a byte at least, so a length that cannot fit is known without walking it.
    if (at + children > bytes.length) throw malformed('cut off');
    if (children > 0) open.push(children);
  }
  if (at !== bytes.length) throw malformed('bytes after the message');
}

function need(view: DataView, at: number, size: 1 | 2 | 4): number {
  if (at + size > view.byteLength) throw malformed('cut off');
  return size === 1 ? view.getUint8(at) : size === 2 ? view.getUint16(at) : view.getUint32(at);
}

function malformed(why: string): ParleyError {
  return new ParleyError('bad_message', `not MessagePack: ${why}`);
}
