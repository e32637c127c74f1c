// The Triton servers behind one worker: which of them gets a request. A server that does not serve is left out.

import { createHash } from 'node:crypto';
import { EngineError } from '../../engine.ts';
import { TritonFault } from './fault.ts';
import type { TritonServer } from './server.ts';

/** What a stream that runs there already is reckoned to cost a newcomer, in tokens decoded. */
const tokensOfOthers = 8;

export interface Speeds {
  readonly prefillMsPerToken: number;
  readonly decodeMsPerToken: number;
}

export class ServerPool {
  readonly servers: readonly TritonServer[];

  constructor(servers: readonly TritonServer[]) {
    this.servers = servers;
  }

  /** Those that serve now. */
  get up(): readonly TritonServer[] {
    return this.servers.filter((server) => server.isUp);
  }

  /**
   * Resolves when one of them serves. Rejects with what is wrong with each when none does within `withinMs`, and at once
   * when all have a repository that cannot be used.
   */
  async ready(withinMs: number): Promise<void> {
    const until = performance.now() + withinMs;
    for (;;) {
      await Promise.all(this.servers.map((server) => server.check()));
      if (this.up.length > 0) return;
      const hopeless = this.servers.every((server) => server.fault?.reason === 'wrong_repository');
      if (hopeless || performance.now() > until) throw this.fault();
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }

  /**
   * The server where a prompt of this character will be answered first: the tokens that it has to compute, and who else is
   * there. Equals are told apart by the character's name, so that all workers agree. Throws when none is left.
   */
  choose(npc: string, prefix: number, speeds: Speeds, without: ReadonlySet<TritonServer>): TritonServer {
    const prefill = speeds.prefillMsPerToken || 1;
    const decode = speeds.decodeMsPerToken || 10;
    const cost = (server: TritonServer) =>
      (server.isResident(npc) ? 0 : prefix * prefill) +
      (server.running + server.figures.waiting) * tokensOfOthers * decode;
    const order = this.up
      .filter((server) => !without.has(server))
      .map((server) => ({ server, cost: cost(server), rank: rankOf(npc, server.address) }))
      .sort((a, b) => a.cost - b.cost || (a.rank < b.rank ? -1 : 1));
    const [best] = order;
    if (!best) throw this.fault();
    return best.server;
  }

  /** Why none of them can be used. */
  fault(): EngineError {
    const faults = this.servers.map(({ fault, address }) => fault?.message ?? `${address} serves`);
    const [first] = this.servers.map(({ fault }) => fault);
    if (this.servers.length === 1 && first)
      return new TritonFault(first.reason, first.message, { cause: first });
    return new EngineError('unavailable', `No Triton server can be used. ${faults.join(' ')}`);
  }

  close(): void {
    for (const server of this.servers) server.close();
  }
}

function rankOf(npc: string, address: string): string {
  return createHash('sha1').update(`${npc} ${address}`).digest('hex');
}
