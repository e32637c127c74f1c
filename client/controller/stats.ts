// What the controller counts. Plain numbers to be read at any time, all from 0.

export class Stats {
  /** Characters there are, and those of them in view. */
  characters = 0;
  inView = 0;
  /** Questions to the mind, those under way, and how they ended. */
  asked = 0;
  outstanding = 0;
  answered = 0;
  failed = 0;
  /** Why those failed: the error codes of PROTOCOL.md, or how the answer ended, with how often; and the newest. */
  readonly failures: Record<string, number> = {};
  lastFailure = '';
  timedOut = 0;
  /** Times that the mind could not be asked: the edge was away. */
  away = 0;
  /** Situations that the cache answered. */
  cacheHits = 0;
  /** Characters that a perception woke. */
  woken = 0;
  /** Intents that were carried out. */
  taken = 0;
  /** Refused: they answer a question that is out of date. */
  refused = 0;
  /** Left alone by rule: a newer form, an unknown verb or place, arguments that break the schema. */
  ignored = 0;
  /** Over before the loop saw them. */
  stale = 0;
  /** Carried out until their time was over; the character went back to its habits. */
  expired = 0;
  /** Thought of again too soon (`asking.restMs`), and left out. */
  repeated = 0;
  /** Pushed out of the slot by a newer one before the loop saw them. */
  replaced = 0;
  /** What the game's or the mind's own code threw at the controller. */
  thrown = 0;
  /** Frames that left some characters to the next one (`tickMs`). */
  putOff = 0;
  /** Frames in which asking took longer than `budgetMs`. */
  overBudget = 0;
}
