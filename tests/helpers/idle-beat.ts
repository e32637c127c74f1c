// The heartbeat of a worker that has nothing to do and all the room there is, for workers that are played by tests.

/** All of it but who beats, and how often it has. */
export const idleBeat = {
  v: 1,
  tier: 'gold',
  model: 'none',
  engine: 'none',
  draining: false,
  active: 0,
  queued: 0,
  concurrency: 1_000,
  queueLimit: 1_000,
  prefillMsPerToken: 0.1,
  decodeMsPerToken: 0.1,
  resident: [],
  continues: 'text',
} as const;
