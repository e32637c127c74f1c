// The controller of a game's characters. The game calls `tick` in its loop and reads the arrays; everything between is
// here in its order: take up intents, decide for some, move all, ask the mind for a few. It never waits.

import type { Intent } from '../../bus/protocol.ts';
import { Blackboard } from './blackboard.ts';
import { CarryingOut } from './carrying-out.ts';
import { type Perception, perception, policy } from './codes.ts';
import { Grid } from './grid.ts';
import type { IntentSlots } from './intents.ts';
import { type CharacterOptions, type ControllerOptions, habits, type PerceptionOptions } from './options.ts';
import { Places } from './places.ts';
import { part } from './policies.ts';
import { Scheduler } from './scheduler.ts';
import { frighten } from './senses.ts';
import { mostRoles } from './situation.ts';
import { Stats } from './stats.ts';
import { Steering } from './steering.ts';
import type { Surroundings } from './surroundings.ts';
import { commonVerbs, Verbs } from './verbs.ts';

export type Controller = NpcController;

/** Makes a controller; throws RangeError for options that make no sense. */
export function createController(options: ControllerOptions = {}): Controller {
  return new NpcController(options);
}

/** A frame that took longer moves the characters no farther than this. */
const longestStepMs = 100;
/** A clock that goes back by more than this has begun anew. */
const clockResetMs = 1_000;

class NpcController {
  readonly stats = new Stats();
  /** The moment a character takes up an intent that the game has to carry out. Must return at once. */
  onIntent: (index: number, intent: Intent) => void = () => {};

  // ---- for the renderer, by index ----
  readonly x: Float64Array;
  readonly y: Float64Array;
  readonly vx: Float64Array;
  readonly vy: Float64Array;
  /** Radians from −π to π, 0 along x: where the body turns, where the eyes go. */
  readonly heading: Float64Array;
  readonly gaze: Float64Array;
  /** Codes of `animationNames`: what comes up with `animationWeight`, what goes down with the rest of 1. */
  readonly animation: Uint8Array;
  readonly animationFrom: Uint8Array;
  readonly animationWeight: Float64Array;
  /** Codes of `policyNames`. */
  readonly policy: Uint8Array;
  /** The newest generation asked for; acts of an older one are refused. */
  readonly generation: Uint32Array;

  readonly #b: Blackboard;
  readonly #s: Surroundings;
  readonly #slots: IntentSlots;
  readonly #doing: CarryingOut;
  readonly #scheduler: Scheduler;
  readonly #steering: Steering;
  readonly #seed: number;
  readonly #decideHz: number;
  readonly #tickMs: number;
  readonly #free: number[] = [];
  readonly #roles = new Map<string, number>();
  #turn = 0;
  #owed = 0;
  #started = false;

  constructor(options: ControllerOptions) {
    const { capacity = 1_024, metre = 1, decideHz = 8, seed = 1, budgetMs = 0.25 } = options;
    const { tickMs = Number.POSITIVE_INFINITY } = options;
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > 1_000_000)
      throw new RangeError('capacity: 1 to 1,000,000');
    positive('metre', metre);
    positive('decideHz', decideHz);
    positive('budgetMs', budgetMs);
    if (!(tickMs > 0)) throw new RangeError('tickMs: must be a number above 0');
    const { restMs = 12_000 } = options.asking ?? {};
    const b = new Blackboard(capacity);
    this.#b = b;
    this.#s = {
      nowMs: 0,
      hour: 12,
      playerX: 0,
      playerY: 0,
      hasPlayer: false,
      metre,
      grid: new Grid(capacity, 3.5 * metre),
      places: new Places(),
      ground: options.ground ?? {},
      neighbours: new Int32Array(24),
      point: { x: 0, y: 0 },
    };
    this.#doing = new CarryingOut({
      blackboard: b,
      surroundings: this.#s,
      verbs: new Verbs(options.verbs ?? commonVerbs),
      stats: this.stats,
      tell: (i, intent) => this.onIntent(i, intent),
    });
    this.#slots = this.#doing.slots;
    this.#seed = seed | 0;
    this.#decideHz = decideHz;
    this.#tickMs = tickMs;
    this.#steering = new Steering(b);
    this.#scheduler = new Scheduler(
      {
        blackboard: b,
        surroundings: this.#s,
        mind: options.mind ?? null,
        stats: this.stats,
        receiver: { accept: (i, intent, generation) => this.#accept(i, intent, generation, restMs) },
      },
      options.asking ?? {},
      options.cache ?? {},
      budgetMs,
    );
    this.x = b.x;
    this.y = b.y;
    this.vx = b.vx;
    this.vy = b.vy;
    this.heading = b.heading;
    this.gaze = b.gaze;
    this.animation = b.animation;
    this.animationFrom = b.animationFrom;
    this.animationWeight = b.animationWeight;
    this.policy = b.policy;
    this.generation = this.#scheduler.generation;
  }

  /** Indices from 0 up to here are in use, or were: see `isHere`. */
  get size(): number {
    return this.#b.size;
  }

  isHere(i: number): boolean {
    return this.#b.alive[i] === 1;
  }

  // ---- who and where ----

  /** Puts a character into the game. Returns its index; throws RangeError when there is no room or no such point. */
  add(options: CharacterOptions): number {
    const b = this.#b;
    const { x, y, home = options, speed = 1.4 * this.#s.metre, importance = 1, heading = 0 } = options;
    point('add', x, y);
    point('add: home', home.x, home.y);
    positive('speed', speed);
    positive('importance', importance);
    if (!Number.isFinite(heading)) throw new RangeError('heading: is no angle');
    const { boldness, sociability } = options;
    if (boldness !== undefined) share('boldness', boldness);
    if (sociability !== undefined) share('sociability', sociability);
    const habit = options.policy ?? 'idle';
    if (!habits.includes(habit)) throw new RangeError(`policy: ${habit} is no habit: ${habits.join(', ')}`);
    if (this.#free.length === 0 && b.size === b.capacity)
      throw new RangeError(`add: there is room for ${b.capacity} characters`);
    const i = this.#free.pop() ?? b.size++;
    b.random[i] = seedOf(this.#seed, i);
    b.enter(i, x, y, Math.atan2(Math.sin(heading), Math.cos(heading)), this.#s.nowMs);
    this.#steering.enter(i);
    b.homeX[i] = home.x;
    b.homeY[i] = home.y;
    b.speed[i] = speed;
    b.base[i] = policy[habit];
    b.importance[i] = importance;
    b.boldness[i] = boldness ?? b.chance(i);
    b.sociability[i] = sociability ?? b.chance(i);
    b.loneliness[i] = b.chance(i) * b.sociability[i]!;
    b.role[i] = this.#roleOf(options.role ?? options.npc);
    this.#slots.empty(i);
    this.#scheduler.add(i, options.npc);
    this.#s.grid.put(i, x, y);
    this.stats.characters++;
    return i;
  }

  /** Takes a character out of the game. Its index may be given to another; answers that come for it are refused. */
  remove(i: number): void {
    if (!this.isHere(i)) return;
    part(this.#b, i);
    this.#b.alive[i] = 0;
    this.#s.grid.remove(i);
    this.#slots.empty(i);
    this.#scheduler.remove(i);
    this.#free.push(i);
    this.stats.characters--;
  }

  /** Puts a character somewhere else at once; the only way in which one jumps. */
  warp(i: number, x: number, y: number): void {
    this.#known(i);
    point('warp', x, y);
    const b = this.#b;
    b.x[i] = x;
    b.y[i] = y;
    b.vx[i] = 0;
    b.vy[i] = 0;
    b.wandering[i] = 0;
    this.#s.grid.put(i, x, y);
  }

  /** Where the player is now. */
  player(x: number, y: number): void {
    point('player', x, y);
    this.#s.playerX = x;
    this.#s.playerY = y;
    this.#s.hasPlayer = true;
  }

  /** Names a place that `go_to` may lead to, or moves it. To `cover` those run who are afraid. */
  place(name: string, x: number, y: number, { cover = false }: { cover?: boolean } = {}): void {
    this.#s.places.set(name, x, y, cover);
  }

  /** The hour of the game's day, 0 to 24, which characters know. */
  get hour(): number {
    return this.#s.hour;
  }

  set hour(hour: number) {
    if (!(hour >= 0 && hour <= 24)) throw new RangeError('hour: 0 to 24');
    this.#s.hour = hour;
  }

  // ---- what happens to them ----

  /** Something that a character notices: it reacts with the next tick and, in view, asks what to do. */
  perceive(i: number, kind: Perception, { x, y, strength = 1 }: PerceptionOptions): void {
    this.#known(i);
    point('perceive', x, y);
    share('strength', strength);
    // A kind of a later version, or of the game's own, is seen and not feared.
    const code = Object.hasOwn(perception, kind) ? perception[kind] : perception.sight;
    frighten(this.#b, this.#s, i, code, x, y, strength);
    this.#slots.wake(i);
    this.#scheduler.wake(i);
  }

  /**
   * The player begins or stops talking with a character. Meanwhile it stands, faces the player and is not asked.
   * Returns the generation to give to `say({ g })`: acts of thoughts from before are refused.
   */
  talk(i: number, on = true): number {
    this.#known(i);
    // It stops for the player; where it goes because of what is said comes later.
    if (on && this.#b.talking[i] === 0) this.#slots.clear(i);
    this.#b.talking[i] = on ? 1 : 0;
    if (on) part(this.#b, i);
    this.#slots.wake(i);
    return on ? this.#scheduler.supersede(i) : this.generation[i]!;
  }

  /**
   * An act that came with speech, or from elsewhere. It is written into the character's slot, and the next tick takes it up.
   * Returns whether it was; never throws for what is in it.
   */
  offer(i: number, act: Intent): boolean {
    if (!this.isHere(i)) return false;
    const g = typeof act?.g === 'number' ? act.g : this.generation[i]!;
    // Numbers go round after 2^32.
    if (((g - this.generation[i]!) | 0) < 0) {
      this.stats.refused++;
      return false;
    }
    return this.#accept(i, act, g, 0) !== undefined;
  }

  /** Age of the movement that a character is carrying out, in milliseconds; −1: it is carrying out none. */
  intentAgeMs(i: number): number {
    return this.#doing.ageMs(i);
  }

  // ---- the loop ----

  /**
   * One frame. `nowMs` is the game's clock and `dtMs` the time since the last frame; a frame of more than 100 ms counts as
   * 100. In a frame that is full already (`spare` false) what can wait does: asking, and deciding anew for a while. With
   * `tickMs` so does moving the rest of the characters, for a frame.
   * Allocates nothing unless somebody is asked.
   */
  tick(nowMs: number, dtMs: number, spare = true): void {
    const until = this.#tickMs === Number.POSITIVE_INFINITY ? this.#tickMs : performance.now() + this.#tickMs;
    const s = this.#s;
    const dt = dtMs > 0 ? (dtMs < longestStepMs ? dtMs : longestStepMs) : 0;
    if (Number.isFinite(nowMs)) {
      // The first frame, or a clock that was set back: what is known of times goes with it.
      if (!this.#started || nowMs < s.nowMs - clockResetMs) this.#shift(nowMs - s.nowMs);
      else if (nowMs > s.nowMs) s.nowMs = nowMs;
    }
    this.#doing.takeUp();
    // Asking is the dearest thing that a frame may hold, so it is full with that.
    const asked = this.#scheduler.ask(dt / 1_000, spare);
    this.#decideSome(dt / 1_000, spare && !asked);
    if (this.#steering.move(dt / 1_000, until) > 0) this.stats.putOff++;
  }

  #shift(ms: number): void {
    this.#started = true;
    this.#s.nowMs += ms;
    this.#b.shift(ms);
    this.#doing.shift(ms);
    this.#scheduler.shift(ms);
  }

  /** Each character decides `decideHz` times a second, some in each frame. */
  #decideSome(seconds: number, spare: boolean): void {
    const b = this.#b;
    const share = b.size * seconds * this.#decideHz;
    this.#owed = Math.min(this.#owed + share, b.size);
    // Full frame after full frame must not leave them without a mind of their own.
    if (!spare && this.#owed < b.size / 4) return;
    // What was put off is made up for a little at a time.
    for (let left = 1 + 2 * share; this.#owed >= 1 && left >= 1; this.#owed--, left--) {
      if (this.#turn >= b.size) this.#turn = 0;
      const i = this.#turn++;
      if (b.alive[i] === 0) continue;
      this.#doing.decide(i);
      this.#scheduler.consider(i);
    }
  }

  // ---- inside ----

  #accept(i: number, intent: Intent, generation: number, restMs: number): boolean | undefined {
    return this.#doing.accept(this.#scheduler.names, i, intent, generation, restMs);
  }

  #roleOf(role: string | undefined): number {
    if (role === undefined) return 0;
    const known = this.#roles.get(role);
    if (known !== undefined) return known;
    if (this.#roles.size === mostRoles) return 0;
    this.#roles.set(role, this.#roles.size + 1);
    return this.#roles.size;
  }

  #known(i: number): void {
    if (!this.isHere(i)) throw new RangeError(`there is no character ${i}`);
  }
}

function point(what: string, x: number, y: number): void {
  if (!Number.isFinite(x) || !Number.isFinite(y)) throw new RangeError(`${what}: is at no point`);
}

function positive(what: string, value: number): void {
  if (!(value > 0 && value < Number.POSITIVE_INFINITY))
    throw new RangeError(`${what}: must be a number above 0`);
}

function share(what: string, value: number): void {
  if (!(value >= 0 && value <= 1)) throw new RangeError(`${what}: 0 to 1`);
}

/** Spreads neighbouring numbers far apart; never 0, which would stay 0. */
function seedOf(seed: number, i: number): number {
  let h = Math.imul(seed ^ (i + 0x9e3779b9), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  h ^= h >>> 16;
  return h === 0 ? 1 : h;
}
