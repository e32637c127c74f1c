// The demo under `/`: the village of Oakfell. Puts the parts together and starts them; what happens in the village is
// game.ts, what is drawn village/, what is said talk/. It needs POST /dev/token and so works in development alone.

import { rehearse, type VerbSpecs } from '../client/controller/index.ts';
import { playerClients } from '../client/thread/index.ts';
import { Game } from './game.ts';
import { find } from './page.ts';
import { complain, Session } from './session.ts';
import { openVillage } from './village/scene.ts';
import type { Character } from './village/villagers.ts';

const query = new URLSearchParams(location.search);
const still = matchMedia('(prefers-reduced-motion: reduce)').matches;

async function load<T>(path: string): Promise<T> {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: HTTP ${response.status}`);
  return (await response.json()) as T;
}

// It plays by keys, so it takes the focus.
find('village').tabIndex = 0;
const title = find<HTMLDialogElement>('title');
title.addEventListener('close', () => find('village').focus());
title.showModal();

const wanted = Promise.all([
  load<Character[]>('/v1/characters'),
  load<{ verbs: VerbSpecs }>('/v1/verbs').then(
    ({ verbs }) => verbs,
    // A gateway that does not tell its verbs has the common ones.
    () => undefined,
  ),
  // In a thread where the gateway's page may have one.
  playerClients(),
]);
// The title is read meanwhile; afterwards no frame waits for the compiler.
setTimeout(rehearse, 200, { forMs: 250 });

openVillage(find('village'), query.get('renderer'), {
  hour: Number(query.get('hour') ?? '16.5') || 0,
  still,
  onReady(scene) {
    wanted.then(
      ([characters, verbs, clients]) => {
        const game = new Game(scene, characters, verbs, clients.threaded);
        new Session(clients, (client) => game.useClient(client));
        scene.onFrame = (nowMs, dtMs, frameMs) => game.frame(nowMs, dtMs, frameMs);
      },
      (error: Error) => complain(`The village could not be loaded: ${error.message}`),
    );
  },
});
