// MessagePack for clients, by @msgpack/msgpack: it makes no code from data, so it runs under any content security policy,
// and is half the size of the servers' msgpackr. Here is what parley.v1.msgpack does not have: extension types, keys that
// are no text, and strings with half a character.

import { Decoder, Encoder, type ExtensionCodecType } from '@msgpack/msgpack';

/** Levels of maps and arrays, as at the edge (bus/codec.ts). */
const maxDepth = 32;

const noExtensions: ExtensionCodecType<undefined> = {
  tryToEncode: () => null,
  decode: () => {
    throw new TypeError('an extension type');
  },
};
const encoder = new Encoder({ extensionCodec: noExtensions, ignoreUndefined: true, maxDepth });
const decoder = new Decoder({
  extensionCodec: noExtensions,
  mapKeyConverter: (key) => {
    if (typeof key !== 'string') throw new TypeError('a key that is no text');
    return key;
  },
});

/** Throws TypeError for what cannot be written, as a function or a circle. Fields that are undefined are left out. */
export function pack(value: unknown): Uint8Array {
  try {
    return encoder.encode(wellFormed(value, 0));
  } catch (cause) {
    throw new TypeError((cause as Error).message, { cause });
  }
}

/** The one value that fills `bytes`. Throws when there is none. */
export function unpack(bytes: Uint8Array): unknown {
  return decoder.decode(bytes);
}

/** As JSON would have it, with no half of a character in it: a cut-off emoji would be refused as no valid Unicode. */
function wellFormed(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.isWellFormed() ? value : value.toWellFormed();
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  if (depth === maxDepth) throw new TypeError('nested too deeply');
  if ('toJSON' in value && typeof value.toJSON === 'function') return wellFormed(value.toJSON(), depth + 1);
  if (Array.isArray(value)) return value.map((item) => wellFormed(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key.toWellFormed(), wellFormed(item, depth + 1)]),
  );
}
