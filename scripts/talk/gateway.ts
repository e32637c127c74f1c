// What the terminal client asks a gateway over HTTP before it opens a socket: which characters there are, and a
// token for development. Every fault becomes a Complaint that says what to do.

import { Complaint } from './complaint.ts';

export interface Character {
  readonly id: string;
  readonly name: string;
  /** The words that the player says by choosing a topic. */
  readonly topics: Readonly<Record<string, string>>;
}

const answerMs = 5_000;

/** Everybody who can be talked to. */
export async function charactersOf(http: string): Promise<Character[]> {
  const response = await ask(`${http}/v1/characters`);
  if (response.ok) return (await response.json()) as Character[];
  throw new Complaint(`${http} is no Parley (GET /v1/characters: HTTP ${response.status})`);
}

/** A token for a player, from a gateway that makes them. */
export async function developmentToken(http: string, player: string): Promise<string> {
  const response = await ask(`${http}/dev/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ player }),
  });
  if (response.status === 404) {
    throw new Complaint(`${http} makes no development tokens. Give one with --token`);
  }
  const body = (await response.json()) as { token?: string; error?: string };
  if (body.token !== undefined) return body.token;
  throw new Complaint(`No token for ${player}: ${body.error ?? `HTTP ${response.status}`}`);
}

async function ask(url: string, init?: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { ...init, signal: AbortSignal.timeout(answerMs) });
  } catch (error) {
    const { cause, message } = error as Error & { cause?: { code?: string; message?: string } };
    const why = cause?.code ?? cause?.message ?? message;
    throw new Complaint(`${new URL(url).origin} does not answer (${why})`);
  }
}
