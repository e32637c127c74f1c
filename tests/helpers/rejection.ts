// What a promise was rejected with, to be looked at from several sides.

import { expect } from 'vitest';

/** The error. A promise that is kept fails the test. */
export const rejection = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.unreachable('it was expected to fail'),
    (error) => error,
  );
