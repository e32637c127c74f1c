// The game's own server of the demo village, as small as one can be: it keeps what each player owns and has the say
// over what changes hands. `npm start` runs it beside the gateway. It holds one NATS connection, with a backend's
// rights, and no state beyond its memory: players are welcomed with a full purse when it starts again.

import { connect } from '@nats-io/transport-node';
import { createSubjects } from '../../bus/subjects.ts';

interface Traveller {
  gold: number;
  readonly items: string[];
  /** What was decided, by the key of the question: it may be asked again after a fail-over. */
  readonly decided: Map<string, { what: string; ok: boolean }>;
}

interface ActQuestion {
  player: string;
  session: string;
  s: number;
  n: number;
  npc: string;
  name: string;
  args: { item?: string; price?: number };
}

const startGold = 50;
const mostItems = 12;
const mostTravellers = 10_000;
const mostDecided = 100;

const url = new URL(process.env.PARLEY_NATS_URL ?? 'nats://127.0.0.1:4222');
const subjects = createSubjects(process.env.PARLEY_PREFIX ?? 'parley');
const nats = await connect({
  servers: url.host,
  user: decodeURIComponent(url.username) || undefined,
  pass: decodeURIComponent(url.password) || undefined,
  name: 'village server',
  waitOnFirstConnect: true,
  maxReconnectAttempts: -1,
});
const travellers = new Map<string, Traveller>();

function travellerOf(player: string): Traveller {
  const known = travellers.get(player);
  if (known) return known;
  // The one who came first is forgotten first.
  if (travellers.size >= mostTravellers) travellers.delete(travellers.keys().next().value!);
  const fresh: Traveller = { gold: startGold, items: [], decided: new Map() };
  travellers.set(player, fresh);
  return fresh;
}

/** Tells the player's game what the player owns, and the characters how much gold that is. */
function tell(player: string, { gold, items }: Traveller, notice?: string): void {
  nats.publish(subjects.push(player), JSON.stringify({ gold, items, notice }));
  nats.publish(subjects.state('player', player), JSON.stringify({ gold }));
}

/** Whether what a character wants to do may be done. Only giving is; a fight in the village is not. */
function decide({ player, name, args }: ActQuestion): boolean {
  if (name !== 'give' || typeof args.item !== 'string') return false;
  const traveller = travellerOf(player);
  const price = args.price ?? 0;
  if (price > traveller.gold) {
    tell(player, traveller, `You need ${price} gold for the ${args.item}.`);
    return false;
  }
  if (traveller.items.length >= mostItems) {
    tell(player, traveller, 'You cannot carry more.');
    return false;
  }
  traveller.gold -= price;
  traveller.items.push(args.item);
  tell(player, traveller);
  return true;
}

nats.subscribe(subjects.acts, {
  queue: 'village',
  callback: (error, message) => {
    if (error) throw error;
    let ok = false;
    try {
      const question = message.json<ActQuestion>();
      const { decided } = travellerOf(question.player);
      const key = `${question.session} ${question.s} ${question.n}`;
      const what = JSON.stringify([question.npc, question.name, question.args]);
      const before = decided.get(key);
      // The same key with another act in it is nobody's honest question.
      ok = before ? before.what === what && before.ok : decide(question);
      if (!before) decided.set(key, { what, ok });
      if (decided.size > mostDecided) decided.delete(decided.keys().next().value!);
    } catch {
      // A question that cannot be read is a no.
    }
    message.respond(JSON.stringify({ ok }));
  },
});

nats.subscribe(subjects.observations, {
  queue: 'village',
  callback: (error, message) => {
    if (error) throw error;
    try {
      const { player, kind } = message.json<{ player: string; kind: string }>();
      if (kind === 'entered') tell(player, travellerOf(player));
    } catch {
      // Nothing that this game knows.
    }
  },
});

await nats.flush();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => void nats.drain().then(() => process.exit(0)));
process.stdout.write(`${JSON.stringify({ event: 'listening', id: 'village' })}\n`);
