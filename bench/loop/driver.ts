// The other players, in a process of their own: they talk in both arms, and in the baseline they also ask for the game
// loop what it asked for itself in the other arm.

import { setTimeout as sleep } from 'node:timers/promises';
import { type Load, obey } from './orders.ts';
import { Players } from './players.ts';

const situation = 'You stand in the village. The traveller is near. It is day.';
let players: Players | undefined;
let npcs: readonly string[] = [];
let asked = 0;

function think(all: Players): void {
  const client = all.clients[asked % all.clients.length]!;
  const npc = npcs[asked % npcs.length]!;
  asked++;
  if (client.state !== 'online') return;
  client.think({ npc, context: situation, g: asked, budgetMs: 4_000 }).end.catch(() => {});
}

/** Asks in even steps for so long. */
async function drive(all: Players, ms: number, { thinksPerSecond, saysPerSecond }: Load): Promise<void> {
  const start = performance.now();
  const until = (count: number, perSecond: number) =>
    perSecond > 0 ? start + (count * 1_000) / perSecond : Number.POSITIVE_INFINITY;
  let thinks = 0;
  let says = 0;
  while (performance.now() < start + ms) {
    const now = performance.now();
    for (; until(thinks, thinksPerSecond) <= now; thinks++) think(all);
    for (; until(says, saysPerSecond) <= now; says++) all.say();
    await sleep(10);
  }
}

obey(async (order) => {
  if (order.op === 'open') {
    npcs = order.npcs;
    players = await Players.connect(order);
    return;
  }
  if (!players) throw new Error('open comes first');
  if (order.op === 'drive') return drive(players, order.ms, order.load);
  if (order.op === 'cut') {
    while (players.cutNext()) await sleep(3);
    return;
  }
  throw new Error(`the driver does not ${order.op}`);
});
