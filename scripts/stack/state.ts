// The state file of a running stack in PARLEY_HOME, by which `npm run token`, `talk` and `ask` find it. Several
// stacks may run side by side: each holds a numbered slot (its data folders and its state file) by a lock that the
// kernel takes back when the stack ends, however it ends.

import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isLocked, tryLock } from '../setup/lock.mjs';
import type { TokenKey } from './token.ts';

/** The line that `npm start` prints on standard output once everything serves. */
export interface ReadyLine {
  readonly event: 'ready';
  readonly ws: string;
  readonly http: string;
  /** With the credentials of a backend. */
  readonly nats: string;
  /** With the credentials of an operator. */
  readonly redis: string;
  /** Every gateway, where there are several. */
  readonly gateways?: readonly string[];
}

export interface StackState {
  readonly ready: ReadyLine;
  readonly key: TokenKey;
  readonly pid: number;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly processes: readonly { readonly name: string; readonly pid: number | undefined }[];
}

export interface Slot {
  readonly number: number;
  write(state: StackState): void;
  /** Removes the state file and lets the slot go. */
  release(): Promise<void>;
}

const folder = (home: string) => join(home, 'data', 'stacks');
const lockName = (home: string, slot: number) => `stack ${resolve(home)} ${slot}`;

/** Takes the first slot that no living stack holds. */
export async function takeSlot(home: string): Promise<Slot> {
  for (let number = 1; ; number++) {
    const unlock = await tryLock(lockName(home, number));
    if (!unlock) continue;
    const file = join(folder(home), `${number}.json`);
    rmSync(file, { force: true }); // of a stack that was killed
    return {
      number,
      write(state) {
        mkdirSync(folder(home), { recursive: true, mode: 0o700 });
        const draft = `${file}.draft`;
        writeFileSync(draft, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
        renameSync(draft, file);
      },
      async release() {
        rmSync(file, { force: true });
        await unlock();
      },
    };
  }
}

/**
 * The newest living stack of that home, or the one whose gateway is at `http` (any of its gateways). Undefined when
 * there is none.
 */
export async function stackState(home: string, http?: string): Promise<StackState | undefined> {
  const found: StackState[] = [];
  for (const name of list(folder(home))) {
    const slot = /^(\d+)\.json$/.exec(name)?.[1];
    if (slot === undefined || !(await isLocked(lockName(home, Number(slot))))) continue;
    try {
      found.push(JSON.parse(readFileSync(join(folder(home), name), 'utf8')));
    } catch {
      // It stopped in this moment, or belongs to another user.
    }
  }
  found.sort((a, b) => b.startedAt.localeCompare(a.startedAt));
  if (http === undefined) return found[0];
  const wanted = new URL(http).origin;
  return found.find(({ ready }) =>
    [ready.http, ...(ready.gateways ?? [])].some((url) => new URL(url).origin === wanted),
  );
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
