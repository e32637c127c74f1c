// The client of Parley for games, browsers and Node: one entry. PROTOCOL.md says what it speaks; scripts/talk.ts and
// web/app.ts are two programs that use it. In short:
//
//   const client = new ParleyClient({ url: 'wss://play.example.org/v1/ws', token: () => login() });
//   await client.connect();
//   const answer = client.say({ npc: 'mira', text: 'What does a sword cost?' });
//   for await (const words of answer) show(words);
//   const { source, reason } = await answer.end;

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
