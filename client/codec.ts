// The two encodings, as a client needs them: it writes what is well-formed and believes its edge. The strict
// decoder for hostile bytes is bus/codec.ts.

import { Packr } from 'msgpackr';
import type { ClientMessageInput, Encoding, ServerMessage } from '../bus/protocol.ts';

const packr = new Packr({
  useRecords: false,
  mapsAsObjects: true,
  variableMapSize: true,
  int64AsType: 'number',
});

/** The WebSocket subprotocol of an encoding. */
export const subprotocolOf = (encoding: Encoding) => `parley.v1.${encoding}`;

/** Fields that are undefined are left out: MessagePack has no way to write them that the protocol allows. */
export function encode(message: ClientMessageInput, encoding: Encoding): string | Uint8Array {
  if (encoding === 'json') return JSON.stringify(message);
  return packr.pack(Object.fromEntries(Object.entries(message).filter(([, value]) => value !== undefined)));
}

/** Throws when the frame is no message of this encoding. */
export function decode(data: unknown, encoding: Encoding): ServerMessage {
  let message: unknown;
  if (encoding === 'json' && typeof data === 'string') message = JSON.parse(data);
  else if (encoding === 'msgpack' && data instanceof ArrayBuffer)
    message = packr.unpack(new Uint8Array(data));
  if (typeof (message as { t?: unknown } | undefined)?.t !== 'string') {
    throw new TypeError(`not a message of parley.v1.${encoding}`);
  }
  return message as ServerMessage;
}
