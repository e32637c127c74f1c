// Least privilege: what each process may do on NATS and Redis. `npm start` writes these into the servers'
// configuration, a deployment does the same, and tests/permissions.test.ts tries to break out of them.

import { createSubjects, encodeId, type Tier } from './subjects.ts';

export type Role = 'gateway' | 'worker' | 'backend';

export interface NatsPermissions {
  readonly publish: { readonly allow: readonly string[] };
  /** An entry "subject queue" grants the subject inside that queue group only. */
  readonly subscribe: { readonly allow: readonly string[] };
  /** May answer the reply subject of what it received: so many messages, for so long. */
  readonly allowResponses?: { readonly max: number; readonly expires: string };
}

/** The prefix of a process's own inboxes; it is granted to no other. */
export function inboxPrefix(role: Role, id: string): string {
  // A backend keeps the common prefix, so that `nats req` works as it is.
  return role === 'backend' ? '_INBOX' : `_INBOX_${role}_${encodeId(id)}`;
}

/** The permissions of one NATS user; there is one user a process. */
export function natsPermissions(
  role: Role,
  { prefix, id, tier = 'gold' }: { prefix: string; id: string; tier?: Tier },
): NatsPermissions {
  const subjects = createSubjects(prefix);
  const inbox = `${inboxPrefix(role, id)}.>`;
  const root = encodeId(prefix);
  switch (role) {
    case 'gateway':
      return {
        publish: {
          allow: [
            ...(['gold', 'silver'] as const).flatMap((t) => [
              subjects.generate(t),
              `${root}.${t}.worker.*.generate`,
              `${root}.${t}.worker.*.control`,
            ]),
            `${root}.gateway.*.deliver`,
            `${root}.gateway.*.control`,
            subjects.observations,
            subjects.acts,
          ],
        },
        subscribe: {
          allow: [
            subjects.outAll(id),
            subjects.beats,
            subjects.gatewayDeliver(id),
            subjects.gatewayControl(id),
            `${subjects.pushes} ${subjects.gatewayQueue}`,
            `${subjects.npcSays} ${subjects.gatewayQueue}`,
            `${subjects.states} ${subjects.gatewayQueue}`,
            inbox,
          ],
        },
        // Answers to backends, such as delivered, offline or unknown.
        allowResponses: { max: 1, expires: '1m' },
      };
    case 'worker':
      // No right to publish frames of its own accord: it may only answer what it was asked, so a captured worker
      // cannot write into a stream that was never given to it.
      return {
        publish: { allow: [subjects.beat(tier, id)] },
        subscribe: {
          allow: [
            `${subjects.generate(tier)} ${subjects.generateQueue(tier)}`,
            subjects.workerGenerate(tier, id),
            subjects.workerControl(tier, id),
            inbox,
          ],
        },
        allowResponses: { max: 100_000, expires: '15m' },
      };
    case 'backend':
      return {
        publish: {
          allow: [
            subjects.generate('gold'),
            subjects.generate('silver'),
            subjects.pushes,
            subjects.npcSays,
            subjects.states,
            subjects.observations,
          ],
        },
        subscribe: { allow: [subjects.acts, subjects.observations, inbox] },
        // It says what may be done, once for each act that it is asked about.
        allowResponses: { max: 1, expires: '1m' },
      };
  }
}

/** The ACL rules of one Redis user; there is one user a role. Backends have no business in Redis. */
export function redisRules(role: Exclude<Role, 'backend'>, prefix: string): string {
  const root = encodeId(prefix);
  const history = `~${root}:history:* ~${root}:history-turn:*`;
  const commands = '+@read +@write +@connection +@scripting +@transaction -@dangerous +info';
  switch (role) {
    case 'worker':
      return `${history} ~${root}:state:* ${commands}`;
    case 'gateway':
      return `~${root}:* ${commands}`;
  }
}
