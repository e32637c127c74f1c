// `npm run talk -- mira`: a conversation in the terminal, on top of client/. Words appear as they come, figures after
// each answer; a lost connection comes back by itself. With a pipe on standard input each line is said in turn.

import { userInfo } from 'node:os';
import { resolve } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { parseArgs } from 'node:util';
import { WebSocket } from 'ws';
import { ClosedError, ParleyClient } from '../client/index.ts';
import { ConfigError, readConfig } from '../runtime/config.ts';
import { stackState } from './stack/state.ts';
import { Complaint } from './talk/complaint.ts';
import { Conversation, talkAtTerminal, talkFromPipe } from './talk/conversation.ts';
import { type Character, charactersOf, developmentToken } from './talk/gateway.ts';
import { jsonScreen, type Screen, textScreen } from './talk/screen.ts';

const usage = `usage: npm run talk -- CHARACTER [--player NAME] [--http URL] [--token TOKEN] [--json]

  CHARACTER       who to talk to, as in: npm run talk -- mira
  --player NAME   who you are; characters remember each player (default: your user name)
  --http URL      a gateway, when it is not the newest stack on this machine
  --token TOKEN   your token, where the gateway makes none for development
  --json          one line of JSON an event, for programs`;

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        player: { type: 'string' },
        http: { type: 'string' },
        token: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    throw new Complaint(`${(error as Error).message}\n${usage}`);
  }
}

async function findGateway(http: string | undefined): Promise<string> {
  if (http !== undefined) {
    if (/^https?:/.test(http) && URL.canParse(http)) return new URL(http).origin;
    throw new Complaint(`--http ${http} is no http(s) URL`);
  }
  const home = resolve(readConfig().home);
  const state = await stackState(home);
  if (state) return state.ready.http;
  throw new Complaint(`No stack runs in ${home}. Start one with: npm start`);
}

async function findCharacter(http: string, wanted: string | undefined): Promise<Character> {
  const characters = await charactersOf(http);
  const there = `There are: ${characters.map(({ id }) => id).join(', ')}`;
  if (wanted === undefined) throw new Complaint(`${usage}\n\n${there}`);
  const found = characters.find(({ id }) => id === wanted.toLowerCase());
  if (found) return found;
  throw new Complaint(`There is no character ${JSON.stringify(wanted)}. ${there}`);
}

/** Says what becomes of the connection. */
function report(client: ParleyClient, player: string, screen: Screen, prompt: () => void): void {
  const tell = (text: string) => {
    screen.note(text);
    prompt();
  };
  let before = false;
  client.on('welcome', ({ resumed }) => {
    if (before) tell(resumed ? 'Connected again.' : 'Connected again, with a new session.');
    before = true;
  });
  client.on('disconnected', () => tell('The connection is lost; connecting again …'));
  client.on('reconnecting', ({ attempt, delayMs }) => {
    if (attempt > 1) tell(`No connection yet; trying again in ${(delayMs / 1000).toFixed(1)} s …`);
  });
  client.on('error', (error) => screen.failed(error));
  client.on('closed', ({ code, error }) => {
    // Before the first welcome it is told by `connect`.
    if (code === 1000 || !before) return;
    const replaced = `${player} has connected from elsewhere. Be somebody else with --player NAME`;
    screen.failed(code === 4409 ? new Complaint(replaced) : error);
  });
}

/** Resolves with the exit code. */
async function main(): Promise<number> {
  const { values, positionals } = readArguments();
  if (values.help) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  if (positionals.length > 1) throw new Complaint(usage);
  const http = await findGateway(values.http);
  const character = await findCharacter(http, positionals[0]);
  const player = values.player ?? userInfo().username;
  const screen = values.json ? jsonScreen() : textScreen();
  const atTerminal = process.stdin.isTTY && process.stdout.isTTY && !values.json;

  const client = new ParleyClient({
    url: `${http.replace(/^http/, 'ws')}/v1/ws`,
    token: values.token ?? (() => developmentToken(http, player)),
    WebSocket,
  });
  const conversation = new Conversation(client, character, screen);
  let lines: Interface | undefined;
  report(client, player, screen, () => {
    if (atTerminal && !conversation.isRunning) lines?.prompt(true);
  });
  await client.connect();

  if (atTerminal) screen.note(`${character.name} is here. /topics, /quit; Ctrl-C stops an answer.`);
  // Only now: lines that came before somebody reads them would be lost.
  lines = createInterface({ input: process.stdin, output: atTerminal ? process.stdout : undefined });
  let closedCode = 1000;
  client.on('closed', ({ code }) => {
    closedCode = code;
    lines?.close();
    lines = undefined;
  });
  if (atTerminal) await talkAtTerminal(lines, conversation, screen);
  else await talkFromPipe(lines, client, conversation);
  client.close();
  return closedCode !== 1000 || (conversation.failed && !atTerminal) ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  const fault = error instanceof ClosedError && error.cause instanceof Error ? error.cause : (error as Error);
  const expected = [Complaint, ConfigError, ClosedError].some((kind) => fault instanceof kind);
  process.stderr.write(`${expected ? fault.message : fault.stack}\n`);
  process.exitCode = 1;
}
