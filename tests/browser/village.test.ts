// The village as a player has it: in a real browser, against the real stack and the real model, at a desk and on a phone.
// Screenshots are kept in artifacts/village/.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createSubjects } from '../../bus/subjects.ts';
import { connectTo } from '../../scripts/stack/connect.ts';
import { findChromium, launch, noChromium, VillagePage } from '../helpers/chromium.ts';
import { eventually } from '../helpers/processes.ts';
import { useStack } from '../helpers/stack.ts';

const program = findChromium();
const stack = useStack({ backends: { village: 'examples/village/server.ts' } });
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
let browser: Browser;

beforeAll(async () => {
  if (program) browser = await launch(program);
});
afterAll(() => browser?.close());
beforeEach((context) => context.skip(!program, noChromium));

const subjects = createSubjects('parley');
const url = (player: string, more = '') => `${stack.local.http()}/?player=${player}${more}`;
const phone = {
  viewport: { width: 390, height: 844 },
  deviceScaleFactor: 2,
  hasTouch: true,
  isMobile: true,
};

/** The words of the last answer in the panel, once it has ended. */
async function lastAnswer(village: VillagePage): Promise<string> {
  await village.until((demo) => demo.speaking.length === 0);
  const words = await village.page.locator('.turn.theirs:not(.speaking) .words').last().textContent();
  return words ?? '';
}

/** Holds the arrow keys that lead to where somebody is now, until the player is near. */
async function walkUpTo(village: VillagePage, id: string): Promise<void> {
  const { keyboard } = village.page;
  const held = new Set<string>();
  await eventually(`near ${id}`, async () => {
    const { near, player, villagers } = await village.facts(({ near, player, villagers }) => ({
      near,
      player,
      villagers,
    }));
    const { x, y } = villagers.find((villager) => villager.id === id)!;
    const wanted = new Set<string>();
    if (near !== id && Math.abs(x - player.x) > 6) wanted.add(x < player.x ? 'ArrowLeft' : 'ArrowRight');
    if (near !== id && Math.abs(y - player.y) > 6) wanted.add(y < player.y ? 'ArrowUp' : 'ArrowDown');
    for (const key of held) if (!wanted.has(key)) await keyboard.up(key);
    for (const key of wanted) if (!held.has(key)) await keyboard.down(key);
    held.clear();
    for (const key of wanted) held.add(key);
    return near === id;
  });
}

describe('at a desk', () => {
  let village: VillagePage;
  beforeAll(async () => {
    if (program) village = await VillagePage.open(browser, url('desk'));
  });
  afterAll(() => village?.close());

  test('the player walks up to a character by keyboard', async () => {
    const before = await village.facts((demo) => demo.player);
    await village.keep('desk-village');
    const { page } = village;
    await walkUpTo(village, 'edda');
    const after = await village.facts((demo) => demo.player);
    expect(Math.hypot(after.x - before.x, after.y - before.y)).toBeGreaterThan(10);
    expect(await page.locator('#hint').textContent()).toBe('Talk to Edda');
    await village.keep('desk-near');
    await page.keyboard.press('e');
    await page.locator('#talk').waitFor();
    expect(await page.locator('#talk-name').textContent()).toBe('Edda');
    // The letter that opened it is not in the field.
    expect(await page.locator('#words').inputValue()).toBe('');
  });

  test('words are typed; the answer streams into the panel and a bubble, and stays text', async () => {
    const { page } = village;
    await page.keyboard.type('Good day. <img src=x onerror="document.title=1"> Who are you?');
    await page.keyboard.press('Enter');
    await page.locator('.bubble[data-npc=edda]:not(.waiting)').waitFor();
    await village.keep('desk-talking');
    const words = await lastAnswer(village);
    expect(words).not.toBe('');
    expect(await page.locator('.bubble[data-npc=edda] .bubble-words').textContent()).toBe(words);
    expect(await page.locator('#announcer').textContent()).toBe(`Edda: ${words}`);
    expect(await page.locator('.turn.mine .words').textContent()).toContain('<img');
    expect(await page.locator('img').count()).toBe(0);
    expect(await page.title()).toContain('Oakfell');
  });

  test('somebody else is picked from the list of people, and both answers go on', async () => {
    const { page } = village;
    await page.locator('#topics [data-topic=herbs]').click();
    await page.locator('#people-toggle').click();
    await page.locator('#people [data-id=mira]').click();
    await page.locator('#topics [data-topic=swords]').click();
    await village.until((demo) => demo.speaking.length === 0);
    await village.facts((demo) => demo.talk('edda'));
    const endings = await page.locator('.turn.theirs .how').allTextContents();
    expect(endings).toEqual([expect.stringContaining('live'), expect.stringContaining('live')]);
    expect(endings.join()).not.toContain('interrupted');
    await village.facts((demo) => demo.talk('mira'));
    expect(await page.locator('#talk-name').textContent()).toBe('Mira');
    expect(await page.locator('.turn.theirs .words').allTextContents()).toEqual([
      expect.stringContaining('30 gold'),
    ]);
  });

  test('a sword is bought: the character hands it over, and the purse and the bag say so', async () => {
    const { page } = village;
    const before = await village.facts((demo) => demo.gold);
    await page.locator('#topics [data-topic=buy]').click();
    await village.until((demo) => demo.things.includes('sword'));
    await village.until((demo) => demo.deeds.some(({ npc, name }) => npc === 'mira' && name === 'give'));
    expect(await village.facts((demo) => demo.gold)).toBe(before! - 30);
    expect(await page.locator('#things').textContent()).toContain('sword');
    expect(await page.locator('.deed').last().textContent()).toBe('Mira gives you: sword, for 30 gold.');
    await village.keep('desk-bought');
  });

  test('the plug is pulled in mid-answer, and the answer goes on to its end', async () => {
    const { page } = village;
    await page.locator('#figures-toggle').click();
    await page.locator('#words').fill('What happened to your brother?');
    // Pulled with the first words, before the page has drawn them.
    await page.evaluate(`new MutationObserver((_, observer) => {
      const words = [...document.querySelectorAll('.turn.speaking .words')].at(-1)?.textContent;
      if (!words) return;
      observer.disconnect();
      window.saidBefore = words;
      document.querySelector('#plug').click();
    }).observe(document.querySelector('#conversation'), { subtree: true, childList: true })`);
    await page.locator('#send').click();
    await village.until((demo) => demo.client.reconnects === 1 && demo.state === 'online');
    const words = await lastAnswer(village);
    const before = (await page.evaluate('window.saidBefore')) as string;
    expect(words.startsWith(before)).toBe(true);
    expect(words.length).toBeGreaterThan(before.length);
    expect(words).toMatch(/[.!?…]$/);
    expect(await page.locator('.turn .fault').count()).toBe(0);
    expect(await village.facts((demo) => demo.client.resumed)).toBe(1);
    await page.locator('dt', { hasText: 'Reconnects' }).locator('+ dd', { hasText: /^1$/ }).waitFor();
    await village.keep('desk-figures');
  });

  test('all of it over a client in a thread of its own', async () => {
    expect(await village.page.evaluate('crossOriginIsolated')).toBe(true);
    expect(await village.facts((demo) => demo.threaded)).toBe(true);
    await village.page.locator('dd', { hasText: 'own thread' }).waitFor();
  });

  test('a noise startles those who hear it', async () => {
    const { page } = village;
    await page.keyboard.press('Escape');
    await page.locator('#talk').waitFor({ state: 'hidden' });
    await page.locator('#village').focus();
    await page.keyboard.press('n');
    await village.until((demo) => demo.villagers.some(({ policy }) => /flee|take_cover/.test(policy)));
    await village.keep('desk-noise');
  });

  test("what the game's server pushes is shown, and a character speaks of its own accord", async () => {
    const { page } = village;
    const nats = await connectTo(stack.local.natsUrl());
    try {
      const push = JSON.stringify({ gold: 7, quest: 'Find Tam <b>', weather: 'rain' });
      await nats.request(subjects.push('desk'), push);
      await page.locator('#coins', { hasText: /^7$/ }).waitFor();
      expect(await page.locator('#quest').textContent()).toBe('Quest: Find Tam <b>');
      await page.locator('.toast', { hasText: 'weather: rain' }).waitFor();
      const line = JSON.stringify({ players: ['desk'], line: 'The forge is lit.' });
      await nats.request(subjects.npcSay('mira'), line);
      await page.locator('.bubble[data-npc=mira]', { hasText: 'The forge is lit.' }).waitFor();
    } finally {
      await nats.close();
    }
  });

  test('who sells shows wares and prices, and one of them is asked for with a click', async () => {
    const { page } = village;
    await village.facts((demo) => demo.talk('mira'));
    await page.locator('#shop-toggle').click();
    const sword = page.locator('#wares .ware', { hasText: 'sword' });
    expect(await sword.locator('.price').textContent()).toBe('30 gold');
    // Of the seven coins that the last test left.
    expect(await sword.getAttribute('class')).toContain('dear');
    await village.keep('desk-shop');
    await sword.click();
    expect(await page.locator('.turn.mine .words').last().textContent()).toBe('I will buy a sword.');
    await lastAnswer(village);
  });

  test('what was said is still there after the page was loaded again', async () => {
    const { page } = village;
    await page.reload();
    await village.until((demo) => demo.state === 'online');
    await page.keyboard.press('Enter');
    await page.locator('#title').waitFor({ state: 'hidden' });
    await village.facts((demo) => demo.talk('mira'));
    expect(await page.locator('.turn.mine .words').last().textContent()).toBe('I will buy a sword.');
    expect(await page.locator('.turn.theirs .words').count()).toBeGreaterThan(0);
    await village.facts((demo) => demo.talk('bram'));
    expect(await page.locator('.opening').textContent()).toContain('Bram');
    await village.keep('desk-again');
  });

  test('a player who came in elsewhere is told, and can go on here', async () => {
    const { page } = village;
    const elsewhere = await stack.join({ player: 'desk' });
    await page.locator('[data-state=closed]', { hasText: 'elsewhere' }).waitFor();
    await page.locator('#again').click();
    await page.locator('[data-state=online]').waitFor();
    expect(await elsewhere.code()).toBe(4409);
  });

  test('nothing went wrong in the console', () => expect(village.faults).toEqual([]));
});

describe('on a phone', () => {
  let village: VillagePage;
  beforeAll(async () => {
    if (program) village = await VillagePage.open(browser, url('phone', '&hour=18.5'), phone);
  });
  afterAll(() => village?.close());

  test('a tap walks there, and needs no sideways scrolling', async () => {
    const before = await village.facts((demo) => demo.player);
    await village.keep('phone-village');
    await village.page.touchscreen.tap(300, 560);
    await village.until((demo, { x, y }) => Math.hypot(demo.player.x - x, demo.player.y - y) > 20, before);
    await village.until((demo) => !demo.player.walks);
    const wide = 'document.documentElement.scrollWidth <= innerWidth';
    expect(await village.page.evaluate(wide)).toBe(true);
  });

  test('a tap on a character walks up and opens a sheet; a topic is answered in it and in a bubble', async () => {
    const { page } = village;
    await page.locator('#people-toggle').tap();
    await page.locator('#people [data-id=rosa]').tap();
    await page.locator('#talk').waitFor();
    await village.until((demo) => !demo.player.walks && demo.near !== undefined);
    await page.locator('#leave').tap();
    await page.locator('#talk').waitFor({ state: 'hidden' });
    // She may be walking, and the camera moves to where the sheet was: a tap may miss.
    await eventually('the sheet', async () => {
      const { x, y } = (await village.facts((demo) => demo.onPage('rosa')))!;
      await page.touchscreen.tap(x, y - 20);
      return page.locator('#talk').isVisible();
    });
    await page.locator('#topics [data-topic=room]').tap();
    await page.locator('.bubble[data-npc=rosa]:not(.waiting)').waitFor();
    expect(await lastAnswer(village)).not.toBe('');
    await village.keep('phone-talking');
    await page.locator('#shop-toggle').tap();
    await page.locator('#wares .ware').first().waitFor();
    await village.keep('phone-shop');
    const sheet = (await page.locator('#talk').boundingBox())!;
    expect([sheet.x, Math.round(sheet.y + sheet.height)]).toEqual([0, 844]);
    for (const button of await page.locator('#talk button:visible').all())
      expect((await button.boundingBox())!.height).toBeGreaterThanOrEqual(44);
  });

  test('nothing went wrong in the console', () => expect(village.faults).toEqual([]));
});

describe('for everybody', () => {
  /** Rules of axe that a page breaks, of those that keep people out. */
  async function barriers(village: VillagePage): Promise<string[]> {
    const found = (await village.page.evaluate('axe.run()')) as {
      violations: { id: string; impact: string; nodes: { html: string }[] }[];
    };
    return found.violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  }

  test.each([
    ['desk, light', { colorScheme: 'light' as const }],
    [
      'phone, dark, little motion',
      { ...phone, colorScheme: 'dark' as const, reducedMotion: 'reduce' as const },
    ],
  ])('no barriers (%s)', async (name, options) => {
    // The page allows no script but its own; the one that looks for barriers is let in by the browser.
    const village = await VillagePage.open(browser, url(`axe-${options.colorScheme}`), {
      ...options,
      bypassCSP: true,
      play: false,
    });
    try {
      const { page } = village;
      const kind = name.split(',')[0];
      await page.addScriptTag({ content: readFileSync(axe, 'utf8') });
      await village.keep(`${kind}-${options.colorScheme}-title`);
      expect(await barriers(village), 'title').toEqual([]);
      await page.keyboard.press('Enter');
      await page.locator('#title').waitFor({ state: 'hidden' });
      expect(await barriers(village), 'village').toEqual([]);
      await page.locator('#people-toggle').press('Enter');
      expect(await barriers(village), 'people').toEqual([]);
      await page.locator('#people [data-id=tobin]').press('Enter');
      // Nobody who plays by keyboard has to walk.
      expect(await page.evaluate('document.activeElement.id')).toBe('words');
      await page.locator('#topics button').nth(1).press('Enter');
      expect(await lastAnswer(village)).not.toBe('');
      expect(await barriers(village), 'talking').toEqual([]);
      await page.locator('#figures-toggle').press('Enter');
      await page.locator('#figure-list dd').first().waitFor();
      expect(await barriers(village), 'figures').toEqual([]);
      await village.keep(`${kind}-${options.colorScheme}-talking`);
      await page.keyboard.press('Escape');
      await page.locator('#talk').waitFor({ state: 'hidden' });
    } finally {
      await village.close();
    }
  });

  test('a page that may share no memory has its client in its own thread', async () => {
    // As it is behind a proxy that leaves the page's headers out.
    const first = 'delete globalThis.SharedArrayBuffer';
    const village = await VillagePage.open(browser, url('plain'), { first });
    try {
      expect(await village.facts((demo) => demo.threaded)).toBe(false);
      await village.facts((demo) => demo.talk('edda'));
      await village.page.locator('#topics button').first().click();
      expect(await lastAnswer(village)).not.toBe('');
      expect(village.faults).toEqual([]);
    } finally {
      await village.close();
    }
  });

  test.each(['canvas', 'webgl'])('%s draws the village at night', async (renderer) => {
    const village = await VillagePage.open(browser, url(renderer, `&renderer=${renderer}&hour=21`));
    await village.until((demo) => demo.fps > 0);
    await village.keep(`desk-night-${renderer}`);
    expect(village.faults).toEqual([]);
    await village.close();
  });
});
