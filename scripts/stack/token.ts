// Tokens of the local stack: what a game's own login service would sign in production. HS256 with the stack's
// development key.

import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SignJWT } from 'jose';

/** What a gateway of the stack checks a token by. */
export interface TokenKey {
  readonly secret: string;
  readonly audience: string;
  /** Empty: none is asked for. */
  readonly issuer: string;
}

/** Signs a token for a player, good for `hours`. */
export async function signToken(key: TokenKey, player: string, hours = 12): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const token = new SignJWT()
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(player)
    .setAudience(key.audience)
    .setIssuedAt(now)
    .setExpirationTime(now + Math.round(hours * 3_600));
  if (key.issuer !== '') token.setIssuer(key.issuer);
  return token.sign(new TextEncoder().encode(key.secret));
}

/** The development key of a PARLEY_HOME, made at the first call and the same from then on. */
export function developmentSecret(home: string): string {
  const file = join(home, 'data', 'dev-jwt-secret');
  mkdirSync(join(home, 'data'), { recursive: true });
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, randomBytes(32).toString('base64url'), { mode: 0o600 });
  try {
    linkSync(draft, file); // fails when there is one, so that two stacks that start at once agree on it
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(draft);
  }
  return readFileSync(file, 'utf8');
}
