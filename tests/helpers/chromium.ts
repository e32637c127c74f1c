// A real Chromium without a window, driven by playwright-core: the distribution's, as set-up found it. Says why there is
// none, opens pages of the village, and keeps what went wrong in them. What is tried in it is in tests/browser/.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { repository } from '../../scripts/stack/servers.ts';
import type { DemoFacts } from '../../web/facts.ts';
import { eventually } from './processes.ts';

export const noChromium = 'no Chromium: apt-get install chromium, or PARLEY_CHROMIUM=/path/to/one';

/** Where screenshots are kept; git ignores it. */
const artifacts = join(repository, 'artifacts', 'village');

/** The browser that set-up found, or one on PATH; undefined where there is none. */
export function findChromium(): string | undefined {
  const onPath = ['chromium', 'chromium-browser', 'google-chrome'].map((name) =>
    spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).stdout.trim(),
  );
  return [process.env.PARLEY_CHROMIUM, setUp(), ...onPath].find(
    (file) => file && spawnSync(file, ['--version']).status === 0,
  );
}

function setUp(): string | undefined {
  const home = resolve(process.env.PARLEY_HOME || join(homedir(), '.parley'));
  try {
    const { chromium: found } = JSON.parse(readFileSync(join(home, 'cache', 'servers.json'), 'utf8'));
    return typeof found === 'string' ? found : undefined;
  } catch {
    return undefined;
  }
}

export function launch(executablePath: string): Promise<Browser> {
  // No sandbox: tests run as root in containers, and see no page but ours.
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-quic'] });
}

export class VillagePage {
  readonly page: Page;
  /** What the console reported as an error, what was thrown, and what could not be loaded. */
  readonly faults: string[] = [];

  /** The village with the first card closed, once the player is in it and connected. `first` is a script before its own. */
  static async open(
    browser: Browser,
    url: string,
    { play = true, first, ...options }: BrowserContextOptions & { play?: boolean; first?: string } = {},
  ): Promise<VillagePage> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    if (first) await context.addInitScript(first);
    const village = new VillagePage(await context.newPage());
    await village.page.goto(url);
    await village.until((demo) => demo.state === 'online');
    if (play) {
      await village.page.keyboard.press('Enter');
      await village.page.locator('#title').waitFor({ state: 'hidden' });
    }
    return village;
  }

  private constructor(page: Page) {
    this.page = page;
    page.on('console', (message) => {
      if (message.type() === 'error') this.faults.push(message.text());
    });
    page.on('pageerror', (error) => this.faults.push(String(error.stack ?? error)));
    page.on('requestfailed', (request) => this.faults.push(`${request.url()} failed`));
  }

  /** Waits until what `condition` says of the village is true. It runs in the page: it sees its arguments alone. */
  async until<A>(condition: (demo: DemoFacts, arg: A) => unknown, arg?: A): Promise<void> {
    const call = `Boolean(window.parleyDemo && (${condition})(window.parleyDemo, ${JSON.stringify(arg) ?? 'undefined'}))`;
    // Not by waitForFunction: it would need what the page's policy forbids.
    await eventually(String(condition), () => this.page.evaluate(call));
  }

  facts<T>(read: (demo: DemoFacts) => T): Promise<T> {
    return this.page.evaluate(`(${read})(window.parleyDemo)`) as Promise<T>;
  }

  /** Keeps a picture of the page as it is, always under the same name. */
  async keep(name: string): Promise<void> {
    mkdirSync(artifacts, { recursive: true });
    await this.page.screenshot({ path: join(artifacts, `${name}.png`) });
  }

  close(): Promise<void> {
    return this.page.context().close();
  }
}
