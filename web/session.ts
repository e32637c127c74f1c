// The player's connection: who plays, where the token comes from, and how the state of the connection is shown. Speaking
// and acting go through the client that is made here; nothing here knows the village.

import type { Clients, PlayerClient } from '../client/thread/index.ts';
import { find } from './page.ts';

/** This browser's player, so that the characters remember it. `?player=NAME` names another. */
export function player(): string {
  const named = new URLSearchParams(location.search).get('player');
  if (named) return named;
  const kept = localStorage.getItem('parley.player');
  if (kept) return kept;
  const fresh = `web-${Math.random().toString(36).slice(2, 10)}`;
  localStorage.setItem('parley.player', fresh);
  return fresh;
}

async function developmentToken(): Promise<string> {
  const response = await fetch('/dev/token', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ player: player() }),
  });
  if (response.status === 404) {
    throw new Error('This page gets its token from POST /dev/token, which is served in development only.');
  }
  if (!response.ok) throw new Error(`POST /dev/token: HTTP ${response.status}`);
  return ((await response.json()) as { token: string }).token;
}

export type Shown = 'connecting' | 'online' | 'waiting' | 'closed';

/** So long it says that the session went on. */
const backMs = 4_000;

/** Makes the client; `connect` may be called again after it closed for good. */
export class Session {
  client: PlayerClient;
  readonly #clients: Clients;
  readonly #onClient: (client: PlayerClient) => void;

  /** `onClient` hears of each client there is, before it connects. */
  constructor(clients: Clients, onClient: (client: PlayerClient) => void) {
    this.#clients = clients;
    this.#onClient = onClient;
    this.client = this.#open();
    find('again').addEventListener('click', () => {
      this.client = this.#open();
      find('village').focus();
    });
  }

  #open(): PlayerClient {
    const url = new URL('/v1/ws', location.href);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    const client = this.#clients.client({ url: url.href, token: developmentToken });
    client.on('welcome', ({ resumed }) => {
      show('online', resumed ? 'Back: nothing lost' : 'Connected');
      if (resumed) setTimeout(() => client.state === 'online' && show('online', 'Connected'), backMs);
      complain('');
    });
    client.on('disconnected', () => show('waiting', 'Connection lost'));
    client.on('reconnecting', ({ attempt }) =>
      show('waiting', attempt > 1 ? `Connecting again (${attempt})…` : 'Connecting again…'),
    );
    client.on('error', (error) => complain(error.message));
    client.on('closed', ({ code, reason, error }) => {
      const replaced = code === 4409;
      show('closed', replaced ? 'Connected elsewhere' : `Closed: ${reason || code}`);
      find('again').textContent = replaced ? 'Continue here' : 'Connect';
      find('again').hidden = false;
      if (error.cause instanceof Error) complain(error.cause.message);
    });
    find('again').hidden = true;
    show('connecting', 'Connecting…');
    this.#onClient(client);
    client.connect().catch(() => {});
    return client;
  }
}

function show(name: Shown, text: string): void {
  find('state').dataset.state = name;
  find('state-text').textContent = text;
}

/** Says what went wrong; an empty text takes it back. */
export function complain(text: string): void {
  find('notice').textContent = text;
  find('notice').hidden = text === '';
}
