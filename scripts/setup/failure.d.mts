// Types of failure.mjs, for the programs that call set-up themselves.

export class SetupFailure extends Error {
  readonly step: string;
  readonly remedy: string;
  /** What failed and what to do, for a person. */
  report(): string;
}
