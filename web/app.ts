// The page under `/`: choose a character, say something or pick a topic, read the words as they come. A small program
// on top of client/, for trying a deployment out; it needs POST /dev/token and so works in development alone.

import { ParleyClient, type Stream } from '../client/index.ts';
import { Conversation, make } from './conversation.ts';

interface Character {
  id: string;
  name: string;
  topics: Record<string, string>;
}

const state = find('state');
const stateText = find('state-text');
const again = find<HTMLButtonElement>('again');
const notice = find('notice');
const topics = find('topics');
const words = find<HTMLTextAreaElement>('words');
const send = find<HTMLButtonElement>('send');
const stop = find<HTMLButtonElement>('stop');
const announcer = find('announcer');

const conversations = new Map<string, Conversation>();
const running = new Set<Stream>();
let current: Character | undefined;
let client: ParleyClient;

function find<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/** This browser's player, so that the characters remember it. `?player=NAME` names another. */
function player(): string {
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

function connect(): void {
  const url = new URL('/v1/ws', location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  client = new ParleyClient({ url: url.href, token: developmentToken, encoding: 'json' });
  client.on('welcome', ({ limits }) => {
    show('online', 'Connected');
    complain('');
    words.maxLength = limits.textChars;
  });
  client.on('disconnected', () => show('waiting', 'Connection lost'));
  client.on('reconnecting', ({ attempt }) =>
    show('waiting', attempt > 1 ? `Connecting again (${attempt})…` : 'Connecting again…'),
  );
  client.on('error', (error) => complain(error.message));
  client.on('closed', ({ code, reason, error }) => {
    const replaced = code === 4409;
    show('closed', replaced ? 'Connected elsewhere' : `Closed: ${reason || code}`);
    again.textContent = replaced ? 'Continue here' : 'Connect';
    again.hidden = false;
    if (error.cause instanceof Error) complain(error.cause.message);
  });
  again.hidden = true;
  show('connecting', 'Connecting…');
  client.connect().catch(() => {});
}

function show(name: 'connecting' | 'online' | 'waiting' | 'closed', text: string): void {
  state.dataset.state = name;
  stateText.textContent = text;
  refresh();
}

function complain(text: string): void {
  notice.textContent = text;
  notice.hidden = text === '';
}

/** What can be done now. Words may also be said while the connection is lost: they go out when it is back. */
function refresh(): void {
  const open = current !== undefined && client.state !== 'closed';
  words.disabled = !open;
  send.disabled = !open || words.value.trim() === '';
  stop.hidden = ![...running].some((stream) => stream.npc === current?.id);
  for (const button of topics.querySelectorAll('button')) button.disabled = !open;
}

function choose(character: Character): void {
  current = character;
  for (const button of document.querySelectorAll<HTMLButtonElement>('nav button')) {
    button.setAttribute('aria-current', String(button.dataset.id === character.id));
  }
  const conversation = conversations.get(character.id)!;
  find('conversations').replaceChildren(conversation.element);
  topics.replaceChildren(
    ...Object.entries(character.topics).map(([topic, asked]) => {
      const button = make('button', '', asked);
      button.type = 'button';
      button.addEventListener('click', () => say(asked, { topic }));
      return button;
    }),
  );
  words.placeholder = `Say something to ${character.name}`;
  history.replaceState(null, '', `#${encodeURIComponent(character.id)}`);
  refresh();
}

function say(shown: string, said: { text: string } | { topic: string }): void {
  if (!current) return;
  const { id } = current;
  const stream = client.say({ npc: id, ...said });
  running.add(stream);
  const shownAll = conversations.get(id)!.show(shown, stream);
  refresh();
  void shownAll.then((spoken) => {
    running.delete(stream);
    announcer.textContent = spoken;
    refresh();
  });
}

function sayWords(): void {
  const text = words.value.trim();
  if (text === '' || send.disabled) return;
  words.value = '';
  say(text, { text });
}

async function loadCharacters(): Promise<void> {
  const response = await fetch('/v1/characters');
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  const characters = (await response.json()) as Character[];
  for (const character of characters) {
    conversations.set(character.id, new Conversation(character.name));
    const button = make('button', '', character.name);
    button.type = 'button';
    button.dataset.id = character.id;
    button.addEventListener('click', () => choose(character));
    const item = make('li', '');
    item.append(button);
    find('characters').append(item);
  }
  const wanted = decodeURIComponent(location.hash.slice(1));
  const first = characters.find((c) => c.id === wanted) ?? characters[0];
  if (first) choose(first);
  else complain('This game has no characters.');
}

find('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  sayWords();
});
words.addEventListener('input', refresh);
words.addEventListener('keydown', (event) => {
  // Enter says it, Shift+Enter makes a new line; not while an input method is composing.
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  sayWords();
});
stop.addEventListener('click', () => {
  for (const stream of running) if (stream.npc === current?.id) stream.cancel();
  words.focus();
});
again.addEventListener('click', connect);

connect();
loadCharacters().catch((error: Error) => complain(`The characters could not be loaded: ${error.message}`));
