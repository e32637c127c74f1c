// The client of Parley for games, browsers and Node: one entry. See examples and PROTOCOL.md; scripts/talk.ts and
// web/app.ts are two programs that use it.

export type { Act, Encoding, End, Welcome } from '../bus/protocol.ts';
export type { ReconnectOptions } from './backoff.ts';
export {
  type ClientEvents,
  type ClientOptions,
  type ClientState,
  ParleyClient,
  type SayOptions,
} from './client.ts';
export type { SocketConstructor, SocketLike } from './connection.ts';
export { ClosedError, ServerError, StreamError } from './errors.ts';
export type { Stream, StreamEvents } from './stream.ts';
