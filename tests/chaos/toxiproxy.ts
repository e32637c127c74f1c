// The network between two parts, as bad as a run wants it: Shopify's toxiproxy, a TCP proxy that cuts, delays and
// throttles. Built once with Go into PARLEY_HOME; where there is no Go, whoever needs it is told why and skips.

import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Child } from '../../scripts/stack/child.ts';
import { freePort } from '../../scripts/stack/ports.ts';

const source = 'github.com/Shopify/toxiproxy/v2/cmd/server@v2.5.0';
const readyMs = 10_000;

export type Toxic =
  | { readonly type: 'latency'; readonly attributes: { readonly latency: number; readonly jitter: number } }
  /** Kilobytes a second. */
  | { readonly type: 'bandwidth'; readonly attributes: { readonly rate: number } }
  /** 0: swallows everything and keeps the connection. */
  | { readonly type: 'timeout'; readonly attributes: { readonly timeout: number } };

/** Where the program is, building it if need be; or why it cannot be had. */
export async function findToxiproxy(home: string): Promise<{ program: string } | { missing: string }> {
  const bin = join(home, 'cache', 'bin');
  const program = join(bin, 'toxiproxy-server');
  if (existsSync(program)) return { program };
  mkdirSync(bin, { recursive: true });
  const scratch = mkdtempSync(join(bin, 'toxiproxy-'));
  try {
    await promisify(execFile)('go', ['install', source], {
      env: { ...process.env, GOBIN: scratch, GOFLAGS: '' },
      timeout: 300_000,
    });
    renameSync(join(scratch, 'server'), program);
    return { program };
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: string };
    if (code === 'ENOENT') return { missing: 'toxiproxy is built with Go, and there is no go on PATH' };
    return { missing: `toxiproxy could not be built: ${stderr?.trim().split('\n').at(-1) ?? code}` };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

export class Toxiproxy implements AsyncDisposable {
  readonly #child: Child;
  readonly #api: string;

  private constructor(child: Child, api: string) {
    this.#child = child;
    this.#api = api;
  }

  /** Starts the program; resolves when it takes orders. */
  static async start(program: string): Promise<Toxiproxy> {
    const port = await freePort();
    const child = new Child('toxiproxy', {
      command: program,
      args: ['-host', '127.0.0.1', '-port', String(port)],
    });
    await child.until((line) => /API HTTP server starting|Starting.*HTTP/i.test(line) || undefined, readyMs);
    const proxy = new Toxiproxy(child, `http://127.0.0.1:${port}`);
    for (let tries = 0; ; tries++) {
      try {
        await proxy.#order('GET', '/version');
        return proxy;
      } catch (error) {
        if (tries > 100) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  /** Puts a proxy before a port of this machine and resolves with its own port. */
  async before(name: string, port: number): Promise<number> {
    const listen = await freePort();
    const proxy = { name, listen: `127.0.0.1:${listen}`, upstream: `127.0.0.1:${port}`, enabled: true };
    await this.#order('POST', '/proxies', proxy);
    return listen;
  }

  /** Cuts every connection through it and takes no new ones, or takes them again. */
  async enable(name: string, enabled: boolean): Promise<void> {
    await this.#order('POST', `/proxies/${name}`, { enabled });
  }

  /** Spoils what passes, in both directions. */
  async poison(name: string, toxic: Toxic): Promise<void> {
    for (const stream of ['upstream', 'downstream']) {
      await this.#order('POST', `/proxies/${name}/toxics`, {
        ...toxic,
        name: `${toxic.type}-${stream}`,
        stream,
      });
    }
  }

  /** Every proxy lets everything pass again. */
  async heal(): Promise<void> {
    await this.#order('POST', '/reset');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stop();
  }

  async #order(method: string, path: string, body?: object): Promise<void> {
    const response = await fetch(this.#api + path, {
      method,
      headers: { 'content-type': 'application/json' },
      body: body && JSON.stringify(body),
    });
    if (!response.ok)
      throw new Error(`toxiproxy: ${method} ${path}: ${response.status} ${await response.text()}`);
    await response.arrayBuffer();
  }
}
