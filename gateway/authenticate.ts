// Who is there: checks the token of `hello` and says which player it is. Keys come from configuration: a shared
// secret, a public key, or a key set by URL. Decides nothing about what the player may do.

import { readFile } from 'node:fs/promises';
import {
  createRemoteJWKSet,
  decodeProtectedHeader,
  errors,
  importSPKI,
  type JWTPayload,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose';
import type { Config } from '../runtime/config.ts';

export interface Player {
  readonly id: string;
  /** When the token runs out, ms since the epoch. */
  readonly tokenExpiresAt: number;
}

/** Why a token was refused; `detail` is for operators. */
export class Unauthenticated extends Error {
  readonly why: 'forged' | 'expired' | 'audience' | 'malformed' | 'unavailable';

  constructor(why: Unauthenticated['why'], detail: string, options?: { cause?: unknown }) {
    super(detail, options);
    this.name = 'Unauthenticated';
    this.why = why;
  }
}

export type Authenticate = (token: string) => Promise<Player>;

const asymmetric = ['RS256', 'ES256', 'EdDSA'];
const maxPlayerBytes = 128;

/**
 * Builds the check. Throws when no key is configured or the key file cannot be read. The returned function rejects
 * with Unauthenticated. An algorithm is only accepted for the kind of key it belongs to, so a public key can never
 * be used as a shared secret.
 */
export async function createAuthenticate(
  config: Pick<Config, 'jwtSecret' | 'jwtPublicKey' | 'jwksUrl' | 'jwtAudience' | 'jwtIssuer'>,
): Promise<Authenticate> {
  const common: JWTVerifyOptions = {
    audience: config.jwtAudience,
    issuer: config.jwtIssuer === '' ? undefined : config.jwtIssuer,
    requiredClaims: ['sub', 'exp'],
    clockTolerance: 5,
  };
  const checks = new Map<string, (token: string) => Promise<JWTPayload>>();
  if (config.jwtSecret !== '') {
    const secret = new TextEncoder().encode(config.jwtSecret);
    checks.set(
      'HS256',
      async (t) => (await jwtVerify(t, secret, { ...common, algorithms: ['HS256'] })).payload,
    );
  }
  if (config.jwksUrl !== '') {
    const keys = createRemoteJWKSet(new URL(config.jwksUrl), {
      timeoutDuration: 3_000,
      cooldownDuration: 5_000,
    });
    for (const alg of asymmetric) {
      checks.set(alg, async (t) => (await jwtVerify(t, keys, { ...common, algorithms: [alg] })).payload);
    }
  } else if (config.jwtPublicKey !== '') {
    const pem = await readFile(config.jwtPublicKey, 'utf8');
    for (const alg of asymmetric) {
      // A PEM file holds one key of one kind: the algorithms that do not fit it are not offered.
      const key = await importSPKI(pem, alg).catch(() => undefined);
      if (key)
        checks.set(alg, async (t) => (await jwtVerify(t, key, { ...common, algorithms: [alg] })).payload);
    }
    if (![...checks.keys()].some((alg) => asymmetric.includes(alg))) {
      throw new Error(
        `PARLEY_JWT_PUBLIC_KEY: ${config.jwtPublicKey} holds no RS256, ES256 or EdDSA public key in PEM (SPKI)`,
      );
    }
  }
  if (checks.size === 0) {
    throw new Error(
      'No key to check tokens with: set PARLEY_JWT_SECRET, PARLEY_JWT_PUBLIC_KEY or PARLEY_JWKS_URL',
    );
  }

  return async (token) => {
    const check = checks.get(algorithmOf(token));
    if (!check) throw new Unauthenticated('forged', 'no key for the algorithm of this token');
    const { sub, exp } = await check(token).catch((cause) => {
      throw classify(cause);
    });
    if (
      typeof sub !== 'string' ||
      sub === '' ||
      !sub.isWellFormed() ||
      Buffer.byteLength(sub) > maxPlayerBytes
    ) {
      throw new Unauthenticated('malformed', '`sub` is no player id');
    }
    return { id: sub, tokenExpiresAt: exp! * 1_000 };
  };
}

function algorithmOf(token: string): string {
  try {
    return decodeProtectedHeader(token).alg ?? '';
  } catch (cause) {
    throw new Unauthenticated('malformed', 'not a JWT', { cause });
  }
}

function classify(cause: unknown): Unauthenticated {
  const detail = cause instanceof Error ? cause.message : String(cause);
  const because = (why: Unauthenticated['why']) => new Unauthenticated(why, detail, { cause });
  if (cause instanceof errors.JWTExpired) return because('expired');
  if (cause instanceof errors.JWTClaimValidationFailed)
    return because(cause.claim === 'aud' ? 'audience' : 'malformed');
  if (cause instanceof errors.JWSSignatureVerificationFailed) return because('forged');
  if (cause instanceof errors.JWKSNoMatchingKey) return because('forged');
  // jose has no class of its own for "the key set could not be fetched": a generic error or fetch's TypeError.
  const fetchFailed = cause instanceof errors.JWKSTimeout || cause instanceof TypeError;
  if (fetchFailed || (cause as { code?: string }).code === errors.JOSEError.code)
    return because('unavailable');
  return because('malformed');
}
