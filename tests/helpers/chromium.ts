// A real Chromium without a window, driven over its own DevTools protocol. Only what the tests of the page need: open a
// page, run something in it, wait for something in it, type.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { eventually } from './processes.ts';

/** The distribution's browser, if it is there. */
export const chromium = ['chromium', 'chromium-browser', 'google-chrome'].find(
  (name) => spawnSync(name, ['--version']).status === 0,
);

const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--remote-debugging-port=0',
];

interface Reply {
  id?: number;
  method?: string;
  result?: Record<string, unknown>;
  error?: { message: string };
  params?: { exceptionDetails?: { text: string; exception?: { description?: string } } };
}

export class Page implements AsyncDisposable {
  /** What the page threw and nobody caught. */
  readonly faults: string[] = [];
  readonly #browser: ChildProcess;
  readonly #profile: string;
  #socket!: WebSocket;
  #session: string | undefined;
  #lastId = 0;
  readonly #waiting = new Map<number, (reply: Reply) => void>();

  /** Opens a page of a browser of its own, `width` pixels wide. */
  static async open(url: string, width = 1000): Promise<Page> {
    const page = new Page(width);
    await page.#connect();
    const { targetId } = await page.#send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await page.#send('Target.attachToTarget', { targetId, flatten: true });
    page.#session = sessionId as string;
    await page.#send('Runtime.enable');
    await page.#send('Page.navigate', { url });
    return page;
  }

  private constructor(width: number) {
    this.#profile = mkdtempSync(join(tmpdir(), 'parley-chromium-'));
    this.#browser = spawn(chromium!, [
      ...flags,
      `--window-size=${width},800`,
      `--user-data-dir=${this.#profile}`,
    ]);
  }

  /** The value of an expression in the page; a promise is waited for. */
  async evaluate<T>(expression: string): Promise<T> {
    const reply = await this.#send('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    if (reply.exceptionDetails) throw new Error(`in the page: ${JSON.stringify(reply.exceptionDetails)}`);
    return (reply.result as { value: T }).value;
  }

  /** Waits until an expression in the page is true, or something else that counts as such. */
  until<T>(expression: string): Promise<NonNullable<T>> {
    return eventually(expression, () => this.evaluate<T>(expression));
  }

  /** Types into what has the focus, and presses Enter. */
  async type(text: string): Promise<void> {
    await this.#send('Input.insertText', { text });
    const enter = { key: 'Enter', code: 'Enter', windowsVirtualKeyCode: 13, text: '\r' };
    await this.#send('Input.dispatchKeyEvent', { type: 'keyDown', ...enter });
    await this.#send('Input.dispatchKeyEvent', { type: 'keyUp', ...enter });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket?.terminate();
    const ended = new Promise((resolve) => this.#browser.once('close', resolve));
    this.#browser.kill('SIGKILL');
    await ended;
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 10 });
  }

  async #connect(): Promise<void> {
    let said = '';
    this.#browser.stderr!.on('data', (chunk) => {
      said += chunk;
    });
    const url = await eventually('DevTools', () => /DevTools listening on (ws:\S+)/.exec(said)?.[1]);
    this.#socket = new WebSocket(url, { perMessageDeflate: false });
    await new Promise((resolve, reject) => {
      this.#socket.once('open', resolve).once('error', reject);
    });
    this.#socket.on('message', (data) => {
      const reply = JSON.parse(String(data)) as Reply;
      if (reply.id !== undefined) this.#waiting.get(reply.id)?.(reply);
      const thrown = reply.method === 'Runtime.exceptionThrown' && reply.params?.exceptionDetails;
      if (thrown) this.faults.push(thrown.exception?.description ?? thrown.text);
    });
  }

  #send(method: string, params: object = {}): Promise<Record<string, unknown>> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ result, error }) => {
        this.#waiting.delete(id);
        if (error) reject(new Error(`${method}: ${error.message}`));
        else resolve(result!);
      });
      this.#socket.send(JSON.stringify({ id, method, params, sessionId: this.#session }));
    });
  }
}
