// The catalogue of what can go wrong between a client and Parley: close codes for a socket, error codes
// for a message. One table each; PROTOCOL.md shows the same tables and a test compares them. Client text
// and operator text are separate: what stands here is what a client may read. Imports nothing, so that
// the browser client can use it too.

export interface CloseCode {
  readonly code: number;
  /** Short text sent in the close frame. */
  readonly reason: string;
  /** May a client come back by itself? `fresh-token`: yes, but not with the token it used. */
  readonly retry: 'yes' | 'no' | 'fresh-token';
  /** When the server closes with it. */
  readonly when: string;
}

/** Close codes mirror HTTP: 44xx is the client's fault, 45xx is ours. */
export const closeCodes = {
  bye: { code: 1000, reason: 'bye', retry: 'no', when: 'the player said `bye`' },
  malformed: {
    code: 4400,
    reason: 'malformed',
    retry: 'no',
    when: 'bytes that are no message, a message of the wrong encoding, anything but `hello` before `hello`, a second `hello`',
  },
  unauthenticated: {
    code: 4401,
    reason: 'unauthenticated',
    retry: 'fresh-token',
    when: 'the token is missing, forged, expired, or meant for another audience',
  },
  notAllowed: {
    code: 4403,
    reason: 'not allowed',
    retry: 'no',
    when: 'the token is good, but this player or this origin may not connect',
  },
  helloTimeout: {
    code: 4408,
    reason: 'no hello in time',
    retry: 'yes',
    when: 'no `hello` within 5 s of the handshake',
  },
  replaced: {
    code: 4409,
    reason: 'replaced',
    retry: 'no',
    when: 'the same player connected again; the newer connection wins',
  },
  tooLarge: {
    code: 4413,
    reason: 'too large',
    retry: 'no',
    when: 'a frame above the limit that `welcome` named',
  },
  tooMany: {
    code: 4429,
    reason: 'too many',
    retry: 'yes',
    when: 'messages kept coming after `err` with `rate_limited`',
  },
  internal: { code: 4500, reason: 'internal error', retry: 'yes', when: 'our fault' },
  goingAway: {
    code: 4503,
    reason: 'going away',
    retry: 'yes',
    when: 'this gateway is stopping; another one serves',
  },
  tooSlow: {
    code: 4504,
    reason: 'too slow',
    retry: 'yes',
    when: 'the client did not read for so long that too much waits for it; it may resume',
  },
} as const satisfies Record<string, CloseCode>;

export type CloseName = keyof typeof closeCodes;

export interface ErrorCode {
  /** What a client may show or log. Never names a host, a subject, a prompt or a stack. */
  readonly message: string;
  /** May the same request be sent again (under a new stream number)? */
  readonly retry: boolean;
  readonly when: string;
}

/** The `code` of an `err` message. */
export const errorCodes = {
  bad_message: {
    message: 'The message has a missing or wrong field.',
    retry: false,
    when: 'a field is missing, has the wrong type or is out of range',
  },
  unknown_type: { message: 'There is no such message.', retry: false, when: 'an unknown `t` after `hello`' },
  out_of_order: {
    message: 'Stream numbers must go up.',
    retry: true,
    when: 'a `say` whose `s` is below one that was used, and that is not a repeat of a known one',
  },
  bad_token: {
    message: 'The token is not valid for this session.',
    retry: false,
    when: 'a `refresh` with a token that is forged, expired or of another player; the session goes on until its old token ends',
  },
  unknown_npc: {
    message: 'There is no such character.',
    retry: false,
    when: '`npc` names no character of this game',
  },
  unknown_topic: {
    message: 'The character has no such topic.',
    retry: false,
    when: '`topic` is not among the topics of the character',
  },
  text_too_long: {
    message: 'The text is too long.',
    retry: false,
    when: '`text` or `context` is longer than `welcome` allows',
  },
  too_many_streams: {
    message: 'Too many answers at once.',
    retry: true,
    when: 'the session already holds as many running streams as `welcome` allows',
  },
  rate_limited: {
    message: 'Too many messages.',
    retry: true,
    when: 'more messages a second than `welcome` allows; `retryMs` says how long to wait',
  },
  overloaded: {
    message: 'The character is busy.',
    retry: true,
    when: 'every worker is full (seen by backends and in mode `think`; to what players say they get an authored line)',
  },
  expired: {
    message: 'The time for the answer was over before it began.',
    retry: true,
    when: 'the budget had run out before the request reached an engine (seen by backends and in mode `think`)',
  },
  engine_failed: {
    message: 'The character lost its thread.',
    retry: true,
    when: 'the engine failed before the first piece (seen by backends; players get an authored line)',
  },
  lost: {
    message: 'The rest of the answer is lost.',
    retry: true,
    when: 'the answer broke off and nobody can go on with it; `partial` says whether a part was delivered',
  },
  not_available: {
    message: 'This server does not offer that.',
    retry: false,
    when: 'a message of the protocol whose service does not run in this deployment',
  },
  internal: { message: 'Something failed on our side.', retry: true, when: 'our fault' },
} as const satisfies Record<string, ErrorCode>;

export type ErrorName = keyof typeof errorCodes;

/** An error with a name from the catalogue and, apart from it, what the operator should read. */
export class ParleyError extends Error {
  readonly code: ErrorName;
  /** For logs only: may name subjects, hosts and causes. */
  readonly detail: string;

  constructor(code: ErrorName, detail: string, options?: { cause?: unknown }) {
    super(errorCodes[code].message, options);
    this.name = 'ParleyError';
    this.code = code;
    this.detail = detail;
  }
}
