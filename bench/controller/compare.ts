// What characters cost a frame: the controller, and beside it in the same run mistreevous for the decisions alone and yuka
// for the movement alone. Blocks of frames take turns, so that a busy machine is busy for all. Times are those of the
// thread's own CPU; what the collector does is counted apart, in a pass without clocks.

import { PerformanceObserver } from 'node:perf_hooks';
import { percentile } from '../loop/frames.ts';
import { begin, used } from '../loop/thread-clock.ts';
import type { Arm } from './arm.ts';
import { mistreevousArm } from './mistreevous.ts';
import { ownArm } from './own.ts';
import { yukaArm } from './yuka.ts';

const dtMs = 1_000 / 300;
const blockFrames = 250;
const warmFrames = 2_000;

interface Row {
  readonly name: string;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly wallP99Ms: number;
  readonly usPerCharacter: number;
  /** Collections of the young generation in 10,000 frames. */
  readonly collections: number;
}

export interface Compared {
  readonly controllerUs: number;
  readonly controllerP50Ms: number;
  readonly controllerP99Ms: number;
  readonly controllerWallP99Ms: number;
  readonly mistreevousUs: number;
  readonly mistreevousP99Ms: number;
  readonly yukaUs: number;
  readonly yukaP99Ms: number;
  readonly collections: number;
  readonly mistreevousCollections: number;
  readonly yukaCollections: number;
}

/** Runs all three. What a person reads goes to standard error. */
export async function compare({
  characters,
  quick,
}: {
  characters: number;
  quick: boolean;
}): Promise<Compared> {
  const frames = quick ? 2_000 : 20_000;
  const arms = [
    new Measured('controller', ownArm(characters), frames),
    new Measured('mistreevous', mistreevousArm(characters), frames),
    new Measured('yuka', yukaArm(characters), frames),
  ];
  for (const arm of arms) arm.warm();
  for (let done = 0; done < frames; done += blockFrames) for (const arm of arms) arm.block();
  const rows: Row[] = [];
  for (const arm of arms) rows.push(await arm.row(characters, quick ? 2_000 : 10_000));

  process.stderr.write('  arm          p50 ms    p99 ms    p99.9 ms  us/char   collections\n');
  for (const { name, p50Ms, p99Ms, p999Ms, usPerCharacter, collections } of rows) {
    const cells = [p50Ms, p99Ms, p999Ms, usPerCharacter].map((value) => value.toFixed(4).padEnd(10));
    process.stderr.write(`  ${name.padEnd(13)}${cells.join('')}${collections}\n`);
  }
  const [own, tree, steering] = rows as [Row, Row, Row];
  return {
    controllerUs: round(own.usPerCharacter),
    controllerP50Ms: round(own.p50Ms),
    controllerP99Ms: round(own.p99Ms),
    controllerWallP99Ms: round(own.wallP99Ms),
    mistreevousUs: round(tree.usPerCharacter),
    mistreevousP99Ms: round(tree.p99Ms),
    yukaUs: round(steering.usPerCharacter),
    yukaP99Ms: round(steering.p99Ms),
    collections: own.collections,
    mistreevousCollections: tree.collections,
    yukaCollections: steering.collections,
  };
}

class Measured {
  readonly #name: string;
  readonly #arm: Arm;
  readonly #cpuMs: Float64Array;
  readonly #wallMs: Float64Array;
  #at = 0;
  #nowMs = 0;

  constructor(name: string, arm: Arm, frames: number) {
    this.#name = name;
    this.#arm = arm;
    this.#cpuMs = new Float64Array(frames);
    this.#wallMs = new Float64Array(frames);
  }

  warm(): void {
    for (let k = 0; k < warmFrames; k++) this.#frame();
  }

  block(): void {
    for (let k = 0; k < blockFrames && this.#at < this.#cpuMs.length; k++) {
      begin();
      const began = performance.now();
      this.#frame();
      this.#wallMs[this.#at] = performance.now() - began;
      this.#cpuMs[this.#at] = used();
      this.#at++;
    }
  }

  async row(characters: number, frames: number): Promise<Row> {
    const mean = this.#cpuMs.reduce((sum, ms) => sum + ms, 0) / this.#cpuMs.length;
    return {
      name: this.#name,
      p50Ms: percentile(this.#cpuMs, 0.5),
      p99Ms: percentile(this.#cpuMs, 0.99),
      p999Ms: percentile(this.#cpuMs, 0.999),
      wallP99Ms: percentile(this.#wallMs, 0.99),
      usPerCharacter: (mean * 1_000) / characters,
      collections: Math.round(((await this.#collections(frames)) * 10_000) / frames),
    };
  }

  async #collections(frames: number): Promise<number> {
    let count = 0;
    const observer = new PerformanceObserver((list) => {
      count += list.getEntries().length;
    });
    await turn();
    observer.observe({ entryTypes: ['gc'] });
    for (let k = 0; k < frames; k++) this.#frame();
    // The observer is told after the loop has turned.
    await turn();
    observer.disconnect();
    return count;
  }

  #frame(): void {
    this.#nowMs += dtMs;
    this.#arm.tick(this.#nowMs, dtMs);
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20));
}

function round(value: number): number {
  return Number(value.toFixed(4));
}
