// Types of lock.mjs, which is plain JavaScript because set-up runs before tsx is installed.

/** Takes the lock and resolves with a function that lets go, or with undefined when another process holds it. */
export function tryLock(name: string): Promise<(() => Promise<void>) | undefined>;

/** Whether a living process holds the lock. */
export function isLocked(name: string): Promise<boolean>;
