// The KV sequences of the context, each remembering what it holds. Chooses the one that saves most work for a
// prompt and spoils least for others. What a sequence holds is asked of the library, so a cancelled prompt
// leaves it usable: its tokens are those that were really evaluated.

import type { LlamaContext, LlamaContextSequence, Token } from 'node-llama-cpp';
import type { KvPins } from '../gold/kv-pins.ts';
import { commonLength } from './chat-template.ts';

interface Place {
  sequence: LlamaContextSequence;
  npc: string;
  /** Length of the character's prefix; what comes after it belongs to one player. */
  prefix: number;
  lastUsed: number;
  busy: boolean;
}

/** A sequence in somebody's hands. */
export interface Lease {
  readonly sequence: LlamaContextSequence;
  /** Tokens at the beginning that the sequence already holds; the rest was cut off or is to be. */
  readonly common: number;
  /** Must be called once. `spoilt`: the sequence is in an unknown state and is replaced by a fresh one. */
  readonly giveBack: (outcome: 'sound' | 'spoilt') => Promise<void>;
}

interface Sizes {
  readonly sequences: number;
  /** Streams that run at once. */
  readonly concurrency: number;
}

/** How many there are: one more at least than can be taken at once, so that a character can be prepared meanwhile. */
export function sequencesOf({ sequences, concurrency }: Sizes): number {
  return Math.max(sequences, concurrency + 1);
}

/**
 * How many characters may have a lease, a sequence each: the share of all, but so few that whoever needs a sequence always
 * finds one that is idle and of nobody with a lease. All others may be busy, with the character that is being warmed.
 */
export function mostPinned(sizes: Sizes, share = 0.5): number {
  const all = sequencesOf(sizes);
  return Math.max(0, Math.min(Math.floor(all * share), all - sizes.concurrency - 1));
}

export class SequencePool {
  readonly #context: LlamaContext;
  readonly #places: Place[];
  readonly #pins: Pick<KvPins, 'isPinned' | 'countEvicted'>;
  #clock = 0;

  constructor(context: LlamaContext, pins: Pick<KvPins, 'isPinned' | 'countEvicted'>) {
    this.#context = context;
    this.#pins = pins;
    this.#places = Array.from({ length: context.totalSequences }, () => ({
      sequence: context.getSequence(),
      npc: '',
      prefix: 0,
      lastUsed: 0,
      busy: false,
    }));
  }

  /** Characters whose prefix is in memory. */
  resident(): string[] {
    return [...new Set(this.#places.filter(holdsPrefix).map((p) => p.npc))];
  }

  /** The most tokens that an idle sequence has in common with these. */
  bestCommon(tokens: readonly Token[]): number {
    return Math.max(0, ...this.#idle().map((p) => commonLength(p.sequence.contextTokens, tokens)));
  }

  /** Whether a sequence holds these tokens from its beginning, also one that is busy. */
  holds(tokens: readonly Token[]): boolean {
    return this.#places.some((p) => commonLength(p.sequence.contextTokens, tokens) === tokens.length);
  }

  /** Whether there is an idle sequence without any player's conversation. */
  hasRoom(): boolean {
    return this.#idle().some((p) => p.sequence.nextTokenIndex <= p.prefix);
  }

  /**
   * Takes the best idle sequence for these tokens, of which the first `prefix` are the character's. There is
   * always an idle one: the engine makes more sequences than it lets be used at once.
   */
  take(npc: string, tokens: readonly Token[], prefix: number): Lease {
    const candidates = this.#idle().map((place) => {
      const held = place.sequence.contextTokens;
      const common = commonLength(held, tokens);
      // A prefix can be had again in milliseconds; only what comes after it is worth something.
      const gain = Math.max(0, common - prefix);
      const loss = Math.max(0, held.length - Math.max(common, place.prefix));
      return { place, common, gain, loss };
    });
    const rank = (c: (typeof candidates)[number]): number[] => [
      // First a conversation that goes on (a few common words with a stranger's do not make it ours),
      c.gain > c.loss ? c.loss - c.gain : 0,
      // last the only copy of a pinned character,
      c.place.npc !== npc && this.#pins.isPinned(c.place.npc) && this.#copies(c.place.npc) === 1 ? 1 : 0,
      // better one that holds no player's conversation,
      c.loss > 0 ? 1 : 0,
      // best with this prefix, or empty,
      c.common >= prefix ? 0 : 1,
      // and among the rest the one that was silent for longest.
      c.place.sequence.nextTokenIndex === 0 ? -1 : c.place.lastUsed,
    ];
    const best = candidates.sort((a, b) => compare(rank(a), rank(b)))[0];
    if (!best) throw new Error('no idle sequence');
    const { place } = best;
    if (place.npc !== npc && holdsPrefix(place) && this.#copies(place.npc) === 1)
      this.#pins.countEvicted(place.npc);
    place.busy = true;
    place.npc = npc;
    place.prefix = prefix;
    return {
      sequence: place.sequence,
      common: best.common,
      giveBack: async (outcome) => {
        if (outcome === 'spoilt' && !this.#context.disposed) {
          await place.sequence.dispose();
          place.sequence = this.#context.getSequence();
          place.npc = '';
          place.prefix = 0;
        }
        place.lastUsed = ++this.#clock;
        place.busy = false;
      },
    };
  }

  #idle(): Place[] {
    return this.#places.filter((p) => !p.busy);
  }

  #copies(npc: string): number {
    return this.#places.filter((p) => p.npc === npc && holdsPrefix(p)).length;
  }
}

function holdsPrefix(place: Place): boolean {
  return place.npc !== '' && place.sequence.nextTokenIndex >= place.prefix;
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [i, value] of a.entries()) {
    if (value !== b[i]) return value - b[i]!;
  }
  return 0;
}
