// Asks an arm the questions as a player's game would: a stack of its own (nats, redis, gateway, one worker), the SDK,
// one fresh player a question, and a game's server that tells what the player owns and agrees to every act, so that
// the character is judged and not the purse. Judges nothing.

import type { NatsConnection } from '@nats-io/transport-node';
import { WebSocket } from 'ws';
import { createSubjects } from '../bus/subjects.ts';
import { ParleyClient } from '../client/index.ts';
import { connectTo } from '../scripts/stack/connect.ts';
import { LocalStack } from '../scripts/stack/local-stack.ts';
import type { Arm } from './arms.ts';
import type { Question } from './questions.ts';
import type { Answer } from './score.ts';

/** An answer with what it cost. */
export interface Asked extends Answer {
  readonly model?: string;
  /** Tokens of the last answer, with those that chose its act. */
  readonly tokens?: number;
  readonly firstMs?: number;
  /** Milliseconds from one token to the next. */
  readonly tokenMs?: number;
}

/** A busy machine makes answers late, not wrong: every bound of time is far away. */
const patience = {
  PARLEY_BUDGET_MS: '600000',
  PARLEY_ACCEPT_MS: '10000',
  PARLEY_ACT_MS: '10000',
  PARLEY_STALL_MS: '60000',
  PARLEY_LOG_LEVEL: 'error',
};
const askMs = 590_000;

export class Asker implements AsyncDisposable {
  /** How often the game's server was asked whether an act may be done; it always said yes. */
  agreedTo = 0;
  private readonly stack: LocalStack;
  private readonly subjects: ReturnType<typeof createSubjects>;
  private nats: NatsConnection | undefined;
  private players = 0;

  constructor(arm: Arm, env: NodeJS.ProcessEnv = {}) {
    this.stack = new LocalStack({
      ephemeral: true,
      env: { ...patience, PARLEY_ADAPTER: arm.path || 'none', ...env },
    });
    this.subjects = createSubjects(this.stack.config.prefix);
  }

  /** Resolves when questions can be asked. Rejects with everything stopped. */
  async start(): Promise<void> {
    await this.stack.start();
    try {
      this.nats = await connectTo(this.stack.natsUrl());
      this.nats.subscribe(this.subjects.acts, {
        queue: 'evaluation',
        callback: (_error, message) => {
          this.agreedTo += 1;
          message.respond('{"ok":true}');
        },
      });
      await this.nats.flush();
    } catch (error) {
      await this.stack.stop();
      throw error;
    }
  }

  /** Says all turns of a question, as somebody whom nobody has met. A stream that fails is an answer with `error`. */
  async ask({ npc, turns, state }: Pick<Question, 'npc' | 'turns' | 'state'>): Promise<Asked> {
    this.players += 1;
    const player = `stranger-${this.players}`;
    if (state) await this.tell(player, state);
    const client = new ParleyClient({
      url: this.stack.ws(),
      token: () => this.stack.token(player),
      WebSocket,
    });
    const said: string[] = [];
    try {
      await client.connect();
      let last: Asked = { said, acts: [] };
      for (const text of turns) {
        const stream = client.npc(npc).say(text, { budgetMs: askMs });
        const end = await stream.end.catch((error: Error) => error);
        said.push(stream.text);
        if (end instanceof Error) return { said, acts: [], error: end.message };
        const { reason, source, model, usage, timings } = end;
        const steps = usage.completion - 1;
        last = {
          said,
          acts: stream.acts.map(({ name, args }) => ({ name, args })),
          reason,
          source,
          model,
          tokens: usage.completion,
          firstMs: timings.firstMs,
          ...(steps > 0 && { tokenMs: (timings.totalMs - timings.firstMs) / steps }),
        };
      }
      return last;
    } finally {
      client.close();
    }
  }

  /** Tells the facts as a backend does; resolves when they hold. Throws when they are refused. */
  private async tell(player: string, facts: Question['state']): Promise<void> {
    const subject = this.subjects.state('player', player);
    const reply = await this.nats!.request(subject, JSON.stringify(facts), { timeout: 30_000 });
    const told = reply.json<{ version?: number; message?: string }>();
    if (told.version === undefined)
      throw new Error(`the state ${JSON.stringify(facts)} was refused: ${told.message}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.nats?.close();
    await this.stack.stop();
  }
}
