// The page under `/`: what the gateway serves of it, and a conversation in a real browser where there is one.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chromium, Page } from './helpers/chromium.ts';
import { useStack } from './helpers/stack.ts';

const stack = useStack();

describe('the page', () => {
  test.each([
    ['/', 'text/html'],
    ['/app.js', 'text/javascript'],
    ['/style.css', 'text/css'],
  ])('%s is served, and loads nothing from elsewhere', async (path, type) => {
    const response = await fetch(stack.local.http() + path);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toContain(type);
    expect(response.headers.get('content-security-policy')).toContain("default-src 'self'");
    const elsewhere =
      (await response.text()).match(/(?:https?:)?\/\/[a-z0-9.-]+\.[a-z]{2,}[^\s'")]*/gi) ?? [];
    expect(elsewhere.filter((url) => url !== 'http://www.w3.org/2000/svg')).toEqual([]);
  });

  test('is a bundle that a browser can read', async () => {
    const bundle = await (await fetch(`${stack.local.http()}/app.js`)).text();
    expect(bundle).not.toMatch(/\bfrom\s*["']|\brequire\(["']node:/);
    expect(() => new Function(bundle)).not.toThrow();
  });

  test('finds its characters and its token', async () => {
    const characters = await (await fetch(`${stack.local.http()}/v1/characters`)).json();
    expect(characters).toContainEqual({
      id: 'mira',
      name: 'Mira',
      topics: expect.objectContaining({ swords: expect.any(String) }),
    });
    const body = JSON.stringify({ player: 'p1' });
    const response = await fetch(`${stack.local.http()}/dev/token`, { method: 'POST', body });
    expect(await response.json()).toEqual({ token: expect.any(String) });
  });
});

if (!chromium) console.warn('tests/page.test.ts: no Chromium on PATH, the page is not tried in a browser');

describe.skipIf(!chromium)('in a browser', () => {
  let page: Page;
  beforeAll(async () => {
    page = await Page.open(`${stack.local.http()}/?player=reader#mira`);
    await page.until(`document.querySelector('[data-state=online]')?.id`);
    await page.until(`document.querySelector('#characters button') !== null`);
  });
  afterAll(async () => {
    await page?.[Symbol.asyncDispose]();
  });

  /** The last turn whose figures are there. */
  async function answer(count: number) {
    await page.until(`document.querySelectorAll('.figures').length === ${count}`);
    return page.evaluate<{ words: string; figures: string }>(`(() => {
      const turn = [...document.querySelectorAll('.turn.theirs')].at(-1);
      return {
        words: turn.querySelector('.words').textContent,
        figures: turn.querySelector('.figures').textContent,
      };
    })()`);
  }

  test('words are typed, and the answer comes with its figures', async () => {
    await page.evaluate(`document.querySelector('#words').focus()`);
    await page.type('Good day. <img src=x onerror="document.title=1"> What does a sword cost?');
    const { words, figures } = await answer(1);
    expect(words).not.toBe('');
    expect(figures).toMatch(/^(.+ · )?first word \d+ ms · .*gold · live$/);
    expect(await page.evaluate(`document.querySelector('#announcer').textContent`)).toBe(`Mira: ${words}`);
  });

  test('what is said stays text', async () => {
    expect(await page.evaluate(`document.querySelectorAll('img').length`)).toBe(0);
    expect(await page.evaluate(`document.querySelector('.turn.mine .words').textContent`)).toContain('<img');
    expect(await page.evaluate('document.title')).toBe('Parley');
  });

  test('a topic is picked', async () => {
    await page.evaluate(`document.querySelector('#topics button').click()`);
    const { words } = await answer(2);
    expect(words).not.toBe('');
  });

  test('another character has a conversation of its own', async () => {
    await page.evaluate(`document.querySelector('#characters [data-id=rosa]').click()`);
    expect(await page.evaluate(`document.querySelectorAll('.turn').length`)).toBe(0);
    await page.evaluate(`document.querySelector('#characters [data-id=mira]').click()`);
    expect(await page.evaluate(`document.querySelectorAll('.turn').length`)).toBe(4);
  });

  test('a lost connection comes back', async () => {
    const elsewhere = await stack.join({ player: 'reader' });
    await page.until(`document.querySelector('[data-state=closed]')?.textContent.includes('elsewhere')`);
    expect(await page.evaluate(`document.querySelector('#send').disabled`)).toBe(true);
    await page.evaluate(`document.querySelector('#again').click()`);
    await page.until(`document.querySelector('[data-state=online]')?.id`);
    expect(await elsewhere.code()).toBe(4409);
  });

  test('nothing was thrown', () => expect(page.faults).toEqual([]));

  test('a phone needs no sideways scrolling', async () => {
    await using phone = await Page.open(`${stack.local.http()}/?player=phone`, 360);
    await phone.until(`document.querySelector('[data-state=online]')?.id`);
    await phone.until(`document.querySelector('#topics button') !== null`);
    expect(await phone.evaluate(`document.documentElement.scrollWidth <= innerWidth`)).toBe(true);
  });
});
