// The client of Parley for games, browsers and Node: one entry. README.md beside it tells how it is used, PROTOCOL.md
// what it speaks; scripts/talk.ts and web/ are two programs that use it. In short:
//
//   const client = new ParleyClient({ url: 'wss://play.example.org/v1/ws', token: () => login() });
//   await client.connect();
//   const answer = client.npc('mira').say('What does a sword cost?');
//   for await (const words of answer) show(words);
//   const { source, reason } = await answer.end;

export type { Act, Encoding, End, Welcome } from '../bus/protocol.ts';
export type { ReconnectOptions } from './backoff.ts';
export { ParleyClient } from './client.ts';
export type { Clock } from './clock.ts';
export type { SocketConstructor, SocketLike } from './connection.ts';
export { ClosedError, ServerError, StreamError } from './errors.ts';
export type { Job, JobEvents, JobProgress } from './job.ts';
export type { Npc, WordOptions } from './npc.ts';
export type {
  ClientEvents,
  ClientOptions,
  ClientState,
  ClientStats,
  SayOptions,
  ThinkOptions,
} from './options.ts';
export type { Stream, StreamEvents } from './stream.ts';
export type { IgnoredWhy } from './streams.ts';
